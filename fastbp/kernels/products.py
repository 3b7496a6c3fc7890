"""The two matrix products of backpropagation, as loops of register tiles.

Theta^(l) has 1 + S_l rows and a padded number of columns. It is stored as panels as wide as a full tile, W columns: all
rows of the first W columns, then all rows of the next W columns, and so on. The last panel may be narrower. Before a
narrow layer, Theta^(l) is stored as a vector of biases, and then panels of the transposed weights, each with a row of
zeros in front. The a^(l) and z^(l) lie in panels too, see panels.py, so a tile reads its operands contiguously. The
padded numbers of columns are multiples of a vector, so there is no scalar remainder; the last rows may use smaller
tiles. Tiles of all heights add up the terms of a sum in the same order, so the bits of a row of a result depend on that
row alone.
"""

from .compiling.jit import call, deferred, inlined
from .compiling.kinds import BOOL, INT, VECTOR
from .elementary import constant
from .machine.registers import HALF, ROWS, VECTOR_BYTES, VECTORS
from .machine.simd import (
    check_multiple,
    columns,
    lanes_of,
    load,
    multiply_add,
    panel_of,
    prefetch,
    rank1,
    store,
    tile,
    zeros,
)
from .machine.vectors import first_columns, store_sums
from .panels import PANELS, STRIDED, Strided, panel_at, place

PANEL_BYTES = VECTORS * VECTOR_BYTES
# A unit of parameters has at most UNIT_ROWS rows of a panel. The tiles of a unit share its fixed cost.
UNIT_ROWS = 3 * ROWS
# One operand of each product is prefetched AHEAD steps of the loop before its use. Measured with 784 inputs: without
# prefetching, `affine` reaches 70 % of the CPU's peak of fused multiply-adds in float64, and 86 % in float32. With
# prefetching, it reaches 79 % and 89 %.
AHEAD = 8


@inlined
def _round_up(n, multiple):
    return (n + multiple - 1) // multiple * multiple


@inlined
def layer_panel(panel):
    """Units in a full panel of a layer: a multiple of UNIT_ROWS and of `panel`, the columns of a panel of theta."""
    return _round_up(UNIT_ROWS, panel)


@inlined
def _affine_tile(shape, row, x, theta, it, z, iz, ldz, scale):
    width, lanes, left = columns(shape, theta), columns(tile(1, 1), theta), 0
    full = layer_panel(VECTORS * lanes)
    acc = load(shape, theta, it, 0)
    if x.panel == full:  # here the compiler knows the width of x's panels
        while left + full <= x.width:
            i = x.offset + left * x.chunk + row * full
            for p in range(full):
                it += width
                prefetch(tile(1, 1), x.data, i + ROWS * full + p * lanes)  # the next tile's rows
                prefetch(shape, theta, it + AHEAD * width)
                acc = rank1(acc, x.data, i + p, full, theta, it)
            left += full
    if left < x.width:
        i, ldx = panel_at(x, row, left)
        for p in range(x.width - left):
            it += width
            acc = rank1(acc, x.data, i + p, ldx, theta, it)
    if scale:
        acc = acc * load(shape, z, iz, ldz)
    store(acc, z, iz, ldz)


@inlined
def _affine_rows(full, half, single, first, rows, x, theta, it, z, scale):
    i = 0
    # A full tile costs no more than two half tiles. So a remainder of more than HALF rows also gets a full tile, and
    # the buffers have room for the surplus rows of that tile.
    while rows - i > HALF:
        _affine_tile(full, first + i, x, theta, it, z.data, z.offset + i * z.step, z.step, scale)
        i += ROWS
    if rows - i > 1:
        _affine_tile(half, first + i, x, theta, it, z.data, z.offset + i * z.step, z.step, scale)
        i += HALF
    if rows - i == 1:
        _affine_tile(single, first + i, x, theta, it, z.data, z.offset + i * z.step, z.step, scale)


# first, rows, x, theta, it, z, scale: as in `affine`, but z has only the columns of one panel, and this panel of theta
# begins at theta[it].
_affine_panel = deferred(INT, INT, PANELS, VECTOR, INT, STRIDED, BOOL)


@_affine_panel
def affine_1(first, rows, x, theta, it, z, scale):
    # Half tiles are not used. A half tile of one vector has so few accumulators that each multiply-add would wait for
    # an earlier one. So it would take as long as a full tile.
    _affine_rows(tile(ROWS, 1), tile(ROWS, 1), tile(1, 1), first, rows, x, theta, it, z, scale)


@_affine_panel
def affine_2(first, rows, x, theta, it, z, scale):
    _affine_rows(tile(ROWS, 2), tile(HALF, 2), tile(1, 2), first, rows, x, theta, it, z, scale)


@_affine_panel
def affine_3(first, rows, x, theta, it, z, scale):
    _affine_rows(tile(ROWS, 3), tile(HALF, 3), tile(1, 3), first, rows, x, theta, it, z, scale)


AFFINE = {1: affine_1, 2: affine_2, 3: affine_3}  # by the width of a panel, in vectors


@inlined
def affine(layer, first, rows, x, theta, it, z, scale):
    """z = theta[0] + x theta[1:], times the old z if `scale`, on rows [first, first + rows).

    Overwrites these rows of z. The next rows, up to a whole tile, may be read and written too.

    layer: record of z's layer; it has the addresses of the functions above. x, z: Panels. theta: panels (1 + x.width,
    z.padded), from theta[it].
    """
    lanes, width = lanes_of(theta), panel_of(theta)
    check_multiple(z.padded, lanes)
    for column in range(0, z.padded, width):
        kernel = layer.affine_full if z.padded - column >= width else layer.affine_last
        i, ldz = place(z, first, column)
        call(kernel, (first, rows, x, theta, it + column * (1 + x.width), Strided(z.data, i, ldz), scale))


@inlined
def _dots_tile(shape, row, x, width, theta, it, k, bias, z, iz, ldz):
    lanes, panel = columns(shape, x.data), panel_of(x.data)
    acc = zeros(shape, x.data)
    for left in range(0, x.padded, panel):
        i, ldx = place(x, row, left)
        n = min(panel, x.padded - left)
        i_t = it + left * (1 + width) + (1 + k) * n
        for p in range(0, n, lanes):
            x_p = load(shape, x.data, i + p, ldx)
            if x.width - left - p < lanes:  # the padding of x may be NaN, if an earlier layer has inf
                x_p = first_columns(x_p, x.width - left - p)
            acc = multiply_add(acc, x_p, load(shape, theta, i_t + p, 0))
    store_sums(acc, bias, z, iz + k, ldz)


@deferred(INT, INT, PANELS, VECTOR, INT, PANELS)
def dots(first, rows, x, theta, it, z):
    """z = theta[0] + x theta[1:] for a narrow z, on rows [first, first + rows); overwrites these rows of z.

    A tile of `affine` would compute a whole vector of columns, mostly padding. Here the vectors lie along the sum.

    x: Panels of a hidden layer. theta: the biases, then the transposed weights in panels, from theta[it]. z: one panel.
    """
    i = first
    while i < first + rows:
        left = first + rows - i
        for k in range(z.width):
            (iz, ldz), bias = panel_at(z, i, 0), theta[it + k]
            if left > HALF:
                _dots_tile(tile(ROWS, 1), i, x, z.width, theta, it + z.padded, k, bias, z.data, iz, ldz)
            elif left > 1:
                _dots_tile(tile(HALF, 1), i, x, z.width, theta, it + z.padded, k, bias, z.data, iz, ldz)
            else:
                _dots_tile(tile(1, 1), i, x, z.width, theta, it + z.padded, k, bias, z.data, iz, ldz)
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
def _outer_rows(full, half, single, rows, m, a, delta, grad):
    r = 0
    while rows - r >= ROWS:
        _outer_tile(full, m, a.data, a.offset + r, a.step, delta.data, delta.offset, delta.step, grad, r)
        r += ROWS
    if rows - r >= HALF:
        _outer_tile(half, m, a.data, a.offset + r, a.step, delta.data, delta.offset, delta.step, grad, r)
        r += HALF
    while r < rows:
        _outer_tile(single, m, a.data, a.offset + r, a.step, delta.data, delta.offset, delta.step, grad, r)
        r += 1


# rows, m, a, delta, grad: see `outer_sum`
_outer_panel = deferred(INT, INT, STRIDED, STRIDED, VECTOR)


@_outer_panel
def outer_1(rows, m, a, delta, grad):
    _outer_rows(tile(ROWS, 1), tile(HALF, 1), tile(1, 1), rows, m, a, delta, grad)


@_outer_panel
def outer_2(rows, m, a, delta, grad):
    _outer_rows(tile(ROWS, 2), tile(HALF, 2), tile(1, 2), rows, m, a, delta, grad)


@_outer_panel
def outer_3(rows, m, a, delta, grad):
    _outer_rows(tile(ROWS, 3), tile(HALF, 3), tile(1, 3), rows, m, a, delta, grad)


OUTER = {1: outer_1, 2: outer_2, 3: outer_3}  # by the width of a panel, in vectors


@inlined
def outer_sum(kernel, rows, m, a, delta, grad):
    """grad = sum over m examples of a outer delta, for some rows of Theta and one panel; overwrites grad.

    kernel: address of the function above for the panel's width. a: Strided, (m, rows), neighbouring units. For the bias
    a_0 = 1, rows is 1 and the step of `a` is 0. delta: Strided, (m, width). grad: (rows, width), contiguous.
    """
    call(kernel, (rows, m, a, delta, grad))


@inlined
def narrow_outer_sum(layer, unit, m, a, delta, grad):
    """`outer_sum` for a unit before a narrow layer, whose parameters are transposed.

    layer: record of a's layer. grad: (unit.n_columns, unit.n_rows), contiguous; its columns for padding become 0.
    """
    n_rows, width = unit.n_rows, unit.n_columns
    outer_sum(layer.outer_full if n_rows == panel_of(grad) else layer.outer_last, width, m, delta, a, grad)
    for r in range(layer.width + 1 - unit.row, n_rows):  # a^(l) of a padded unit need not be 0
        for k in range(width):
            grad[k * n_rows + r] = constant(0, grad[0])
