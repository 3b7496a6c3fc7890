"""Remarks for the user on values of a table that a model does not understand."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..encoding.readings import Reading
from .errors import UserError, listed
from .limits import ENOUGH
from .tables import cells

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING = "(missing)"


def without_junk(found: Sequence[Reading], frame: "DataFrame") -> tuple["DataFrame", list[str]]:
    """The table, where values that do not suit a column of numbers or dates are missing, and remarks on them."""
    frame, remarks = frame.copy(deep=False), []
    for reading in found:
        if reading.kind != "categories" and reading.unknown.any():
            column = frame[reading.name]
            junk = column[reading.unknown]
            share = part_of(len(junk), column.notna().sum())
            count = f"so they count as missing: {cells(junk)}"
            remarks.append(f"{share} values of {reading.name!r} are not {_kind(reading)}, {count}")
            frame[reading.name] = column.mask(reading.unknown)
    return frame, remarks


def refuse_other_kinds(found: Sequence[Reading], frame: "DataFrame", path: str) -> None:
    """Raise UserError if a column of numbers or dates has too many other values."""
    for reading in found:
        junk = frame[reading.name][reading.unknown]
        if reading.kind != "categories" and len(junk) > (1 - ENOUGH) * frame[reading.name].notna().sum():
            raise UserError(
                f"column {reading.name!r} of {path} must hold {_kind(reading)}, but has other values: {cells(junk)}"
            )


def on_new_categories(found: Sequence[Reading], frame: "DataFrame") -> Iterator[str]:
    """Remarks on categories that the training did not have."""
    for reading in found:
        if reading.kind == "categories" and reading.unknown.any():
            values = frame[reading.name][reading.unknown].astype(object)
            kinds = listed(values.where(values.notna(), MISSING).unique())
            rows = part_of(len(values), len(frame))
            yield f"{rows} rows have values of {reading.name!r} that the training did not have: {kinds}"


def part_of(part: int, whole: int) -> str:
    """A count for a remark, such as '3 of 1,400'."""
    return f"{part:,} of {whole:,}"


def _kind(reading: Reading) -> str:
    return reading.kind + (f" as {reading.date_format}" if reading.date_format else "")
