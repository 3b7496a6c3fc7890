"""Backpropagation: forward, delta recursion and gradient, a block of examples or a unit of parameters at a time.

A step has two phases. First every example: its rows of all a^(l), then of all delta^(l). Then every unit of parameters,
some rows of one panel of Theta^(l): its gradient, summed over the examples, and its update while it is in cache. Within
a phase nothing depends on anything else, so either may be cut among threads anywhere and the bits stay the same.

Examples go through in chunks of a size that depends on the network alone, so memory does not grow with their number. A
batch of several chunks adds their gradients up in `grad` and is updated with its last one.

What the functions here share, arrays flat but for the tables:

layers      table, a row per layer l, see the fields below; layer 0 is the input, a^(1) of the formulas
units       table, a row per unit of parameters, see below; task i has the units from tasks[i] to tasks[i + 1]
parameters  (theta, theta_t, grad, first, second):
            theta    Theta^(l) of all layers, in panels (products.py); grad and the optimiser's first, second: likewise
            theta_t  Theta^(l)[1:] transposed, in panels, below a row of zeros in place of the bias: for `backward`, and
                     for `forward` to a narrow layer
buffers     (a, z, y, cost, tiles, squares, starts, heads, entries, entry_rows):
            a        a^(l) of all layers, (chunk, padded) each in panels, after a[0] = a_0 = 1, which all share; of a
                     sparse X the chunk's stored entries in place of a^(1)
            z        z^(l), which becomes g'(z^(l)) and then delta^(l)
            y, cost  targets and costs of the chunk's rows
            tiles    room for one unit of gradient per task
            squares  sum of Theta^2 per unit
            starts, heads, entries, entry_rows: where the entries of a sparse X are, see sparse.py
examples    (X32, X64, strides, indices, indptr, codes, Y, weights): the data, see gather.py; `order` picks its rows
plan        sizes, and the addresses of kernels, see below
record      (t, partial, total): steps taken; sums of the unfinished batch; sums of the epoch
"""

from numba import prange

from .activations import activate, differentiate
from .elementary import constant
from .gather import gather_examples, gather_targets, total_weight
from .jit import call, entry, inlined, linked, parallel_entry, runtime
from .losses import output_delta, outputs
from .optimizers import ALPHA, EVALUATE, NONE, step_size, update
from .products import PANEL_BYTES, UNIT_ROWS, affine, narrow_outer_sum, outer_sum, panel_at, place
from .simd import (
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
    sum_of_squares,
    transposed,
)
from .simd import tile as shape
from .subnormals import flush_subnormals, restore_subnormals

# Fields of `layers`: units, units padded to whole vectors, units of a panel of a^(l) and z^(l), and where the layer's
# data begins in each vector; THETA and THETA_T of layer l are the parameters from l to l + 1. Then addresses: of g and
# g', of both products for a full panel of theta and for the last one, and of `dots` where the layer is narrow and
# l > 1, else 0.
WIDTH, PADDED, PANEL, A, Z, THETA, THETA_T, *ADDRESSES, LAYER_FIELDS = range(15)
G, SLOPE, AFFINE, LAST_AFFINE, OUTER, LAST_OUTER, DOTS = ADDRESSES

# Fields of `plan`: rows of a batch, a chunk and a block, the code of the optimiser; then addresses: of `update`,
# `output_delta` and `outputs`, and for a sparse X of `scatter_rows` or of all else in sparse.py; then which of a
# chunk's tasks a call does: [first, last) of phase 1 and [first, last) of phase 2.
BATCH, CHUNK, BLOCK, OPTIMIZER, SWEEP, DELTA, OUTPUTS, SCATTER, *SPARSE_AND_SHARE, PLAN_FIELDS = range(17)
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
            if l == 0 and plan[SCATTER]:
                call(
                    plan[SCATTER],
                    (X32, X64, indices, indptr, order, start, first, rows, width, a, i, panel, n, chunk),
                )
            elif l == 0:
                gather_examples(X32, X64, strides, order, start, first, rows, width, a, i, panel, n, chunk)
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
    for r in range(0, units[u, N_ROWS], lanes):
        rows, unit = min(lanes, units[u, N_ROWS] - r), units[u, ROW] - 1 + r  # of layer l: a column of theta_t
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
            column = part(theta, i + k, (rows - 1) * step + 1)
            for q in range(rows):
                row_t[q] = column[q * step]
            k += 1


@entry
def transpose_all(layers, units, theta, theta_t):
    """theta_t from theta; its rows of zeros and padded columns are left as they are."""
    for u in range(units.shape[0]):
        _transpose(layers, units, u, theta, theta_t)


@inlined
def _finish_gradient(grad, theta, i, n, alpha, weight):
    """grad[:n] = (grad[:n] + alpha theta[i : i + n]) / W; n: a multiple of a vector."""
    scale, strength = splat(shape(1, 1), grad, 1.0 / weight), splat(shape(1, 1), grad, alpha)
    lanes = VECTOR_BYTES // grad.itemsize
    check_multiple(n, lanes)
    for k in range(0, n, lanes):
        g = multiply_add(load(shape(1, 1), grad, k, 0), strength, load(shape(1, 1), theta, i + k, 0))
        store(g * scale, grad, k, 0)


@linked
def _run_parameters(
    layers, units, begin, end, parameters, buffers, tile, rows, begins, ends, plan, rates, step, weight
):
    """Phase 2: gradient of units [begin, end) over the chunk's rows; after a batch's last chunk, penalty and update.

    D = (sum_i [1, a]^T delta + alpha Theta) / W, row 0 without the penalty. tile: where the task's room begins in
    `tiles`.
    """
    theta, theta_t, grad, first, second = parameters
    a, z, _, _, tiles, squares, _, heads, entries, entry_rows = buffers
    optimizer = plan[OPTIMIZER]
    before = flush_subnormals()
    g, panel = part(tiles, tile, UNIT_BYTES // theta.itemsize), PANEL_BYTES // theta.itemsize
    for u in range(begin, end):
        l, row, width, offset = units[u, LAYER], units[u, ROW], units[u, N_COLUMNS], units[u, OFFSET]
        size = units[u, N_ROWS] * width
        # the bias row multiplies a[0] = 1, the same for every example
        i_a, lda = 0, 0
        if row > 0:
            i_a, lda = place(layers[l, A], layers[l, PANEL], layers[l, PADDED], plan[CHUNK], 0, row - 1)
        panel_next, n_next = layers[l + 1, PANEL], layers[l + 1, PADDED]
        i_delta, n = place(layers[l + 1, Z], panel_next, n_next, plan[CHUNK], 0, units[u, COLUMN])
        if l == 0 and row > 0 and heads.size:
            call(
                plan[SPARSE_OUTER],
                (units[u, N_ROWS], row - 1, heads, entries, entry_rows, a, layers[0, A], z, i_delta, n, g, width),
            )
        elif row > 0 and layers[l + 1, DOTS]:
            full, last = layers[l, OUTER], layers[l, LAST_OUTER]
            scratch = part(tiles, tile + size, UNIT_BYTES // theta.itemsize - size)
            narrow_outer_sum(
                full, last, units[u, N_ROWS], rows, a, i_a, lda, z, i_delta, n, layers[l + 1, WIDTH], g, width, scratch
            )
        else:
            kernel = layers[l + 1, OUTER] if width == panel else layers[l + 1, LAST_OUTER]
            outer_sum(kernel, units[u, N_ROWS], rows, a, i_a, lda, z, i_delta, n, g)

        if not begins:
            add(grad, offset, g, 0, size)
        if ends and weight > 0.0:
            alpha = 0.0 if row == 0 else rates[ALPHA]
            squares[u] = 0.0 if alpha == 0.0 else sum_of_squares(theta, offset, size)
            _finish_gradient(g, theta, offset, size, alpha, weight)
            if optimizer != NONE:
                update(plan[SWEEP], rates, step, theta, offset, size, g, first, second)
                _transpose(layers, units, u, theta, theta_t)
        if not ends or optimizer == NONE:
            copy(g, 0, grad, offset, size)
    restore_subnormals(before)


@inlined
def _rows_of_chunk(start, batch, n, chunk):
    """(rows, whether a batch begins, whether it ends) of the chunk that begins at example `start` of an epoch of n."""
    within = start % batch
    end = min(start - within + batch, n)
    rows = min(chunk, end - start)
    return rows, within == 0, start + rows == end


@inlined
def _index_chunk(buffers, examples, order, start, rows, plan):
    """Number and sort the entries of a chunk of a sparse X."""
    _, _, _, _, _, _, starts, heads, entries, entry_rows = buffers
    indices, indptr = examples[3], examples[4]
    if plan[NUMBER_ENTRIES]:
        call(plan[NUMBER_ENTRIES], (indptr, order, start, rows, starts))
        if plan[OPTIMIZER] != EVALUATE:
            call(
                plan[SORT_ENTRIES],
                (indices, indptr, order, start, rows, starts, heads, entries, entry_rows),
            )


@inlined
def _finish_chunk(buffers, examples, order, start, rows, begins, record):
    """Add a chunk's costs and weights to its batch, in the order of its rows."""
    cost, partial = buffers[3], record[1]
    if begins:
        partial[COST] = 0.0
        partial[WEIGHT] = 0.0
    for i in range(rows):
        partial[COST] += cost[i]
    partial[WEIGHT] += total_weight(examples[7], order, start, start + rows)


@inlined
def _finish_batch(buffers, rows, alpha, record):
    """Add J = (sum_i w_i C_i + alpha / 2 sum Theta^2) / W of a batch, times its rows; a batch with W = 0 is skipped."""
    squares, (t, partial, total) = buffers[5], record
    if partial[WEIGHT] > 0.0:
        penalty = 0.0
        if alpha != 0.0:
            for u in range(squares.size):
                penalty += squares[u]
        t[0] += 1
        total[LOSS] += (partial[COST] + 0.5 * alpha * penalty) / partial[WEIGHT] * rows
        total[COUNT] += rows


@entry
def train_serial(layers, units, tasks, parameters, buffers, examples, order, start, stop, plan, rates, record):
    """Train on examples order[start:stop] in batches, by whole chunks.

    Batches begin at multiples of plan's batch in `order`. With optimizer NONE, `grad` is all that changes. With
    EVALUATE nothing does; its tasks have no units. A chunk that is too much for one call takes several, of one chunk
    each, which do its tasks in turn: first those of phase 1, then those of phase 2.
    """
    batch, chunk, optimizer = plan[BATCH], plan[CHUNK], plan[OPTIMIZER]
    n_tasks, first_2 = tasks.size - 1, plan[FIRST_2]
    room = UNIT_BYTES // buffers[4].itemsize
    while start < stop:
        rows, begins, ends = _rows_of_chunk(start, batch, order.size, chunk)
        task_rows = -(-rows // (ROWS * n_tasks)) * ROWS
        if plan[FIRST_1] == 0:
            _index_chunk(buffers, examples, order, start, rows, plan)
        for i in range(plan[FIRST_1], plan[LAST_1]):
            first, last = min(i * task_rows, rows), min((i + 1) * task_rows, rows)
            _run_examples(layers, parameters, buffers, examples, order, start, first, last, plan)
        if plan[FIRST_1] < n_tasks and plan[LAST_1] == n_tasks:
            _finish_chunk(buffers, examples, order, start, rows, begins, record)
        weight = record[1][WEIGHT]
        step = step_size(optimizer, rates, record[0][0] + 1)
        for i in range(first_2, plan[LAST_2]):
            first, last, tile = tasks[i], tasks[i + 1], (i - first_2) * room
            _run_parameters(
                layers, units, first, last, parameters, buffers, tile, rows, begins, ends, plan, rates, step, weight
            )
        start += rows
        if ends and plan[LAST_2] == n_tasks:
            _finish_batch(buffers, (start - 1) % batch + 1, rates[ALPHA], record)


@parallel_entry
def train_parallel(layers, units, tasks, parameters, buffers, examples, order, start, stop, plan, rates, record):
    """`train_serial`, its tasks in parallel: the same text, but a function of its own for the cache's sake."""
    batch, chunk, optimizer = plan[BATCH], plan[CHUNK], plan[OPTIMIZER]
    n_tasks, first_2 = tasks.size - 1, plan[FIRST_2]
    room = UNIT_BYTES // buffers[4].itemsize
    while start < stop:
        rows, begins, ends = _rows_of_chunk(start, batch, order.size, chunk)
        task_rows = -(-rows // (ROWS * n_tasks)) * ROWS
        if plan[FIRST_1] == 0:
            _index_chunk(buffers, examples, order, start, rows, plan)
        for i in prange(plan[FIRST_1], plan[LAST_1]):
            first, last = min(i * task_rows, rows), min((i + 1) * task_rows, rows)
            _run_examples(layers, parameters, buffers, examples, order, start, first, last, plan)
        if plan[FIRST_1] < n_tasks and plan[LAST_1] == n_tasks:
            _finish_chunk(buffers, examples, order, start, rows, begins, record)
        weight = record[1][WEIGHT]
        step = step_size(optimizer, rates, record[0][0] + 1)
        for i in prange(first_2, plan[LAST_2]):
            first, last, tile = tasks[i], tasks[i + 1], (i - first_2) * room
            _run_parameters(
                layers, units, first, last, parameters, buffers, tile, rows, begins, ends, plan, rates, step, weight
            )
        start += rows
        if ends and plan[LAST_2] == n_tasks:
            _finish_batch(buffers, (start - 1) % batch + 1, rates[ALPHA], record)


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


@entry
def predict_serial(layers, n_tasks, theta, theta_t, a, z, starts, inputs, order, start, stop, plan, out):
    """out[i] = a^(L) of example order[i], for i in [start, stop); inputs: the first five of `examples`."""
    chunk = plan[CHUNK]
    for begin in range(start, stop, chunk):
        rows = min(chunk, stop - begin)
        share = -(-rows // (ROWS * n_tasks)) * ROWS
        if plan[NUMBER_ENTRIES]:
            call(plan[NUMBER_ENTRIES], (inputs[4], order, begin, rows, starts))
        for i in range(n_tasks):
            first, last = min(i * share, rows), min((i + 1) * share, rows)
            _run_predictions(layers, theta, theta_t, a, z, starts, inputs, order, begin, first, last, plan, out)


@parallel_entry
def predict_parallel(layers, n_tasks, theta, theta_t, a, z, starts, inputs, order, start, stop, plan, out):
    """`predict_serial`, its tasks in parallel."""
    chunk = plan[CHUNK]
    for begin in range(start, stop, chunk):
        rows = min(chunk, stop - begin)
        share = -(-rows // (ROWS * n_tasks)) * ROWS
        if plan[NUMBER_ENTRIES]:
            call(plan[NUMBER_ENTRIES], (inputs[4], order, begin, rows, starts))
        for i in prange(n_tasks):
            first, last = min(i * share, rows), min((i + 1) * share, rows)
            _run_predictions(layers, theta, theta_t, a, z, starts, inputs, order, begin, first, last, plan, out)
