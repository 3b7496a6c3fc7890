"""Losses for numbers that people ask for, and losses of the user's own."""

import pickle
import warnings

import numba
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import d2_pinball_score, mean_gamma_deviance, mean_pinball_loss
from sklearn.model_selection import GridSearchCV

from fastbp import BackpropClassifier, BackpropRegressor, textbook
from fastbp.kernels import user_loss
from fastbp.kernels.compiling import jit
from support.classifiers import iris

CONSTANT = {"hidden_layer_sizes": (), "alpha": 0, "solver": "gd", "random_state": 0}  # only the bias can learn


def skewed(n=400):
    """Numbers with a long tail, and features that say nothing about them."""
    return np.zeros((n, 2)), np.random.default_rng(0).gamma(2.0, size=n)


def linear(n=300):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 4))
    return X, X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=n) * (1 + (X[:, 0] > 0))


def assert_same_weights(one, other, rtol=0.0):
    for ours, theirs in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.filterwarnings("ignore:Gradient descent")
class TestTheBestConstant:
    def fitted(self, **params):
        X, y = skewed()
        reg = BackpropRegressor(**{**CONSTANT, "learning_rate_init": 0.02, "max_iter": 4000, **params}).fit(X, y)
        return reg.predict(X[:1])[0], y

    def test_of_the_absolute_error_is_the_median(self):
        found, y = self.fitted(loss="absolute_error")
        assert found == pytest.approx(np.median(y), abs=0.03)

    @pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
    def test_of_the_pinball_loss_is_the_quantile(self, q):
        found, y = self.fitted(loss="quantile", quantile=q)
        assert found == pytest.approx(np.quantile(y, q), abs=0.03)

    def test_of_the_gamma_deviance_is_the_mean(self):
        found, y = self.fitted(loss="gamma")
        assert found == pytest.approx(y.mean(), rel=1e-5)

    @pytest.mark.parametrize("delta", [0.1, 0.5, 3.0])
    def test_of_huber_minimises_the_sum_of_bounded_squares(self, delta):
        found, y = self.fitted(loss="huber", huber_delta=delta)
        assert np.clip(found - y, -delta, delta).mean() == pytest.approx(0, abs=0.01)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestOptions:
    def test_huber_with_a_large_delta_is_the_squared_error(self):
        params = {"hidden_layer_sizes": (7,), "max_iter": 20, "random_state": 0}
        huber = BackpropRegressor("huber", huber_delta=1e6, **params).fit(*linear())
        assert_same_weights(huber, BackpropRegressor(**params).fit(*linear()), rtol=1e-12)

    def test_several_outputs_have_the_same_quantile(self):
        X, y = linear()
        Y = np.column_stack([y, -y])
        reg = BackpropRegressor("quantile", quantile=0.9, max_iter=300, random_state=0).fit(X, Y)
        assert reg.predict(X).shape == Y.shape
        np.testing.assert_allclose((reg.predict(X) > Y).mean(axis=0), 0.9, atol=0.05)

    @pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "gamma"])
    def test_the_loss_is_the_mean_cost(self, loss):
        X, y = linear()
        y = np.exp(y / 4) if loss == "gamma" else y
        params = {"alpha": 0, "max_iter": 1, "quantile": 0.3, "huber_delta": 0.7, "random_state": 0}
        reg = BackpropRegressor(loss, **params).fit(X, y, X_val=X, y_val=y)
        a, r = reg.predict(X), reg.predict(X) - y
        expected = {
            "absolute_error": lambda: abs(r).mean(),
            "huber": lambda: np.where(abs(r) < 0.7, r**2 / 2, 0.7 * (abs(r) - 0.35)).mean(),
            "quantile": lambda: mean_pinball_loss(y, a, alpha=0.3),
            "gamma": lambda: mean_gamma_deviance(y, a) / 2,
        }
        assert reg.validation_loss_curve_[-1] == pytest.approx(expected[loss](), rel=1e-10)

    @pytest.mark.parametrize(
        ("params", "y", "message"),
        [
            ({"loss": "quantile", "quantile": [0.9, 0.1]}, None, "quantile must be .* in increasing order, got "),
            ({"loss": "quantile", "quantile": [0.1, 0.1]}, None, "quantile must be .* in increasing order, got "),
            ({"loss": "quantile", "quantile": []}, None, r"quantile must be .*, got \[\]"),
            ({"loss": "quantile", "quantile": ["0.1"]}, None, r"quantile must be .*, got \['0.1'\]"),
            ({"loss": "quantile", "quantile": 1.0}, None, "'quantile' parameter"),
            ({"loss": "huber", "huber_delta": 0.0}, None, "'huber_delta' parameter"),
            ({"loss": "quantile", "quantile": [0.1, 0.9]}, np.ones((300, 2)), "y must have one column for several"),
            ({"loss": "gamma"}, np.zeros(300), r"loss='gamma' needs y > 0, but the least y is .*0\.0"),
            ({"loss": "gamma", "dtype": "float32"}, np.full(300, 1e-50), "too small for dtype\\('float32'\\)"),
        ],
    )
    def test_a_wrong_value_is_refused(self, params, y, message):
        X, right = linear()
        with pytest.raises(ValueError, match=message):
            BackpropRegressor(**params).fit(X, right if y is None else y)

    def test_a_validation_set_without_positive_numbers_is_refused_for_gamma(self):
        X, y = linear()
        with pytest.raises(ValueError, match=r"In the validation set .*loss='gamma' needs y > 0"):
            BackpropRegressor("gamma").fit(X, np.exp(y), X_val=X, y_val=y)


QUANTILES = [0.1, 0.5, 0.9]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestSeveralQuantiles:
    def fitted(self, **params):
        params = {"quantile": QUANTILES, "max_iter": 300, "random_state": 0, **params}
        return BackpropRegressor("quantile", (20,), **params).fit(*linear())

    @pytest.mark.filterwarnings("ignore:The predicted quantiles")
    def test_each_is_an_output(self):
        X, y = linear()
        reg = self.fitted()
        found = reg.predict(X)
        assert found.shape == (300, 3)
        np.testing.assert_allclose((y[:, None] < found).mean(axis=0), QUANTILES, atol=0.05)
        scores = [d2_pinball_score(y, found[:, k], alpha=q) for k, q in enumerate(QUANTILES)]
        assert reg.score(X, y) == pytest.approx(np.mean(scores))

    @pytest.mark.filterwarnings("ignore:The predicted quantiles")
    def test_early_stopping_watches_the_score_on_the_validation_set(self):
        X, y = linear()
        reg = self.fitted(early_stopping=True).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
        assert reg.best_validation_score_ == pytest.approx(reg.score(X[200:], y[200:]))

    def test_predictions_that_cross_are_reported(self):
        X, y = linear()
        reg = self.fitted(max_iter=1)
        reg.coefs_[-1][:], reg.intercepts_[-1][:] = 0, [1.0, 0.0, 2.0]
        with pytest.warns(UserWarning, match="quantiles of 5 of 5 examples cross") as caught:
            reg.predict(X[:5])
        assert caught[0].filename == __file__
        reg.score(X, y)  # without the warning
        reg.intercepts_[-1][:] = [0.0, 1.0, 2.0]
        reg.predict(X[:5])

    def test_a_score_leaves_the_filters_of_other_threads_alone(self, monkeypatch):
        reg, predict, seen = self.fitted(max_iter=1), BackpropRegressor.predict, []
        monkeypatch.setattr(BackpropRegressor, "predict", lambda *a: seen.append(warnings.filters[:]) or predict(*a))
        reg.score(*linear())
        assert seen == [warnings.filters]

    def test_another_number_of_quantiles_needs_a_new_fit(self):
        reg = self.fitted(max_iter=1).set_params(quantile=[0.1, 0.9])
        with pytest.raises(ValueError, match=r"quantile must stay as long as in the previous fit, which has 3 outputs"):
            reg.partial_fit(*linear())

    def test_a_named_scorer_is_refused_as_monitor(self):
        with pytest.raises(ValueError, match="monitor must be 'score', 'loss' or a callable for several quantiles"):
            self.fitted(early_stopping=True, monitor="r2")

    def test_partial_fit_and_a_list_of_one_work(self):
        X, y = linear()
        reg = BackpropRegressor("quantile", quantile=QUANTILES, random_state=0).partial_fit(X, y).partial_fit(X, y)
        assert reg.n_outputs_ == 3
        one = BackpropRegressor("quantile", quantile=[0.3], random_state=0, max_iter=3).fit(X, y)
        assert_same_weights(one, BackpropRegressor("quantile", quantile=0.3, random_state=0, max_iter=3).fit(X, y))
        assert one.predict(X).shape == y.shape


# ---------------------------------------------------------------- losses of the user's own


def squares(z, y):
    cost = 0.0
    for k in range(z.size):
        cost += 0.5 * (z[k] - y[k]) ** 2
    return cost


def squares_gradient(z, y, out):
    out[:] = z - y


def wrong_gradient(z, y, out):
    out[:] = 2 * (z - y)


def focal(z, y):
    """Focal loss of independent logistic outputs, with gamma = 2 (Lin et al. 2017)."""
    p = 1 / (1 + np.exp(-z))
    t = y * p + (1 - y) * (1 - p)
    return -np.sum((1 - t) ** 2 * np.log(t))


def focal_gradient(z, y, out):
    for k in range(z.size):
        sign = 2 * y[k] - 1
        t = 1 / (1 + np.exp(-sign * z[k]))
        out[k] = sign * (1 - t) ** 2 * (2 * t * np.log(t) - (1 - t))


def returned(z, y, out):
    return z - y


def partial(z, y, out):
    out[0] = z[0] - y[0]


def failing(z, y):
    if y[0] > 3:
        raise ValueError("too large")
    return 0.0


SMALL = {"hidden_layer_sizes": (7,), "max_iter": 10, "random_state": 0}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")
class TestUserLoss:
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_trained_like_a_loss_of_ours(self, solver, dtype):
        X, y = linear()
        Y, params = np.column_stack([y, y**2]), {**SMALL, "solver": solver, "dtype": dtype, "max_iter": 3}
        found = BackpropRegressor((squares, squares_gradient), **params).fit(X, Y)
        expected = BackpropRegressor(**params).fit(X, Y)
        assert_same_weights(found, expected, rtol=1e-9 if dtype == "float64" else 1e-3)
        assert found.loss_ == pytest.approx(expected.loss_, rel=1e-5)

    def test_threads_give_the_same_bits(self):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(4000, 30)), rng.normal(size=4000)
        params = {"hidden_layer_sizes": (200,), "max_iter": 2, "random_state": 0}
        assert_same_weights(
            *(BackpropRegressor((squares, squares_gradient), n_jobs=n, **params).fit(X, y) for n in (1, 2))
        )

    def test_of_classes_gets_one_output_for_each(self):
        X, y = iris()
        params = {**SMALL, "max_iter": 200, "learning_rate_init": 0.02}
        clf = BackpropClassifier(loss=(focal, focal_gradient), **params).fit(X, y)
        assert clf.out_activation_ == "logistic"
        assert clf.n_outputs_ == 3
        assert clf.score(X, y) > 0.9
        assert clf.predict_proba(X).shape == (150, 3)

    def test_takes_any_output_activation_for_its_predictions(self):
        X, y = linear()
        reg = BackpropRegressor((squares, squares_gradient), out_activation="exp", **SMALL).fit(X, y)
        assert (reg.predict(X) > 0).all()

    def test_is_compiled_once(self):
        X, y = linear()
        pair = numba.njit(squares), numba.njit(squares_gradient)
        user_loss.kernel_of.cache_clear()
        for _ in range(3):
            BackpropRegressor(pair, **SMALL).fit(X, y)
        assert user_loss.kernel_of.cache_info().misses == 1
        assert not any("user_loss" in kernel.__name__ for kernel in jit.KEPT)

    def test_model_can_be_copied_searched_and_stored(self):
        X, y = linear()
        reg = BackpropRegressor((squares, squares_gradient), **SMALL).fit(X, y)
        assert clone(reg).loss == reg.loss
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(reg)).predict(X), reg.predict(X))
        search = GridSearchCV(reg, {"loss": ["squared_error", (squares, squares_gradient)]}, cv=2).fit(X, y)
        scores = search.cv_results_["mean_test_score"]
        assert scores[0] == pytest.approx(scores[1], rel=1e-9)

    def test_gradient_can_be_checked(self):
        rng = np.random.default_rng(2)
        problem = rng.normal(size=(9, 4)), rng.integers(2, size=(9, 3)), [rng.normal(size=(4, 3))], [np.zeros(3)]
        options = {"activation": [], "out_activation": "identity"}
        assert textbook.check_gradient(*problem, loss=(focal, focal_gradient), **options) < 1e-6
        assert textbook.check_gradient(*problem, loss=(squares, wrong_gradient), **options) > 0.1

    def test_that_numba_cannot_compile_is_refused_by_the_textbook_too(self):
        problem = np.ones((2, 1)), np.ones((2, 1)), [np.ones((1, 1))], None
        options = {"activation": [], "out_activation": "identity"}
        with pytest.raises(ValueError, match=r"loss=\(<lambda>, squares_gradient\) must be two functions that Numba"):
            textbook.loss_and_gradient(*problem, loss=(lambda z, y: object(), squares_gradient), **options)

    def test_gradient_that_returns_its_result_or_fills_out_in_part_is_refused(self):
        X, y = linear()
        with pytest.raises(ValueError, match=r"puts dC/dz into out and returns nothing, but returned returns array"):
            BackpropRegressor((squares, returned), **SMALL).fit(X, y)
        with pytest.raises(ValueError, match=r"Training diverged .* or the gradient left elements of out unset"):
            BackpropRegressor((squares, partial), **SMALL).fit(X, np.column_stack([y, y]))

    def test_error_ends_the_fit(self):
        X, y = linear()
        with pytest.raises(ValueError, match=r"Training diverged in epoch 1: .* a function of your loss raised"):
            BackpropRegressor((failing, squares_gradient), **SMALL).fit(X, abs(y) + 1)

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            ((squares,), "loss must be a name or a tuple of two functions"),
            ((20, 10), r"got \(20, 10\)\. Did you mean hidden_layer_sizes=\(20, 10\)\?"),
            ((squares, squares_gradient, squares), "loss must be a name or a tuple of two functions"),
            (("squared_error", "huber"), "loss must be a name or a tuple of two functions"),
            ((len, squares_gradient), "loss must be a name or a tuple of two functions"),
            ((lambda z, y: object(), squares_gradient), "must be two functions that Numba compiles"),
            ((lambda z: 0.0, squares_gradient), "must be two functions that Numba compiles"),
        ],
    )
    def test_that_is_none_is_refused(self, loss, message):
        with pytest.raises(ValueError, match=message):
            BackpropRegressor(loss).fit(*linear())
