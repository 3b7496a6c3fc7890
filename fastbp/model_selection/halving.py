"""Successive halving: all candidates train for a few epochs, and only the best ones go on training."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from ..training.footprint import MIB, refuse_too_much
from .evaluation import Trials
from .folds import own_network
from .search import N_JOBS, Candidates, Results, SideBySide

MOST_RUNGS = 4
NO_LBFGS = "solver must be 'sgd', 'adam' or 'gd', because 'lbfgs' cannot wait between two epochs, got 'lbfgs'."
ROUNDING = 1e-9  # 81 is 3 to the power of 4, but its computed logarithm to the base 3 may be a little less


class HalvingSearchCV(SideBySide):
    """Search that trains many candidates for a few epochs, and only the best ones for all epochs.

    The search has rungs. On the first rung, all candidates train for `min_epochs` epochs. On every other rung, the
    best candidates of the rung before train until they have `factor` times as many epochs; about one in `factor`
    survives. The last rung ends at `max_epochs`. Survivors go on training with their weights and the state of their
    optimiser: no epoch is trained twice. So a candidate of the last rung has the scores of a full search, to the last
    digit. The candidates of a rung train side by side, one thread each.

    Parameters
    ----------
    estimator : BackpropClassifier, BackpropRegressor or Pipeline
        A Pipeline needs one of the two as its last step. The solver must be 'sgd', 'adam' or 'gd'.
    param_distributions : dict or list of dict
        For each parameter a list of values, or a distribution with a method `rvs`.
    n_candidates : int, default=None
        Number of candidates. None: all combinations, if all parameters have lists of values.
    factor : float, default=3
        About one in `factor` candidates of a rung goes on to the next rung, which ends at `factor` times the epochs.
    min_epochs : int, default=None
        Epochs of the first rung. None: `max_epochs`, divided by `factor` for each later rung. There are as many rungs
        as the candidates and `max_epochs` allow, but at most 4.
    max_epochs : int, default=None
        Epochs of the last rung, which become the `max_iter` of the candidates. None: the `max_iter` of the estimator.
    scoring : str, callable, list, tuple or dict, default=None
        What to measure, as in scikit-learn. None: the `score` of the estimator.
    n_jobs : int, default=None
        Number of candidates that train at once. None: as many as Numba may use, or one in a worker of joblib or of
        Dask.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all examples; the scorer that decides which candidates survive; or a
        function that gets `cv_results_` and returns the index of the best one.
    cv : int, cross-validation generator or iterable, default=None
        The splits. None: 5 folds.
    verbose : int, default=0
        How much to print.
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : 'raise' or float, default=nan
        Score of a candidate that fails.
    return_train_score : bool, default=False
        Whether to score the training rows too.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in GridSearchCV, with the scores of each candidate after its last rung. Candidates of later rungs rank before
        the others. More columns:

        rung : ndarray of shape (n_candidates,)
            The last rung of each candidate, from 0.
        n_epochs : ndarray of shape (n_candidates,)
            Epochs of each candidate, as a mean over the folds. A candidate may stop by itself before a rung ends.
        curve_epochs : ndarray of shape (n_candidates,)
            For each candidate, the list of its epochs after each of its rungs.
        curve_test_score : ndarray of shape (n_candidates,)
            For each candidate, the list of its mean test scores after each of its rungs.
    n_epochs_ : int
        Number of epochs, summed over all candidates and folds.
    rungs_ : list of tuple of int
        For each rung, its number of candidates and its number of epochs.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in GridSearchCV. Unless `refit` is a function, the best candidate is one of the last rung.

    See Also
    --------
    fastbp.dask.HalvingSearchCV : On the workers of a Dask cluster.

    Notes
    -----
    Every candidate that waits for its next epochs keeps its weights, its optimiser and its activations in memory. The
    candidates share the data of a fold. `fit` estimates this memory before it trains, and raises MemoryError if the
    machine has less. With `verbose`, it prints the estimate.

    A schedule of the learning rate is a function of the share of `max_epochs`, so candidates are compared in the middle
    of their schedules.

    The method is Successive Halving (Jamieson and Talwalkar, 2016, "Non-stochastic Best Arm Identification and
    Hyperparameter Optimization").

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.model_selection import HalvingSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> rates = {"learning_rate_init": loguniform(1e-4, 1e-1)}
    >>> clf = BackpropClassifier(max_iter=90, n_iter_no_change=90, random_state=0)
    >>> search = HalvingSearchCV(clf, rates, n_candidates=9, random_state=0).fit(X, y)
    >>> search.rungs_
    [(9, 10), (3, 30), (1, 90)]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSearchCV._parameter_constraints,
        **N_JOBS,
        "param_distributions": [dict, list],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "min_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }
    _parameter_constraints.pop("pre_dispatch")

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_candidates: int | None = None,
        factor: float = 3,
        min_epochs: int | None = None,
        max_epochs: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ):
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions, self.n_candidates, self.random_state = param_distributions, n_candidates, random_state
        self.factor, self.min_epochs, self.max_epochs = factor, min_epochs, max_epochs

    def _goes_side_by_side(self) -> bool:
        network = own_network(self.estimator)
        if network is None:
            raise ValueError(
                "estimator must be a BackpropClassifier or a BackpropRegressor, or a Pipeline with one of them as its "
                f"last step, got {self.estimator!r}."
            )
        if network.solver == "lbfgs":
            raise ValueError(NO_LBFGS)
        if watched := [each for each in (self, self.estimator, network) if getattr(each, "_skl_callbacks", None)]:
            raise ValueError(
                "HalvingSearchCV, its estimator and its steps must have no callbacks, because candidates train side "
                f"by side, got {watched[0]._skl_callbacks!r}."
            )
        if isinstance(self.scoring, Iterable) and not isinstance(self.scoring, str):
            self._check_refit(self.scoring)
        return True

    def _base(self) -> Any:
        base = super()._base()
        return base if self.max_epochs is None else base.set_params(**{self._prefix() + "max_iter": self.max_epochs})

    def _evaluated(self, begin: Callable[[Candidates], Trials]) -> tuple[Candidates, Results, dict[str, Any]]:
        candidates, n = self._candidates(), self.n_splits_
        if not candidates:
            raise ValueError(f"param_distributions must have candidates, got {self.param_distributions!r}.")
        if any(each.get(self._prefix() + "solver") == "lbfgs" for each in candidates):
            raise ValueError(NO_LBFGS)
        max_epochs = self.max_epochs or self._max_iter()
        self.rungs_ = rungs(len(candidates), self.factor, self.min_epochs, max_epochs)
        trials = begin(candidates)
        self._check_memory(trials.memory())
        records = [_Record() for _ in candidates]
        alive = list(range(len(candidates)))
        for rung, (n_alive, epochs) in enumerate(self.rungs_):
            alive = sorted(alive, key=lambda c: records[c].place)
            for c in alive[n_alive:]:
                trials.drop(c)
            alive = sorted(alive[:n_alive])
            is_last = rung == len(self.rungs_) - 1
            results = trials.evaluate(alive, None if is_last else epochs, keep=True)
            for i, c in enumerate(alive):
                of_candidate = results[i * n : (i + 1) * n]
                records[c].add(rung, float(np.mean(trials.n_iter(c))), of_candidate, self._score_of(of_candidate))
            if self.verbose > 0:
                best = max((records[c].scores[-1] for c in alive), default=math.nan)
                print(f"{len(alive)} candidates after {epochs} epochs: the best mean test score is {best:.6g}")
        self.n_epochs_ = round(sum(record.epochs[-1] for record in records) * n)
        columns = {
            "rung": np.array([record.rung for record in records]),
            "n_epochs": np.array([record.epochs[-1] for record in records]),
            "curve_epochs": _objects([record.epochs for record in records]),
            "curve_test_score": _objects([record.scores for record in records]),
        }
        return candidates, [result for record in records for result in record.results], columns

    def _check_memory(self, needed: int) -> None:
        """If verbose, print the memory that waiting candidates need. Raise MemoryError if the machine has less."""
        if self.verbose > 0 and needed:
            print(f"Candidates that wait for their next epochs need about {needed / MIB:,.1f} MiB")
        refuse_too_much(
            needed,
            f"{self.rungs_[0][0]} candidates (n_candidates={self.n_candidates})",
            " while they wait for their next epochs",
            "Set fewer candidates or folds, or a smaller hidden_layer_sizes.",
        )

    def _candidates(self) -> Candidates:
        """The parameters of all candidates."""
        given = self.param_distributions
        name = self._prefix() + "max_iter"
        names = set().union(*([given] if isinstance(given, Mapping) else given))
        if name in names:
            raise ValueError(
                f"param_distributions must not have {name!r}: set max_epochs, which is {self.max_epochs!r}."
            )
        if replaced := names & {"steps", name.partition("__")[0]}:
            raise ValueError(
                f"param_distributions must not have {min(replaced)!r}, because the network itself must stay: each "
                "candidate trains for the same epochs. Set parameters of the network."
            )
        if self.n_candidates is not None:
            return list(ParameterSampler(given, self.n_candidates, random_state=check_random_state(self.random_state)))
        try:
            return list(ParameterGrid(given))
        except TypeError as error:
            raise ValueError(
                f"n_candidates must be a number if a parameter has a distribution, got None with {given!r:.200}."
            ) from error

    def _prefix(self) -> str:
        """The beginning of the network's parameters' names: 'mlp__' if it is the step 'mlp' of a Pipeline."""
        return f"{self.estimator.steps[-1][0]}__" if isinstance(self.estimator, Pipeline) else ""

    def _score_of(self, results: Results) -> float:
        """The mean test score of a candidate, by which survivors are chosen. It is NaN if a fit failed."""
        scores = [result["test_scores"] for result in results]
        for k, each in enumerate(scores):
            if isinstance(each, dict):  # a fit that failed may have the error score alone
                self._check_refit(each)
                scores[k] = each[self.refit]
        return float(np.mean(scores))

    def _check_refit(self, scorers: Iterable[str]) -> None:
        if not isinstance(self.refit, str) or self.refit not in scorers:
            raise ValueError(
                f"refit must name the scorer that decides which candidates survive, got {self.refit!r}. The scorers "
                f"are {sorted(scorers)}."
            )

    def _max_iter(self) -> int:
        """The max_iter of the estimator."""
        network = own_network(self.estimator)
        constraints = {"max_iter": network._parameter_constraints["max_iter"]}
        validate_parameter_constraints(constraints, {"max_iter": network.max_iter}, type(network).__name__)
        return int(network.max_iter)

    def _format_results(self, candidate_params: Any, n_splits: int, out: Any, more_results: Any = None) -> Any:
        results = super()._format_results(candidate_params, n_splits, out, more_results)
        for name in list(results):
            if name.startswith("rank_test_"):
                results[name] = _ranks(results["rung"], results["mean_" + name.removeprefix("rank_")])
        return results


@dataclasses.dataclass
class _Record:
    """The rungs of a candidate."""

    rung: int = 0  # the last rung on which the candidate trained
    epochs: list[float] = dataclasses.field(default_factory=list)  # after each rung, as a mean over the folds
    scores: list[float] = dataclasses.field(default_factory=list)  # the mean test score after each rung
    results: Results = dataclasses.field(default_factory=list)  # of `_fit_and_score`, by fold

    @property
    def place(self) -> float:
        """The key by which candidates are sorted. A better candidate has a smaller one."""
        return math.inf if not self.scores or math.isnan(self.scores[-1]) else -self.scores[-1]

    def add(self, rung: int, epochs: float, results: Results, score: float) -> None:
        """Add a rung. The time of a fit is the sum over all rungs."""
        for result, earlier in zip(results, self.results, strict=bool(self.results)):
            result["fit_time"] += earlier["fit_time"]
        self.rung, self.results = rung, results
        self.epochs.append(epochs)
        self.scores.append(score)


def rungs(n_candidates: int, factor: float, min_epochs: int | None, max_epochs: int) -> list[tuple[int, int]]:
    """For each rung, the number of its candidates, and their epochs when it ends.

    Raises ValueError if min_epochs is larger than max_epochs.
    """
    if min_epochs is not None and min_epochs > max_epochs:
        raise ValueError(f"min_epochs must be at most max_epochs={max_epochs}, got {min_epochs}.")
    needed = 1 + _whole_logarithm(n_candidates, factor)  # one more rung would have less than one candidate
    if min_epochs is None:
        needed = min(needed, MOST_RUNGS, 1 + _whole_logarithm(max_epochs, factor))
        epochs = [max(1, int(max_epochs / factor ** (needed - 1 - rung))) for rung in range(needed)]
    else:
        needed = min(needed, 1 + _whole_logarithm(max_epochs / min_epochs, factor))
        epochs = [int(min_epochs * factor**rung) for rung in range(needed)]
    epochs[-1] = max_epochs
    return [(math.ceil(n_candidates / factor**rung - ROUNDING), e) for rung, e in enumerate(epochs)]


def _whole_logarithm(x: float, base: float) -> int:
    """The largest whole n with base**n <= x, up to rounding."""
    return math.floor(math.log(x) / math.log(base) + ROUNDING)


def _ranks(rung: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int32]:
    """The rank of each candidate, from 1. Candidates of later rungs come first; within a rung, NaN comes last."""
    places = np.lexsort((-np.nan_to_num(scores, nan=-np.inf), -rung))
    keys = np.stack([rung, np.nan_to_num(scores, nan=-np.inf)])[:, places]
    is_new = np.concatenate([[True], (keys[:, 1:] != keys[:, :-1]).any(axis=0)])
    ranks = np.empty(len(rung), np.int32)
    ranks[places] = np.maximum.accumulate(np.where(is_new, np.arange(1, len(rung) + 1), 0))
    return ranks


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    """A vector of these objects, which may be lists of different lengths."""
    objects = np.empty(len(values), object)
    objects[:] = values
    return objects


HalvingSearchCV.__module__ = "fastbp.model_selection"  # pickle stores the path of a type
