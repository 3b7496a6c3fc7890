"""An ensemble from its first check to its weights, the same for classes and for numbers. Start reading at `_fit`."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import copy
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from ..data.targets import Target
from ..estimators.base import USER_LEVEL, Perceptron
from ..estimators.checking import Checked
from ..estimators.parameters import Decorator, Parameters, Range, ScorerOptions
from ..estimators.run import FROM_DATA
from ..estimators.validation_set import GivenValidation
from ..parallel.team import side_by_side
from ..training.footprint import MIB, Footprint, refuse_too_much
from ..training.history import INTERRUPTED
from ..training.population import forget_frames
from ..typing import Array
from . import memory
from .averaging import Average, Decide
from .data import Data, Validation, checked, set_aside
from .judging import Judge, Prepare, by_scorer
from .members import Distributions, Training, drawn, is_validated
from .selection import Cost, Votes, greedy

# The fitted attributes. A fit replaces or removes all of them.
FITTED = (
    *FROM_DATA, "members_", "weights_", "failed_members_", "validation_rows_", "selection_costs_", "n_outputs_",
    "_target_kind",
)  # fmt: skip
SUM_OF_WEIGHTS = 1e-6  # the largest difference of the sum of weights_ from 1

# Checks the parameters of the ensemble before the fit. Members check their own.
fits_members: Decorator = _fit_context(prefer_skip_nested_validation=False)


class Begun(NamedTuple):
    """A member after its first check, before any training."""

    target: Target
    n_outputs: int
    footprint: Footprint


class Ensemble(Checked):
    """Base class of the ensembles; not for use on its own."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_members": [Range(Integral, 1, None, closed="left")],
        "param_distributions": [dict, list, None],
        "selection": [StrOptions({"average", "greedy"})],
        "max_picks": [Range(Integral, 1, None, closed="left")],
        "scoring": [ScorerOptions({"loss"}), callable],
        "validation_fraction": [Range(Real, 0, 1, closed="neither")],
        "n_jobs": Parameters._parameter_constraints["n_jobs"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    estimator: Any
    n_members: int
    param_distributions: Distributions
    selection: str
    max_picks: int
    scoring: str | Callable[..., float]
    validation_fraction: float
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: bool
    members_: list[Any]
    weights_: NDArray[np.float64]
    failed_members_: dict[int, str]
    validation_rows_: NDArray[np.int64] | None
    selection_costs_: list[float] | None
    n_outputs_: int
    _target_kind: str

    # ---------------------------------------------------------------- overridden by both ensembles

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        """X and y after scikit-learn's checks; y is dense."""
        raise NotImplementedError

    def _template(self) -> Perceptron:
        """The estimator. The members are copies of it."""
        raise NotImplementedError

    def _vote(self, member: Any, outputs: Array) -> Array:
        """The votes of a member, of shape (n, width): probabilities or values, made from its outputs a^(L)."""
        raise NotImplementedError

    def _check_classes(self) -> None:
        """Check that the members predict the same classes, because the user may have edited them; raises ValueError."""

    def _labels(self, y: NDArray) -> NDArray | None:
        """The labels by which the validation set is stratified, or None. Sets the classes_ of a classifier."""
        raise NotImplementedError

    def _width(self, members: Sequence[Any], begun: Sequence[Begun]) -> int:
        """The width of the votes, n_outputs_. Raises ValueError if the votes of these members cannot be averaged."""
        raise NotImplementedError

    def _loss(self, begun: Begun, validation: Validation) -> tuple[Prepare, Cost]:
        """`prepare` and `cost` of a `judging.Judge`. The cost is the mean loss of the average."""
        raise NotImplementedError

    def _guess(self, y: NDArray) -> Votes:
        """Votes for examples with the targets y, before any training. They do not depend on X."""
        raise NotImplementedError

    # ---------------------------------------------------------------- a fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, given: GivenValidation) -> Self:
        """Fit from start to end. If anything raises, the ensemble stays as it was.

        Another thread may predict meanwhile. So a draft is fitted, and the ensemble gets all new attributes at once.
        """
        draft = self._as_now(copied=True)
        random_state = check_random_state(draft.random_state)
        before_members = copy.deepcopy(random_state)  # so the split does not change the members
        members = drawn(draft._checked_template(), draft.n_members, draft.param_distributions, random_state)
        data = checked(draft, X, y, sample_weight, given)
        labels = draft._labels(data.y)
        is_greedy, validated = draft.selection == "greedy", any(map(is_validated, members))
        if given.is_there and not (is_greedy or validated):
            raise ValueError(
                "X_val and y_val are used by members with early_stopping=True and by selection='greedy' only, and this "
                f"ensemble has neither, with selection={draft.selection!r}."
            )
        if not given.is_there and (is_greedy or validated):
            data = set_aside(data, draft.validation_fraction, before_members, labels)
        said = draft._trained(members, data)
        self._take(draft, FITTED, said, stacklevel=USER_LEVEL + 1)
        return self

    def _checked_template(self) -> Perceptron:
        template = self._template()
        if getattr(template, "_skl_callbacks", None):
            raise ValueError(
                "estimator must have no callbacks, because its copies train side by side, got "
                f"{template._skl_callbacks!r}."
            )
        return template

    def _trained(self, members: Sequence[Perceptron], data: Data) -> list[tuple[str, type[Warning]]]:
        """Train the members on checked data, set the fitted attributes, and return the warnings."""
        training = Training(members, data)
        begun = self._begun(training, len(members))
        self.n_outputs_, self._target_kind = self._width(members, begun), begun[0].target.kind
        self.members_, judge = list(members), None
        if self.selection == "greedy":
            begun[0].target.check_held_out(data.validation.y)
            judge = self._judge(begun[0], data.validation)
        self._check_memory(begun, len(judge.validation.y) if judge else 0)
        training.run(self.n_jobs, judge, self._say)
        if not training.fitted:
            first = min(training.failed)
            raise ValueError(
                f"All {len(members)} members failed. Member {first}: {training.failed[first]}"
            ) from training.failed[first]

        for error in training.failed.values():
            forget_frames(error)
        done = [training.fitted[i] for i in sorted(training.fitted)]
        self.members_ = [member.estimator for member in done]
        self.weights_ = np.full(len(done), 1 / len(done))
        self.failed_members_ = {i: str(error) for i, error in sorted(training.failed.items())}
        self.validation_rows_, self.selection_costs_ = data.held_out, None
        if judge:
            try:
                self._select([member.votes for member in done if member.votes is not None], judge.cost)
            except KeyboardInterrupt:  # the training may have taken hours, so the members are kept
                training.interrupted = True
        return _warnings(training, len(members))

    def _begun(self, training: Training, n: int) -> list[Begun]:
        """Begin each member once, before any training. This raises errors in the parameters and in the data."""
        begun = []
        for i in range(n):
            run = training.begin(i)
            begun.append(Begun(run.target, run.network.widths[-1], run.footprint()))
        return begun

    def _check_memory(self, begun: Sequence[Begun], n_validation: int) -> None:
        """If verbose, print the memory that the members need. Raise MemoryError if the machine has less."""
        n_threads = min(side_by_side(self.n_jobs), len(begun))
        votes = n_validation * sum(each.n_outputs for each in begun) * 8
        needed = memory.peak([each.footprint for each in begun], n_threads, votes)
        self._say(f"{len(begun)} members on {n_threads} threads, about {needed / MIB:,.1f} MiB")
        refuse_too_much(
            needed,
            f"n_members={len(begun)} networks, {n_threads} of them in training at a time,",
            "",
            "Set a smaller n_members, n_jobs or hidden_layer_sizes, or dtype='float32'.",
        )

    def _say(self, message: str) -> None:
        if self.verbose:
            print(message, flush=True)

    # ---------------------------------------------------------------- the weights

    def _judge(self, begun: Begun, validation: Validation) -> Judge:
        if self.scoring == "loss":
            return Judge(validation, self._vote, *self._loss(begun, validation))
        return Judge(validation, self._vote, *by_scorer(self, self.scoring, validation, self._guess(validation.y)))

    def _select(self, votes: Sequence[Votes], cost: Cost) -> None:
        """Set the weights by greedy selection."""
        selection = greedy(votes, cost, self.max_picks)
        self.weights_, self.selection_costs_ = selection.counts / selection.counts.sum(), selection.costs
        n = np.count_nonzero(selection.counts)
        self._say(f"Selected {n} of {len(votes)} members, cost = {min(selection.costs):f}")

    # ---------------------------------------------------------------- predictions

    def _averaged(self, X: Any, decide: Decide) -> NDArray:
        """decide(average of the votes) for the rows of X, after the checks of X and of `weights_`."""
        X = self._checked_for_prediction(X)
        self._check_classes()
        given = np.asarray(self.weights_)  # the user may have edited them
        legal = given.shape == (len(self.members_),) and given.dtype.kind in "fiu" and (given >= 0).all()
        if not legal or not abs(given.sum() - 1) <= SUM_OF_WEIGHTS:
            raise ValueError(
                f"weights_ must be a number >= 0 for each of the {len(self.members_)} members, with the sum 1, got "
                f"{self.weights_!r:.200}."
            )
        return Average(self.members_, self.weights_, self._vote, X).decided(decide, self.n_jobs)


def _warnings(training: Training, n: int) -> list[tuple[str, type[Warning]]]:
    """The warnings of a fit: of an interrupt, of members that failed, and the warnings of the members.

    A warning of several members comes once, with their numbers.
    """
    found: dict[tuple[str, type[Warning]], list[int]] = {}
    for i, member in sorted(training.fitted.items()):
        for warning in member.warnings:
            found.setdefault(warning, []).append(i)
    said: list[tuple[str, type[Warning]]] = []
    if training.interrupted or any(message == INTERRUPTED for message, _ in found):
        said.append((INTERRUPTED, UserWarning))
    if training.failed:
        first = min(training.failed)
        said.append(
            (
                f"{len(training.failed)} of {n} members failed and are left out: {sorted(training.failed)}. Member "
                f"{first}: {training.failed[first]}",
                FitFailedWarning,
            )
        )
    for (message, category), numbers in found.items():
        if message != INTERRUPTED:
            said.append((f"{message} (members {', '.join(map(str, numbers))})", category))
    return said
