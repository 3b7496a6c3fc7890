"""What the columns of a table are taken for, what is said about them, and how labels are written."""

import io
import pathlib
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import train_test_split

from fastbp.cli.limits import ENOUGH
from fastbp.cli.main import main
from fastbp.encoding import text

N = 400
SMALL = ("--networks", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def x():
    """Numbers that decide the target."""
    return np.random.default_rng(0).normal(size=N).round(3)


def trained(capsys, frame, *options, file="t.csv"):
    """What `train` prints about a table; the model is in m."""
    if file.endswith(".csv"):
        frame.to_csv(file, index=False)
    else:
        frame.to_parquet(file)
    assert main(["train", file, "--target", "y", "--output", "m", *SMALL, *options]) == 0
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
        "fastbp: warning: 400 of 400 rows have values of 'b' that the training did not have: '1', '0'",
        "fastbp: warning: 3 of 400 rows have values of 'c' that the training did not have: 'w', '(missing)', 'z'",
    ]


def test_a_few_cells_that_are_no_numbers_are_said_and_count_as_missing(x, capsys):
    frame = pd.DataFrame({"x": x.astype(object), "y": classes_of(x)})
    frame.loc[[7, 9, 11, 13], "x"] = ["?", "-", "?", "n.a."]
    printed = trained(capsys, frame)
    assert "  1 column of numbers: 'x'\n" in printed
    assert "  note: 4 of 400 values of 'x' are not numbers, so they count as missing: " in printed
    assert "missing: '?' in row 8, '-' in row 10, '?' in row 12 and 1 more" in printed
    strange, warnings = predicted(capsys, frame)
    assert warnings[0].startswith("fastbp: warning: 4 of 400 values of 'x' are not numbers")
    frame.loc[[7, 9, 11, 13], "x"] = None
    pd.testing.assert_frame_equal(predicted(capsys, frame)[0], strange)


def test_numbers_taken_as_categories_and_many_categories_are_said(x, capsys):
    frame = pd.DataFrame({"x": np.arange(N).astype(object) // 2 / 8, "t": [f"text {i // 1.5}" for i in range(N)]})
    frame.loc[: N // 10, "x"] = "none"
    printed = trained(capsys, frame.assign(y=classes_of(x)))
    assert "  2 columns of categories: 'x', 't'\n" in printed
    assert (
        "'x' is taken as categories, because fewer than 95% of its values are numbers; others are 'none' in" in printed
    )
    assert "  note: 't' has 267 categories in 400 rows: is it text or an identifier?\n" in printed


def test_numbers_with_leading_zeros_are_categories_without_a_remark(x, capsys):
    frame = pd.DataFrame({"zip": np.where(x > 0, "02139", "10001"), "x": x, "y": classes_of(x)})
    printed = trained(capsys, frame)
    assert "  1 column of categories: 'zip'\n" in printed
    assert "note" not in printed


def test_numbers_are_categories_on_demand(x, capsys):
    frame = pd.DataFrame({"n": np.arange(N) % 7, "x": x, "y": classes_of(x)})
    assert "  2 columns of numbers: 'n', 'x'\n" in trained(capsys, frame)
    printed = trained(capsys, frame, "--category", "n")
    assert "  1 column of numbers: 'x'\n  1 column of categories: 'n'\n" in printed
    assert "note" not in printed
    assert predicted(capsys, frame)[1] == []
    frame.loc[[3, 5], "n"] = 8
    warning = "fastbp: warning: 2 of 400 rows have values of 'n' that the training did not have: '8'"
    assert predicted(capsys, frame)[1] == [warning]
    for arguments, said in (
        (["--category", "z"], "t.csv has no column 'z'; it has "),
        (["--category", "y"], "--category y: this is the target"),
        (["--category", "n", "--drop", "n"], "--category n: --drop leaves out this column"),
    ):
        assert main(["train", "t.csv", "--target", "y", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_a_code_for_missing_numbers_is_said_to_be_far_from_the_others(x, capsys):
    frame = pd.DataFrame({"age": 20 + np.arange(N) % 60, "x": x, "y": classes_of(x)})
    assert "far from" not in trained(capsys, frame)
    frame.loc[[3, 5, 9], "age"], frame.loc[7, "x"] = -999, 1e15
    printed = trained(capsys, frame)
    assert "  note: 3 of 400 values of 'age' are -999, far from all others (20 to 79): is it a code for mis" in printed
    assert re.search(r"  note: 1 of 400 values of 'x' are 1e\+15, far from all others \(-[\d.]+ to [\d.]+\): ", printed)


def test_missing_values_are_listed_and_columns_left_out_are_grouped_by_the_reason(x, capsys):
    frame = pd.DataFrame({"a": x, "b": x, "c": "same", "d": None, "e": "same", "y": classes_of(x)})
    frame.loc[:9, "a"], frame.loc[:99, "b"] = None, None
    for i in range(9):
        frame[f"few{i}"] = np.where(np.arange(N) < 5, np.nan, x)
    printed = trained(capsys, frame)
    assert f"t.csv: 400 rows with a 'y', {frame.shape[1] - 1} other columns\n" in printed
    assert "  11 columns of numbers: 'a', 'b', 'few0', 'few1', 'few2', 'few3', 'few4', 'few5' and 3 more\n" in printed
    assert "  missing values: 'b' 100 (25.0%), 'a' 10 (2.5%), 'few0' 5 (1.2%), " in printed
    assert "'few5' 5 (1.2%) and 3 more columns\n" in printed
    assert "  left out: 'c', 'e' (one value throughout)\n  left out: 'd' (no value)\n" in printed


def test_text_counts_as_numbers_by_the_share_that_the_help_names():
    assert text.ENOUGH == ENOUGH


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("%Y-%m-%d", "ISO 8601"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "ISO 8601"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%d %b %Y", "%d %b %Y"),
        ("%d/%m/%Y %I:%M %p", "%d/%m/%Y %I:%M %p"),
        ("%d.%m.%y", "%d.%m.%y"),
    ],
)
def test_dates_have_the_format_of_the_training_in_every_file(written, form, capsys):
    moments = pd.Timestamp("2023-01-05 00:30") + pd.to_timedelta(
        np.random.default_rng(0).integers(0, 9000, N), unit="h"
    )
    frame = pd.DataFrame({"d": moments.strftime(written), "y": (moments - moments[0]) / pd.Timedelta(days=1)})
    printed = trained(capsys, frame)
    assert "  1 column of dates: 'd'\n" in printed
    assert f"  note: 'd' holds dates as {form}\n" in printed
    days = predicted(capsys, frame)[0]["y"].astype(float)
    assert np.corrcoef(days, frame["y"])[0, 1] > 0.99
    # Another file in which the order of day and month cannot be seen is read as the first one was.
    few = frame[pd.Series(moments).dt.day.lt(13)].head(5)
    assert_array_equal(predicted(capsys, few)[0]["y"].astype(float), days[few.index])


def test_dates_that_are_missing_or_strange_are_missing(x, capsys):
    frame = pd.DataFrame(
        {"d": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(N), unit="D"), "y": classes_of(x)}
    )
    frame["d"] = frame["d"].astype(str).astype(object)
    frame.loc[3, "d"], frame.loc[5, "d"] = None, "soon"
    frame["d_month"] = x  # this column has the name of a part of the date d
    printed = trained(capsys, frame)
    assert "  1 column of numbers: 'd_month'\n  1 column of dates: 'd'\n" in printed
    assert "1 of 399 values of 'd' are not dates as ISO 8601, so they count as missing: 'soon' in row 6" in printed
    table, warnings = predicted(capsys, frame, "--proba")
    assert "'soon' in row 6" in warnings[0]
    frame.loc[5, "d"] = None
    pd.testing.assert_frame_equal(predicted(capsys, frame, "--proba")[0], table)
    frame["d"] = "soon"
    frame.to_csv("new.csv", index=False)
    assert main(["predict", "m", "new.csv"]) == 2
    said = "column 'd' of new.csv must hold dates as ISO 8601, but has other values: 'soon' in row 1"
    assert said in capsys.readouterr().err


def test_dates_without_the_time_zone_of_the_training_are_refused_in_one_line(x, capsys):
    days = pd.date_range("2024-01-01", periods=N).strftime("%Y-%m-%dT%H:%M:%S")
    trained(capsys, pd.DataFrame({"d": days + "+02:00", "x": x, "y": classes_of(x)}))
    pd.DataFrame({"d": days, "x": x}).to_csv("new.csv", index=False)
    assert main(["predict", "m", "new.csv"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    expected = (
        "fastbp: error: new.csv: column 'd' must hold dates with a time zone (UTC+02:00), as in the fit, got dates"
    )
    assert line.startswith(expected)


def test_a_strange_value_that_only_the_rows_held_out_have_is_missing(x, capsys):
    frame = pd.DataFrame({"a": x, "y": x}).astype(object)
    held_out = train_test_split(np.arange(N), test_size=N // 5, random_state=0)[1]
    frame.loc[held_out[0], "a"] = "?"
    assert "1 of 400 values of 'a' are not numbers, so they count as missing: '?' in row" in trained(capsys, frame)


def test_dates_and_durations_of_parquet_are_dates_and_numbers_also_in_a_csv_file(x, capsys):
    moments = pd.Timestamp("2024-01-01", tz="Europe/Paris") + pd.to_timedelta(np.arange(N), unit="D")
    frame = pd.DataFrame({"d": moments, "date": moments.date, "t": moments - moments[0], "y": x})
    printed = trained(capsys, frame, file="t.parquet")
    assert "  1 column of numbers: 't'\n  2 columns of dates: 'd', 'date'\n" in printed
    frame["t"] = frame["t"].dt.total_seconds()
    assert predicted(capsys, frame)[1] == []


def test_texts_that_are_no_dates_are_categories(x, capsys):
    texts = [("may", "june"), ("5-10", "10-15"), ("A1", "B2"), ("10.0.0.1", "10.0.0.2"), ("+49 30 1", "+49 30 2")]
    frame = pd.DataFrame({f"c{i}": np.where(x > 0, *pair) for i, pair in enumerate(texts)}).assign(y=classes_of(x))
    assert "  5 columns of categories: 'c0', 'c1', 'c2', 'c3', 'c4'\n" in trained(capsys, frame)


def test_an_identifier_is_left_out_by_its_name_or_warned_about_and_dropped_on_demand(x, capsys):
    frame = pd.DataFrame({"id": np.arange(N) + 7, "a": np.arange(N) + 7, "b": 10**17 + 3 * np.arange(N), "x": x})
    frame["n"], frame["y"] = np.arange(N) % 7, x
    printed = trained(capsys, frame)
    assert "  left out: 'id' (an id: different integers in a column whose name is that of ids)\n" in printed
    lines = [line for line in printed.splitlines() if "looks like an identifier" in line]
    assert [line.split("'")[1] for line in lines] == ["a", "b"]
    printed = trained(capsys, frame, "--drop", "a", "--drop", "b")
    assert "  2 columns of numbers: 'x', 'n'\n" in printed
    assert "identifier" not in printed
    predicted(capsys, frame.drop(columns=["id", "a", "b"]))
    for column, said in (("z", "t.csv has no column 'z'; it has "), ("y", "--drop y: this is the target")):
        assert main(["train", "t.csv", "--target", "y", "--drop", column]) == 2
        assert said in capsys.readouterr().err


def test_large_whole_numbers_do_not_drown_the_other_columns(capsys):
    X = np.random.default_rng(0).normal(size=(1000, 2))
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "n": np.arange(1000) + 10**17, "y": X[:, 0] + X[:, 1] ** 2})
    printed = trained(capsys, frame)
    assert float(re.search(r"^  networks +(\S+)", printed, re.M)[1]) > 0.9


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "labels",
    [("02134", "10001"), ("1.0", "2.0"), ("1", "02"), ("True", "False"), ("=1+1", "@x"), ("-1", "1"), ("1e3", "7")],
)
def test_labels_come_back_as_they_are_in_the_file(labels, x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, *labels)})
    trained(capsys, frame)
    table, _ = predicted(capsys, frame, "--proba")
    assert set(table["y"]) == set(labels)
    assert (table["y"] == frame["y"]).mean() > 0.9
    assert set(table.columns[1:]) == {f"probability of {label}" for label in labels}


def test_truth_values_with_gaps_in_parquet_are_labels(x, capsys):
    frame = pd.DataFrame({"x": x, "y": (x > 0).astype(object)})
    frame.loc[:9, "y"] = None
    frame.to_parquet("t.parquet")
    assert main(["train", "t.parquet", "--target", "y", "--output", "m", *SMALL]) == 0
    assert "left out: 10 rows without a 'y'\n" in capsys.readouterr().out
    assert set(predicted(capsys, frame)[0]["y"]) == {"True", "False"}


def test_whole_floats_of_parquet_are_labels_without_decimals(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, 1.0, np.where(x > -1, 2.0, np.nan))})
    frame.to_parquet("t.parquet")
    assert main(["train", "t.parquet", "--target", "y", "--output", "m", *SMALL]) == 0
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
    assert main(["train", "t.csv", "--target", "y", *SMALL]) == 0
    errors = capsys.readouterr().err
    assert "the target 'y' has 300 classes in 400 rows, such as '0 EUR'; should it hold numbers?" in errors
    assert "of the rows held out have classes that no other row has: log loss and AUC omit them" in errors


def test_a_number_written_in_several_ways_is_several_classes_and_said_to_be(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "1", np.where(x > -1, "1.0", "2"))})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", *SMALL]) == 0
    printed = capsys.readouterr()
    assert "classification, 3 classes" in printed.out
    assert "the target 'y' writes a number in several ways; each of them is a class" in printed.err


def test_stray_words_in_a_target_of_whole_numbers_are_not_numbers_in_several_ways(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "1", "2")})
    frame.loc[[3, 5], "y"] = ["?", "unknown"]
    trained(capsys, frame)
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", *SMALL]) == 0
    assert "in several ways" not in capsys.readouterr().err


def test_labels_of_thousands_of_digits_are_labels(x, capsys):
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "7" * 5000, "8" * 5000)})
    trained(capsys, frame)
    assert set(predicted(capsys, frame)[0]["y"]) == {"7" * 5000, "8" * 5000}


def test_a_word_in_half_of_the_cells_beside_many_different_dates_makes_categories(x, capsys):
    days = pd.date_range("2020-01-01", periods=N // 2).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"x": x, "end": [*days, *["open"] * (N - N // 2)], "y": np.where(x > 0, "a", "b")})
    printed = trained(capsys, frame)
    assert "  1 column of categories: 'end'\n" in printed
    predicted(capsys, frame)


def test_no_prediction_overwrites_another(x, capsys):
    frame = pd.DataFrame({"x": x, "probability of a": classes_of(x)})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "probability of a", "--output", "m", *SMALL]) == 0
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
