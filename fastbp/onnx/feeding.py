"""The inputs of the model of a table: their types, and their values for onnxruntime."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..encoding import Feature
from ..encoding.columns import Column, Kind
from ..encoding.encoder import TableEncoder
from ..extras import require
from ..tabular.base import Tabular
from .columns import input_names, keys_of, missing_marks
from .tables import refuse_dates


def initial_types(estimator: Any) -> list[tuple[str, Any]]:
    """The inputs that the model of a table should have: one for each column that the predictions depend on.

    Parameters
    ----------
    estimator : TabularClassifier, TabularRegressor, TableEncoder or Pipeline
        Fitted. A Pipeline must begin with one of the others.

    Returns
    -------
    types : list of tuple of (str, skl2onnx type)
        The name and the type of each input. The name is that of the column. In it, _ replaces the characters that
        skl2onnx does not keep, and a name that another input or an output already has gets a number. The type is
        StringTensorType for categories, and DoubleTensorType for numbers and booleans, also for those that the fit has
        read from text. Numbers are Int64TensorType if the fit had integers beyond 2^53 and no missing values. The shape
        is (None, 1).

    Raises
    ------
    ImportError
        skl2onnx is not installed.
    ValueError
        A column holds dates.
    TypeError
        The estimator is of another kind.
    NotFittedError
        The estimator is not fitted.

    Examples
    --------
    >>> from fastbp import TableEncoder
    >>> from fastbp.onnx import initial_types
    >>> encoder = TableEncoder().fit([["Paris", 2.5], ["Rome", None], ["Paris", 4.0], ["Oslo", 4.5]])
    >>> initial_types(encoder)
    [('x0', StringTensorType(shape=[None, 1])), ('x1', DoubleTensorType(shape=[None, 1]))]
    """
    require("skl2onnx", extra="onnx", by="initial_types")
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType

    table = _table_estimator(estimator)
    encoder, names = _encoder_of(table), input_names(table)
    if encoder is None:
        return [(name, DoubleTensorType([None, 1])) for name in names]
    refuse_dates(encoder)
    types = []
    for feature in encoder._features:
        number = Int64TensorType if _is_exact(feature) else DoubleTensorType
        kind = StringTensorType if feature.kind == Kind.CATEGORY else number
        types.append((names[feature.source], kind([None, 1])))
    return types


def input_feed(estimator: Any, X: Any) -> dict[str, NDArray]:
    """A table as the argument `input_feed` of onnxruntime, for a model with the inputs of `initial_types`.

    Parameters
    ----------
    estimator : TabularClassifier, TabularRegressor, TableEncoder or Pipeline
        As in `initial_types`.
    X : dataframe or array-like of shape (n_samples, n_features)
        The table, as `estimator.predict` takes it.

    Returns
    -------
    feed : dict of str to ndarray of shape (n_samples, 1)
        The values of each column. A missing number is NaN. A missing category is the string 'None', or another one that
        `register_onnx_converters` names if 'None' is a category.

    Raises
    ------
    ValueError
        X is not a table that `estimator` predicts, or a column holds dates, or a column that must hold integers beyond
        2^53 does not.
    TypeError
        X is a sparse matrix, or the estimator is of another kind.
    NotFittedError
        The estimator is not fitted.

    Examples
    --------
    >>> from fastbp import TableEncoder
    >>> from fastbp.onnx import input_feed
    >>> encoder = TableEncoder().fit([["Paris", 2.5], ["Rome", None], ["Paris", 4.0], ["Oslo", 4.5]])
    >>> input_feed(encoder, [["Rome", 3], [None, None]])
    {'x0': array([['Rome'],
           ['None']], dtype=object), 'x1': array([[ 3.],
           [nan]])}
    """
    table = _table_estimator(estimator)
    encoder, names = _encoder_of(table), input_names(table)
    if encoder is None:
        return {name: np.full((_num_samples(X), 1), np.nan) for name in names}
    refuse_dates(encoder)
    values = zip(encoder._features, encoder._read(X), strict=True)
    return {names[feature.source]: _values(feature, column)[:, np.newaxis] for feature, column in values}


def _table_estimator(estimator: Any) -> Any:
    """The estimator that reads the table."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    if not isinstance(estimator, TableEncoder | Tabular):
        raise TypeError(
            "estimator must be a TabularClassifier, a TabularRegressor, a TableEncoder, or a Pipeline that begins with "
            f"one of them, got {type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    return estimator


def _encoder_of(estimator: Any) -> TableEncoder | None:
    """An encoder that reads the columns; None if the predictions do not depend on them."""
    if isinstance(estimator, TableEncoder):
        return estimator
    return estimator.encoders_[0] if estimator.encoders_ else None


def _is_exact(feature: Feature) -> bool:
    """Whether the column must be integers, because floats are too coarse for its numbers."""
    return any(getattr(part, "offset", 0) for part in feature.encoders.values()) and not feature.indicates_missing


def _values(feature: Feature, column: Column) -> NDArray:
    if feature.kind == Kind.CATEGORY:
        return np.array([*column.keys, missing_marks(keys_of(feature))[0]], object)[column.values]
    if _is_exact(feature):
        if column.missing.any() or column.values.dtype != np.int64:
            raise ValueError(
                f"column {column.name!r} must hold integers of the type int64 without missing values, because the fit "
                "had such integers beyond 2^53."
            )
        return column.values
    values = column.values.astype(np.float64)
    values[column.missing] = np.nan
    return values
