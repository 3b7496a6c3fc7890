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
    """An estimator that takes part.

    Parameters
    ----------
    name : str
        Name of the estimator.
    make : callable
        make(max_iter=epochs) gives an estimator that trains for this number of epochs.
    blas_threads : int, optional
        Number of threads that BLAS may use; by default BLAS decides.
    """

    name: str
    make: Callable[..., Estimator]
    blas_threads: int | None = None

    @property
    def threads(self) -> str:
        """The number of BLAS threads in words; empty if BLAS decides."""
        if self.blas_threads is None:
            return ""
        return f"{self.blas_threads} BLAS thread{'s' if self.blas_threads > 1 else ''}"

    @property
    def label(self) -> str:
        """The name and the number of BLAS threads."""
        return f"{self.name}, {self.threads}" if self.threads else self.name

    def fit(self, data: Data, epochs: int) -> tuple[Estimator, float]:
        """A trained estimator, and the seconds that the training took."""
        model = self.make(max_iter=epochs)
        with threadpool_limits(self.blas_threads, user_api="blas"):
            start = time.perf_counter()
            model.fit(data.X_train, data.y_train)
            return model, time.perf_counter() - start


class Result(NamedTuple):
    """The estimator of an entrant's last fit, and the seconds of each of its fits."""

    entrant: Entrant
    model: Estimator
    seconds: list[float]

    @property
    def median(self) -> float:
        """The median of the seconds."""
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
    """The result of each entrant after some rounds.

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
        Seconds after which no further round begins.
    shown : callable
        shown(number of the round, entrant) is a context for each fit. Rounds count from 1.
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
    """How many seconds longer the first fit and predict of this process take than the next ones.

    Each fit has one epoch on all data of the real job. A fit on less data might run serially, on other kernels.
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
