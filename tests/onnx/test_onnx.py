"""onnxruntime predicts the same as the estimators."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp import (
    BackpropClassifier,
    BackpropEnsembleClassifier,
    BackpropEnsembleRegressor,
    BackpropRegressor,
)
from fastbp.estimators.classifier import LOSSES as CLASSIFIER_LOSSES
from fastbp.estimators.regressor import LOSSES as REGRESSOR_LOSSES
from fastbp.kernels.losses import LEGAL_OUTPUTS, OUTPUTS
from fastbp.onnx import register_onnx_converters
from fastbp.onnx.activations import ACTIVATIONS

# For a new Python, wheels of these packages come later than NumPy's.
skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])
LABELS = np.stack([Y == 0, Y > 0, Y != 1], axis=1).astype(int)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
OPTIONS = {"max_iter": 8, "random_state": 0}


@pytest.fixture(autouse=True)
def registered():
    register_onnx_converters()


def run(estimator, X, **options):
    """The outputs of onnxruntime for X, by name."""
    model = skl2onnx.to_onnx(estimator, X[:1], options={id(estimator): options} if options else None)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    if isinstance(X, pd.DataFrame):
        inputs = {name: X[[name]].to_numpy() for name in X}
    else:
        inputs = {session.get_inputs()[0].name: X}
    return dict(zip(outputs, session.run(None, inputs), strict=True))


def assert_same_classes(clf, X, dtype, outputs):
    X = X.astype(dtype)
    given = run(clf.set_params(dtype=dtype), X, zipmap=False)
    assert_array_equal(given["label"], clf.predict(X))
    assert given["probabilities"].dtype == dtype
    assert_allclose(given["probabilities"], outputs(X), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in ("exp", "softmax")])
def test_every_activation_of_hidden_layers_and_of_the_output(activation, dtype):
    inputs = (20 * X).astype(dtype)  # both tails of the activations
    clf = BackpropClassifier((6, 5), activation, dtype=dtype, **OPTIONS).fit(X, NAMES[Y])
    assert_same_classes(clf, 20 * X, dtype, clf.predict_proba)
    reg = BackpropRegressor("euclidean", (6, 5), activation, out_activation=activation, dtype=dtype, **OPTIONS)
    reg.fit(X, X[:, :2])
    assert_allclose(run(reg, inputs)["variable"], reg.predict(inputs), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_there_is_no_other_activation():
    assert set(ACTIVATIONS) == set(OUTPUTS)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("target", ["one class", "two classes", "three classes", "multilabel"])
@pytest.mark.parametrize("loss", CLASSIFIER_LOSSES)
def test_every_loss_of_the_classifier_with_every_kind_of_target(loss, target, dtype):
    y = {"one class": 0 * Y, "two classes": NAMES[(Y > 0) * 1], "three classes": Y + 2**40, "multilabel": LABELS}[
        target
    ]
    clf = BackpropClassifier((5,), "tanh", loss=loss, dtype=dtype, **OPTIONS).fit(X, y)
    assert_same_classes(clf, X, dtype, clf.predict_proba)
    assert len(np.unique(clf.predict(X))) > 1 or target == "one class"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
def test_every_loss_of_the_regressor_with_every_output(loss, dtype):
    for out_activation in LEGAL_OUTPUTS[loss]:
        for y in (np.abs(X[:, 0]), np.abs(X[:, :3])):
            reg = BackpropRegressor(loss, (5,), "tanh", out_activation=out_activation, dtype=dtype, **OPTIONS).fit(X, y)
            inputs = X.astype(dtype)
            predicted = run(reg, inputs)["variable"]
            assert predicted.dtype == dtype
            assert predicted.shape == (len(X), y[0].size)
            assert_allclose(predicted, reg.predict(inputs).reshape(predicted.shape), rtol=0, atol=TOLERANCE[dtype])


def test_outputs_that_are_not_probabilities_stay_as_they_are():
    clf = BackpropClassifier((5,), loss="squared_error", out_activation="tanh", **OPTIONS).fit(X, Y)
    assert not hasattr(clf, "predict_proba")
    assert_same_classes(clf, X, "float64", clf._outputs)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_outputs_that_sum_to_zero_become_uniform(dtype):
    clf = BackpropClassifier((), loss="binary_cross_entropy", dtype=dtype, **OPTIONS).fit(X, Y)
    clf.intercepts_[-1][:] = -1e4
    far = X.astype(dtype)
    assert_allclose(clf.predict_proba(far), 1 / 3, rtol=1e-6)
    if dtype == "float64":  # onnxruntime's float32 logistic does not reach 0
        assert_same_classes(clf, X, dtype, clf.predict_proba)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("target", ["one class", "two classes", "three classes", "multilabel"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_an_ensemble_of_classifiers_is_one_model(loss, target, dtype):
    y = {"one class": 0 * Y, "two classes": NAMES[(Y > 0) * 1], "three classes": Y, "multilabel": LABELS}[target]
    members = BackpropClassifier((5,), "tanh", loss=loss, dtype=dtype, max_iter=8)
    clf = BackpropEnsembleClassifier(members, 4, param_distributions={"activation": ["tanh", "relu"]}, random_state=0)
    clf.fit(X, y).weights_ = np.array([0.5, 0.25, 0, 0.25])
    del clf.members_[2].coefs_  # of a member of weight 0 nothing is exported
    inputs = X.astype(dtype)
    given = run(clf, inputs, zipmap=False)
    assert_array_equal(given["label"], clf.predict(inputs))
    assert given["probabilities"].dtype == dtype
    assert_allclose(given["probabilities"], clf.predict_proba(inputs), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("columns", [1, 3])
def test_an_ensemble_of_regressors_is_one_model(columns, dtype):
    members = BackpropRegressor("poisson", (5,), "tanh", dtype=dtype, max_iter=8)
    reg = BackpropEnsembleRegressor(members, 3, selection="greedy", random_state=0)
    reg.fit(X, np.abs(X[:, 0] if columns == 1 else X[:, :columns]))
    inputs = X.astype(dtype)
    predicted = run(make_pipeline(reg), inputs)["variable"]
    assert predicted.dtype == dtype
    assert_allclose(predicted, reg.predict(inputs).reshape(len(X), -1), rtol=0, atol=TOLERANCE[dtype])


def test_an_ensemble_whose_outputs_are_not_probabilities_exports_their_average():
    members = BackpropClassifier((5,), loss="squared_error", out_activation="tanh", max_iter=8)
    clf = BackpropEnsembleClassifier(members, 2, random_state=0).fit(X, NAMES[Y])
    given = run(clf, X, zipmap=False)
    assert_array_equal(given["label"], clf.predict(X))
    expected = (clf.members_[0]._outputs(X) + clf.members_[1]._outputs(X)) / 2
    assert_allclose(given["probabilities"], expected, rtol=0, atol=1e-10)


def test_without_biases_with_several_layers_and_activations():
    clf = BackpropClassifier((7, 6, 5), ["tanh", "gelu", "elu"], fit_intercept=False, **OPTIONS).fit(X, Y)
    assert_same_classes(clf, X, "float64", clf.predict_proba)


@pytest.mark.parametrize(
    "y", [Y - 1, Y > 0, Y.astype(float), NAMES[Y], NAMES[Y].astype(object), (Y + 1).astype("uint8")]
)
def test_labels_of_every_type_and_probabilities_by_label(y):
    inputs = X.astype(np.float32)
    clf = BackpropClassifier((5,), "tanh", **OPTIONS).fit(inputs, y)
    labels, probabilities = run(clf, inputs).values()
    assert_array_equal(labels, clf.predict(inputs))
    for by_label, row in zip(probabilities, clf.predict_proba(inputs), strict=True):
        assert list(by_label) == list(clf.classes_)
        assert_allclose(list(by_label.values()), row, atol=1e-5)
    columns = run(clf, inputs, zipmap="columns")
    assert len(columns) == 1 + len(clf.classes_)
    assert_allclose(np.stack(list(columns.values())[1:], axis=1), clf.predict_proba(inputs), atol=1e-5)
    codes = run(clf, inputs, zipmap=False, nocl=True)["label"]
    assert_array_equal(clf.classes_[codes], clf.predict(inputs))


def test_integers_are_predicted_in_float32():
    counts = (10 * X).astype(np.int64)
    clf = BackpropClassifier((5,), "tanh", **OPTIONS).fit(counts, Y)
    assert_allclose(run(clf, counts, zipmap=False)["probabilities"], clf.predict_proba(counts), atol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("estimator", [BackpropClassifier, BackpropRegressor])
def test_in_a_pipeline_with_a_column_transformer(estimator, dtype):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: column.astype(dtype) for name, column in zip("abcd", X.T, strict=True)})
    frame["colour"] = rng.choice(["red", "green", "blue"], len(X)).astype(object)
    numbers = make_pipeline(StandardScaler())
    if dtype == "float32":  # onnxruntime has no imputer in float64
        frame.loc[::7, "a"] = np.nan
        numbers.steps.insert(0, ("impute", SimpleImputer(strategy="median")))
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["a", "b", "c", "d"]),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["colour"]),
        ]
    )
    network = estimator(hidden_layer_sizes=(6,), activation="tanh", dtype=dtype, **OPTIONS)
    pipeline = make_pipeline(columns, network).fit(frame, NAMES[Y] if estimator is BackpropClassifier else X[:, 0])
    options = {id(network): {"zipmap": False}} if estimator is BackpropClassifier else None
    model = skl2onnx.to_onnx(pipeline, frame[:1], options=options)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(None, {name: frame[[name]].to_numpy() for name in frame})
    if estimator is BackpropRegressor:
        assert_allclose(given[0][:, 0], pipeline.predict(frame), rtol=0, atol=TOLERANCE[dtype])
    else:
        assert_array_equal(given[0], pipeline.predict(frame))
        assert_allclose(given[1], pipeline.predict_proba(frame), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    "model",
    [
        BackpropClassifier((4,), max_iter=1, random_state=0),
        BackpropRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0),
        BackpropEnsembleClassifier(BackpropClassifier((4,), max_iter=1), 2),
        BackpropEnsembleRegressor(BackpropRegressor(hidden_layer_sizes=(4,), max_iter=1), 2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_frame_without_a_pipeline_is_refused_with_what_to_do(model):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "b", "c"])
    name = type(model.fit(frame, frame.a > 0)).__name__
    with pytest.raises(ValueError, match=f"{name} takes one input, a matrix of 3 .* 3 inputs: a, b, c"):
        skl2onnx.to_onnx(model, frame[:1])
    assert [given.name for given in skl2onnx.to_onnx(model, frame[:1].to_numpy()).graph.input] == ["X"]


@pytest.mark.parametrize("module", ["skl2onnx", "onnx"])
def test_without_skl2onnx_the_error_names_the_extra(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'register_onnx_converters needs {module}, .*"fastbp\[onnx\]"'):
        register_onnx_converters()
