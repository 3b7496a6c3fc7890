"""A table is encoded alike in every library, and in every dtype that can hold it."""

import datetime
import pickle
import subprocess
import sys
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from fastbp import TableEncoder

N = 40
NUMBERS = [None if i % 7 == 3 or i == N - 2 else i % 11 / 4 for i in range(N)]
WHOLE = [None if i % 5 == 2 else i * 3 % 17 for i in range(N)]
LARGE = [None if i % 5 == 2 else 10**17 + i * 3 % 17 for i in range(N)]
FLAGS = [None if i % 9 == 4 else i % 3 == 0 for i in range(N)]
TEXT = [None if i % 8 == 5 else ("Paris", "Rome", "Oslo", "São Paulo")[i % 4] for i in range(N)]
DAYS = [None if i % 6 == 1 else datetime.date(2024, 1, 1) + datetime.timedelta(days=9 * i) for i in range(N)]
ZONE = ZoneInfo("Europe/Berlin")
TIMES = [
    None if i % 6 == 1 else datetime.datetime(2024, 1, 1, 12, tzinfo=ZONE) + datetime.timedelta(hours=131 * i)
    for i in range(N)
]
SPANS = [None if i % 4 == 3 else datetime.timedelta(minutes=i * i % 31) for i in range(N)]
CLOCKS = [None if i % 4 == 3 else datetime.time(i % 24, i % 60, i % 60, i) for i in range(N)]
Y = np.arange(N) % 3


def with_nan(values):
    return [np.nan if value is None else value for value in values]


def arrow(values, type_):
    values = values if isinstance(values, pa.Array) else pa.array(values, type_)
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


# SAME: for each kind of values, a column of them in every library and dtype.
SAME = {
    "numbers": (
        NUMBERS,
        [
            pd.Series(NUMBERS, dtype="float64"),
            pd.Series(NUMBERS, dtype="float32"),
            pd.Series(NUMBERS, dtype="Float64"),
            pd.Series(NUMBERS, dtype=pd.SparseDtype(float)),
            pd.Series([pd.NA if x is None else x for x in NUMBERS], dtype=object),
            pd.Series([None if x is None else Decimal(str(x)) for x in NUMBERS], dtype=object),
            pd.Series([None if x is None else str(x) for x in NUMBERS]),
            pd.Series([None if x is None else f" {x:+e} " for x in NUMBERS[:-2]] + [" ?", NUMBERS[-1]]),
            arrow(NUMBERS, pa.float64()),
            arrow(NUMBERS, pa.float32()),
            arrow([None if x is None else Decimal(str(x)) for x in NUMBERS], pa.decimal128(5, 2)),
            pl.Series(NUMBERS),
            pl.Series(with_nan(NUMBERS)),
            pl.Series(NUMBERS, dtype=pl.Float32),
            pl.Series(NUMBERS).cast(pl.Decimal(9, 2)),
            pl.Series([None if x is None else str(x) for x in NUMBERS]),
        ],
    ),
    "whole numbers": (
        WHOLE,
        [
            pd.Series(with_nan(WHOLE)),
            pd.Series(WHOLE, dtype="Int64"),
            pd.Series(WHOLE, dtype="UInt8"),
            pd.Series(WHOLE, dtype=object),
            pd.Series([None if x is None else str(x) for x in WHOLE]),
            arrow(WHOLE, pa.int32()),
            arrow(WHOLE, pa.uint64()),
            pl.Series(WHOLE),
            pl.Series(WHOLE, dtype=pl.UInt16),
        ],
    ),
    "integers of 18 digits": (
        LARGE,
        [
            pd.Series(LARGE, dtype="Int64"),
            pd.Series(LARGE, dtype=object),
            pd.Series([None if x is None else str(x) for x in LARGE]),
            arrow(LARGE, pa.int64()),
            pl.Series(LARGE),
            pl.Series([None if x is None else str(x) for x in LARGE]),
        ],
    ),
    "booleans": (
        FLAGS,
        [
            pd.Series(FLAGS, dtype="boolean"),
            pd.Series(FLAGS, dtype=object),
            pd.Series(with_nan(FLAGS), dtype=object),
            pd.Series(with_nan(FLAGS), dtype="float64"),
            arrow(FLAGS, pa.bool_()),
            pl.Series(FLAGS),
        ],
    ),
    "text": (
        TEXT,
        [
            pd.Series(TEXT, dtype=object),
            pd.Series(with_nan(TEXT), dtype=object),
            pd.Series(TEXT, dtype="string"),
            pd.Series(TEXT, dtype="string[pyarrow]"),
            pd.Series(TEXT, dtype="category"),
            pd.Series(pd.Categorical(TEXT, ["x", "Rome", "São Paulo", "Paris", "Oslo"])),
            arrow(TEXT, pa.string()),
            arrow(TEXT, pa.large_string()),
            arrow(TEXT, pa.dictionary(pa.int8(), pa.string())),
            pl.Series(TEXT),
            pl.Series(TEXT, dtype=pl.Categorical),
            pl.Series(TEXT, dtype=pl.Enum(["x", "Rome", "São Paulo", "Paris", "Oslo"])),
        ],
    ),
    "days": (
        DAYS,
        [
            pd.Series(DAYS, dtype=object),
            pd.to_datetime(pd.Series(DAYS)),
            pd.to_datetime(pd.Series(DAYS)).astype("datetime64[s]"),
            pd.to_datetime(pd.Series(DAYS)).dt.to_period("D"),
            pd.Series([None if day is None else str(day) for day in DAYS]),
            pd.Series([None if day is None else day.strftime("%d.%m.%Y") for day in DAYS]),
            pd.Series([None if day is None else day.strftime("%m/%d/%Y") for day in DAYS]),
            arrow(DAYS, pa.date32()),
            arrow(pa.array(DAYS, pa.date32()).cast(pa.timestamp("ms")), pa.timestamp("ms")),
            pl.Series(DAYS),
            pl.Series(DAYS).cast(pl.Datetime("ms")),
            pl.Series([None if day is None else str(day) for day in DAYS]),
        ],
    ),
    "times with a zone": (
        TIMES,
        [
            pd.Series(TIMES, dtype=object),
            pd.to_datetime(pd.Series(TIMES)),
            pd.to_datetime(pd.Series(TIMES)).dt.as_unit("ms"),
            arrow(TIMES, pa.timestamp("us", "Europe/Berlin")),
            pl.Series(TIMES, dtype=pl.Datetime("us", "Europe/Berlin")),
        ],
    ),
    "time spans": (
        SPANS,
        [
            pd.Series(SPANS, dtype=object),
            pd.to_timedelta(pd.Series(SPANS)),
            pd.Series([None if span is None else np.timedelta64(span) for span in SPANS], dtype=object),
            pd.Series([None if span is None else span.total_seconds() for span in SPANS], dtype="float64"),
            arrow(SPANS, pa.duration("ms")),
            pl.Series(SPANS),
            pl.Series(SPANS).cast(pl.Duration("ms")),
        ],
    ),
    "times of the day": (CLOCKS, [pd.Series(CLOCKS, dtype=object), arrow(CLOCKS, pa.time64("us")), pl.Series(CLOCKS)]),
}
CASES = [(kind, i) for kind, (_, series) in SAME.items() for i in range(len(series))]


def frame_of(series):
    return pl.DataFrame({"a": series}) if isinstance(series, pl.Series) else pd.DataFrame({"a": series})


def as_objects(kind):
    """The values of a kind as an array of Python objects."""
    X = np.empty((N, 1), object)
    X[:, 0] = SAME[kind][0]
    return X


def as_encoded(X):
    encoder = TableEncoder(min_frequency=1)
    encoded = encoder.fit_transform(X)
    names = encoder.get_feature_names_out(["a"]).tolist()
    order = sorted(range(len(names)), key=names.__getitem__)  # categories may be in the order of their dtype
    return encoded[:, order], [names[i] for i in order]


@pytest.mark.parametrize(("kind", "i"), CASES)
def test_a_column_of_any_dtype_is_encoded_as_its_python_objects(kind, i):
    expected, names = as_encoded(as_objects(kind))
    found, found_names = as_encoded(frame_of(SAME[kind][1][i]))
    assert found_names == names
    assert_array_equal(found, expected)


@pytest.mark.parametrize(("kind", "i"), CASES)
def test_a_column_may_have_another_dtype_at_transform(kind, i):
    series = frame_of(SAME[kind][1][i])
    expected, names = as_encoded(frame_of(SAME[kind][1][0]))
    encoder = TableEncoder(min_frequency=1).fit(frame_of(SAME[kind][1][0]))
    if (kind, i) in (("days", 5), ("days", 6), ("numbers", 7)):  # text that is no number, or no date of this format
        with pytest.raises(ValueError, match=r"column 'a' must hold (numbers|dates as ISO 8601), as in the fit, got '"):
            encoder.transform(series)
        return
    found = pd.DataFrame(encoder.transform(series), columns=encoder.get_feature_names_out())
    assert_array_equal(found[names], expected)


def test_arrays_with_a_dtype_are_encoded_as_objects():
    for array in (
        np.arange(N) % 5,
        np.arange(N) % 2 == 0,
        np.arange(N).astype("M8[D]"),
        np.arange(N) * 1.5,
        np.arange(N).astype("m8[h]"),
    ):
        objects = array[:, np.newaxis].astype(object)
        assert_array_equal(TableEncoder().fit_transform(array[:, np.newaxis]), TableEncoder().fit_transform(objects))
    for dtype in ("U", "S"):
        array = np.array([["a"], ["b"], ["c"]] * 5, dtype)
        assert TableEncoder().fit(array).get_feature_names_out().tolist() == ["x0_a", "x0_b", "x0_c"]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
def test_strings_of_numpy_are_text_or_missing():
    for gone in (None, np.nan):
        text = np.array([["a"], [gone], ["c"]] * 5, dtype=np.dtypes.StringDType(na_object=gone))
        expected, names = as_encoded(text.astype(object))
        found, found_names = as_encoded(text)
        assert found_names == names
        assert_array_equal(found, expected)
        assert any("missing" in name for name in names)


def test_lists_of_rows_keep_numbers_beside_text():
    rows = [[i % 5, ("a", "b")[i % 2]] for i in range(N)]
    frame = pd.DataFrame(rows)
    assert_array_equal(TableEncoder().fit_transform(rows), TableEncoder().fit_transform(frame))
    assert TableEncoder().fit(rows).column_kinds_ == {"x0": "numbers", "x1": "categories"}


def test_a_table_of_pyarrow_is_read_as_a_dataframe():
    table = pa.table({"n": NUMBERS, "t": TEXT, "c": pa.array(TEXT).dictionary_encode(), "w": TIMES})
    frame = pd.DataFrame({"n": NUMBERS, "t": TEXT, "c": pd.Categorical(TEXT), "w": TIMES})
    encoder = TableEncoder().fit(table)
    assert encoder.feature_names_in_.tolist() == ["n", "t", "c", "w"]
    found, expected = encoder.transform(table), TableEncoder().fit(frame)
    found = pd.DataFrame(found, columns=encoder.get_feature_names_out())[expected.get_feature_names_out()]
    assert_array_equal(found, expected.transform(frame))


def test_a_mixture_of_types_in_a_column_is_text():
    values = [1, "1", 1.0, True, None, b"x", (1, 2), ["a"], {"k": 1}, Decimal("2.50")]
    X = np.empty((2 * len(values), 1), object)
    X[:, 0] = 2 * values
    encoder = TableEncoder().fit(X)
    ends = ["(1, 2)", "1", "2.5", "True", "['a']", "missing", "x", "{'k': 1}"]
    assert sorted(encoder.get_feature_names_out()) == [f"x0_{end}" for end in ends]
    assert_array_equal(encoder.transform(X[:3]), encoder.transform(X[[0, 0, 0]]))


MANY_DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(90)]
MIXTURES = {
    "dates and text": [datetime.date(2024, 1, 1), "soon", TIMES[0], np.datetime64("2024-05-01T10:00"), "late"],
    "times and text": [datetime.time(14), datetime.timedelta(hours=14), "soon", 50_400, np.timedelta64(2, "h")],
    "booleans, numbers and text": [True, 1, "True", 0, "x", 2.5, Decimal("2.5"), np.float32(2.5), np.bool_(True)],
    "numbers, and a few others": [*range(40), True, datetime.date(2024, 1, 1)],
    "dates, and a few others": [*MANY_DAYS, *map(str, MANY_DAYS), 7, True],
}


@pytest.mark.parametrize("given", MIXTURES)
@pytest.mark.parametrize("declared", [None, [0]])
def test_a_value_of_a_mixture_is_encoded_alone_as_among_others(given, declared):
    X = np.empty((2 * len(MIXTURES[given]), 1), object)
    X[:, 0] = 2 * MIXTURES[given]
    encoder = TableEncoder(categorical_features=declared, max_onehot=100, min_frequency=1).fit(X)
    kind = "categories" if declared or "text" in given else given.split(",")[0]
    assert encoder.column_kinds_ == {"x0": kind}
    found = encoder.transform(X)
    assert_array_equal(np.vstack([encoder.transform(X[[row]]) for row in range(len(X))]), found)


def test_neither_polars_nor_numba_is_imported_for_a_table_of_pandas():
    program = (
        "import sys, numpy as np, pandas as pd; from fastbp import TableEncoder\n"
        "frame = pd.DataFrame({'a': [1, 2, 3] * 10, 'b': ['x', 'y', None] * 10})\n"
        "print(TableEncoder().fit_transform(frame).shape, TableEncoder().fit_transform(np.eye(30)).shape)\n"
        "print('polars' in sys.modules, 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["(30, 7) (30, 30)", "False False"], done.stderr


def test_nested_values_of_polars_are_categories():
    pairs, lists = [{"k": i % 3} for i in range(N)], [[i % 3, 1] for i in range(N)]
    series = {
        "s": pairs,
        "l": lists,
        "b": [b"x", b"y"] * (N // 2),
        "o": pl.Series([(1,), "z"] * (N // 2), dtype=pl.Object),
    }
    encoder = TableEncoder().fit(pl.DataFrame(series))
    assert set(encoder.column_kinds_.values()) == {"categories"}
    names = [
        "s_{'k': 0}",
        "s_{'k': 1}",
        "s_{'k': 2}",
        "l_[0, 1]",
        "l_[1, 1]",
        "l_[2, 1]",
        "b_x",
        "b_y",
        "o_(1,)",
        "o_z",
    ]
    assert encoder.get_feature_names_out().tolist() == names
    assert TableEncoder().fit(pl.DataFrame({"a": [1, 2, 3], "n": [None] * 3})).dropped_columns_ == {"n": "no value"}


def test_a_column_of_no_kind_is_refused():
    with pytest.raises(ValueError, match="Complex data not supported"):
        TableEncoder().fit(pd.DataFrame({"a": [1j, 2j]}))
    with pytest.raises(ValueError, match="Complex data not supported: column 'a'"):
        TableEncoder().fit(pd.DataFrame({"a": pd.Series([1j, "x"], dtype=object)}))


def test_a_fitted_encoder_of_one_library_reads_a_table_of_another():
    columns = {"n": NUMBERS, "t": TEXT, "d": DAYS, "f": FLAGS}
    encoder = TableEncoder().fit(pd.DataFrame(columns))
    again = pickle.loads(pickle.dumps(encoder))
    assert_array_equal(again.transform(pl.DataFrame(columns)), encoder.transform(pd.DataFrame(columns)))
