"""Copies the examples of a block out of the user's X and y.

Only this file, sparse.py and `dropout.drop_entries` know how X and y are stored.
"""

from typing import NamedTuple

from numpy.typing import NDArray

from .compiling.jit import deferred, inlined
from .compiling.kinds import FLOATS, FLOATS32, INT, INTS, INTS32, named
from .elementary import constant
from .machine.simd import part
from .machine.vectors import copy, prefetch_all
from .panels import PANELS, panel_at

# While one row is copied, a later row is prefetched. The distance between the two is as many rows as take AHEAD_BYTES,
# but at least AHEAD_ROWS[0] and at most AHEAD_ROWS[1]. In training the order is random, so most rows are not in a
# cache.
AHEAD_BYTES, AHEAD_ROWS = 1 << 13, (4, 16)


class Inputs(NamedTuple):
    """X, as a flat vector of values.

    X is a dense matrix in either order, or a CSR matrix. Fields that do not apply are empty. The values are in X32 or
    X64, and the other field is empty. Kernels take both fields, so that one compiled kernel serves both dtypes.
    """

    X32: NDArray
    X64: NDArray
    strides: NDArray  # row stride of a dense X and its column stride, both in elements; then the number of rows of X
    indices: NDArray  # column of each entry of a CSR matrix, ascending in each row
    indptr: NDArray  # row i of a CSR matrix has the entries [indptr[i], indptr[i + 1])


class Targets(NamedTuple):
    """y and the weights of the examples."""

    codes: NDArray  # class of each example; empty if there is a Y
    Y: NDArray  # (m, S_L); empty if there are codes
    weights: NDArray  # empty if every weight is 1


class Rows(NamedTuple):
    """Rows [first, first + n) of the chunk that begins with example order[start]."""

    order: NDArray
    start: int
    first: int
    n: int


INPUTS = named(Inputs, FLOATS32, FLOATS, INTS, INTS32, INTS)
ROWS_OF_CHUNK = named(Rows, INTS, INT, INT, INT)


@inlined
def _gather_row(X, row, column, strides, a_i):
    i = row * strides[0] + column * strides[1]
    if strides[1] == 1 and X.itemsize == a_i.itemsize:
        copy(X, i, a_i, 0, a_i.size)
    else:
        for k in range(a_i.size):
            a_i[k] = X[i + k * strides[1]]


@inlined
def _gather(X, strides, rows, a):
    order, start, end = rows.order, rows.start, rows.first + rows.n
    ahead = min(max(AHEAD_BYTES // (a.width * X.itemsize), AHEAD_ROWS[0]), AHEAD_ROWS[1])
    for r in range(rows.first, end):
        if strides[1] == 1 and r + ahead < end:
            prefetch_all(X, order[start + r + ahead] * strides[0], a.width)
        for column in range(0, a.width, a.panel):
            a_r = part(a.data, panel_at(a, r, column)[0], min(a.panel, a.width - column))
            _gather_row(X, order[start + r], column, strides, a_r)


rows_of_X = deferred(INPUTS, ROWS_OF_CHUNK, PANELS)


@rows_of_X
def gather_32(inputs, rows, a):
    """Copy these rows of X, which is float32, into `a`. The padded columns of `a` stay as they are."""
    _gather(inputs.X32, inputs.strides, rows, a)


@rows_of_X
def gather_64(inputs, rows, a):
    """`gather_32` for an X of float64."""
    _gather(inputs.X64, inputs.strides, rows, a)


@inlined
def gather_targets(codes, Y, order, start, rows, width, y):
    """y = targets of examples order[start : start + rows], transposed: (width, rows), flat; overwrites y.

    A code k becomes the unit vector e_k, or the number k if there is one output.
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
    """W of examples order[start:stop]: the sum of their weights, or their number if there are no weights."""
    if weights.size == 0:
        return float(stop - start)
    total = 0.0
    for i in range(start, stop):
        total += weights[order[i]]
    return total
