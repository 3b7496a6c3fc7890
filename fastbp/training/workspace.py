"""What a network's kernels read and write beside the data: tables of layers and sizes, activations, deltas."""

import functools

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples
from ..kernels import backprop, gather, losses, products, sparse
from ..kernels.activations import ELEMENTWISE
from ..kernels.compiling.jit import Deferred
from ..kernels.machine import barrier
from ..kernels.machine.simd import ROWS, VECTOR_BYTES, VECTORS
from ..kernels.products import UNIT_ROWS
from ..network import costs
from ..network.architecture import Network
from ..network.memory import aligned_zeros, round_up
from ..parallel.team import Team
from ..typing import Array


def product_addresses(network: Network, l: int, kernels: dict[int, Deferred]) -> tuple[int, int]:
    """Addresses of kernels, which are by vectors of a panel, for a full panel of layer l and for its last one."""
    padded, dtype = network.layout.padded[l], network.dtype
    full = kernels[VECTORS].address(dtype) if padded >= network.layout.panel else 0
    rest = padded % network.layout.panel * dtype.itemsize // VECTOR_BYTES
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
    for l, (width, stride) in enumerate(zip(network.widths, network.layout.padded, strict=True)):
        panel = round_up(UNIT_ROWS, network.layout.panel) if l < network.n_layers - 1 else stride
        layers[l, : backprop.G] = width, stride, panel, i_a, i_z, network.layout.theta_offsets[l], i_t
        i_a += chunk * stride if l or to_rows else round_up(n_entries, lanes)
        i_z += chunk * stride if l else 0
        i_t += network.layout.transposed_sizes[l]
    for l, name in enumerate(network.activations, 1):
        if name in ELEMENTWISE:
            layers[l, backprop.G] = ELEMENTWISE[name].g.address(dtype)
        layers[l, [backprop.AFFINE, backprop.LAST_AFFINE]] = product_addresses(network, l, products.AFFINE)
        if network.layout.is_narrow(l):
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
        self._rows_per_call = max(
            1, int(min(costs.CALL_WORK / costs.uncached_row_work(network, examples.entries), examples.most_rows))
        )
        self.chunk = round_up(min(chunk or min(costs.chunk_rows(network), self._rows_per_call), rows), ROWS)
        self.block = costs.block_rows(network, self.chunk)
        self.by_entries = examples.sparse and examples.entries_per_row < costs.DENSE * network.widths[0]
        self.n_entries = examples.most_entries(min(self.chunk, rows)) if self.by_entries else 0
        self.starts = np.zeros(self.chunk + 1 if self.by_entries else 0, np.int64)

        dense = gather.gather_32 if examples.single else gather.gather_64
        to_rows = None if self.by_entries else sparse.scatter_rows if examples.sparse else dense
        self.layers, self.plan, size_a, size_z = _tables(network, self.chunk, self.block, self.n_entries, to_rows)
        self.a, self.z = aligned_zeros(size_a, network.dtype), aligned_zeros(size_z, network.dtype)
        self.theta_t = aligned_zeros(sum(network.layout.transposed_sizes), network.dtype)
        self.a[0] = 1
        self.crew = np.zeros(barrier.CREW_FIELDS, np.int64)

    def predict(self, theta: Array, order: NDArray[np.int64], out: Array) -> None:
        """out = a^(L) of the examples of `order`, all different: (n, S_L)."""
        kernel = backprop.predict_serial if self.team.n_threads == 1 else backprop.predict_parallel
        row_work = costs.row_work(self.network, self.examples.entries)
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
        units = self.network.layout.narrow_units
        if len(units):
            backprop.transpose_all(self.layers, units, theta, self.theta_t)

    def activation(self, l: int, rows: int) -> Array:
        """a^(l), l from 0 for the input, of the last chunk: (rows, S_l)."""
        return self._layer(self.a, self.layers[l, backprop.A], l, rows)

    def delta(self, l: int, rows: int) -> Array:
        """delta^(l), l from 1, of the last chunk: (rows, S_l)."""
        return self._layer(self.z, self.layers[l, backprop.Z], l, rows)

    def _layer(self, memory: Array, offset: int, l: int, rows: int) -> Array:
        padded, step = self.network.layout.padded[l], self.layers[l, backprop.PANEL]
        memory = memory[offset : offset + self.chunk * padded]
        panels = np.split(memory, np.arange(step, padded, step) * self.chunk)
        return np.hstack([panel.reshape(self.chunk, -1)[:rows] for panel in panels])[:, : self.network.widths[l]]
