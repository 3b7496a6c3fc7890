"""Backpropagation: forward, delta recursion and gradient, a block of examples or a unit of parameters at a time.

A step has two phases. First every example: its rows of all a^(l), then of all delta^(l). Then every unit of parameters,
some rows of one panel of Theta^(l): its gradient, summed over the examples, and its update while it is in cache. Within
a phase nothing depends on anything else, so either may be cut among threads anywhere and the bits stay the same. The
threads of a call wait for each other between phases, see barrier.py.

Examples go through in chunks of a size that depends on network and batch alone, so memory does not grow with their
number. A batch of several chunks adds their gradients up in `grad` and is updated with its last one.

What costs two threads most is to read what the other has written. Where parameters are few, a chunk is cut into groups
of rows, whose number does not depend on the threads. Each group's gradient is summed apart, if possible by the thread
that ran its examples: then gradients change hands, and not activations. Their sum and the update are phase 2.

What the functions here share, arrays flat but for the tables:

layers      table, a row per layer l, see the fields below; layer 0 is the input, a^(1) of the formulas
units       table, a row per unit of parameters, see below; task i has the units from tasks[i] to tasks[i + 1]
parameters  (theta, theta_t, grad, first, second):
            theta    Theta^(l) of all layers, in panels (products.py); grad and the optimiser's first, second: likewise,
                     but grad once for each group
            theta_t  Theta^(l)[1:] transposed, in panels, below a row of zeros in place of the bias: for `backward`, and
                     for `forward` to a narrow layer
buffers     (a, z, y, cost, tiles, squares, starts, heads, entries, entry_rows):
            a        a^(l) of all layers, (chunk, padded) each in panels, after a[0] = a_0 = 1, which all share; of a
                     sparse X the chunk's stored entries in place of a^(1)
            z        z^(l), which becomes g'(z^(l)) and then delta^(l)
            y, cost  targets and costs of the chunk's rows
            tiles    room for one unit of gradient per thread
            squares  sum of Theta^2 per unit
            starts, heads, entries, entry_rows: where the entries of a sparse X are, see sparse.py
crew        who takes part in the call, see barrier.py
examples    (X32, X64, strides, indices, indptr, codes, Y, weights): the data, see gather.py; `order` picks its rows
plan        sizes, and the addresses of kernels, see below
record      (t, partial, total): steps taken; sums of the unfinished batch; sums of the epoch
"""

from numba import prange

from .activations import activate, differentiate
from .compiling.jit import call, entry, inlined, linked, parallel_entry, runtime
from .elementary import constant
from .gather import gather_targets, total_weight
from .losses import output_delta, outputs
from .machine.barrier import assemble, join, meet, n_threads, share
from .machine.simd import (
    ROWS,
    VECTOR_BYTES,
    add,
    check_multiple,
    copy,
    load,
    multiply_add,
    part,
    splat,
    square,
    store,
    total,
    transposed,
    zeros,
)
from .machine.simd import tile as shape
from .machine.subnormals import flush_subnormals, restore_subnormals
from .optimizers import ALPHA, EVALUATE, NONE, step_size, update
from .products import PANEL_BYTES, UNIT_ROWS, affine, narrow_outer_sum, outer_sum, panel_at, place

# Fields of `layers`: units, units padded to whole vectors, units of a panel of a^(l) and z^(l), and where the layer's
# data begins in each vector; THETA and THETA_T of layer l are the parameters from l to l + 1. Then addresses: of g and
# g', of both products for a full panel of theta and for the last one, and of `dots` where the layer is narrow and
# l > 1, else 0.
WIDTH, PADDED, PANEL, A, Z, THETA, THETA_T, *ADDRESSES, LAYER_FIELDS = range(15)
G, SLOPE, AFFINE, LAST_AFFINE, OUTER, LAST_OUTER, DOTS = ADDRESSES

# Fields of `plan`: rows of a batch, a chunk and a block, groups of a chunk's rows, the code of the optimiser; then
# addresses: of `update`, `output_delta` and `outputs`, of what makes a^(1) of X, and for a sparse X, unless it is made
# dense, of all else in sparse.py; then which of a chunk's tasks a call does: [first, last) of phase 1 and of phase 2.
BATCH, CHUNK, BLOCK, GROUPS, OPTIMIZER, SWEEP, DELTA, OUTPUTS, GATHER, *SPARSE_AND_SHARE, PLAN_FIELDS = range(18)
*SPARSE, FIRST_1, LAST_1, FIRST_2, LAST_2 = SPARSE_AND_SHARE
NUMBER_ENTRIES, SORT_ENTRIES, FIRST_AFFINE, SPARSE_OUTER = SPARSE

# Fields of `units`: rows [ROW, ROW + N_ROWS) and columns [COLUMN, COLUMN + N_COLUMNS) of Theta of layer LAYER, which
# lie at OFFSET in theta, contiguous. The bias row 0 is a unit of its own: L2 spares it.
LAYER, ROW, N_ROWS, COLUMN, N_COLUMNS, OFFSET, UNIT_FIELDS = range(7)
# Room for the gradient of one, which stays in the first-level cache.
UNIT_BYTES = UNIT_ROWS * PANEL_BYTES

# Fields of `partial`, what is known of a batch whose last chunk is still to come: sum of w_i C_i, and W.
COST, WEIGHT, PARTIAL_FIELDS = range(3)

# Fields of `total`: sum over batches of J times rows, rows.
LOSS, COUNT, TOTAL_FIELDS = range(3)


@inlined
def forward(layers, theta, theta_t, a, z, inputs, order, start, first, rows, starts, plan):
    """z^(l+1) = [1, a^(l)] Theta^(l), a^(l+1) = g(z^(l+1)) for rows [first, first + rows) of the chunk, up to z^(L).

    Reads the examples, order[start + first] and on, into a^(1) first.
    """
    X32, X64, strides, indices, indptr = inputs
    last, chunk = layers.shape[0] - 1, plan[CHUNK]
    for l in range(last):
        width, n, panel, i = layers[l, WIDTH], layers[l, PADDED], layers[l, PANEL], layers[l, A]
        n_next, panel_next, i_next = layers[l + 1, PADDED], layers[l + 1, PANEL], layers[l + 1, Z]
        if l == 0 and plan[FIRST_AFFINE]:
            call(
                plan[FIRST_AFFINE],
                (
                    X32, X64, indices, indptr, order, start, first, rows, starts,
                    a, i, theta, layers[0, THETA], width, z, i_next, panel_next, n_next, chunk,
                ),
            )  # fmt: skip
        elif layers[l + 1, DOTS]:
            call(
                layers[l + 1, DOTS],
                (
                    first, rows, chunk, layers[l + 1, WIDTH], a, i, n, width, theta, layers[l, THETA],
                    part(theta_t, layers[l, THETA_T], (1 + layers[l + 1, WIDTH]) * n), z, i_next, n_next,
                ),
            )  # fmt: skip
        else:
            if l == 0:
                call(
                    plan[GATHER],
                    (X32, X64, strides, indices, indptr, order, start, first, rows, width, a, i, panel, n, chunk),
                )
            affine(
                layers[l + 1, AFFINE], layers[l + 1, LAST_AFFINE], first, rows, chunk, a, i, panel, n, width,
                theta, layers[l, THETA], z, i_next, panel_next, n_next, runtime(False),
            )  # fmt: skip
        if l + 1 < last:
            for column in range(0, n_next, panel_next):
                at, step = panel_at(0, panel_next, n_next, chunk, first, column)
                z_p, a_p = part(z, i_next + at, rows * step), part(a, layers[l + 1, A] + at, rows * step)
                activate(layers[l + 1, G], z_p, a_p)


@inlined
def backward(layers, theta_t, a, z, first, rows, chunk):
    """delta^(l) = (delta^(l+1) Theta^(l)[1:]^T) * g'(z^(l)), from delta^(L) in z; overwrites the z of hidden layers."""
    for l in range(layers.shape[0] - 2, 0, -1):
        n, panel, i = layers[l, PADDED], layers[l, PANEL], layers[l, Z]
        for column in range(0, n, panel):
            at, step = panel_at(0, panel, n, chunk, first, column)
            differentiate(layers[l, SLOPE], part(a, layers[l, A] + at, rows * step), part(z, i + at, rows * step))
        affine(
            layers[l, AFFINE], layers[l, LAST_AFFINE], first, rows, chunk,
            z, layers[l + 1, Z], layers[l + 1, PANEL], layers[l + 1, PADDED], layers[l + 1, WIDTH],
            theta_t, layers[l, THETA_T], z, i, panel, n, runtime(True),
        )  # fmt: skip


@inlined
def _weigh(weights, order, start, rows, padded, delta, cost):
    """Multiply each example's cost and delta^(L) by its weight; weight 0 removes even what is not finite."""
    for i in range(rows):
        w = weights[order[start + i]]
        delta_i = part(delta, i * padded, padded)
        cost[i] = w * cost[i] if w > 0.0 else 0.0
        for k in range(padded):
            delta_i[k] = constant(w, delta_i[k]) * delta_i[k] if w > 0.0 else constant(0, delta_i[k])


@linked
def _run_examples(layers, parameters, buffers, examples, order, start, first, stop, plan):
    """Phase 1: costs and all delta^(l) of rows [first, stop) of the chunk that begins at order[start]."""
    theta, theta_t, _, _, _ = parameters
    a, z, y, cost, _, _, starts, _, _, _ = buffers
    X32, X64, strides, indices, indptr, codes, Y, weights = examples
    inputs = X32, X64, strides, indices, indptr
    block = plan[BLOCK]
    last = layers.shape[0] - 1
    width, n = layers[last, WIDTH], layers[last, PADDED]
    before = flush_subnormals()
    for i in range(first, stop, block):
        rows, begin = min(block, stop - i), start + i
        forward(layers, theta, theta_t, a, z, inputs, order, start, i, rows, starts, plan)

        a_i, z_i = part(a, layers[last, A] + i * n, rows * n), part(z, layers[last, Z] + i * n, rows * n)
        y_i, cost_i = part(y, i * n, rows * n), part(cost, i, rows)
        gather_targets(codes, Y, order, begin, rows, width, y_i)
        output_delta(plan[DELTA], z_i, a_i, y_i, rows, width, n, cost_i, layers[last, G], layers[last, SLOPE])
        if weights.size:
            _weigh(weights, order, begin, rows, n, z_i, cost_i)
        if plan[OPTIMIZER] != EVALUATE:
            backward(layers, theta_t, a, z, i, rows, plan[CHUNK])
    restore_subnormals(before)


@inlined
def _transpose(layers, units, u, theta, theta_t):
    """Copy unit u into theta_t, where the delta recursion needs it."""
    l = units[u, LAYER]
    if l == 0 or units[u, ROW] == 0:
        return  # there is no delta^(1), and the bias has no delta
    lanes, panel = VECTOR_BYTES // theta.itemsize, PANEL_BYTES // theta.itemsize
    step, columns = units[u, N_COLUMNS], min(units[u, N_COLUMNS], layers[l + 1, WIDTH] - units[u, COLUMN])
    n_rows, first = units[u, N_ROWS], units[u, ROW] - 1  # of layer l: columns of theta_t
    for begin in range(0, n_rows, lanes):
        r, rows = begin, min(lanes, n_rows - begin)
        if rows < lanes <= n_rows and (first + n_rows - lanes) // panel == (first + n_rows - 1) // panel:
            r, rows = n_rows - lanes, lanes  # some once more, so that the last ones fill a vector
        unit = first + r
        left = unit // panel * panel
        width = min(panel, layers[l, PADDED] - left)
        i = units[u, OFFSET] + r * step
        i_t = layers[l, THETA_T] + left * (1 + layers[l + 1, WIDTH]) + (1 + units[u, COLUMN]) * width + unit - left
        k = 0
        while rows == lanes and columns - k >= lanes:
            store(transposed(load(square(theta), theta, i + k, step)), theta_t, i_t + k * width, width)
            k += lanes
        while k < columns:
            row_t = part(theta_t, i_t + k * width, rows)
            for q in range(rows):
                row_t[q] = part(theta, i + k + q * step, 1)[0]  # which need not ask whether an index is negative
            k += 1


@entry
def transpose_all(layers, units, theta, theta_t):
    """theta_t from theta; its rows of zeros and padded columns are left as they are."""
    for u in range(units.shape[0]):
        _transpose(layers, units, u, theta, theta_t)


@inlined
def _finish_gradient(grad, theta, i, n, alpha, weight):
    """grad[:n] = (grad[:n] + alpha theta[i : i + n]) / W, and the sum of theta[i : i + n]^2; n: a multiple of a vector.

    Each lane of a vector adds up in theta's type, the lanes in float64.
    """
    scale, strength = splat(shape(1, 1), grad, 1.0 / weight), splat(shape(1, 1), grad, alpha)
    lanes, squares = VECTOR_BYTES // grad.itemsize, zeros(shape(1, 1), grad)
    check_multiple(n, lanes)
    for k in range(0, n, lanes):
        row = load(shape(1, 1), theta, i + k, 0)
        squares = multiply_add(squares, row, row)
        g = multiply_add(load(shape(1, 1), grad, k, 0), strength, row)
        store(g * scale, grad, k, 0)
    return total(squares)


@inlined
def _gradient(layers, units, u, buffers, group, first, rows, plan, g, scratch):
    """g = sum of [1, a]^T delta of unit u over rows [first, first + rows) of the chunk, those of a group or all."""
    a, z, _, _, _, _, _, heads, entries, entry_rows = buffers
    l, row, width, chunk = units[u, LAYER], units[u, ROW], units[u, N_COLUMNS], plan[CHUNK]
    # the bias row multiplies a[0] = 1, the same for every example
    i_a, lda = 0, 0
    if row > 0:
        i_a, lda = place(layers[l, A], layers[l, PANEL], layers[l, PADDED], chunk, first, row - 1)
    i_delta, n = place(layers[l + 1, Z], layers[l + 1, PANEL], layers[l + 1, PADDED], chunk, first, units[u, COLUMN])
    if l == 0 and row > 0 and heads.size:
        call(
            plan[SPARSE_OUTER],
            (
                units[u, N_ROWS], row - 1, part(heads, group * (1 + layers[0, WIDTH]), 1 + layers[0, WIDTH]),
                entries, entry_rows, a, layers[0, A], z, i_delta, n, g, width,
            ),
        )  # fmt: skip
    elif row > 0 and layers[l + 1, DOTS]:
        narrow_outer_sum(
            layers[l, OUTER], layers[l, LAST_OUTER], units[u, N_ROWS], rows, a, i_a, lda, z, i_delta, n,
            layers[l + 1, WIDTH], g, width, scratch,
        )  # fmt: skip
    else:
        kernel = layers[l + 1, OUTER] if width == PANEL_BYTES // g.itemsize else layers[l + 1, LAST_OUTER]
        outer_sum(kernel, units[u, N_ROWS], rows, a, i_a, lda, z, i_delta, n, g)


@linked
def _run_group(layers, units, begin, end, theta, grad, buffers, tile, group, first, rows, begins, plan):
    """Phase 2 by groups: add a group's rows to its gradient of units [begin, end)."""
    tiles, room = buffers[4], UNIT_BYTES // theta.itemsize
    before = flush_subnormals()
    for u in range(begin, end):
        size, offset = units[u, N_ROWS] * units[u, N_COLUMNS], group * theta.size + units[u, OFFSET]
        g = part(grad, offset, size) if begins else part(tiles, tile, size)
        _gradient(layers, units, u, buffers, group, first, rows, plan, g, part(tiles, tile + size, room - size))
        if not begins:
            add(g, 0, grad, offset, size)
    restore_subnormals(before)


@linked
def _run_parameters(
    layers, units, begin, end, parameters, buffers, tile, rows, begins, ends, plan, rates, step, weight
):
    """Phase 2: gradient of units [begin, end) over the chunk's rows; after a batch's last chunk, penalty and update.

    D = (sum_i [1, a]^T delta + alpha Theta) / W, row 0 without the penalty; by groups, the sum over i is there but for
    the sum over groups. tile: where the thread's room begins in `tiles`.
    """
    theta, theta_t, grad, first, second = parameters
    tiles, squares, room = buffers[4], buffers[5], UNIT_BYTES // theta.itemsize
    optimizer, grouped = plan[OPTIMIZER], plan[GROUPS] > 1
    before = flush_subnormals()
    for u in range(begin, end):
        row, offset = units[u, ROW], units[u, OFFSET]
        size = units[u, N_ROWS] * units[u, N_COLUMNS]
        g = part(grad, offset, size) if grouped else part(tiles, tile, size)
        if grouped:
            for group in range(1, plan[GROUPS]):
                add(grad, group * theta.size + offset, g, 0, size)
        else:
            none = runtime(0)
            _gradient(layers, units, u, buffers, none, none, rows, plan, g, part(tiles, tile + size, room - size))
            if not begins:
                add(grad, offset, g, 0, size)
        if ends and weight > 0.0:
            alpha = 0.0 if row == 0 else rates[ALPHA]
            sum_of_squares = _finish_gradient(g, theta, offset, size, alpha, weight)
            squares[u] = 0.0 if alpha == 0.0 else sum_of_squares
            if optimizer != NONE:
                update(plan[SWEEP], rates, step, theta, offset, size, g, first, second)
                _transpose(layers, units, u, theta, theta_t)
        if not grouped and (not ends or optimizer == NONE):
            copy(g, runtime(0), grad, offset, size)
    restore_subnormals(before)


@inlined
def _rows_of_chunk(start, batch, n, chunk):
    """(rows, whether a batch begins, whether it ends) of the chunk that begins at example `start` of an epoch of n."""
    within = start % batch
    end = min(start - within + batch, n)
    rows = min(chunk, end - start)
    return rows, within == 0, start + rows == end


@inlined
def _sort_group(layers, buffers, examples, order, start, group, first, last, plan):
    """Sort the entries of rows [first, last) of a chunk of a sparse X, of that group, by columns."""
    starts, heads, entries, entry_rows = buffers[6:10]
    size = 1 + layers[0, WIDTH]
    call(
        plan[SORT_ENTRIES],
        (
            examples[3], examples[4], order, start, first, last, starts, part(heads, group * size, size),
            entries, entry_rows,
        ),
    )  # fmt: skip


@inlined
def _begin_chunk(examples, order, start, rows, begins, record):
    """Add a chunk's weights to its batch."""
    partial = record[1]
    if begins:
        partial[COST] = 0.0
        partial[WEIGHT] = 0.0
    partial[WEIGHT] += total_weight(examples[7], order, start, start + rows)


@inlined
def _finish_chunk(cost, rows, record):
    """Add a chunk's costs to its batch, in the order of its rows."""
    partial = record[1]
    for i in range(rows):
        partial[COST] += cost[i]


@inlined
def _finish_batch(squares, rows, alpha, record):
    """Add J = (sum_i w_i C_i + alpha / 2 sum Theta^2) / W of a batch, times its rows; a batch with W = 0 is skipped."""
    t, partial, total = record
    if partial[WEIGHT] > 0.0:
        penalty = 0.0
        if alpha != 0.0:
            for u in range(squares.size):
                penalty += squares[u]
        t[0] += 1
        total[LOSS] += (partial[COST] + 0.5 * alpha * penalty) / partial[WEIGHT] * rows
        total[COUNT] += rows


@linked
def _train(
    rank, members, crew, layers, units, tasks, parameters, buffers, examples, order, start, stop, plan, rates, record
):
    """What one of the members of a crew does of `train_serial`: its share of the tasks of each phase."""
    theta, grad, cost, squares = parameters[0], parameters[2], buffers[3], buffers[5]
    batch, chunk, optimizer, n_groups = plan[BATCH], plan[CHUNK], plan[OPTIMIZER], plan[GROUPS]
    n_tasks, tile = tasks.size - 1, rank * (UNIT_BYTES // theta.itemsize)
    begin_1, end_1 = share(plan[FIRST_1], plan[LAST_1], rank, members)
    begin_2, end_2 = share(plan[FIRST_2], plan[LAST_2], rank, members)
    while start < stop:
        rows, begins, ends = _rows_of_chunk(start, batch, order.size, chunk)
        task_rows, group_rows = -(-rows // (ROWS * n_tasks)) * ROWS, -(-rows // (ROWS * n_groups)) * ROWS
        if plan[FIRST_1] == 0:
            if rank == 0:
                _begin_chunk(examples, order, start, rows, begins, record)
            if plan[NUMBER_ENTRIES]:
                if rank == 0:
                    call(plan[NUMBER_ENTRIES], (examples[4], order, start, rows, buffers[6]))
                meet(crew, members)
                if optimizer != EVALUATE:
                    for group in range(*share(runtime(0), n_groups, rank, members)):
                        first, last = min(group * group_rows, rows), min((group + 1) * group_rows, rows)
                        _sort_group(layers, buffers, examples, order, start, group, first, last, plan)
                if n_groups < n_tasks:
                    meet(crew, members)
        for i in range(begin_1, end_1):
            first, last = min(i * task_rows, rows), min((i + 1) * task_rows, rows)
            _run_examples(layers, parameters, buffers, examples, order, start, first, last, plan)
            if n_groups == n_tasks > 1:
                _run_group(
                    layers, units, runtime(0), units.shape[0], theta, grad, buffers, tile, i, first, last - first,
                    begins, plan,
                )  # fmt: skip
        meet(crew, members)
        if rank == 0 and plan[FIRST_1] < n_tasks and plan[LAST_1] == n_tasks:
            _finish_chunk(cost, rows, record)
        if 1 < n_groups < n_tasks:
            for i in range(begin_2, end_2):
                # instead of all rows of a task's units, a group's rows of the units of n_groups tasks
                group, unit = i % n_groups, i // n_groups * n_groups
                first, last = min(group * group_rows, rows), min((group + 1) * group_rows, rows)
                _run_group(
                    layers, units, tasks[unit], tasks[unit + n_groups], theta, grad, buffers, tile,
                    group, first, last - first, begins, plan,
                )  # fmt: skip
            meet(crew, members)
        if n_groups == 1 or ends:
            weight = record[1][WEIGHT]
            step = step_size(optimizer, rates, record[0][0] + 1)
            _run_parameters(
                layers, units, tasks[begin_2], tasks[end_2], parameters, buffers, tile, rows, begins, ends, plan, rates,
                step, weight,
            )  # fmt: skip
        meet(crew, members)
        start += rows
        if rank == 0 and ends and plan[LAST_2] == n_tasks:
            _finish_batch(squares, (start - 1) % batch + 1, rates[ALPHA], record)


@entry
def train_serial(layers, units, tasks, parameters, buffers, crew, examples, order, start, stop, plan, rates, record):
    """Train on examples order[start:stop] in batches, by whole chunks.

    Batches begin at multiples of plan's batch in `order`. With optimizer NONE, `grad` is all that changes. With
    EVALUATE nothing does; its tasks have no units. A chunk that is too much for one call takes several, of one chunk
    each, which do its tasks in turn: first those of phase 1, then those of phase 2.
    """
    _train(
        runtime(0), runtime(1), crew, layers, units, tasks, parameters, buffers, examples, order, start, stop, plan,
        rates, record,
    )  # fmt: skip


@parallel_entry
def train_parallel(layers, units, tasks, parameters, buffers, crew, examples, order, start, stop, plan, rates, record):
    """`train_serial`, its tasks in parallel."""
    most = min(n_threads(), tasks.size - 1)
    assemble(crew)
    for _ in prange(most):
        rank, members = join(crew, most)
        if rank < members:
            _train(
                rank, members, crew, layers, units, tasks, parameters, buffers, examples, order, start, stop, plan,
                rates, record,
            )  # fmt: skip


@linked
def _run_predictions(layers, theta, theta_t, a, z, starts, inputs, order, start, first, stop, plan, out):
    """a^(L) of rows [first, stop) of the chunk that begins at order[start], into the same rows of out."""
    last = layers.shape[0] - 1
    width, n = layers[last, WIDTH], layers[last, PADDED]
    block = plan[BLOCK]
    for i in range(first, stop, block):
        rows, begin = min(block, stop - i), start + i
        forward(layers, theta, theta_t, a, z, inputs, order, start, i, rows, starts, plan)
        a_i, z_i = part(a, layers[last, A] + i * n, rows * n), part(z, layers[last, Z] + i * n, rows * n)
        outputs(plan[OUTPUTS], layers[last, G], z_i, a_i, rows, width, n)
        for r in range(rows):
            for k in range(width):
                out[begin + r, k] = a_i[k * rows + r]


@linked
def _predict(rank, members, crew, layers, n_tasks, theta, theta_t, a, z, starts, inputs, order, start, stop, plan, out):
    """What one of the members of a crew does of `predict_serial`: its share of each chunk."""
    chunk = plan[CHUNK]
    first_task, last_task = share(runtime(0), n_tasks, rank, members)
    for begin in range(start, stop, chunk):
        rows = min(chunk, stop - begin)
        task_rows = -(-rows // (ROWS * n_tasks)) * ROWS
        meet(crew, members)  # a smaller chunk is shared out otherwise: somebody may still need what lies there
        if plan[NUMBER_ENTRIES]:
            if rank == 0:
                call(plan[NUMBER_ENTRIES], (inputs[4], order, begin, rows, starts))
            meet(crew, members)
        for i in range(first_task, last_task):
            first, last = min(i * task_rows, rows), min((i + 1) * task_rows, rows)
            _run_predictions(layers, theta, theta_t, a, z, starts, inputs, order, begin, first, last, plan, out)


@entry
def predict_serial(layers, n_tasks, theta, theta_t, a, z, starts, crew, inputs, order, start, stop, plan, out):
    """out[i] = a^(L) of example order[i], for i in [start, stop); inputs: the first five of `examples`."""
    _predict(
        runtime(0), runtime(1), crew, layers, n_tasks, theta, theta_t, a, z, starts, inputs, order, start, stop, plan,
        out,
    )  # fmt: skip


@parallel_entry
def predict_parallel(layers, n_tasks, theta, theta_t, a, z, starts, crew, inputs, order, start, stop, plan, out):
    """`predict_serial`, its tasks in parallel."""
    most = min(n_threads(), n_tasks)
    assemble(crew)
    for _ in prange(most):
        rank, members = join(crew, most)
        if rank < members:
            _predict(
                rank, members, crew, layers, n_tasks, theta, theta_t, a, z, starts, inputs, order, start, stop, plan,
                out,
            )  # fmt: skip
