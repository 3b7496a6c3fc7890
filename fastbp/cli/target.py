"""The column that a model predicts: classes or numbers."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .parser import MOST_INTEGER_CLASSES
from .tables import numbers, text

if TYPE_CHECKING:
    from pandas import Series


def target_of(column: "Series", task: str) -> NDArray:
    """The values to predict: whole numbers or strings for classes, float64 for regression; raises UserError."""
    values, name = numbers(column), column.name
    whole = values is not None and bool((np.isfinite(values) & (values == np.floor(values))).all())
    few = values is not None and len(np.unique(values)) <= MOST_INTEGER_CLASSES
    if task == "auto":
        task = "classification" if values is None or (whole and few) else "regression"
    if task == "regression":
        return _numbers_of(values, name)
    # Above 2^53 two whole numbers may be the same float.
    y = values.astype(np.int64) if values is not None and whole and abs(values).max() < 2**53 else text(column)
    y = y if y.dtype != object else y.astype(str)
    if len(np.unique(y)) < 2:
        raise UserError(f"column {name!r}, the target, has one class: {str(y[0])!r}")
    return y


def _numbers_of(values: NDArray[np.float64] | None, name: str) -> NDArray[np.float64]:
    if values is None:
        raise UserError(f"column {name!r} is not numbers, as --task regression needs")
    if np.isinf(values).any():
        raise UserError(f"column {name!r}, the target, has an infinite value")
    if np.ptp(values) == 0:
        raise UserError(f"column {name!r}, the target, has one value throughout: {values[0]:g}")
    return values
