"""What the kernels pass to each other: records of the network's sizes, and named tuples of arrays.

Records are the elements of structured arrays, so one compiled signature serves networks of every depth. At the border
to Python a named tuple is a plain tuple, because Numba compiles `prange` better then; the first function inside makes
the named tuple of it. All arrays of numbers are flat.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling.jit import inlined
from .compiling.kinds import record
from .gather import Inputs, Targets
from .panels import Panels
from .products import PANEL_BYTES, UNIT_ROWS

# Room for the gradient of a unit, which stays in the first-level cache.
UNIT_BYTES = UNIT_ROWS * PANEL_BYTES


def _integers(*names):
    return record(dict.fromkeys(names, np.int64))


# A layer l. Layer 0 is the input, a^(1) of the formulas.
LAYER = _integers(
    "width",  # units
    "padded",  # units, padded to whole vectors
    "panel",  # units of a full panel of a^(l) and z^(l)
    # Where the layer's data begin in each vector; the parameters are those from l to l + 1.
    "a",
    "z",
    "theta",
    "theta_t",
    # Addresses of the activation g and of g'; of both products for a full panel of theta and for the last panel; and of
    # `products.dots` if the layer is narrow, else 0.
    "g",
    "slope",
    "affine_full",
    "affine_last",
    "outer_full",
    "outer_last",
    "dots",
)

# A unit of parameters: some rows of one panel of Theta. Row 0, the bias, is a unit of its own: L2 spares it.
UNIT = _integers(
    "layer",
    "row",
    "n_rows",
    "column",
    "n_columns",
    "offset",  # in theta, where the unit is contiguous
)

# The sizes of a call, and the addresses that it needs beside those of the layers.
PLAN = _integers(
    # Rows of a batch, a chunk and a block; groups of a chunk's rows.
    "batch",
    "chunk",
    "block",
    "n_groups",
    "learns",  # whether delta and gradients are formed, or only costs
    "optimizer",  # its code, see optimizers.py
    # Addresses of the optimiser's sweep (0: gradients are left in `grad`), of a function of losses.py each.
    "sweep",
    "output_delta",
    "outputs",
    # Addresses of `gather_32`, `gather_64` or `scatter_rows`; of a sparse X that is not made dense, instead, of all
    # other functions of sparse.py.
    "gather",
    "number_entries",
    "sort_entries",
    "first_affine",
    "sparse_outer_sum",
    # The tasks of a chunk that a call does: [begin, end) of the examples phase, and of the update phase.
    "examples_begin",
    "examples_end",
    "update_begin",
    "update_end",
)


class Tables(NamedTuple):
    """Sizes and addresses."""

    layers: NDArray  # of LAYER
    units: NDArray  # of UNIT
    tasks: NDArray  # task i has the units from tasks[i] to tasks[i + 1]
    plan: NDArray  # one PLAN
    rates: NDArray  # one RATES, see optimizers.py
    progress: NDArray  # one PROGRESS


class Parameters(NamedTuple):
    """The parameters, and what an optimiser keeps beside them."""

    theta: NDArray  # Theta^(l) of all layers, in panels, see products.py
    theta_t: NDArray  # Theta^(l)[1:] transposed, in panels, below a row of zeros where the bias was
    grad: NDArray  # as theta, once for each group
    moment_1: NDArray  # as theta: velocity, or Adam's mean of the gradient
    moment_2: NDArray  # as theta: Adam's mean of the squared gradient


class Activations(NamedTuple):
    """What the forward pass writes."""

    a: NDArray  # a[0] = a_0 = 1; then each a^(l) in panels; of a sparse X the chunk's stored entries are a^(1)
    z: NDArray  # each z^(l) in panels; it becomes g'(z^(l)) and then delta^(l)
    starts: NDArray  # of a sparse X, see sparse.py


class Scratch(NamedTuple):
    """What the rest of a step writes."""

    y: NDArray  # targets of the chunk's rows
    cost: NDArray  # cost of each row of the chunk
    tiles: NDArray  # room for one unit of gradient per thread
    squares: NDArray  # sum of Theta^2 of each unit
    heads: NDArray  # of a sparse X, for each group, see `sparse.Sorted`
    entries: NDArray
    entry_rows: NDArray


# What is known of training so far.
PROGRESS = record(
    {
        "t": np.int64,  # steps taken
        # Of the unfinished batch: sum of w_i C_i, and W.
        "batch_cost": np.float64,
        "batch_weight": np.float64,
        # Of the epoch: sum over batches of J times rows, and rows.
        "epoch_loss": np.float64,
        "epoch_rows": np.float64,
    }
)


class Examples(NamedTuple):
    """The data."""

    inputs: Inputs
    targets: Targets
    order: NDArray  # of the examples in this epoch


class Job(NamedTuple):
    """Everything that the phases of a step read and write, except the data."""

    layers: NDArray
    units: NDArray
    tasks: NDArray
    plan: np.record
    parameters: Parameters
    activations: Activations
    scratch: Scratch
    rates: np.record
    progress: np.record


@inlined
def a_of(layer, activations, plan):
    """a^(l) of a layer, as Panels."""
    return Panels(activations.a, layer.a, layer.width, layer.padded, layer.panel, plan.chunk)


@inlined
def z_of(layer, activations, plan):
    """z^(l) of a layer, or what became of it, as Panels."""
    return Panels(activations.z, layer.z, layer.width, layer.padded, layer.panel, plan.chunk)
