"""The arguments that kernels pass to each other: records of sizes and addresses, and named tuples of arrays.

Records are the elements of structured arrays, so one compiled signature serves networks of every depth. Python passes
plain tuples, because a call with named tuples takes longer (measured). `_train` and `_predict` turn the plain tuples
into named ones. All arrays here are flat, except `Targets.Y`.
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


# LAYER describes a layer. Layer 0 is the input, a^(1) of the formulas.
LAYER = _integers(
    "width",  # number of units
    "padded",  # width, rounded up to whole vectors
    "panel",  # number of units in a full panel of the layer, see panels.py
    # The layer's data begin at these offsets in the arrays `a`, `z`, `theta` and `theta_t`. The parameters from layer l
    # to layer l + 1 count as data of layer l.
    "a",
    "z",
    "theta",
    "theta_t",
    # Addresses of functions. An address is 0 if the layer does not need the function.
    "g",  # the activation
    "slope",  # the derivative of the activation
    "affine_full",  # the kernel that `products.affine` calls for a full panel
    "affine_last",  # the kernel that `products.affine` calls for a narrower last panel
    "outer_full",  # the kernel that `products.outer_sum` calls for a full panel
    "outer_last",  # the kernel that `products.outer_sum` calls for a narrower last panel
    "dots",  # `products.dots`, if the layer is narrow
    "threshold",  # decides how many units training drops, see dropout.py; 0 drops none
)

# UNIT describes a unit of parameters: some rows of one panel of Theta. Row 0 of a panel, its biases, is a unit of its
# own, because biases have no L2 term.
UNIT = _integers(
    "layer",  # Theta leads from this layer to the next
    "row",  # the first row
    "n_rows",
    "column",  # the first column
    "n_columns",
    "offset",  # where the unit begins in theta; a unit is contiguous
)

# PLAN has the sizes and the tasks of a call, and the addresses of functions that do not depend on the layer.
PLAN = _integers(
    "batch",  # rows of a batch
    "chunk",  # rows of a chunk
    "block",  # rows of a block
    "n_groups",  # number of groups of a chunk's rows
    "learns",  # 1 if the call computes gradients, 0 if it only computes costs
    "optimizer",  # a code of optimizers.py
    # Addresses of functions. An address is 0 if the call does not need the function.
    "sweep",  # the optimiser's function in SWEEPS; without a sweep, the gradient stays in `grad`
    "output_delta",  # the function that `losses.output_delta` calls
    "outputs",  # the function that `losses.outputs` calls
    "gather",  # `gather_32`, `gather_64` or `scatter_rows`; 0 if a sparse X stays sparse
    # The next five are functions of sparse.py for an X that stays sparse. For any other X they are 0.
    "number_entries",
    "sort_entries",
    "copy_entries",
    "first_affine",
    "sparse_outer_sum",
    "drop_inputs",  # `drop_inputs` of dropout.py, or `drop_entries` if a sparse X stays sparse
    "drop_units",  # `drop_units` of dropout.py
    "clips",  # 1 if the norm of the gradient has a bound, otherwise 0
    # In each phase, a call does the tasks [begin, end). The group phase has the tasks of the update phase.
    "examples_begin",
    "examples_end",
    "update_begin",
    "update_end",
    "step_begin",
    "step_end",
    "finishes",  # 1 if the call does the last tasks of its chunks, so that a batch may end in the call; otherwise 0
)


class Tables(NamedTuple):
    """The tables of a call: sizes, addresses, hyperparameters and progress."""

    layers: NDArray  # of LAYER
    units: NDArray  # of UNIT
    tasks: NDArray  # in the update phase and the step phase, task i has the units [tasks[i], tasks[i + 1])
    plan: NDArray  # one PLAN
    rates: NDArray  # one RATES, see optimizers.py
    progress: NDArray  # one PROGRESS


class Parameters(NamedTuple):
    """The parameters, their gradient and the optimiser's moments."""

    theta: NDArray  # Theta^(l) of all layers, in panels, see products.py
    # For each l a row of zeros, which `affine` takes for biases, then Theta^(l)[1:] transposed, in panels. There is
    # nothing for an l before a narrow layer, because theta has this form there.
    theta_t: NDArray
    grad: NDArray  # for each group of a chunk's rows, an array with theta's layout
    moment_1: NDArray  # with theta's layout: the velocity of momentum, or Adam's mean of the gradient
    moment_2: NDArray  # with theta's layout: Adam's mean of the squared gradient


class Activations(NamedTuple):
    """The activations and deltas of a chunk."""

    a: NDArray  # a[0] = a_0 = 1, then each a^(l) in panels; if X stays sparse, a^(1) is the chunk's stored values
    z: NDArray  # each z^(l) in panels, overwritten by g'(z^(l)) and then by delta^(l)
    starts: NDArray  # see sparse.py; empty unless X stays sparse


class Scratch(NamedTuple):
    """Scratch arrays of a training step."""

    y: NDArray  # targets of the chunk's rows
    cost: NDArray  # the cost of each row of the chunk; from element `plan.chunk` on, the options of the loss
    tiles: NDArray  # room for the gradient of one unit, for each thread
    squares: NDArray  # for the L2 term: the sum of Theta^2 over each unit, 0 for biases
    # The next three are the fields of `sparse.Sorted`. They are empty unless X stays sparse.
    heads: NDArray  # the heads of one group after the other
    entries: NDArray
    entry_rows: NDArray


# PROGRESS is the state of training so far.
PROGRESS = record(
    {
        "t": np.int64,  # steps taken
        "batch_cost": np.float64,  # sum of w_i C_i over the present batch
        "batch_weight": np.float64,  # W: sum of w_i over the present batch
        "epoch_loss": np.float64,  # sum over the epoch's batches of J times rows; see `step._finish_batch`
        "epoch_rows": np.float64,  # number of rows of these batches
    }
)


class Extras(NamedTuple):
    """The arguments of a training with dropout, label smoothing, weight decay, rate factors or a bounded gradient.

    A training with none of these has None instead. Numba then leaves out every branch that asks for extras. Even
    branches that are never taken made steps of one example 10 to 30 % slower (measured).
    """

    masks: Masks
    factors: NDArray  # factors[i] multiplies the learning rate in batch i of the epoch; empty means a factor of 1
    norms: NDArray  # NORM_SIZE numbers for each unit, see `gradient._sum_squares`; empty unless the plan clips


class Examples(NamedTuple):
    """The data."""

    inputs: Inputs
    targets: Targets
    order: NDArray  # the order of the examples in this epoch


class Job(NamedTuple):
    """Everything that the phases of a step read and write, except the data and the extras."""

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
    """z^(l) of a layer, as Panels. Later in a step, the same memory has g'(z^(l)) and then delta^(l)."""
    return Panels(activations.z, layer.z, layer.width, layer.padded, layer.panel, plan.chunk)
