"""Reading data files: text with separated columns, and Parquet. This needs pandas, from the extra `cli`."""

import argparse
import codecs
import contextlib
import csv
import dataclasses
import importlib
import io
import pathlib
import sys
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ..extras import require
from .errors import UserError, listed, reason, warn
from .limits import ENOUGH

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PARQUET, TABS = (".parquet", ".pq"), (".tsv", ".tab")
PARQUET_BEGINS = b"PAR1"
# For each suffix, the module of Python's standard library that opens such files.
COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
SUFFIXES_OF_COMPRESSION = (*COMPRESSED, ".zst", ".zip")
SEPARATORS = ",;\t|"
# A cell with one of these texts is a missing value, as in pandas.read_csv.
MISSING_WORDS = (
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "None", "NULL", "null"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
POINT_NUMBER, COMMA_NUMBER = r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?", r"[+-]?[\d.]*\d,\d+(?:[eE][+-]?\d+)?"
ROWS_TO_SNIFF = 1000


@dataclasses.dataclass(frozen=True)
class Format:
    """How a text file is written. A field that is None is guessed from the file."""

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """The format that the options of a job give."""
        return cls(options.sep, options.decimal, options.encoding)

    def __str__(self) -> str:
        return f"--sep {self.sep!r} --decimal {self.decimal!r} --encoding {self.encoding}"


UNGUESSED = Format()


def read(path: str, given: Format = UNGUESSED) -> "DataFrame":
    """The table in a file, or in the standard input if the path is "-"; raises UserError.

    All columns of a text file are read as text, with NaN where a value is missing. `tables.numbers` decides later
    whether a column holds numbers. For a text file, `attrs["missing"]` of the table has the cells of each column that
    hold a word such as NA. Callers remove this entry at once, because pandas copies it with every column.
    """
    try:
        frame = _read_any(path, given)
    except UserError:
        raise
    except Exception as error:  # the parsers raise errors of many kinds for broken files
        raise UserError(f"cannot read {path}: {reason(error)}") from error
    frame.columns = frame.columns.map(str)
    if (again := frame.columns.duplicated()).any():
        raise UserError(f"{path} has several columns of one name: {listed(frame.columns[again].unique())}")
    if strange := [name for name in frame if "\0" in name]:
        raise UserError(f"{path} has a NUL character in the name of a column: {listed(strange)}")
    if frame.empty:
        raise UserError(f"{path} has no rows")
    return frame


def _read_any(path: str, given: Format) -> "DataFrame":
    suffixes = [suffix.lower() for suffix in pathlib.Path(path).suffixes]
    if suffixes and suffixes[-1] in SUFFIXES_OF_COMPRESSION:
        del suffixes[-1]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in PARQUET and pathlib.Path(path).is_dir():  # a folder with many files of one table
        return _read_parquet(path)
    with _opened(path) as stream:
        data = stream.read()
    if suffix in PARQUET or data.startswith(PARQUET_BEGINS):
        return _read_parquet(io.BytesIO(data))
    return _read_text(data, path, given, tabs=suffix in TABS)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """A stream of the bytes of a file, decompressed if its name says that it is compressed."""
    suffix = pathlib.Path(path).suffix.lower()
    if path == "-":
        yield sys.stdin.buffer
    elif suffix in COMPRESSED:
        with importlib.import_module(COMPRESSED[suffix]).open(path) as stream:
            yield stream
    elif suffix == ".zst":
        require("pyarrow", extra="cli", by="Reading .zst files")
        with importlib.import_module("pyarrow").input_stream(path, compression="zstd") as stream:
            yield stream
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) != 1:
                raise ValueError(f"it holds {len(archive.namelist())} files, not one")
            yield io.BytesIO(archive.read(archive.namelist()[0]))
    else:
        with open(path, "rb") as stream:
            yield stream


def _read_parquet(source: Any) -> "DataFrame":
    require("pyarrow", extra="cli", by="Reading Parquet files")
    import pandas as pd

    frame = pd.read_parquet(source, engine="pyarrow")
    frame = frame.reset_index(drop=frame.index.names == [None])
    for name in frame.columns[~frame.columns.duplicated()]:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.astype(column.cat.categories.dtype)
        elif column.dtype == object and (kind := pd.api.types.infer_dtype(column)) == "bytes":
            frame[name] = column.map(lambda value: value.decode(errors="backslashreplace"), na_action="ignore")
        elif column.dtype == object and kind == "boolean":  # booleans and missing values
            frame[name] = column.astype("boolean")
    return frame


def _read_text(data: bytes, path: str, given: Format, *, tabs: bool) -> "DataFrame":
    import pandas as pd

    text, encoding = _decoded(data, given.encoding, path)
    sep = given.sep or ("\t" if tabs else _sniffed_separator(text))
    options: dict[str, Any] = {"sep": sep, "dtype": str, "keep_default_na": False}
    header = pd.read_csv(io.StringIO(text), header=None, nrows=1, **options).iloc[0]
    try:
        frame = pd.read_csv(io.StringIO(text), **options)
    except pd.errors.ParserError as error:
        hint = f"; the columns were separated at {sep!r}, see --sep" if given.sep is None else ""
        raise UserError(f"cannot read {path}: {reason(error)}{hint}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise UserError(f"cannot read {path}: its rows have more values than the first line has names")
    frame.columns = header  # pandas has changed each name that occurs twice
    words = {} if header.duplicated().any() else {name: _missing_words(frame[name]) for name in frame}
    frame = frame.mask(frame.isin(MISSING_WORDS))
    decimal = given.decimal or _sniffed_decimal(frame, sep)
    used = Format(sep, decimal, encoding)
    if any(new and not old for new, old in zip(_unusual(used, tabs), dataclasses.astuple(given), strict=True)):
        warn(f"{path} is read with {used}")
    frame = _with_points(frame) if decimal == "," else frame
    frame.attrs["missing"] = {str(name): column for name, column in words.items() if len(column)}
    return frame


def _decoded(data: bytes, encoding: str | None, path: str) -> tuple[str, str]:
    """The text of a file's bytes, and its encoding; raises UserError."""
    used = encoding or _sniffed_encoding(data)
    try:
        text = data.decode(used)
    except UnicodeError as error:
        hint = "--encoding names another one, such as latin-1" if encoding else "see --encoding"
        raise UserError(f"cannot read {path}: it is binary, or not text in {used} ({reason(error)}); {hint}") from error
    if "\0" in text:
        raise UserError(f"cannot read {path}: it has NUL characters, so it is binary or in another encoding")
    return text.removeprefix("\ufeff"), used  # a byte order mark is still there if the user gave utf-8


def _sniffed_encoding(data: bytes) -> str:
    """UTF-16 if the data begin with its byte order mark, UTF-8 if they are valid UTF-8, else cp1252 (Windows)."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(data) % 2 == 0:
        return "utf-16"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _sniffed_separator(text: str) -> str:
    """The separator of the first line. Later lines could mislead, because their numbers may have commas."""
    try:
        return csv.Sniffer().sniff(text.lstrip("\r\n").partition("\n")[0], delimiters=SEPARATORS).delimiter
    except csv.Error:  # one column
        return ","


def _sniffed_decimal(frame: "DataFrame", sep: str) -> str:
    """A comma if it does not separate the columns and more numbers have commas than points; otherwise a point."""
    if sep == ",":
        return "."
    cells = frame.head(ROWS_TO_SNIFF).stack().astype(str)
    commas, points = (cells.str.fullmatch(number).sum() for number in (COMMA_NUMBER, POINT_NUMBER))
    return "," if commas > points else "."


def _with_points(frame: "DataFrame") -> "DataFrame":
    """In columns of numbers, write 1.234,5 as 1234.5; returns the table."""
    import pandas as pd

    for name in frame.columns[~frame.columns.duplicated()]:
        column = frame[name].dropna()
        points = column.where(~column.str.fullmatch(COMMA_NUMBER), column.str.replace(".", "").str.replace(",", "."))
        if pd.to_numeric(points, errors="coerce").notna().sum() >= ENOUGH * len(points):
            frame[name] = points.reindex(frame.index)
    return frame


def _unusual(used: Format, tabs: bool) -> tuple[bool, bool, bool]:
    """For separator, decimal sign and encoding: whether it differs from the usual one."""
    return used.sep != ("\t" if tabs else ","), used.decimal != ".", used.encoding not in ("utf-8", "utf-8-sig")


def _missing_words(column: "Series") -> "Series":
    """The cells of a column of text that hold a word for a missing value, such as NA. Empty cells are left out."""
    return column[column.isin(MISSING_WORDS[1:])].astype(object)
