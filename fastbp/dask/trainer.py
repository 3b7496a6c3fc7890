"""Training with a Dask cluster: the workers sum costs and gradients, and this process makes the steps."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from distributed import Future
from numpy.typing import NDArray

from ..data.targets import Target
from ..kernels import optimizers
from ..network.architecture import Network
from ..parallel.team import Team
from ..training.regularization import NOTHING, Regularization
from ..typing import Array
from .cluster import DistributedExamples
from .worker import architecture_of, judge, partial_sums, total

# A task adds up at most ARITY partial sums, in the order of the partitions. So the order of a sum depends only on the
# partitions.
ARITY = 8


class DistributedTrainer:
    """Like `training.trainer.Trainer`, for examples on the workers of a cluster.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (network.layout.size,)
        Parameters. Steps overwrite them.
    examples : DistributedExamples
    batch : int
        Rows of a step. The last step of an epoch may have fewer.
    optimizer : int
        A code of `kernels.optimizers`.
    n_jobs : int or None
        Threads of a task on a worker.
    alpha, weight_decay, max_norm, regularization, planned
        See `Trainer`.
    """

    def __init__(
        self,
        network: Network,
        theta: Array,
        examples: DistributedExamples,
        *,
        batch: int,
        optimizer: int,
        n_jobs: int | None,
        alpha: float,
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        regularization: Regularization = NOTHING,
        planned: bool = False,
    ):
        self.network, self.theta, self.batch, self.optimizer = network, theta, batch, optimizer
        self.grad = np.zeros(network.layout.size, network.dtype)
        self.moment_1 = np.zeros(network.layout.size if optimizer != optimizers.NONE else 0, network.dtype)
        self.moment_2 = np.zeros(network.layout.size if optimizer == optimizers.ADAM else 0, network.dtype)
        self.t, self._rates = np.zeros(1, np.int64), np.zeros(1, optimizers.RATES)
        self.rates: Any = self._rates[0]  # shares the memory of _rates
        self.rates.alpha, self.rates.weight_decay = alpha, weight_decay
        self.team = Team(1)  # for a validation set in memory
        self.factors = np.ones(self.calls(examples.n) if planned else 0)
        self._examples, self._n_jobs = examples, n_jobs
        self._max_norm, self._regularization = max_norm, regularization
        self._squares = np.zeros(len(network.layout.units))

    def calls(self, n: int) -> int:
        """Rounds of communication in an epoch of n examples."""
        return math.ceil(n / self.batch)

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float:
        """See `Trainer.epoch`. Here each batch is a call."""
        loss, count = 0.0, 0
        sweep = optimizers.SWEEPS[self.optimizer].address(self.network.dtype)
        regularization = self._regularization.at(int(self.t[0]))
        for batch, start in enumerate(range(0, len(order), self.batch)):
            rows = order[start : start + self.batch]
            J = self._objective(rows, regularization, start)
            if J is not None:
                self.t += 1
                self._clip()
                optimizers.step_all(
                    self.optimizer, sweep, self.network.layout.units, self._rates,
                    float(self.factors[batch]) if self.factors.size else 1.0, self.t[0], self.theta, self.grad,
                    self.moment_1, self.moment_2, self._squares,
                )  # fmt: skip
                loss, count = loss + J * len(rows), count + len(rows)
            if after_call:
                after_call()
        return loss / count if count else math.nan

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float:
        """See `Trainer.loss_and_gradient`."""
        self.theta[:] = theta
        J = self._objective(None, self._regularization, 0)
        if after_call:
            after_call()
        return math.nan if J is None else J

    def _clip(self) -> None:
        """Scale the gradient down if its norm is above the bound."""
        if self._max_norm is not None:
            with np.errstate(over="ignore"):
                norm = math.sqrt(np.sum(np.square(self.grad, dtype=np.float64)))
            if not norm <= self._max_norm:
                self.grad *= self._max_norm / norm if norm < math.inf else math.nan

    def _objective(self, rows: NDArray[np.int64] | None, regularization: Regularization, start: int) -> float | None:
        """J over these rows. Puts the gradient into `grad`. Returns None if all weights are 0.

        rows: None means all rows. start: the place of the first row in the epoch.
        """
        theta, alpha = self.network.layout.flatten(self.theta), float(self.rates.alpha)
        (sums,) = self._examples.partitions.cluster.compute(
            lambda: self._ask_for_sums(theta, rows, regularization, start), self._examples.recover
        )
        if not sums.weight > 0:
            return None
        weights = theta[: sum(n * m for n, m in pairwise(self.network.widths))].astype(np.float64)  # no biases
        grad = sums.grad.copy()  # an array that was received may be read-only
        with np.errstate(over="ignore", invalid="ignore"):
            grad[: len(weights)] += alpha * weights
            self.grad[:] = self.network.layout.unflatten(grad / sums.weight)
            return float((sums.cost + 0.5 * alpha * np.sum(weights**2)) / sums.weight)

    def _ask_for_sums(
        self, theta: Array, rows: NDArray[np.int64] | None, regularization: Regularization, start: int
    ) -> list[Future]:
        """Submit the tasks that sum over these rows. Returns a list of one future, the total.

        rows, start: see `_objective`.
        """
        examples = self._examples
        X, cluster = examples.partitions.futures, examples.partitions.cluster
        parts: list[tuple[int, Any, Any]] = [(p, None, None) for p in range(len(X))]
        if rows is not None:
            parts = [
                (p, cluster.argument(local), cluster.argument(start + places) if regularization.dropout else None)
                for p, local, places in examples.by_partition(rows)
            ]
        sent, architecture = cluster.send(theta), architecture_of(self.network)
        sums = [
            cluster.submit(
                partial_sums, X[p], examples.targets[p], sent, architecture, local, self._n_jobs, regularization, places
            )
            for p, local, places in parts
        ]
        while len(sums) > 1:
            sums = [cluster.submit(total, sums[i : i + ARITY]) for i in range(0, len(sums), ARITY)]
        return sums


def validator(
    network: Network, examples: DistributedExamples, rows: NDArray[np.int64], target: Target, n_jobs: int | None
) -> Callable[[Array], tuple[float, float]]:
    """`Perceptron._validator` for a validation set on the workers."""
    cluster, parts = examples.partitions.cluster, examples.by_partition(rows)
    places = np.concatenate([places for _, _, places in parts])
    sent: list[Future] = []

    def send_rows() -> None:
        sent[:] = [cluster.send(local) for _, local, _ in parts]

    def recover() -> None:
        examples.recover()
        send_rows()

    def ask(theta: Array) -> list[Future]:
        X, targets, parameters = examples.partitions.futures, examples.targets, cluster.send(theta)
        return [
            cluster.submit(judge, X[p], targets[p], parameters, architecture_of(network), local, target, n_jobs)
            for (p, _, _), local in zip(parts, sent, strict=True)
        ]

    def validate(theta: Array) -> tuple[float, float]:
        flat = network.layout.flatten(theta)
        found = cluster.compute(lambda: ask(flat), recover)
        by_partition = np.concatenate([part for part, _ in found])
        judged = np.empty_like(by_partition)
        judged[places] = by_partition
        sums = total([part for _, part in found])
        return target.score(judged, examples, rows), sums.cost / sums.weight if sums.weight else math.nan

    send_rows()
    return validate
