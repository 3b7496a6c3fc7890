"""The columns of a table, prepared for a pipeline. This needs pandas, from the extra `cli`."""

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from . import dates
from .errors import UserError, listed
from .limits import ENOUGH

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# A larger number is refused, because the network computes in float32. `scaling` checks the scaled inputs again.
LARGEST = float(np.finfo(np.float32).max)


def numbers(column: "Series") -> NDArray[np.float64] | None:
    """A column as numbers, with NaN for values that are no numbers. Time spans become seconds.

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


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table that a model reads.

    Parameters
    ----------
    numeric : list of str
        Columns of numbers.
    categorical : list of str
        Columns of categories. Each different value is a category.
    dates : dict of str to str
        Columns of dates, and the format of each as `pandas.to_datetime` takes it.
    parts : dict of str to dict of str to str
        For each column of dates, a dict. It maps each part of the calendar that is an input, such as 'weekday', to the
        name of this input.
    """

    numeric: list[str]
    categorical: list[str]
    dates: dict[str, str] = dataclasses.field(default_factory=dict)
    parts: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, frame: "DataFrame") -> tuple[Self, dict[str, str]]:
        """The columns to learn from, and the reason why each of the others is left out."""
        columns, left_out = cls([], []), {}
        for name in frame.columns:
            column = frame[name]
            present = column.notna().sum()
            distinct = column.astype(str)[column.notna()].nunique()
            if not present:
                left_out[name] = "no value"
            elif distinct == 1 and present == len(column):
                left_out[name] = "one value throughout"
            elif numbers(column) is not None:
                columns.numeric.append(name)
            elif form := dates.format_of(column):
                columns.dates[name] = form
                parts = {part: f"{name} ({part})" for part in dates.varying_parts(dates.times(column, form))}
                columns.parts[name] = {part: new for part, new in parts.items() if new not in frame}
            elif distinct == present:
                left_out[name] = "no number, and no value occurs twice"
            else:
                columns.categorical.append(name)
        return columns, left_out

    @property
    def names(self) -> list[str]:
        """All columns of the table that the model reads."""
        return [*self.numeric, *self.categorical, *self.dates]

    @property
    def numeric_inputs(self) -> list[str]:
        """The columns of numbers in the result of `taken_from`."""
        return [*self.numeric, *self.dates]

    @property
    def categorical_inputs(self) -> list[str]:
        """The columns of categories in the result of `taken_from`."""
        return [*self.categorical, *(name for parts in self.parts.values() for name in parts.values())]

    def taken_from(self, frame: "DataFrame", path: str) -> "DataFrame":
        """The inputs of the model, taken from a table; raises UserError. path: the table's file, for the error message.

        Numbers and dates become float64, and categories become strings.
        """
        import pandas as pd

        if missing := [name for name in self.names if name not in frame]:
            raise UserError(f"{path} lacks columns that the model was trained on: {listed(missing)}")
        taken: dict[str, Any] = {name: _checked(frame[name], path) for name in self.numeric}
        taken |= {name: text(frame[name]) for name in self.categorical}
        for name, form in self.dates.items():
            moments = dates.times(frame[name], form)
            strange = frame[name][moments.isna() & frame[name].notna()]
            if len(strange) > (1 - ENOUGH) * frame[name].notna().sum():
                raise UserError(f"column {name!r} of {path} is to hold dates as {form}, but does not: {cells(strange)}")
            taken[name] = dates.days(moments).to_numpy(dtype=np.float64)
            parts = dates.taken_parts(moments, self.parts[name])
            taken |= {part: parts[part].to_numpy(dtype=object) for part in parts}
        for name in self.categorical_inputs:
            taken[name] = pd.Series(taken[name], dtype=object, index=frame.index)
        return pd.DataFrame(taken, index=frame.index)

    def not_understood(self, frame: "DataFrame") -> dict[str, "Series"]:
        """For each column of numbers or dates, the values that are present but cannot be read as such."""
        strange = {name: not_numbers(frame[name]) for name in self.numeric}
        for name, form in self.dates.items():
            strange[name] = frame[name][dates.times(frame[name], form).isna() & frame[name].notna()]
        return {name: values for name, values in strange.items() if len(values)}


def cells(values: "Series", most: int = 3) -> str:
    """Some values of a column with their rows, for a message."""
    shown = ", ".join(f"{str(value)!r:.50} in row {row + 1}" for row, value in values.head(most).items())
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _checked(column: "Series", path: str) -> NDArray[np.float64]:
    """A column as numbers, with NaN for missing values and for the few values that are no numbers.

    Raises UserError if too few values are numbers, or if a number is infinite or too large for float32.
    """
    values = numbers(column)
    if values is None:
        strange = not_numbers(column)
        example = f": {cells(strange)}" if len(strange) else ""
        raise UserError(f"column {column.name!r} of {path} is to hold numbers, but does not{example}")
    for wrong, what in ((np.isinf(values), "an infinite value"), (abs(values) > LARGEST, "a number beyond float32")):
        if wrong.any():
            row = column.index[np.flatnonzero(wrong)[0]] + 1
            raise UserError(f"column {column.name!r} of {path} has {what} in row {row}")
    return values
