"""The main job of python -m fastbp: it times two estimators in turns."""

import re

import pytest

from fastbp.cli import contest, digits, machine
from fastbp.cli.main import main
from fastbp.kernels.compiling import cache

ROW = r"^(BackpropClassifier|MLPClassifier)(?:, (\d+) BLAS threads?)? +([01][.]\d+) +(\S+)((?: +\d+[.]\d{3}){3})$"


@pytest.fixture(autouse=True)
def at_rest(monkeypatch):
    monkeypatch.setattr(machine, "load", lambda: 0.0)


def test_the_main_job_prints_both_libraries_side_by_side(capsys):
    assert main(["--epochs", "5"]) == 0
    printed = capsys.readouterr().out
    ours, theirs = re.findall(ROW, printed, re.MULTILINE)
    assert (ours[0], theirs[0]) == ("BackpropClassifier", "MLPClassifier")
    assert ours[2] == theirs[2]
    assert float(ours[3]) == pytest.approx(float(theirs[3]), rel=1e-3)
    medians = []
    for row in (ours, theirs):
        median, fastest, slowest = map(float, row[4].split())
        assert fastest <= median <= slowest
        medians.append(median)
    times = re.search(r"trained (\d+[.]\d) times as fast as MLPClassifier with (\d+) BLAS threads? \(", printed)
    # The printed seconds are rounded.
    assert float(times[1]) == pytest.approx(medians[1] / medians[0], abs=0.06, rel=0.2)
    assert times[2] == theirs[1]
    assert re.search(r"took \d+[.]\d\d s, not counted above", printed)
    assert "busy" not in printed


@pytest.mark.parametrize("better", [1, 2])
def test_scikit_learn_gets_the_better_number_of_blas_threads(better, monkeypatch, capsys):
    class Fake:
        loss_ = 0.5

        def predict(self, X):
            return X

        def score(self, X, y):
            return 0.5

    def fit(entrant, data, epochs):
        slow = entrant.blas_threads is not None and entrant.blas_threads != better
        return Fake(), epochs * (0.02 if slow else 0.01)

    monkeypatch.setattr(digits, "blas_threads", lambda: 2)
    monkeypatch.setattr(contest.Entrant, "fit", fit)
    assert main(["--epochs", "40"]) == 0
    printed = capsys.readouterr().out
    words = ["1 BLAS thread", "2 BLAS threads"]
    if better == 2:
        words.reverse()
    line = f"MLPClassifier gets {words[0]}: 20 epochs took 0.200 s, and 0.400 s with {words[1]} (medians of 3 rounds)."
    assert line in printed
    assert f"trained 1.0 times as fast as MLPClassifier with {words[0]} (medians of 3 rounds)." in printed


@pytest.mark.parametrize(
    ("threads", "line", "peer"),
    [
        (0, "gets the threads that BLAS takes: threadpoolctl does not know this BLAS.", "MLPClassifier ("),
        (1, "gets 1 BLAS thread, because BLAS has no other.", "MLPClassifier with 1 BLAS thread ("),
    ],
)
def test_without_a_choice_of_blas_threads_there_is_no_trial(threads, line, peer, monkeypatch, capsys):
    monkeypatch.setattr(digits, "blas_threads", lambda: threads)
    assert main(["--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    assert f"MLPClassifier {line}\n" in printed
    assert f"times as fast as {peer}" in printed


def test_no_round_begins_after_the_longest_time(monkeypatch, capsys):
    monkeypatch.setattr(digits, "LONGEST", 0.0)
    monkeypatch.setattr(digits, "TRIAL_LONGEST", 0.0)
    monkeypatch.setattr(digits, "blas_threads", lambda: 2)
    assert main(["--epochs", "1"]) == 0
    assert capsys.readouterr().out.count("(in one round)") == 2


@pytest.mark.parametrize("interrupted", ["BackpropClassifier", "MLPClassifier"])
def test_ctrl_c_in_a_fit_ends_the_comparison(interrupted, monkeypatch, capsys):
    """Both estimators turn Ctrl-C into a warning."""
    fit = contest.Entrant.fit

    def interruptible(entrant, data, epochs):
        if entrant.name == interrupted and epochs > 1:
            if interrupted == "MLPClassifier":
                model = entrant.make(max_iter=epochs)
                monkeypatch.setattr(model, "_update_no_improvement_count", interrupt)
                return model.fit(data.X_train, data.y_train), 0.1
            with digits.watch(interrupt):
                return fit(entrant, data, epochs)
        return fit(entrant, data, epochs)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(contest.Entrant, "fit", interruptible)
    assert main(["--epochs", "3"]) == 130
    printed = capsys.readouterr()
    assert "interrupted" in printed.err
    assert "times as fast" not in printed.out


@pytest.mark.parametrize(("kept", "then"), [(True, "The next run loads"), (False, "the next run compiles again")])
def test_a_run_that_compiles_says_so(kept, then, monkeypatch, capsys):
    cold_start = digits.cold_start

    def compiling(entrant, data):
        cache.on_compile()
        cache.on_compile()
        return cold_start(entrant, data)

    monkeypatch.setattr(digits, "cold_start", compiling)
    monkeypatch.setattr(digits.cache_folders, "all_kept", lambda: kept)
    before = cache.on_compile
    assert main(["--epochs", "1"]) == 0
    assert cache.on_compile is before
    printed = capsys.readouterr()
    assert printed.out.count("Compiling kernels for this machine") == 1
    assert re.search(r"Compiling the kernels took \d+[.]\d\d s, not counted above[.] ", printed.out)
    assert then in printed.out
    assert not printed.err


def test_a_busy_machine_is_said_to_be_busy(monkeypatch, capsys):
    monkeypatch.setattr(machine, "load", lambda: 3.1)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert main(["--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    assert ", 2 cores, load average 3.1\n" in printed
    assert "The machine was busy in the minute before: load average 3.1 on 2 cores." in printed
