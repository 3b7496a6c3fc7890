"""The report that `train` prints about a table before it trains."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..encoding.encoder import TableEncoder
from ..encoding.readings import Reading
from .errors import SHOWN, listed
from .limits import ENOUGH
from .remarks import part_of
from .tables import cells, not_numbers, numbers

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# A column of categories gets a remark if at least the share FEW_NUMBERS of its values are numbers, or if more than the
# share MANY_DIFFERENT of its values are different.
FEW_NUMBERS, MANY_DIFFERENT = 0.5, 0.5
# A column of whole numbers that are all different looks like an identifier if a number is at least HUGE in size, or if
# each number is one more than the number before.
HUGE = 2**31
# The largest or the smallest number of a column is far if its distance to all others is more than FAR times the range
# of the others. There must be at least FEWEST different others.
FAR, FEWEST = 3, 10


def of_columns(found: Sequence[Reading], frame: "DataFrame") -> Iterator[str]:
    """Lines on the kinds of the columns and on missing values."""
    for kind in ("numbers", "categories", "dates"):
        names = [reading.name for reading in found if reading.kind == kind]
        if names:
            yield f"{len(names)} column{'s' if len(names) > 1 else ''} of {kind}: {listed(names)}"
    missing = frame[[reading.name for reading in found]].isna().sum()
    missing = missing[missing > 0].sort_values(ascending=False, kind="stable")
    if len(missing):
        parts = [f"{name!r} {count:,} ({count / len(frame):.1%})" for name, count in missing.head(SHOWN).items()]
        more = f" and {len(missing) - SHOWN} more columns" if len(missing) > SHOWN else ""
        yield f"missing values: {', '.join(parts)}{more}"


def of_left_out(encoder: TableEncoder) -> Iterator[str]:
    """Lines on the columns that are left out, one for each reason."""
    for why in dict.fromkeys(encoder.dropped_columns_.values()):
        names = [name for name, reason in encoder.dropped_columns_.items() if reason == why]
        yield f"left out: {listed(names)} ({why})"


def of_suspicious(found: Sequence[Reading], frame: "DataFrame", declared: Sequence[str]) -> Iterator[str]:
    """Remarks on columns that may hold something else. declared: the columns that the user calls categories."""
    for reading in found:
        name, column = reading.name, frame[reading.name]
        if reading.kind == "dates" and reading.date_format:
            yield f"{name!r} holds dates as {reading.date_format}"
        elif reading.kind == "numbers":
            values = numbers(column)
            if values is not None:
                yield from _of_numbers(name, column, values[~np.isnan(values)])
        elif reading.kind == "categories" and name not in declared:
            yield from _of_categories(name, column.dropna())


def _of_numbers(name: str, column: "Series", values: NDArray[np.float64]) -> Iterator[str]:
    if _is_identifier(column, values):
        yield f"{name!r} looks like an identifier, whole numbers that are all different: --drop leaves it out"
        return
    different, counts = np.unique(values, return_counts=True)
    for end, others in ((0, different[1:]), (-1, different[:-1])):
        if len(others) >= FEWEST and np.abs(different[end] - others).min() > FAR * np.ptp(others):
            share = part_of(counts[end], len(values))
            others_are = f"far from all others ({others[0]:g} to {others[-1]:g})"
            yield f"{share} values of {name!r} are {different[end]:g}, {others_are}: is it a code for missing values?"


def _of_categories(name: str, present: "Series") -> Iterator[str]:
    strange, distinct = not_numbers(present), present.astype(str).nunique()
    if (1 - ENOUGH) * len(present) < len(strange) <= (1 - FEW_NUMBERS) * len(present):
        share = f"fewer than {ENOUGH:.0%} of its values are numbers"
        yield f"{name!r} is taken as categories, because {share}; others are {cells(strange)}"
    if distinct > MANY_DIFFERENT * len(present):
        yield f"{name!r} has {distinct:,} categories in {len(present):,} rows: is it text or an identifier?"


def _is_identifier(column: "Series", values: NDArray[np.float64]) -> bool:
    if (values != np.floor(values)).any() or column.dropna().astype(str).duplicated().any():
        return False
    return bool(abs(values).max() >= HUGE or (len(values) > 1 and (np.diff(values) == 1).all()))
