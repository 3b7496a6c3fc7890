"""The two matrix products of backpropagation, as loops of register tiles.

Theta^(l), of 1 + k rows and a padded number of columns, is stored as panels one tile wide: all rows of columns 0 to W,
then all rows of columns W to 2W, and so on, the last panel narrower. A tile so reads its operand contiguously. Widths
are multiples of a vector, so there is no scalar remainder; the last rows use narrower tiles. Every element is summed
in the order of its index whatever the tile, so a row's bits depend on nothing but the row.
"""

from .elementary import constant
from .jit import BOOL, INT, VECTOR, call, deferred, inlined
from .simd import (
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
# Steps of the loop from asking for an operand to using it: caches do not foresee the strides of `outer_sum` (measured
# with layers of 256 to 784 units: 45 to 67 % of the peak in float64 without, 62 to 77 % with; in float32 74 and 86 %).
AHEAD = 8


@inlined
def _round_up(n, multiple):
    return (n + multiple - 1) // multiple * multiple


@inlined
def _affine_tile(shape, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    width = columns(shape, theta)
    acc = load(shape, theta, it, 0)
    for p in range(k):
        it += width
        acc = rank1(acc, x, ix + p, ldx, theta, it)
    if scale:
        acc = acc * load(shape, z, iz, ldz)
    store(acc, z, iz, ldz)


@inlined
def _affine_rows(full, half, single, rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    i = 0
    # A full tile costs no more than two half ones, so it takes any remainder above HALF; buffers have rows to spare.
    while rows - i > HALF:
        _affine_tile(full, x, ix + i * ldx, ldx, k, theta, it, z, iz + i * ldz, ldz, scale)
        i += ROWS
    if rows - i > 1:
        _affine_tile(half, x, ix + i * ldx, ldx, k, theta, it, z, iz + i * ldz, ldz, scale)
        i += HALF
    if rows - i == 1:
        _affine_tile(single, x, ix + i * ldx, ldx, k, theta, it, z, iz + i * ldz, ldz, scale)


# rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale: see `affine`; theta: one panel
_affine_panel = deferred(INT, VECTOR, INT, INT, INT, VECTOR, INT, VECTOR, INT, INT, BOOL)


@_affine_panel
def affine_1(rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    _affine_rows(tile(ROWS, 1), tile(HALF, 1), tile(1, 1), rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale)


@_affine_panel
def affine_2(rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    _affine_rows(tile(ROWS, 2), tile(HALF, 2), tile(1, 2), rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale)


@_affine_panel
def affine_3(rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    _affine_rows(tile(ROWS, 3), tile(HALF, 3), tile(1, 3), rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale)


AFFINE = {1: affine_1, 2: affine_2, 3: affine_3}  # by vectors of a panel


@inlined
def affine(full, last, rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    """z = theta[0] + x theta[1:], or that times z with `scale`; overwrites z.

    full, last: addresses of the functions above for a full panel and for the last one. x: (rows, k) in rows of ldx,
    theta: panels (1 + k, ldz), z: (rows, ldz). Rows up to the next multiple of a tile's may be read and written too.
    """
    lanes, panel = VECTOR_BYTES // theta.itemsize, PANEL_BYTES // theta.itemsize
    check_multiple(ldz, lanes)
    for column in range(0, ldz, panel):
        kernel = full if ldz - column >= panel else last
        call(kernel, (rows, x, ix, ldx, k, theta, it + column * (1 + k), z, iz + column, ldz, scale))


@inlined
def _dots_tile(shape, x, ix, ldx, n_units, width, theta_t, k, bias, z, iz, ldz):
    lanes, panel = columns(shape, x), PANEL_BYTES // x.itemsize
    acc = zeros(shape, x)
    for left in range(0, ldx, panel):
        n = min(panel, ldx - left)
        row = left * (1 + width) + (1 + k) * n
        for p in range(0, n, lanes):
            x_p = load(shape, x, ix + left + p, ldx)
            if n_units - left - p < lanes:  # padding, which may be NaN where a unit before it is infinite
                x_p = first_columns(x_p, n_units - left - p)
            acc = multiply_add(acc, x_p, load(shape, theta_t, row + p, 0))
    store_sums(acc, bias, z, iz + k, ldz)


@deferred(INT, INT, VECTOR, INT, INT, INT, VECTOR, INT, VECTOR, VECTOR, INT, INT)
def dots(rows, width, x, ix, ldx, n_units, theta, it, theta_t, z, iz, ldz):
    """z = theta[0] + x theta[1:] for a `width` of a few columns; overwrites z.

    A tile of `affine` would compute a whole vector of columns; here the vector lies along the sum. x: (rows, n_units)
    in rows of ldx, theta: one panel from `it`, theta_t: its transpose in panels, see backprop.py; z: (rows, ldz).
    """
    i = 0
    while i < rows:
        for k in range(width):
            x_i, z_i, bias = ix + i * ldx, iz + i * ldz, theta[it + k]
            if rows - i > HALF:
                _dots_tile(tile(ROWS, 1), x, x_i, ldx, n_units, width, theta_t, k, bias, z, z_i, ldz)
            elif rows - i > 1:
                _dots_tile(tile(HALF, 1), x, x_i, ldx, n_units, width, theta_t, k, bias, z, z_i, ldz)
            else:
                _dots_tile(tile(1, 1), x, x_i, ldx, n_units, width, theta_t, k, bias, z, z_i, ldz)
        i += ROWS if rows - i > HALF else HALF if rows - i > 1 else 1


@inlined
def _outer_tile(shape, m, a, ia, lda, delta, i_delta, ld_delta, grad, r):
    width = columns(shape, grad)
    acc = zeros(shape, grad)
    for _ in range(m):
        prefetch(tile(1, 1), a, ia + AHEAD * lda)
        prefetch(shape, delta, i_delta + AHEAD * ld_delta)
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
