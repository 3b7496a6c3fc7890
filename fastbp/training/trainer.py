"""A network in training: its parameters, its optimiser's memory, and steps on them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples
from ..kernels import backprop, losses, optimizers, products
from ..kernels.activations import ELEMENTWISE
from ..network import costs
from ..network.architecture import Network
from ..network.memory import aligned_zeros, kept, round_up
from ..parallel.team import Team
from ..typing import Array
from .workspace import Workspace, product_addresses

# What of `plan` says which tasks a call does.
SHARE = slice(backprop.FIRST_1, backprop.LAST_2 + 1)


class Call(NamedTuple):
    """A call into a kernel that trains: examples, share of their tasks, floating-point operations."""

    start: int
    stop: int
    share: NDArray[np.int64]
    work: float


class Trainer(Workspace):
    """A network's parameters and optimiser in the kernels' layout, and steps on them.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (network.layout.size,)
        Parameters; steps overwrite it.
    examples : Examples
    batch : int
        Rows of a step; the last one of an epoch may have fewer.
    team : Team
        From `threads.team`.
    optimizer : int
        Code of `kernels.optimizers`; NONE leaves theta alone and fills `grad`, EVALUATE gives nothing but J.
    alpha : float
        L2 strength, lambda of the formulas.
    chunk : int, optional
        Rows of a chunk, in place of the network's own; rounded up to whole tiles.
    """

    def __init__(
        self,
        network: Network,
        theta: Array,
        examples: Examples,
        *,
        batch: int,
        team: Team,
        optimizer: int = optimizers.NONE,
        alpha: float = 0.0,
        chunk: int | None = None,
    ):
        if chunk is None and optimizer != optimizers.EVALUATE:
            chunk = costs.even_chunk_rows(network, batch)
        super().__init__(network, examples, batch, team, chunk=chunk)
        self._n_groups = 1 if optimizer == optimizers.EVALUATE else costs.n_groups(network, min(self.chunk, batch))
        n_tasks = round_up(team.n_threads, self._n_groups)
        self.theta, self.batch, self.optimizer = theta, batch, optimizer
        dtype, units = network.dtype, network.layout.units
        by_groups, self.moment_1, self.moment_2 = (
            aligned_zeros(network.layout.size * copies, dtype)
            for copies in (
                0 if optimizer == optimizers.EVALUATE else self._n_groups,
                optimizer not in (optimizers.EVALUATE, optimizers.NONE),
                optimizer == optimizers.ADAM,
            )
        )
        # Before the kernels read them: a page that is read first is mapped twice, and for the second time every thread
        # is interrupted (measured: a third of a fit of one epoch at 512 units).
        for vector in (self.moment_1, self.moment_2):
            vector.fill(0)
        self.grad = by_groups[: network.layout.size]
        self.t = np.zeros(1, np.int64)
        self.rates = np.zeros(optimizers.N_RATES)
        self.rates[optimizers.ALPHA] = alpha
        self._total = np.zeros(backprop.TOTAL_FIELDS)
        y, tiles = (
            aligned_zeros(size, dtype)
            for size in (self.chunk * network.layout.padded[-1], n_tasks * backprop.UNIT_BYTES // dtype.itemsize)
        )
        sorts = self.by_entries and optimizer != optimizers.EVALUATE
        heads, entries, entry_rows = (
            np.zeros(size if sorts else 0, np.int64)
            for size in (self._n_groups * (network.widths[0] + 1), self.n_entries, self.n_entries)
        )
        self._parameters = (theta, self.theta_t, by_groups, self.moment_1, self.moment_2)
        cost, squares = np.zeros(self.chunk), np.zeros(len(units))
        self._buffers = (self.a, self.z, y, cost, tiles, squares, self.starts, heads, entries, entry_rows)
        self.layers, self.plan = self.layers.copy(), self.plan.copy()
        for l, name in enumerate(network.activations, 1):
            if name in ELEMENTWISE:
                self.layers[l, backprop.SLOPE] = ELEMENTWISE[name].slope.address(dtype)
            self.layers[l, [backprop.OUTER, backprop.LAST_OUTER]] = product_addresses(network, l, products.OUTER)
        loss = losses.cost_and_delta(network.loss, network.activations[-1]).address(dtype)
        sweep = optimizers.SWEEPS[optimizer].address(dtype) if optimizer in optimizers.SWEEPS else 0
        fields = [backprop.BATCH, backprop.GROUPS, backprop.OPTIMIZER, backprop.SWEEP, backprop.DELTA]
        self.plan[fields] = batch, self._n_groups, optimizer, sweep, loss
        self._record = (self.t, np.zeros(backprop.PARTIAL_FIELDS), self._total)
        self._row_work = costs.row_work(network, examples.entries)
        if optimizer == optimizers.EVALUATE:
            self._row_work /= 3  # without delta and gradient
        self._share_calls(n_tasks)
        if optimizer == optimizers.EVALUATE:
            self._tasks[:] = 0
        else:
            backprop.transpose_all(self.layers, units, theta, self.theta_t)

    def _share_calls(self, n_tasks: int) -> None:
        """Cut an epoch into calls of at most CALL_WORK: of some chunks, or of a share of the tasks of a large one.

        n_tasks: of a chunk that is not cut.
        """
        rows, units = min(self.chunk, self.batch), self.network.layout.units
        updates = costs.CHUNK_WORK + costs.UPDATE_WORK * self.network.layout.size
        chunk_work = updates + rows * costs.uncached_row_work(self.network, self.examples.entries)
        self._rows_per_step_call = rows * max(1, int(min(costs.CALL_WORK / chunk_work, self.examples.most_rows / rows)))
        # a thread's share of the rows is a block, at least, for each block reads all parameters
        n_shares = min(math.ceil(chunk_work / costs.CALL_WORK), -(-rows // (self.block * n_tasks)))
        n_parallel, n_tasks = n_tasks, n_shares * n_tasks
        # Equal shares of work; a unit of few rows still pays for a tile's latency.
        work = np.cumsum(units[:, backprop.N_COLUMNS] * (2 + units[:, backprop.N_ROWS]))
        ends = np.searchsorted(work, work[-1] * np.arange(1, n_tasks) / n_tasks)
        self._tasks = np.array([0, *ends, len(units)], np.int64)
        shares = [(0, n_tasks, 0, n_tasks)]
        if n_shares > 1:
            parts = [(i, i + n_parallel) for i in range(0, n_tasks, n_parallel)]
            shares = [(*part, 0, 0) for part in parts] + [(n_tasks, n_tasks, *part) for part in parts]
        self._shares = [np.array(share, np.int64) for share in shares]
        self._calls_of: dict[int, list[Call]] = {}

    def _calls(self, n: int) -> list[Call]:
        """The calls of an epoch of n examples; kept, for of a small network they take as long as an epoch."""
        if n not in self._calls_of:
            calls, start = [], 0
            while start < n:
                stop = start + self._rows_per_step_call
                stop = min(stop - stop % self.batch % self.chunk, n)  # where a chunk ends
                work = (stop - start) * self._row_work / len(self._shares)
                calls += [Call(start, stop, share, work) for share in self._shares]
                start = stop
            self._calls_of[n] = calls
        return self._calls_of[n]

    @kept
    def _all(self) -> NDArray[np.int64]:
        return np.arange(self.examples.n)

    def calls(self, n: int) -> int:
        """Calls into the kernel that an epoch of n examples takes."""
        return len(self._calls(n))

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float:
        """Go through the examples of `order`, all different, batch by batch; the mean of the batches' J, by rows,
        NaN if no batch had any weight.

        Control comes back from the kernel every few hundredths of a second, so that Ctrl-C is answered, and goes to
        `after_call`.
        """
        self._total[:] = 0
        kernel = backprop.train_serial if self.team.n_threads == 1 else backprop.train_parallel
        for start, stop, share, work in self._calls(len(order)):
            examples, order_of_call = self.examples.read(order, start, stop)
            self.plan[SHARE] = share
            self.team.run(
                kernel, self.layers, self.network.layout.units, self._tasks, self._parameters, self._buffers, self.crew,
                examples, order_of_call, start, stop, self.plan, self.rates, self._record, work=work,
            )  # fmt: skip
            if after_call:
                after_call()
        loss, rows = self._total
        return float(loss / rows) if rows else math.nan

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float:
        """J at theta over all examples, for a trainer of one batch without optimiser; its gradient is in `grad`."""
        self.theta[:] = theta
        backprop.transpose_all(self.layers, self.network.layout.units, self.theta, self.theta_t)
        return self.epoch(self._all, after_call)

    def loss(self, theta: Array, order: NDArray[np.int64]) -> float:
        """J at theta over the examples of `order`, for a trainer of one batch that only evaluates."""
        self.theta[:] = theta
        self._transpose_narrow(theta)
        return self.epoch(order)
