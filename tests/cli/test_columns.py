"""What the columns of a table are taken for, what is said about them, and how labels are written."""

import io
import pathlib

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastbp.cli.main import main
from fastbp.cli.tables import Columns

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 400


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def x():
    """Numbers that decide the target."""
    return np.random.default_rng(0).normal(size=N).round(3)


def trained(capsys, frame, *options, epochs=2):
    """What `train` prints about a table; the model is in m."""
    frame.to_csv("t.csv", index=False)
    arguments = ["--target", "y", "--output", "m", "--epochs", str(epochs), *options]
    assert main(["train", "t.csv", *arguments]) == 0
    return capsys.readouterr().out


def predicted(capsys, frame, *options):
    """(table, warnings) that `predict` prints for a table."""
    frame.to_csv("new.csv", index=False)
    capsys.readouterr()
    assert main(["predict", "m", "new.csv", *options]) == 0
    printed = capsys.readouterr()
    return pd.read_csv(io.StringIO(printed.out), dtype=str, keep_default_na=False), printed.err.splitlines()


def classes_of(x):
    return np.where(x > 0, "a", "b")


# ---------------------------------------------------------------- values


def test_unknown_categories_are_counted_for_each_column(x, capsys):
    frame = pd.DataFrame(
        {"b": np.where(x > 0, "True", "False"), "c": ["u", "v"] * (N // 2), "x": x, "y": classes_of(x)}
    )
    trained(capsys, frame)
    assert predicted(capsys, frame)[1] == []
    frame["b"], frame.loc[:2, "c"] = [1, 0] * (N // 2), ["w", None, "z"]
    assert predicted(capsys, frame)[1] == [
        "fastbp: warning: 400 of 400 rows have values of 'b' that the training had not: '1', '0'",
        "fastbp: warning: 3 of 400 rows have values of 'c' that the training had not: 'w', '(missing)', 'z'",
    ]


def test_a_few_cells_that_are_no_numbers_are_said_and_count_as_missing(x, capsys):
    frame = pd.DataFrame({"x": x.astype(object), "y": classes_of(x)})
    frame.loc[[7, 9, 11, 13], "x"] = ["?", "-", "?", "n.a."]
    printed = trained(capsys, frame)
    assert "1 numeric and 0 categorical columns" in printed
    assert "  note: 4 of 400 values of 'x' are not numbers, so they count as missing: " in printed
    assert "missing: '?' in row 8, '-' in row 10, '?' in row 12 and 1 more" in printed
    strange, warnings = predicted(capsys, frame)
    assert warnings[0].startswith("fastbp: warning: 4 of 400 values of 'x' are not numbers")
    frame.loc[[7, 9, 11, 13], "x"] = None
    pd.testing.assert_frame_equal(predicted(capsys, frame)[0], strange)


def test_numbers_taken_as_categories_and_many_categories_are_said(x, capsys):
    frame = pd.DataFrame({"x": np.arange(N).astype(object) // 2 / 8, "y": classes_of(x)})
    frame.loc[: N // 10, "x"] = "none"
    printed = trained(capsys, frame)
    assert "0 numeric and 1 categorical columns" in printed
    assert (
        "'x' is taken as categories, because fewer than 95% of its values are numbers; others are 'none' in" in printed
    )
    assert "'x' has 181 categories: the rarest of them share one input" in printed


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("%Y-%m-%d", "ISO8601"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "ISO8601"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%d %b %Y", "%d %b %Y"),
        ("%d/%m/%Y %I:%M %p", "%d/%m/%Y %I:%M %p"),
        ("%d.%m.%y", "%d.%m.%y"),
    ],
)
def test_a_date_is_a_number_in_time_with_parts_of_the_calendar(written, form, capsys):
    moments = pd.Timestamp("2023-01-05 00:30") + pd.to_timedelta(
        np.random.default_rng(0).integers(0, 9000, N), unit="h"
    )
    moments = moments.insert(0, pd.Timestamp("2023-01-13"))[:N]
    frame = pd.DataFrame({"d": moments.strftime(written), "y": (moments - moments[0]) / pd.Timedelta(days=1)})
    printed = trained(capsys, frame, epochs=60)
    parts = "month, weekday, hour" if "M" in written else "month, weekday"
    assert "0 numeric and 0 categorical columns, 1 of dates" in printed
    assert f"  note: 'd' holds dates as {form}: the inputs are time, {parts}\n" in printed
    columns, _ = Columns.of(frame.drop(columns="y"))
    days = columns.taken_from(frame, "")["d"]
    assert_allclose(days - days[0], frame["y"], atol=1.1)
    assert columns.taken_from(frame, "").loc[0, "d (weekday)"] == "Friday" or "+02" in written
    # Another file in which the order of day and month cannot be seen is read as the first one was.
    few = frame[pd.Series(moments).dt.day.lt(13)].head(5)
    assert_allclose(columns.taken_from(few, "")["d"], days[few.index])


def test_dates_that_are_missing_or_strange_are_missing(x, capsys):
    frame = pd.DataFrame(
        {"d": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N), unit="D"), "y": classes_of(x)}
    )
    frame["d"] = frame["d"].astype(str).astype(object)
    frame.loc[3, "d"], frame.loc[5, "d"] = None, "soon"
    frame["d (month)"] = x  # this column has the name of a part of the date d
    printed = trained(capsys, frame)
    assert "1 of 399 values of 'd' are not dates, so they count as missing: 'soon' in row 6" in printed
    assert "the inputs are time, weekday\n" in printed
    assert "'soon' in row 6" in predicted(capsys, frame)[1][0]
    frame["d"] = "soon"
    frame.to_csv("new.csv", index=False)
    assert main(["predict", "m", "new.csv"]) == 2
    assert "column 'd' of new.csv is to hold dates as ISO8601, but does not: 'soon' in row 1" in capsys.readouterr().err


def test_dates_and_durations_of_parquet_are_numbers(x):
    moments = pd.Timestamp("2024-01-01", tz="Europe/Paris") + pd.to_timedelta(np.arange(N), unit="D")
    frame = pd.DataFrame({"d": moments, "date": moments.date, "t": moments - moments[0]})
    columns, left_out = Columns.of(frame)
    assert (columns.numeric, list(columns.dates), left_out) == (["t"], ["d", "date"], {})
    taken = columns.taken_from(frame, "")
    assert_allclose(taken["t"], np.arange(N) * 86400)
    assert_allclose(taken["date"] - taken["date"][0], np.arange(N))
    assert not columns.not_understood(frame)


def test_a_missing_date_has_no_parts():
    frame = pd.DataFrame({"d": ["2024-01-01 00:30", "2024-02-03 02:00", None, "2025-03-04 07:00"] * 5})
    columns, _ = Columns.of(frame)
    taken = columns.taken_from(frame, "")
    assert list(taken) == ["d", "d (month)", "d (weekday)", "d (hour)"]
    assert all(isinstance(value, float) and np.isnan(value) for value in taken.loc[2])


def test_dates_of_all_centuries_are_numbers():
    # Before version 3 the times of pandas are nanoseconds, which reach from 1678 to 2261.
    years = range(1000, 9999, 40) if int(pd.__version__.partition(".")[0]) >= 3 else range(1700, 2260, 4)
    column = pd.DataFrame({"d": [f"{year:04}-01-01" for year in years]})
    columns, _ = Columns.of(column)
    assert columns.taken_from(column, "")["d"].iloc[-1] == pytest.approx(365.2425 * (years[-1] - 1970), abs=2)


@pytest.mark.parametrize(
    "values", [["may", "june"], ["5-10", "10-15"], ["A1", "B2"], ["10.0.0.1", "10.0.0.2"], ["+49 30 1", "+49 30 2"]]
)
def test_texts_that_are_no_dates_are_categories(values):
    assert Columns.of(pd.DataFrame({"c": values * 5}))[0] == Columns([], ["c"])


def test_an_identifier_is_warned_about_and_dropped_on_demand(x, capsys):
    frame = pd.DataFrame({"id": np.arange(N) + 7, "key": 10**17 + 3 * np.arange(N), "x": x, "n": np.arange(N) % 7})
    frame["y"] = x
    printed = trained(capsys, frame)
    lines = [line for line in printed.splitlines() if "looks like an identifier" in line]
    assert [line.split("'")[1] for line in lines] == ["id", "key"]
    printed = trained(capsys, frame, "--drop", "id", "--drop", "key")
    assert "2 numeric" in printed
    assert "identifier" not in printed
    predicted(capsys, frame.drop(columns=["id", "key"]))
    for column, said in (("z", "t.csv has no column 'z'; it has "), ("y", "--drop y: this is the target")):
        assert main(["train", "t.csv", "--target", "y", "--drop", column]) == 2
        assert said in capsys.readouterr().err


def test_large_whole_numbers_do_not_drown_the_other_columns(capsys):
    X = np.random.default_rng(0).normal(size=(2000, 2))
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "id": np.arange(2000) + 10**17, "y": X[:, 0] + X[:, 1] ** 2})
    printed = trained(capsys, frame, epochs=100)
    assert float(printed.split("network")[-1].split()[0]) > 0.9


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [("02134", "10001"), ("1.0", "2.0"), ("1", "02"), ("True", "False"), ("=1+1", "@x"), ("-1", "1"), ("1e3", "7")],
)
def test_labels_come_back_as_they_are_in_the_file(labels, x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, *labels)})
    trained(capsys, frame, epochs=60)
    table, _ = predicted(capsys, frame, "--proba")
    assert set(table["y"]) == set(labels)
    assert (table["y"] == frame["y"]).mean() > 0.9
    assert set(table.columns[1:]) == {f"probability of {label}" for label in labels}


def test_truth_values_with_gaps_in_parquet_are_labels(x, capsys):
    frame = pd.DataFrame({"x": x, "y": (x > 0).astype(object)})
    frame.loc[:9, "y"] = None
    frame.to_parquet("t.parquet")
    assert main(["train", "t.parquet", "--target", "y", "--output", "m", "--epochs", "60"]) == 0
    assert "left out: 10 rows without a 'y'\n" in capsys.readouterr().out
    assert set(predicted(capsys, frame)[0]["y"]) == {"True", "False"}


def test_whole_floats_of_parquet_are_labels_without_decimals(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, 1.0, np.where(x > -1, 2.0, np.nan))})
    frame.to_parquet("t.parquet")
    assert main(["train", "t.parquet", "--target", "y", "--output", "m", "--epochs", "60"]) == 0
    assert set(predicted(capsys, frame)[0]["y"]) == {"1", "2"}


def test_labels_that_are_words_for_missing_values_are_dropped_and_said_to_be(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "NA", np.where(x > -1, "EU", "None"))})
    frame.loc[x < -1.5, "y"] = ""
    frame.loc[3, "y"] = "AS"
    words = frame["y"].value_counts()
    printed = trained(capsys, frame)
    counts = f"of them {words['NA']} 'NA', {words['None']} 'None'"
    assert f"  left out: {words['NA'] + words['None'] + words['']} rows without a 'y' ({counts})\n" in printed


def test_labels_that_numpy_would_cut_are_refused(x, capsys):
    pd.DataFrame({"x": x, "y": ["a" if value > 0 else "a\0" for value in x]}).to_parquet("t.parquet")
    assert main(["train", "t.parquet", "--target", "y"]) == 2
    assert "column 'y', the target, has labels that end with a NUL character" in capsys.readouterr().err


def test_a_target_of_numbers_with_a_few_other_cells_is_regression_without_these_rows(x, capsys):
    frame = pd.DataFrame({"x": x, "y": x.astype(object)})
    frame.loc[[3, 5], "y"] = "?"
    printed = trained(capsys, frame)
    assert "  left out: 2 rows whose 'y' is not a number: '?' in row 4, '?' in row 6\n" in printed
    assert "regression; 318 rows to train on, 80 held out" in printed


def test_a_target_of_texts_that_hardly_repeat_is_said_to_be(x, capsys):
    frame = pd.DataFrame({"x": x, "y": [f"{i % 300} EUR" for i in range(N)]})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", "--epochs", "2"]) == 0
    errors = capsys.readouterr().err
    assert "the target 'y' has 300 classes in 400 rows, such as '0 EUR'; is it to be numbers?" in errors
    assert "of the rows held out have classes that no other row has: log loss and AUC omit them" in errors


def test_a_number_written_in_several_ways_is_several_classes_and_said_to_be(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "1", np.where(x > -1, "1.0", "2"))})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", "--epochs", "2"]) == 0
    printed = capsys.readouterr()
    assert "classification, 3 classes" in printed.out
    assert "the target 'y' writes a number in several ways; each of them is a class" in printed.err


def test_stray_words_in_a_target_of_whole_numbers_are_not_numbers_in_several_ways(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "1", "2")})
    frame.loc[[3, 5], "y"] = ["?", "unknown"]
    trained(capsys, frame)
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", "--epochs", "2"]) == 0
    assert "in several ways" not in capsys.readouterr().err


def test_labels_of_thousands_of_digits_are_labels(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "7" * 5000, "8" * 5000)})
    trained(capsys, frame, epochs=60)
    assert set(predicted(capsys, frame)[0]["y"]) == {"7" * 5000, "8" * 5000}


def test_a_word_in_half_of_the_cells_beside_many_different_dates_makes_categories(x, capsys):
    days = pd.date_range("2020-01-01", periods=N // 2).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"x": x, "end": [*days, *["open"] * (N - N // 2)], "y": np.where(x > 0, "a", "b")})
    printed = trained(capsys, frame)
    assert "dates" not in printed
    predicted(capsys, frame)


def test_no_prediction_overwrites_another(x, capsys):
    frame = pd.DataFrame({"x": x, "probability of a": classes_of(x)})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "probability of a", "--output", "m", "--epochs", "60"]) == 0
    capsys.readouterr()
    table, _ = predicted(capsys, frame, "--proba")
    assert list(table) == ["probability of a", "predicted probability of a", "probability of b"]
    assert_array_equal(table.iloc[:, 0] == "a", table.iloc[:, 1].astype(float) > 0.5)


def test_files_of_people_who_read_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "Labels are written as they are in the training file, also those that a spreadsheet would run as a" in printed
    )
    assert not pathlib.Path("m").exists()
