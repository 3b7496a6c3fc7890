"""The output of a job of python -m fastbp while it works: the line, the progress of a fit, the machine."""

import io
import os
import pathlib
import platform
import sys

import pytest

from fastbp.cli import machine, progress
from fastbp.cli.progress import Compiling, Progress, interrupts_raised
from fastbp.live_line import LiveLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


on_both = pytest.mark.parametrize("kind", [Terminal, io.StringIO])


def output(kind, monkeypatch, columns):
    """The standard output for a test: a terminal of so many columns, or a log."""
    monkeypatch.setattr(sys, "stdout", kind())
    monkeypatch.setenv("COLUMNS", str(columns))
    return sys.stdout


@on_both
def test_a_line_is_rewritten_on_a_terminal_and_only_final_texts_go_elsewhere(kind, monkeypatch):
    stream = output(kind, monkeypatch, 20)
    line = LiveLine()
    line.show("one that is too long for a line")
    line.log("two")
    line.clear()
    line.done("three")
    if stream.isatty():
        lines = [text.rstrip() for text in stream.getvalue().split("\r")]
        assert [line for line in lines if line] == ["one that is too lon", "two", "three"]
        assert stream.getvalue().endswith("\n")
    else:
        assert stream.getvalue() == "two\nthree\n"


@on_both
def test_progress_is_drawn_often_on_a_terminal_and_rarely_in_a_log(kind, monkeypatch):
    stream = output(kind, monkeypatch, 200)
    now = 0.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    shown = Progress("network", LiveLine())
    for epoch in range(1, 51):
        now += 0.5
        shown(epoch, 50, 1.0)
    separator = "\r" if stream.isatty() else "\n"
    lines = [line.strip() for line in stream.getvalue().split(separator) if line]
    assert len(lines) == (50 if stream.isatty() else 5)
    assert lines[-1] == "network [##########] epoch 50/50, loss 1, 25.0 s"


def test_a_quick_fit_writes_nothing_into_a_log(monkeypatch):
    stream = output(io.StringIO, monkeypatch, 200)
    shown = Progress("network", LiveLine())
    for epoch in range(1, 6):
        shown(epoch, 5, 1.0)
    assert not stream.getvalue()


@on_both
def test_compiling_counts_the_kernels_and_shows_them_on_a_line(kind, monkeypatch):
    stream = output(kind, monkeypatch, 200)
    with Compiling(LiveLine()) as compiling:
        for _ in range(3):
            progress.cache.on_compile()
    assert compiling.kernels == 3
    shown = stream.getvalue()
    if stream.isatty():
        assert "Compiling kernels for this machine: 2 done, 0 s ..." in shown
    else:
        assert shown == "Compiling kernels for this machine ...\n"


def test_a_warning_that_is_no_interrupt_stays_a_warning():
    with pytest.raises(UserWarning, match="of another kind"), interrupts_raised():
        raise UserWarning("of another kind")


def test_a_machine_is_described_as_far_as_it_is_known(monkeypatch):
    def unknown(*args):
        raise OSError

    assert machine.processor() in machine.described(0.5)
    monkeypatch.setattr(pathlib.Path, "read_text", unknown)
    assert machine.processor() in (platform.processor(), platform.machine())
    monkeypatch.setattr(os, "getloadavg", unknown)
    assert machine.load() is None
    assert not machine.busy(None)
    assert "load" not in machine.described(None)
