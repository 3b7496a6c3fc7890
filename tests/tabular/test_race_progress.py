"""What a verbose fit on a table says, on a terminal and elsewhere, and what happens if nobody listens."""

import io
import re
import sys
import threading

import numpy as np
import pytest

from fastbp import TabularClassifier
from fastbp.live_line import LiveLine
from fastbp.tabular import progress
from fastbp.tabular.progress import Progress, shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Full(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


def race(kind, monkeypatch):
    """What is written about two rounds, with a second between two events. A network of each round fails."""
    monkeypatch.setattr(sys, "stdout", kind())
    monkeypatch.setenv("COLUMNS", "200")
    now = iter(range(1000))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(now)))
    with shown(4, verbose=True) as shown_progress:
        shown_progress.round_begins(1)
        shown_progress.network_ends(None)
        shown_progress.round_ends()
        shown_progress.round_begins(3)
        for loss in (0.5, None, 0.25):
            for epoch in range(1, 11):
                shown_progress.epoch_ends(epoch, 10, 1.0)
            shown_progress.network_ends(loss)
        shown_progress.round_ends()
    return sys.stdout.getvalue()


def test_a_terminal_shows_round_networks_epochs_and_the_best_loss(monkeypatch):
    texts = [text.strip() for text in race(Terminal, monkeypatch).split("\r")]
    assert texts[1].startswith("Round 1/4 [----------] 0/1 networks, ")
    assert any(text.startswith("Round 2/4 [----------] 0/3 networks, ") for text in texts)
    middle = r"Round 2/4 \[####------\] 1/3 networks, best loss 0.5, epochs 4/10, \d+.0 s"
    assert any(re.fullmatch(middle, text) for text in texts)
    last = [text for text in texts if text][-1]
    assert re.fullmatch(r"Round 2/4 \[##########\] 2/3 networks, best loss 0.25, \d+.0 s", last)


def test_a_log_gets_a_line_for_each_round_and_few_in_between(monkeypatch):
    lines = race(io.StringIO, monkeypatch).splitlines()
    assert 4 <= len(lines) <= 10  # about 70 seconds have passed
    assert lines[-1].startswith("Round 2/4 [##########] 2/3 networks, best loss 0.25, ")


def test_networks_that_train_side_by_side_have_their_epochs_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    together = Progress(1, LiveLine())
    together.round_begins(2)
    other = threading.Thread(target=together.epoch_ends, args=(3, 40, 1.0))
    other.start()
    other.join()
    together.epoch_ends(5, 16, 1.0)
    assert "0/2 networks, epochs 3/40 5/16, " in sys.stdout.getvalue()


def test_networks_that_leave_after_the_trial_are_no_longer_in_the_line(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    shown_progress = Progress(1, LiveLine())
    shown_progress.round_begins(4)
    shown_progress.epoch_ends(6, 30, 1.0)
    shown_progress.networks_leave(2)
    shown_progress.network_ends(0.5)
    shown_progress.network_ends(0.25)
    shown_progress.round_ends()
    last = sys.stdout.getvalue().split("\r")[-1]
    assert "Round 1/1 [##########] 2/2 networks, best loss 0.25, 0" in last
    assert "epochs" not in last


def data():
    X = np.random.default_rng(0).normal(size=(60, 2))
    return X, X[:, 0] > 0


@pytest.mark.parametrize("verbose", [False, True])
def test_a_fit_says_something_only_if_it_is_verbose(verbose, capsys):
    TabularClassifier(n_networks=2, random_state=0, verbose=verbose).fit(*data())
    printed = re.findall(r"^Round (\d)/4 \[##########\] (\d)/\2 networks, best loss", capsys.readouterr().out, re.M)
    assert printed == ([("1", "4"), ("2", "4"), ("3", "2"), ("4", "1")] if verbose else [])


@pytest.mark.parametrize("kind", ["missing", "closed", "full"])
def test_a_standard_output_that_fails_does_not_stop_the_fit(kind, monkeypatch):
    quiet = TabularClassifier(n_networks=1, random_state=0).fit(*data())
    stream = {"missing": None, "closed": io.StringIO(), "full": Full()}[kind]
    if kind == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    verbose = TabularClassifier(n_networks=1, random_state=0, verbose=True).fit(*data())
    assert (verbose.predict_proba(data()[0]) == quiet.predict_proba(data()[0])).all()
