"""The columns of a table, prepared for a pipeline. This needs pandas, from the extra `cli`."""

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import UserError, listed

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def numbers(column: "Series") -> NDArray[np.float64] | None:
    """A column as numbers, with NaN where one is missing; None if the column holds anything else, or truth values."""
    import pandas as pd

    kinds = pd.api.types
    if kinds.is_bool_dtype(column) or kinds.is_datetime64_any_dtype(column) or kinds.is_timedelta64_dtype(column):
        return None
    converted = pd.to_numeric(column, errors="coerce")
    if kinds.is_complex_dtype(converted) or (converted.isna() & column.notna()).any():
        return None
    return np.asarray(converted.to_numpy(dtype=np.float64, na_value=np.nan))


def text(column: "Series") -> NDArray[np.object_]:
    """A column as strings, with NaN where one is missing."""
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
        Columns of anything else: each different value is a category.
    """

    numeric: list[str]
    categorical: list[str]

    @classmethod
    def of(cls, frame: "DataFrame") -> tuple[Self, dict[str, str]]:
        """The columns to learn from, and the reason why each of the others is left out."""
        numeric, categorical, left_out = [], [], {}
        for name in frame.columns:
            column = frame[name]
            present, values = column.notna().sum(), numbers(column)
            distinct = column.astype(str)[column.notna()].nunique()
            if not present:
                left_out[name] = "no value"
            elif distinct == 1 and present == len(column):
                left_out[name] = "one value throughout"
            elif values is not None:
                numeric.append(name)
            elif distinct == present:
                left_out[name] = "no number, and no value occurs twice"
            else:
                categorical.append(name)
        return cls(numeric, categorical), left_out

    def taken_from(self, frame: "DataFrame", path: str) -> "DataFrame":
        """These columns of a table that was read from a path, as float64 and as strings; raises UserError."""
        import pandas as pd

        names = [*self.numeric, *self.categorical]
        if missing := [name for name in names if name not in frame]:
            raise UserError(f"{path} lacks columns that the model was trained on: {listed(missing)}")
        taken: dict[str, Any] = {}
        for name in self.numeric:
            values = numbers(frame[name])
            if values is None:
                strange = frame[name][pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()]
                example = f": {str(strange.iloc[0])!r:.50} in row {strange.index[0] + 1}" if len(strange) else ""
                raise UserError(f"column {name!r} of {path} is to hold numbers, but does not{example}")
            if np.isinf(values).any():
                row = int(np.flatnonzero(np.isinf(values))[0]) + 1
                raise UserError(f"column {name!r} of {path} has an infinite value in row {row}")
            taken[name] = values
        taken |= {name: pd.Series(text(frame[name]), dtype=object) for name in self.categorical}
        return pd.DataFrame(taken, index=range(len(frame)))
