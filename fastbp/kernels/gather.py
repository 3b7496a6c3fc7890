"""From the user's data to a block of examples: the only place that knows how X and y are stored.

X is a flat vector of values: of a dense matrix in either order, with its two strides in elements, or of a CSR matrix,
with `indices`, sorted in each row, and `indptr` (both empty for a dense one). It is X32 or X64, the other one is empty:
one compiled kernel reads both. Targets are class codes, or a dense matrix Y where an example has several.

A CSR matrix stays sparse: of a chunk of its rows, the stored entries are numbered row by row, those of row i from
starts[i] to starts[i + 1], and sorted by column for the gradient.
"""

from .elementary import constant
from .jit import inlined, kernel
from .simd import copy, part


@inlined
def _gather_row(X, row, strides, a_i):
    if strides[1] == 1 and X.itemsize == a_i.itemsize:
        copy(X, row * strides[0], a_i, 0, a_i.size)
    else:
        for k in range(a_i.size):
            a_i[k] = X[row * strides[0] + k * strides[1]]


@inlined
def gather_examples(X32, X64, strides, order, start, rows, width, padded, a):
    """Examples order[start : start + rows] of X into a: (rows, padded), flat; padded columns are left as they are."""
    for i in range(rows):
        a_i = part(a, i * padded, width)
        if X32.size:
            _gather_row(X32, order[start + i], strides, a_i)
        else:
            _gather_row(X64, order[start + i], strides, a_i)


@inlined
def gather_entries(X32, X64, indptr, order, start, first, stop, starts, values):
    """Stored entries of rows [first, stop) of the chunk that begins at order[start] into `values`, flat."""
    for i in range(first, stop):
        p = indptr[order[start + i]] - starts[i]
        for e in range(starts[i], starts[i + 1]):
            values[e] = X32[p + e] if X32.size else constant(X64[p + e], values[0])


@kernel
def number_entries(indptr, order, start, rows, starts):
    """starts[i], for the rows of a chunk and the end."""
    starts[0] = 0
    for i in range(rows):
        row = order[start + i]
        starts[i + 1] = starts[i] + indptr[row + 1] - indptr[row]


@kernel
def sort_entries(indices, indptr, order, start, rows, starts, heads, entries, entry_rows):
    """A chunk's entries by column, in the order of rows within it: those of column k from heads[k] to heads[k + 1].

    entries: their numbers, entry_rows: their rows in the chunk. Overwrites heads, entries and entry_rows.
    """
    for k in range(heads.size):
        heads[k] = 0
    for i in range(rows):
        row = order[start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] += 1
    for k in range(1, heads.size):
        heads[k] += heads[k - 1]
    for i in range(rows - 1, -1, -1):  # backwards, for heads then ends up at the begin of each column
        row = order[start + i]
        for p in range(indptr[row], indptr[row + 1]):
            heads[indices[p] + 1] -= 1
            e = heads[indices[p] + 1]
            entries[e] = starts[i] + p - indptr[row]
            entry_rows[e] = i
    # Now heads[k + 1] is where column k begins.
    for k in range(heads.size - 1):
        heads[k] = heads[k + 1]
    heads[heads.size - 1] = starts[rows]


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
