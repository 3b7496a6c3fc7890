"""Losses and sums over very many rows of float32, and units without a gradient."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

from fastbp import BackpropClassifier, BackpropRegressor
from support.fits import SOLVERS, both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 1_000_000


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    return np.random.default_rng(0).lognormal(0.0, 3.0, N).astype(np.float32)  # from 1e-6 to 1e6


def without_inputs(**params: Any) -> BackpropRegressor:
    """A network that outputs 0 for X = 0, so that the cost of a row is exactly y^2 / 2."""
    defaults = {"hidden_layer_sizes": (), "fit_intercept": False, "alpha": 0.0, "random_state": 0, "dtype": "float32"}
    return BackpropRegressor(**{**defaults, "max_iter": 1, **params})


class TestAMillionRowsOfFloat32:
    X = np.zeros((N, 1), np.float32)

    @pytest.mark.parametrize(
        "params",
        [{"solver": "gd"}, {"solver": "lbfgs"}, {"batch_size": N}, {"solver": "sgd", "batch_size": 50_000}],
        ids=lambda params: " ".join(map(str, params.values())),
    )
    def test_the_loss_is_that_of_exact_summation(self, params, numbers):
        model = without_inputs(**params).fit(self.X, numbers)
        exact = math.fsum(np.square(numbers.astype(np.float64)) / 2) / N
        assert model.loss_curve_[0] == pytest.approx(exact, rel=1e-12)

    def test_the_poisson_deviance_is_that_of_exact_summation(self, numbers):
        model = without_inputs(solver="gd", loss="poisson").fit(self.X, numbers)
        y = numbers.astype(np.float64)
        assert model.loss_curve_[0] == pytest.approx(math.fsum(y * np.log(y) - y + 1) / N, rel=1e-12)

    def test_squares_beyond_float32_are_no_divergence(self, numbers):
        y = numbers * np.float32(1e25)
        model = without_inputs(solver="gd", learning_rate_init=1e-20).fit(self.X, y)
        assert model.loss_ == pytest.approx(math.fsum(np.square(y.astype(np.float64)) / 2) / N, rel=1e-12)

    def test_weighted_rows_too(self, numbers):
        weights = np.random.default_rng(1).lognormal(0.0, 2.0, N)
        model = without_inputs(solver="gd").fit(self.X, numbers, sample_weight=weights)
        exact = math.fsum(weights * np.square(numbers.astype(np.float64)) / 2) / math.fsum(weights)
        assert model.loss_curve_[0] == pytest.approx(exact, rel=1e-11)

    def test_loss_and_score_of_a_validation_set(self, numbers):
        y = numbers + np.float32(1e3)
        model = without_inputs().fit(self.X[:2], [1.0, 2.0], X_val=self.X, y_val=y)
        exact = math.fsum(np.square(y.astype(np.float64)) / 2) / N
        assert model.validation_loss_curve_ == [pytest.approx(exact, rel=1e-12)]
        assert model.validation_scores_ == [pytest.approx(r2_score(y.astype(np.float64), np.zeros(N)), rel=1e-5)]

    def test_the_loss_of_classes(self):
        y = np.arange(N) % 3
        model = BackpropClassifier((), solver="gd", fit_intercept=False, max_iter=1, alpha=0.0, dtype="float32")
        assert model.fit(self.X, y).loss_curve_[0] == pytest.approx(math.log(3), rel=1e-7)

    def test_the_sum_of_squared_weights(self):
        """A sum over a million parameters, not rows. In a unit of parameters, lanes of a vector add up in float32."""
        X = np.zeros((2, 1000), np.float32)
        model = without_inputs(
            hidden_layer_sizes=(1000,), solver="gd", activation="identity", alpha=1.0, learning_rate_init=1e-30
        ).fit(X, [0.0, 0.0])
        exact = math.fsum(np.square(np.concatenate([c.ravel() for c in model.coefs_]).astype(np.float64))) / 2 / 2
        assert model.loss_curve_[0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@both
def test_dead_units_stay_as_they_are_and_the_rest_learns(estimator, solver):
    X, y = problem(estimator)
    params = {**SOLVERS[solver], "activation": "relu", "alpha": 0.0, "warm_start": True}
    model = small(estimator, **params).fit(X, y)
    model.intercepts_[0][:] = -1e6
    before = [coef.copy() for coef in model.coefs_], model.intercepts_[1].copy()
    model.fit(X, y)
    for after, dead in zip(model.coefs_, before[0], strict=True):
        np.testing.assert_array_equal(after, dead)
    assert (model.intercepts_[1] != before[1]).all()
    assert np.isfinite(output(model, X)).all()
