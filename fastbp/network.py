"""A network's shape, the layout of its parameters, and the calls into its kernels.

`loss_and_gradient` is the one objective: gradient descent, L-BFGS and the textbook functions all use it, and the
stochastic solvers run the same kernels with an optimiser in place.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .data import Examples
from .kernels import backprop, barrier, gather, losses, optimizers, products, sparse
from .kernels.activations import ELEMENTWISE, HIDDEN
from .kernels.jit import Deferred
from .kernels.products import PANEL_BYTES, UNIT_ROWS
from .kernels.row import forward_row
from .kernels.simd import ROWS, VECTOR_BYTES, VECTORS
from .threads import Team

Array = NDArray[np.floating]

# A chunk's activations and deltas should stay in a core's second-level cache, but a chunk of fewer rows than this
# would spend its time on loading and storing gradients. A block's may be more, for each block reads all parameters anew
# (measured on two threads, 784-(512,256)-10 in batches of 256 and 64-(1024,1024)-10, against 1 << 20: float32 takes
# 0.98 times as long, float64 0.96 and 0.92; smaller networks as long).
CHUNK_BYTES, MIN_CHUNK, MAX_CHUNK = 2 << 20, 256, 1024
BLOCK_BYTES = 4 << 20
# Memory for outputs of which only a decision is kept; enough rows for all threads.
OUTPUT_BYTES = 1 << 23

# Floating-point operations of one call into a kernel: some hundredths of a second, so that Ctrl-C is answered promptly.
# A call does more than that only where a tile of rows does, or in training a block of rows per thread: with more than
# some ten million weights.
CALL_WORK = 4e9
# A layer is narrow if so many times its units fit a vector, and if there are so many units before it for each of its
# own that summing within vectors pays.
NARROW, NARROW_INPUTS = 4, 32
# Share of stored entries from which on a sparse X is faster made dense (measured with 1,000 features).
DENSE = 0.25
# What a row, a chunk and a parameter cost beyond their multiply-adds, in floating-point operations, roughly.
ROW_WORK, CHUNK_WORK, UPDATE_WORK = 1_000, 100_000, 30
# What reading an element of X costs where it is not in a cache: only the bound of a call looks at it, for it decides
# only in networks of very few units.
READ_WORK = 50
# Parameters are few if so many times them are less than what a chunk has of activations; then gradients are summed by
# groups of a chunk's rows, see backprop.py, from a chunk's work on, in floating-point operations, that is worth it
# (measured on two threads: (4, 500, 1) in batches of 1000 takes 0.7 times as long, digits 0.9 times).
FEW, GROUP_WORK, N_GROUPS = 3, 4e6, 2
# What of `plan` says which tasks a call does.
SHARE = slice(backprop.FIRST_1, backprop.LAST_2 + 1)


def _aligned_zeros(size: int, dtype: np.dtype) -> Array:
    """Zeros that begin at a whole cache line, so that no vector straddles two."""
    spare = 64 // dtype.itemsize
    memory = np.zeros(size + spare, dtype)
    start = -memory.ctypes.data % 64 // dtype.itemsize
    return memory[start : start + size]


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


T = TypeVar("T")


class _kept(Generic[T]):
    """An attribute that is computed at its first use.

    As functools.cached_property, whose lock (before Python 3.12) a fork() meanwhile leaves locked in the child.
    """

    def __init__(self, function: Callable[[Any], T]):
        self._function = function

    def __get__(self, instance: Any, owner: type) -> T:
        value: T
        value = instance.__dict__[self._function.__name__] = self._function(instance)  # found there from now on
        return value


@dataclasses.dataclass(frozen=True)
class Network:
    """The shape of a network.

    Parameters
    ----------
    widths : tuple of int
        Units per layer, input and output included: S_1 ... S_L.
    activations : tuple of str
        Activation of each layer but the input: g_2 ... g_L.
    loss : str
        Name of the loss.
    dtype : numpy.dtype
        float32 or float64: of parameters and arithmetic.
    fit_intercept : bool
        Whether row 0 of each Theta^(l) is learned; otherwise it stays 0.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    dtype: np.dtype
    fit_intercept: bool = True

    @property
    def n_layers(self) -> int:
        return len(self.widths)

    @_kept
    def padded(self) -> tuple[int, ...]:
        """Widths rounded up to whole vectors."""
        return tuple(_round_up(width, VECTOR_BYTES // self.dtype.itemsize) for width in self.widths)

    @_kept
    def theta_offsets(self) -> tuple[int, ...]:
        """Where each Theta^(l) begins in theta, and its whole size."""
        sizes = [(1 + width) * padded for width, padded in zip(self.widths, self.padded[1:], strict=False)]
        return (0, *np.cumsum(sizes).tolist())

    @_kept
    def transposed_sizes(self) -> tuple[int, ...]:
        """Elements of the transposed Theta^(l) per layer; of the first there is none, for there is no delta^(1)."""
        inner = range(1, self.n_layers - 1)
        return (0, *((1 + self.widths[l + 1]) * self.padded[l] for l in inner), 0)

    @property
    def n_parameters(self) -> int:
        """Real parameters, those that `flatten` keeps."""
        return sum((n + self.fit_intercept) * m for n, m in pairwise(self.widths))

    @property
    def size(self) -> int:
        """Elements of theta, padding included."""
        return self.theta_offsets[-1]

    @property
    def panel(self) -> int:
        """Columns of a full panel of parameters."""
        return PANEL_BYTES // self.dtype.itemsize

    def is_narrow(self, l: int) -> bool:
        """Whether layer l, from 0 for the input, has so few units that most of a vector of them would be padding.

        Not the first one after the input, for its products are the same for a dense and a sparse X.
        """
        few = NARROW * self.widths[l] <= VECTOR_BYTES // self.dtype.itemsize
        return few and l > 1 and self.widths[l - 1] >= NARROW_INPUTS * self.widths[l]

    @_kept
    def narrow_units(self) -> NDArray[np.int64]:
        """The rows of `units` that lead to narrow layers."""
        return self.units[[self.is_narrow(l + 1) for l in self.units[:, backprop.LAYER]]]

    @_kept
    def units(self) -> NDArray[np.int64]:
        """Table of the units of parameters, see `kernels.backprop`: (n_units, UNIT_FIELDS)."""
        tables = []
        for l in range(self.n_layers - 1):
            most = self.panel if self.is_narrow(l + 1) else UNIT_ROWS
            starts = np.arange(1, 1 + self.widths[l], most)
            rows = np.concatenate([[0], starts]) if self.fit_intercept else starts
            columns = np.arange(0, self.padded[l + 1], self.panel)
            # The longer side of Theta outside: what it multiplies is read once, the shorter side's from cache.
            indexing: Literal["ij", "xy"] = "xy" if self.widths[l] >= self.widths[l + 1] else "ij"
            column, row = (grid.ravel() for grid in np.meshgrid(columns, rows, indexing=indexing))
            n_columns = np.minimum(self.panel, self.padded[l + 1] - column)
            n_rows = np.where(row == 0, 1, np.minimum(most, 1 + self.widths[l] - row))
            offset = self.theta_offsets[l] + column * (1 + self.widths[l]) + row * n_columns
            # in the order of LAYER, ROW, N_ROWS, COLUMN, N_COLUMNS, OFFSET
            tables.append(np.stack([np.full_like(row, l), row, n_rows, column, n_columns, offset], axis=1))
        return np.ascontiguousarray(np.concatenate(tables), dtype=np.int64)

    def _panels(self, theta: Array, l: int) -> Iterator[tuple[slice, Array]]:
        """(units of layer l + 1, their columns of Theta^(l) without padding: (1 + S_l, units)) of each panel."""
        rows, start = 1 + self.widths[l], self.theta_offsets[l]
        for left in range(0, self.widths[l + 1], self.panel):
            stop = min(left + self.panel, self.padded[l + 1])
            end = start + rows * (stop - left)
            yield slice(left, stop), theta[start:end].reshape(rows, -1)[:, : self.widths[l + 1] - left]
            start = end

    def pack(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        """theta from scikit-learn's arrays: coefs[l] (S_l, S_{l+1}), intercepts[l] (S_{l+1},); else ValueError."""
        theta = _aligned_zeros(self.size, self.dtype)
        for l, (coef, intercept) in enumerate(self.as_kernels_read(coefs, intercepts)):
            for units, panel in self._panels(theta, l):
                panel[0], panel[1:] = intercept[units], coef[:, units]
        return theta

    def as_kernels_read(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
        """Each of coefs with its intercepts, contiguous and of the network's type; ValueError for other shapes."""
        parts = zip(coefs, intercepts, pairwise(self.widths), strict=True)
        for l, (coef, intercept, (n, m)) in enumerate(parts):
            coef, intercept = self._as_kernels_read(coef), self._as_kernels_read(intercept)
            # An estimator has checked them, but a fit in another thread may have replaced them since.
            if coef.shape != (n, m) or intercept.shape != (m,):
                found = f"{coef.shape} and {intercept.shape}"
                raise ValueError(f"Weights from layer {l} to {l + 1} have shapes {found}, not {(n, m)} and {(m,)}.")
            yield coef, intercept

    def _as_kernels_read(self, values: Any) -> Array:
        """The values as an array of the one type that the kernels are compiled for, without a copy if they are one."""
        if type(values) is np.ndarray and values.dtype == self.dtype and values.flags.carray:
            return values
        return np.array(values, self.dtype, order="C", subok=False)

    def unpack(self, theta: Array) -> tuple[list[Array], list[Array]]:
        """Inverse of `pack`, as copies."""
        coefs, intercepts = [], []
        for l in range(self.n_layers - 1):
            coef = np.empty((self.widths[l], self.widths[l + 1]), self.dtype)
            intercept = np.empty(self.widths[l + 1], self.dtype)
            for units, panel in self._panels(theta, l):
                intercept[units], coef[:, units] = panel[0], panel[1:]
            coefs.append(coef)
            intercepts.append(intercept)
        return coefs, intercepts

    def flatten(self, theta: Array) -> Array:
        """The real parameters alone, in scikit-learn's order: all coefs, then all intercepts."""
        coefs, intercepts = self.unpack(theta)
        return np.concatenate([part.ravel() for part in coefs + (intercepts if self.fit_intercept else [])])

    def unflatten(self, vector: Array) -> Array:
        """Inverse of `flatten`."""
        sizes = [n * m for n, m in pairwise(self.widths)] + list(self.widths[1:])
        parts = np.split(vector, np.cumsum(sizes[: len(sizes) if self.fit_intercept else self.n_layers - 1])[:-1])
        shapes = pairwise(self.widths)
        coefs = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
        intercepts = parts[self.n_layers - 1 :] or [np.zeros(width, self.dtype) for width in self.widths[1:]]
        return self.pack(coefs, intercepts)

    def row_work(self, examples: Examples) -> float:
        """Floating-point operations that one of the examples costs in a step, roughly."""
        if not examples.sparse:
            return self._dense_row_work
        return ROW_WORK + 6.0 * (examples.entries_per_row * self.widths[1] + self._inner_weights)

    @_kept
    def _dense_row_work(self) -> float:
        return ROW_WORK + 6.0 * (self.widths[0] * self.widths[1] + self._inner_weights)

    def uncached_row_work(self, examples: Examples) -> float:
        """`row_work` of an example that is read from memory."""
        return self.row_work(examples) + READ_WORK * (examples.entries_per_row if examples.sparse else self.widths[0])

    @_kept
    def _inner_weights(self) -> int:
        """Weights of all layers but the first."""
        return sum(n * m for n, m in pairwise(self.widths[1:]))

    @property
    def chunk(self) -> int:
        """Rows of a chunk."""
        return _round_up(min(max(CHUNK_BYTES // self.row_bytes, MIN_CHUNK), MAX_CHUNK), ROWS)

    def chunk_of(self, batch: int) -> int:
        """Rows of a chunk of batches of so many, which are shared out evenly.

        From the sizes alone: the order in which gradients are summed depends on it.
        """
        return _round_up(-(-batch // max(1, round(batch / self.chunk))), ROWS)

    @property
    def output_rows(self) -> int:
        """Rows whose outputs are made at once where only decisions are kept."""
        return max(1, OUTPUT_BYTES // (self.widths[-1] * self.dtype.itemsize))

    def n_groups(self, rows: int) -> int:
        """Groups of a chunk's rows whose gradients are summed apart, from the sizes alone."""
        few = FEW * self.size <= rows * sum(self.padded)
        return N_GROUPS if few and rows * self._dense_row_work >= GROUP_WORK else 1

    @_kept
    def row_bytes(self) -> int:
        """Memory of one row of all a^(l) and z^(l)."""
        return 2 * sum(self.padded) * self.dtype.itemsize


# One object per shape: its tables are made once, not by every prediction and every chunk of partial_fit.
network_of = functools.lru_cache(maxsize=64)(Network)


def hidden_activations(activation: Any, n_hidden: int) -> tuple[str, ...]:
    """Activation of each of n_hidden hidden layers, from one name for all or one per layer; raises ValueError."""
    one_for_all = isinstance(activation, str)
    given = np.asarray(activation, dtype=object).ravel()  # of objects: may be ragged, or not of strings
    if not all(isinstance(name, str) and name in HIDDEN for name in given):
        raise ValueError(f"activation must be among {', '.join(HIDDEN)}, or a list of them, got {activation!r}.")
    names = tuple(map(str, given))
    if one_for_all:
        return names * n_hidden
    if len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one per hidden layer: got {len(names)} names, "
            f"{activation!r}, for {n_hidden} hidden layers."
        )
    return names


def glorot(
    shape: Network, deciding: Sequence[str], random_state: np.random.RandomState
) -> tuple[list[Array], list[Array]]:
    """Initial coefs and intercepts: Glorot uniform, biases too, in scikit-learn's order of draws.

    deciding: the activation that decides the bound of each Theta^(l), sqrt(2 / (S_l + S_{l+1})) for logistic, else
    with 6 in place of 2: of the layer that the weights lead to; for the output, as in scikit-learn, the last hidden
    layer's.
    """
    coefs: list[Array] = []
    intercepts: list[Array] = []
    for (n, m), activation in zip(pairwise(shape.widths), deciding, strict=True):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n + m))
        coefs.append(random_state.uniform(-bound, bound, (n, m)))
        intercepts.append(random_state.uniform(-bound, bound, m) * shape.fit_intercept)
    return coefs, intercepts


def _products(network: Network, l: int, kernels: dict[int, Deferred]) -> tuple[int, int]:
    """Addresses of kernels, which are by vectors of a panel, for a full panel of layer l and for its last one."""
    padded, dtype = network.padded[l], network.dtype
    full = kernels[VECTORS].address(dtype) if padded >= network.panel else 0
    rest = padded % network.panel * dtype.itemsize // VECTOR_BYTES
    return full, kernels[rest].address(dtype) if rest else 0


@functools.lru_cache(maxsize=64)
def _tables(
    network: Network, chunk: int, block: int, n_entries: int, to_rows: Deferred | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Layers and plan, see `kernels.backprop`, as far as fits and predictions share them, and the sizes of a and z.

    n_entries: of a chunk of a sparse X, at most, where X is not made rows of a^(1), by `to_rows`.
    """
    dtype = network.dtype
    lanes = VECTOR_BYTES // dtype.itemsize
    layers = np.zeros((network.n_layers, backprop.LAYER_FIELDS), np.int64)
    i_a, i_z, i_t = lanes, 0, 0  # a begins with a_0 = 1, alone in its vector
    for l, (width, stride) in enumerate(zip(network.widths, network.padded, strict=True)):
        panel = _round_up(UNIT_ROWS, network.panel) if l < network.n_layers - 1 else stride
        layers[l, : backprop.G] = width, stride, panel, i_a, i_z, network.theta_offsets[l], i_t
        i_a += chunk * stride if l or to_rows else _round_up(n_entries, lanes)
        i_z += chunk * stride if l else 0
        i_t += network.transposed_sizes[l]
    for l, name in enumerate(network.activations, 1):
        if name in ELEMENTWISE:
            layers[l, backprop.G] = ELEMENTWISE[name].g.address(dtype)
        layers[l, [backprop.AFFINE, backprop.LAST_AFFINE]] = _products(network, l, products.AFFINE)
        if network.is_narrow(l):
            layers[l, backprop.DOTS] = products.dots.address(dtype)

    plan = np.zeros(backprop.PLAN_FIELDS, np.int64)
    plan[[backprop.CHUNK, backprop.BLOCK]] = chunk, block
    if to_rows:
        plan[backprop.GATHER] = to_rows.address(dtype)
    else:
        plan[backprop.SPARSE] = [kernel.address(dtype) for kernel in sparse.KERNELS]
    return layers, plan, i_a, i_z


class Workspace:
    """Everything that a network's kernels write to, for chunks of up to `rows` rows and a team of threads.

    chunk: rows of a chunk. What a row gives does not depend on it, so by default no chunk is too much for one call.
    """

    def __init__(self, network: Network, examples: Examples, rows: int, team: Team, *, chunk: int | None = None):
        self.network, self.examples, self.team = network, examples, team
        self._rows_per_call = max(1, int(min(CALL_WORK / network.uncached_row_work(examples), examples.most_rows)))
        self.chunk = _round_up(min(chunk or min(network.chunk, self._rows_per_call), rows), ROWS)
        self.block = _round_up(min(max(BLOCK_BYTES // network.row_bytes, 2 * ROWS), self.chunk), ROWS)
        self.by_entries = examples.sparse and examples.entries_per_row < DENSE * network.widths[0]
        self.n_entries = examples.most_entries(min(self.chunk, rows)) if self.by_entries else 0
        self.starts = np.zeros(self.chunk + 1 if self.by_entries else 0, np.int64)

        dense = gather.gather_32 if examples.single else gather.gather_64
        to_rows = None if self.by_entries else sparse.scatter_rows if examples.sparse else dense
        self.layers, self.plan, size_a, size_z = _tables(network, self.chunk, self.block, self.n_entries, to_rows)
        self.a, self.z = _aligned_zeros(size_a, network.dtype), _aligned_zeros(size_z, network.dtype)
        self.theta_t = _aligned_zeros(sum(network.transposed_sizes), network.dtype)
        self.a[0] = 1
        self.crew = np.zeros(barrier.CREW_FIELDS, np.int64)

    def predict(self, theta: Array, order: NDArray[np.int64], out: Array) -> None:
        """out = a^(L) of the examples of `order`, all different: (n, S_L)."""
        kernel = backprop.predict_serial if self.team.n_threads == 1 else backprop.predict_parallel
        row_work = self.network.row_work(self.examples)
        rows_per_call = self.chunk * max(1, self._rows_per_call // self.chunk)
        self._transpose_narrow(theta)
        # Not in _tables: a first fit need not wait for it.
        self.plan[backprop.OUTPUTS] = losses.OUTPUTS[self.network.activations[-1]].address(self.network.dtype)
        for start in range(0, len(order), rows_per_call):
            stop = min(start + rows_per_call, len(order))
            examples, order_of_call = self.examples.read(order, start, stop)
            self.team.run(
                kernel, self.layers, self.team.n_threads, theta, self.theta_t, self.a, self.z, self.starts,
                self.crew, examples[:5], order_of_call, start, stop, self.plan, out, work=(stop - start) * row_work,
            )  # fmt: skip

    def _transpose_narrow(self, theta: Array) -> None:
        """Fill the part of theta_t that the forward pass reads."""
        units = self.network.narrow_units
        if len(units):
            backprop.transpose_all(self.layers, units, theta, self.theta_t)

    def activation(self, l: int, rows: int) -> Array:
        """a^(l), l from 0 for the input, of the last chunk: (rows, S_l)."""
        return self._layer(self.a, self.layers[l, backprop.A], l, rows)

    def delta(self, l: int, rows: int) -> Array:
        """delta^(l), l from 1, of the last chunk: (rows, S_l)."""
        return self._layer(self.z, self.layers[l, backprop.Z], l, rows)

    def _layer(self, memory: Array, offset: int, l: int, rows: int) -> Array:
        padded, step = self.network.padded[l], self.layers[l, backprop.PANEL]
        memory = memory[offset : offset + self.chunk * padded]
        panels = np.split(memory, np.arange(step, padded, step) * self.chunk)
        return np.hstack([panel.reshape(self.chunk, -1)[:rows] for panel in panels])[:, : self.network.widths[l]]


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
    theta : ndarray of shape (network.size,)
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
            chunk = network.chunk_of(batch)
        super().__init__(network, examples, batch, team, chunk=chunk)
        self._n_groups = 1 if optimizer == optimizers.EVALUATE else network.n_groups(min(self.chunk, batch))
        n_tasks = _round_up(team.n_threads, self._n_groups)
        self.theta, self.batch, self.optimizer = theta, batch, optimizer
        dtype, units = network.dtype, network.units
        by_groups, self.first, self.second = (
            _aligned_zeros(network.size * copies, dtype)
            for copies in (
                0 if optimizer == optimizers.EVALUATE else self._n_groups,
                optimizer not in (optimizers.EVALUATE, optimizers.NONE),
                optimizer == optimizers.ADAM,
            )
        )
        # Before the kernels read them: a page that is read first is mapped twice, and for the second time every thread
        # is interrupted (measured: a third of a fit of one epoch at 512 units).
        for vector in (self.first, self.second):
            vector.fill(0)
        self.grad = by_groups[: network.size]
        self.t = np.zeros(1, np.int64)
        self.rates = np.zeros(optimizers.N_RATES)
        self.rates[optimizers.ALPHA] = alpha
        self._total = np.zeros(backprop.TOTAL_FIELDS)
        y, tiles = (
            _aligned_zeros(size, dtype)
            for size in (self.chunk * network.padded[-1], n_tasks * backprop.UNIT_BYTES // dtype.itemsize)
        )
        sorts = self.by_entries and optimizer != optimizers.EVALUATE
        heads, entries, entry_rows = (
            np.zeros(size if sorts else 0, np.int64)
            for size in (self._n_groups * (network.widths[0] + 1), self.n_entries, self.n_entries)
        )
        self._parameters = (theta, self.theta_t, by_groups, self.first, self.second)
        cost, squares = np.zeros(self.chunk), np.zeros(len(units))
        self._buffers = (self.a, self.z, y, cost, tiles, squares, self.starts, heads, entries, entry_rows)
        self.layers, self.plan = self.layers.copy(), self.plan.copy()
        for l, name in enumerate(network.activations, 1):
            if name in ELEMENTWISE:
                self.layers[l, backprop.SLOPE] = ELEMENTWISE[name].slope.address(dtype)
            self.layers[l, [backprop.OUTER, backprop.LAST_OUTER]] = _products(network, l, products.OUTER)
        loss = losses.cost_and_delta(network.loss, network.activations[-1]).address(dtype)
        sweep = optimizers.SWEEPS[optimizer].address(dtype) if optimizer in optimizers.SWEEPS else 0
        fields = [backprop.BATCH, backprop.GROUPS, backprop.OPTIMIZER, backprop.SWEEP, backprop.DELTA]
        self.plan[fields] = batch, self._n_groups, optimizer, sweep, loss
        self._record = (self.t, np.zeros(backprop.PARTIAL_FIELDS), self._total)
        self._row_work = network.row_work(examples)
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
        rows, units = min(self.chunk, self.batch), self.network.units
        updates = CHUNK_WORK + UPDATE_WORK * self.network.size
        chunk_work = updates + rows * self.network.uncached_row_work(self.examples)
        self._rows_per_step_call = rows * max(1, int(min(CALL_WORK / chunk_work, self.examples.most_rows / rows)))
        # a thread's share of the rows is a block, at least, for each block reads all parameters
        n_shares = min(math.ceil(chunk_work / CALL_WORK), -(-rows // (self.block * n_tasks)))
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

    @_kept
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
                kernel, self.layers, self.network.units, self._tasks, self._parameters, self._buffers, self.crew,
                examples, order_of_call, start, stop, self.plan, self.rates, self._record, work=work,
            )  # fmt: skip
            if after_call:
                after_call()
        loss, rows = self._total
        return float(loss / rows) if rows else math.nan

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float:
        """J at theta over all examples, for a trainer of one batch without optimiser; its gradient is in `grad`."""
        self.theta[:] = theta
        backprop.transpose_all(self.layers, self.network.units, self.theta, self.theta_t)
        return self.epoch(self._all, after_call)

    def loss(self, theta: Array, order: NDArray[np.int64]) -> float:
        """J at theta over the examples of `order`, for a trainer of one batch that only evaluates."""
        self.theta[:] = theta
        self._transpose_narrow(theta)
        return self.epoch(order)


def hidden_layers(network: Network, theta: Array, examples: Examples, team: Team) -> list[Array]:
    """a^(l) of all examples for every hidden layer: (n, S_l) each."""
    space = Workspace(network, examples, examples.n, team)
    layers = [np.empty((examples.n, width), network.dtype) for width in network.widths[1:-1]]
    order, out = np.arange(examples.n), np.empty((examples.n, network.widths[-1]), network.dtype)
    for start in range(0, examples.n, space.chunk):
        stop = min(start + space.chunk, examples.n)
        space.predict(theta, order[start:stop], out[start:stop])
        for l, layer in enumerate(layers, 1):
            layer[start:stop] = space.activation(l, stop - start)
    return layers


def outputs_in_blocks(space: Workspace, theta: Array, order: NDArray[np.int64]) -> Iterator[tuple[slice, Array]]:
    """(part of order, a^(L) of its examples: (rows, S_L), overwritten by the next one) for all of order."""
    rows, network = space.network.output_rows, space.network
    out = np.empty((min(rows, len(order)), network.widths[-1]), network.dtype)
    for start in range(0, len(order), rows):
        part = slice(start, min(start + rows, len(order)))
        space.predict(theta, order[part], out[: part.stop - start])
        yield part, out[: part.stop - start]


def predict_row(network: Network, coefs: Sequence[Array], intercepts: Sequence[Array], x: Array) -> Array:
    """a^(L) of one example, from scikit-learn's arrays, to the bits of `predict`: (1, S_L)."""
    a = x
    for l, (coef, intercept) in enumerate(network.as_kernels_read(coefs, intercepts), 1):
        name = network.activations[l - 1]
        g = ELEMENTWISE[name].g.address(network.dtype) if name in ELEMENTWISE else 0
        output = losses.OUTPUTS[name].address(network.dtype) if l == network.n_layers - 1 else 0
        z, x = np.zeros((2, network.padded[l]), network.dtype)
        forward_row(a, coef.reshape(-1), intercept, network.is_narrow(l), g, output, z, x)
        a = x
    return a[np.newaxis, : network.widths[-1]].copy()


def predict(network: Network, theta: Array, examples: Examples, order: NDArray[np.int64], team: Team) -> Array:
    """a^(L) of the examples of `order`: (n, S_L)."""
    out = np.empty((len(order), network.widths[-1]), network.dtype)
    Workspace(network, examples, len(order), team).predict(theta, order, out)
    return out
