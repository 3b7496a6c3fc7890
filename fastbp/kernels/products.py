"""The two matrix products of backpropagation, as loops of register tiles.

Theta^(l), of 1 + k rows and a padded number of columns, is stored as panels one tile wide: all rows of columns 0 to W,
then all rows of columns W to 2W, and so on, the last panel narrower. A layer's a^(l) or z^(l), of a chunk of rows, is
stored likewise, in panels of whole units of parameters (the output's in one panel, for its units are coupled). So a
tile reads its operands contiguously: rows some power of two apart would share a few places of the caches. Widths are
multiples of a vector, so there is no scalar remainder; the last rows use narrower tiles. Every element is summed in
the order of its index whatever the tile, so a row's bits depend on nothing but the row.
"""

from .compiling.jit import BOOL, INT, VECTOR, call, deferred, inlined
from .elementary import constant
from .machine.simd import (
    HALF,
    ROWS,
    VECTOR_BYTES,
    VECTORS,
    check_multiple,
    columns,
    first_columns,
    load,
    multiply_add,
    prefetch,
    rank1,
    store,
    store_sums,
    tile,
    zeros,
)

PANEL_BYTES = VECTORS * VECTOR_BYTES
# Rows of Theta in a unit of parameters, see backprop.py: of some tiles, which share what a unit costs beyond them.
UNIT_ROWS = 3 * ROWS
# Steps of the loop from asking for an operand to using it (measured in float64 with 784 inputs: 70 % of the peak
# without, 79 % with, `affine`; in float32 86 and 89 %).
AHEAD = 8


@inlined
def _round_up(n, multiple):
    return (n + multiple - 1) // multiple * multiple


@inlined
def layer_panel(panel):
    """Units in a full panel of a layer: whole units of parameters, and whole panels of theta, which have `panel`."""
    return _round_up(UNIT_ROWS, panel)


@inlined
def panel_at(i, panel, padded, chunk, row, left):
    """(index of a row, distance of rows) in the panel whose first unit is `left`, of a layer's panels from i."""
    width = min(panel, padded - left)
    return i + left * chunk + row * width, width


@inlined
def place(i, panel, padded, chunk, row, column):
    """(index, distance of rows) of unit `column` of a row of a layer's panels, see the top, which begin at i."""
    left = column // panel * panel
    i, width = panel_at(i, panel, padded, chunk, row, left)
    return i + column - left, width


@inlined
def _affine_tile(shape, row, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale):
    width, lanes, left = columns(shape, theta), columns(tile(1, 1), theta), 0
    full = layer_panel(VECTORS * lanes)
    acc = load(shape, theta, it, 0)
    if panel == full:  # which is known when compiling
        while left + full <= k:
            i = ix + left * chunk + row * full
            for p in range(full):
                it += width
                prefetch(tile(1, 1), x, i + ROWS * full + p * lanes)  # of the next tile's rows
                prefetch(shape, theta, it + AHEAD * width)
                acc = rank1(acc, x, i + p, full, theta, it)
            left += full
    if left < k:
        i, ldx = panel_at(ix, panel, padded, chunk, row, left)
        for p in range(k - left):
            it += width
            acc = rank1(acc, x, i + p, ldx, theta, it)
    if scale:
        acc = acc * load(shape, z, iz, ldz)
    store(acc, z, iz, ldz)


@inlined
def _affine_rows(full, half, single, first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale):
    i = 0
    # A full tile costs no more than two half ones, so it takes any remainder above HALF; buffers have rows to spare.
    while rows - i > HALF:
        _affine_tile(full, first + i, chunk, x, ix, panel, padded, k, theta, it, z, iz + i * ldz, ldz, scale)
        i += ROWS
    if rows - i > 1:
        _affine_tile(half, first + i, chunk, x, ix, panel, padded, k, theta, it, z, iz + i * ldz, ldz, scale)
        i += HALF
    if rows - i == 1:
        _affine_tile(single, first + i, chunk, x, ix, panel, padded, k, theta, it, z, iz + i * ldz, ldz, scale)


# first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale: see `affine`; of theta and z one panel each
_affine_panel = deferred(INT, INT, INT, VECTOR, INT, INT, INT, INT, VECTOR, INT, VECTOR, INT, INT, BOOL)


@_affine_panel
def affine_1(first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale):
    shapes = tile(ROWS, 1), tile(ROWS, 1), tile(1, 1)  # a half one takes as long, for it waits for each of its sums
    _affine_rows(*shapes, first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale)


@_affine_panel
def affine_2(first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale):
    shapes = tile(ROWS, 2), tile(HALF, 2), tile(1, 2)
    _affine_rows(*shapes, first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale)


@_affine_panel
def affine_3(first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale):
    shapes = tile(ROWS, 3), tile(HALF, 3), tile(1, 3)
    _affine_rows(*shapes, first, rows, chunk, x, ix, panel, padded, k, theta, it, z, iz, ldz, scale)


AFFINE = {1: affine_1, 2: affine_2, 3: affine_3}  # by vectors of a panel


@inlined
def affine(full, last, first, rows, chunk, x, ix, panel_x, padded_x, k, theta, it, z, iz, panel_z, padded_z, scale):
    """z = theta[0] + x theta[1:], or that times z with `scale`, for rows [first, first + rows); overwrites these of z.

    full, last: addresses of the functions above for a full panel of theta and for the last one. x, z: layers in panels,
    from ix and iz; x has k units; theta: panels (1 + k, padded_z), from it. Rows up to the next multiple of a tile's
    may be read and written too.
    """
    lanes, width = VECTOR_BYTES // theta.itemsize, PANEL_BYTES // theta.itemsize
    check_multiple(padded_z, lanes)
    for column in range(0, padded_z, width):
        kernel = full if padded_z - column >= width else last
        i, ldz = place(iz, panel_z, padded_z, chunk, first, column)
        panel = it + column * (1 + k)
        call(kernel, (first, rows, chunk, x, ix, panel_x, padded_x, k, theta, panel, z, i, ldz, scale))


@inlined
def _dots_tile(shape, first, chunk, x, ix, padded, n_units, width, theta_t, k, bias, z, iz, ldz):
    lanes, panel = columns(shape, x), PANEL_BYTES // x.itemsize
    acc = zeros(shape, x)
    for left in range(0, padded, panel):
        i, ldx = place(ix, layer_panel(panel), padded, chunk, first, left)
        n = min(panel, padded - left)
        row = left * (1 + width) + (1 + k) * n
        for p in range(0, n, lanes):
            x_p = load(shape, x, i + p, ldx)
            if n_units - left - p < lanes:  # padding, which may be NaN where a unit before it is infinite
                x_p = first_columns(x_p, n_units - left - p)
            acc = multiply_add(acc, x_p, load(shape, theta_t, row + p, 0))
    store_sums(acc, bias, z, iz + k, ldz)


@deferred(INT, INT, INT, INT, VECTOR, INT, INT, INT, VECTOR, INT, VECTOR, VECTOR, INT, INT)
def dots(first, rows, chunk, width, x, ix, padded, n_units, theta, it, theta_t, z, iz, ldz):
    """z = theta[0] + x theta[1:] for a `width` of a few columns and rows [first, first + rows); overwrites these of z.

    A tile of `affine` would compute a whole vector of columns; here the vector lies along the sum. x: a hidden layer
    of n_units, from ix, theta: one panel, from it, theta_t: its transpose in panels, see backprop.py; z: one panel in
    rows of ldz, from iz.
    """
    i = first
    while i < first + rows:
        left = first + rows - i
        for k in range(width):
            z_i, bias = iz + i * ldz, theta[it + k]
            if left > HALF:
                _dots_tile(tile(ROWS, 1), i, chunk, x, ix, padded, n_units, width, theta_t, k, bias, z, z_i, ldz)
            elif left > 1:
                _dots_tile(tile(HALF, 1), i, chunk, x, ix, padded, n_units, width, theta_t, k, bias, z, z_i, ldz)
            else:
                _dots_tile(tile(1, 1), i, chunk, x, ix, padded, n_units, width, theta_t, k, bias, z, z_i, ldz)
        i += ROWS if left > HALF else HALF if left > 1 else 1


@inlined
def _outer_tile(shape, m, a, ia, lda, delta, i_delta, ld_delta, grad, r):
    width = columns(shape, grad)
    acc = zeros(shape, grad)
    for _ in range(m):
        prefetch(tile(1, 1), a, ia + AHEAD * lda)
        acc = rank1(acc, a, ia, 1, delta, i_delta)
        ia += lda
        i_delta += ld_delta
    store(acc, grad, r * width, width)


@inlined
def _outer_rows(full, half, single, rows, m, a, ia, lda, delta, i_delta, ld_delta, grad):
    r = 0
    while rows - r >= ROWS:
        _outer_tile(full, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r)
        r += ROWS
    if rows - r >= HALF:
        _outer_tile(half, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r)
        r += HALF
    while r < rows:
        _outer_tile(single, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r)
        r += 1


# rows, m, a, ia, lda, delta, i_delta, ld_delta, grad: see `outer_sum`
_outer_panel = deferred(INT, INT, VECTOR, INT, INT, VECTOR, INT, INT, VECTOR)


@_outer_panel
def outer_1(rows, m, a, ia, lda, delta, i_delta, ld_delta, grad):
    _outer_rows(tile(ROWS, 1), tile(HALF, 1), tile(1, 1), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad)


@_outer_panel
def outer_2(rows, m, a, ia, lda, delta, i_delta, ld_delta, grad):
    _outer_rows(tile(ROWS, 2), tile(HALF, 2), tile(1, 2), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad)


@_outer_panel
def outer_3(rows, m, a, ia, lda, delta, i_delta, ld_delta, grad):
    _outer_rows(tile(ROWS, 3), tile(HALF, 3), tile(1, 3), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad)


OUTER = {1: outer_1, 2: outer_2, 3: outer_3}  # by vectors of a panel


@inlined
def narrow_outer_sum(full, last, rows, m, a, ia, lda, delta, i_delta, ld_delta, width, grad, n, scratch):
    """`outer_sum` for a `width` of a few columns: its transpose, which fills whole vectors, transposed back.

    full, last: addresses of the functions above for a whole panel of units and for the last one; grad: (rows, n), its
    columns from `width` on become 0; scratch: room for `width` panels.
    """
    panel = PANEL_BYTES // grad.itemsize
    step = min(panel, _round_up(rows, VECTOR_BYTES // grad.itemsize))
    call(full if step == panel else last, (width, m, delta, i_delta, ld_delta, a, ia, lda, scratch))
    for r in range(rows):
        for k in range(n):
            grad[r * n + k] = scratch[k * step + r] if k < width else constant(0, grad[0])


@inlined
def outer_sum(kernel, rows, m, a, ia, lda, delta, i_delta, ld_delta, grad):
    """grad = sum over m examples of a outer delta, for some rows of Theta and one panel; overwrites grad.

    kernel: address of the function above for the panel's width. a: `rows` neighbouring units of each of m examples, or
    the one a_0 = 1 (rows 1, lda 0); delta: (m, width) in rows of ld_delta; grad: (rows, width), contiguous.
    """
    call(kernel, (rows, m, a, ia, lda, delta, i_delta, ld_delta, grad))
