"""The first layer of a sparse X: its entries, and both products without its zeros, to the bits of the dense ones.

Products that skip zeros take several times as long for each entry as those of whole tiles: if few are zeros,
`scatter_rows` makes rows dense instead.

Of a chunk of rows, the stored entries are numbered row by row, those of row i from starts[i] to starts[i + 1], and
sorted by column for the gradient. X is as in gather.py; its values are copied to where a^(1) of a dense X would be.
"""

from .compiling.jit import FLOATS, FLOATS32, INT, INTS, INTS32, VECTOR, deferred, inlined
from .elementary import constant
from .gather import rows_of_X
from .machine.simd import VECTOR_BYTES, check_multiple, load, part, rank1, store, tile, zeros
from .products import panel_at, place


@rows_of_X
def scatter_rows(X32, X64, strides, indices, indptr, order, start, first, rows, width, a, i, panel, padded, chunk):
    """`gather_32` for a sparse X of either type, whose rows are made dense."""
    for r in range(first, first + rows):
        p, end = indptr[order[start + r]], indptr[order[start + r] + 1]
        for left in range(0, width, panel):
            a_r = part(a, panel_at(i, panel, padded, chunk, r, left)[0], min(panel, width - left))
            for k in range(a_r.size):
                a_r[k] = constant(0, a[0])
            while p < end and indices[p] < left + panel:
                a_r[indices[p] - left] = X32[p] if X32.size else constant(X64[p], a[0])
                p += 1


@deferred(INTS, INTS, INT, INT, INTS)
def number_entries(indptr, order, start, rows, starts):
    """starts[i], for the rows of a chunk and the end."""
    starts[0] = 0
    for i in range(rows):
        row = order[start + i]
        starts[i + 1] = starts[i] + indptr[row + 1] - indptr[row]


@deferred(INTS32, INTS, INTS, INT, INT, INT, INTS, INTS, INTS, INTS)
def sort_entries(indices, indptr, order, start, first, stop, starts, heads, entries, entry_rows):
    """Entries of rows [first, stop) of a chunk by column, those of column k from heads[k] to heads[k + 1], by row.

    entries: their numbers, entry_rows: their rows from `first` on. Overwrites heads, and of entries and entry_rows what
    lies there.
    """
    heads[0] = starts[first]
    for k in range(1, heads.size):
        heads[k] = 0
    for i in range(first, stop):
        row = order[start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] += 1
    for k in range(1, heads.size):
        heads[k] += heads[k - 1]
    for i in range(stop - 1, first - 1, -1):  # backwards, for heads then ends up at the begin of each column
        row = order[start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] -= 1
            e = heads[indices[p] + 1]
            entries[e] = starts[i] + p - indptr[row]
            entry_rows[e] = i - first
    # Now heads[k + 1] is where column k begins.
    for k in range(heads.size - 1):
        heads[k] = heads[k + 1]
    heads[heads.size - 1] = starts[stop]


@inlined
def _affine_tile(shape, n, x, ix, indices, i, theta, it, width, z, iz):
    acc = load(shape, theta, it, 0)
    for e in range(n):
        acc = rank1(acc, x, ix + e, 0, theta, it + (1 + indices[i + e]) * width)
    store(acc, z, iz, 0)


@deferred(
    FLOATS32, FLOATS, INTS32, INTS, INTS, INT, INT, INT, INTS, VECTOR, INT, VECTOR, INT, INT, VECTOR, INT, INT, INT, INT
)  # fmt: skip
def first_affine(
    X32, X64, indices, indptr, order, start, first, rows, starts, x, ix, theta, it, k, z, iz, panel, padded, chunk
):  # fmt: skip
    """z^(2) = [1, x] Theta^(1) for rows [first, first + rows) of a chunk, whose entries are copied to x.

    x: the chunk's entries, from ix; theta: panels (1 + k, padded), from it; z: a layer in panels, from iz, see
    products.py. Overwrites these rows of z.
    """
    lanes = VECTOR_BYTES // theta.itemsize
    check_multiple(padded, lanes)
    for r in range(first, first + rows):
        begin, n, p = ix + starts[r], starts[r + 1] - starts[r], indptr[order[start + r]]
        for e in range(n):
            x[begin + e] = X32[p + e] if X32.size else constant(X64[p + e], x[0])
        for column in range(0, padded, 3 * lanes):
            to, vectors = place(iz, panel, padded, chunk, r, column)[0], min(3, (padded - column) // lanes)
            i = it + column * (1 + k)
            if vectors == 3:
                _affine_tile(tile(1, 3), n, x, begin, indices, p, theta, i, 3 * lanes, z, to)
            elif vectors == 2:
                _affine_tile(tile(1, 2), n, x, begin, indices, p, theta, i, 2 * lanes, z, to)
            else:
                _affine_tile(tile(1, 1), n, x, begin, indices, p, theta, i, lanes, z, to)


@inlined
def _outer_tile(shape, begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i_grad):
    acc = zeros(shape, grad)
    for e in range(begin, end):
        acc = rank1(acc, x, ix + entries[e], 0, delta, i_delta + entry_rows[e] * ld_delta)
    store(acc, grad, i_grad, 0)


@deferred(INT, INT, INTS, INTS, INTS, VECTOR, INT, VECTOR, INT, INT, VECTOR, INT)
def sparse_outer_sum(rows, first, heads, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, width):
    """grad = sum over examples of x outer delta, for columns [first, first + rows) of x and one panel.

    heads, entries, entry_rows: of `sort_entries`; x: values of the entries, from ix; delta: rows of ld_delta; grad:
    (rows, width), contiguous. Overwrites grad.
    """
    lanes = VECTOR_BYTES // grad.itemsize
    check_multiple(width, lanes)
    for r in range(rows):
        begin, end, i = heads[first + r], heads[first + r + 1], r * width
        if width == 3 * lanes:
            _outer_tile(tile(1, 3), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)
        elif width == 2 * lanes:
            _outer_tile(tile(1, 2), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)
        else:
            _outer_tile(tile(1, 1), begin, end, entries, entry_rows, x, ix, delta, i_delta, ld_delta, grad, i)


KERNELS = (number_entries, sort_entries, first_affine, sparse_outer_sum)
