"""The columns of pandas, polars and pyarrow tables and of arrays.

A package is imported only if X is a table of this package. A table of pyarrow also needs pandas.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing, check_array

from . import columns
from .columns import Column, Kind

# Beginnings of the names of dtypes of categories: of pandas, of Arrow, and of polars.
CATEGORY_TYPES = ("category", "dictionary<", "Categorical", "Enum")


class Table(NamedTuple):
    """A table of any library.

    Parameters
    ----------
    shape : tuple of int
        The numbers of rows and columns.
    names : list of str or None
        The names of the columns; None if a name is not a string, or if X is an array.
    read : callable
        read(i, name, as_text) returns column i under this name. If as_text, a column of objects is read as text.
    of_categories : list of bool
        For each column, whether its dtype is a dtype of categories.
    """

    shape: tuple[int, int]
    names: list[str] | None
    read: Callable[[int, str, bool], Column]
    of_categories: list[bool]

    @classmethod
    def of(cls, X: Any, estimator: Any) -> Self:
        """The table X; raises ValueError or TypeError if it is not one. estimator: for the message."""
        if _is_of(X, "pyarrow", "Table"):
            X = X.to_pandas(types_mapper=_pandas_type, date_as_object=False)
        if _is_of(X, "pandas", "DataFrame") or _is_of(X, "polars", "DataFrame"):
            names = _checked_names(list(X.columns))
            _check_size(X.shape, estimator)
            of_categories = [str(dtype).startswith(CATEGORY_TYPES) for dtype in X.dtypes]
            if _is_of(X, "polars", "DataFrame"):
                return cls(X.shape, names, lambda i, *how: _of_polars(X[:, i], *how), of_categories)
            return cls(X.shape, names, lambda i, *how: _of_pandas(X.iloc[:, i], *how), of_categories)
        # A list of rows must keep its objects: NumPy would turn numbers beside text into text.
        dtype = None if hasattr(X, "__array__") or hasattr(X, "toarray") else object
        array = check_array(X, dtype=dtype, ensure_all_finite=False, estimator=estimator, input_name="X")
        return cls(array.shape, None, lambda i, *how: _of_array(array[:, i], *how), array.shape[1] * [False])


def rows_of(X: Any, rows: Any) -> Any:
    """Some rows of a table of any library, or of an array. rows: indices, or a slice with a start and a stop."""
    if not _is_of(X, "pyarrow", "Table"):
        return _safe_indexing(X, rows)
    return X.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else X.take(rows)


def refuse_dask(X: Any, method: str = "") -> None:
    """Raise TypeError if X is a collection of Dask. The message says what to do.

    method: the method of a fitted model that may be called for each part of X; empty if X is for a fit.
    """
    if not hasattr(X, "__dask_graph__"):
        return
    if not method:
        way = (
            "If it fits into memory, pass X.compute(). Otherwise fit a TableEncoder on a sample of its rows, encode it "
            "with map_partitions, and train an estimator of fastbp.dask."
        )
    elif hasattr(X, "map_partitions"):
        way = f"Call the method for each partition: X.map_partitions(model.{method}, meta=model.{method}(X.head(1)))."
    else:
        way = f"Call the method for each block of rows: X.map_blocks(model.{method}, ...)."
    raise TypeError(f"X must be a table in memory, got {type(X).__name__} of Dask. {way}")


def n_columns(X: Any) -> int:
    """The number of columns of a table of any library, or of an array. Anything else counts as one column."""
    shape: tuple[int, ...] = np.shape(X) if isinstance(X, list | tuple) else getattr(X, "shape", ())
    return int(shape[1]) if len(shape) == 2 else 1


def _is_of(X: Any, package: str, kind: str) -> bool:
    """Whether X is an object of this class of a package. If so, the package has been imported."""
    known = getattr(sys.modules.get(package), kind, None)
    return known is not None and isinstance(X, known)


def _checked_names(names: list[Any]) -> list[str] | None:
    """The names of columns if all are strings, otherwise None; raises ValueError if a name occurs twice."""
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"X must have columns of different names, but several are named {name!r}.")
        seen.add(name)
    return names if names and all(isinstance(name, str) for name in names) else None


def _check_size(shape: tuple[int, int], estimator: Any) -> None:
    """Raise ValueError for a table without rows or columns, in the words of scikit-learn."""
    check_array(np.broadcast_to(0.0, shape), ensure_all_finite=False, estimator=estimator, input_name="X")


def declared_categories(given: Any, table: Table, estimator: Any) -> list[bool]:
    """Whether each column holds categories by the parameter `categorical_features`; raises ValueError if it is wrong.

    given: "from_dtype", None, a mask, indices or names. estimator: has `feature_names_in_` if X has names.
    """
    if given is None:
        return table.shape[1] * [False]
    if isinstance(given, str):
        return table.of_categories
    values = np.asarray(given)
    listed = f"got {given!r:.200}"
    if values.ndim != 1 or (values.size and values.dtype.kind not in "biuUO"):
        raise ValueError(f"categorical_features must be a vector of booleans, indices or names, {listed}.")
    if values.dtype.kind == "b":
        if len(values) != table.shape[1]:
            raise ValueError(f"categorical_features must have one value per column, {table.shape[1]} in all, {listed}.")
        return values.tolist()
    if values.dtype.kind in "iu" or not values.size:
        if values.size and not -table.shape[1] <= values.min() <= values.max() < table.shape[1]:
            raise ValueError(f"categorical_features must be indices below {table.shape[1]}, {listed}.")
        chosen = {int(i) % table.shape[1] for i in values}
        return [i in chosen for i in range(table.shape[1])]
    names = getattr(estimator, "feature_names_in_", np.empty(0)).tolist()
    unknown = [name for name in values.tolist() if name not in names]
    if unknown:
        raise ValueError(f"categorical_features must be names of columns of X, but {unknown[0]!r} is not, {listed}.")
    return [name in set(values.tolist()) for name in names]


# ---------------------------------------------------------------- pandas


def _pandas_type(arrow_type: Any) -> Any:
    """The dtype of pandas for a column of pyarrow: Arrow's own, except for categories."""
    import pandas as pd
    import pyarrow as pa

    return None if pa.types.is_dictionary(arrow_type) else pd.ArrowDtype(arrow_type)


def _of_array(values: NDArray, name: str, as_text: bool) -> Column:
    """A column of an array."""
    if values.dtype == object:
        return columns.of_objects(name, values, as_text=as_text)
    return columns.of_array(name, values)


def _of_pandas(series: Any, name: str, as_text: bool) -> Column:
    """A Series of pandas, of NumPy's, pandas' own or Arrow's dtypes."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _of_array(series.to_numpy(), name, as_text)
    text = str(dtype)
    if text.startswith("dictionary<"):
        return columns.declared(columns.of_objects(name, series.to_numpy(dtype=object), as_text=True))
    if text == "category":
        return columns.of_categories(name, series.cat.codes.to_numpy(), series.cat.categories.tolist())
    if text.startswith("period["):
        series = series.dt.to_timestamp()
        dtype = series.dtype
    kind, missing = dtype.kind, series.isna().to_numpy()
    if kind == "M" and not text.startswith(("date32", "date64")):  # Arrow's days are objects
        zone = series.dt.tz
        if zone is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        times = series.to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT", "us"))
        return columns.of_dates(name, times, columns.zone_name(zone))
    if kind == "m":
        return columns.of_array(name, series.to_numpy(dtype="timedelta64[us]", na_value=np.timedelta64("NaT", "us")))
    if kind in "iuf":
        to = np.float64 if kind == "f" else np.uint64 if kind == "u" else np.int64
        return columns.of_numbers(name, series.to_numpy(dtype=to, na_value=0), missing)
    if kind == "b":
        return Column(name, Kind.BOOLEAN, series.to_numpy(dtype=bool, na_value=False), missing)
    return columns.of_objects(name, series.to_numpy(dtype=object), missing, as_text=as_text)


# ---------------------------------------------------------------- polars


def _of_polars(series: Any, name: str, as_text: bool) -> Column:
    """A Series of polars."""
    dtype, text = series.dtype, str(series.dtype)
    missing = series.is_null().to_numpy() if series.null_count() else np.zeros(len(series), bool)
    if text.startswith(CATEGORY_TYPES):
        return columns.declared(columns.of_text(name, series.cast(_polars_type("String")).to_list(), missing))
    if text.startswith("Decimal"):
        series = series.cast(_polars_type("Float64"))
    if series.dtype.is_numeric():
        return columns.of_numbers(name, _filled(series, 0), missing)
    if text == "Boolean":
        return Column(name, Kind.BOOLEAN, _filled(series, False).astype(bool), missing)
    if text.startswith(("Datetime", "Date")):
        zone = getattr(dtype, "time_zone", None)
        times = series.cast(_polars_type("Datetime")("us", zone)).to_physical()
        dates = _filled(times, 0).astype(columns.MICROSECONDS)
        dates[missing] = np.datetime64("NaT", "us")
        return columns.of_dates(name, dates, zone)
    if text.startswith(("Duration", "Time")):
        unit = {"ns": 1e9, "us": 1e6, "ms": 1e3}[getattr(dtype, "time_unit", "ns")]
        return columns.of_numbers(name, _filled(series.to_physical(), 0) / unit, missing)
    return columns.of_objects(name, _as_objects(series.to_list()), missing, as_text=as_text)


def _filled(series: Any, value: Any) -> NDArray:
    """The values of a Series of polars, with `value` for each missing one."""
    return np.asarray((series.fill_null(value) if series.null_count() else series).to_numpy())


def _polars_type(name: str) -> Any:
    return getattr(sys.modules["polars"], name)


def _as_objects(values: list[Any]) -> NDArray:
    """A list as a vector of objects, also if each value is a list."""
    array = np.empty(len(values), object)
    array[:] = values
    return array
