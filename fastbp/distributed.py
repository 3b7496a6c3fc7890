"""Training on the workers of a Dask cluster: they hold X and sum costs and gradients, here are parameters and steps.

A gradient is a sum over examples, so its partial sums, one per partition, add up to that of one machine. What is sent
to and fro are real parameters, never their layout, which depends on the CPU. All that a worker holds is the result of a
task that the scheduler knows, so that another worker can compute it again.
"""

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from dask.delayed import Delayed, delayed
from distributed import CancelledError, Client, Future, KilledWorker, get_client, wait
from numpy.typing import NDArray
from sklearn.utils import check_array

from . import data, threads
from .data import Examples
from .kernels import optimizers
from .network import Array, Network, Trainer, network_of
from .perceptron import Target, evaluate, evaluator_of
from .threads import Team

# Partial sums that one task adds up: of the partitions in their order, so that the same ones give the same bits.
ARITY = 8
# Dask warns of tasks above 10 MB.
PIECE_BYTES = 4 << 20
# Between two looks at whether there are workers at all, and for how long there may be none: those that died start anew.
LOOK_SECONDS, WORKERLESS_SECONDS = 10.0, 60.0
# What was computed on workers that died is computed by others, over and over unless it kills them, which Dask decides.
ATTEMPTS = 3

Result = TypeVar("Result")


class Sums(NamedTuple):
    """Sums over some examples."""

    cost: float  # of w_i C_i
    weight: float  # of w_i
    grad: NDArray[np.float64]  # of w_i times the gradient of C_i, by the real parameters; empty where nobody asked


def fields(shape: Network) -> tuple[Any, ...]:
    """What `network_of` makes the same network of on a worker, whose vectors may have another width."""
    return shape.widths, shape.activations, shape.loss, shape.dtype, shape.fit_intercept


# ---------------------------------------------------------------- what the workers do


def checked(block: Any, n_features: int, name: str) -> Any:
    """Some rows of X as the kernels can read them; raises ValueError as scikit-learn does.

    Parameters
    ----------
    block : {ndarray, sparse matrix, DataFrame} of shape (m, S_1)
        m may be 0.
    n_features : int
        S_1 as it was announced.
    name : str
        Of the estimator.
    """
    X = check_array(block, accept_sparse="csr", dtype=data.FLOATS, ensure_min_samples=0, estimator=name, input_name="X")
    if X.shape[1] != n_features:
        raise ValueError(
            f"A partition of X has {X.shape[1]} features, where the others, or its meta, have {n_features}."
        )
    return np.array(X) if data.is_file(X) else X


def size_and_dtype(X: Any) -> tuple[int, np.dtype]:
    return X.shape[0], X.dtype


def joined(pieces: list[NDArray]) -> NDArray:
    return np.concatenate(pieces)


def these(values: Result) -> Result:
    return values


def examples_of(X: Any, targets: list[NDArray | None], dtype: np.dtype, rows: NDArray[np.int64] | None) -> Examples:
    """These rows of a partition, or all, as the kernels read them."""
    n = next(len(part) for part in targets if part is not None)
    if X.shape[0] != n:
        raise ValueError(f"A partition of X has {X.shape[0]} rows, where it had {n} before: X must not be drawn anew.")
    if rows is not None:
        X, targets = X[rows], [None if part is None else part[rows] for part in targets]
    codes, Y, weights = targets
    return data.examples(X, dtype, codes=codes, Y=Y, weights=weights)


def scaled_weights(examples: Examples) -> tuple[Examples, float, int]:
    """Examples with weights of up to 1, their sum, and the power of 2 that they have to be multiplied by.

    The kernels divide by the sum, and a partition's may be too small for that.
    """
    if not examples.weights.size:
        return examples, float(examples.n), 0
    exponent = int(np.frexp(examples.weights.max())[1])
    weights = np.ldexp(examples.weights, -exponent)
    return examples._replace(weights=weights), float(weights.sum()), exponent


def partial_sums(
    X: Any,
    targets: list[NDArray | None],
    theta: Array,
    shape: tuple[Any, ...],
    rows: NDArray[np.int64] | None,
    n_jobs: int | None,
) -> Sums:
    """Costs and gradients of these rows of a partition, or of all; theta: the real parameters."""
    here = network_of(*shape)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, here.dtype, rows))
    if weight == 0:
        return Sums(0.0, 0.0, np.zeros(here.n_parameters))
    with threads.team(n_jobs, here.row_work(examples) * min(examples.n, here.chunk)) as team:
        trainer = Trainer(here, here.unflatten(theta), examples, batch=examples.n, team=team)
        cost = trainer.epoch(np.arange(examples.n)) * weight
    with np.errstate(over="ignore", invalid="ignore"):  # a fit that diverges, which the solver says
        grad = here.flatten(trainer.grad).astype(np.float64) * weight
        return Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.ldexp(grad, exponent))


def total(parts: list[Sums]) -> Sums:
    """Their sum, in their order."""
    first, *others = parts
    cost, weight, grad = first.cost, first.weight, first.grad.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in others:
            cost, weight = cost + part.cost, weight + part.weight
            grad += part.grad
    return Sums(cost, weight, grad)


def judge(
    X: Any,
    targets: list[NDArray | None],
    theta: Array,
    shape: tuple[Any, ...],
    rows: NDArray[np.int64],
    target: Target,
    n_jobs: int | None,
) -> tuple[NDArray, Sums]:
    """What `target.score` needs of these rows of a partition, and their costs."""
    here = network_of(*shape)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, here.dtype, rows))
    with threads.team(n_jobs, here.row_work(examples) / 3 * min(examples.n, here.chunk)) as team:
        evaluator = evaluator_of(here, examples, examples.n, team)
        judged, loss = evaluate(evaluator, here.unflatten(theta), np.arange(examples.n), target)
    cost = loss * weight if weight else 0.0
    return judged, Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.empty(0))


# ---------------------------------------------------------------- what is asked of them


class Cluster:
    """The workers that the current client of dask.distributed leads to.

    Raises
    ------
    RuntimeError
        There is no client, or an asynchronous one.
    """

    def __init__(self) -> None:
        try:
            self.client: Client = get_client()
        except ValueError as error:
            raise RuntimeError(
                "A fit on Dask collections needs workers, but there is no dask.distributed.Client. Create one before: "
                "client = dask.distributed.Client(), on this machine, or Client(address) of a scheduler."
            ) from error
        if self.client.asynchronous:
            raise RuntimeError("A fit on Dask collections needs a Client that is not asynchronous.")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """The future result of a task of its own."""
        return self.client.submit(function, *args, pure=False)

    def send(self, values: NDArray) -> Future:
        """An array as a task that holds it, so that it cannot be lost with a worker; in pieces if it is large."""
        n = math.ceil(values.nbytes / PIECE_BYTES)
        if n <= 1:
            return self.submit(these, values)
        return self.submit(joined, [self.submit(these, piece) for piece in np.array_split(values, n)])

    def argument(self, values: NDArray) -> NDArray | Future:
        """An array as an argument of a task, in its specification unless it is large."""
        return values if values.nbytes <= PIECE_BYTES else self.send(values)

    def results(self, futures: list[Future]) -> list[Any]:
        """What they are, once all are done; raises RuntimeError if there have been no workers for a while."""
        looks = WORKERLESS_SECONDS / LOOK_SECONDS
        while True:
            try:
                wait(futures, timeout=LOOK_SECONDS)
                break
            except TimeoutError:
                looks = WORKERLESS_SECONDS / LOOK_SECONDS if self.client.nthreads() else looks - 1
                if looks <= 0:
                    raise RuntimeError(
                        f"{self.client} has had no workers for {WORKERLESS_SECONDS:g} seconds: start some."
                    ) from None
        for future in futures:
            if future.status == "error":
                # The client keeps the original, which would keep what it is raised through, and this the futures.
                raise copy.copy(future.exception()).with_traceback(future.traceback())
        return list(self.client.gather(futures))

    def compute(self, ask: Callable[[], list[Future]], recover: Callable[[], None]) -> list[Any]:
        """Results of the futures that `ask` gives; what was lost in spite of Dask's own care is asked for again.

        Raises RuntimeError when that does not help.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                recover()
            try:
                return self.results(ask())
            except (KilledWorker, CancelledError) as error:
                lost = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"The cluster lost what this fit computes, {ATTEMPTS} times. Maybe a partition is too large for a worker: "
            f"use smaller ones. The last time it was {lost}"
        )


class Partitions:
    """X on the workers, checked: what `Perceptron` asks of an X, and the blocks of rows that it consists of.

    Parameters
    ----------
    cluster : Cluster
    blocks : list of Delayed
        Rows of X, in their order; some may be empty.
    n_features : int
        S_1.
    name : str
        Of the estimator, for errors.

    Attributes
    ----------
    shape : tuple of int
        (m, S_1).
    dtype : numpy.dtype
        float32, where all blocks are, or float64.
    starts : ndarray of int64
        First row of each block that has any, and m.
    futures : list of Future
        These blocks.
    """

    def __init__(self, cluster: Cluster, blocks: list[Delayed], n_features: int, name: str):
        self.cluster, self._blocks, self._arguments = cluster, blocks, (n_features, name)
        self.futures: list[Future] = []
        found = cluster.compute(self._load_and_measure, lambda: None)
        sizes = np.array([size for size, _ in found])
        self.dtype = np.result_type(*(dtype for size, dtype in found if size or not sizes.any()))
        self.starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        self.shape = int(self.starts[-1]), n_features
        self._blocks = [block for block, size in zip(blocks, sizes, strict=True) if size]
        self.futures = [future for future, size in zip(self.futures, sizes, strict=True) if size]

    def load(self) -> None:
        """Have the blocks computed, maybe anew."""
        self.futures = []  # forgotten by the scheduler, with whatever happened to them
        check = delayed(checked, pure=False)
        self.futures = self.cluster.client.compute([check(block, *self._arguments) for block in self._blocks])

    def _load_and_measure(self) -> list[Future]:
        self.load()
        return [self.cluster.submit(size_and_dtype, block) for block in self.futures]

    def __len__(self) -> int:
        return self.shape[0]


class DistributedExamples(Examples):
    """Examples whose X is on the workers; y and weights are here, and each worker has those of its rows."""

    partitions: Partitions
    targets: list[list[Future | None]]

    @classmethod
    def of(
        cls, X: Partitions, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Self:
        """As `data.examples`."""
        here = cls(*data.examples(np.empty((X.shape[0], 0)), dtype, codes=codes, Y=Y, weights=weights))
        here.partitions = X
        here.send_targets()
        return here

    def send_targets(self) -> None:
        """Give each worker y and weights of its rows, maybe anew."""
        codes = self.codes.astype(np.min_scalar_type(self.codes.max(initial=0)))
        cuts = self.partitions.starts[1:-1]
        parts = [np.split(values, cuts) if values.size else None for values in (codes, self.Y, self.weights)]
        self.targets = [
            [self.partitions.cluster.send(part[p]) if part else None for part in parts]
            for p in range(len(self.partitions.futures))
        ]

    def recover(self) -> None:
        """Have what the workers hold computed anew, if any of it is lost."""
        held = [*self.partitions.futures, *(part for parts in self.targets for part in parts if part)]
        if any(future.status not in ("finished", "pending") for future in held):
            self.partitions.load()
            self.send_targets()

    def by_partition(self, rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64], NDArray[np.intp]]]:
        """(partition, which of its rows, where in `rows` these are) for each partition that has any of them."""
        owners = np.searchsorted(self.partitions.starts, rows, side="right") - 1
        by_owner = np.argsort(owners, kind="stable")
        cuts = np.flatnonzero(np.diff(owners[by_owner])) + 1
        return [
            (int(p), rows[places] - self.partitions.starts[p], places)
            for places in np.split(by_owner, cuts)
            for p in owners[places[:1]]
        ]


class DistributedTrainer:
    """As `network.Trainer`, for examples on the workers: they sum, and steps are made here.

    Parameters
    ----------
    shape : Network
    theta : ndarray of shape (shape.size,)
        Parameters; steps overwrite it.
    examples : DistributedExamples
    batch : int
        Rows of a step; the last one of an epoch may have fewer.
    optimizer : int
        Code of `kernels.optimizers`.
    alpha : float
        L2 strength.
    n_jobs : int or None
        Threads of a worker's task.
    """

    def __init__(
        self,
        shape: Network,
        theta: Array,
        examples: DistributedExamples,
        *,
        batch: int,
        optimizer: int,
        alpha: float,
        n_jobs: int | None,
    ):
        self.network, self.theta, self.batch, self.optimizer = shape, theta, batch, optimizer
        self.grad = np.zeros(shape.size, shape.dtype)
        self.first = np.zeros(shape.size if optimizer != optimizers.NONE else 0, shape.dtype)
        self.second = np.zeros(shape.size if optimizer == optimizers.ADAM else 0, shape.dtype)
        self.t, self.rates = np.zeros(1, np.int64), np.zeros(optimizers.N_RATES)
        self.rates[optimizers.ALPHA] = alpha
        self.team = Team(1)  # of steps, and of a validation set that is here
        self._examples, self._n_jobs = examples, n_jobs

    def calls(self, n: int) -> int:
        """Rounds of communication that an epoch of n examples takes."""
        return math.ceil(n / self.batch)

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float:
        """As `network.Trainer.epoch`; `after_call` is called after every batch."""
        loss, count = 0.0, 0
        sweep = optimizers.SWEEPS[self.optimizer].address(self.network.dtype)
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            J = self._objective(rows)
            if J is not None:
                self.t += 1
                optimizers.step_all(
                    self.optimizer, sweep, self.rates, self.t[0], self.theta, self.grad, self.first, self.second
                )
                loss, count = loss + J * len(rows), count + len(rows)
            if after_call:
                after_call()
        return loss / count if count else math.nan

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float:
        """As `network.Trainer.loss_and_gradient`."""
        self.theta[:] = theta
        J = self._objective(None)
        if after_call:
            after_call()
        return math.nan if J is None else J

    def _objective(self, rows: NDArray[np.int64] | None) -> float | None:
        """J over these examples, or all, its gradient in `grad`; None for examples without any weight."""
        theta, alpha = self.network.flatten(self.theta), float(self.rates[optimizers.ALPHA])
        (sums,) = self._examples.partitions.cluster.compute(
            lambda: self._ask_for_sums(theta, rows), self._examples.recover
        )
        if not sums.weight > 0:
            return None
        weights = theta[: sum(n * m for n, m in pairwise(self.network.widths))].astype(np.float64)  # no biases
        grad = sums.grad.copy()  # as it arrived it may not be writable
        with np.errstate(over="ignore", invalid="ignore"):
            grad[: len(weights)] += alpha * weights
            self.grad[:] = self.network.unflatten(grad / sums.weight)
            return float((sums.cost + 0.5 * alpha * np.sum(weights**2)) / sums.weight)

    def _ask_for_sums(self, theta: Array, rows: NDArray[np.int64] | None) -> list[Future]:
        examples = self._examples
        X, cluster = examples.partitions.futures, examples.partitions.cluster
        parts: list[tuple[int, Any]] = [(p, None) for p in range(len(X))]
        if rows is not None:
            parts = [(p, cluster.argument(local)) for p, local, _ in examples.by_partition(rows)]
        sent, shape = cluster.send(theta), fields(self.network)
        sums = [
            cluster.submit(partial_sums, X[p], examples.targets[p], sent, shape, local, self._n_jobs)
            for p, local in parts
        ]
        while len(sums) > 1:
            sums = [cluster.submit(total, sums[i : i + ARITY]) for i in range(0, len(sums), ARITY)]
        return sums


def validator(
    shape: Network, examples: DistributedExamples, rows: NDArray[np.int64], target: Target, n_jobs: int | None
) -> Callable[[Array], tuple[float, float]]:
    """As `Perceptron._validator`, of examples on the workers."""
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
            cluster.submit(judge, X[p], targets[p], parameters, fields(shape), local, target, n_jobs)
            for (p, _, _), local in zip(parts, sent, strict=True)
        ]

    def validate(theta: Array) -> tuple[float, float]:
        flat = shape.flatten(theta)
        found = cluster.compute(lambda: ask(flat), recover)
        by_partition = np.concatenate([part for part, _ in found])
        judged = np.empty_like(by_partition)
        judged[places] = by_partition
        sums = total([part for _, part in found])
        return target.score(judged, examples, rows), sums.cost / sums.weight if sums.weight else math.nan

    send_rows()
    return validate
