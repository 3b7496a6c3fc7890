"""python -m fastbp train and predict: from a file to a model, from a model and a file to predictions."""

import io
import os
import pathlib
import re
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import TabularClassifier
from fastbp.cli import train
from fastbp.cli.main import main
from fastbp.cli.model_files import FORMAT, Model
from fastbp.training.observer import watch
from support.documents import TEXT

N = 300
SMALL = ("--networks", "1")


def people():
    """A table with numbers, categories, truth values, missing values, and columns that tell nothing."""
    rng = np.random.default_rng(0)
    age, city = rng.integers(18, 80, N).astype(float), rng.choice(["Paris", "Lyon", "Nice"], N, p=[0.6, 0.37, 0.03])
    frame = pd.DataFrame(
        {
            "id": [f"u{i}" for i in range(N)],
            "age": age,
            "city": city,
            "member": rng.choice([True, False], N),
            "planet": "earth",
            "remark": None,
            "income": (age + 20 * (city == "Paris") + rng.normal(size=N)).round(2),
            "bought": np.where((age > 45) ^ (city == "Paris"), "yes", "no"),
            "visits": (age > 40) * 1 + (age > 60) * 1,
        }
    )
    frame.loc[::17, "age"] = np.nan
    frame.loc[::23, "city"] = None
    return frame


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with people.csv and the same table as Parquet."""
    monkeypatch.chdir(tmp_path)
    people().to_csv("people.csv", index=False)
    people().to_parquet("people.parquet")
    return tmp_path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a classifier and a regressor, trained on the table."""
    folder = tmp_path_factory.mktemp("models")
    people().to_csv(folder / "people.csv", index=False)
    for target in ("bought", "income"):
        arguments = [str(folder / "people.csv"), "--target", target, "--output", str(folder / target)]
        assert main(["train", *arguments, *SMALL]) == 0
    return folder


def complaint(capsys, *arguments):
    """The one line that a refused command prints."""
    assert main(list(map(str, arguments))) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("fastbp: error: ")
    return lines[0].removeprefix("fastbp: error: ")


# ---------------------------------------------------------------- training


@pytest.mark.parametrize(("file", "seed"), [("people.csv", 0), ("people.parquet", 1)])
def test_train_prints_what_it_reads_and_the_held_out_score_beside_the_majority(file, seed, capsys):
    assert main(["train", file, "--target", "bought", *SMALL, "--seed", str(seed)]) == 0
    printed = capsys.readouterr().out
    report = [
        f"{file}: 300 rows with a 'bought', 8 other columns",
        "  3 columns of numbers: 'age', 'income', 'visits'",
        "  2 columns of categories: 'city', 'member'",
        "  missing values: 'age' 18 (6.0%), 'city' 14 (4.7%)",
        "  left out: 'id' (an id: almost all values are different)",
        "  left out: 'planet' (one value throughout)",
        "  left out: 'remark' (no value)",
        "target 'bought': classification, 2 classes; 240 rows to train on, 60 held out",
    ]
    assert printed.splitlines()[: len(report)] == report
    assert re.search(r"^12 networks trained, 1 kept, \d+[.]\d s", printed, re.M)
    score, baseline = (
        float(number) for number in re.findall(r"^  (?:networks|majority, .*?) {2,}(\S+)", printed, re.M)
    )
    assert score > baseline + 0.2
    frame = people()
    y_train, y_test = train_test_split(frame.bought, test_size=60, random_state=seed, stratify=frame.bought)
    assert f"  majority, {y_train.mode()[0]!r}  " in printed
    assert baseline == pytest.approx((y_test == y_train.mode()[0]).mean(), abs=1e-4)


def test_the_printed_score_is_that_of_the_saved_model_on_the_rows_held_out(capsys):
    for target, measure in (("bought", accuracy_score), ("income", r2_score)):
        assert main(["train", "people.csv", "--target", target, "--output", "m", *SMALL]) == 0
        (printed,) = re.findall(r"^  networks +(\S+)", capsys.readouterr().out, re.M)
        y = people()[target]
        held_out = train_test_split(
            np.arange(N), test_size=60, random_state=0, stratify=y if target == "bought" else None
        )[1]
        assert main(["predict", "m", "people.csv"]) == 0
        predictions = pd.read_csv(io.StringIO(capsys.readouterr().out))[target]
        assert float(printed) == pytest.approx(measure(y[held_out], predictions[held_out]), abs=1e-4)


def test_the_model_is_the_estimator_fitted_on_the_rows_to_train_on(models):
    frame = people()
    rows = train_test_split(np.arange(N), test_size=60, random_state=0, stratify=frame.bought)[0]
    frame["member"] = frame["member"].astype(str)  # as in the file
    X = frame.drop(columns="bought")
    clf = TabularClassifier(n_networks=1, random_state=0).fit(X.iloc[rows], frame.bought.to_numpy(str)[rows])
    assert_array_equal(Model.load(str(models / "bought")).estimator.predict_proba(X), clf.predict_proba(X))


def test_csv_and_parquet_give_the_same_model_and_each_is_read_by_it(models, capsys):
    assert main(["train", "people.parquet", "--target", "bought", "--output", "m", *SMALL]) == 0
    capsys.readouterr()
    printed = set()
    for model in ("m", models / "bought"):
        for file in ("people.csv", "people.parquet"):
            assert main(["predict", str(model), file, "--proba"]) == 0
            printed.add(capsys.readouterr())
    assert len(printed) == 1


@pytest.mark.parametrize(
    ("target", "task", "expected"),
    [
        ("bought", "auto", "classification, 2 classes"),
        ("visits", "auto", "classification, 3 classes"),
        ("visits", "regression", "regression"),
        ("income", "auto", "regression"),
        ("age", "auto", "regression"),
        ("member", "auto", "classification, 2 classes"),
    ],
)
def test_the_task_follows_from_the_target_unless_it_is_given(target, task, expected, capsys):
    assert main(["train", "people.csv", "--target", target, "--task", task, *SMALL]) == 0
    printed = capsys.readouterr().out
    assert f"target {target!r}: {expected};" in printed
    assert ("  R^2  " in printed) == (expected == "regression")


def test_rows_without_a_target_are_left_out_and_said_to_be(capsys):
    frame = people()
    frame.loc[:9, "bought"] = None
    frame.to_csv("some.csv", index=False)
    assert main(["train", "some.csv", "--target", "bought", *SMALL]) == 0
    assert "left out: 10 rows without a 'bought'" in capsys.readouterr().out


def test_the_model_is_written_where_asked_and_nothing_else(capsys):
    assert main(["train", "people.csv", "--target", "income", *SMALL, "--output", "m.model"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "model: m.model"
    assert {path.name for path in pathlib.Path().iterdir()} == {"people.csv", "people.parquet", "m.model"}


def test_classes_of_a_single_row_do_not_stop_the_training(capsys):
    frame = people()
    frame.loc[0, "bought"] = "perhaps"
    frame.to_csv("rare.csv", index=False)
    assert main(["train", "rare.csv", "--target", "bought", *SMALL]) == 0
    assert "classification, 3 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("common", "rare", "said"),
    [
        ("a", "b", "the rows to train on have one class, 'a': the other classes are too small"),
        ("0.5", "1.5", "the rows to train on have one value, '0.5': the other values are too rare"),
    ],
)
def test_a_target_that_is_constant_in_the_rows_to_train_on_is_said_to_be(common, rare, said, capsys, monkeypatch):
    monkeypatch.setattr(train, "_fit", lambda *_: sys.exit(0))
    pathlib.Path("rare.csv").write_text("x,y\n" + f"1,{common}\n2,{common}\n" * 10 + f"3,{rare}\n")
    codes = []
    for seed in range(12):
        try:
            codes.append(main(["train", "rare.csv", "--target", "y", "--seed", str(seed)]))
        except SystemExit as end:
            codes.append(end.code)
    assert set(codes) == {0, 2}
    assert said in capsys.readouterr().err


def test_options_reach_the_estimator():
    options = {"--networks": "2", "--seed": "4", "--held-out": "0.5", "--time-limit": "600", "--jobs": "1"}
    arguments = [part for option in options.items() for part in option]
    assert main(["train", "people.csv", "--target", "bought", "--category", "visits", *arguments, "--output", "m"]) == 0
    estimator = Model.load("m").estimator
    given = {"n_networks": 2, "random_state": 4, "max_seconds": 600.0, "n_jobs": 1, "categorical_features": ["visits"]}
    assert estimator.get_params().items() >= given.items()
    assert estimator.column_kinds_["visits"] == "categories"
    assert sum(map(len, estimator.networks_)) == 2


def test_a_time_limit_that_is_over_is_said_and_leaves_a_model(capsys):
    arguments = ["--time-limit", "1e-6", "--output", "m"]
    assert main(["train", "people.csv", "--target", "bought", *arguments]) == 0
    printed = capsys.readouterr()
    assert "1 network trained, 1 kept" in printed.out
    said = "fastbp: warning: --time-limit was over before all networks were trained: the best so far are kept\n"
    assert printed.err == said
    assert main(["predict", "m", "people.csv"]) == 0


# ---------------------------------------------------------------- predicting


def test_predictions_are_those_of_the_estimator_in_the_order_of_the_rows(models, capsys):
    estimator, X = Model.load(str(models / "bought")).estimator, people().astype({"member": str})
    assert main(["predict", str(models / "bought"), "people.csv", "--proba"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(printed) == ["bought", "probability of no", "probability of yes"]
    assert_array_equal(printed["bought"], estimator.predict(X))
    assert_allclose(printed.iloc[:, 1:], estimator.predict_proba(X), rtol=1e-6)
    assert (printed["bought"] == people().bought).mean() > 0.7

    assert main(["predict", str(models / "income"), "people.parquet", "--output", "out.csv"]) == 0
    assert capsys.readouterr().out == ""
    assert r2_score(people().income, pd.read_csv("out.csv")["income"]) > 0.5


def test_columns_may_be_more_and_in_another_order_and_a_category_new_or_missing(models, capsys):
    frame = people().drop(columns=["bought", "planet"])
    assert main(["predict", str(models / "bought"), "people.csv", "--proba"]) == 0
    expected = capsys.readouterr().out
    frame[frame.columns[::-1]].to_csv("turned.csv", index=False)
    assert main(["predict", str(models / "bought"), "turned.csv", "--proba"]) == 0
    assert capsys.readouterr().out == expected
    frame["city"], frame["age"] = "Rome", np.nan
    frame.loc[0, "city"] = None
    frame.to_csv("new.csv", index=False)
    assert main(["predict", str(models / "bought"), "new.csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == N + 1


def test_a_category_of_digits_is_the_same_one_in_a_file_that_has_nothing_else(capsys):
    frame = pd.DataFrame({"zip": ["075", "2A"] * 30, "y": ["u", "v"] * 30})
    frame.to_csv("t.csv", index=False)
    assert main(["train", "t.csv", "--target", "y", "--output", "m", *SMALL]) == 0
    frame[::2].to_csv("digits.csv", index=False)
    capsys.readouterr()
    assert main(["predict", "m", "digits.csv"]) == 0
    assert capsys.readouterr() == ("y\n" + "u\n" * 30, "")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.Series(["1", "2.5", None] * 10), "numbers"),
        (pd.Series([1, 2, None] * 10, dtype="Int64"), "numbers"),
        (pd.Series([1.5, 2.5, 2.5] * 10, dtype="float32"), "numbers"),
        (pd.Series([True, False, True] * 10), "categories"),
        (pd.Series([True, False, None] * 10, dtype="boolean"), "categories"),
        (pd.Series(["a", "b", "a"] * 10, dtype="category"), "categories"),
        (pd.Series(["1", "b", "b"] * 10), "categories"),
        (pd.Series([[1], [2], [1]] * 10), "categories"),
    ],
)
def test_a_column_of_parquet_is_numbers_if_all_its_values_are_numbers(column, kind, capsys, monkeypatch):
    monkeypatch.setattr(train, "_fit", lambda *_: sys.exit(0))
    pd.DataFrame({"x": column, "y": ["u", "v"] * 15}).to_parquet("t.parquet")
    with pytest.raises(SystemExit):
        main(["train", "t.parquet", "--target", "y"])
    assert f"  1 column of {kind}: 'x'\n" in capsys.readouterr().out


# ---------------------------------------------------------------- refusals


BAD_DATA = {
    "empty": (b"", "cannot read bad.csv: No columns to parse from file"),
    "names only": (b"a,y\n", "bad.csv has no rows"),
    "not text": (b"a,y\n\x81\xfe,2\n", "cannot read bad.csv: it is binary, or not text in cp1252 .*; see --encoding"),
    "binary": (bytes(range(256)) * 9, "cannot read bad.csv: it is binary"),
    "NUL": (b"a\0b,y\n1,2\n", "cannot read bad.csv: it has NUL characters, so it is binary or in another encoding"),
    "ragged": (b"a,y\n1,2\n1,2,3\n", "cannot read bad.csv: .*line 3, saw 3; .* at ',', see --sep"),
    "too wide": (
        b"a,y\n1,2,3\n4,5,6\n",
        "cannot read bad.csv: its rows have more values than the first line has names",
    ),
    "one name twice": (b"a,y,a\n1,2,3\n", "bad.csv has several columns of one name: 'a'"),
    "few rows": (b"a,y\n" + b"1,2\n" * 9, "bad.csv has 9 rows with a 'y', at least 10 are needed"),
    "no target": (b"a,x\n1,2\n", "bad.csv has no column 'y'; it has 'a', 'x'"),
    "target empty": (b"a,y\n" + b"1,\n" * 20, "bad.csv has 0 rows with a 'y'"),
    "one class": (b"a,y\n1,u\n" + b"2,u\n" * 20, "column 'y', the target, has one class: 'u'"),
    "one number": (b"a,y\n1,.5\n" + b"2,.5\n" * 20, "column 'y', the target, has one value throughout: 0.5"),
    "infinite target": (b"a,y\n1,1.5\n" + b"2,inf\n" * 20, "column 'y', the target, has an infinite value"),
    "huge target": (b"a,y\n1,1.5\n" + b"2,1e300\n" * 20, "column 'y', the target, has a number beyond float32"),
    "no features": (b"y\n" + b"1\n2\n" * 20, "bad.csv has no column to predict 'y' from"),
    "only ids": (
        b"i,y\n" + b"".join(b"u%d,%d\n" % (i, i % 2) for i in range(30)),
        r"bad.csv has no column to predict 'y' from; left out: 'i' \(an id: almost all values are different\)",
    ),
    "beyond all": (b"a,y\n" + b"1,u\n2e999,v\n" * 20, "bad.csv: column 'a' must hold finite numbers between"),
    "no Parquet": (b"a,y\n1,2\n", "cannot read bad.parquet: .*[Pp]arquet"),
}


@pytest.mark.parametrize("what", BAD_DATA)
def test_a_bad_file_gives_one_line_and_no_model(what, capsys):
    content, expected = BAD_DATA[what]
    file = pathlib.Path("bad.parquet" if what == "no Parquet" else "bad.csv")
    file.write_bytes(content)
    assert re.match(expected, complaint(capsys, "train", file, "--target", "y", "--output", "m"))
    assert not pathlib.Path("m").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.csv"], "cannot read nowhere.csv: No such file or directory"),
        (["."], "cannot read .: Is a directory"),
        (["people.csv", "--output", "no/m"], "cannot write no/m: there is no directory .*no"),
        (["people.csv", "--output", "."], "cannot write .: it is a directory"),
        pytest.param(
            ["people.csv", "--output", os.devnull],
            "cannot write /dev/null: it is not a regular file",
            marks=pytest.mark.posix,
        ),
        (["people.csv", "--output", "./people.csv"], "./people.csv is to be written, but is also another file"),
        (["people.csv", "--task", "regression"], "column 'bought', the target, is not numbers, as regression needs: "),
        (["people.csv", "--held-out", "0.99"], "--held-out 0.99 of 300 rows leaves 3 of them to train on"),
        (["people.csv", "--held-out", "0.001"], "--held-out 0.001 of 300 rows holds 1 of them out"),
    ],
)
def test_a_bad_option_of_train_is_named_before_any_training(arguments, expected, capsys, monkeypatch):
    monkeypatch.setattr(train, "_fit", None)
    assert re.match(expected, complaint(capsys, "train", *arguments, "--target", "bought"))


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        *(("--held-out", value, "is not a number between 0 and 1") for value in ("0", "1", "-0.5", "nan", "x")),
        *(("--time-limit", value, "is not a number of seconds above 0") for value in ("0", "-1", "nan", "inf", "x")),
        *((option, value, "is not a whole number above 0") for option in ("--networks", "--jobs") for value in "0x"),
    ],
)
def test_a_bad_number_is_named(option, value, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "people.csv", "--target", "bought", option, value])
    assert stopped.value.code == 2
    assert f"argument {option}: {value!r} {said}" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--hidden", "--epochs"])
def test_an_option_of_the_comparison_is_refused_with_the_options_that_train_has(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "people.csv", "--target", "bought", option, "5"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert f"train has no {option}: it finds good networks itself; --networks and --time-limit bound" in printed
    assert "[--time-limit SECONDS]" in printed


def test_an_infinite_number_of_parquet_is_named_with_its_row(models, capsys):
    frame = people()
    frame.loc[6, "age"] = np.inf
    frame.to_parquet("inf.parquet")
    expected = "column 'age' of inf.parquet has an infinite value in row 7"
    assert complaint(capsys, "train", "inf.parquet", "--target", "bought") == expected
    assert complaint(capsys, "predict", models / "bought", "inf.parquet") == expected


def test_a_folder_that_is_not_writable_is_named(capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    line = complaint(capsys, "train", "people.csv", "--target", "bought", "--output", "m")
    assert re.match("cannot write m: the directory .* is not writable", line)


def test_data_that_a_model_cannot_take_are_refused(models, capsys):
    frame = people()
    frame.drop(columns=["city", "age"]).to_csv("less.csv", index=False)
    frame["age"] = frame["age"].astype(str)
    frame.loc[4:30, "age"] = "old"
    frame.to_csv("old.csv", index=False)
    model = models / "bought"
    line = complaint(capsys, "predict", model, "less.csv")
    assert line == "less.csv lacks columns that the model was trained on: 'age', 'city'"
    line = complaint(capsys, "predict", model, "old.csv")
    assert line == "column 'age' of old.csv must hold numbers, but has other values: " + (
        "'old' in row 5, 'old' in row 6, 'old' in row 7 and 24 more"
    )
    assert complaint(capsys, "predict", model, "people.csv", "--output", model).endswith(
        "is also another file of this command"
    )
    line = complaint(capsys, "predict", models / "income", "people.csv", "--proba")
    assert line.endswith("predicts numbers, which have no probabilities")


class Harmless:
    """Something that no model holds."""


def test_a_file_that_is_no_model_is_refused_unread(models, capsys):
    skops.io.dump({"format": FORMAT, "estimator": Harmless()}, "strange")
    skops.io.dump({"format": "fastbp model 0"}, "other")
    skops.io.dump({"format": "fastbp model 1", "pipeline": Pipeline([("s", StandardScaler())])}, "old")
    skops.io.dump([1, 2], "list")
    pathlib.Path("cut").write_bytes((models / "bought").read_bytes()[:5000])
    for name, why in {
        "nowhere": "cannot read nowhere: No such file or directory",
        "people.csv": "people.csv is not a model of python -m fastbp train: File is not a zip file",
        "cut": "cut is not a model of python -m fastbp train: File is not a zip file",
        "strange": "strange is not a model of python -m fastbp train: it holds objects of .*Harmless",
        "other": "other is not .*: its format is 'fastbp model 0', not 'fastbp model 2'",
        "old": "old is a model of an older fastbp: train it again$",
        "list": "list is not a model of python -m fastbp train: ",
    }.items():
        assert re.match(why, complaint(capsys, "predict", name, "people.csv"))


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("pandas", ["train", "people.csv", "--target", "bought"], "cli"),
        ("skops", ["predict", "m", "people.csv"], "cli"),
        ("pyarrow", ["train", "people.parquet", "--target", "bought"], "cli"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(module, arguments, extra, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    line = complaint(capsys, *arguments)
    assert line.endswith(f'{module}, which can be installed with: pip install "fastbp[{extra}]"')


def test_an_interrupted_training_writes_no_model(capsys, press_ctrl_c):
    pathlib.Path("m").write_bytes(b"what was there")

    def interrupt(epoch, max_iter, loss):
        if epoch == 3:
            press_ctrl_c()

    with watch(interrupt):
        assert main(["train", "people.csv", "--target", "bought", "--output", "m", *SMALL]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert pathlib.Path("m").read_bytes() == b"what was there"


def test_a_training_that_diverges_is_a_line_of_its_own(capsys, monkeypatch):
    def diverge(*args, **kwargs):
        raise ValueError("it diverged,\nat last")

    monkeypatch.setattr(TabularClassifier, "fit", diverge)
    line = complaint(capsys, "train", "people.csv", "--target", "bought")
    assert line == "training failed: it diverged, at last"


def test_the_commands_of_the_readme_run(capsys):
    commands = re.findall(r"^python -m fastbp (train|predict|evaluate) (.*)$", TEXT, re.M)
    assert [name for name, _ in commands] == ["train", "predict", "evaluate"]
    people()[:60].to_csv("data.csv", index=False)
    for name, arguments in commands:
        more = SMALL if name == "train" else ()
        assert main([name, *arguments.replace("COLUMN", "bought").split(" > ")[0].split(), *more]) == 0
    printed = capsys.readouterr().out
    assert "bought,probability of no,probability of yes\n" in printed
    assert "\non 60 rows  accuracy" in printed
