"""Columns of dates. A date becomes a number, the days since 1970, and categories such as its weekday."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .limits import ENOUGH
from .reading import ROWS_TO_SNIFF

if TYPE_CHECKING:
    from pandas import DataFrame, Series

ISO = "ISO8601"  # pandas' name for formats such as 2024-12-31 and 2024-12-31T23:59:59.5+01:00
# Formats that pandas does not guess from every value: times with AM or PM, and years of two digits.
MORE_FORMATS = (
    *(f"{day} %I:%M{second} %p" for day in ("%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d") for second in ("", ":%S")),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y"),
)
PARTS: dict[str, Callable[[Any], Any]] = {
    "month": lambda times: times.month_name(),
    "weekday": lambda times: times.day_name(),
    "hour": lambda times: times.hour.astype("Int64").astype("string"),
}


def format_of(column: "Series") -> str | None:
    """The format that fits the most different values of a column; None if the column does not hold dates.

    A format must fit at least the share ENOUGH of the different values, of the first ROWS_TO_SNIFF of them, and of all
    values. If no value decides whether 03/04/2024 is in March or in April, the format means March.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return ISO
    values = column.dropna().astype(str).drop_duplicates()
    head = values.head(ROWS_TO_SNIFF)
    if not len(head) or head.str.contains(r"\d.*\d", regex=True).mean() < ENOUGH:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns of values that are no dates
        guesses = (pd.tseries.api.guess_datetime_format(head.iloc[0], dayfirst=first) for first in (False, True))
        formats = [ISO, *(guess for guess in guesses if guess and "%d" in guess), *MORE_FORMATS]
    likely = [form for form in formats if times(head, form).notna().mean() >= ENOUGH]
    shares = {form: times(values, form).notna().mean() for form in likely}
    best = max(shares, key=lambda form: shares[form], default=None)
    if best is None or shares[best] < ENOUGH:
        return None
    return best if times(column.dropna(), best).notna().mean() >= ENOUGH else None


def times(column: "Series", form: str) -> "Series":
    """The values as times in UTC, with NaT for each value that is missing or does not have this format."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(column):
        column = column.astype(object).where(column.notna(), None).map(str, na_action="ignore")
    return pd.to_datetime(column, format=form, errors="coerce", utc=True)


def days(moments: "Series") -> "Series":
    """The times as days since 1970, with decimals; NaN where a time is missing."""
    import pandas as pd

    return (moments - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)


def varying_parts(moments: "Series") -> list[str]:
    """The names of the parts of the calendar that are not the same for all times."""
    return [part for part, take in PARTS.items() if take(moments.dt).nunique() > 1]


def taken_parts(moments: "Series", parts: dict[str, str]) -> "DataFrame":
    """For each part of the calendar, a column of strings under its name in `parts`; NaN where a time is missing."""
    import pandas as pd

    taken = pd.DataFrame({name: PARTS[part](moments.dt).astype(object) for part, name in parts.items()})
    return taken.where(taken.notna(), np.nan)
