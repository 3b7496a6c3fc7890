"""The standard output of python -m fastbp, as each system has it: ends of lines, encodings and closed pipes."""

import errno
import io
import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

from fastbp.cli import info
from fastbp.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table and a model for it. The table has characters that no encoding of Windows has together."""
    folder = tmp_path_factory.mktemp("models")
    frame = pd.DataFrame({"年": range(40), "größe": [1.5, 0.5] * 20, "класс": ["да", "no"] * 20})
    frame.to_csv(folder / "data.csv", index=False)
    train = ["train", str(folder / "data.csv"), "--target", "класс", "--output", str(folder / "model")]
    assert main([*train, "--networks", "1"]) == 0
    return folder


def like_windows(monkeypatch):
    """Make the standard output as on Windows; returns a function that returns the bytes on it."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\r\n")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(os, "linesep", "\r\n")
    return lambda: (stream.flush(), stream.buffer.getvalue())[1]


def test_predictions_on_the_standard_output_are_the_bytes_of_the_file(folder, monkeypatch, tmp_path):
    printed = like_windows(monkeypatch)
    predict = ["predict", str(folder / "model"), str(folder / "data.csv"), "--id", "年"]
    assert main(predict) == 0
    found = printed()
    assert main([*predict, "--output", str(tmp_path / "out.csv")]) == 0
    assert found == (tmp_path / "out.csv").read_bytes()
    assert found.decode().splitlines()[0] == "年,класс"
    assert b"\r" not in found


def test_a_report_shows_characters_that_the_encoding_lacks_as_escapes(folder, monkeypatch):
    printed = like_windows(monkeypatch)
    assert main(["train", str(folder / "data.csv"), "--target", "класс", "--networks", "1"]) == 0
    assert "größe".encode("cp1252") in printed()
    assert rb"\u5e74" in printed()


class Pipe(io.RawIOBase):
    """A pipe; if `error` is set, its reader has closed it."""

    def __init__(self, error, copy):
        self.error, self._copy = error, copy

    def writable(self):
        return True

    def write(self, data):
        if self.error is not None:
            raise self.error
        return len(data)

    def fileno(self):
        return self._copy


EINVAL = OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize(
    ("platform", "error"), [("linux", BrokenPipeError(errno.EPIPE, "Broken pipe")), ("win32", EINVAL)]
)
def test_a_closed_pipe_ends_the_command_without_a_word(monkeypatch, tmp_path, platform, error):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(info, "run", lambda options: print("much"))
    with (tmp_path / "pipe").open("wb") as file:
        pipe = Pipe(error, file.fileno())
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(pipe)))
        assert main(["info"]) == 141
        pipe.error = None


@pytest.mark.parametrize(("platform", "named"), [("linux", False), ("win32", True)])
def test_other_errors_with_the_same_code_are_not_taken_for_a_closed_pipe(monkeypatch, platform, named):
    def run(options):
        raise OSError(errno.EINVAL, "Invalid argument", *(["a file"] if named else []))

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(info, "run", run)
    with pytest.raises(OSError, match="Invalid argument"):
        main(["info"])


@pytest.mark.posix
def test_a_process_whose_reader_is_gone_ends_without_a_word():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastbp", "info"]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, cwd=pathlib.Path(__file__).parents[2], text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
