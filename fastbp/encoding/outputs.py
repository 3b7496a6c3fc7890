"""The outputs of all features side by side, as an array or as a sparse matrix, and unique names for them."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy import sparse

from ..typing import Array
from .categories import OneHotEncoder, TargetMeanEncoder
from .columns import Column
from .features import Encoder, Feature
from .target import Target


class CrossFit:
    """Data with which the examples of the fit get mean targets of other examples.

    Parameters
    ----------
    target : Target
        The target of the fit.
    random_state : RandomState
        Draws the folds.
    """

    def __init__(self, target: Target, random_state: np.random.RandomState):
        self.target, self.random_state = target, random_state


def dense_output(
    features: list[Feature], columns: list[Column], dtype: np.dtype, cross_fit: CrossFit | None = None
) -> Array:
    """The outputs as an array of shape (n_samples, n_outputs).

    Parameters
    ----------
    features : list of Feature
        The features of the fit.
    columns : list of Column
        For each feature, the column as the feature reads it.
    dtype : dtype
        Of the outputs.
    cross_fit : CrossFit or None
        Given if the columns are those of the fit. Then mean targets are those of other examples.
    """
    n_outputs = sum(feature.n_outputs for feature in features)
    out, place = np.empty((len(columns[0].missing), n_outputs), dtype), 0
    for feature, column in zip(features, columns, strict=True):
        for encoder, part in feature.encoded(column):
            _write(encoder, part, out[:, place : place + encoder.n_outputs], cross_fit)
            place += encoder.n_outputs
        if feature.indicates_missing:
            out[:, place] = column.missing
            place += 1
    return out


def sparse_output(
    features: list[Feature], columns: list[Column], dtype: np.dtype, cross_fit: CrossFit | None = None
) -> sparse.csr_matrix:
    """The outputs of `dense_output`, as a sparse matrix. No dense array of all outputs is made."""
    return sparse.hstack(list(_blocks(features, columns, dtype, cross_fit)), format="csr", dtype=dtype)


def _blocks(
    features: list[Feature], columns: list[Column], dtype: np.dtype, cross_fit: CrossFit | None
) -> Iterator[sparse.csr_matrix]:
    for feature, column in zip(features, columns, strict=True):
        for encoder, part in feature.encoded(column):
            if isinstance(encoder, OneHotEncoder):
                yield encoder.sparse(part, dtype)
            else:
                out = np.empty((len(part.missing), encoder.n_outputs), dtype)
                _write(encoder, part, out, cross_fit)
                yield sparse.csr_matrix(out)
        if feature.indicates_missing:
            yield sparse.csr_matrix(column.missing[:, np.newaxis].astype(dtype))


def _write(encoder: Encoder, column: Column, out: Array, cross_fit: CrossFit | None) -> None:
    """Overwrite `out` with the outputs of one encoder."""
    if cross_fit is not None and isinstance(encoder, TargetMeanEncoder):
        out[...] = encoder.cross_fitted(column, cross_fit.target, cross_fit.random_state)
    else:
        encoder.write(column, out)


def made_different(names: Iterable[str]) -> list[str]:
    """The names. A name that equals an earlier one gets the ending _2, _3 and so on."""
    taken: set[str] = set()
    different: list[str] = []
    for name in names:
        new, number = name, 2
        while new in taken:
            new, number = f"{name}_{number}", number + 1
        taken.add(new)
        different.append(new)
    return different
