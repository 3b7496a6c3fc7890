"""The tables that the command line reads: separators, decimals, encodings, compression, pipes, Parquet."""

import bz2
import gzip
import io
import lzma
import pathlib
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow
import pytest
from numpy.testing import assert_array_equal

from fastbp.cli.errors import UserError
from fastbp.cli.main import main
from fastbp.cli.reading import Format, read

TABLE = "name,x,y\nZo\u00eb,1.5,02134\nAl,-2.25,10001\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.chdir(tmp_path)


def assert_is_the_table(frame):
    assert list(frame) == ["name", "x", "y"]
    assert [list(row) for row in frame.to_numpy()] == [["Zo\u00eb", "1.5", "02134"], ["Al", "-2.25", "10001"]]


@pytest.mark.parametrize(
    ("change", "encoding", "said"),
    [
        (str, "utf-8", ""),
        (str, "utf-8-sig", ""),
        (str, "utf-16", "--sep ',' --decimal '.' --encoding utf-16"),
        (str, "latin-1", "--sep ',' --decimal '.' --encoding cp1252"),
        (lambda text: text.replace(",", ";"), "utf-8", "--sep ';' --decimal '.' --encoding utf-8"),
        (lambda text: text.replace(",", ";").replace(".", ","), "cp1252", "--sep ';' --decimal ',' --encoding cp1252"),
        (lambda text: text.replace(",", "\t"), "utf-8", r"--sep '\t' --decimal '.' --encoding utf-8"),
        (lambda text: text.replace(",", "|"), "utf-8", "--sep '|' --decimal '.' --encoding utf-8"),
    ],
)
def test_separator_decimal_and_encoding_are_found_out_and_what_is_unusual_is_said(change, encoding, said, capsys):
    pathlib.Path("t.csv").write_bytes(change(TABLE).encode(encoding))
    assert_is_the_table(read("t.csv"))
    assert capsys.readouterr().err == (f"fastbp: warning: t.csv is read with {said}\n" if said else "")


def test_what_is_given_is_not_found_out_and_not_said(capsys):
    pathlib.Path("t.csv").write_bytes(TABLE.replace(",", "@").replace(".", ",").encode("cp437"))
    assert_is_the_table(read("t.csv", Format("@", ",", "cp437")))
    assert capsys.readouterr().err == ""


def test_the_mark_of_windows_is_not_in_the_first_name():
    pathlib.Path("t.csv").write_bytes(TABLE.encode("utf-8-sig"))
    assert_is_the_table(read("t.csv", Format(encoding="utf-8")))


def test_commas_are_decimals_in_numbers_only():
    pathlib.Path("t.csv").write_text("x;text;n;p\n1,5;a,b;02134;1.5\n1.234,25;1,5;1;2\n-3,5e2;c;1;3\n", "utf-8")
    frame = read("t.csv")
    assert list(frame["x"]) == ["1.5", "1234.25", "-3.5e2"]
    assert list(frame["p"]) == ["1.5", "2", "3"]  # Python wrote this one
    assert list(frame["text"]) == ["a,b", "1,5", "c"]
    assert list(frame["n"]) == ["02134", "1", "1"]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: pyarrow.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_a_compressed_file_is_read(suffix, compress):
    for name, text in (("t.csv", TABLE), ("t.TSV", TABLE.replace(",", "\t"))):
        pathlib.Path(name + suffix).write_bytes(compress(text.encode()))
        assert_is_the_table(read(name + suffix))
    pathlib.Path("cut.csv" + suffix).write_bytes(compress(TABLE.encode())[:20])
    with pytest.raises(UserError, match="cannot read cut"):
        read("cut.csv" + suffix)


def test_a_zip_archive_of_one_file_is_read():
    with zipfile.ZipFile("t.zip", "w") as archive:
        archive.writestr("t.csv", TABLE)
    assert_is_the_table(read("t.zip"))
    with zipfile.ZipFile("t.zip", "a") as archive:
        archive.writestr("u.csv", TABLE)
    with pytest.raises(UserError, match="it holds 2 files, not one"):
        read("t.zip")


def test_a_suffix_is_of_the_name_and_not_of_the_path():
    folder = pathlib.Path("exports.tsv.d")
    folder.mkdir()
    for name, text in (("t.csv", TABLE), ("one.tsv", "a,b\n1,2\n")):
        (folder / name).write_text(text, "utf-8")
    assert_is_the_table(read("exports.tsv.d/t.csv"))
    assert list(read("exports.tsv.d/one.tsv")) == ["a,b"]


@pytest.mark.parametrize("kind", ["text", "Parquet"])
def test_the_standard_input_is_read(kind, monkeypatch):
    stream = io.BytesIO(TABLE.encode())
    if kind == "Parquet":
        frame, stream = read_text(TABLE), io.BytesIO()
        frame.to_parquet(stream)
        stream.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    assert_is_the_table(read("-"))


def read_text(text):
    pathlib.Path("t.csv").write_text(text, "utf-8")
    return read("t.csv")


def test_a_parquet_file_keeps_truth_values_with_gaps_bytes_and_a_named_index():
    frame = pd.DataFrame({"b": [True, None, False], "raw": [b"a", b"\xff", None]}, index=pd.Index([4, 5, 6], name="i"))
    frame.to_parquet("t.parquet")
    read_back = read("t.parquet")
    assert list(read_back) == ["i", "b", "raw"]
    assert read_back["b"].dtype == "boolean"
    assert list(read_back["raw"])[:2] == ["a", r"\xff"]
    pathlib.Path("parts.parquet").mkdir()
    frame.to_parquet("parts.parquet/0.parquet")
    assert len(read("parts.parquet")) == 3


def test_categories_of_parquet_are_what_they_are_categories_of():
    pd.DataFrame({"c": pd.Categorical([3, 1, 3]), "t": pd.Categorical(["a", None, "b"])}).to_parquet("t.parquet")
    assert list(read("t.parquet")["c"]) == [3, 1, 3]
    assert pd.api.types.is_integer_dtype(read("t.parquet")["c"])
    assert list(read("t.parquet")["t"].dropna()) == ["a", "b"]


def test_a_nul_in_a_name_is_refused():
    pd.DataFrame({"a\0b": [1], "c": [2]}).to_parquet("t.parquet")
    with pytest.raises(UserError, match=r"t.parquet has a NUL character in the name of a column: 'a\\x00b'"):
        read("t.parquet")


def test_words_for_missing_values_are_missing_and_counted():
    frame = read_text("a,b\nNA,1\nNone,2\nNA,\n,3\nnorth,4\n")
    assert_array_equal(frame["a"].isna(), [True, True, True, True, False])
    assert {name: dict(words) for name, words in frame.attrs["missing"].items()} == {"a": {0: "NA", 1: "None", 2: "NA"}}


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        (b"a\xe9,b\n1,2\n", Format(encoding="utf-8"), "not text in utf-8 .*; --encoding names another one, such as"),
        (b"a;b\n1;2\n1;2;3\n", Format(), "saw 3; the columns were separated at ';', see --sep"),
        (b"a;b;c\n1,2;3\n1,2,4,5\n", Format(sep=","), "Expected 2 fields in line 3, saw 4$"),
    ],
)
def test_a_message_names_the_likely_cause(content, given, message):
    pathlib.Path("t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read("t.csv", given)


def test_a_wrong_separator_is_named_if_the_target_is_missing(capsys):
    pathlib.Path("t.csv").write_text("x;y\n1;2\n", "utf-8")
    assert main(["train", "t.csv", "--target", "y", "--sep", ","]) == 2
    assert "has no column 'y'; it has 'x;y' (perhaps its columns are separated otherwise: see --sep)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--sep", ";;", "';;' is not one character that can separate columns"),
        ("--encoding", "klingon", "'klingon' is not an encoding, such as utf-8 or latin-1"),
        ("--decimal", "x", "invalid choice"),
    ],
)
def test_a_bad_format_is_named(option, value, message, capsys):
    with pytest.raises(SystemExit):
        main(["train", "t.csv", "--target", "y", option, value])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("sep", [r"\t", "tab", "\t"])
def test_a_table_is_trained_on_and_predicted_from_with_options_of_its_format(sep, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(2)
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, "h\u00f6her", "tiefer")})
    frame.to_csv("t.txt", sep="\t", decimal=",", encoding="latin-1", index=False)
    form = ["--sep", sep, "--decimal", ",", "--encoding", "latin-1"]
    assert main(["train", "t.txt", "--target", "y", "--networks", "1", "--output", "m", *form]) == 0
    assert "  1 column of numbers: 'x'\n" in capsys.readouterr().out
    assert main(["predict", "m", "t.txt", *form]) == 0
    assert "h\u00f6her" in capsys.readouterr().out
