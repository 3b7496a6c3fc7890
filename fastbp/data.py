"""Intake of X, y and weights: from what a user passes to the flat arrays that the kernels read, without copying X."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray


class Examples(NamedTuple):
    """What the kernels read; see `kernels.gather`. Empty arrays stand for what is not given."""

    X32: NDArray[np.float32]
    X64: NDArray[np.float64]
    strides: NDArray[np.int64]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    codes: NDArray[np.int64]
    Y: NDArray[np.floating]
    weights: NDArray[np.float64]

    @property
    def inputs(self) -> tuple[NDArray, ...]:
        """The fields that prediction needs."""
        return self[:5]

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.strides[2])

    @property
    def sparse(self) -> bool:
        """Whether X is sparse."""
        return self.indptr.size > 0

    @property
    def entries_per_row(self) -> float:
        """Stored entries of an average example; of a dense X, its features."""
        return (self.X32.size + self.X64.size) / max(self.n, 1)

    def most_entries(self, rows: int) -> int:
        """Stored entries of that many different examples of a sparse X, at most; 0 for a dense one."""
        if not self.sparse:
            return 0
        lengths = np.diff(self.indptr)
        if rows < len(lengths):
            lengths = np.partition(lengths, len(lengths) - rows)[len(lengths) - rows :]
        return int(lengths.sum())


NO_CODES, NO_WEIGHTS = np.empty(0, np.int64), np.empty(0)


def _read_only(values: NDArray) -> NDArray:
    """A read-only view: Numba would compile once more for writable arrays than for memory maps."""
    view = values.view()
    view.flags.writeable = False
    return view


NO_X32, NO_X64 = _read_only(np.empty(0, np.float32)), _read_only(np.empty(0, np.float64))
NO_INDICES, NO_INDPTR = _read_only(np.empty(0, np.int32)), _read_only(np.empty(0, np.int64))


def examples(
    X: Any,
    dtype: np.dtype,
    *,
    codes: NDArray | None = None,
    Y: NDArray | None = None,
    weights: NDArray | None = None,
) -> Examples:
    """Views of validated data as the kernels read it.

    Parameters
    ----------
    X : ndarray or CSR of shape (m, S_1), float32 or float64
        In any order. Copied only if dense and contiguous in neither C nor Fortran order, or if a CSR matrix has
        unsorted or repeated entries: the sum over a row must not depend on how it is stored.
    dtype : numpy.dtype
        Of the arithmetic, and so of Y.
    codes : ndarray of int of shape (m,), optional
        Class of each example.
    Y : ndarray of shape (m, S_L), optional
        Targets, in place of codes.
    weights : ndarray of shape (m,), optional
        Weight of each example.
    """
    indices, indptr, row_stride, column_stride = NO_INDICES, NO_INDPTR, 0, 0
    if scipy.sparse.issparse(X):
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
            if not np.isfinite(X.data).all():  # each entry was
                raise ValueError("Input X contains infinity or a value too large: the sum of its repeated entries.")
        values = X.data
        indices = _read_only(X.indices.astype(np.int32, copy=False))
        indptr = _read_only(X.indptr.astype(np.int64, copy=False))
    else:
        if not (X.flags.c_contiguous or X.flags.f_contiguous):
            X = np.ascontiguousarray(X)
        # 1 where a dimension has a single element: NumPy's strides are then arbitrary.
        row_stride, column_stride = (X.shape[1], 1) if X.flags.c_contiguous else (1, X.shape[0])
        values = X.reshape(-1) if X.flags.c_contiguous else X.T.reshape(-1)
    values = _read_only(values.view(np.ndarray))
    single = values.dtype == np.float32
    return Examples(
        values if single else NO_X32,
        NO_X64 if single else values,
        np.array([row_stride, column_stride, X.shape[0]], np.int64),
        indices,
        indptr,
        NO_CODES if codes is None else np.ascontiguousarray(codes, np.int64),
        np.empty((0, 0), dtype) if Y is None else np.array(Y, dtype, order="C"),
        NO_WEIGHTS if weights is None else np.array(weights, np.float64),
    )
