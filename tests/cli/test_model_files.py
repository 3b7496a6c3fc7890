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
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from fastbp import BackpropClassifier, TabularRegressor
from fastbp.cli import model_files
from fastbp.cli.main import main
from fastbp.cli.model_files import FORMAT, TRUSTED, Model

N = 300
SMALL = ("--networks", "1")


def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(size=N), "size": rng.normal(size=N)})
    frame["city"] = rng.choice(["Lyon", "Nice", "Metz", "Brest"], N, p=[0.6, 0.38, 0.01, 0.01])
    frame["team"] = rng.choice(["red", "blue"], N)
    frame["many"] = [f"k{i}" for i in rng.integers(0, 60, N)]
    frame["since"] = pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y")
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
        arguments = ["--target", target, "--output", str(folder / name), *SMALL]
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
    frame = table()
    frame.to_csv(folder / "dates.csv", index=False)
    for columns, name in ((["age", "since", "bought"], "with-dates"), (["since", "bought"], "only-dates")):
        dropped = [f"--drop={column}" for column in frame if column not in columns]
        arguments = ["--target", "bought", "--output", str(folder / name), *SMALL, *dropped]
        assert main(["train", str(folder / "dates.csv"), *arguments]) == 0
        capsys.readouterr()
        assert main(["predict", str(folder / name), str(folder / "dates.csv")]) == 0
        assert len(capsys.readouterr().out.splitlines()) == N + 1


def an_estimator(kind):
    def change(content):
        X = np.random.default_rng(0).normal(size=(50, 1))
        content["estimator"] = kind().fit(X, X[:, 0] > 0)

    return change


def in_content(**values):
    return lambda content: content.update(values)


def in_estimator(name, by):
    return lambda content: setattr(content["estimator"], name, by(getattr(content["estimator"], name)))


def in_network(name, by):
    def change(content):
        network = content["estimator"].networks_[0][0]
        setattr(network, name, by(getattr(network, name)))

    return change


def in_encoder(name, by):
    def change(content):
        encoder = content["estimator"].encoders_[0]
        setattr(encoder, name, by(getattr(encoder, name)))

    return change


def in_column(column, name, by, part=None):
    """An edit of a feature, or of the encoder of one of its parts."""

    def change(content):
        encoder = content["estimator"].encoders_[0]
        place = encoder.feature_names_in_.tolist().index(column)
        (feature,) = (each for each in encoder._features if each.source == place)
        edited = feature if part is None else feature.encoders[part]
        setattr(edited, name, by(getattr(edited, name)))

    return change


def in_number(name, by):
    return in_column("size", name, by, "")


def in_one_hot(name, by):
    return in_column("city", name, by, "onehot")


def in_means(name, by):
    return in_column("many", name, by, "target")


def of_regressor(content):
    content["estimator"].networks_[0][0].__class__ = BackpropClassifier


FOREIGN = {
    "SVC": (an_estimator(SVC), "sklearn.svm._classes.SVC"),
    "LogisticRegression": (an_estimator(LogisticRegression), "sklearn.linear_model._logistic.LogisticRegression"),
    "MinMaxScaler": (an_estimator(MinMaxScaler), "sklearn.preprocessing._data.MinMaxScaler"),
    "a bare network": (lambda c: c.update(estimator=c["estimator"].networks_[0][0]), "is BackpropClassifier"),
    "another key": (in_content(more=1), "does not hold a format, a target and an estimator"),
    "a target of numbers": (in_content(target=1), "its target is not a text"),
    "a target that it reads": (in_content(target="city"), "its target is one of the columns that it reads"),
    "no estimator": (in_content(estimator=[1]), "its estimator is list"),
    "an unfitted one": (in_content(estimator=TabularRegressor()), "no attribute"),
    "a parameter that is an estimator": (in_estimator("verbose", lambda v: TabularRegressor()), "verbose is TabularR"),
    "an illegal parameter": (in_estimator("n_networks", lambda n: -1), "n_networks"),
    "no networks": (in_estimator("networks_", lambda n: []), "1 encoders and 0 lists of networks"),
    "an encoder without networks": (in_estimator("networks_", lambda n: [[]]), "an encoder has no networks"),
    "a list less": (in_estimator("encoders_", lambda e: e + e), "2 encoders and 1 lists of networks"),
    "other kinds": (in_estimator("column_kinds_", lambda k: {**k, "city": "dates"}), "not those of all encoders"),
    "labels out of order": (in_estimator("classes_", lambda c: c[::-1]), "a network has other classes"),
    "a narrow layer": (in_network("coefs_", lambda c: [a[:, :2] for a in c]), "coefs_ and intercepts_ have shapes"),
    "outputs": (in_network("n_outputs_", lambda n: 7), "n_outputs_=7"),
    "inputs": (in_network("n_features_in_", lambda n: n + 1), "does not read the .* outputs of its encoder"),
    "an illegal activation": (in_network("activation", lambda a: "step"), "activation"),
    "names": (in_encoder("feature_names_in_", lambda names: names[::-1].repeat(2)), "are not its columns"),
    "names repeated": (in_encoder("feature_names_in_", lambda names: names[[0] * len(names)]), "not different texts"),
    "names of numbers": (in_encoder("feature_names_in_", lambda names: np.arange(len(names))), "not different texts"),
    "columns": (in_encoder("_features", lambda features: features + features), "reads a column twice"),
    "no columns": (in_encoder("_features", lambda features: []), "an encoder has no columns"),
    "a place of no column": (in_column("city", "source", lambda i: 99), "no place in the table"),
    "a kind": (in_column("city", "kind", lambda kind: "text"), "a column holds 'text'"),
    "a format": (in_column("since", "date_format", lambda form: "%d %d"), "a format of dates is '%d %d'"),
    "a zone": (in_column("since", "zone", lambda zone: "../etc/passwd"), "."),
    "a flag": (in_column("city", "is_strict", lambda flag: 1), "is_strict is not a truth value"),
    "a part": (
        in_column("city", "encoders", lambda parts: {"month": parts["onehot"]}),
        "the part 'month' of categories",
    ),
    "no outputs": (in_column("city", "encoders", lambda parts: {}), "a column has no outputs"),
    "a scale of 0": (in_number("scale", lambda scale: 0.0), "NumberEncoder.scale is not above 0"),
    "a centre": (in_number("fill", lambda fill: float("nan")), "NumberEncoder.fill is not a number"),
    "an offset": (in_number("offset", lambda offset: 0.5), "NumberEncoder.offset is not an integer"),
    "edges out of order": (in_number("edges", lambda edges: edges[::-1]), "edges are not in ascending order"),
    "edges of integers": (in_number("edges", lambda edges: np.arange(17)), "NumberEncoder.edges is not 17 numbers"),
    "a flag of two numbers": (in_number("is_binary", lambda flag: True), "NumberEncoder.n_outputs is wrong"),
    "fewer edges": (in_number("edges", lambda edges: edges[1:]), "NumberEncoder.n_outputs is wrong"),
    "fewer scores": (in_number("scores", lambda scores: scores[1:]), "NumberEncoder.scores is not 128 numbers"),
    "a place out of range": (in_one_hot("places", lambda p: {**p, "Lyon": 10**9}), "are not the integers below"),
    "a place of a text": (in_one_hot("places", lambda p: {**p, "Lyon": "0"}), "places are not integers"),
    "places in a list": (in_one_hot("places", list), "places are not those of texts"),
    "outputs of categories": (in_one_hot("n_outputs", lambda n: 10**9), "are not the integers below 1000000000"),
    "no rare ones": (in_one_hot("has_rare", lambda r: not r), "OneHotEncoder.n_outputs is wrong"),
    "a short table": (in_means("table", lambda table: table[1:]), "TargetMeanEncoder.table is not"),
    "infinite means": (in_means("table", lambda table: table * np.inf), "TargetMeanEncoder.table is not"),
    "a category less": (in_means("places", lambda p: {key: p[key] for key in list(p)[:-1]}), "table is not"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_other_contents_are_refused(folder, what, tmp_path, capsys):
    change, why = FOREIGN[what]
    content = loaded(folder, "classifier")
    change(content)
    skops.io.dump(content, tmp_path / "edited")
    assert re.search(why, refusal(folder, tmp_path / "edited", capsys))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (of_regressor, "a network is BackpropClassifier"),
        (in_estimator("n_outputs_", lambda n: 2), "n_outputs_ is not 1"),
        (in_estimator("_unit", lambda unit: {**unit, "scale": np.ones(2)}), r"_unit\['scale'\] is not 1 numbers"),
        (
            in_estimator("_unit", lambda unit: {**unit, "factor": np.full(1, np.nan)}),
            r"_unit\['factor'\] is not 1 numbers",
        ),
        (in_estimator("_unit", lambda unit: {}), "factor"),
    ],
)
def test_other_contents_of_a_regressor_are_refused(folder, change, why, tmp_path, capsys):
    content = loaded(folder, "regressor")
    change(content)
    skops.io.dump(content, tmp_path / "edited")
    assert re.search(why, refusal(folder, tmp_path / "edited", capsys))


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
    assert (tmp_path / "bomb").stat().st_size < 1 << 20
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
    assert re.search("recursion|[Ss]tack overflow", refusal(folder, tmp_path / "deep", capsys))  # before and since 3.14


def test_a_rewritten_file_is_the_same_model(folder, tmp_path):
    rewritten(folder, lambda schema, members: None, tmp_path / "same")
    expected, found = Model.load(str(folder / "classifier")), Model.load(str(tmp_path / "same"))
    assert (found.estimator.predict_proba(table()) == expected.estimator.predict_proba(table())).all()
    assert (found.target, FORMAT) == ("bought", "fastbp model 2")


def test_a_model_of_an_older_fastbp_is_to_be_trained_again(folder, tmp_path, capsys):
    def older(schema, members):
        schema["content"]["format"]["content"] = json.dumps("fastbp model 1")

    rewritten(folder, older, tmp_path / "old")
    for arguments in (["predict"], ["evaluate"]):
        assert main([*arguments, str(tmp_path / "old"), str(folder / "t.csv")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("old is a model of an older fastbp: train it again")


def test_thousands_of_categories_take_few_bytes(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=4000), "c": [f"c{i}" for i in rng.integers(0, 2000, 4000)]})
    reg = TabularRegressor(n_networks=1, max_seconds=1e-6, random_state=0)
    with pytest.warns(UserWarning, match="max_seconds"):
        reg.fit(X, X["x"])
    Model(reg, "y").save(str(tmp_path / "m"))
    with zipfile.ZipFile(tmp_path / "m") as archive:
        assert archive.getinfo("schema.json").file_size < 250_000  # nodes for all categories would take 600,000 more
    assert (Model.load(str(tmp_path / "m")).estimator.predict(X) == reg.predict(X)).all()
