"""The arguments that kernels pass to each other: records of the network's sizes, and named tuples of arrays.

Records are the elements of structured arrays, so one compiled signature serves networks of every depth. Python passes
plain tuples, because Numba compiles `prange` better with them; `_train` and `_predict` turn them into named tuples. All
arrays of numbers are flat, except for Y.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling.jit import inlined
from .compiling.kinds import record
from .dropout import Masks
from .gather import Inputs, Targets
from .panels import Panels
from .products import PANEL_BYTES, UNIT_ROWS

# The gradient of a unit takes at most UNIT_BYTES, which fit in the first-level cache.
UNIT_BYTES = UNIT_ROWS * PANEL_BYTES


def _integers(*names):
    return record(dict.fromkeys(names, np.int64))


# LAYER describes a layer l. Layer 0 is the input, a^(1) of the formulas.
LAYER = _integers(
    "width",  # units
    "padded",  # units, rounded up to whole vectors
    "panel",  # units of a full panel of a^(l) and z^(l)
    # The offset of the layer's data in each of these arrays. For theta and theta_t it is that of the parameters between
    # layers l and l + 1.
    "a",
    "z",
    "theta",
    "theta_t",
    # Addresses: of g and g'; of the kernels of `affine` and `outer_sum` of products.py, each for a full panel of theta
    # and for a narrower last panel; of `products.dots`, or 0 if the layer is not narrow.
    "g",
    "slope",
    "affine_full",
    "affine_last",
    "outer_full",
    "outer_last",
    "dots",
    "threshold",  # p 2^32, if the layer's units are dropped with probability p in training; see dropout.py
)

# UNIT describes some rows of one panel of Theta. Row 0, the bias, is a unit of its own, because it has no L2 term.
UNIT = _integers(
    "layer",
    "row",
    "n_rows",
    "column",
    "n_columns",
    "offset",  # of its first element in theta; a unit is contiguous
)

# PLAN has the sizes of a call, and the addresses that no LAYER has.
PLAN = _integers(
    # Rows of a batch, of a chunk and of a block; number of groups of a chunk's rows.
    "batch",
    "chunk",
    "block",
    "n_groups",
    "learns",  # whether the gradient is computed; otherwise only costs are needed
    "optimizer",  # a code of optimizers.py
    # Addresses: of the optimiser's sweep, or 0 to leave the gradient in `grad`; of the functions that `output_delta`
    # and `outputs` of losses.py call.
    "sweep",
    "output_delta",
    "outputs",
    # The address of `gather_32`, `gather_64` or `scatter_rows`. If a sparse X is not made dense, this address is 0, and
    # the next five are those of the other functions of sparse.py.
    "gather",
    "number_entries",
    "sort_entries",
    "copy_entries",
    "first_affine",
    "sparse_outer_sum",
    # Addresses of the functions of dropout.py that this call needs, otherwise 0. `drop_inputs` may be that of
    # `drop_entries`.
    "drop_inputs",
    "drop_units",
    "clips",  # whether the norm of the gradient has a bound
    # The tasks that a call does: [begin, end) of the examples phase, of the update phase and of the step phase.
    "examples_begin",
    "examples_end",
    "update_begin",
    "update_end",
    "step_begin",
    "step_end",
)


class Tables(NamedTuple):
    """The tables of a call: sizes, addresses, hyperparameters and progress."""

    layers: NDArray  # of LAYER
    units: NDArray  # of UNIT
    tasks: NDArray  # task i has the units [tasks[i], tasks[i + 1])
    plan: NDArray  # one PLAN
    rates: NDArray  # one RATES, see optimizers.py
    progress: NDArray  # one PROGRESS
    factors: NDArray  # of the learning rate, one for each batch of the epoch; empty if all are 1
    places: NDArray  # see `dropout.Masks`
    loss_options: NDArray  # see losses.py


class Parameters(NamedTuple):
    """The parameters, their gradient and the optimiser's moments."""

    theta: NDArray  # Theta^(l) of all layers, in panels, see products.py
    theta_t: NDArray  # Theta^(l)[1:] transposed, in panels; row 0 is zeros, because `affine` reads a bias there
    grad: NDArray  # like theta, one copy for each group
    moment_1: NDArray  # like theta: velocity, or Adam's mean of the gradient
    moment_2: NDArray  # like theta: Adam's mean of the squared gradient


class Activations(NamedTuple):
    """The arrays that the forward pass writes."""

    a: NDArray  # a[0] = a_0 = 1, then each a^(l) in panels; if X stays sparse, a^(1) is the chunk's stored values
    z: NDArray  # each z^(l) in panels, overwritten by g'(z^(l)) and then by delta^(l)
    starts: NDArray  # for a sparse X, see sparse.py


class Scratch(NamedTuple):
    """Scratch arrays of a training step."""

    y: NDArray  # targets of the chunk's rows
    cost: NDArray  # cost of each row of the chunk
    tiles: NDArray  # room for the gradient of one unit, for each thread
    squares: NDArray  # sum of Theta^2 over each unit
    norms: NDArray  # NORM_SIZE numbers for each unit, see `gradient._sum_squares`; empty if the gradient has no bound
    heads: NDArray  # those of each group. Only a sparse X needs heads and the next two, see `sparse.Sorted`
    entries: NDArray
    entry_rows: NDArray


# PROGRESS is the state of training so far.
PROGRESS = record(
    {
        "t": np.int64,  # steps taken
        # Of the unfinished batch: sum of w_i C_i, and W, the sum of w_i.
        "batch_cost": np.float64,
        "batch_weight": np.float64,
        # Of the epoch: sum over batches of J times rows, and number of rows.
        "epoch_loss": np.float64,
        "epoch_rows": np.float64,
        "seed": np.int64,  # of the epoch's dropout
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
    factors: NDArray
    masks: Masks
    loss_options: NDArray


@inlined
def a_of(layer, activations, plan):
    """a^(l) of a layer, as Panels."""
    return Panels(activations.a, layer.a, layer.width, layer.padded, layer.panel, plan.chunk)


@inlined
def z_of(layer, activations, plan):
    """z^(l) of a layer, or delta^(l) after it has overwritten z^(l), as Panels."""
    return Panels(activations.z, layer.z, layer.width, layer.padded, layer.panel, plan.chunk)
