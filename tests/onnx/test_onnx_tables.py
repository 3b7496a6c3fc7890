"""onnxruntime encodes tables and predicts from them as TableEncoder, TabularClassifier and TabularRegressor do."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor, TableEncoder, TabularClassifier, TabularRegressor
from fastbp.onnx import initial_types, input_feed, register_onnx_converters
from support.tables import COLOURS, classes_of, numbers_of, table

# For a new Python, wheels of these packages come later than NumPy's.
skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
data_types = pytest.importorskip("skl2onnx.common.data_types", reason="skl2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("small_recipe"),
]


X = table()
SCORE, TWO = numbers_of(X), classes_of(X)
THREE = np.digitize(SCORE, [2, 3.5]) - 1


@pytest.fixture(autouse=True)
def registered():
    register_onnx_converters()


def other_table() -> pd.DataFrame:
    """A table with values that the fit did not see, beyond all edges, and with more missing values."""
    other = table(60, seed=1)
    other.loc[:4, "price"] = [-1e300, 1e300, 1e6, -0.001, np.nan]
    other.loc[:4, "city"] = ["Atlantis", None, "", "CITY 1", "naïve"]
    other.loc[:2, "account"] = [0, -(2**63), 2**63 - 1]
    return other.assign(rooms=other["rooms"] - 20, colour=other["colour"].where(other.index > 5, "blue"))


def session(estimator, types=None, **options):
    model = skl2onnx.to_onnx(
        estimator,
        initial_types=initial_types(estimator) if types is None else types,
        options={id(estimator): options} if options else None,
    )
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(estimator, X, **options):
    return session(estimator, **options).run(None, input_feed(estimator, X))


def plain(X: pd.DataFrame) -> dict:
    """The columns as users without `input_feed` pass them."""
    return {name: X[[name]].to_numpy() for name in X}


# ---------------------------------------------------------------- TableEncoder


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"numbers": "robust", "many": "onehot", "min_frequency": 1},
        {"numbers": "scores", "many": "target+onehot", "max_onehot": 2},
        {"numbers": "ple", "edges": "tree", "n_bins": 48},
        {"numbers": "robust+ple", "n_bins": 1, "max_distinct": 100},
    ],
    ids=str,
)
@pytest.mark.parametrize("y", [TWO, THREE, SCORE], ids=["two classes", "three classes", "numbers"])
def test_an_encoder_has_the_same_outputs(parameters, y):
    encoder = TableEncoder(dtype="float64", random_state=0, **parameters).fit(X, y)
    for given in (X, other_table()):
        (found,) = run(encoder, given)
        assert_allclose(found, np.asarray(encoder.transform(given)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_outputs_have_the_dtype_of_the_encoder_also_if_they_would_be_sparse(dtype):
    encoder = TableEncoder(dtype=dtype, sparse_output=True).fit(X)
    (found,) = run(encoder, other_table())
    assert found.dtype == dtype
    assert_allclose(found, encoder.transform(other_table()).toarray(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("with_scores", [False, True])
def test_equal_knots_jump_as_in_the_encoder(with_scores):
    close = 1e15 + np.arange(300.0) / 8
    encoder = TableEncoder(numbers="scores" if with_scores else "ple+robust", dtype="float64").fit(close[:, np.newaxis])
    assert not with_scores or (np.diff(encoder._features[0].encoders[""].knots) == 0).any()
    (found,) = run(encoder, close[:, np.newaxis])
    assert_allclose(found, encoder.transform(close[:, np.newaxis]), rtol=0, atol=1e-9)


def test_numbers_and_booleans_that_are_categories_may_stay_numbers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "code": rng.integers(-3, 3, 90),
            "large": 2**62 + rng.integers(0, 3, 90),
            "half": rng.integers(0, 5, 90) / 2,
            "flag": rng.random(90) < 0.3,
            "text": rng.choice(["1.0", "1", "x"], 90).astype(object),
        }
    )
    frame.loc[::9, "half"] = np.nan
    for max_onehot in (50, 1):
        encoder = TableEncoder(categorical_features=list(frame), max_onehot=max_onehot, dtype="float64", random_state=0)
        encoder.fit(frame, frame["code"] > 0)
        new = frame[:20].assign(code=[*range(-10, 10)], half=[0.25, *frame["half"][1:20]])
        expected = np.asarray(encoder.transform(new))
        model = session(encoder, data_types.guess_data_type(frame))
        assert [each.type for each in model.get_inputs()] == [
            *(f"tensor({kind})" for kind in ("int64", "int64", "double", "bool", "string"))
        ]
        assert_allclose(model.run(None, plain(new))[0], expected, rtol=0, atol=1e-12)
        assert_allclose(run(encoder, new)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("missing", ["None", "nan", "<NA>", "NaT", None, np.nan, pd.NA, pd.NaT], ids=repr)
def test_the_strings_that_onnxruntime_makes_of_a_missing_category_are_missing(missing):
    frame = pd.DataFrame({"colour": np.array(COLOURS * 10, object)})
    encoder = TableEncoder().fit(frame)
    (found,) = session(encoder).run(None, {"colour": np.array([["red"], [missing]], object)})
    assert_array_equal(found, encoder.transform(pd.DataFrame({"colour": ["red", None]})))


def test_a_category_may_have_the_name_of_a_missing_value():
    frame = pd.DataFrame({"colour": np.array(["None", "nan", None] * 10, object)})
    encoder = TableEncoder().fit(frame)
    assert input_feed(encoder, frame[:3])["colour"].ravel().tolist() == ["None", "nan", "<NA>"]
    assert_array_equal(run(encoder, frame[:3])[0], encoder.transform(frame[:3]))


# ---------------------------------------------------------------- the estimators


@pytest.mark.parametrize("y", [TWO, THREE, THREE > 0, X["rooms"] // 20 / 2], ids=["text", "integers", "bool", "floats"])
def test_a_classifier_has_the_same_labels_and_probabilities(y):
    if isinstance(y, pd.Series):
        y = y.astype(int).astype(float)
    clf = TabularClassifier(5, random_state=0).fit(X, y)
    for given in (X, other_table()):
        label, probabilities = run(clf, given, zipmap=False)
        assert_array_equal(label, clf.predict(given))
        assert probabilities.dtype == np.float32
        assert_allclose(probabilities, clf.predict_proba(given), rtol=0, atol=1e-5)


def test_probabilities_by_label_are_dicts_or_columns():
    clf = TabularClassifier(2, random_state=0).fit(X, TWO)
    expected = clf.predict_proba(X)
    label, dicts = run(clf, X)
    assert_array_equal(label, clf.predict(X))
    assert_allclose([[each["no"], each["yes"]] for each in dicts], expected, rtol=0, atol=1e-5)
    first_is_text = session(clf, initial_types(clf)[::-1], zipmap="columns")
    for model in (session(clf, zipmap="columns"), first_is_text):
        _, *columns = model.run(None, input_feed(clf, X))
        assert_allclose(np.column_stack(columns), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "y"),
    [
        ({"clip": True}, SCORE),
        ({"clip": False}, SCORE * 1e6 + 1e9),
        ({"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}, SCORE),
        ({"loss": "poisson"}, np.column_stack([SCORE, X["rooms"]])),
    ],
    ids=["clipped", "not clipped", "quantiles", "two outputs"],
)
def test_a_regressor_has_the_same_predictions(parameters, y):
    reg = TabularRegressor(4, random_state=0, **parameters).fit(X, y)
    for given in (X, other_table()):
        (found,) = run(reg, given)
        assert found.dtype == np.float64
        expected = reg.predict(given).reshape(len(given), -1)
        assert_allclose(found, expected, rtol=0, atol=1e-5 * np.std(np.asarray(y)))
    assert (np.diff(found) >= 0).all() or "quantile" not in parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_matrix_of_numbers_is_possible(dtype):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(120, 4)).astype(dtype)
    matrix[::5, 2], matrix[:, 3] = np.nan, rng.integers(0, 3, 120)
    reg = TabularRegressor(3, random_state=0).fit(matrix, matrix[:, 0])
    clf = TabularClassifier(3, categorical_features=[3], random_state=0).fit(matrix, matrix[:, 0] > 0)
    encoder = TableEncoder(random_state=0).fit(matrix)
    found = {}
    for model, options in ((reg, None), (clf, {"zipmap": False}), (encoder, None)):
        onx = skl2onnx.to_onnx(model, matrix[:1], options=options)
        assert [given.name for given in onx.graph.input] == ["X"]
        ran = onnxruntime.InferenceSession(onx.SerializeToString(), providers=["CPUExecutionProvider"])
        found[type(model).__name__] = ran.run(None, {"X": matrix})
    (values,), (label, probabilities), (encoded,) = found.values()
    assert values.dtype == dtype
    assert_allclose(values[:, 0], reg.predict(matrix), rtol=0, atol=1e-5)
    assert_array_equal(label, clf.predict(matrix))
    assert_allclose(probabilities, clf.predict_proba(matrix), rtol=0, atol=1e-5)
    assert_allclose(encoded, encoder.transform(matrix), rtol=0, atol=1e-6)


def test_the_types_that_skl2onnx_takes_from_a_dataframe_are_right_if_text_holds_no_numbers():
    frame = X.drop(columns=["note", "size"]).astype({"zeros": "float32", "rooms": "int32"})
    clf = TabularClassifier(2, random_state=0).fit(frame, TWO)
    onx = skl2onnx.to_onnx(clf, frame[:1], options={"zipmap": False})
    ran = onnxruntime.InferenceSession(onx.SerializeToString(), providers=["CPUExecutionProvider"])
    label, probabilities = ran.run(None, plain(frame))
    assert_array_equal(label, clf.predict(frame))
    assert_allclose(probabilities, clf.predict_proba(frame), rtol=0, atol=1e-5)


@pytest.mark.parametrize("library", [pl.from_pandas, pd.DataFrame.convert_dtypes], ids=["polars", "pandas' own dtypes"])
def test_input_feed_reads_tables_of_other_libraries_alike(library):
    frame = X.drop(columns="nothing")
    encoder = TableEncoder().fit(frame)
    expected, found = input_feed(encoder, frame), input_feed(encoder, library(frame))
    assert list(found) == [name for name, _ in initial_types(encoder)]
    for name in expected:
        assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("model", [TabularClassifier(2, random_state=0), TabularRegressor(2, random_state=0)])
@pytest.mark.parametrize("reason", ["equal y", "no column"])
def test_without_networks_the_model_is_constant(model, reason):
    frame = X if reason == "equal y" else X[["nothing"]]
    y = np.full(len(X), 3) if reason == "equal y" else np.arange(len(X)) % 5 // 4
    if reason == "equal y":
        model.fit(frame, y)
    else:
        with pytest.warns(UserWarning, match="do not depend on X"):
            model.fit(frame, y)
    assert model.networks_ == []
    found = run(model, frame, **({"zipmap": False} if isinstance(model, TabularClassifier) else {}))
    assert_array_equal(found[0].ravel(), model.predict(frame).astype(found[0].dtype))
    if isinstance(model, TabularClassifier):
        assert_allclose(found[1], model.predict_proba(frame), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", [BackpropClassifier, BackpropRegressor])
def test_a_pipeline_of_an_encoder_and_a_network(network, dtype):
    y = TWO if network is BackpropClassifier else SCORE
    pipeline = make_pipeline(TableEncoder(dtype=dtype), network(hidden_layer_sizes=(6,), max_iter=8, random_state=0))
    pipeline.fit(X, y)
    onx = skl2onnx.to_onnx(
        pipeline,
        initial_types=initial_types(pipeline),
        options={id(pipeline[-1]): {"zipmap": False}} if network is BackpropClassifier else None,
    )
    ran = onnxruntime.InferenceSession(onx.SerializeToString(), providers=["CPUExecutionProvider"])
    found = ran.run(None, input_feed(pipeline, X))[-1]
    expected = pipeline.predict_proba(X) if network is BackpropClassifier else pipeline.predict(X)[:, np.newaxis]
    assert found.dtype == dtype
    assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_encoders_in_a_column_transformer():
    columns = make_column_transformer(
        (TableEncoder(), ["price", "rooms"]), (TableEncoder(), ["colour", "city"]), (StandardScaler(), ["zeros"])
    )
    frame = X[["price", "rooms", "colour", "city", "zeros"]]
    network = BackpropClassifier((6,), dtype="float32", max_iter=8, random_state=0)
    pipeline = make_pipeline(columns, network).fit(frame, TWO)
    onx = skl2onnx.to_onnx(pipeline, frame[:1].astype({"zeros": "float32"}), options={id(network): {"zipmap": False}})
    ran = onnxruntime.InferenceSession(onx.SerializeToString(), providers=["CPUExecutionProvider"])
    label, probabilities = ran.run(None, plain(frame.astype({"zeros": "float32"})))
    assert_array_equal(label, pipeline.predict(frame))
    assert_allclose(probabilities, pipeline.predict_proba(frame), rtol=0, atol=1e-5)


# ---------------------------------------------------------------- names and errors


def test_columns_are_found_by_name_and_those_that_the_fit_left_out_may_be_missing():
    clf = TabularClassifier(2, random_state=0).fit(X, TWO)
    types = initial_types(clf)
    assert {name for name, _ in types} == set(X) - {"nothing"}
    label, _ = session(clf, types[::-1], zipmap=False).run(None, input_feed(clf, X))
    assert_array_equal(label, clf.predict(X))
    with pytest.raises(
        ValueError, match=r"TabularClassifier takes an input of one column .*: 'price', .*initial_types"
    ):
        session(clf, types[1:])
    with pytest.raises(ValueError, match=r"or one matrix of 11 columns. But it got 12 columns: 'X'"):
        session(clf, [("X", data_types.FloatTensorType([None, 12]))])


def test_inputs_of_an_array_without_names_are_in_its_order():
    array = X[["price", "colour", "rooms"]].to_numpy(object)
    encoder = TableEncoder(dtype="float64").fit(array)
    types = [(f"input{i}", kind) for i, (_, kind) in enumerate(initial_types(encoder))]
    feed = dict(zip([name for name, _ in types], input_feed(encoder, array).values(), strict=True))
    assert_allclose(session(encoder, types).run(None, feed)[0], encoder.transform(array), rtol=0, atol=1e-12)


def test_names_that_skl2onnx_would_change_are_changed_alike_in_both_functions():
    frame = X.rename(columns={"price": "price in €", "zeros": "price_in__", "colour": "Farbtöne", "rooms": "2nd"})
    frame = frame.rename(columns={"is_new": "label", "tick": "probabilities", "size": "größe/m+"})
    clf = TabularClassifier(2, random_state=0).fit(frame, TWO)
    model = session(clf, zipmap=False)
    feed = input_feed(clf, frame)
    assert [given.name for given in model.get_inputs()] == list(feed)
    assert {"price_in__", "price_in___2", "_2nd", "Farbtöne", "label_2"} <= set(feed)
    assert_array_equal(model.run(None, feed)[0], clf.predict(frame))


@pytest.mark.parametrize("model", [TableEncoder(), TabularClassifier(2, random_state=0)])
def test_a_column_of_dates_is_an_error_that_names_it(model):
    frame = X[["price"]].assign(when=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(X)), unit="D"))
    model.fit(frame, TWO)
    types = [(name, data_types.DoubleTensorType([None, 1])) for name in frame]
    for attempt in (lambda: initial_types(model), lambda: input_feed(model, frame), lambda: session(model, types)):
        with pytest.raises(ValueError, match="column 'when' holds dates, and ONNX has no operator"):
            attempt()


def test_text_that_holds_numbers_is_an_error_that_names_the_column_and_the_way():
    encoder = TableEncoder().fit(X[["note"]])
    with pytest.raises(ValueError, match=r"column 'note' is encoded as numbers, but its input has strings.*input_feed"):
        session(encoder, [("note", data_types.StringTensorType([None, 1]))])


def test_a_large_integer_column_must_hold_integers():
    encoder = TableEncoder().fit(X[["account"]])
    with pytest.raises(
        ValueError, match="column 'account' must hold integers of the type int64 without missing values"
    ):
        input_feed(encoder, X[["account"]].astype("Int64").mask(X["rooms"] > 50))


@pytest.mark.parametrize("function", [initial_types, lambda model: input_feed(model, X)])
def test_another_estimator_is_refused(function):
    with pytest.raises(TypeError, match=r"estimator must be a TabularClassifier, .* got BackpropClassifier"):
        function(make_pipeline(BackpropClassifier()))


def test_without_skl2onnx_only_the_types_are_missing(monkeypatch):
    encoder = TableEncoder().fit(X)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'initial_types needs skl2onnx, .*"fastbp\[onnx\]"'):
        initial_types(encoder)
    assert len(input_feed(encoder, X)) == len(encoder.column_kinds_)
