"""Passes of the training kernel over examples. An `Evaluator` only measures costs, and a `Trainer` also makes steps."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples, as_order
from ..kernels import dropout, gradient, losses, optimizers, products, records, step, user_loss
from ..kernels.activations import ELEMENTWISE
from ..kernels.compiling.jit import Deferred
from ..network import costs
from ..network.architecture import Network
from ..network.memory import aligned_zeros, kept, round_up
from ..parallel.team import Team
from ..typing import Array
from .regularization import NOTHING, Regularization
from .workspace import Workspace, copied, product_addresses

TASKS = ("examples_begin", "examples_end", "update_begin", "update_end", "step_begin", "step_end", "finishes")
NO_PLACES = np.zeros(0, np.int64)


class Call(NamedTuple):
    """A call into the kernel."""

    start: int  # the call's examples are order[start:stop]
    stop: int
    tables: tuple[NDArray, ...]  # the fields of `kernels.records.Tables`; the plan has the tasks of the call
    work: float  # floating-point operations, roughly


class _Passes(Workspace):
    """The base of `Evaluator` and `Trainer`: epochs over batches of examples, in calls of bounded work."""

    _parameters: tuple[Array, ...]
    _scratch: tuple[NDArray, ...]

    def __init__(
        self, network: Network, theta: Array, examples: Examples, *, batch: int, team: Team, chunk: int | None
    ):
        super().__init__(network, examples, batch, team, chunk=chunk)
        codes, n_codes = examples.codes, max(2, network.widths[-1])  # kernels use a code as the index of an output
        if codes.size and not (codes.min() >= 0 and codes.max() < n_codes):
            raise ValueError(f"y must have class codes from 0 to {n_codes - 1}, got {codes.min()} to {codes.max()}.")
        self.theta, self.batch = theta, batch
        self._rates, self._progress = np.zeros(1, optimizers.RATES), np.zeros(1, records.PROGRESS)
        self.rates: Any = self._rates[0]  # shares the memory of _rates
        self.t = self._progress["t"]
        # A view of epoch_loss and epoch_rows. Reading the fields of the record would take longer than a small step.
        sums_at = records.PROGRESS.fields["epoch_loss"][1]
        self._epoch_sums = np.ndarray(2, np.float64, self._progress, sums_at)
        self._y = aligned_zeros(self.chunk * network.layout.padded[-1], network.dtype)
        self._cost = np.append(np.zeros(self.chunk), network.loss_options)
        self.layers, self.plan = copied(self.layers), copied(self.plan)
        for l, name in enumerate(network.activations, 1):
            if name in ELEMENTWISE:
                self.layers["slope"][l] = ELEMENTWISE[name].slope.address(network.dtype)
        # The trainer keeps the kernel, because the machine code of a user's loss goes with its kernel.
        self._loss = _loss_kernel(network)
        self.plan["batch"], self.plan["output_delta"] = batch, self._loss.address(network.dtype)
        self._extras: tuple[NDArray, ...] = ()  # with extras: (places, factors, norms), see `records.Extras`

    def _with_seed(self) -> tuple[Any, ...]:
        """The extras of an epoch, as the kernels take them."""
        raise NotImplementedError

    def _share_calls(self, n_tasks: int, row_work: float, *, learns: bool) -> None:
        """Divide an epoch into calls of bounded work, see `costs.CALL_WORK`.

        A call does whole chunks, or some tasks of one large chunk. n_tasks: number of tasks of a chunk that needs only
        one call. row_work: work of one example, without the work of reading it from memory.
        """
        rows, units = min(self.chunk, self.batch), self.network.layout.units
        updates = costs.CHUNK_WORK + costs.UPDATE_WORK * self.network.layout.size
        chunk_work = updates + rows * costs.uncached_row_work(self.network, self.examples.entries)
        self._rows_per_step_call = rows * max(1, int(min(costs.CALL_WORK / chunk_work, self.examples.most_rows / rows)))
        # If several calls share a chunk, each task has more than half a block of rows, because each block reads all
        # parameters.
        n_shares = min(math.ceil(chunk_work / costs.CALL_WORK), -(-rows // (self.block * n_tasks)))
        n_parallel, n_tasks = n_tasks, n_shares * n_tasks
        self._tasks = _equal_tasks(units, n_tasks) if learns else np.zeros(n_tasks + 1, np.int64)
        none, every, done = (0, 0), (0, n_tasks), (n_tasks, n_tasks)
        shares = [(*every, *every, *every, 1)]
        if n_shares > 1:
            parts = [(i, i + n_parallel) for i in range(0, n_tasks, n_parallel)]
            shares = [(*part, *none, *none, 0) for part in parts] + [(*done, *part, *none, 0) for part in parts]
            shares += [(*done, *done, *part, 0) for part in parts] if self.plan["clips"] else []
            shares[-1] = (*shares[-1][:-1], 1)
        self._tables = [
            (self.layers, units, self._tasks, _with_tasks(self.plan, share), self._rates, self._progress)
            for share in shares
        ]
        self._row_work = row_work
        self._calls_of: dict[int, list[Call]] = {}

    def _calls(self, n: int) -> list[Call]:
        """The calls of an epoch of n examples. The list is kept: making it takes as long as a small network's epoch."""
        if n not in self._calls_of:
            calls, start = [], 0
            while start < n:
                stop = start + self._rows_per_step_call
                stop = min(stop - stop % self.batch % self.chunk, n)  # a call ends where a chunk ends
                work = (stop - start) * self._row_work / len(self._tables)
                calls += [Call(start, stop, tables, work) for tables in self._tables]
                start = stop
            self._calls_of[n] = calls
        return self._calls_of[n]

    def calls(self, n: int) -> int:
        """Number of calls into the kernel in an epoch of n examples."""
        return len(self._calls(n))

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float:
        """Go through the examples of `order`, which are all different, batch by batch.

        Returns the mean of the batches' J, weighted by rows; NaN if no batch had any weight. An epoch is divided into
        calls of at most some hundredths of a second, except in very large networks. After each call into the kernel,
        Ctrl-C is answered and `after_call` is called.
        """
        order = as_order(order)
        self._epoch_sums.fill(0)
        kernel = step.train_with_extras if self._extras else step.train
        buffers = (*self.activations, *self._scratch)
        extras = (self._with_seed(),) if self._extras else ()
        for start, stop, tables, work in self._calls(len(order)):
            examples, order_of_call = self.examples.read(order, start, stop)
            self.team.run(
                kernel, tables, self._parameters, buffers, *extras, examples, order_of_call, start, stop,
                work=work,
            )  # fmt: skip
            if after_call:
                after_call()
        loss, rows = self._epoch_sums.tolist()
        return float(loss / rows) if rows else math.nan


def _equal_tasks(units: NDArray, n_tasks: int) -> NDArray[np.int64]:
    """The first unit of each task, then the number of units. The tasks have about equal work."""
    # The 2 stands for the latency of a tile, which does not depend on the number of rows.
    work = np.cumsum(units["n_columns"] * (2 + units["n_rows"]))
    ends = np.searchsorted(work, work[-1] * np.arange(1, n_tasks) / n_tasks)
    return np.array([0, *ends, len(units)], np.int64)


def _with_tasks(plan: NDArray, tasks: tuple[int, ...]) -> NDArray:
    """A copy of the plan, with these values for the fields TASKS."""
    plan = copied(plan)
    for name, task in zip(TASKS, tasks, strict=True):
        plan[name] = task
    return plan


def _loss_kernel(network: Network) -> Deferred:
    """The kernel that computes costs and delta^(L); raises ValueError if loss_options do not go with the loss."""
    needed, found = {"huber": 1, "quantile": network.widths[-1]}.get(str(network.loss), 0), len(network.loss_options)
    if found != needed:
        raise ValueError(f"The loss {network.loss!r} needs {needed} loss_options, got {found}.")
    if isinstance(network.loss, user_loss.UserLoss):
        return user_loss.kernel_of(network.loss)
    return losses.kernel_of(network.loss, network.activations[-1])


class Evaluator(_Passes):
    """The mean cost of examples, without the L2 term and without gradients.

    Parameters
    ----------
    network : Network
    examples : Examples
    batch : int
        Rows of a batch; the last batch of an epoch may have fewer.
    team : Team
        From `parallel.team.team_for`.
    """

    def __init__(self, network: Network, examples: Examples, *, batch: int, team: Team):
        theta, nothing = np.zeros(network.layout.size, network.dtype), np.zeros(0, network.dtype)
        super().__init__(network, theta, examples, batch=batch, team=team, chunk=None)
        self._parameters = (theta, nothing, nothing, nothing, nothing)
        no_entries = np.zeros(0, np.int64)
        self._scratch = records.Scratch(self._y, self._cost, nothing, np.zeros(0), no_entries, no_entries, no_entries)
        self.plan["n_groups"] = 1
        self._share_calls(team.n_threads, costs.forward_row_work(network, examples.entries), learns=False)

    def loss(self, theta: Array, order: NDArray[np.int64]) -> float:
        """J at theta over the examples of `order`, without the L2 term. One batch must hold all of them."""
        self.theta[:] = theta
        return self.epoch(order)


class Trainer(_Passes):
    """The parameters and the optimiser of a network, in the kernels' layout, and the steps of training.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (network.layout.size,)
        Parameters; steps overwrite them.
    examples : Examples
    batch : int
        Rows of a step; the last step of an epoch may have fewer.
    team : Team
        From `parallel.team.team_for`.
    optimizer : int
        A code of `kernels.optimizers`. With NONE, steps leave theta as it is and fill `grad`.
    alpha : float
        L2 strength, lambda of the formulas.
    chunk : int, optional
        Rows of a chunk, rounded up to whole tiles. By default a batch has chunks of about equal size.
    weight_decay : float
        Strength of the decoupled weight decay.
    max_norm : float or None
        Largest Euclidean norm of a step's gradient over all parameters. A gradient with a larger norm is scaled down.
        None means that there is no bound.
    regularization : Regularization
    planned : bool
        Whether `factors` has a factor of the learning rate for each batch of an epoch. Otherwise `factors` is empty.
    rows : ndarray of int64, optional
        The examples of `loss_and_gradient`. By default all.
    places : ndarray of int64, optional
        places[i] is the place of example order[i] in the epoch, and decides which units dropout drops. By default, this
        place is i.
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
        weight_decay: float = 0.0,
        max_norm: float | None = None,
        regularization: Regularization = NOTHING,
        planned: bool = False,
        rows: NDArray[np.int64] | None = None,
        places: NDArray[np.int64] = NO_PLACES,
    ):
        chunk = chunk or costs.even_chunk_rows(network, batch)
        super().__init__(network, theta, examples, batch=batch, team=team, chunk=chunk)
        self._rows = rows
        self.optimizer, dtype, size = optimizer, network.dtype, network.layout.size
        n_groups = costs.n_groups(network, min(self.chunk, batch))
        n_tasks = round_up(team.n_threads, n_groups)
        self.theta_t = aligned_zeros(sum(network.layout.transposed_sizes), dtype)
        grads = aligned_zeros(n_groups * size, dtype)
        self.grad = grads[:size]
        self.moment_1 = aligned_zeros(size if optimizer != optimizers.NONE else 0, dtype)
        self.moment_2 = aligned_zeros(size if optimizer == optimizers.ADAM else 0, dtype)
        # The moments are written here, before the kernels read them. The system maps a page twice if it is read before
        # it is written, and the second mapping interrupts every thread. In a fit of one epoch of a network of 512
        # units, the second mappings took a third of the time (measured).
        for vector in (self.moment_1, self.moment_2):
            vector.fill(0)
        self._parameters = (theta, self.theta_t, grads, self.moment_1, self.moment_2)
        clips = max_norm is not None and optimizer in optimizers.SWEEPS
        self.plan["clips"], self.rates.max_norm = clips, max_norm or 0.0
        self._scratch = self._gradient_scratch(n_groups, n_tasks)
        self.rates.alpha, self.rates.weight_decay = alpha, weight_decay
        self.factors, self._regularization = np.ones(-(-examples.n // batch) if planned else 0), regularization
        if clips or planned or weight_decay > 0 or regularization != NOTHING:
            norms = np.zeros(len(network.layout.units) * gradient.NORM_SIZE if clips else 0)
            self._extras = as_order(places), self.factors, norms
        self._set_regularization()
        for l in range(1, network.n_layers):
            full, last = product_addresses(network, l, products.OUTER)
            self.layers["outer_full"][l], self.layers["outer_last"][l] = full, last
        self.plan["n_groups"], self.plan["learns"], self.plan["optimizer"] = n_groups, True, optimizer
        if optimizer in optimizers.SWEEPS:
            self.plan["sweep"] = optimizers.SWEEPS[optimizer].address(dtype)
        self._share_calls(n_tasks, costs.row_work(network, examples.entries), learns=True)
        gradient.transpose_all(self.layers, network.layout.units, theta, self.theta_t)

    def _set_regularization(self) -> None:
        """Pass dropout and label smoothing on to the kernels."""
        how, dtype = self._regularization, self.network.dtype
        how.set_layers(self.layers)
        how.set_rates(self.rates, self.network)
        if any(how.dropout[:1]):
            drop = dropout.drop_entries if self.by_entries else dropout.drop_inputs
            self.plan["drop_inputs"] = drop.address(dtype)
        if any(how.dropout[1:]):
            self.plan["drop_units"] = dropout.drop_units.address(dtype)

    def _with_seed(self) -> tuple[Any, ...]:
        seed = self._regularization.at(int(self.t[0])).seed
        return np.int64(seed), *self._extras

    def _gradient_scratch(self, n_groups: int, n_tasks: int) -> records.Scratch:
        """The arrays that the kernel writes besides activations and parameters."""
        network, n_entries = self.network, self.n_entries
        tiles = aligned_zeros(n_tasks * records.UNIT_BYTES // network.dtype.itemsize, network.dtype)
        n_heads = n_groups * (network.widths[0] + 1) if self.by_entries else 0
        heads, entries, entry_rows = (np.zeros(size, np.int64) for size in (n_heads, n_entries, n_entries))
        n_units = len(network.layout.units)
        return records.Scratch(self._y, self._cost, tiles, np.zeros(n_units), heads, entries, entry_rows)

    @kept
    def _order(self) -> NDArray[np.int64]:
        return as_order(np.arange(self.examples.n) if self._rows is None else self._rows)

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float:
        """J at theta over all examples, or over `rows`; fills `grad`.

        One batch must hold all these examples. `optimizer` must be NONE.
        """
        self.theta[:] = theta
        gradient.transpose_all(self.layers, self.network.layout.units, self.theta, self.theta_t)
        return self.epoch(self._order, after_call)
