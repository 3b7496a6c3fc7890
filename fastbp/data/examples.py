"""Examples as the kernels read them. Y and weights are copied; X is copied only if it must be.

X may be a memory-mapped file that is larger than the memory. Nothing here reads such an X as a whole, or allocates as
much memory as it takes.
"""

import math
import mmap
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import scipy.sparse
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))  # the dtypes that the kernels read
MOST_OFFSET = 1 << 30  # SciPy computes with the offsets of diagonals in 32 bits
CONVERTED_BYTES = 1 << 22  # a file of another dtype is converted in parts, at most CONVERTED_BYTES at a time
CONTIGUOUS: tuple[Literal["C"], Literal["A"]] = ("C", "A")  # the kernels read arrays that are contiguous and aligned
CHECKED_ENTRIES = 1 << 15  # a sparse X is checked CHECKED_ENTRIES entries at a time, which fit into a cache of the CPU


class Examples(NamedTuple):
    """Examples as the kernels read them. `Inputs` and `Targets` of `kernels.gather` describe the fields."""

    X32: NDArray[np.float32]
    X64: NDArray[np.float64]
    strides: NDArray[np.int64]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    codes: NDArray[np.int64]
    Y: NDArray[np.floating]
    weights: NDArray[np.float64]

    def read(self, order: NDArray[np.int64], start: int, stop: int) -> tuple[tuple[NDArray, ...], NDArray[np.int64]]:
        """(arrays, order) for a kernel that reads the rows order[start:stop].

        Here these are all arrays and the given order. `ForeignExamples` returns arrays of these rows alone, and an
        order that numbers these rows from 0.
        """
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
    """Examples whose X is a memory-mapped file that the kernels cannot read. Rows are converted before each call."""

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
    """A read-only view. Otherwise Numba would compile twice: for writable arrays, and for read-only memory maps."""
    view = values.view()
    view.flags.writeable = False
    return view


NO_X32, NO_X64 = _read_only(np.empty(0, np.float32)), _read_only(np.empty(0, np.float64))
NO_INDICES, NO_INDPTR = _read_only(np.empty(0, np.int32)), _read_only(np.empty(0, np.int64))


def as_order(rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices of examples as the kernels read them: contiguous, in 64 bits. They are copied only if they must be.

    On Windows, NumPy 1 and packages that use it make indices of 32 bits. The kernels would misread them.
    """
    return np.ascontiguousarray(rows, np.int64)


def is_file(X: Any) -> bool:
    """Whether X is an array of numbers in a memory-mapped file."""
    if not (isinstance(X, np.ndarray) and X.dtype.kind in "biuf"):
        return False
    base: Any = X
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base is not None


def dtype_of(X: Any) -> np.dtype:
    """The dtype in which the kernels read X: float32 if X is float32 in native byte order, otherwise float64."""
    return X.dtype if X.dtype in FLOATS else FLOATS[0]


def converted(X: NDArray) -> NDArray:
    return np.asarray(X, dtype_of(X))


def converted_rows(X: NDArray) -> int:
    """The number of rows of X that are converted at a time."""
    return max(1, CONVERTED_BYTES // (FLOATS[0].itemsize * max(X.shape[1], 1)))


def check_sparse(matrix: Any, name: str) -> None:
    """Check the structure of a sparse matrix before SciPy reads it; raises ValueError. name: for the message.

    SciPy's compiled code trusts the structure, but the user may have edited it. The columns of CSR and LIL are not
    checked here, because `as_examples` checks the columns of X before a kernel reads them.
    """
    if matrix.ndim != 2:
        return  # scikit-learn refuses such a matrix
    rows, columns = matrix.shape
    if matrix.format == "csr":
        _check_rows(matrix, name, rows)
    elif matrix.format == "csc":
        _check_rows(matrix, name, columns)
        _check_range(matrix.indices, name, "indices", rows)
    elif matrix.format == "bsr":
        if matrix.data.ndim != 3 or 0 in matrix.data.shape[1:]:
            raise ValueError(f"Input {name} in BSR format must have data of 3 dimensions, got {matrix.data.shape}.")
        n, m = matrix.data.shape[1:]
        _check_rows(matrix, name, rows // n)
        _check_range(matrix.indices, name, "indices", columns // m)
    elif matrix.format == "coo":
        for axis, indices, length in (("row", matrix.row, rows), ("col", matrix.col, columns)):
            _check_integers(indices, name, axis)
            _check_range(indices, name, axis, length)
            if len(indices) != len(matrix.data):
                raise ValueError(
                    f"Input {name} must have as many values in {axis} as in data, got {len(indices)} and "
                    f"{len(matrix.data)}."
                )
    elif matrix.format == "lil":
        lists = matrix.rows, matrix.data
        are_lists = all(
            isinstance(part, np.ndarray) and part.shape == (rows,) and all(type(row) is list for row in part)
            for part in lists
        )
        if not are_lists or [*map(len, lists[0])] != [*map(len, lists[1])]:
            raise ValueError(f"Input {name} in LIL format must have lists of the same lengths as rows and as data.")
    elif matrix.format == "dia":
        offsets, data = matrix.offsets, matrix.data
        _check_integers(offsets, name, "offsets")
        if not (isinstance(data, np.ndarray) and data.ndim == 2 and len(data) == len(offsets)):
            raise ValueError(f"Input {name} in DIA format must have a row of data per offset, got {data!r:.100}.")
        if len(np.unique(offsets)) < len(offsets) or np.abs(offsets.astype(float)).max(initial=0) > MOST_OFFSET:
            raise ValueError(f"Input {name} in DIA format must have offsets that differ, got {offsets!r:.100}.")


def check_indicator(matrix: Any, name: str) -> None:
    """Do the checks of `check_sparse`, and check the columns of CSR and LIL too."""
    check_sparse(matrix, name)
    if matrix.format == "csr" and matrix.ndim == 2:
        _check_range(matrix.indices, name, "indices", matrix.shape[1])
    if matrix.format == "lil":
        columns = np.array([column for row in matrix.rows for column in row] or NO_CODES)
        _check_integers(columns, name, "the lists of rows")
        _check_range(columns, name, "columns", matrix.shape[1])


def _check_integers(values: Any, name: str, part: str) -> None:
    if not (isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iu"):
        raise ValueError(f"Input {name} must have a vector of integers as {part}, got {values!r:.100}.")


def _check_range(indices: NDArray, name: str, part: str, length: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < length):
        bad = indices.min() if indices.min() < 0 else indices.max()
        raise ValueError(f"Input {name} must have {part} from 0 to {length - 1}, got {bad}.")


def _check_rows(matrix: Any, name: str, n_rows: int) -> None:
    """Check the arrays of a CSR, CSC or BSR matrix, but not the range of the indices.

    n_rows: the number of rows for CSR, of columns for CSC, of rows of blocks for BSR.
    """
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
    _check_integers(indptr, name, "indptr")
    _check_integers(indices, name, "indices")
    if len(indptr) != n_rows + 1:
        raise ValueError(f"Input {name} must have {n_rows + 1} values in indptr, got {len(indptr)}.")
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"Input {name} must have an indptr that begins with 0 and never decreases, got {indptr!r}.")
    if not isinstance(data, np.ndarray) or data.ndim != (3 if matrix.format == "bsr" else 1):
        raise ValueError(f"Input {name} must have a vector of numbers as data, got {data!r:.100}.")
    if indptr[-1] > min(len(indices), len(data)):
        raise ValueError(
            f"Input {name} must have an indptr that ends with at most the number of entries, got {indptr[-1]}, but "
            f"there are {len(indices)} indices and {len(data)} values."
        )


def in_order(X: Any) -> Any:
    """The CSR matrix X if the columns within each row ascend; otherwise a copy of it in which they do.

    In the copy, entries of the same row and column are added up. SciPy's own flags for the order are not used, because
    they do not change when the user edits the arrays. Raises ValueError if the structure is not that of a CSR matrix,
    or if a sum of entries overflows.
    """
    _check_rows(X, "X", X.shape[0])
    indptr, indices, n = X.indptr, X.indices, int(X.indptr[-1])
    has_entries = indptr[1:] > indptr[:-1]
    begins, ends = (
        (indptr[:-1], indptr[1:]) if has_entries.all() else (indptr[:-1][has_entries], indptr[1:][has_entries])
    )
    first, last = indices[begins], indices[ends - 1]
    # Within a row each column must be larger than the one before. `falls` counts the entries whose column is not. The
    # loop also compares the first entry of each row with the last entry of the row before. So `falls` begins at minus
    # the number of such pairs that the loop will count.
    falls = -np.count_nonzero(first[1:] <= last[:-1])
    for start in range(0, n - 1, CHECKED_ENTRIES):
        part = indices[start : min(start + CHECKED_ENTRIES + 1, n)]
        falls += np.count_nonzero(part[1:] <= part[:-1])
    if falls == 0:
        _check_range(first, "X", "indices", X.shape[1])
        _check_range(last, "X", "indices", X.shape[1])
        return X
    _check_range(indices[:n], "X", "indices", X.shape[1])
    X = scipy.sparse.csr_matrix((X.data[:n], indices[:n], indptr), X.shape, copy=True)
    X.sum_duplicates()
    if not np.isfinite(X.data).all():  # each entry was finite, but a sum may overflow
        raise ValueError("Input X contains infinity or a value too large: the sum of its repeated entries.")
    return X


def _flat(X: NDArray) -> tuple[NDArray, int, int] | None:
    """(vector over the memory of X, row stride, column stride), in elements; None if the kernels cannot read X.

    The kernels can also read some views that are not contiguous, such as every other row of a matrix, or neighbouring
    columns of a matrix.
    """
    if not (X.dtype in FLOATS and X.flags.aligned):
        return None
    # These two cases do not use X.strides, because NumPy's strides are arbitrary for a dimension of a single element.
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
    """The examples of validated data, as the kernels read them.

    Parameters
    ----------
    X : ndarray or CSR of shape (m, S_1)
        float32 or float64, or a memory-mapped file of any real numbers. A file is never copied as a whole. Another
        dense X is copied if it is not aligned, or if neither its rows nor its columns are contiguous. A CSR matrix is
        copied if it has unsorted or repeated entries, because the sum over a row must not depend on the order of its
        entries.
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
        X = in_order(X)
        values = np.require(X.data, requirements=CONTIGUOUS)
        indices = _read_only(np.require(X.indices, np.int32, CONTIGUOUS))
        indptr = _read_only(np.require(X.indptr, np.int64, CONTIGUOUS))
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
