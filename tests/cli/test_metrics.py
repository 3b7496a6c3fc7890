"""The metrics that train and evaluate print, evaluate itself, and --id of predict."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

from fastbp.cli.main import main
from fastbp.cli.metrics import scores, table
from fastbp.cli.model_files import Model

N = 300


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with t.csv, and new.csv with other rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * N, 2))
    frame = pd.DataFrame({"id": [f"{i:04}" for i in range(2 * N)], "a": X[:, 0], "b": X[:, 1]})
    frame["two"] = np.where(X[:, 0] + rng.normal(size=2 * N) > 0, "yes", "no")
    frame["three"] = np.searchsorted([-0.5, 0.5], X[:, 0])
    frame["number"] = X[:, 0] * 30_000
    frame[:N].to_csv("t.csv", index=False)
    frame[N:].to_csv("new.csv", index=False)


@pytest.fixture
def model(request, capsys):
    """Trains a model of a target, and returns what `train` prints. The model is in m."""

    def train(target, *options):
        others = [f"--drop={name}" for name in ("two", "three", "number") if name != target]
        arguments = ["--target", target, *others, "--networks", "1", "--output", "m", *options]
        assert main(["train", "t.csv", *arguments]) == 0
        return capsys.readouterr().out

    return train


def complaint(capsys, *arguments):
    """The one line that a refused command prints on the standard error."""
    assert main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("fastbp: error: ")


def printed_table(text):
    """{metric: number} of the networks in a printed table."""
    lines = text.splitlines()
    row = next(k for k, line in enumerate(lines) if line.startswith("  networks  "))
    _, *names = re.split(" {2,}", lines[row - 1] if "on " in lines[row - 1] else lines[row - 2])
    return dict(zip(names, map(float, lines[row].split()[1:]), strict=True))


EXPECTED = {
    "two": {
        "accuracy": lambda y, p, q: metrics.accuracy_score(y, p),
        "log loss": lambda y, p, q: metrics.log_loss(y, q),
        "AUC": lambda y, p, q: metrics.roc_auc_score(y, q[:, 1]),
        "F1 of 'yes'": lambda y, p, q: metrics.f1_score(y, p, pos_label="yes"),
        "precision": lambda y, p, q: metrics.precision_score(y, p, pos_label="yes"),
        "neg_brier_score": lambda y, p, q: -metrics.brier_score_loss(y, q[:, 1], pos_label="yes"),
    },
    "three": {
        "accuracy": lambda y, p, q: metrics.accuracy_score(y, p),
        "log loss": lambda y, p, q: metrics.log_loss(y, q),
        "AUC": lambda y, p, q: metrics.roc_auc_score(y, q, multi_class="ovr"),
        "F1": lambda y, p, q: metrics.f1_score(y, p, average="macro"),
        "matthews_corrcoef": lambda y, p, q: metrics.matthews_corrcoef(y, p),
    },
    "number": {
        "R^2": lambda y, p, q: metrics.r2_score(y, p),
        "RMSE": lambda y, p, q: metrics.root_mean_squared_error(y, p),
        "MAE": lambda y, p, q: metrics.mean_absolute_error(y, p),
        "neg_median_absolute_error": lambda y, p, q: -metrics.median_absolute_error(y, p),
    },
}
SCORERS = {
    "two": ["precision", "neg_brier_score"],
    "three": ["matthews_corrcoef"],
    "number": ["neg_median_absolute_error"],
}


@pytest.mark.parametrize("target", EXPECTED)
def test_train_and_evaluate_print_the_metrics_of_scikit_learn(target, model, capsys):
    options = [part for name in SCORERS[target] for part in ("--metric", name)]
    assert list(printed_table(model(target, *options))) == list(EXPECTED[target])
    assert main(["evaluate", "m", "new.csv", *options]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("on 300 rows  ")
    estimator, frame = Model.load("m").estimator, pd.read_csv("new.csv")
    q = None if target == "number" else estimator.predict_proba(frame)
    for name, value in printed_table(printed).items():
        expected = EXPECTED[target][name](frame[target], estimator.predict(frame), q)
        assert value == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_guess_has_the_same_metrics(model):
    printed = model("two")
    assert re.search(r"^on the rows held out +accuracy +log loss +AUC +F1 of 'yes'$", printed, re.M)
    assert re.search(r"^  majority, '(no|yes)' +0\.5\d+ +0\.69\d+ +0\.5000 +(0\.\d+)$", printed, re.M)


def test_a_metric_that_is_not_defined_is_a_dash():
    y = np.array([0, 1, 2, 1])
    guess = DummyClassifier(strategy="prior").fit(np.zeros((4, 1)), y)
    rows = {"x": scores(guess, np.zeros((2, 1)), np.array([1, 1]), [])}
    assert np.isnan(rows["x"]["AUC"])
    assert table("t", rows).splitlines()[1].split()[3] == "-"
    few = DummyClassifier(strategy="prior").fit(np.zeros((2, 1)), y[:2])
    assert np.isnan(scores(few, np.zeros((2, 1)), np.array([1, 1]), [])["AUC"])


def test_classes_that_an_estimator_does_not_know_are_wrong_and_have_no_log_loss():
    guess = DummyClassifier(strategy="prior").fit(np.zeros((3, 1)), np.array([0, 1, 1]))
    row = scores(guess, np.zeros((4, 1)), np.array([0, 1, 2, 2]), ["f1", "balanced_accuracy"])
    assert row["accuracy"] == 0.25
    assert row["log loss"] == pytest.approx(np.mean(-np.log([1 / 3, 2 / 3])))
    assert (row["AUC"], row["F1 of '1'"]) == (0.5, pytest.approx(0.4))
    assert (row["f1"], row["balanced_accuracy"]) == (pytest.approx(2 / 3), 0.5)
    assert np.isnan(scores(guess, np.zeros((1, 1)), np.array([2]), [])["log loss"])


def test_numbers_with_a_unit_keep_their_digits():
    y = np.array([1.0, 3.0])
    for scale, expected in ((1e-6, "1e-06"), (1, "1.0000"), (1e6, "1e+06")):
        guess = DummyRegressor().fit(np.zeros((2, 1)), y * scale)
        assert table("t", {"x": scores(guess, np.zeros((2, 1)), y * scale, [])}).split()[-1] == expected


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ("f1_makro", "--metric f1_makro: scikit-learn has no scorer of this name; it has f1_macro"),
        ("xyzzy", "--metric xyzzy: scikit-learn has no scorer of this name"),
        ("f1", "--metric f1: "),
    ],
)
def test_a_bad_metric_is_named_before_the_training(scorer, said, capsys, monkeypatch):
    monkeypatch.setattr("fastbp.cli.train._fit", None)
    assert complaint(capsys, "train", "t.csv", "--target", "number", "--metric", scorer).startswith(said)


def test_evaluate_says_which_rows_it_leaves_out(model, capsys):
    frame = pd.read_csv("new.csv", dtype=str).astype(object)
    frame.loc[:4, "two"], frame.loc[5:6, "two"], frame.loc[:2, "number"], frame.loc[3, "number"] = (
        None,
        "why",
        None,
        "?",
    )
    frame.to_csv("new.csv", index=False)
    model("two")
    assert main(["evaluate", "m", "new.csv"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "left out: 5 rows without a 'two'\n"
        "left out: 2 rows with a 'two' that the model does not know: 'why'\n"
        "on 293 rows "
    )
    model("number")
    assert main(["evaluate", "m", "new.csv"]) == 0
    expected = (
        "left out: 3 rows without a 'number'\nleft out: 1 rows whose 'number' is not a number: '?' in row 4\non 296"
    )
    assert capsys.readouterr().out.startswith(expected)


def test_evaluate_refuses_what_it_cannot_compare(model, capsys):
    frame = pd.read_csv("new.csv")
    frame.drop(columns="two").to_csv("none.csv", index=False)
    frame.assign(two="why", number="x").to_csv("other.csv", index=False)
    frame.assign(number=np.inf).to_csv("inf.csv", index=False)
    model("two")
    assert complaint(capsys, "evaluate", "m", "none.csv").startswith("none.csv has no column 'two', the target; it has")
    assert complaint(capsys, "evaluate", "m", "other.csv") == "other.csv has no row to evaluate with"
    model("number")
    assert complaint(capsys, "evaluate", "m", "other.csv").startswith(
        "column 'number', the target, is not numbers, as regression needs: 'x' in row 1"
    )
    assert complaint(capsys, "evaluate", "m", "inf.csv") == "column 'number', the target, has an infinite value"


def test_predict_passes_columns_through(model, capsys):
    model("two")
    assert main(["predict", "m", "new.csv", "--id", "id", "--id", "two"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype=str)
    assert list(printed) == ["id", "two", "predicted two"]
    frame = pd.read_csv("new.csv", dtype=str)
    pd.testing.assert_frame_equal(printed[["id", "two"]], frame[["id", "two"]])
    frame.loc[:2, "id"] = ["NA", "None", ""]
    frame.to_csv("new.csv", index=False)
    assert main(["predict", "m", "new.csv", "--id", "id"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:5]] == ["NA", "None", "", "0303"]
    assert complaint(capsys, "predict", "m", "new.csv", "--id", "no").startswith(
        "new.csv has no column 'no'; it has 'id'"
    )


@pytest.mark.parametrize(("value", "is_read"), [("1e38", True), ("-1e300", True), ("1e301", False), ("1e999", False)])
def test_a_huge_number_is_predicted_from_or_refused_in_one_line(value, is_read, model, capsys):
    frame = pd.read_csv("new.csv", dtype=str)
    frame.loc[2, "a"] = value
    frame.to_csv("new.csv", index=False)
    model("two")
    for command in ("predict", "evaluate"):
        if is_read:
            assert main([command, "m", "new.csv"]) == 0
        else:
            expected = "new.csv: column 'a' must hold finite numbers between -1e+300 and 1e+300, got "
            assert complaint(capsys, command, "m", "new.csv").startswith(expected)


def test_scorers_agree_with_the_metrics_that_are_always_printed(model):
    row = printed_table(model("three", "--metric", "neg_log_loss", "--metric", "roc_auc_ovr", "--metric", "f1_macro"))
    assert (-row["neg_log_loss"], row["roc_auc_ovr"], row["f1_macro"]) == (row["log loss"], row["AUC"], row["F1"])


def test_the_limits_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "numbers that are not all whole, or more than 20 different ones; otherwise classification" in printed
    assert "If at least 95% of the values of a column are numbers, or dates of one format, its other values" in printed
