"""The two matrix products of backpropagation, as loops of register tiles, and the same with a sparse X.

Theta^(l), of 1 + k rows and a padded number of columns, is stored as panels one tile wide: all rows of columns 0 to W,
then all rows of columns W to 2W, and so on, the last panel narrower. A tile so reads its operand contiguously. Widths
are multiples of a vector, so there is no scalar remainder; the last rows use narrower tiles. Every element is summed
in the order of its index whatever the tile, so a row's bits depend on nothing but the row.
"""

from .jit import inlined, kernel
from .simd import HALF, ROWS, VECTOR_BYTES, VECTORS, check_multiple, load, rank1, store, tile, zeros

PANEL_BYTES = VECTORS * VECTOR_BYTES


@inlined
def _affine_tile(shape, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale):
    acc = load(shape, theta, it, 0)
    for p in range(k):
        it += width
        acc = rank1(acc, x, ix + p, ldx, theta, it)
    if scale:
        acc = acc * load(shape, z, iz, ldz)
    store(acc, z, iz, ldz)


@inlined
def _affine_rows(full, half, single, rows, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale):
    i = 0
    # A full tile costs no more than two half ones, so it takes any remainder above HALF; buffers have rows to spare.
    while rows - i > HALF:
        _affine_tile(full, x, ix + i * ldx, ldx, k, theta, it, width, z, iz + i * ldz, ldz, scale)
        i += ROWS
    if rows - i > 1:
        _affine_tile(half, x, ix + i * ldx, ldx, k, theta, it, width, z, iz + i * ldz, ldz, scale)
        i += HALF
    if rows - i == 1:
        _affine_tile(single, x, ix + i * ldx, ldx, k, theta, it, width, z, iz + i * ldz, ldz, scale)


@kernel
def affine_panel(rows, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale):
    """z = theta[0] + x theta[1:] for the columns of one panel; with `scale`, z = (theta[0] + x theta[1:]) * z.

    x: (rows, k), theta: one panel (1 + k, width), z: (rows, width), overwritten. Rows up to the next multiple of a
    tile's may be read and written too.
    """
    lanes = VECTOR_BYTES // theta.itemsize
    check_multiple(width, lanes)
    if width == 3 * lanes:
        _affine_rows(tile(ROWS, 3), tile(HALF, 3), tile(1, 3), rows, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale)
    elif width == 2 * lanes:
        _affine_rows(tile(ROWS, 2), tile(HALF, 2), tile(1, 2), rows, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale)
    else:
        _affine_rows(tile(ROWS, 1), tile(HALF, 1), tile(1, 1), rows, x, ix, ldx, k, theta, it, width, z, iz, ldz, scale)


@inlined
def affine(rows, x, ix, ldx, k, theta, it, z, iz, ldz, scale):
    """z = theta[0] + x theta[1:], or that times z with `scale`; overwrites z.

    x: (rows, k) in rows of ldx, theta: panels (1 + k, ldz), z: (rows, ldz).
    """
    panel = PANEL_BYTES // theta.itemsize
    for column in range(0, ldz, panel):
        width = min(panel, ldz - column)
        affine_panel(rows, x, ix, ldx, k, theta, it + column * (1 + k), width, z, iz + column, ldz, scale)


@inlined
def _outer_tile(shape, m, a, ia, lda, delta, i_delta, ld_delta, grad, i_grad, width):
    acc = zeros(shape, grad)
    for _ in range(m):
        acc = rank1(acc, a, ia, 1, delta, i_delta)
        ia += lda
        i_delta += ld_delta
    store(acc, grad, i_grad, width)


@inlined
def _outer_rows(full, half, single, rows, m, a, ia, lda, delta, i_delta, ld_delta, grad, width):
    r = 0
    while rows - r >= ROWS:
        _outer_tile(full, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r * width, width)
        r += ROWS
    if rows - r >= HALF:
        _outer_tile(half, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r * width, width)
        r += HALF
    while r < rows:
        _outer_tile(single, m, a, ia + r, lda, delta, i_delta, ld_delta, grad, r * width, width)
        r += 1


@kernel
def outer_sum(rows, m, a, ia, lda, delta, i_delta, ld_delta, grad, width):
    """grad = sum over m examples of a outer delta, for some rows of Theta and one panel; overwrites grad.

    a: `rows` neighbouring units of each of m examples, or the one a_0 = 1 (rows 1, lda 0); delta: (m, width) in
    rows of ld_delta; grad: (rows, width), contiguous.
    """
    lanes = VECTOR_BYTES // grad.itemsize
    check_multiple(width, lanes)
    if width == 3 * lanes:
        _outer_rows(
            tile(ROWS, 3), tile(HALF, 3), tile(1, 3), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad, width
        )
    elif width == 2 * lanes:
        _outer_rows(
            tile(ROWS, 2), tile(HALF, 2), tile(1, 2), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad, width
        )
    else:
        _outer_rows(
            tile(ROWS, 1), tile(HALF, 1), tile(1, 1), rows, m, a, ia, lda, delta, i_delta, ld_delta, grad, width
        )


@inlined
def _sparse_affine_tile(shape, n, x, ix, indices, i, theta, it, width, z, iz):
    acc = load(shape, theta, it, 0)
    for e in range(n):
        acc = rank1(acc, x, ix + e, 0, theta, it + (1 + indices[i + e]) * width)
    store(acc, z, iz, 0)


@kernel
def sparse_affine(n, x, ix, indices, i, k, theta, it, z, iz, ldz):
    """z = theta[0] + x theta[1:] for one example with n stored entries: the bits of `affine`, without its zeros.

    x: values of the entries, from ix, indices: their columns, from i; theta: panels (1 + k, ldz), z: (ldz,). Overwrites
    z.
    """
    lanes, panel = VECTOR_BYTES // theta.itemsize, PANEL_BYTES // theta.itemsize
    check_multiple(ldz, lanes)
    for column in range(0, ldz, panel):
        width, begin = min(panel, ldz - column), it + column * (1 + k)
        if width == 3 * lanes:
            _sparse_affine_tile(tile(1, 3), n, x, ix, indices, i, theta, begin, width, z, iz + column)
        elif width == 2 * lanes:
            _sparse_affine_tile(tile(1, 2), n, x, ix, indices, i, theta, begin, width, z, iz + column)
        else:
            _sparse_affine_tile(tile(1, 1), n, x, ix, indices, i, theta, begin, width, z, iz + column)


@inlined
def _sparse_outer_tile(shape, begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i_grad):
    acc = zeros(shape, grad)
    for e in range(begin, end):
        acc = rank1(acc, x, ix + entries[e], 0, delta, i_delta + entry_rows[e] * ld_delta)
    store(acc, grad, i_grad, 0)


@kernel
def sparse_outer_sum(rows, first, heads, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, width):
    """grad = sum over examples of x outer delta, for columns [first, first + rows) of a sparse x and one panel.

    The bits of `outer_sum`, without its zeros. heads, entries, entry_rows: of `gather.sort_entries`; x: values of the
    entries, from ix; delta: rows of ld_delta; grad: (rows, width), contiguous. Overwrites grad.
    """
    lanes = VECTOR_BYTES // grad.itemsize
    check_multiple(width, lanes)
    for r in range(rows):
        begin, end, i = heads[first + r], heads[first + r + 1], r * width
        if width == 3 * lanes:
            _sparse_outer_tile(tile(1, 3), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)
        elif width == 2 * lanes:
            _sparse_outer_tile(tile(1, 2), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)
        else:
            _sparse_outer_tile(tile(1, 1), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)
