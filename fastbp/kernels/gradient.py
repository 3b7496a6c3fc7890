"""The gradient D = (sum_i [1, a]^T delta + alpha Theta) / W and the update, one unit of parameters at a time.

If there is an optimiser, and the norm of the gradient has no bound, each unit is updated while its gradient is in
cache. Then, if a batch has only one chunk and one group, the gradient is never written to `grad`.
"""

import math

from .compiling.jit import call, entry, inlined, linked, runtime
from .elementary import constant
from .machine.pointers import pointed
from .machine.registers import VECTOR_BYTES
from .machine.simd import check_multiple, lanes_of, load, multiply_add, panel_of, part, splat, store, zeros
from .machine.simd import tile as shape
from .machine.subnormals import flush_subnormals, restore_subnormals
from .machine.vectors import add, copy, square, total, transposed
from .optimizers import Sums, update
from .panels import Strided, place
from .products import narrow_outer_sum, outer_sum
from .records import a_of, z_of
from .sparse import Sorted

# For each unit, NORM_SIZE numbers take sums of squares, one for each lane of a vector. A vector of float32 has the most
# lanes.
NORM_SIZE = VECTOR_BYTES // 4


@inlined
def _transpose(layers, unit, theta, theta_t):
    """Copy a unit's parameters into theta_t, transposed, for the delta recursion."""
    l = unit.layer
    layer, following = layers[l], layers[l + 1]
    # theta_t has no biases, and no Theta^(1), because there is no delta^(1). Before a narrow layer, theta itself is
    # transposed.
    if l == 0 or unit.row == 0 or following.dots:
        return
    lanes, panel = lanes_of(theta), panel_of(theta)
    step, columns = unit.n_columns, min(unit.n_columns, following.width - unit.column)
    n_rows, first = unit.n_rows, unit.row - 1  # row r of Theta is column r - 1 of theta_t
    for begin in range(0, n_rows, lanes):
        r, rows = begin, min(lanes, n_rows - begin)
        if rows < lanes <= n_rows and (first + n_rows - lanes) // panel == (first + n_rows - 1) // panel:
            r, rows = n_rows - lanes, lanes  # copy some rows again, so that the last rows fill a vector
        column_t = first + r
        left = column_t // panel * panel
        width = min(panel, layer.padded - left)
        i = unit.offset + r * step
        i_t = layer.theta_t + left * (1 + following.width) + (1 + unit.column) * width + column_t - left
        k = 0
        while rows == lanes and columns - k >= lanes:
            store(transposed(load(square(theta), theta, i + k, step)), theta_t, i_t + k * width, width)
            k += lanes
        while k < columns:
            row_t = part(theta_t, i_t + k * width, rows)
            for q in range(rows):
                row_t[q] = part(theta, i + k + q * step, 1)[0]  # `part` saves Numba's test for a negative index
            k += 1


@entry
def transpose_all(layers, units, theta, theta_t):
    """Fill theta_t from these units of theta. Row 0 and the padded columns of theta_t stay as they are."""
    for u in range(units.size):
        _transpose(layers, units[u], theta, theta_t)


@inlined
def _finish_gradient(grad, theta, i, n, alpha, weight):
    """grad[:n] = (grad[:n] + alpha theta[i : i + n]) / W; returns the sum of theta[i : i + n]^2.

    n: whole vectors. Each lane of a vector adds up squares in theta's dtype. Then the lanes are added in float64.
    """
    scale, strength = splat(shape(1, 1), grad, 1.0 / weight), splat(shape(1, 1), grad, alpha)
    lanes, squares = lanes_of(grad), zeros(shape(1, 1), grad)
    check_multiple(n, lanes)
    for k in range(0, n, lanes):
        row = load(shape(1, 1), theta, i + k, 0)
        squares = multiply_add(squares, row, row)
        g = multiply_add(load(shape(1, 1), grad, k, 0), strength, row)
        store(g * scale, grad, k, 0)
    return total(squares)


@inlined
def sorted_of_group(scratch, group, width):
    """The sorted entries of a group of rows of a sparse X with `width` columns."""
    heads = part(scratch.heads, group * (1 + width), 1 + width)
    return Sorted(heads, scratch.entries, scratch.entry_rows)


@inlined
def _gradient(job, unit, group, first, n, g):
    """g = sum of [1, a]^T delta for a unit, over rows [first, first + n) of the chunk; overwrites g.

    The rows are those of a group, or all rows of the chunk.
    """
    layer, following = job.layers[unit.layer], job.layers[unit.layer + 1]
    activations, width = job.activations, unit.n_columns
    i_delta, ld_delta = place(z_of(following, activations, job.plan), first, unit.column)
    delta = Strided(activations.z, i_delta, ld_delta)
    # The input of the bias row is 1 for every example: the first element of `activations.a`, with step 0.
    i_a, lda = 0, 0
    if unit.row > 0:
        i_a, lda = place(a_of(layer, activations, job.plan), first, unit.row - 1)
    a = Strided(activations.a, i_a, lda)
    if unit.layer == 0 and unit.row > 0 and job.scratch.heads.size:
        found = sorted_of_group(job.scratch, group, layer.width)
        call(
            job.plan.sparse_outer_sum,
            (unit.row - 1, unit.n_rows, found, activations.a, layer.a, delta, g, width),
        )
    elif unit.row > 0 and following.dots:
        narrow_outer_sum(layer, unit, n, a, delta, g)
    else:
        kernel = following.outer_full if width == panel_of(g) else following.outer_last
        outer_sum(kernel, unit.n_rows, n, a, delta, g)


@linked
def add_gradient_of_group(work, units_begin, units_end, tile_offset, group, first, n, batch_begins):
    """Add the gradient of a group's rows [first, first + n) to the group's copy of `grad`, for some units.

    If `batch_begins`, the gradient overwrites the copy. work: pointer to a `step.Work`. tile_offset: where the thread's
    part of `tiles` begins.
    """
    job = pointed(work).job
    tiles, grad = job.scratch.tiles, job.parameters.grad
    before = flush_subnormals()
    for u in range(units_begin, units_end):
        unit = job.units[u]
        size, offset = unit.n_rows * unit.n_columns, group * job.parameters.theta.size + unit.offset
        g = part(grad, offset, size) if batch_begins else part(tiles, tile_offset, size)
        _gradient(job, unit, group, first, n, g)
        if not batch_begins:
            add(g, 0, grad, offset, size)
    restore_subnormals(before)


@inlined
def _sum_squares(g, sums):
    """sums[q] = g[q]^2 + g[q + lanes]^2 + ..., for the lanes q of a vector; 0 for other q. g: whole vectors.

    The sums are in float64, where no square of a float32 overflows.
    """
    lanes = lanes_of(g)
    check_multiple(g.size, lanes)
    for q in range(sums.size):
        sums[q] = 0.0
    for k in range(0, g.size, lanes):
        g_k = part(g, k, lanes)
        for q in range(lanes):
            sums[q] += constant(g_k[q], sums[0]) * constant(g_k[q], sums[0])


@inlined
def clipping_factor(norms, max_norm):
    """min(1, max_norm / norm of the gradient). If the norm is not finite, the factor is NaN, which ends the fit.

    norms: from `_sum_squares`, for all units.
    """
    total = 0.0
    for k in range(norms.size):  # in the order of the units
        total += norms[k]
    norm = math.sqrt(total)
    factor = 1.0 if norm <= max_norm else max_norm / norm
    return factor if norm < math.inf else math.nan


@inlined
def _update(job, u, sums, step):
    """Update unit u of theta and its transposed copy. sums: the `Sums` of the unit. step: a `Step`."""
    theta, theta_t, _, moment_1, moment_2 = job.parameters
    unit = job.units[u]
    update(job.plan.sweep, job.rates, step, sums, theta, unit, moment_1, moment_2, job.scratch.squares, u)
    _transpose(job.layers, unit, theta, theta_t)


@linked
def step_units(work, units_begin, units_end, step, extras):
    """Scale the gradients of some units in `grad` by the clipping factor, then update these units.

    work: pointer to a `step.Work`. step: a `Step`.
    """
    job = pointed(work).job
    grad = job.parameters.grad
    before = flush_subnormals()
    clipping = clipping_factor(extras.norms, job.rates.max_norm)
    for u in range(units_begin, units_end):
        unit = job.units[u]
        g = part(grad, unit.offset, unit.n_rows * unit.n_columns)
        _update(job, u, Sums(g, 0.0, clipping), step)
    restore_subnormals(before)


@linked
def update_units(work, units_begin, units_end, tile_offset, chunk, step, weight, extras):
    """Sum the gradient of some units over the chunk's rows.

    If there are several groups, `grad` already has the sum of each group, so only these sums are added up. After a
    batch's last chunk, if W > 0, add the L2 term, divide by W, and update the units. If the plan clips, `step_units`
    updates the units instead. If the plan has no sweep, theta stays as it is. work: pointer to a
    `step.Work`. step: a `Step`. weight: W of the batch.
    """
    job = pointed(work).job
    plan, scratch = job.plan, job.scratch
    theta, grad = job.parameters.theta, job.parameters.grad
    tiles, squares, rates = scratch.tiles, scratch.squares, job.rates
    grouped, steps = plan.n_groups > 1, plan.sweep != 0
    if extras is not None:
        steps = steps and not plan.clips
    before = flush_subnormals()
    for u in range(units_begin, units_end):
        unit = job.units[u]
        offset, size = unit.offset, unit.n_rows * unit.n_columns
        g = part(grad, offset, size) if grouped else part(tiles, tile_offset, size)
        if grouped:
            for group in range(1, plan.n_groups):
                add(grad, group * theta.size + offset, g, 0, size)
        else:
            _gradient(job, unit, runtime(0), runtime(0), chunk.rows, g)
            if not chunk.batch_begins:
                add(grad, offset, g, 0, size)
        if chunk.batch_ends and weight > 0.0:
            alpha = 0.0 if unit.row == 0 else rates.alpha
            if steps:
                _update(job, u, Sums(g, alpha, 1.0 / weight), step)
            else:
                sum_of_squares = _finish_gradient(g, theta, offset, size, alpha, weight)
                squares[u] = 0.0 if unit.row == 0 else sum_of_squares
            if extras is not None and plan.clips:
                _sum_squares(g, part(extras.norms, u * NORM_SIZE, NORM_SIZE))
        if not grouped and not (chunk.batch_ends and steps):
            copy(g, runtime(0), grad, offset, size)
    restore_subnormals(before)
