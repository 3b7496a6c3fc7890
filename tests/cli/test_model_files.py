"""Model files: `predict` takes what `train` writes. Anything else is refused in one line, with exit code 2."""

import io
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from fastbp.cli import model_files
from fastbp.cli.main import main
from fastbp.cli.model_files import FORMAT, TRUSTED, Model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 300


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=N), "size": rng.normal(size=N)})
    frame["city"] = rng.choice(["Lyon", "Nice", "Metz", "Brest"], N, p=[0.6, 0.38, 0.01, 0.01])
    frame["team"] = rng.choice(["red", "blue"], N)
    frame["bought"] = np.where(frame["age"] > 0, "yes", "no")
    frame.loc[::9, "age"] = np.nan
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the table, a classifier and two regressors, one of them without categories."""
    folder = tmp_path_factory.mktemp("models")
    table().to_csv(folder / "t.csv", index=False)
    table()[["age", "size"]].to_csv(folder / "numbers.csv", index=False)
    table()[["city", "team"]].to_csv(folder / "texts.csv", index=False)
    for data, target, name in (("t", "bought", "classifier"), ("t", "size", "regressor"), ("numbers", "size", "line"),
                               ("texts", "team", "only-texts")):  # fmt: skip
        arguments = ["--target", target, "--output", str(folder / name), "--epochs", "2"]
        assert main(["train", str(folder / f"{data}.csv"), *arguments]) == 0
    return folder


def refusal(folder, path, capsys):
    """What `predict` says about a file that is not a model."""
    capsys.readouterr()
    assert main(["predict", str(path), str(folder / "t.csv")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    found = re.fullmatch(r"fastbp: error: .* is not a model of python -m fastbp train: (.*)", line)
    assert found, line
    return found[1]


def loaded(folder, name):
    return skops.io.loads((folder / name).read_bytes(), trusted=sorted(TRUSTED))


@pytest.mark.parametrize("name", ["classifier", "regressor", "line", "only-texts"])
def test_what_train_writes_is_taken(folder, name, capsys):
    assert main(["predict", str(folder / name), str(folder / "t.csv")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == N + 1


def test_a_model_with_dates_is_taken(folder, capsys):
    frame = table().assign(since=pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y"))
    frame.to_csv(folder / "dates.csv", index=False)
    for columns, name in ((["age", "since", "bought"], "with-dates"), (["since", "bought"], "only-dates")):
        dropped = [f"--drop={column}" for column in frame if column not in columns]
        arguments = ["--target", "bought", "--output", str(folder / name), "--epochs", "2", *dropped]
        assert main(["train", str(folder / "dates.csv"), *arguments]) == 0
        capsys.readouterr()
        assert main(["predict", str(folder / name), str(folder / "dates.csv")]) == 0
        assert len(capsys.readouterr().out.splitlines()) == N + 1


def an_estimator(name):
    def change(content):
        X = np.random.default_rng(0).normal(size=(50, 1))
        step = {"SVC": SVC, "LogisticRegression": LogisticRegression, "MinMaxScaler": MinMaxScaler}[name]()
        step.fit(X, X[:, 0] > 0)
        content["pipeline"] = make_pipeline(step) if name == "MinMaxScaler" else step

    return change


def the_last_step(content):
    content["pipeline"] = content["pipeline"][-1]


def two_networks(content):
    content["pipeline"].steps.append(("again", content["pipeline"][-1]))


def another_key(content):
    content["more"] = 1


def columns_repeated(content):
    content["columns"]["numeric"] = ["age", "age"]


def columns_missing(content):
    content["columns"]["numeric"] = ["age"]


def columns_text(content):
    content["columns"]["numeric"] = "as"


def dates(by_column, parts):
    def change(content):
        content["columns"] |= {"dates": by_column, "parts": parts}

    return change


def attribute(step, name, by):
    def change(content):
        fitted = {name: fitted for name, fitted, _ in content["pipeline"][0].transformers_}[step[0]][step[1]]
        setattr(fitted, name, by(getattr(fitted, name)))

    return change


def network(name, by):
    def change(content):
        last = content["pipeline"][-1]
        setattr(last, name, by(getattr(last, name)))

    return change


NUMBERS, SCALER, TEXTS, ENCODER = ("numeric", 0), ("numeric", 1), ("categorical", 0), ("categorical", 1)
FOREIGN = {
    "SVC": (an_estimator("SVC"), "sklearn.svm._classes.SVC"),
    "LogisticRegression": (an_estimator("LogisticRegression"), "sklearn.linear_model._logistic.LogisticRegression"),
    "MinMaxScaler": (an_estimator("MinMaxScaler"), "sklearn.preprocessing._data.MinMaxScaler"),
    "a bare network": (the_last_step, "not a Pipeline of two steps"),
    "a third step": (two_networks, "not a Pipeline of two steps"),
    "another key": (another_key, "does not hold a format, a target, columns and a pipeline"),
    "a column twice": (columns_repeated, "its columns must have different names"),
    "a column less": (columns_missing, "has 1 parts, not 2|parts"),
    "a list of dates": (dates([], []), "its dates and their parts must be dictionaries with the same columns"),
    "a date without parts": (dates({"d": "ISO8601"}, {}), "must be dictionaries with the same columns"),
    "a format of no text": (dates({"d": None}, {"d": {}}), "its formats of dates must be texts"),
    "a part of no date": (dates({"d": "ISO8601"}, {"d": {"year": "y"}}), "must be among month, weekday, hour"),
    "a list of parts": (dates({"d": "ISO8601"}, {"d": ["month"]}), "must be among month, weekday, hour"),
    "a date more": (dates({"d": "ISO8601"}, {"d": {}}), "pipeline"),
    "a text for columns": (columns_text, "its columns must be lists"),
    "dense output": (attribute(ENCODER, "sparse_output", lambda _: False), "sparse_output is False, not True"),
    "another strategy": (attribute(NUMBERS, "strategy", lambda _: "mean"), "strategy is 'mean', not 'median'"),
    "a short mean": (attribute(SCALER, "mean_", lambda a: a[:1]), "StandardScaler.mean_ is not 2 numbers"),
    "a mean of integers": (
        attribute(SCALER, "mean_", lambda a: a.astype(int)),
        "StandardScaler.mean_ is not 2 numbers",
    ),
    "medians of texts": (
        attribute(NUMBERS, "statistics_", lambda a: a.astype(str)),
        "SimpleImputer.statistics_ is not",
    ),
    "another filling": (attribute(TEXTS, "statistics_", lambda a: a[:1]), "SimpleImputer.statistics_ is not its fill"),
    "a column of categories": (attribute(ENCODER, "categories_", lambda c: c[:1]), "not a list of 2 columns"),
    "categories of numbers": (attribute(ENCODER, "categories_", lambda c: [c[0], np.arange(2)]), "are not texts"),
    "categories repeated": (attribute(ENCODER, "categories_", lambda c: [c[0], c[1][[0, 0]]]), "are not different"),
    "rare out of range": (attribute(ENCODER, "_infrequent_indices", lambda r: [np.array([99]), None]), "out of bounds"),
    "rare repeated": (
        attribute(ENCODER, "_infrequent_indices", lambda r: [r[0][[0, 0]], None]),
        "a rare category twice",
    ),
    "a column out of range": (
        attribute(ENCODER, "_default_to_infrequent_mappings", lambda m: [m[0] * 1000, None]),
        "puts a category into a wrong column",
    ),
    "columns out of range": (attribute(ENCODER, "_n_features_outs", lambda n: [3, 10**9]), "_n_features_outs does not"),
    "a narrow layer": (network("coefs_", lambda c: [a[:, :2] for a in c]), "coefs_ and intercepts_ have shapes"),
    "labels out of order": (network("classes_", lambda c: c[::-1]), "different labels in ascending order"),
    "outputs": (network("n_outputs_", lambda n: 7), "n_outputs_=7"),
    "a parameter that is an estimator": (network("alpha", lambda a: MinMaxScaler()), "MinMaxScaler"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_other_contents_are_refused(folder, what, tmp_path, capsys):
    change, why = FOREIGN[what]
    content = loaded(folder, "classifier")
    change(content)
    skops.io.dump(content, tmp_path / "edited")
    assert re.search(why, refusal(folder, tmp_path / "edited", capsys))


def test_a_fitted_copy_that_differs_in_the_network_of_a_regressor_is_refused(folder, tmp_path, capsys):
    content = loaded(folder, "regressor")
    content["pipeline"][-1].regressor_ = SVC()
    skops.io.dump(content, tmp_path / "edited")
    assert "sklearn.svm._classes.SVC" in refusal(folder, tmp_path / "edited", capsys)
    content["pipeline"][-1].regressor_ = content["pipeline"][-1].transformer_
    skops.io.dump(content, tmp_path / "edited")
    assert "is StandardScaler, not BackpropRegressor" in refusal(folder, tmp_path / "edited", capsys)


def rewritten(folder, change, path, compression=zipfile.ZIP_DEFLATED):
    """Write the classifier's file with another schema: change(schema, members) edits both."""
    with zipfile.ZipFile(folder / "classifier") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema, members)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_contents_that_expand_far_beyond_the_file_are_refused_unread(folder, tmp_path, capsys):
    def bomb(schema, members):
        stream = io.BytesIO()
        np.save(stream, np.zeros(model_files.SMALL_BYTES // 8))
        members["bomb.npy"] = stream.getvalue()

    rewritten(folder, bomb, tmp_path / "bomb")
    assert (tmp_path / "bomb").stat().st_size < 1 << 18
    assert re.search(
        r"its contents have \d+ bytes, at most 67108864 are read", refusal(folder, tmp_path / "bomb", capsys)
    )


def test_a_member_that_is_read_many_times_counts_as_often(folder, tmp_path, capsys):
    def repeat(schema, members):
        stream = io.BytesIO()
        np.save(stream, np.zeros(1 << 17))
        members["large.npy"] = stream.getvalue()
        node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy"}
        schema["content"]["more"] = [{**node, "file": "large.npy", "__id__": i} for i in range(100)]

    rewritten(folder, repeat, tmp_path / "repeated")
    assert "at most 67108864 are read" in refusal(folder, tmp_path / "repeated", capsys)


def test_a_file_beyond_the_limit_is_not_read(folder, capsys, monkeypatch):
    monkeypatch.setattr(model_files, "MOST_BYTES", 1000)
    assert "at most 1000 are read" in refusal(folder, folder / "classifier", capsys)


def test_another_compression_is_refused(folder, tmp_path, capsys):
    rewritten(folder, lambda schema, members: None, tmp_path / "lzma", zipfile.ZIP_LZMA)
    assert "another method than deflate" in refusal(folder, tmp_path / "lzma", capsys)


@pytest.mark.parametrize("loader", ["FunctionNode", "PartialNode", "MethodNode", "SparseMatrixNode", "ReduceNode", 3])
def test_other_loaders_are_refused_before_they_load(folder, tmp_path, capsys, loader):
    def change(schema, members):
        schema["content"]["target"]["__loader__"] = loader

    rewritten(folder, change, tmp_path / "loader")
    assert f"it holds objects of builtins.str ({loader})" in refusal(folder, tmp_path / "loader", capsys)


def test_a_deep_schema_is_refused(folder, tmp_path, capsys):
    (tmp_path / "deep").touch()
    with zipfile.ZipFile(tmp_path / "deep", "w") as archive:
        archive.writestr("schema.json", "[" * 100_000 + "]" * 100_000)
    assert "recursion" in refusal(folder, tmp_path / "deep", capsys)


def test_a_rewritten_file_is_the_same_model(folder, tmp_path):
    rewritten(folder, lambda schema, members: None, tmp_path / "same")
    frame = table()
    expected, found = Model.load(str(folder / "classifier")), Model.load(str(tmp_path / "same"))
    X = expected.columns.taken_from(frame, "t.csv")
    assert (found.pipeline.predict(X) == expected.pipeline.predict(X)).all()
    assert FORMAT == "fastbp model 1"
