"""Dates as numbers and categories: the days since 1970, and parts of the calendar."""

import datetime
import re
import zoneinfo
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import columns
from .columns import Column, Kind

DAY = np.timedelta64(1, "D")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Time zones change their offset from UTC at full quarters of an hour only.
QUARTER = "datetime64[15m]"

Times = NDArray[np.datetime64]
# The parts that become numbers.
NUMBERS: dict[str, Callable[[Times], NDArray]] = {
    "days": lambda times: (times - np.datetime64(0, "D")) / DAY,
    "day": lambda times: (times.astype("M8[D]") - times.astype("M8[M]")).astype(np.int64) + 1,
}
# The parts that become categories: the names of the categories, and a function from times to indices of categories.
CATEGORIES: dict[str, tuple[tuple[str, ...], Callable[[Times], NDArray[np.int64]]]] = {
    "month": (tuple(map(str, range(1, 13))), lambda times: times.astype("M8[M]").astype(np.int64) % 12),
    "weekday": (WEEKDAYS, lambda times: (times.astype("M8[D]").astype(np.int64) + 3) % 7),  # 1970 began on a Thursday
    "hour": (tuple(map(str, range(24))), lambda times: times.astype("M8[h]").astype(np.int64) % 24),
}
PARTS = (*NUMBERS, *CATEGORIES)


def part_of(column: Column, part: str) -> Column:
    """A part of the calendar of a column of dates that have no time zone, as a column of numbers or categories."""
    times = np.where(column.missing, np.datetime64(0, "us"), column.values)
    if part in NUMBERS:
        return columns.of_numbers(column.name, NUMBERS[part](times), column.missing)
    keys, place = CATEGORIES[part]
    codes = np.where(column.missing, -1, place(times))
    return Column(column.name, Kind.CATEGORY, codes, column.missing, keys)


def on_the_clock(column: Column, zone: str | None) -> Column:
    """The dates of a column as a clock in this time zone shows them, without a zone.

    Raises ValueError if only the column has a time zone, or only the clock.
    """
    if (column.zone is None) != (zone is None) and column.present.any():
        raise ValueError(
            f"column {column.name!r} must hold dates {_with(zone)}, as in the fit, got dates {_with(column.zone)}."
        )
    if column.zone is None or zone is None:
        return column
    present = column.values[column.present]
    quarters, place = np.unique(present.astype(QUARTER), return_inverse=True)
    clock = _zone(zone)
    offsets = [_offset(quarter, clock) for quarter in quarters.astype("M8[s]").astype(np.int64).tolist()]
    values = column.values.copy()
    values[column.present] = present + np.array(offsets, "m8[s]")[place]
    return column._replace(values=values, zone=None)


def _with(zone: str | None) -> str:
    return "without a time zone" if zone is None else f"with a time zone ({zone})"


def _offset(seconds: int, clock: datetime.tzinfo) -> int:
    """The offset of a clock from UTC, in seconds, at a moment that is given in seconds since 1970 in UTC."""
    try:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
        offset = moment.astimezone(clock).utcoffset()
    except OverflowError:  # before the year 1 or after 9999
        return 0
    assert offset is not None  # only a moment without a clock has none
    return int(offset.total_seconds())


def _zone(name: str) -> datetime.tzinfo:
    """The time zone of this name, as `columns.zone_name` gives it."""
    fixed = re.fullmatch(r"(?:UTC)?([+-])(\d\d):(\d\d)(?::(\d\d))?", name)
    if fixed is None:
        return zoneinfo.ZoneInfo(name)
    sign, *parts = fixed.groups(default="0")
    hours, minutes, seconds = map(int, parts)
    offset = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return datetime.timezone(-offset if sign == "-" else offset)
