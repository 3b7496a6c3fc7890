"""The first layer of a sparse X: its forward product and its gradient skip the zeros of X.

The results have the same bits as with a dense X.

A product that skips zeros takes several times as long for each stored entry as a product of whole tiles takes for each
element. So if a large share of X is stored, `scatter_rows` makes the rows dense instead.

The stored entries of a chunk are numbered row by row; row i has the entries [starts[i], starts[i + 1]). The entries'
values are copied to the place that a^(1) of a dense X would have. For the gradient the entries are sorted by column.
"""

from typing import NamedTuple

from numpy.typing import NDArray

from .compiling.jit import deferred, inlined
from .compiling.kinds import INT, INTS, VECTOR, named
from .elementary import constant
from .gather import INPUTS, ROWS_OF_CHUNK, rows_of_X
from .machine.simd import check_multiple, lanes_of, load, part, rank1, store, tile, zeros
from .panels import PANELS, STRIDED, panel_at, place


class Sorted(NamedTuple):
    """The entries of some rows of a chunk, sorted by column and then by row."""

    heads: NDArray  # column k has elements [heads[k], heads[k + 1]) of the two arrays below
    entries: NDArray  # the numbers that the entries have in the chunk
    rows: NDArray  # row of each entry, counted from the first of these rows


SORTED = named(Sorted, INTS, INTS, INTS)


@rows_of_X
def scatter_rows(inputs, rows, a):
    """Copy these rows of a sparse X, zeros included, into a; padded columns stay as they are."""
    X32, X64, indices, indptr, order = inputs.X32, inputs.X64, inputs.indices, inputs.indptr, rows.order
    zero = constant(0, a.data[0])
    for r in range(rows.first, rows.first + rows.n):
        p, end = indptr[order[rows.start + r]], indptr[order[rows.start + r] + 1]
        for left in range(0, a.width, a.panel):
            a_r = part(a.data, panel_at(a, r, left)[0], min(a.panel, a.width - left))
            for k in range(a_r.size):
                a_r[k] = zero
            while p < end and indices[p] < left + a.panel:
                a_r[indices[p] - left] = X32[p] if X32.size else constant(X64[p], zero)
                p += 1


@deferred(INPUTS, ROWS_OF_CHUNK, INTS)
def number_entries(inputs, rows, starts):
    """Compute starts[i] for each row i of a chunk, and starts[rows.n] for the chunk's end; overwrites starts."""
    indptr = inputs.indptr
    starts[0] = 0
    for i in range(rows.n):
        row = rows.order[rows.start + i]
        starts[i + 1] = starts[i] + indptr[row + 1] - indptr[row]


@deferred(INPUTS, ROWS_OF_CHUNK, INTS, SORTED)
def sort_entries(inputs, rows, starts, into):
    """Sort the entries of these rows by column; overwrites `into.heads` and these rows' part of the other arrays."""
    indices, indptr, heads, first = inputs.indices, inputs.indptr, into.heads, rows.first
    heads[0] = starts[first]
    for k in range(1, heads.size):
        heads[k] = 0
    for i in range(first, first + rows.n):
        row = rows.order[rows.start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] += 1
    for k in range(1, heads.size):
        heads[k] += heads[k - 1]
    for i in range(first + rows.n - 1, first - 1, -1):  # backwards, because each column is filled from its end
        row = rows.order[rows.start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] -= 1
            e = heads[indices[p] + 1]
            into.entries[e] = starts[i] + p - indptr[row]
            into.rows[e] = i - first
    # Now column k begins at heads[k + 1].
    for k in range(heads.size - 1):
        heads[k] = heads[k + 1]
    heads[heads.size - 1] = starts[first + rows.n]


@inlined
def _affine_tile(shape, n, x, ix, indices, i, theta, it, width, z, iz):
    acc = load(shape, theta, it, 0)
    for e in range(n):
        acc = rank1(acc, x, ix + e, 0, theta, it + (1 + indices[i + e]) * width)
    store(acc, z, iz, 0)


@deferred(INPUTS, ROWS_OF_CHUNK, INTS, VECTOR, INT)
def copy_entries(inputs, rows, starts, x, ix):
    """Copy the values of the entries of these rows; the values of the chunk's entries begin at x[ix]."""
    X32, X64 = inputs.X32, inputs.X64
    for r in range(rows.first, rows.first + rows.n):
        begin, p = ix + starts[r], inputs.indptr[rows.order[rows.start + r]]
        for e in range(starts[r + 1] - starts[r]):
            x[begin + e] = X32[p + e] if X32.size else constant(X64[p + e], x[0])


@deferred(INPUTS, ROWS_OF_CHUNK, INTS, VECTOR, INT, VECTOR, INT, INT, PANELS)
def first_affine(inputs, rows, starts, x, ix, theta, it, k, z):
    """z^(2) = [1, x] Theta^(1) for these rows of a chunk; overwrites these rows of z.

    x: the values of the chunk's entries, from x[ix]. theta: panels (1 + k, z.padded), from theta[it]. k: columns of X.
    """
    indices, lanes = inputs.indices, lanes_of(theta)
    check_multiple(z.padded, lanes)
    for r in range(rows.first, rows.first + rows.n):
        begin, n, p = ix + starts[r], starts[r + 1] - starts[r], inputs.indptr[rows.order[rows.start + r]]
        for column in range(0, z.padded, 3 * lanes):
            to, vectors = place(z, r, column)[0], min(3, (z.padded - column) // lanes)
            i = it + column * (1 + k)
            if vectors == 3:
                _affine_tile(tile(1, 3), n, x, begin, indices, p, theta, i, 3 * lanes, z.data, to)
            elif vectors == 2:
                _affine_tile(tile(1, 2), n, x, begin, indices, p, theta, i, 2 * lanes, z.data, to)
            else:
                _affine_tile(tile(1, 1), n, x, begin, indices, p, theta, i, lanes, z.data, to)


@inlined
def _outer_tile(shape, begin, end, found, x, ix, delta, grad, i_grad):
    acc = zeros(shape, grad)
    for e in range(begin, end):
        acc = rank1(acc, x, ix + found.entries[e], 0, delta.data, delta.offset + found.rows[e] * delta.step)
    store(acc, grad, i_grad, 0)


@deferred(INT, INT, SORTED, VECTOR, INT, STRIDED, VECTOR, INT)
def sparse_outer_sum(first, n, found, x, ix, delta, grad, width):
    """grad = sum over examples of x outer delta, for columns [first, first + n) of X; overwrites grad.

    found: the result of `sort_entries`. x: the values of the entries begin at x[ix]. delta: (rows, width), one panel.
    grad: (n, width), contiguous.
    """
    lanes = lanes_of(grad)
    check_multiple(width, lanes)
    for r in range(n):
        begin, end, i = found.heads[first + r], found.heads[first + r + 1], r * width
        if width == 3 * lanes:
            _outer_tile(tile(1, 3), begin, end, found, x, ix, delta, grad, i)
        elif width == 2 * lanes:
            _outer_tile(tile(1, 2), begin, end, found, x, ix, delta, grad, i)
        else:
            _outer_tile(tile(1, 1), begin, end, found, x, ix, delta, grad, i)
