"""Examples as the kernels read them: flat arrays over the user's X, y and weights, without a copy of X.

X may be a file that is larger than the memory. Nothing here reads such an X as a whole or allocates as much memory.
"""

import math
import mmap
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))  # the dtypes that the kernels read
CONVERTED_BYTES = 1 << 22  # a file of another dtype is converted in parts, at most CONVERTED_BYTES at a time


class Examples(NamedTuple):
    """Examples as the kernels read them; see `kernels.gather`. An array that is not needed is empty."""

    X32: NDArray[np.float32]
    X64: NDArray[np.float64]
    strides: NDArray[np.int64]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    codes: NDArray[np.int64]
    Y: NDArray[np.floating]
    weights: NDArray[np.float64]

    def read(self, order: NDArray[np.int64], start: int, stop: int) -> tuple[tuple[NDArray, ...], NDArray[np.int64]]:
        """(fields, order) with which a kernel reads rows order[start:stop]. `ForeignExamples` returns another order."""
        return tuple(self), order

    @property
    def most_rows(self) -> float:
        """The largest number of rows that a kernel may read in one call."""
        return math.inf

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.strides[2])

    @property
    def sparse(self) -> bool:
        """Whether X is sparse."""
        return self.indptr.size > 0

    @property
    def single(self) -> bool:
        """Whether the kernels read X in float32; otherwise they read it in float64."""
        return self.X64.size == 0

    @property
    def entries_per_row(self) -> float:
        """Stored entries of an average example of a sparse X."""
        return (self.X32.size + self.X64.size) / max(self.n, 1)

    @property
    def entries(self) -> float | None:
        """Stored entries of an average example; None for a dense X. `network.costs` takes this as an argument."""
        return self.entries_per_row if self.sparse else None

    def most_entries(self, rows: int) -> int:
        """The largest number of stored entries that `rows` examples of a sparse X can have; 0 for a dense X."""
        if not self.sparse:
            return 0
        lengths = np.diff(self.indptr)
        if rows < len(lengths):
            lengths = np.partition(lengths, len(lengths) - rows)[len(lengths) - rows :]
        return int(lengths.sum())


class ForeignExamples(Examples):
    """Examples whose X is a file that the kernels cannot read. The rows of a call are converted before the call."""

    X: NDArray
    _order: NDArray[np.int64]

    @classmethod
    def of(cls, X: NDArray, codes: NDArray[np.int64], Y: NDArray, weights: NDArray[np.float64]) -> Self:
        """Arguments as in `as_examples`; an array that is not needed is empty."""
        strides = np.array([0, 0, len(X)], np.int64)
        foreign = cls(NO_X32, NO_X64, strides, NO_INDICES, NO_INDPTR, codes, Y, weights)
        foreign.X, foreign._order = X, np.zeros(len(X), np.int64)
        return foreign

    def read(self, order: NDArray[np.int64], start: int, stop: int) -> tuple[tuple[NDArray, ...], NDArray[np.int64]]:
        rows = order[start:stop]
        codes, Y, weights = (part[rows] if part.size else part for part in (self.codes, self.Y, self.weights))
        local = self._order[: len(order)]
        local[start:stop] = np.arange(len(rows))
        return tuple(as_examples(converted(self.X[rows]), self.Y.dtype, codes=codes, Y=Y, weights=weights)), local

    @property
    def single(self) -> bool:
        return dtype_of(self.X) == np.float32

    @property
    def most_rows(self) -> float:
        return converted_rows(self.X)


NO_CODES, NO_WEIGHTS = np.empty(0, np.int64), np.empty(0)


def _read_only(values: NDArray) -> NDArray:
    """A read-only view. Some memory maps are read-only, and Numba would compile a second time for writable arrays."""
    view = values.view()
    view.flags.writeable = False
    return view


NO_X32, NO_X64 = _read_only(np.empty(0, np.float32)), _read_only(np.empty(0, np.float64))
NO_INDICES, NO_INDPTR = _read_only(np.empty(0, np.int32)), _read_only(np.empty(0, np.int64))


def is_file(X: Any) -> bool:
    """Whether X is an array of numbers in a memory-mapped file."""
    if not (isinstance(X, np.ndarray) and X.dtype.kind in "biuf"):
        return False
    base: Any = X
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base is not None


def dtype_of(X: Any) -> np.dtype:
    """The dtype of X if it is float32 or float64. Any other X is converted to float64."""
    return X.dtype if X.dtype in FLOATS else FLOATS[0]


def converted(X: NDArray) -> NDArray:
    """X as an array of dtype_of(X)."""
    return np.asarray(X, dtype_of(X))


def converted_rows(X: NDArray) -> int:
    """Number of rows of X that are converted at a time."""
    return max(1, CONVERTED_BYTES // (FLOATS[0].itemsize * max(X.shape[1], 1)))


def _flat(X: NDArray) -> tuple[NDArray, int, int] | None:
    """(vector over the memory of X, strides of rows and columns in elements), or None if the kernels cannot read X.

    The kernels can also read some views that are not contiguous: every other row of a matrix, or neighbouring columns.
    """
    if not (X.dtype in FLOATS and X.flags.aligned):
        return None
    # These do not use X.strides, because NumPy's strides are arbitrary for a dimension of a single element.
    if X.flags.c_contiguous:
        return X.reshape(-1), X.shape[1], 1
    if X.flags.f_contiguous:
        return X.T.reshape(-1), 1, X.shape[0]
    if min(X.strides) != X.itemsize or max(X.strides) % X.itemsize:
        return None
    row_stride, column_stride = (stride // X.itemsize for stride in X.strides)
    size = (X.shape[0] - 1) * row_stride + (X.shape[1] - 1) * column_stride + 1
    return as_strided(X, (size,), (X.itemsize,)), row_stride, column_stride


def as_examples(
    X: Any,
    dtype: np.dtype,
    *,
    codes: NDArray | None = None,
    Y: NDArray | None = None,
    weights: NDArray | None = None,
) -> Examples:
    """Examples over validated data.

    Parameters
    ----------
    X : ndarray or CSR of shape (m, S_1)
        float32 or float64, or a file of any real numbers. A dense X is copied if neither its rows nor its columns are
        contiguous, unless it is a file. A CSR matrix is copied if it has unsorted or repeated entries, because the sum
        over a row must not depend on the order of its entries.
    dtype : numpy.dtype
        The dtype of the arithmetic and of Y.
    codes : ndarray of int of shape (m,), optional
        Class of each example.
    Y : ndarray of shape (m, S_L), optional
        Targets, if there are no codes.
    weights : ndarray of shape (m,), optional
        Weight of each example.
    """
    codes = NO_CODES if codes is None else np.ascontiguousarray(codes, np.int64)
    Y = np.empty((0, 0), dtype) if Y is None else np.array(Y, dtype, order="C")
    weights = NO_WEIGHTS if weights is None else np.array(weights, np.float64)
    indices, indptr, row_stride, column_stride = NO_INDICES, NO_INDPTR, 0, 0
    if scipy.sparse.issparse(X):
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
            if not np.isfinite(X.data).all():  # each entry alone was finite
                raise ValueError("Input X contains infinity or a value too large: the sum of its repeated entries.")
        values = X.data
        indices = _read_only(X.indices.astype(np.int32, copy=False))
        indptr = _read_only(X.indptr.astype(np.int64, copy=False))
    else:
        flat = _flat(X)
        if flat is None and is_file(X):
            return ForeignExamples.of(X, codes, Y, weights)
        values, row_stride, column_stride = flat or (np.array(X, order="C").reshape(-1), X.shape[1], 1)
    values = _read_only(values.view(np.ndarray))
    single = values.dtype == np.float32
    return Examples(
        values if single else NO_X32,
        NO_X64 if single else values,
        np.array([row_stride, column_stride, X.shape[0]], np.int64),
        indices,
        indptr,
        codes,
        Y,
        weights,
    )
