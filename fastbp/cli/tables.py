"""Columns of a table as numbers and as text. This needs pandas, from the extra `cli`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .limits import ENOUGH

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def numbers(column: "Series") -> NDArray[np.float64] | None:
    """A column as numbers, with NaN for values that are not numbers. Time spans become seconds.

    Returns None for a column of booleans, dates or complex numbers. Also returns None if less than the share ENOUGH of
    the values that are not missing are numbers.
    """
    import pandas as pd

    kinds = pd.api.types
    if kinds.is_timedelta64_dtype(column):
        return np.asarray(column.dt.total_seconds())
    if kinds.is_bool_dtype(column) or kinds.is_datetime64_any_dtype(column):
        return None
    converted = pd.to_numeric(column, errors="coerce")
    if kinds.is_complex_dtype(converted) or converted.notna().sum() < ENOUGH * column.notna().sum():
        return None
    return np.asarray(converted.to_numpy(dtype=np.float64, na_value=np.nan))


def not_numbers(column: "Series") -> "Series":
    """The values of a column that are present but are not numbers."""
    import pandas as pd

    if pd.api.types.is_timedelta64_dtype(column):
        return column[:0]
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column.dropna()
    return column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]


def text(column: "Series") -> NDArray[np.object_]:
    """A column as strings, with NaN where a value is missing."""
    strings = column.astype(str).to_numpy(dtype=object)
    return np.asarray(np.where(column.isna(), np.nan, strings), dtype=object)


def cells(values: "Series", most: int = 3) -> str:
    """Some values of a column with their rows, for a message."""
    shown = ", ".join(f"{str(value)!r:.50} in row {row + 1}" for row, value in values.head(most).items())
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def prepared(frame: "DataFrame", path: str) -> "DataFrame":
    """The table as models read it; raises UserError if a number is infinite. path: the table's file, for the message.

    Truth values of Parquet become the text that they are in a CSV file, so a model reads both files.
    """
    import pandas as pd

    frame = frame.copy(deep=False)
    for name in frame:
        column = frame[name]
        if pd.api.types.is_bool_dtype(column):
            frame[name] = pd.Series(text(column), dtype=object, index=frame.index)
        elif pd.api.types.is_float_dtype(column):
            infinite = np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))
            if infinite.any():
                row = frame.index[np.flatnonzero(infinite)[0]] + 1
                raise UserError(f"column {name!r} of {path} has an infinite value in row {row}")
    return frame
