"""Candidates on folds, trained and scored side by side."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from sklearn.model_selection._validation import _fit_and_score

from ..estimators.run import Run
from ..training.population import Population, forget_frames
from .folds import Fold, candidate


class Trial:
    """One candidate on one fold. Trials are the members of a population.

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
        self._failed: Exception | None = None

    @property
    def ended(self) -> bool:
        """Whether the solver has stopped."""
        return self._ended

    @property
    def n_iter(self) -> int:
        """Number of epochs so far; 0 if the candidate is not one of fastbp's estimators."""
        return self._run.n_iter if self._run else 0

    def advance(self, n_epochs: int | None = None) -> None:
        """Train for n_epochs more epochs, or to the end. Then the estimator predicts with the present weights.

        A trial that has failed cannot go on: it raises its error again.
        """
        self._try(lambda: self._advance(n_epochs))

    def memory(self) -> int:
        """Begin the trial, and estimate the bytes of its training. If it fails: 0, and `advance` raises the error."""
        with contextlib.suppress(Exception):
            self._try(self._begin)
        return self._run.footprint().training if self._run else 0

    def advance_to(self, epochs: int | None) -> None:
        """Train until the trial has had this number of epochs, or, if None, to the end."""
        self.advance(None if epochs is None else max(0, epochs - self.n_iter))

    def interrupt_by(self, event: threading.Event) -> None:
        """See `Run.interrupt_by`."""
        self._interrupted = event

    def forget_frames(self) -> None:
        """See `population.forget_frames`."""
        forget_frames(self._failed)

    def _try(self, act: Callable[[], None]) -> None:
        """Call act(), or raise the error of an earlier call again."""
        if self._failed:
            raise self._failed
        try:
            act()
        except Exception as error:
            self._failed = error
            raise

    def _begin(self) -> None:
        if self._run or self._ended:
            return
        self._run = self.fold.begin(self.estimator)
        self._ended = self._run is None
        if self._run and self._interrupted:
            self._run.interrupt_by(self._interrupted)

    def _advance(self, n_epochs: int | None) -> None:
        self._begin()
        if self._ended or self._run is None:
            return
        self._run.advance(n_epochs)
        self._ended = self._run.ended
        if self._ended:
            self._run.finish(stacklevel=1)
        else:
            self._run.show()


class Experiment:
    """All candidates, all folds, and how a trial is scored. A process that has the experiment can make any trial.

    The trials have numbers, by candidate and then by fold. A pickle has only the arguments.

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
        options: dict[str, Any],
    ):
        self._estimator, self._candidates, self._X, self._y, self._options = estimator, candidates, X, y, options
        self._folds = [Fold(estimator, X, y, fit_params, train, test) for train, test in splits]

    def __len__(self) -> int:
        """Number of trials."""
        return len(self._candidates) * self.n_folds

    @property
    def n_folds(self) -> int:
        return len(self._folds)

    def trials_of(self, c: int) -> range:
        """The numbers of the trials of candidate c."""
        return range(c * self.n_folds, (c + 1) * self.n_folds)

    def begin(self, i: int) -> Trial:
        """Trial i. It begins to train when it is evaluated."""
        c, k = divmod(i, self.n_folds)
        return Trial(candidate(self._estimator, self._candidates[c]), self._folds[k])

    def evaluate(self, i: int, trial: Trial, epochs: int | None) -> dict[str, Any]:
        """Train trial i until it has had this number of epochs, or, if None, to the end. Returns its scores and times.

        scikit-learn's `_fit_and_score` calls `fit`. So the estimator gets a `fit` that goes on with the training.
        """

        def fit(*_: Any, **__: Any) -> None:
            del trial.estimator.fit, trial.estimator.set_params
            trial.advance_to(epochs)

        trial.estimator.fit = fit
        trial.estimator.set_params = lambda **_: trial.estimator  # the parameters are set already
        c, k = divmod(i, self.n_folds)
        result = _fit_and_score(
            trial.estimator, self._X, self._y, train=trial.fold.train, test=trial.fold.test,
            parameters=self._candidates[c], fit_params=None, return_n_test_samples=True, return_times=True,
            split_progress=(k, self.n_folds), candidate_progress=(c, len(self._candidates)), **self._options,
        )  # fmt: skip
        trial.forget_frames()
        return dict(result)


class Trials(Protocol):
    """The trials of an experiment, wherever they are: on this machine, or on the workers of a cluster."""

    def evaluate(self, candidates: Iterable[int], epochs: int | None, *, keep: bool) -> list[dict[str, Any]]:
        """Train these candidates in all folds, and score them.

        Parameters
        ----------
        candidates : iterable of int
        epochs : int or None
            The number of epochs of each trial since its beginning. None: to the end.
        keep : bool
            Whether the trials stay in memory, because they may go on later.

        Returns
        -------
        results : list of dict
            Results of scikit-learn's `_fit_and_score`, by candidate and then by fold.
        """

    def memory(self) -> int:
        """Roughly the bytes that this process needs for the training of all trials, without their data."""

    def n_iter(self, c: int) -> list[int]:
        """The epochs of candidate c so far, in each fold. The candidate was not dropped."""

    def drop(self, c: int) -> None:
        """Free the memory of candidate c."""


class LocalTrials:
    """`Trials` that train in threads of this process, side by side.

    Parameters
    ----------
    experiment : Experiment
    n_jobs : int or None
        See `Population`.
    """

    def __init__(self, experiment: Experiment, n_jobs: int | None):
        self._experiment = experiment
        self._population = Population([partial(experiment.begin, i) for i in range(len(experiment))], n_jobs)

    def evaluate(self, candidates: Iterable[int], epochs: int | None, *, keep: bool) -> list[dict[str, Any]]:
        """See `Trials.evaluate`."""
        candidates = list(candidates)
        n_folds = self._experiment.n_folds
        # The trials of each fold that have not been evaluated yet. A call of `pop` is one bytecode, so threads need no
        # lock.
        left = [[*candidates] for _ in range(n_folds)]

        def evaluate(i: int, trial: Trial) -> dict[str, Any]:
            result = self._experiment.evaluate(i, trial, epochs)
            of_fold = left[i % n_folds]
            of_fold.pop()
            if not keep:
                self._population.drop(i)
                if not of_fold:
                    trial.fold.free()
            return result

        # Fold after fold, so that the data of few folds are in memory at once.
        by_fold = (self._experiment.trials_of(c)[k] for k in range(n_folds) for c in candidates)
        results = self._population.each(by_fold, evaluate)
        return [results[i] for c in candidates for i in self._experiment.trials_of(c)]

    def memory(self) -> int:
        """See `Trials.memory`. This method begins all trials. They take this memory only when they train."""
        return sum(self._population.each(range(len(self._experiment)), lambda _, trial: trial.memory()).values())

    def n_iter(self, c: int) -> list[int]:
        """See `Trials.n_iter`."""
        return [self._population[i].n_iter for i in self._experiment.trials_of(c)]

    def drop(self, c: int) -> None:
        """See `Trials.drop`."""
        for i in self._experiment.trials_of(c):
            self._population.drop(i)
