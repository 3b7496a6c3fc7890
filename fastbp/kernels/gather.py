"""From the user's data to a block of examples: with sparse.py the only place that knows how X and y are stored.

X is a flat vector of values: of a dense matrix in either order, with its two strides in elements, or of a CSR matrix,
with `indices`, sorted in each row, and `indptr` (both empty for a dense one). It is X32 or X64, the other one is empty,
so that the kernels that are given both are compiled once. A CSR matrix stays sparse: sparse.py. Targets are class
codes, or a dense matrix Y where an example has several.
"""

from .compiling.jit import FLOATS, FLOATS32, INT, INTS, INTS32, VECTOR, deferred, inlined
from .elementary import constant
from .machine.simd import copy, part, prefetch_all
from .products import panel_at

# From asking for a row to copying it: so many bytes of others, but not fewer rows than the first or more than the
# second number. Rows lie anywhere, mostly outside of the caches.
AHEAD_BYTES, AHEAD_ROWS = 1 << 13, (4, 16)


@inlined
def _gather_row(X, row, column, strides, a_i):
    i = row * strides[0] + column * strides[1]
    if strides[1] == 1 and X.itemsize == a_i.itemsize:
        copy(X, i, a_i, 0, a_i.size)
    else:
        for k in range(a_i.size):
            a_i[k] = X[i + k * strides[1]]


@inlined
def _gather(X, strides, order, start, first, rows, width, a, i, panel, padded, chunk):
    ahead = min(max(AHEAD_BYTES // (width * X.itemsize), AHEAD_ROWS[0]), AHEAD_ROWS[1])
    for r in range(first, first + rows):
        if strides[1] == 1 and r + ahead < first + rows:
            prefetch_all(X, order[start + r + ahead] * strides[0], width)
        for column in range(0, width, panel):
            a_r = part(a, panel_at(i, panel, padded, chunk, r, column)[0], min(panel, width - column))
            _gather_row(X, order[start + r], column, strides, a_r)


# X32, X64, strides, indices, indptr, order, start, first, rows, width, a, i, panel, padded, chunk: see below
rows_of_X = deferred(FLOATS32, FLOATS, INTS, INTS32, INTS, INTS, INT, INT, INT, INT, VECTOR, INT, INT, INT, INT)


@rows_of_X
def gather_32(X32, X64, strides, indices, indptr, order, start, first, rows, width, a, i, panel, padded, chunk):
    """Examples order[start + first] and on of X into rows [first, first + rows) of a, a layer in panels from i.

    Padded columns are left as they are.
    """
    _gather(X32, strides, order, start, first, rows, width, a, i, panel, padded, chunk)


@rows_of_X
def gather_64(X32, X64, strides, indices, indptr, order, start, first, rows, width, a, i, panel, padded, chunk):
    """`gather_32` for an X of float64."""
    _gather(X64, strides, order, start, first, rows, width, a, i, panel, padded, chunk)


@inlined
def gather_targets(codes, Y, order, start, rows, width, y):
    """Targets of examples order[start : start + rows] into y, transposed: (width, rows), flat.

    A code k becomes the unit vector e_k, or the number k where there is one output.
    """
    zero, one = constant(0, y[0]), constant(1, y[0])
    if Y.size:
        for i in range(rows):
            for k in range(width):
                y[k * rows + i] = Y[order[start + i], k]
    elif width == 1:
        for i in range(rows):
            y[i] = constant(codes[order[start + i]], zero)
    else:
        for j in range(rows * width):
            y[j] = zero
        for i in range(rows):
            y[codes[order[start + i]] * rows + i] = one


@inlined
def total_weight(weights, order, start, stop):
    """W of examples order[start:stop]: the sum of their weights, or their number where there are none."""
    if weights.size == 0:
        return float(stop - start)
    total = 0.0
    for i in range(start, stop):
        total += weights[order[i]]
    return total
