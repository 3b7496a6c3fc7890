"""Candidates on folds, trained and scored side by side."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from sklearn.model_selection._validation import _fit_and_score

from ..estimators.run import Run
from ..training.population import Population
from .folds import Fold, candidate


class Trial:
    """One candidate on one fold: a member of the population.

    Parameters
    ----------
    estimator : estimator
        The candidate. Nothing else uses it.
    fold : Fold
    """

    def __init__(self, estimator: Any, fold: Fold):
        self.estimator, self.fold = estimator, fold
        self._run: Run | None = None
        self._ended = False
        self._interrupted: threading.Event | None = None

    @property
    def ended(self) -> bool:
        """Whether the solver has stopped."""
        return self._ended

    @property
    def n_iter(self) -> int:
        """Number of epochs so far; 0 if the candidate is not one of fastbp's estimators."""
        return self._run.n_iter if self._run else 0

    def advance(self, n_epochs: int | None = None) -> None:
        """Train for n_epochs more epochs, or to the end. Then the estimator predicts with the present weights."""
        if self._ended:
            return
        if self._run is None:
            self._run = self.fold.begin(self.estimator)
            if self._run is None:
                self._ended = True
                return
            if self._interrupted:
                self._run.interrupt_by(self._interrupted)
        self._run.advance(n_epochs)
        self._ended = self._run.ended
        if self._ended:
            self._run.finish(stacklevel=1)
        else:
            self._run.show()

    def interrupt_by(self, event: threading.Event) -> None:
        """See `Run.interrupt_by`."""
        self._interrupted = event


class Trials:
    """All candidates on all folds.

    Parameters
    ----------
    estimator : estimator
        Candidates are copies of it.
    candidates : sequence of dict
        The parameters of each candidate.
    X, y
        All examples.
    splits : sequence of (train, test)
    fit_params : dict
        Arguments of `fit` for all examples.
    n_jobs : int or None
        See `Population`.
    options : dict
        More arguments of scikit-learn's `_fit_and_score`: scorer, score_params, error_score, return_train_score,
        verbose.
    """

    def __init__(
        self,
        estimator: Any,
        candidates: Sequence[dict[str, Any]],
        X: Any,
        y: Any,
        splits: Sequence[tuple[Any, Any]],
        fit_params: dict[str, Any],
        n_jobs: int | None,
        options: dict[str, Any],
    ):
        self._candidates, self._X, self._y, self._options = candidates, X, y, options
        self._folds = [Fold(estimator, X, y, fit_params, train, test) for train, test in splits]

        def begin(i: int) -> Trial:
            c, k = divmod(i, len(splits))
            return Trial(candidate(estimator, candidates[c]), self._folds[k])

        self._population = Population([lambda i=i: begin(i) for i in range(len(self))], n_jobs)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._candidates) * len(self._folds)

    def n_iter(self, c: int) -> list[int]:
        """The epochs of candidate c so far, in each fold. The candidate was not dropped."""
        return [self._population[i].n_iter for i in self._of(c)]

    def evaluate(self, candidates: Iterable[int], n_epochs: int | None, *, keep: bool) -> list[dict[str, Any]]:
        """Train these candidates for n_epochs more epochs, or to the end, in all folds, and score them.

        Parameters
        ----------
        candidates : iterable of int
        n_epochs : int or None
            None: to the end.
        keep : bool
            Whether the trials stay in memory, because they may go on later.

        Returns
        -------
        results : list of dict
            Results of scikit-learn's `_fit_and_score`, by candidate and then by fold.
        """
        candidates = list(candidates)
        n_folds = len(self._folds)
        left = [len(candidates)] * n_folds  # trials of each fold that have not been evaluated yet

        def evaluate(i: int, trial: Trial) -> dict[str, Any]:
            c, k = divmod(i, n_folds)
            progress = {"split_progress": (k, n_folds), "candidate_progress": (c, len(self._candidates))}
            result = self._fit_and_score(trial, c, n_epochs, progress)
            left[k] -= 1
            if not keep:
                self._population.drop(i)
                if not left[k]:
                    trial.fold.free()
            return result

        # Fold after fold, so that the data of few folds are in memory at once.
        results = self._population.each((i for k in range(n_folds) for i in self._of_fold(candidates, k)), evaluate)
        return [results[i] for c in candidates for i in self._of(c)]

    def drop(self, c: int) -> None:
        """Free the memory of a candidate."""
        for i in self._of(c):
            self._population.drop(i)

    def _of(self, c: int) -> range:
        """The trials of a candidate."""
        return range(c * len(self._folds), (c + 1) * len(self._folds))

    def _of_fold(self, candidates: Sequence[int], k: int) -> list[int]:
        """The trials of these candidates on fold k."""
        return [c * len(self._folds) + k for c in candidates]

    def _fit_and_score(self, trial: Trial, c: int, n_epochs: int | None, progress: dict[str, Any]) -> dict[str, Any]:
        """scikit-learn's result of a trial. Its function calls `fit`, so here `fit` goes on with the training."""

        def fit(*_: Any, **__: Any) -> None:
            del trial.estimator.fit, trial.estimator.set_params
            trial.advance(n_epochs)

        trial.estimator.fit = fit
        trial.estimator.set_params = lambda **_: trial.estimator  # the parameters are set already
        fold, options = trial.fold, self._options | progress
        result = _fit_and_score(
            trial.estimator, self._X, self._y, train=fold.train, test=fold.test, parameters=self._candidates[c],
            fit_params=None, return_n_test_samples=True, return_times=True, **options,
        )  # fmt: skip
        return dict(result)
