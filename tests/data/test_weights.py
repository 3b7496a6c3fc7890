"""Weights of examples far from 1: a common factor of all weights changes no model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import BackpropClassifier, BackpropRegressor, textbook
from fastbp.data.targets import SPREAD, in_unit, product_in_unit, without_negligible
from support.fits import SOLVERS, assert_same_bits, both, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FACTORS = [2.0**120, 1e36, 1e300, 2.0**-120, 1e-36, 1e-300]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def tolerance(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-11}


class TestACommonFactor:
    @dtypes
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("factor", FACTORS)
    @both
    def test_gives_the_same_model(self, estimator, factor, solver, dtype):
        X, y = problem(estimator)
        weights = np.random.default_rng(0).uniform(0.5, 1, len(y))
        params = {**SOLVERS[solver], "dtype": dtype, "alpha": 0.0}
        plain = small(estimator, **params).fit(X, y, sample_weight=weights)
        model = small(estimator, **params).fit(X, y, sample_weight=factor * weights)
        for a, b in zip(model.coefs_ + model.intercepts_, plain.coefs_ + plain.intercepts_, strict=True):
            assert_allclose(a, b, **tolerance(dtype))
        assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=tolerance(dtype)["rtol"])
        if np.log2(factor) % 1 == 0:
            assert_same_bits(model, plain)

    @pytest.mark.parametrize("factor", [2.0**40, 2.0**-40])
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_that_alpha_has_too_gives_the_same_bits(self, solver, factor):
        X, y = problem(BackpropClassifier)
        weights = np.random.default_rng(0).uniform(0.5, 1, len(y))
        params = SOLVERS[solver]
        plain = small(BackpropClassifier, **params, alpha=0.25).fit(X, y, sample_weight=weights)
        model = small(BackpropClassifier, **params, alpha=0.25 * factor).fit(X, y, sample_weight=factor * weights)
        assert_same_bits(model, plain)
        assert model.loss_curve_ == plain.loss_curve_

    @dtypes
    @pytest.mark.parametrize("factor", FACTORS)
    @both
    def test_leaves_early_stopping_alone(self, estimator, factor, dtype):
        X, y = problem(estimator)
        weights = np.random.default_rng(0).uniform(0.5, 1, len(y))
        fits = []
        for scale in (1.0, factor):
            model = small(estimator, early_stopping=True, validation_fraction=0.4, alpha=0.0, dtype=dtype)
            fits.append(model.fit(X, y, sample_weight=scale * weights))
        plain, model = fits
        assert_allclose(model.validation_scores_, plain.validation_scores_, **tolerance(dtype))
        assert_allclose(model.validation_loss_curve_, plain.validation_loss_curve_, **tolerance(dtype))

    def test_of_class_weight_may_overflow_with_that_of_sample_weight(self):
        X, y = problem(BackpropClassifier)
        plain = small(BackpropClassifier, alpha=0.0, class_weight={0: 1, 1: 2, 2: 4}).fit(X, y)
        heavy = small(BackpropClassifier, alpha=0.0, class_weight={k: 2.0 ** (k + 900) for k in range(3)})
        assert_same_bits(heavy.fit(X, y, sample_weight=np.full(len(y), 2.0**900)), plain)

    def test_gives_the_same_gradient_in_the_textbook(self):
        X, y = problem(BackpropRegressor)
        X, Y = X.astype("f4"), y[:, None].astype("f4")
        coefs, intercepts = [np.ones((3, 2), "f4"), np.ones((2, 1), "f4")], [np.ones(2, "f4"), np.ones(1, "f4")]
        options = {"out_activation": "identity", "loss": "squared_error"}
        J, grads, _ = textbook.loss_and_gradient(X, Y, coefs, intercepts, **options)
        for factor in (1e36, 1e-36):
            weights = np.full(len(y), factor)
            found = textbook.loss_and_gradient(X, Y, coefs, intercepts, **options, sample_weight=weights)
            assert found[0] == pytest.approx(J, rel=1e-6)
            assert_allclose(found[1][0], grads[0], rtol=1e-4)


class TestWeightsThatDecay:
    @pytest.mark.parametrize("decay", [1.0, 10.0])
    @pytest.mark.parametrize("batch_size", [1, 7])
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_train_in_single_precision(self, solver, batch_size, decay):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(400, 5)).astype("f4")
        y = X[:, 0] > 0
        weights = np.exp(-decay * np.arange(400) / 4)
        clf = BackpropClassifier((10,), solver=solver, alpha=0.0, batch_size=batch_size, max_iter=100, random_state=0)
        clf.fit(X, y, sample_weight=weights)
        assert np.isfinite(clf.loss_curve_).all()
        assert clf.score(X, y, sample_weight=weights) > 0.9

    @pytest.mark.parametrize("dtype", SPREAD)
    def test_count_as_zero_where_they_are_negligible(self, dtype):
        weights = np.ldexp(1.0, [0, -SPREAD[dtype], -SPREAD[dtype] - 1, -1070])
        assert_array_equal(without_negligible(weights, dtype), [*weights[:2], 0, 0])


def test_ordinary_weights_stay_as_they_are():
    weights = np.array([0.0, 1e-30, 1000.0])
    found, unit = in_unit(weights)
    assert found is weights
    assert unit == 0


def test_a_unit_is_exact():
    weights = np.array([0.0, 1e280, 1.1e300])
    found, unit = product_in_unit([weights, weights])
    assert_array_equal(np.ldexp(found, unit // 2), weights * np.ldexp(weights, unit // 2 - unit))
    assert 0.5 <= found.max() <= 1
