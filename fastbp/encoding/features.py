"""One column of the table: how it is read, and how it is encoded."""

import dataclasses
import re
from typing import Self

import numpy as np
from numpy.typing import NDArray

from . import columns, dates, text
from .categories import OneHotEncoder, TargetMeanEncoder, counted, positions
from .columns import Column, Kind, Mask
from .numbers import NumberEncoder, NumberOptions
from .target import Target

# Numbers must be within these bounds, so that differences of two stay below the largest float.
LARGEST = 1e300
# Smaller numbers count as 0, so that the slope between two different numbers stays below the largest float.
SMALLEST = 1e-290
# A column of text is like an id if it has at least FEWEST_OF_ID values, and if at least the share DIFFERENT of them are
# different. A column of integers with fewer values is not one of ids either.
FEWEST_OF_ID, DIFFERENT = 20, 0.95
# Different integers are ids if the last word of the column's name is in ID_WORDS, or its whole name is in ID_NAMES.
ID_WORDS, ID_NAMES = ("id", "ids", "uuid", "guid", "key"), ("index", "row", "rownumber", "rownames", "unnamed0")
# With few examples, a category is rare if it has less than a FRACTION-th of them.
FRACTION = 20
# A target of more than MOST_MEANS outputs, such as hundreds of classes, would give too many means for each column.
MOST_MEANS = 10

Encoder = NumberEncoder | OneHotEncoder | TargetMeanEncoder


@dataclasses.dataclass(frozen=True)
class Options:
    """How to encode columns: the parameters of `TableEncoder` of the same names, checked.

    Parameters
    ----------
    numbers : NumberOptions
        How to encode numbers.
    max_onehot, min_frequency : int
        Most categories that are one-hot; fewest examples of a category that is not rare.
    many : tuple of str
        How to encode more categories: "target", "onehot" or both.
    drop_ids : bool
        Whether to leave out columns that are like ids.
    """

    numbers: NumberOptions
    max_onehot: int
    min_frequency: int
    many: tuple[str, ...]
    drop_ids: bool


class Dropped(Exception):
    """A column is left out. The message is the reason."""


class Feature:
    """A column of the table: how it is read, and its encoders. `learn` makes it.

    Parameters
    ----------
    source : int
        The index of the column in the table.
    """

    def __init__(self, source: int):
        self.source = source
        # The kind that the column is read as.
        self.kind = Kind.NUMBER
        # How text is read as dates, and the time zone of the dates.
        self.date_format: str | None = None
        self.zone: str | None = None
        # Whether objects of all types are read as text. It is so if the fit read numbers or categories from text.
        self.reads_text = False
        # Whether a value that cannot be read is an error. Otherwise it is missing, as in the fit.
        self.is_strict = True
        self.indicates_missing = False
        # The keys are parts of a date, the ways "onehot" and "target" to encode categories, or "" for numbers.
        self.encoders: dict[str, Encoder] = {}

    @classmethod
    def learn(
        cls,
        source: int,
        column: Column,
        is_category: bool,
        options: Options,
        target: Target | None,
        rows: NDArray[np.intp],
    ) -> tuple[Self, Column]:
        """The feature for a column of the fit, and the column as the feature reads it.

        Raises Dropped if the column cannot help a prediction, and ValueError if a number is infinite.

        Parameters
        ----------
        source : int
            The index of the column in the table.
        column : Column
            The column of the fit.
        is_category : bool
            Whether the user or the dtype has declared the column to hold categories.
        options : Options
            How to encode columns.
        target : Target or None
            The target of the fit.
        rows : ndarray of int
            The examples that quantiles and edges are computed from.
        """
        if column.missing.all():
            raise Dropped("no value")
        feature = cls(source)
        column = feature._learn_to_read(column, is_category)
        feature.indicates_missing = bool(column.missing.any())
        if feature.kind == Kind.DATE:
            feature._encode_dates(column, options, target, rows)
        elif feature.kind == Kind.NUMBER:
            feature._encode_numbers("", column, options, target, rows)
        else:
            feature._encode_categories(column, options, target)
        if not feature.encoders and not feature.indicates_missing:
            raise Dropped("one value throughout")
        return feature, column

    # ---------------------------------------------------------------- reading

    def _learn_to_read(self, column: Column, is_category: bool) -> Column:
        """Set the attributes that `read` needs. Returns the column of the fit as `read` returns it."""
        if column.kind == Kind.CATEGORY and not is_category:
            column = column._replace(kind=Kind.TEXT)
        self.kind = Kind.NUMBER if column.kind == Kind.BOOLEAN else column.kind
        is_text = is_category or column.is_text
        if is_category:
            self.kind = Kind.CATEGORY
        elif column.is_text and text.is_numbers(column):
            self.kind = Kind.NUMBER
            column, junk = text.numbers_of(column)
            self.is_strict = not junk.any()
        elif column.is_text:
            self.date_format = text.date_format_of(column)
            self.kind = Kind.CATEGORY if self.date_format is None else Kind.DATE
            if self.date_format is not None:
                column, junk = text.dates_of(column, self.date_format)
                self.is_strict = not junk.any()
        self.zone = column.zone
        self.reads_text = is_text and self.kind != Kind.DATE
        return self.read(column)

    def read(self, column: Column) -> Column:
        """A column as the kind that the fit has learned: numbers, categories or dates without a time zone.

        Raises ValueError if the column holds anything else, or a number that is infinite.
        """
        if self.kind == Kind.CATEGORY:
            return columns.as_categories(column)
        if column.is_text or column.kind == Kind.CATEGORY:
            column = self._parsed(column)
        is_other = (column.kind == Kind.DATE) != (self.kind == Kind.DATE)
        if is_other and self.is_strict and column.present.any():
            raise ValueError(f"column {column.name!r} must hold {self.kind}, as in the fit, got {column.kind}.")
        if self.kind == Kind.NUMBER:
            return columns.empty_numbers(column) if is_other else _checked(column)
        return columns.empty_dates(column) if is_other else dates.on_the_clock(column, self.zone)

    def unknown(self, column: Column) -> Mask:
        """Where a column has a value that is not of the kind of the fit, or a category that the fit did not see.

        A missing value of a column of categories counts if the fit saw none. `read` raises an error for some of the
        values that count, but not for new categories.
        """
        unknown = np.zeros(len(column.missing), bool)
        if self.kind == Kind.CATEGORY:
            column = columns.as_categories(column)
            for encoder in self.encoders.values():
                if not isinstance(encoder, NumberEncoder):
                    unknown |= positions(column, encoder.places, -1, 0 if self.indicates_missing else -1) < 0
        elif column.is_text or column.kind == Kind.CATEGORY:
            unknown = self._parse(column)[1]
        elif (column.kind == Kind.DATE) != (self.kind == Kind.DATE):
            unknown = column.present
        return unknown

    def _parse(self, column: Column) -> tuple[Column, Mask]:
        """A column of text or categories as numbers or dates, and a mask of its junk."""
        if self.kind == Kind.NUMBER:
            return text.numbers_of(column)
        return text.dates_of(column, self.date_format or text.ISO)

    def _parsed(self, column: Column) -> Column:
        """A column of text or categories as numbers or dates; raises ValueError for junk if the fit had none."""
        parsed, junk = self._parse(column)
        if self.is_strict and junk.any():
            row = int(np.flatnonzero(junk)[0])
            value = column.keys[column.values[row]]
            what = "numbers" if self.kind == Kind.NUMBER else f"dates as {self.date_format or text.ISO}"
            found = f"got {value!r:.50} in row {row} (the first is 0)"
            raise ValueError(f"column {column.name!r} must hold {what}, as in the fit, {found}.")
        return parsed

    # ---------------------------------------------------------------- encoders

    def _encode_numbers(
        self, part: str, column: Column, options: Options, target: Target | None, rows: NDArray[np.intp]
    ) -> None:
        present = column.values[column.present]
        if not len(present) or present.min() == present.max():
            return
        if not part and options.drop_ids and _is_id(column.name, present):
            raise Dropped("an id: different integers in a column whose name is that of ids")
        self.encoders[part] = NumberEncoder(column, options.numbers, target, rows)

    def _encode_dates(self, column: Column, options: Options, target: Target | None, rows: NDArray[np.intp]) -> None:
        for part in dates.NUMBERS:
            self._encode_numbers(part, dates.part_of(column, part), options, target, rows)
        for part in dates.CATEGORIES:
            of_part = dates.part_of(column, part)
            if len(counted(of_part)[0]) > 1:
                self.encoders[part] = OneHotEncoder(of_part, 1)

    def _encode_categories(self, column: Column, options: Options, target: Target | None) -> None:
        keys, counts = counted(column)
        n_present = counts.sum()
        if len(keys) == 1:
            return
        if options.drop_ids and n_present >= FEWEST_OF_ID and len(keys) >= DIFFERENT * n_present:
            raise Dropped("an id: almost all values are different")
        can_mean = target is not None and len(target.names) <= MOST_MEANS
        ways = ("onehot",) if len(keys) <= options.max_onehot else options.many
        if "onehot" in ways or not can_mean:
            least = min(options.min_frequency, max(1, len(column.missing) // FRACTION))
            encoder = OneHotEncoder(column, least)
            if len(encoder.labels) == 1:
                raise Dropped("every category is rare")
            self.encoders["onehot"] = encoder
        if "target" in ways and target is not None and can_mean:
            self.encoders["target"] = TargetMeanEncoder(column, target)

    # ---------------------------------------------------------------- outputs

    @property
    def labels(self) -> list[str]:
        """The endings that make the names of the outputs from the name of the column."""
        labels = []
        for part, encoder in self.encoders.items():
            middle = f"_{part}" if part in dates.PARTS else ""
            labels += [f"{middle}{label}" for label in encoder.labels]
        return [*labels, *(["_missing"] if self.indicates_missing else [])]

    @property
    def n_outputs(self) -> int:
        """The number of outputs."""
        return sum(encoder.n_outputs for encoder in self.encoders.values()) + self.indicates_missing

    def encoded(self, column: Column) -> list[tuple[Encoder, Column]]:
        """Each encoder with the column that it encodes, for a column as `read` returns it."""
        if self.kind == Kind.DATE:
            return [(encoder, dates.part_of(column, part)) for part, encoder in self.encoders.items()]
        return [(encoder, column) for encoder in self.encoders.values()]


def _checked(column: Column) -> Column:
    """A column of numbers, without those below SMALLEST; raises ValueError if a number is infinite or above LARGEST."""
    if column.values.dtype.kind != "f":
        return column
    with np.errstate(invalid="ignore"):
        sizes = abs(column.values)
        is_large, is_small = (sizes > LARGEST) & column.present, (sizes < SMALLEST) & (sizes > 0)
    if is_large.any():
        row = int(np.flatnonzero(is_large)[0])
        raise ValueError(
            f"column {column.name!r} must hold finite numbers between -{LARGEST:g} and {LARGEST:g}, got "
            f"{column.values[row]:g} in row {row} (the first is 0). Infinity is not allowed; NaN counts as missing."
        )
    return column._replace(values=np.where(is_small, 0.0, column.values)) if is_small.any() else column


def _is_id(name: str, present: NDArray) -> bool:
    """Whether numbers are different integers and the name of the column says that they are ids."""
    if present.dtype.kind not in "iu" or len(present) < FEWEST_OF_ID:
        return False
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    if not words or not (words[-1] in ID_WORDS or "".join(words) in ID_NAMES):
        return False
    return len(np.unique(present)) == len(present)
