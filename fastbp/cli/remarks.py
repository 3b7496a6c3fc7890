"""Remarks for the user on the columns of a table: values not understood, identifiers, unknown categories."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .errors import listed, warn
from .limits import ENOUGH, MOST_CATEGORIES
from .model_files import Model
from .pipeline import MISSING
from .tables import Columns, cells, not_numbers, numbers

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# A column of categories gets a remark if at least the share FEW_NUMBERS of its values are numbers.
FEW_NUMBERS = 0.5
# A column of whole numbers that are all different looks like an identifier if a number is at least HUGE in size, or if
# each number is one more than the number before.
HUGE = 2**31


def of_values(columns: Columns, frame: "DataFrame") -> Iterator[str]:
    """Remarks on values that are not numbers in columns of numbers, or not dates in columns of dates."""
    for name, strange in columns.not_understood(frame).items():
        kind = "dates" if name in columns.dates else "numbers"
        yield f"{_of(len(strange), frame[name].notna().sum())} values of {name!r} are not {kind}, so they count as " + (
            f"missing: {cells(strange)}"
        )


def of_columns(columns: Columns, frame: "DataFrame") -> Iterator[str]:
    """Remarks on columns of dates, on columns of numbers that look like identifiers, and on columns of categories."""
    for name, form in columns.dates.items():
        parts = "".join(f", {part}" for part in columns.parts[name])
        yield f"{name!r} holds dates as {form}: the inputs are time{parts}"
    for name in columns.numeric:
        if _is_identifier(frame[name]):
            yield f"{name!r} looks like an identifier, whole numbers that are all different: --drop leaves it out"
    for name in columns.categorical:
        present = frame[name].dropna()
        strange, distinct = not_numbers(present), present.astype(str).nunique()
        if len(strange) <= (1 - FEW_NUMBERS) * len(present):
            share = f"fewer than {ENOUGH:.0%} of its values are numbers"
            yield f"{name!r} is taken as categories, because {share}; others are {cells(strange)}"
        if distinct > MOST_CATEGORIES:
            yield f"{name!r} has {distinct:,} categories: the rarest of them share one input"


def warn_of(model: Model, frame: "DataFrame", X: "DataFrame") -> None:
    """Warn of the values of `frame` that the model does not understand. X: the inputs that were taken from `frame`."""
    for remark in (*of_values(model.columns, frame), *_of_unknown_categories(model, X)):
        warn(remark)


def _of_unknown_categories(model: Model, X: "DataFrame") -> Iterator[str]:
    if not model.columns.categorical_inputs:
        return
    encoder = model.pipeline[0].named_transformers_["categorical"][-1]
    for name, known in zip(model.columns.categorical_inputs, encoder.categories_, strict=True):
        values = X[name].fillna(MISSING)
        unknown = values[~values.isin(known)]
        if len(unknown):
            kinds = listed(unknown.unique())
            yield f"{_of(len(unknown), len(X))} rows have values of {name!r} that the training had not: {kinds}"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _is_identifier(column: "Series") -> bool:
    values = numbers(column)
    assert values is not None  # a column of numbers
    known = values[~np.isnan(values)]
    if (known != np.floor(known)).any() or column.dropna().astype(str).duplicated().any():
        return False
    return bool(abs(known).max() >= HUGE or (len(known) > 1 and (np.diff(known) == 1).all()))
