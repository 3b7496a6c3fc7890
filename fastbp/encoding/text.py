"""Text that holds numbers or dates."""

import datetime
import re
from collections.abc import Sequence

import numpy as np

from . import columns
from .columns import Column, Mask

# A column of text holds numbers, or dates, if at least the share ENOUGH of its values are. Its other values are junk.
ENOUGH = 0.95
# Digits with a leading zero, such as the postal code 02139, are no number.
NUMBER = re.compile(r"\s*[+-]?(?!0\d)(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
ISO = "ISO 8601"  # the format of 2024-12-31 and 2024-12-31T23:59:59.5+01:00
DAYS = ("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y")
SHORT_DAYS = ("%B %d, %Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y")
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS = (ISO, *(day + clock for day in (*DAYS, *SHORT_DAYS) for clock in CLOCKS))
SAMPLE = 50  # about this many different values decide which formats are tried on all values


def is_numbers(column: Column) -> bool:
    """Whether enough values of a column of text are numbers."""
    return _share(column, [NUMBER.fullmatch(key) is not None for key in column.keys]) >= ENOUGH


def numbers_of(column: Column) -> tuple[Column, Mask]:
    """A column of text as numbers, and a mask of its junk. Junk becomes missing."""
    given = [_number(key) for key in column.keys]
    is_number = np.array([value is not None for value in given] + [False])
    values = [value for value in given if value is not None]
    table = np.zeros(len(given) + 1)
    if values:
        of_numbers = columns.array_of_numbers(values, integers=all(isinstance(value, int) for value in values))
        table = np.zeros(len(given) + 1, of_numbers.dtype)
        table[is_number] = of_numbers
    is_good = is_number[column.values]
    return columns.of_numbers(column.name, table[column.values], ~is_good), ~is_good & column.present


def _number(key: str) -> int | float | None:
    if NUMBER.fullmatch(key) is None:
        return None
    try:
        return int(key)
    except ValueError:  # not whole, or of more digits than Python converts
        return float(key)


def date_format_of(column: Column) -> str | None:
    """The format that fits the most different values of a column of text; None if no format fits enough values.

    If no value decides whether 03/04/2024 is in March or in April, the format means March.
    """
    keys = [column.keys[code] for code in np.unique(column.values[column.present])]
    sample = keys[:: max(1, len(keys) // SAMPLE)]
    if np.mean([re.search(r"\d.*\d", key) is not None for key in sample]) < ENOUGH:
        return None
    likely = [form for form in FORMATS if np.mean([_date(key, form) is not None for key in sample]) >= ENOUGH]
    shares = {form: _share(column, [_date(key, form) is not None for key in column.keys]) for form in likely}
    best = max(shares, key=lambda form: shares[form], default=None)
    return best if best is not None and shares[best] >= ENOUGH else None


def dates_of(column: Column, form: str) -> tuple[Column, Mask]:
    """A column of text as dates, and a mask of its junk. Junk becomes missing."""
    given = [_date(key, form) for key in column.keys]
    is_date = np.array([value is not None for value in given] + [False])
    table, zone = np.full(len(given) + 1, np.datetime64("NaT", "us"), columns.MICROSECONDS), None
    if is_date.any():
        table[is_date], zone = columns.array_of_dates(column.name, [value for value in given if value is not None])
    is_good = is_date[column.values]
    return columns.of_dates(column.name, table[column.values], zone), ~is_good & column.present


def _date(key: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(key.strip()) if form == ISO else datetime.datetime.strptime(key, form)
    except ValueError:
        return None


def _share(column: Column, is_right: Sequence[bool]) -> float:
    """The share of the present values whose key is right."""
    return float(np.mean(np.array(is_right)[column.values[column.present]]))
