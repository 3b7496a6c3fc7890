"""The memory that a network's kernels need besides the data: tables of layers and sizes, activations, deltas."""

import functools
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples, as_order
from ..kernels import gather, losses, prediction, products, records, sparse
from ..kernels.activations import ELEMENTWISE
from ..kernels.compiling.jit import Deferred
from ..kernels.machine.registers import ROWS, VECTOR_BYTES, VECTORS
from ..network import costs
from ..network.architecture import Network
from ..network.memory import aligned_zeros, round_up
from ..parallel.team import Team
from ..typing import Array


def product_addresses(network: Network, l: int, kernels: dict[int, Deferred]) -> tuple[int, int]:
    """The addresses of two kernels of layer l: for a full panel, and for a narrower last panel.

    An address is 0 if the layer has no such panel. `kernels` maps the width of a panel, in vectors, to the kernel for
    such a panel.
    """
    padded, panel, dtype = network.layout.padded[l], network.layout.panel, network.dtype
    full = kernels[VECTORS].address(dtype) if padded >= panel else 0
    rest = padded % panel * dtype.itemsize // VECTOR_BYTES
    return full, kernels[rest].address(dtype) if rest else 0


def copied(integers: NDArray) -> NDArray:
    """A copy of records of integers. NumPy's own copy goes field by field and takes several times as long."""
    return integers.view(np.int64).copy().view(integers.dtype)


@functools.lru_cache(maxsize=64)
def _tables(
    network: Network, chunk: int, block: int, n_entries: int, to_rows: Deferred | None
) -> tuple[NDArray, NDArray, int, int]:
    """(layers, plan, size of a, size of z), see `kernels.records`.

    The callers set the fields that are for fits only or for predictions only.

    to_rows: the kernel that copies rows of X into a^(1). If to_rows is None, X stays sparse, and a^(1) has room for
    n_entries stored entries.
    """
    layout, dtype = network.layout, network.dtype
    lanes = VECTOR_BYTES // dtype.itemsize
    layers = np.zeros(network.n_layers, records.LAYER)
    layers["width"], layers["padded"], layers["theta"] = network.widths, layout.padded, layout.theta_offsets
    layers["panel"] = round_up(products.UNIT_ROWS, layout.panel)
    layers["panel"][-1] = layout.padded[-1]  # the output has one panel, because its units may be coupled
    activation_sizes = [chunk * padded for padded in layout.padded]
    if not to_rows:
        activation_sizes[0] = round_up(n_entries, lanes)
    # The array `a` begins with a_0 = 1, which has a whole vector to itself. There is no z^(1).
    layers["a"] = [*accumulate(activation_sizes[:-1], initial=lanes)]
    layers["z"] = [0, *accumulate((chunk * padded for padded in layout.padded[1:-1]), initial=0)]
    layers["theta_t"] = [*accumulate(layout.transposed_sizes[:-1], initial=0)]
    for l, name in enumerate(network.activations, 1):
        if name in ELEMENTWISE:
            layers["g"][l] = ELEMENTWISE[name].g.address(dtype)
        layers["affine_full"][l], layers["affine_last"][l] = product_addresses(network, l, products.AFFINE)
        if layout.is_narrow(l):
            layers["dots"][l] = products.dots.address(dtype)

    plan = np.zeros(1, records.PLAN)
    plan["chunk"], plan["block"] = chunk, block
    if to_rows:
        plan["gather"] = to_rows.address(dtype)
    else:
        for name in ("number_entries", "sort_entries", "copy_entries", "first_affine", "sparse_outer_sum"):
            plan[name] = getattr(sparse, name).address(dtype)
    size_a, size_z = layers["a"][-1] + activation_sizes[-1], layers["z"][-1] + chunk * layout.padded[-1]
    return layers, plan, int(size_a), int(size_z)


class Workspace:
    """The memory that the forward pass of a network writes to.

    Parameters
    ----------
    network : Network
    examples : Examples
    rows : int
        Chunks have at most this many rows, rounded up to whole tiles.
    team : Team
        From `parallel.team.team_for`.
    chunk : int, optional
        Rows of a chunk. By default, a chunk is small enough for one call of a kernel. The outputs do not depend on this
        number.
    """

    def __init__(self, network: Network, examples: Examples, rows: int, team: Team, *, chunk: int | None = None):
        self.network, self.examples, self.team = network, examples, team
        work = costs.uncached_row_work(network, examples.entries)
        self._rows_per_call = max(1, int(min(costs.CALL_WORK / work, examples.most_rows)))
        self.chunk = round_up(min(chunk or min(costs.chunk_rows(network), self._rows_per_call), rows), ROWS)
        self.block = costs.block_rows(network, self.chunk)
        self.by_entries = examples.sparse and examples.entries_per_row < costs.DENSE * network.widths[0]
        self.n_entries = examples.most_entries(min(self.chunk, rows)) if self.by_entries else 0

        dense = gather.gather_32 if examples.single else gather.gather_64
        to_rows = None if self.by_entries else sparse.scatter_rows if examples.sparse else dense
        self.layers, self.plan, size_a, size_z = _tables(network, self.chunk, self.block, self.n_entries, to_rows)
        a, z = aligned_zeros(size_a, network.dtype), aligned_zeros(size_z, network.dtype)
        a[0] = 1
        starts = np.zeros(self.chunk + 1 if self.by_entries else 0, np.int64)
        self.activations = records.Activations(a, z, starts)

    def predict(self, theta: Array, order: NDArray[np.int64], out: Array) -> None:
        """out = a^(L) of the examples of `order`, which are all different; out has the shape (len(order), S_L)."""
        order, row_work = as_order(order), costs.row_work(self.network, self.examples.entries)
        rows_per_call = self.chunk * max(1, self._rows_per_call // self.chunk)
        # Asking for this address compiles the kernel. `_tables` does not ask for it, so that only predictions wait for
        # the compilation.
        self.plan["outputs"] = losses.OUTPUTS[self.network.activations[-1]].address(self.network.dtype)
        for start in range(0, len(order), rows_per_call):
            stop = min(start + rows_per_call, len(order))
            examples, order_of_call = self.examples.read(order, start, stop)
            self.team.run(
                prediction.predict, (self.layers, self.plan), theta, tuple(self.activations),
                examples[:5], order_of_call, start, stop, self.team.n_threads, out, work=(stop - start) * row_work,
            )  # fmt: skip

    def activation(self, l: int, rows: int) -> Array:
        """The activations of layer l for the last chunk, of shape (rows, width). Layer 0 is the input."""
        return self._layer(self.activations.a, self.layers["a"][l], l, rows)

    def delta(self, l: int, rows: int) -> Array:
        """The deltas of layer l for the last chunk, of shape (rows, width). Layer 0, the input, has no deltas."""
        return self._layer(self.activations.z, self.layers["z"][l], l, rows)

    def _layer(self, memory: Array, offset: int, l: int, rows: int) -> Array:
        padded, step = self.network.layout.padded[l], self.layers["panel"][l]
        memory = memory[offset : offset + self.chunk * padded]
        panels = np.split(memory, np.arange(step, padded, step) * self.chunk)
        return np.hstack([panel.reshape(self.chunk, -1)[:rows] for panel in panels])[:, : self.network.widths[l]]
