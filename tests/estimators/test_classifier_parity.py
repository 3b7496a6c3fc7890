"""BackpropClassifier beside scikit-learn's MLPClassifier: same parameters, same seed, same model to the last digits."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier
from support import parity
from support.parity import CLASSIFIERS, EPOCHS, SOLVERS, assert_close, assert_follows, assert_parameters, recorded

LOADERS: dict[str, Callable[..., Any]] = {
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = LOADERS[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


def sparse_problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 30)) * (rng.random((120, 30)) < 0.2)
    return X, rng.integers(0, 3, 120)


def target(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A small problem with targets of this kind."""
    if kind == "multilabel":
        X, y = make_multilabel_classification(n_samples=150, n_features=10, n_classes=4, random_state=0)
        return StandardScaler().fit_transform(X), y
    X, y = load("wine")
    return X, (y == 1).astype(int) if kind == "binary" else y


def fit_both(X, y, **params) -> tuple[BackpropClassifier, MLPClassifier]:
    return parity.fit_both(CLASSIFIERS, X, y, **params)


def test_signature_is_that_of_mlp_classifier_then_the_new_keywords():
    ours = list(inspect.signature(BackpropClassifier).parameters.values())
    theirs = list(inspect.signature(MLPClassifier).parameters.values())
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [(p.name, p.kind, p.default) for p in theirs]

    new = ours[len(theirs) :]
    assert [(p.name, p.default) for p in new] == [
        ("loss", "log_loss"),
        ("out_activation", "auto"),
        ("fit_intercept", True),
        ("gtol", 1e-5),
        ("dtype", "auto"),
        ("n_jobs", None),
        ("class_weight", None),
        ("monitor", "score"),
        *parity.NEW,
        ("label_smoothing", 0.0),
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in new)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "score"])
def test_method_takes_the_arguments_of_mlp_classifier_first(method):
    ours = list(inspect.signature(getattr(BackpropClassifier(), method)).parameters.values())
    theirs = list(inspect.signature(getattr(MLPClassifier(), method)).parameters.values())
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [(p.name, p.kind, p.default) for p in theirs]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (7,), (20, 3)])
def test_initial_weights_are_identical(activation, hidden, dtype):
    X, y = load("wine")
    # a step this small is lost in rounding, so that the fit returns its initial weights
    ours, theirs = fit_both(
        X.astype(dtype),
        y,
        activation=activation,
        hidden_layer_sizes=hidden,
        solver="sgd",
        learning_rate_init=1e-30,
        max_iter=1,
    )
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert a.dtype == b.dtype == dtype
            assert_array_equal(a, b)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dataset", LOADERS)
def test_follows_over_50_epochs(dataset, solver):
    X, y = load(dataset)
    ours, theirs = fit_both(X, y, hidden_layer_sizes=(30,), **{**EPOCHS, **SOLVERS[solver]})
    assert theirs.n_iter_ == 50
    assert_follows(ours, theirs, X)
    assert ours.score(X, y) == theirs.score(X, y)


def test_log_probabilities_follow():
    X, y = load("iris")
    ours, theirs = fit_both(X, y, hidden_layer_sizes=(10,), max_iter=20)
    assert_close(ours.predict_log_proba(X), theirs.predict_log_proba(X), 1e-8)


def test_default_parameters_follow():
    X, y = load("digits")
    ours, theirs = fit_both(X[:500], y[:500], max_iter=20)
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("hidden", [(), (9,), (20, 10), (12, 7, 5)])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
def test_follows_for_every_shared_activation(solver, activation, hidden):
    X, y = load("iris")
    ours, theirs = fit_both(
        X, y, activation=activation, hidden_layer_sizes=hidden, batch_size=32, **{**EPOCHS, **SOLVERS[solver]}
    )
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize("solver", ["sgd invscaling", "sgd adaptive"])
def test_schedule_follows_for_every_shared_activation(solver, kind, activation):
    X, y = target(kind)
    ours, theirs = fit_both(X, y, activation=activation, hidden_layer_sizes=(9,), **{**EPOCHS, **SOLVERS[solver]})
    assert theirs.n_iter_ == 50
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize(
    "option",
    [
        {"shuffle": False},
        {"alpha": 0.0},
        {"alpha": 3.0},
        {"batch_size": 1, "max_iter": 5},
        {"batch_size": 7},
        {"hidden_layer_sizes": 4},
        {"hidden_layer_sizes": [6, 5]},
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
def test_option_follows(solver, option):
    X, y = load("wine")
    ours, theirs = fit_both(X, y, **{"hidden_layer_sizes": (10,), **EPOCHS, **SOLVERS[solver], **option})
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize(
    "option",
    [
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "adam", "beta_1": 0.0, "beta_2": 0.0},
        {"solver": "sgd", "momentum": 0.5, "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.0, "learning_rate_init": 0.01},
    ],
    ids=str,
)
def test_solver_constants_follow(option):
    X, y = load("wine")
    # With beta_1 = beta_2 = 0, a step of adam is the sign of the gradient, even where rounding decides that sign. tanh
    # is safer than relu, because it has no kinks.
    ours, theirs = fit_both(X, y, activation="tanh", hidden_layer_sizes=(10,), **{**EPOCHS, **option})
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("dataset", ["digits", "breast_cancer"])
@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_follows(solver, dataset, weighted):
    X, y = load(dataset)
    X, y = X[:400], y[:400]
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y)) if weighted else None
    ours, theirs = fit_both(
        X,
        y,
        sample_weight=weight,
        hidden_layer_sizes=(20,),
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=5,
        max_iter=100,
        **SOLVERS[solver],
    )
    assert theirs.n_iter_ < 100
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
def test_early_stopping_follows_with_a_schedule(schedule, kind):
    X, y = target(kind)
    ours, theirs = fit_both(
        X,
        y,
        solver="sgd",
        learning_rate=schedule,
        learning_rate_init=0.1,
        power_t=0.2,
        early_stopping=True,
        n_iter_no_change=2,
        shuffle=False,
        batch_size=30,
        max_iter=100,
    )
    assert theirs.n_iter_ < 100
    assert_follows(ours, theirs, X)


def test_early_stopping_follows_for_multilabel_targets():
    X, y = make_multilabel_classification(n_samples=150, n_features=10, n_classes=4, random_state=0)
    X = StandardScaler().fit_transform(X)
    ours, theirs = fit_both(X, y, early_stopping=True, n_iter_no_change=5, learning_rate_init=0.01, max_iter=60)
    assert_follows(ours, theirs, X)


def test_early_stopping_follows_at_the_iteration_limit():
    X, y = load("iris")
    ours, theirs = fit_both(X, y, early_stopping=True, max_iter=8, hidden_layer_sizes=(5,))
    assert theirs.n_iter_ == 8
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate_init": 0.2},
        {"solver": "sgd", "learning_rate_init": 0.2, "n_iter_no_change": 3},
        {"solver": "adam", "learning_rate_init": 0.1, "tol": 0.0, "n_iter_no_change": 1, "batch_size": 16},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "n_iter_no_change": 2},
    ],
    ids=str,
)
def test_stops_by_tol_at_the_same_epoch(params):
    X, y = load("wine")
    ours, theirs = fit_both(X, y, **{"hidden_layer_sizes": (10,), "max_iter": 500, "tol": 1e-3, **params})
    assert theirs.n_iter_ < 500
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("solver", ["adam", "sgd nesterov", "sgd invscaling"])
@pytest.mark.parametrize("shared_stream", [False, True])
def test_warm_start_follows(solver, shared_stream):
    X, y = load("wine")
    estimators = [
        estimator(
            hidden_layer_sizes=(10,),
            warm_start=True,
            max_iter=15,
            random_state=np.random.RandomState(3) if shared_stream else 3,
            **SOLVERS[solver],
        )
        for estimator in (BackpropClassifier, MLPClassifier)
    ]
    for _ in range(3):
        (_, warned), (_, expected) = (recorded(lambda e=estimator: e.fit(X, y)) for estimator in estimators)
        assert warned == expected
        assert_follows(*estimators, X)
    assert len(estimators[0].loss_curve_) == 45


@pytest.mark.parametrize("solver", SOLVERS)
def test_partial_fit_follows(solver):
    X, y = load("digits")
    X, y = X[:300], y[:300]
    # the first call sees three classes only, every other call has weights, chunks have different sizes
    chunks = [np.flatnonzero(y < 3), np.arange(0, 120), np.arange(100, 300), np.arange(300)]
    weight = np.random.default_rng(0).uniform(0.0, 2.0, len(y))
    ours, theirs = (
        estimator(hidden_layer_sizes=(20,), random_state=1, **SOLVERS[solver])
        for estimator in (BackpropClassifier, MLPClassifier)
    )
    for call in range(12):
        rows = chunks[call % len(chunks)]
        arguments: dict[str, Any] = {"sample_weight": weight[rows] if call % 2 else None}
        if call == 0:
            arguments["classes"] = np.arange(10)
        (_, warned), (_, expected) = (
            recorded(lambda e=estimator, a=arguments, r=rows: e.partial_fit(X[r], y[r], **a))
            for estimator in (ours, theirs)
        )
        assert warned == expected
        assert_follows(ours, theirs, X)
    assert len(ours.loss_curve_) == 12


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_partial_fit_follows_for_one_output_and_many_labels(kind):
    if kind == "binary":
        X, y = load("breast_cancer")
        classes = np.array([0, 1])
    else:
        X, y = make_multilabel_classification(n_samples=200, n_features=10, n_classes=3, random_state=0)
        classes = np.arange(3)
    ours, theirs = (
        estimator(hidden_layer_sizes=(8,), random_state=1).partial_fit(X[:50], y[:50], classes=classes)
        for estimator in (BackpropClassifier, MLPClassifier)
    )
    for start in (50, 100, 150):
        for estimator in (ours, theirs):
            estimator.partial_fit(X[start : start + 50], y[start : start + 50])
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
def test_partial_fit_after_fit_follows(solver):
    X, y = load("iris")
    ours, theirs = fit_both(X, y, hidden_layer_sizes=(10,), max_iter=5, **SOLVERS[solver])
    for _ in range(4):
        ours.partial_fit(X, y)
        theirs.partial_fit(X, y)
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
@pytest.mark.parametrize("dataset", ["wine", "breast_cancer"])
def test_sample_weight_follows(solver, dataset):
    X, y = load(dataset)
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
    weight[::5] = 0.0
    ours, theirs = fit_both(
        X, y, sample_weight=weight, hidden_layer_sizes=(10,), batch_size=30, **{**EPOCHS, **SOLVERS[solver]}
    )
    assert_follows(ours, theirs, X)
    assert ours.score(X, y, sample_weight=weight) == pytest.approx(theirs.score(X, y, sample_weight=weight), rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
@pytest.mark.parametrize("weighted", [False, True])
def test_multilabel_follows(solver, weighted):
    X, y = make_multilabel_classification(n_samples=150, n_features=10, n_classes=5, random_state=0)
    X = StandardScaler().fit_transform(X)
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y)) if weighted else None
    ours, theirs = fit_both(
        X, y, sample_weight=weight, hidden_layer_sizes=(12,), batch_size=40, **{**EPOCHS, **SOLVERS[solver]}
    )
    assert theirs.n_outputs_ == 5
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("seed", range(20))
def test_any_combination_of_options_follows(seed):
    rng = np.random.default_rng(seed)
    X, y = target(rng.choice(["binary", "multiclass", "multilabel"]))
    params = parity.any_options(rng)
    weight = rng.uniform(0.1, 3.0, len(y)) if rng.random() < 0.4 else None
    if rng.random() < 0.3:
        X = sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0))
    ours, theirs = fit_both(X, y, sample_weight=weight, **params)
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["c", "a", "b"], dtype=object),
        np.array([10.0, -3.0, 2.0]),
        np.array([7, 300, -1], dtype=np.int16),
        np.array([True, False, True]),
        np.array(["yes", "no", "yes"]),
    ],
    ids=lambda labels: str(labels.tolist()),
)
def test_any_label_type_follows(labels):
    X, y = load("iris")
    ours, theirs = fit_both(X, labels[y], hidden_layer_sizes=(6,), max_iter=10)
    assert_follows(ours, theirs, X)
    assert ours.predict(X).dtype == theirs.predict(X).dtype


def test_a_column_of_labels_follows_with_its_warning():
    X, y = load("iris")
    ours, theirs = fit_both(X, y[:, np.newaxis], hidden_layer_sizes=(6,), max_iter=10)
    assert_follows(ours, theirs, X)


def test_batch_size_above_the_number_of_rows_is_clipped_with_the_same_warning():
    X, y = load("iris")
    ours, theirs = fit_both(X, y, hidden_layer_sizes=(6,), batch_size=151, max_iter=10)
    assert_follows(ours, theirs, X)
    _, warned = recorded(lambda: ours.fit(X, y))
    assert any(category is UserWarning and "batch_size" in text for category, text in warned)


@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array, sparse.coo_array]
)
@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
def test_sparse_input_follows(container, solver):
    X, y = sparse_problem()
    ours, theirs = fit_both(container(X), y, hidden_layer_sizes=(10,), batch_size=32, **{**EPOCHS, **SOLVERS[solver]})
    assert_follows(ours, theirs, container(X))


@pytest.mark.parametrize("option", ["early_stopping", "sample_weight", "partial_fit", "warm_start"])
def test_sparse_input_follows_with(option):
    X, y = sparse_problem()
    X = sparse.csr_array(X)
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y)) if option == "sample_weight" else None
    params = {option: True} if option in ("early_stopping", "warm_start") else {}
    ours, theirs = fit_both(X, y, sample_weight=weight, hidden_layer_sizes=(10,), batch_size=32, max_iter=50, **params)
    if option in ("partial_fit", "warm_start"):
        for _ in range(3):
            parity.call_both((ours, theirs), option.replace("warm_start", "fit"), X[:90], y[:90])
    assert_follows(ours, theirs, X)


def test_random_stream_is_left_in_the_same_state():
    X, y = load("iris")
    streams = [np.random.RandomState(5), np.random.RandomState(5)]
    for estimator, stream in zip((BackpropClassifier, MLPClassifier), streams, strict=True):
        recorded(lambda e=estimator, s=stream: e(max_iter=7, early_stopping=True, random_state=s).fit(X, y))
    assert streams[0].randint(2**31) == streams[1].randint(2**31)


def test_random_state_none_draws_from_the_global_stream():
    X, y = load("iris")
    fitted = []
    for estimator in (BackpropClassifier, MLPClassifier):
        np.random.seed(11)  # noqa: NPY002, the global stream is the subject
        fitted.append(recorded(lambda e=estimator: e(max_iter=7).fit(X, y))[0])
    assert_follows(*fitted, X)


@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
def test_float32_input_gives_float32_weights_that_follow_loosely(solver):
    X, y = load("digits")
    X, y = X[:400].astype(np.float32), y[:400]
    ours, theirs = fit_both(X, y, hidden_layer_sizes=(30,), activation="tanh", max_iter=20, **SOLVERS[solver])
    assert ours.coefs_[0].dtype == np.float32
    assert ours.predict_proba(X).dtype == theirs.predict_proba(X).dtype == np.float32
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-3)
    assert_parameters(ours, theirs, rtol=5e-3)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=5e-3)
    assert np.mean(ours.predict(X) == theirs.predict(X)) > 0.99


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_lbfgs_reaches_the_same_minimum(kind, activation):
    # L-BFGS amplifies rounding, so the paths part. The minimum of a well-regularised objective stays the same.
    X, y = load("iris")
    if kind == "binary":
        y = (y == 1).astype(int)
    elif kind == "multilabel":
        y = np.column_stack([y == 0, y >= 1, y == 2]).astype(int)
    params = {
        "solver": "lbfgs",
        "hidden_layer_sizes": (5,),
        "activation": activation,
        "alpha": 0.5,
        "max_iter": 2000,
        "tol": 1e-7,
        "random_state": 0,
    }
    ours, theirs = (estimator(**params).fit(X, y) for estimator in (BackpropClassifier, MLPClassifier))
    assert theirs.n_iter_ < 2000
    assert 0 < ours.n_iter_ < 2000
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-3)
    assert ours.score(X, y) == theirs.score(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-2)
    assert (ours.n_layers_, ours.n_outputs_, ours.out_activation_) == (3, theirs.n_outputs_, theirs.out_activation_)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_lbfgs_has_the_same_objective_and_gradient_along_the_path(kind, activation, weighted, monkeypatch):
    X, y = target(kind)
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y)) if weighted else None
    pairs = parity.lbfgs_objectives(
        monkeypatch, CLASSIFIERS, X, y, sample_weight=weight, hidden_layer_sizes=(8,), activation=activation, alpha=0.1
    )
    assert len(pairs) > 5
    for (value, gradient), (expected, expected_gradient) in pairs:
        assert value == pytest.approx(expected, rel=1e-10)
        assert_close(gradient, expected_gradient, 1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_first_steps_follow(weighted):
    # a few steps from the same start agree closely, because objective, gradient and their weights are scikit-learn's
    X, y = load("wine")
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y)) if weighted else None
    params = {
        "solver": "lbfgs",
        "hidden_layer_sizes": (10,),
        "activation": "tanh",
        "alpha": 0.1,
        "max_iter": 4,
        "random_state": 0,
    }
    (ours, warned), (theirs, expected) = (
        recorded(lambda e=estimator: e(**params).fit(X, y, sample_weight=weight))
        for estimator in (BackpropClassifier, MLPClassifier)
    )
    assert warned == expected
    assert warned[0][0] is ConvergenceWarning
    assert ours.n_iter_ == theirs.n_iter_ == 4
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-7)
    assert_parameters(ours, theirs, rtol=1e-6)


def test_lbfgs_respects_max_fun():
    X, y = make_classification(n_samples=80, random_state=0)
    (ours, warned), (theirs, expected) = (
        recorded(lambda e=estimator: e(solver="lbfgs", max_fun=10, random_state=0).fit(X, y))
        for estimator in (BackpropClassifier, MLPClassifier)
    )
    assert warned == expected
    assert warned[0][0] is ConvergenceWarning
    assert ours.n_iter_ == theirs.n_iter_
