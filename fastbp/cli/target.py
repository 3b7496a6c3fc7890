"""The column that a model predicts: classes or numbers."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .limits import MOST_INTEGER_CLASSES
from .tables import cells, not_numbers, numbers, text

if TYPE_CHECKING:
    from pandas import Series

LARGEST = float(np.finfo(np.float32).max)  # larger numbers are refused, because networks compute in float32


def is_measured(column: "Series") -> bool:
    """Whether `--task auto` means regression: the values are numbers, and one is not whole or many are different."""
    values = numbers(column)
    if values is None:
        return False
    known = values[~np.isnan(values)]
    return bool((known != np.floor(known)).any() or len(np.unique(known)) > MOST_INTEGER_CLASSES)


def measured(column: "Series") -> NDArray[np.float64]:
    """A target of numbers, with NaN for each value that is not a number; raises UserError."""
    values, name = numbers(column), column.name
    if values is None:
        raise UserError(
            f"column {name!r}, the target, is not numbers, as regression needs: {cells(not_numbers(column))}"
        )
    if np.isinf(values).any():
        raise UserError(f"column {name!r}, the target, has an infinite value")
    if (abs(values) > LARGEST).any():
        raise UserError(f"column {name!r}, the target, has a number beyond float32")
    return values


def classes(column: "Series") -> NDArray:
    """A target of labels: whole numbers if all are written as such, or else strings; raises UserError."""
    in_file = labels_of(column)
    labels = in_file.astype(str)
    distinct = np.unique(labels)
    if len(distinct) < len(set(in_file)):  # NumPy's strings lose every NUL at their end
        raise UserError(f"column {column.name!r}, the target, has labels that end with a NUL character")
    if len(distinct) < 2:
        raise UserError(f"column {column.name!r}, the target, has one class: {str(distinct[0])!r}")
    # Whole numbers become integers, so that they sort as numbers. 02134 stays a string, because a prediction has to be
    # written as in the file.
    return labels.astype(np.int64) if all(map(_is_whole, distinct)) else labels


def same_numbers(column: "Series") -> bool:
    """Whether a column of text writes a number in several ways, such as 1 and 1.0."""
    values = numbers(column)
    if values is None:
        return False
    are_numbers = ~np.isnan(values)
    return len(np.unique(values[are_numbers])) < column[are_numbers].astype(str).nunique()


def labels_of(column: "Series") -> NDArray[np.object_]:
    """The labels as strings, as they are in the file. If all are whole floats, as in Parquet, 2.0 becomes '2'."""
    import pandas as pd

    if pd.api.types.is_float_dtype(column) and (abs(column) < 2**53).all() and (column % 1 == 0).all():
        column = column.astype(np.int64)
    return text(column)


def _is_whole(label: str) -> bool:
    """Whether a label is written as NumPy writes a whole number."""
    digits = label.removeprefix("-")
    return digits.isdecimal() and len(digits) < 20 and str(int(label)) == label and abs(int(label)) < 2**63
