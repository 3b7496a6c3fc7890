"""What accuracy.py measures of a fit, and how it sums up the fits of several methods on several tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

N_BINS = 15


def calibration_error(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """How far confidence is from accuracy, on average.

    The confidence is the largest probability of a row. The rows are put into N_BINS bins of equal width by their
    confidence. The error is the mean over the rows of |share of right classes in the bin - mean confidence in the bin|.
    """
    confidence = probabilities.max(axis=1)
    excess = (probabilities.argmax(axis=1) == y) - confidence
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return float(np.abs(np.bincount(bins, excess)).sum() / len(y))


class Result(NamedTuple):
    """A fit, judged on the test part. A table of numbers has r2, a table of classes has the other scores."""

    table: str
    seed: int
    method: str
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    r2: float | None = None
    log_loss: float | None = None
    constant_log_loss: float | None = None  # if each row gets the shares of the classes in the training part
    accuracy: float | None = None
    calibration_error: float | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        return self.table, self.seed, self.method

    @property
    def error(self) -> float:
        """The log loss, or 1 - R2."""
        if self.log_loss is not None:
            return self.log_loss
        assert self.r2 is not None
        return 1 - self.r2

    @property
    def constant_error(self) -> float:
        """The error of a constant prediction."""
        return 1.0 if self.constant_log_loss is None else self.constant_log_loss


class Record(NamedTuple):
    """How many tables a method won, tied and lost against another."""

    won: int
    tied: int
    lost: int


class Gap(NamedTuple):
    """How far a method is from the best one on a table."""

    table: str
    best: str
    share: float  # the difference of the errors, over the error of a constant prediction


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean. It is 0 for one value, because nothing is known."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


class Scores:
    """Results of the same methods on the same tables and seeds.

    Parameters
    ----------
    results : iterable of Result
        One result for each table, seed and method.
    """

    def __init__(self, results: Iterable[Result]):
        found = {result.key: result for result in results}
        tables, seeds, methods = (list(dict.fromkeys(parts)) for parts in zip(*found, strict=True))
        self.tables: list[str] = tables
        self.seeds: list[int] = seeds
        self.methods: list[str] = methods
        self._found = found

    def of(self, table: str, method: str) -> list[Result]:
        """The results of a method on a table, seed by seed."""
        return [self._found[table, seed, method] for seed in self.seeds]

    def errors(self, table: str, method: str) -> list[float]:
        return [result.error for result in self.of(table, method)]

    def mean_error(self, table: str, method: str) -> float:
        return statistics.mean(self.errors(table, method))

    def mean_ranks(self) -> dict[str, float]:
        """For each method, the mean over the tables of its rank by the mean error. 1 is the best."""
        ranks = [rankdata([self.mean_error(table, method) for method in self.methods]) for table in self.tables]
        return dict(zip(self.methods, np.mean(ranks, axis=0).tolist(), strict=True))

    def sign(self, table: str, method: str, peer: str) -> int:
        """1 if the method won the table against the peer, -1 if it lost, 0 for a tie.

        A tie: the mean difference of the errors is at most its standard error over the seeds.
        """
        pairs = zip(self.errors(table, peer), self.errors(table, method), strict=True)
        differences = [theirs - own for theirs, own in pairs]
        mean = statistics.mean(differences)
        return 0 if abs(mean) <= standard_error(differences) else int(math.copysign(1, mean))

    def record(self, method: str, peers: Sequence[str]) -> Record:
        """How many tables the method won against all peers, tied, and lost to one of the peers or more."""
        worst = [min(self.sign(table, method, peer) for peer in peers) for table in self.tables]
        return Record(worst.count(1), worst.count(0), worst.count(-1))

    def gaps(self, method: str) -> list[Gap]:
        """The distances of a method to the best method of each table."""
        found = []
        for table in self.tables:
            best = min(self.methods, key=lambda peer: self.mean_error(table, peer))
            constant = statistics.mean(result.constant_error for result in self.of(table, method))
            difference = self.mean_error(table, method) - self.mean_error(table, best)
            found.append(Gap(table, best, difference / constant))
        return found

    def worst(self, method: str) -> Gap:
        """The table where the method is farthest from the best method."""
        return max(self.gaps(method), key=lambda gap: gap.share)

    def relative_error(self, method: str) -> float:
        """The mean over the tables of the error, over the error of the best method."""
        ratios = []
        for table in self.tables:
            least = min(self.mean_error(table, peer) for peer in self.methods)
            ratios.append(self.mean_error(table, method) / least)
        return statistics.mean(ratios)

    def mean(self, method: str, field: str) -> float | None:
        """The mean of a score over the tables that have it, or None if no table has it."""
        values = [getattr(result, field) for table in self.tables for result in self.of(table, method)]
        there = [value for value in values if value is not None]
        return statistics.mean(there) if there else None

    def seconds(self, method: str, *fields: str) -> float:
        """The seconds of all tables and seeds; fields: fit_seconds, predict_seconds or both."""
        results = (result for table in self.tables for result in self.of(table, method))
        return sum(getattr(result, field) for result in results for field in fields)
