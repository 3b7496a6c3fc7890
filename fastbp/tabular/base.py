"""A fit on a table from its first check to its networks, and predictions. Start reading at `_fit`."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import time
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, validate_data

from ..encoding.encoder import NoColumnError, TableEncoder
from ..encoding.frames import refuse_dask, rows_of
from ..ensemble.averaging import Average
from ..estimators.base import USER_LEVEL, Perceptron
from ..estimators.checking import Checked
from ..estimators.parameters import Decorator, Parameters, Range
from ..estimators.validation_set import GivenValidation, errors_name_validation_set, refuse_few_rows
from ..training.history import INTERRUPTED
from ..typing import Array
from . import recipe
from .folds import folds
from .inputs import Inputs
from .race import ROUNDS, Race, Task

FOLDS = 8  # each network is validated on a FOLDS-th of the rows
CANDIDATES = 4  # candidates for each one that stays to the end
ROWS = 65536  # a prediction encodes this many rows at a time
LARGEST = np.iinfo(np.int32).max  # the largest seed
# The fitted attributes that come from an encoder, and all others. A fit replaces or removes all of them.
FROM_ENCODER = ("n_features_in_", "feature_names_in_", "dropped_columns_", "column_kinds_")
FITTED = (
    *FROM_ENCODER, "classes_", "encoders_", "networks_", "candidates_", "n_outputs_", "_prior", "_unit",
)  # fmt: skip

# Checks the parameters before the fit. Networks check their own.
fits_table: Decorator = _fit_context(prefer_skip_nested_validation=True)


class Target(NamedTuple):
    """The target of all networks."""

    y: NDArray  # as the networks learn it
    codes: NDArray[np.intp] | None  # the class of each example
    prior: NDArray[np.float64]  # of shape (1, width): the best votes that do not depend on X
    is_constant: bool  # whether all y are equal


class Tabular(Checked):
    """Base class of the estimators for tables; not for use on its own."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_networks": [Range(Integral, 1, None, closed="left")],
        "categorical_features": TableEncoder._parameter_constraints["categorical_features"],
        "max_seconds": [Range(Real, 0, None, closed="neither"), None],
        "n_jobs": Parameters._parameter_constraints["n_jobs"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    n_networks: int
    categorical_features: ArrayLike | None
    max_seconds: float | None
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: bool
    encoders_: list[TableEncoder]
    networks_: list[list[Any]]
    candidates_: list[dict[str, Any]]
    dropped_columns_: dict[str, str]
    column_kinds_: dict[str, str]
    _prior: NDArray[np.float64]

    # ---------------------------------------------------------------- overridden by both estimators

    def _checked_y(self, y: Any) -> NDArray:
        """y after scikit-learn's checks."""
        raise NotImplementedError

    def _target(self, y: NDArray, sample_weight: NDArray[np.float64] | None) -> Target:
        """The target. Sets the attributes that predictions need."""
        raise NotImplementedError

    def _learned(self, y: NDArray) -> NDArray:
        """y of a validation set as the networks learn it; raises ValueError if it does not go with the target."""
        raise NotImplementedError

    def _network(self, **parameters: Any) -> Perceptron:
        """An unfitted network."""
        raise NotImplementedError

    def _vote(self, network: Any, outputs: Array) -> Array:
        """The votes of a network in float64: probabilities or numbers, made from its outputs a^(L)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- a fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, given: GivenValidation) -> Self:
        """Fit from start to end. If anything raises, the estimator stays as it was.

        Another thread may predict meanwhile. So a draft is fitted, and the estimator gets all new attributes at once.
        """
        draft, before = self._as_now(copied=True), self.__dict__
        said = draft._learn(X, y, sample_weight, given)
        try:
            fitted = {name: value for name, value in draft.__dict__.items() if name in FITTED}
            self.__dict__ = {name: value for name, value in before.items() if name not in FITTED} | fitted
            for message, category in said:
                warnings.warn(message, category, stacklevel=USER_LEVEL)
        except BaseException:  # a warning was turned into an error
            self.__dict__ = before
            raise
        return self

    def _learn(self, X: Any, y: Any, sample_weight: Any, given: GivenValidation) -> list[tuple[str, type[Warning]]]:
        """Set the fitted attributes, and return the warnings."""
        start = time.monotonic()
        for name in FITTED:
            self.__dict__.pop(name, None)
        random_state = check_random_state(self.random_state)
        X, y, sample_weight = self._checked(X, y, sample_weight)
        target = self._target(y, sample_weight)
        validation = self._validation(given)
        options = {"categorical_features": self.categorical_features, "random_state": random_state.randint(LARGEST)}
        inputs = Inputs(X, y, given.X, options)
        n_rounds = min(ROUNDS, self.n_networks)
        n_kept = -(-self.n_networks // n_rounds)
        drawn = recipe.candidates(CANDIDATES * n_kept, len(y), random_state)
        seeds = random_state.randint(LARGEST, size=(n_rounds, len(drawn)))
        held_out = folds(len(y), target.codes, FOLDS, random_state)
        self._prior, self.encoders_, self.networks_, self.candidates_ = target.prior, [], [], []
        try:
            encoder = inputs.encoder(drawn[0].encoding)
        except NoColumnError as error:
            validate_data(self, X, reset=True, skip_check_array=True)  # sets n_features_in_ and feature_names_in_
            return [(f"{error} The predictions do not depend on X.", UserWarning)]
        self.__dict__ |= {name: value for name, value in vars(encoder).items() if name in FROM_ENCODER}
        if target.is_constant:
            return []
        race = Race(drawn, inputs, Task(target.y, sample_weight, held_out, validation, self._network), seeds)
        seconds = None if self.max_seconds is None else self.max_seconds - (time.monotonic() - start)
        kept = race.run(n_kept, self.n_jobs, seconds, self._say)
        # The first networks of the best candidates come first.
        networks = [race.networks[i][r] for r in range(n_rounds) for i in kept if r < len(race.networks[i])]
        networks = networks[: self.n_networks]
        for name in dict.fromkeys(drawn[network.candidate].encoding for network in networks):
            self.encoders_.append(inputs.encoder(name))
            self.networks_.append([each.estimator for each in networks if drawn[each.candidate].encoding == name])
        for i, candidate in enumerate(drawn):
            losses = [network.loss for network in race.networks.get(i, [])]
            self.candidates_.append({"encoding": candidate.encoding, **candidate.network, "losses": losses})
        return _warnings(race, self.max_seconds)

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray, NDArray[np.float64] | None]:
        """X, y and the weights after their checks. Examples of weight zero are left out."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        refuse_dask(X)
        y = self._checked_y(y)
        check_consistent_length(X, y)
        if not len(y):
            raise ValueError(f"Found array with 0 sample(s), while {type(self).__name__} needs at least 1.")
        if sample_weight is None:
            return X, y, None
        weights = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("sample_weight must not be zero for all examples.")
        rows = np.flatnonzero(weights)
        return (X, y, weights) if len(rows) == len(y) else (rows_of(X, rows), y[rows], weights[rows])

    def _validation(self, given: GivenValidation) -> tuple[NDArray, NDArray[np.float64] | None] | None:
        """y and the weights of the user's validation set, after their checks."""
        if not given.is_there:
            return None
        with errors_name_validation_set():
            _, y, sample_weight = self._checked(*given)
            refuse_few_rows(len(y))
            return self._learned(y), sample_weight

    def _say(self, message: str) -> None:
        if self.verbose:
            print(message, flush=True)

    # ---------------------------------------------------------------- predictions

    def _averaged(self, X: Any) -> NDArray[np.float64]:
        """The average of the votes of all networks for each row of X, after the checks of X."""
        check_is_fitted(self)
        refuse_dask(X, "predict")
        if not self.networks_:
            validate_data(self, X, reset=False, skip_check_array=True)
            return np.tile(self._prior, (_num_samples(X), 1))
        n_networks = sum(map(len, self.networks_))
        parts = []
        for start in range(0, max(_num_samples(X), 1), ROWS):  # an X without rows is an error of the encoder
            part = X if _num_samples(X) <= ROWS else rows_of(X, slice(start, min(start + ROWS, _num_samples(X))))
            total = np.zeros(())
            for encoder, networks in zip(self.encoders_, self.networks_, strict=True):
                weights = np.full(len(networks), 1 / n_networks)
                average = Average(networks, weights, self._vote, encoder.transform(part))
                total = total + average.decided(lambda votes: votes, self.n_jobs)
            parts.append(total)
        return np.concatenate(parts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _warnings(race: Race, max_seconds: float | None) -> list[tuple[str, type[Warning]]]:
    """The warnings of a fit: of an early end, and of candidates that failed."""
    said: list[tuple[str, type[Warning]]] = []
    if race.interrupted:
        said.append((INTERRUPTED, UserWarning))
    elif race.late:
        said.append(
            (
                f"max_seconds={max_seconds!r} was over before all networks were trained. The best networks so far are "
                "kept. Another fit may differ, because the speed of the machine differs.",
                UserWarning,
            )
        )
    if race.failed:
        first = min(race.failed)
        said.append(
            (
                f"{len(race.failed)} candidates failed and are left out: {sorted(race.failed)}. Candidate {first}: "
                f"{race.failed[first]}",
                FitFailedWarning,
            )
        )
    return said
