"""A column of any table as an array of one kind: numbers, booleans, categories, text or dates.

A mask tells which values are missing. Categories and text are codes: indices into the different values, which are
strings. So 1, 1.0 and "1" are one category, and integers are compared to their last digit.
"""

import datetime
import math
import numbers
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
MICROSECONDS = "datetime64[us]"
SECOND = np.timedelta64(1, "s")
# Types of None, pandas.NA and NaT. The last two belong to pandas, which need not be installed.
EMPTY_TYPES = ("NoneType", "NAType", "NaTType")
# A value of these types is missing if it does not equal itself.
NAN_TYPES = (float, np.floating, Decimal, np.datetime64, np.timedelta64)
# A float that is a whole number below WHOLE is written as an integer: 1.0 as "1".
WHOLE = 2.0**64


class Kind:
    """The kinds of values. They are not an Enum, because fitted encoders hold them, and skops stores no Enum."""

    NUMBER = "numbers"
    BOOLEAN = "booleans"
    CATEGORY = "categories"  # declared so: by the dtype or by the user
    TEXT = "text"
    DATE = "dates"


class Column(NamedTuple):
    """The values of a column.

    Parameters
    ----------
    name : str
        The name of the column, for messages.
    kind : str
        One of the constants of `Kind`.
    values : ndarray of shape (n_samples,)
        Numbers: int64, uint64 or float64; time spans are in seconds. Booleans: bool. Categories and text: indices into
        `keys`, as int64, and -1 where a value is missing. Dates: datetime64[us], in UTC if they have a time zone.
    missing : ndarray of bool of shape (n_samples,)
        Where a value is missing. Numbers, booleans and dates have any value there.
    keys : sequence of str
        The different values of categories and text. Some may not occur.
    zone : str or None
        The time zone of dates, if they have one.
    """

    name: str
    kind: str
    values: NDArray
    missing: Mask
    keys: Sequence[str] = ()
    zone: str | None = None

    @property
    def present(self) -> Mask:
        """Where a value is not missing."""
        return ~self.missing

    @property
    def is_text(self) -> bool:
        """Whether the values are text, which may hold numbers or dates."""
        return self.kind == Kind.TEXT

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Some rows of the column."""
        return self._replace(values=self.values[rows], missing=self.missing[rows])


def of_array(name: str, values: NDArray) -> Column:
    """A column of a NumPy array; raises ValueError or TypeError if it holds complex numbers or records."""
    kind = values.dtype.kind
    if kind in "iuf":
        return of_numbers(name, values)
    if kind == "b":
        return Column(name, Kind.BOOLEAN, values, np.zeros(len(values), bool))
    if kind == "M":
        return of_dates(name, values)
    if kind == "m":
        return of_numbers(name, values / SECOND)
    if kind == "U":
        return of_text(name, values.tolist(), np.zeros(len(values), bool))
    if kind in "OST":  # T is NumPy's StringDType
        return of_objects(name, values.astype(object, copy=False))
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} has complex numbers.")
    raise TypeError(f"column {name!r} must hold numbers, categories, text or dates, got the dtype {values.dtype}.")


def of_numbers(name: str, values: NDArray, missing: Mask | None = None) -> Column:
    """A column of integers or floats. NaN is missing too."""
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
        missing = np.isnan(values) if missing is None else missing | np.isnan(values)
    else:
        values = values.astype(np.uint64 if values.dtype == np.uint64 else np.int64, copy=False)
        missing = np.zeros(len(values), bool) if missing is None else missing
    return Column(name, Kind.NUMBER, values, missing)


def of_dates(name: str, values: NDArray, zone: str | None = None) -> Column:
    """A column of datetime64, in UTC if there is a zone."""
    return Column(name, Kind.DATE, values.astype(MICROSECONDS), np.isnat(values), zone=zone)


def empty_numbers(column: Column) -> Column:
    """A column of numbers that replaces this one. All are missing."""
    return of_numbers(column.name, np.full(len(column.missing), np.nan))


def empty_dates(column: Column) -> Column:
    """A column of dates that replaces this one. All are missing."""
    return of_dates(column.name, np.full(len(column.missing), np.datetime64("NaT", "us"), MICROSECONDS))


def of_text(name: str, values: Sequence[Any], missing: Mask) -> Column:
    """A column of strings."""
    codes, keys = np.full(len(missing), -1), dict[str, int]()
    given = values if not missing.any() else [value for value, gone in zip(values, missing, strict=True) if not gone]
    codes[~missing] = np.fromiter((keys.setdefault(value, len(keys)) for value in given), np.int64, len(given))
    return Column(name, Kind.TEXT, codes, missing, list(keys))


def of_categories(name: str, codes: NDArray, categories: Sequence[Any]) -> Column:
    """A column of indices into categories of any type; -1 means that a value is missing. 1 and "1" are one category."""
    keys = dict[str, int]()
    place = [keys.setdefault(key_of(category), len(keys)) for category in categories]
    values = np.array([*place, -1], np.int64)[codes]
    return Column(name, Kind.CATEGORY, values, values < 0, list(keys))


def sorted_by_key(column: Column) -> Column:
    """A column of text with its keys in ascending order."""
    order = sorted(range(len(column.keys)), key=column.keys.__getitem__)
    place = np.full(len(order) + 1, -1)  # missing values have the code -1, which picks the last entry
    place[order] = np.arange(len(order))
    return column._replace(values=place[column.values], keys=[column.keys[code] for code in order])


def of_objects(name: str, values: NDArray, missing: Mask | None = None, *, as_text: bool = False) -> Column:
    """A column of Python objects. Their types decide its kind. A mixture of types is text.

    as_text: whether the column is text for all types.
    """
    missing = missing_objects(values) if missing is None else missing
    given = values[~missing].tolist()
    types = set(map(type, given))
    column = _of_keys(name, given, types) if as_text else _of_present(name, given, types)
    full = np.full(len(values), -1 if column.kind == Kind.TEXT else 0).astype(column.values.dtype)
    full[~missing] = column.values
    return column._replace(values=full, missing=missing)


def _of_present(name: str, given: list[Any], types: set[type]) -> Column:
    """A column of Python objects of these types. No object is missing."""

    def all_are(*kinds: type) -> bool:
        return all(issubclass(each, kinds) for each in types)

    if any(issubclass(each, numbers.Complex) and not issubclass(each, numbers.Real) for each in types):
        raise ValueError(f"Complex data not supported: column {name!r} has complex numbers.")
    if not types:
        return of_numbers(name, np.empty(0))
    if all_are(bool, np.bool_):
        return of_array(name, np.array(given, bool))
    if all_are(datetime.timedelta, np.timedelta64):  # before numbers, because NumPy registers timedelta64 as integers
        return of_numbers(name, np.array([_seconds(span) for span in given]))
    if all_are(numbers.Real, Decimal, np.bool_):
        return of_numbers(name, array_of_numbers(given, integers=all_are(numbers.Integral, np.bool_)))
    if all_are(datetime.time):
        return of_numbers(name, np.array([_seconds(time) for time in given]))
    if all_are(datetime.date, np.datetime64):
        return of_dates(name, *array_of_dates(name, given))
    return _of_keys(name, given, types)


def _of_keys(name: str, given: list[Any], types: set[type]) -> Column:
    """A column of Python objects as text. No object is missing."""
    if types != {str}:
        given = [key_of(value) for value in given]
    return of_text(name, given, np.zeros(len(given), bool))


def missing_objects(values: NDArray) -> Mask:
    """Where an array of objects has None, NaN, pandas.NA or NaT."""
    types = set(map(type, values.tolist()))
    empty = tuple(each for each in types if each.__name__ in EMPTY_TYPES)
    unequal = tuple(each for each in types if issubclass(each, NAN_TYPES))
    if not empty and not unequal:
        return np.zeros(len(values), bool)
    return np.fromiter(
        (isinstance(value, empty) or (isinstance(value, unequal) and value != value) for value in values.tolist()),
        bool,
        len(values),
    )


def array_of_numbers(given: Sequence[Any], *, integers: bool) -> NDArray:
    """Real numbers of any types as int64 or uint64 if all are integers that fit, otherwise as float64."""
    if integers:
        low, high = int(min(given)), int(max(given))
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return np.array(given, dtype)
    return np.array([_as_float(value) for value in given], np.float64)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above the largest float
        return math.inf if value > 0 else -math.inf


def array_of_dates(name: str, given: Sequence[Any]) -> tuple[NDArray, str | None]:
    """Dates and times of any types as datetime64[us], and the name of their time zone.

    With a time zone, the result is in UTC. With several zones, the zone is UTC. Raises ValueError if only some values
    have a zone. name: of the column, for the message.
    """
    zones = {zone_name(getattr(value, "tzinfo", None)) for value in given}
    if None in zones and len(zones) > 1:
        raise ValueError(f"column {name!r} must hold dates with a time zone or dates without, got both.")
    return np.array([_in_utc(value) for value in given], MICROSECONDS), zones.pop() if len(zones) == 1 else "UTC"


def _in_utc(value: Any) -> np.datetime64:
    """A date or time without a zone as it is, and one with a zone in UTC."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def zone_name(zone: datetime.tzinfo | None) -> str | None:
    """The name of a time zone: "Europe/Berlin", or "UTC+01:00" for a fixed offset. Zones without a name become UTC."""
    if zone is None:
        return None
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return str(name or (zone if isinstance(zone, datetime.timezone) else "UTC"))


def _seconds(value: Any) -> float:
    """The seconds of a time span, or since midnight."""
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return float(np.timedelta64(value, "us") / SECOND)


def key_of(value: Any) -> str:
    """The value as the string that stands for it. Equal values of different types have the same string."""
    if isinstance(value, str):
        return str(value)  # not a subclass of str, such as NumPy's
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, datetime.date | np.datetime64):
        return _key_of_date(_in_utc(value), has_zone=getattr(value, "tzinfo", None) is not None)
    if isinstance(value, datetime.time | datetime.timedelta | np.timedelta64):
        value = _seconds(value)
    if isinstance(value, float | np.floating | Decimal):
        number = _as_float(value)
        return str(int(value)) if abs(number) < WHOLE and number.is_integer() else str(number)
    return str(value)


def _key_of_date(value: np.datetime64, *, has_zone: bool) -> str:
    """The key of a date: without its time if this is midnight, and with its zone if it is in UTC."""
    key = str(value).replace("T", " ").removesuffix(".000000")
    return f"{key}+00:00" if has_zone else key.removesuffix(" 00:00:00")


def as_categories(column: Column) -> Column:
    """The column with codes and keys. Numbers, booleans and dates are sorted."""
    if column.kind in (Kind.CATEGORY, Kind.TEXT):
        return column
    different, codes = np.unique(column.values[column.present], return_inverse=True)
    full = np.full(len(column.missing), -1)
    full[column.present] = codes
    if column.kind == Kind.DATE:
        keys = [_key_of_date(value, has_zone=column.zone is not None) for value in different]
        return of_categories(column.name, full, keys)
    return of_categories(column.name, full, different.tolist())


def declared(column: Column) -> Column:
    """A column of text as a column of declared categories, in ascending order."""
    return sorted_by_key(column)._replace(kind=Kind.CATEGORY)
