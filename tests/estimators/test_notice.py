"""The line that announces a compilation: which processes print it, where, and how often."""

import io
import json
import multiprocessing
import subprocess
import sys

import pytest

from fastbp.estimators import notice
from fastbp.kernels.compiling import cache, interpreted


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def nothing_printed_yet(monkeypatch):
    monkeypatch.setattr(notice, "_last", -float("inf"))


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
@pytest.mark.parametrize("verbose", [True, False])
def test_the_line_is_printed_at_a_terminal_or_by_a_verbose_fit(stream, verbose, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    with notice.of_fit(verbose):
        notice.announce()
    assert sys.stderr.getvalue() == (f"{notice.TEXT}\n" if verbose or stream is Terminal else "")


def test_the_kernels_of_one_fit_share_a_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    seconds = iter([0, 5, 59, 61])
    monkeypatch.setattr(notice.time, "monotonic", lambda: next(seconds))
    for lines in (1, 1, 1, 2):
        notice.announce()
        assert sys.stderr.getvalue().count("\n") == lines


def test_a_worker_process_leaves_the_line_to_its_verbose_fits(monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    monkeypatch.setattr(sys, "stderr", Terminal())
    notice.announce()
    assert not sys.stderr.getvalue()
    with notice.of_fit(True):
        notice.announce()
    assert sys.stderr.getvalue()


def test_without_a_standard_error_nothing_happens(monkeypatch):
    closed = Terminal()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        notice.announce()


FIRST_FIT = """
import io, json, pathlib, sys
from fastbp import BackpropClassifier
from fastbp.kernels.compiling import cache

class Terminal(io.StringIO):
    def isatty(self):
        return True

cache._bases = lambda: iter([pathlib.Path(sys.argv[1])])  # and no other folder
sys.stderr = Terminal()
clf = BackpropClassifier((3,), max_iter=1).fit([[0.0], [1.0]], [0, 1])
clf.predict([[0.0]])
json.dump(sys.stderr.getvalue(), sys.stdout)
"""


@pytest.mark.skipif(interpreted.ENABLED, reason="nothing is compiled")
def test_only_the_fit_that_compiles_prints_the_line(tmp_path):
    assert cache.on_compile is notice.announce
    printed = [
        json.loads(
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", FIRST_FIT, str(tmp_path)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(2)
    ]
    assert printed == [f"{notice.TEXT}\n", ""]
