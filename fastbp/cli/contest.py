"""Time estimators in turns: every round fits each estimator once, so that all meet the same load of the machine."""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeAlias

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from ..estimators.classifier import BackpropClassifier

Estimator: TypeAlias = BackpropClassifier | MLPClassifier


class Data(NamedTuple):
    """Examples and their labels: some to train on, the others to test on."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Entrant(NamedTuple):
    """An estimator that takes part in a contest.

    Parameters
    ----------
    name : str
        Name of the estimator.
    make : callable
        make(max_iter=epochs) returns an estimator that trains for this number of epochs.
    blas_threads : int, optional
        Number of threads that BLAS may use; by default BLAS decides.
    """

    name: str
    make: Callable[..., Estimator]
    blas_threads: int | None = None

    @property
    def threads(self) -> str:
        """The number of BLAS threads in words, such as '1 BLAS thread'; an empty string if BLAS decides the number."""
        if self.blas_threads is None:
            return ""
        return f"{self.blas_threads} BLAS thread{'s' if self.blas_threads > 1 else ''}"

    @property
    def label(self) -> str:
        """The name, followed by the number of BLAS threads unless BLAS decides it."""
        return f"{self.name}, {self.threads}" if self.threads else self.name

    def fit(self, data: Data, epochs: int) -> tuple[Estimator, float]:
        """A trained estimator, and the seconds that the training took."""
        model = self.make(max_iter=epochs)
        with threadpool_limits(self.blas_threads, user_api="blas"):
            start = time.perf_counter()
            model.fit(data.X_train, data.y_train)
            return model, time.perf_counter() - start


class Result(NamedTuple):
    """The estimator that an entrant trained in its last fit, and the seconds of each of its fits."""

    entrant: Entrant
    model: Estimator
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def in_turns(
    entrants: Sequence[Entrant],
    data: Data,
    epochs: int,
    *,
    rounds: int,
    longest: float,
    shown: Callable[[int, Entrant], AbstractContextManager[None]],
) -> list[Result]:
    """Train the entrants in turns, round by round, and return the result of each.

    Parameters
    ----------
    entrants : sequence of Entrant
        They train one after the other in each round.
    data : Data
        The examples to train on.
    epochs : int
        Number of epochs of each fit.
    rounds : int
        Largest number of rounds.
    longest : float
        No further round begins after this number of seconds.
    shown : callable
        shown(number of the round, entrant) returns a context, and one fit runs within it. Rounds count from 1.
    """
    fits: list[list[tuple[Estimator, float]]] = [[] for _ in entrants]
    start = time.perf_counter()
    for number in range(1, rounds + 1):
        for entrant, done in zip(entrants, fits, strict=True):
            with shown(number, entrant):
                done.append(entrant.fit(data, epochs))
        if time.perf_counter() - start > longest:
            break
    return [
        Result(entrant, done[-1][0], [seconds for _, seconds in done])
        for entrant, done in zip(entrants, fits, strict=True)
    ]


def cold_start(entrant: Entrant, data: Data) -> float:
    """How many seconds the kernels take to load or compile.

    The result is the time of a first fit and predict, minus the time of a second. No fit may have run before in this
    process. Both fits have one epoch, but all data of the real job, because a fit on less data might run serially, on
    other kernels.
    """

    def once() -> float:
        start = time.perf_counter()
        entrant.fit(data, 1)[0].predict(data.X_test)
        return time.perf_counter() - start

    first = once()
    return max(0.0, first - once())


def blas_threads() -> int:
    """The number of threads that BLAS uses by default; 0 if threadpoolctl does not know the BLAS library."""
    return max((library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"), default=0)
