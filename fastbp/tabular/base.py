"""A fit on a table from its first check to its networks, and predictions. Start reading at `_fit`."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted, validate_data

from ..data.targets import in_unit, without_negligible
from ..encoding.encoder import NoColumnError, TableEncoder
from ..encoding.frames import Table, refuse_dask, rows_of
from ..ensemble.averaging import Average
from ..estimators.base import USER_LEVEL, Perceptron
from ..estimators.checking import Checked
from ..estimators.parameters import Decorator, Parameters, Range
from ..estimators.validation_set import GivenValidation, errors_name_validation_set, refuse_few_rows
from ..training.history import INTERRUPTED
from ..training.population import forget_frames
from ..typing import Array
from . import recipe
from .folds import folds
from .inputs import Inputs
from .progress import shown
from .race import Race, Task

FOLDS = 8  # each network is validated on a FOLDS-th of the rows
CANDIDATES = 4  # candidates for each one that stays to the end
SCOUT_ROUNDS = 2  # networks for each encoding, to compare the encodings
# A candidate that stays to the end has ROUNDS networks. If n_networks is less than ROUNDS, there are only n_networks
# rounds.
ROUNDS = 4
# A prediction encodes at most ROWS rows at a time, and fewer if they have more than ELEMENTS outputs in all.
ROWS, ELEMENTS = 65536, 1 << 26
LARGEST = np.iinfo(np.int32).max  # the largest seed
# FROM_ENCODER: the fitted attributes that come from an encoder. FITTED: all fitted attributes, which a fit replaces or
# removes.
FROM_ENCODER = ("n_features_in_", "feature_names_in_", "dropped_columns_", "column_kinds_")
FITTED = (
    *FROM_ENCODER, "classes_", "encoders_", "networks_", "candidates_", "n_outputs_", "_prior", "_unit",
)  # fmt: skip

# Checks the parameters before the fit. Networks check their own.
fits_table: Decorator = _fit_context(prefer_skip_nested_validation=True)


class Target(NamedTuple):
    """The target of all networks."""

    y: NDArray  # as the networks learn it
    encoded: NDArray  # as the encoders learn it: the codes of classes, or numbers
    codes: NDArray[np.intp] | None  # the class of each example
    prior: NDArray[np.float64]  # of shape (1, width): the best votes that do not depend on X
    is_constant: bool  # whether all y are equal
    counts: NDArray[np.bool_]  # whether the weight of an example, times the weight of its class, is positive


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

    _target_type: str  # the `target_type` of the encoders

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
        """y of a validation set as the networks learn it; raises ValueError if y does not suit the fit."""
        raise NotImplementedError

    def _network(self, **parameters: Any) -> Perceptron:
        """An unfitted network."""
        raise NotImplementedError

    def _validation_loss(self, network: Any) -> float:
        """The loss of a network on the rows that it was not trained on. It compares all networks."""
        losses = np.asarray(network.validation_loss_curve_ or network.loss_curve_)
        return float(np.nanmin(losses, initial=np.inf))

    def _vote(self, network: Any, outputs: Array) -> Array:
        """The votes of a network in float64: probabilities or numbers, made from its outputs a^(L)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- a fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, given: GivenValidation) -> Self:
        """Fit from start to end. If anything raises, the estimator stays as it was.

        Another thread may predict meanwhile. So a draft is fitted, and the estimator gets all new attributes at once.
        """
        draft = self._as_now(copied=True)
        said = draft._learn(X, y, sample_weight, given)
        self._take(draft, FITTED, said, stacklevel=USER_LEVEL + 1)
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
        options = {"categorical_features": self.categorical_features, "target_type": self._target_type}
        options["random_state"] = random_state.randint(LARGEST)
        inputs = Inputs(X, target.encoded, None if validation is None else validation.X, options)
        self._prior, self.encoders_, self.networks_, self.candidates_ = target.prior, [], [], []
        try:
            encoder = inputs.encoder(next(iter(recipe.ENCODINGS)))
        except NoColumnError as error:
            validate_data(self, X, reset=True, skip_check_array=True)  # sets n_features_in_ and feature_names_in_
            self.dropped_columns_, self.column_kinds_ = error.dropped_columns, {}
            return [(f"{error} The predictions do not depend on X.", UserWarning)]
        self.__dict__ |= {name: value for name, value in vars(encoder).items() if name in FROM_ENCODER}
        if target.is_constant:
            return []
        rows = np.flatnonzero(target.counts)  # only these are held out, because only they judge networks
        codes = None if target.codes is None else target.codes[rows]
        held_out = [rows[fold] for fold in folds(len(rows), codes, FOLDS, random_state)]
        task = Task(target.y, sample_weight, held_out, validation, self._network, self._validation_loss)
        end = None if self.max_seconds is None else start + self.max_seconds
        labels = () if target.codes is None else (y, y if validation is None else validation.y)
        n_rounds = min(ROUNDS, self.n_networks)
        with shown(SCOUT_ROUNDS + n_rounds, verbose=bool(self.verbose)) as progress, _said_once(labels):
            race = Race(inputs, task, progress, n_jobs=self.n_jobs, end=end)
            kept = _run(race, n_rounds, -(-self.n_networks // n_rounds), len(y), random_state)
        # The first networks of the best candidates come first.
        pairs = [(i, race.networks[i][r]) for r in range(ROUNDS) for i in kept if r < len(race.networks[i])]
        networks: dict[str, list[Any]] = {}
        for i, network in pairs[: self.n_networks]:
            networks.setdefault(race.candidates[i].encoding, []).append(network.estimator)
        self.encoders_, self.networks_ = [inputs.encoder(name) for name in networks], list(networks.values())
        self.candidates_ = [
            {"encoding": candidate.encoding, **candidate.network, "losses": race.losses.get(i, [])}
            for i, candidate in enumerate(race.candidates)
        ]
        return _warnings(race, self.max_seconds)

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray, NDArray[np.float64] | None]:
        """X, y and the weights after their checks. Examples of weight zero, or of a negligible one, are left out."""
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
        weights = without_negligible(in_unit(weights)[0], np.dtype(np.float32))
        rows = np.flatnonzero(weights)
        return (X, y, weights) if len(rows) == len(y) else (rows_of(X, rows), y[rows], weights[rows])

    def _validation(self, given: GivenValidation) -> GivenValidation | None:
        """The user's validation set after its checks, with y as the networks learn it."""
        if not given.is_there:
            return None
        with errors_name_validation_set():
            X, y, sample_weight = self._checked(*given)
            refuse_few_rows(len(y))
            return GivenValidation(X, self._learned(y), sample_weight)

    # ---------------------------------------------------------------- predictions

    def _averaged(self, X: Any) -> NDArray[np.float64]:
        """The average of the votes of all networks for each row of X, after the checks of X."""
        check_is_fitted(self)
        refuse_dask(X, "predict")
        if not self.networks_:
            table = Table.of(X, self)
            if table.names is None or not hasattr(self, "feature_names_in_"):  # otherwise, no column is needed
                validate_data(self, X, reset=False, skip_check_array=True)
            return np.tile(self._prior, (table.shape[0], 1))
        n, n_networks = _num_samples(X), sum(map(len, self.networks_))
        size = max(1, min(ROWS, ELEMENTS // max(len(encoder.source_indices_) for encoder in self.encoders_)))
        parts = []
        for start in range(0, max(n, 1), size):  # an X without rows is an error of the encoder
            part = X if n <= size else rows_of(X, slice(start, min(start + size, n)))
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


def _run(race: Race, n_rounds: int, n_kept: int, n_examples: int, random_state: np.random.RandomState) -> list[int]:
    """Let scouts compare the encodings, and then let candidates run the race. Returns the candidates that stay."""

    def seeds(n_rounds: int, candidates: Sequence[recipe.Candidate]) -> NDArray[np.integer]:
        return random_state.randint(LARGEST, size=(n_rounds, len(candidates)))

    scouts = recipe.scouts(n_examples)
    ranked = race.run(scouts, seeds(SCOUT_ROUNDS, scouts), len(scouts))
    if race.ended_early:
        return ranked[:n_kept]
    encodings = [race.candidates[i].encoding for i in ranked]
    candidates = recipe.candidates(CANDIDATES * n_kept, encodings, n_examples, random_state)
    return race.run(candidates, seeds(n_rounds, candidates), n_kept)


@contextlib.contextmanager
def _said_once(labels: Sequence[NDArray]) -> Iterator[None]:
    """Within this context, no network warns that there are many classes. The check of y has warned already.

    labels: y and y_val. If both have few classes, this context does nothing, because `catch_warnings` changes the
    filters of all threads.
    """
    if all(2 * len(np.unique(y)) < len(y) for y in labels):
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        yield


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
        for error in race.failed.values():
            forget_frames(error)
        said.append(
            (
                f"Networks of {len(race.failed)} candidates failed and are left out: {sorted(race.failed)}. Candidate "
                f"{first}: {race.failed[first]}",
                FitFailedWarning,
            )
        )
    return said
