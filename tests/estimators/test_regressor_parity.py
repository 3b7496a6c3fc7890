"""BackpropRegressor beside scikit-learn's MLPRegressor: same parameters, same seed, same model to the last digits.

With several outputs, scikit-learn reports the mean of their squared errors. There our loss is theirs times the number
of outputs, apart from the L2 term. Tests that compare losses leave the L2 term out.
"""

import inspect
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_diabetes
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropRegressor
from support import parity
from support.parity import EPOCHS, REGRESSORS, SOLVERS, assert_close, assert_follows, assert_parameters, recorded

LOSSES = ["squared_error", "poisson"]
TARGETS = [(loss, n_outputs) for loss in LOSSES for n_outputs in (1, 3)]


def problem(loss: str = "squared_error", n_outputs: int = 1, n_samples: int = 150) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:n_samples], (y[:n_samples] - 150) / 75
    Y = np.column_stack([y, 2 * X[:, 0] - y, np.tanh(X[:, 1] * X[:, 2])])
    if loss == "poisson":
        Y = np.round(np.exp(0.6 * Y))  # some of them zero
    return X, Y[:, 0] if n_outputs == 1 else Y[:, :n_outputs]


def fit_both(X, y, **params) -> tuple[BackpropRegressor, MLPRegressor]:
    return parity.fit_both(REGRESSORS, X, y, **params)


def loss_factor(loss: str, n_outputs: int) -> int:
    return n_outputs if loss == "squared_error" else 1


def test_signature_is_that_of_mlp_regressor_then_the_new_keywords():
    ours = list(inspect.signature(BackpropRegressor).parameters.values())
    theirs = list(inspect.signature(MLPRegressor).parameters.values())
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [(p.name, p.kind, p.default) for p in theirs]
    new = ours[len(theirs) :]
    assert [(p.name, p.default) for p in new] == [
        ("out_activation", "auto"),
        ("fit_intercept", True),
        ("gtol", 1e-5),
        ("dtype", "auto"),
        ("n_jobs", None),
        ("monitor", "score"),
        *parity.NEW,
        ("quantile", 0.5),
        ("huber_delta", 1.0),
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in new)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "score"])
def test_method_takes_the_arguments_of_mlp_regressor_first(method):
    ours = list(inspect.signature(getattr(BackpropRegressor(), method)).parameters.values())
    theirs = list(inspect.signature(getattr(MLPRegressor(), method)).parameters.values())
    assert [(p.name, p.kind, p.default) for p in ours[: len(theirs)]] == [(p.name, p.kind, p.default) for p in theirs]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("hidden", [(), (7,), (20, 3)])
@pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
def test_initial_weights_are_identical(loss, n_outputs, hidden, dtype):
    X, y = problem(loss, n_outputs)
    # a step this small is lost in rounding, so that the fit returns its initial weights
    params = {"hidden_layer_sizes": hidden, "solver": "sgd", "learning_rate_init": 1e-30, "max_iter": 1}
    ours, theirs = fit_both(X.astype(dtype), y, loss=loss, **params)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert a.dtype == b.dtype == dtype
            assert_array_equal(a, b)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
def test_follows_over_50_epochs(loss, n_outputs, solver):
    X, y = problem(loss, n_outputs)
    params: dict[str, Any] = {**EPOCHS, **SOLVERS[solver], "alpha": 0.0}
    params["learning_rate_init"] /= 5 if loss == "poisson" else 1  # poisson's gradients grow like exp
    ours, theirs = fit_both(X, y, loss=loss, hidden_layer_sizes=(20,), **params)
    assert theirs.n_iter_ == 50
    assert_follows(ours, theirs, X, loss_factor=loss_factor(loss, n_outputs))
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-8)


@pytest.mark.parametrize("alpha", [1e-4, 3.0])
@pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
@pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
def test_weights_follow_with_l2(loss, n_outputs, solver, alpha):
    X, y = problem(loss, n_outputs)
    params: dict[str, Any] = {**EPOCHS, **SOLVERS[solver], "learning_rate_init": 0.005}
    ours, theirs = fit_both(X, y, loss=loss, alpha=alpha, hidden_layer_sizes=(20,), **params)
    assert_parameters(ours, theirs, 1e-8)
    assert_close(ours.predict(X), theirs.predict(X), 1e-8)
    if loss_factor(loss, n_outputs) == 1:
        assert_close(ours.loss_curve_, theirs.loss_curve_, 1e-8)


def test_default_parameters_follow():
    X, y = problem(n_samples=442)
    ours, theirs = fit_both(X, y, max_iter=20)
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("hidden", [(), (12, 7, 5)])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("loss", LOSSES)
def test_follows_for_every_shared_activation(loss, activation, hidden):
    X, y = problem(loss)
    params = {**EPOCHS, "learning_rate_init": 0.005, "batch_size": 32}
    ours, theirs = fit_both(X, y, loss=loss, activation=activation, hidden_layer_sizes=hidden, **params)
    assert_follows(ours, theirs, X)


@pytest.mark.parametrize("seed", range(20))
def test_any_combination_of_options_follows(seed):
    rng = np.random.default_rng(seed)
    loss, n_outputs = TARGETS[rng.integers(len(TARGETS))]
    X, y = problem(loss, n_outputs)
    params = parity.any_options(rng)
    params["alpha"] *= n_outputs == 1
    params["learning_rate_init"] /= 5 if loss == "poisson" else 1
    weight = rng.uniform(0.1, 3.0, len(y)) if rng.random() < 0.4 else None
    if rng.random() < 0.3:
        X = sparse.csr_array(np.where(np.abs(X) > 0.7, X, 0.0))
    ours, theirs = fit_both(X, y, sample_weight=weight, loss=loss, **params)
    assert_follows(ours, theirs, X, loss_factor=loss_factor(loss, n_outputs))


class TestStopping:
    @pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_early_stopping_by_r2_follows(self, loss, n_outputs, solver):
        X, y = problem(loss, n_outputs)
        ours, theirs = fit_both(
            X,
            y,
            loss=loss,
            solver=SOLVERS[solver]["solver"],
            learning_rate_init=0.005,
            alpha=0.0,
            hidden_layer_sizes=(20,),
            early_stopping=True,
            validation_fraction=0.2,
            tol=1e-3,
            n_iter_no_change=3,
            max_iter=200,
        )
        assert 3 < theirs.n_iter_ < 200
        assert_follows(ours, theirs, X, loss_factor=loss_factor(loss, n_outputs))

    def test_early_stopping_follows_with_weights(self):
        X, y = problem()
        weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
        params = {"early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.01, "max_iter": 200}
        ours, theirs = fit_both(X, y, sample_weight=weight, hidden_layer_sizes=(10,), **params)
        assert theirs.n_iter_ < 200
        assert_follows(ours, theirs, X)

    @pytest.mark.parametrize("alpha", [0.0, 1e-4])
    @pytest.mark.parametrize(
        "params",
        [
            {"solver": "adam", "learning_rate_init": 0.02},
            {"solver": "sgd", "learning_rate_init": 0.02},
            {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "n_iter_no_change": 2},
        ],
        ids=str,
    )
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_stops_by_tol_at_the_same_epoch(self, loss, n_outputs, params, alpha):
        X, y = problem(loss, n_outputs)
        params = {"hidden_layer_sizes": (10,), "max_iter": 500, "tol": 3e-3, "n_iter_no_change": 4, **params}
        params["learning_rate_init"] /= 5 if loss == "poisson" else 1
        ours, theirs = fit_both(X, y, loss=loss, alpha=alpha, **params)
        assert ours.n_iter_ == theirs.n_iter_ < 500
        assert ours.converged_
        assert_parameters(ours, theirs, 1e-8)

    def test_divergence_with_early_stopping_records_nan_and_keeps_the_best_weights(self):
        X, y = problem()
        params = {
            "solver": "sgd",
            "activation": "identity",
            "learning_rate_init": 0.25,
            "early_stopping": True,
            "max_iter": 200,
            "random_state": 0,
        }
        with np.errstate(all="ignore"):
            theirs, _ = recorded(lambda: MLPRegressor(**params).fit(X, y))
        ours, warned = recorded(lambda: BackpropRegressor(**params).fit(X, y))
        assert np.isnan(theirs.validation_scores_[-1])
        assert any("diverged in epoch" in text and "best weights" in text for _, text in warned)
        assert np.isnan(ours.validation_scores_[-1])
        assert ours.n_iter_ < theirs.n_iter_ == 200  # scikit-learn never counts NaN as worse
        assert_close(ours.validation_scores_[:4], theirs.validation_scores_[:4], 1e-8)
        assert_close(ours.best_validation_score_, theirs.best_validation_score_, 1e-8)
        assert_parameters(ours, theirs, 1e-8)


class TestContinuing:
    @pytest.mark.parametrize("solver", ["adam", "sgd nesterov", "sgd invscaling"])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_warm_start_follows(self, loss, n_outputs, solver):
        X, y = problem(loss, n_outputs)
        params: dict[str, Any] = {**SOLVERS[solver], "learning_rate_init": 0.01, "alpha": 0.0, "max_iter": 15}
        fitted = fit_both(X, y, loss=loss, hidden_layer_sizes=(10,), warm_start=True, **params)
        for _ in range(2):
            parity.call_both(fitted, "fit", X, y)
            assert_follows(*fitted, X, loss_factor=loss_factor(loss, n_outputs))
        assert len(fitted[0].loss_curve_) == 45

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_partial_fit_follows(self, loss, n_outputs, solver):
        X, y = problem(loss, n_outputs)
        weight = np.random.default_rng(0).uniform(0.0, 2.0, len(y))
        params: dict[str, Any] = {**SOLVERS[solver], "alpha": 0.0, "random_state": 1}
        params["learning_rate_init"] /= 5 if loss == "poisson" else 1
        fitted = tuple(estimator(loss=loss, hidden_layer_sizes=(10,), **params) for estimator in REGRESSORS)
        chunks = [slice(0, 40), slice(20, 150), slice(None)]
        for call in range(12):
            rows = chunks[call % 3]
            parity.call_both(fitted, "partial_fit", X[rows], y[rows], sample_weight=weight[rows] if call % 2 else None)
        assert_follows(*fitted, X, loss_factor=loss_factor(loss, n_outputs))
        assert len(fitted[0].loss_curve_) == 12

    def test_partial_fit_after_fit_follows(self):
        X, y = problem()
        fitted = fit_both(X, y, hidden_layer_sizes=(10,), max_iter=5)
        for _ in range(4):
            parity.call_both(fitted, "partial_fit", X, y)
        assert_follows(*fitted, X)

    def test_random_stream_is_left_in_the_same_state(self):
        X, y = problem()
        streams = [np.random.RandomState(5), np.random.RandomState(5)]
        for estimator, stream in zip(REGRESSORS, streams, strict=True):
            recorded(lambda e=estimator, s=stream: e(max_iter=7, early_stopping=True, random_state=s).fit(X, y))
        assert streams[0].randint(2**31) == streams[1].randint(2**31)


class TestData:
    @pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_sample_weight_follows(self, loss, n_outputs, solver):
        X, y = problem(loss, n_outputs)
        weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y))
        weight[::5] = 0.0
        params: dict[str, Any] = {**EPOCHS, **SOLVERS[solver], "learning_rate_init": 0.01, "alpha": 0.0}
        ours, theirs = fit_both(
            X, y, sample_weight=weight, loss=loss, hidden_layer_sizes=(10,), batch_size=30, **params
        )
        assert_follows(ours, theirs, X, loss_factor=loss_factor(loss, n_outputs))
        assert ours.score(X, y, sample_weight=weight) == pytest.approx(theirs.score(X, y, weight), rel=1e-8)

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_sparse_input_follows(self, loss, n_outputs, container):
        X, y = problem(loss, n_outputs)
        X = container(np.where(np.abs(X) > 0.7, X, 0.0))
        params = {**EPOCHS, "learning_rate_init": 0.005, "alpha": 0.0, "batch_size": 32}
        ours, theirs = fit_both(X, y, loss=loss, hidden_layer_sizes=(10,), **params)
        assert_follows(ours, theirs, X, loss_factor=loss_factor(loss, n_outputs))

    @pytest.mark.parametrize("dtype", [np.int64, np.float32, object])
    def test_any_type_of_y_follows(self, dtype):
        X, y = problem("poisson")
        ours, theirs = fit_both(X, y.astype(dtype), hidden_layer_sizes=(10,), max_iter=10)
        assert_follows(ours, theirs, X)

    def test_a_column_of_targets_follows_with_its_warning(self):
        X, y = problem()
        ours, theirs = fit_both(X, y[:, np.newaxis], hidden_layer_sizes=(10,), max_iter=10)
        assert_follows(ours, theirs, X)

    @pytest.mark.parametrize("solver", ["adam", "sgd nesterov"])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_float32_input_gives_float32_weights_that_follow_loosely(self, loss, n_outputs, solver):
        X, y = problem(loss, n_outputs)
        X = X.astype(np.float32)
        params: dict[str, Any] = {**SOLVERS[solver], "learning_rate_init": 0.005, "alpha": 0.0, "max_iter": 20}
        ours, theirs = fit_both(X, y, loss=loss, hidden_layer_sizes=(20,), activation="tanh", **params)
        assert ours.predict(X).dtype == theirs.predict(X).dtype == np.float32
        factor = loss_factor(loss, n_outputs)
        assert_allclose(ours.loss_curve_, factor * np.array(theirs.loss_curve_), rtol=1e-3)
        assert_parameters(ours, theirs, rtol=5e-3)
        assert_allclose(ours.predict(X), theirs.predict(X), rtol=5e-3, atol=5e-3)


class TestLbfgs:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize(("loss", "n_outputs"), TARGETS)
    def test_has_the_same_objective_and_gradient_along_the_path(
        self, loss, n_outputs, activation, weighted, monkeypatch
    ):
        X, y = problem(loss, n_outputs)
        weight = np.random.default_rng(0).uniform(0.0, 3.0, len(y)) if weighted else None
        factor = loss_factor(loss, n_outputs)
        params = {"loss": loss, "activation": activation, "hidden_layer_sizes": (8,)}
        params["alpha"] = 0.1 if factor == 1 else 0.0
        pairs = parity.lbfgs_objectives(monkeypatch, REGRESSORS, X, y, sample_weight=weight, random_state=0, **params)
        assert len(pairs) > 5
        for (value, gradient), (expected, expected_gradient) in pairs:
            assert value == pytest.approx(factor * expected, rel=1e-10)
            assert_close(gradient, expected_gradient, 1e-10)

    @pytest.mark.parametrize(("loss", "n_outputs"), [("squared_error", 1), ("poisson", 1), ("poisson", 3)])
    def test_reaches_the_same_minimum(self, loss, n_outputs):
        # L-BFGS amplifies rounding, so the two fits take different paths. They end in the same minimum, because the
        # objective is well regularised.
        X, y = problem(loss, n_outputs)
        params = {"loss": loss, "solver": "lbfgs", "hidden_layer_sizes": (5,), "activation": "tanh", "alpha": 10.0}
        params |= {"max_iter": 5000, "max_fun": 50_000, "tol": 1e-6, "random_state": 0}
        ours, theirs = (estimator(**params).fit(X, y) for estimator in REGRESSORS)
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-3)
        assert_allclose(ours.predict(X), theirs.predict(X), atol=2e-2)

    def test_minimises_the_objective_of_its_gradient_and_scikit_learn_does_not(self):
        # With several outputs, scikit-learn gives L-BFGS the mean of their losses, but the gradient of the sum.
        X, y = problem(n_outputs=3)
        params = {"solver": "lbfgs", "hidden_layer_sizes": (5,), "alpha": 0.1, "max_iter": 50, "random_state": 0}
        ours, theirs = (recorded(lambda e=e: e(**params).fit(X, y))[0] for e in REGRESSORS)
        assert ours.score(X, y) >= theirs.score(X, y)
