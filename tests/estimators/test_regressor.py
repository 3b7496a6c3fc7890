"""Promises of BackpropRegressor beyond parity: scikit-learn's checks, errors, losses, state."""

import pickle
import re
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp import BackpropRegressor
from fastbp.training.observer import watch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = [
    "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "selu", "mish",
    "hard_swish",
]  # fmt: skip
LOSSES = [
    "squared_error", "poisson", "mean_squared_error", "euclidean", "absolute_error", "huber", "quantile", "gamma",
]  # fmt: skip
SOLVERS = ["gd", "sgd", "adam", "lbfgs"]

# NOT_APPLICABLE: scikit-learn's checks that have nothing to check here. Any other skipped check fails, because a skip
# is not a pass.
NOT_APPLICABLE = {
    "check_array_api_input": "scikit-learn leaves it out unless SCIPY_ARRAY_API is set",
    "check_regressor_data_not_an_array": "needs pandas",
    "check_sample_weights_pandas_series": "needs pandas",
}


def diabetes(n_outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """X is standardised, and y is above zero, as every loss needs. Several outputs are different functions of X."""
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:150], y[:150] / 75
    return X, y if n_outputs == 1 else np.column_stack([y, np.exp(X[:, 2] / 2), 3 + np.tanh(X[:, 8])])[:, :n_outputs]


def small(**params) -> BackpropRegressor:
    return BackpropRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def outputs(reg: BackpropRegressor, X: np.ndarray) -> np.ndarray:
    """The output layer of a network with tanh hidden layers, by NumPy from its public parameters."""
    a = X
    for coef, intercept in zip(reg.coefs_[:-1], reg.intercepts_[:-1], strict=True):
        a = np.tanh(a @ coef + intercept)
    z = a @ reg.coefs_[-1] + reg.intercepts_[-1]
    return {"identity": lambda z: z, "exp": np.exp, "tanh": np.tanh}[reg.out_activation_](z)


def assert_same_weights(reg: BackpropRegressor, other: BackpropRegressor) -> None:
    for a, b in zip(reg.coefs_ + reg.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        BackpropRegressor(max_iter=100),
        BackpropRegressor(solver="lbfgs", max_iter=50),
        BackpropRegressor(solver="gd", learning_rate_init=0.01, activation="tanh"),
        BackpropRegressor(solver="sgd", max_iter=100, n_jobs=2),
        BackpropRegressor("poisson", solver="lbfgs", max_iter=50),
        BackpropRegressor("euclidean", (20, 10), ["gelu", "tanh"], max_iter=100),
        BackpropRegressor("huber", max_iter=100, learning_rate="flat_cosine", weight_decay=0.01, max_grad_norm=1),
    ]
)
def test_scikit_learn_check(estimator, check):
    if estimator.loss == "poisson" and check.func.__name__ == "check_regressor_multioutput":
        pytest.skip("its y has negative numbers, whatever the tags of the estimator say")
    try:
        check(estimator)
    except SkipTest as skipped:
        if check.func.__name__ not in NOT_APPLICABLE:
            pytest.fail(f"skipped: {skipped}")
        raise


def test_as_many_scikit_learn_checks_as_for_mlp_regressor():
    def names(estimator):
        return [check.func.__name__ for _, check in estimator_checks_generator(estimator)]

    ours, theirs = names(BackpropRegressor()), names(MLPRegressor())
    assert len(ours) >= len(theirs)
    assert set(ours) >= set(theirs)


class TestErrors:
    """Each error names the parameter, the value given and what would be right."""

    @pytest.mark.parametrize(
        ("name", "value", "right"),
        [
            ("loss", "log_loss", LOSSES),
            ("loss", "hinge", LOSSES),
            ("out_activation", "softmax", ["auto", "exp", *ACTIVATIONS]),
            ("activation", "exp", ACTIVATIONS),
            ("solver", "newton", SOLVERS),
            ("dtype", "float16", ["auto", "float32", "float64"]),
            ("alpha", -1.0, ["0"]),
            ("batch_size", 0, ["auto", "1"]),
            ("learning_rate_init", 0.0, ["0"]),
            ("max_iter", 0, ["1"]),
            ("n_iter_no_change", 0, ["1"]),
            ("validation_fraction", 1.0, ["0", "1"]),
            ("gtol", -0.5, ["0"]),
            ("n_jobs", 0, ["None", "-1"]),
        ],
    )
    def test_parameter_out_of_its_range(self, name, value, right):
        X, y = diabetes()
        with pytest.raises((ValueError, TypeError)) as error:
            small(**{name: value}).fit(X, y)
        assert name in str(error.value)
        assert str(value) in str(error.value)
        assert all(legal in str(error.value) for legal in right)

    def test_there_are_no_class_weights(self):
        with pytest.raises(TypeError, match="class_weight"):
            BackpropRegressor(class_weight="balanced")

    @pytest.mark.parametrize(
        ("loss", "out_activation", "legal"),
        [
            ("poisson", "identity", ["exp"]),
            ("poisson", "softplus", ["exp"]),
            ("squared_error", "exp", ACTIVATIONS),
            ("mean_squared_error", "exp", ACTIVATIONS),
            ("euclidean", "exp", ACTIVATIONS),
        ],
    )
    def test_loss_and_output_that_do_not_go_together(self, loss, out_activation, legal):
        X, y = diabetes()
        with pytest.raises(ValueError, match="out_activation") as error:
            small(loss=loss, out_activation=out_activation).fit(X, y)
        assert loss in str(error.value)
        assert out_activation in str(error.value)
        assert all(name in str(error.value) for name in legal)

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_poisson_refuses_negative_targets(self, n_outputs, solver):
        X, y = diabetes(n_outputs)
        y[7] = -0.25
        with pytest.raises(ValueError, match=r"loss='poisson' needs y >= 0.*-0\.25"):
            small(loss="poisson", solver=solver).fit(X, y)

    def test_poisson_refuses_negative_targets_of_a_validation_set(self):
        X, y = diabetes()
        with pytest.raises(ValueError, match=r"loss='poisson' needs y >= 0"):
            small(loss="poisson").fit(X, y, X_val=X[:5], y_val=-y[:5])

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_non_finite_X_or_y(self, value):
        X, y = diabetes()
        reg = small().fit(X, y)
        for bad in (X, y):
            kept, bad[3] = bad[3].copy(), value
            for method in (small().fit, reg.partial_fit):
                with pytest.raises(ValueError, match=r"NaN|infinity"):
                    method(X, y)
            bad[3] = kept
        X[3, 1] = value
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            reg.predict(X)

    @pytest.mark.parametrize("dtype", ["float32", "auto"])
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_targets_beyond_the_dtype_of_the_model(self, n_outputs, dtype):
        X, y = diabetes(n_outputs)
        with pytest.raises(ValueError, match=r"y contains a value too large for dtype\('float32'\)"):
            small(dtype=dtype).fit(X.astype(np.float32), 1e39 * y)

    def test_targets_that_are_no_numbers(self):
        X, y = diabetes()
        with pytest.raises(ValueError, match="y must be numbers, got dtype <U4"):
            small().fit(X, np.where(y > 1, "high", "low"))

    def test_lengths_that_differ(self):
        X, y = diabetes()
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[150, 149\]"):
            small().fit(X, y[:-1])

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_weights_without_a_positive_value(self, solver):
        X, y = diabetes()
        for weight in (np.zeros(len(y)), -np.ones(len(y))):
            with pytest.raises(ValueError, match=r"(?i)sample.weight"):
                small(solver=solver).fit(X, y, sample_weight=weight)

    def test_wrong_number_of_features(self):
        X, y = diabetes()
        reg = small().fit(X, y)
        for method in (reg.predict, lambda X: reg.partial_fit(X, y)):
            with pytest.raises(ValueError, match="X has 3 features, but BackpropRegressor is expecting 10 features"):
                method(X[:, :3])

    @pytest.mark.parametrize("continuing", ["partial_fit", "warm_start"])
    def test_another_number_of_outputs(self, continuing):
        X, y = diabetes(3)
        reg = small(warm_start=continuing == "warm_start").fit(X, y)
        again = reg.partial_fit if continuing == "partial_fit" else reg.fit
        with pytest.raises(ValueError, match=r"\(5, 3\).*\(5, 2\)"):
            again(X, y[:, :2])

    def test_not_fitted(self):
        with pytest.raises(NotFittedError, match="BackpropRegressor"):
            small().predict(np.zeros((2, 4)))

    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_partial_fit_is_for_the_stochastic_solvers(self, solver):
        assert not hasattr(small(solver=solver), "partial_fit")
        with pytest.raises(AttributeError, match="partial_fit"):
            small(solver=solver).partial_fit  # noqa: B018

    def test_validation_set_of_one_row(self):
        X, y = diabetes()
        with pytest.raises(ValueError, match=r"validation_fraction=0\.001"):
            small(early_stopping=True, validation_fraction=0.001).fit(X, y)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(("solver", "rate"), [("gd", 1e6), ("sgd", 1e6), ("adam", 1e200)])
    @pytest.mark.parametrize("loss", ["squared_error", "poisson"])
    def test_divergence_says_in_which_epoch_and_what_to_change(self, loss, solver, rate, dtype):
        X, y = diabetes()
        reg = small(loss=loss, solver=solver, learning_rate_init=rate, activation="identity", max_iter=100, dtype=dtype)
        reg.set_params(hidden_layer_sizes=(10, 10), tol=0.0, n_iter_no_change=1000)
        message = rf"diverged in epoch \d+.*lower learning_rate_init, which is {re.escape(f'{rate:g}')}"
        with pytest.raises(ValueError, match=message):
            reg.fit(X, y)
        assert not hasattr(reg, "coefs_")

    def test_lbfgs_that_diverges_says_so(self):
        X, y = diabetes()
        with pytest.raises(ValueError, match="Scale the features"), np.errstate(all="ignore"):
            small(solver="lbfgs", activation="identity").fit(1e200 * X, y)

    def test_a_failed_fit_leaves_the_previous_model(self):
        X, y = diabetes()
        reg = small().fit(X, y)
        before = reg.predict(X)
        with pytest.raises(ValueError, match="diverged"):
            reg.set_params(solver="sgd", activation="identity", learning_rate_init=1e300).fit(X[:, :2], y)
        reg.set_params(activation="relu")
        assert_array_equal(reg.predict(X), before)
        assert reg.n_features_in_ == 10


class TestOutputs:
    @pytest.mark.parametrize("n_outputs", [1, 2, 3])
    @pytest.mark.parametrize(
        ("loss", "out_activation"), [*((loss, "auto") for loss in LOSSES), ("squared_error", "tanh")]
    )
    def test_predictions_are_the_outputs(self, loss, out_activation, n_outputs):
        X, y = diabetes(n_outputs)
        reg = small(loss=loss, out_activation=out_activation, activation="tanh", hidden_layer_sizes=(5, 4)).fit(X, y)
        expected = {"auto": "exp" if loss in ("poisson", "gamma") else "identity"}.get(out_activation, out_activation)
        assert reg.out_activation_ == expected
        assert reg.n_outputs_ == n_outputs
        assert reg.predict(X).shape == y.shape
        assert_allclose(reg.predict(X).reshape(len(y), -1), outputs(reg, X), rtol=1e-12, atol=1e-14)

    def test_a_column_of_targets_warns_and_is_a_vector(self):
        X, y = diabetes()
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
            reg = small().fit(X, y[:, np.newaxis])
        assert reg.predict(X).shape == y.shape
        assert_same_weights(reg, small().fit(X, y))

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_score_is_the_weighted_r2_averaged_over_the_outputs(self, n_outputs):
        X, y = diabetes(n_outputs)
        weight = np.random.default_rng(0).uniform(0, 2, len(y))
        reg = small().fit(X, y)
        residual, spread = (y - reg.predict(X)) ** 2, (y - np.average(y, axis=0, weights=weight)) ** 2
        r2 = 1 - (weight @ residual) / (weight @ spread)
        assert reg.score(X, y, sample_weight=weight) == pytest.approx(np.mean(r2))

    def test_several_outputs_that_share_nothing_are_those_of_fits_of_one_output(self):
        # without hidden layers the outputs share no weights, and full-batch gradient descent has no memory
        X, y = diabetes(3)
        params = {"hidden_layer_sizes": (), "solver": "gd", "learning_rate_init": 0.1, "alpha": 0.0, "max_iter": 1}
        starts = {"coefs_": [np.zeros((10, 3))], "intercepts_": [np.zeros(3)]}
        together = small(**params, warm_start=True).fit(X, y)
        vars(together).update(starts)
        together.set_params(max_iter=30).fit(X, y)
        for k in range(3):
            single = small(**params, warm_start=True).fit(X, y[:, k])
            single.coefs_, single.intercepts_ = [np.zeros((10, 1))], [np.zeros(1)]
            single.set_params(max_iter=30).fit(X, y[:, k])
            assert_allclose(together.coefs_[0][:, k], single.coefs_[0][:, 0], rtol=1e-9)


class TestTraining:
    @pytest.mark.parametrize("n_outputs", [1, 3])
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_solver_minimises_every_loss(self, solver, loss, n_outputs):
        X, y = diabetes(n_outputs)
        rate = {"quantile": 0.1}.get(loss, 0.02)  # its gradients are small
        if (loss, solver) == ("gamma", "sgd"):  # its gradients are large where an output is too small
            rate = 0.002
        params = {"solver": solver, "loss": loss, "activation": "tanh", "learning_rate_init": rate}
        first = small(**params, max_iter=1).fit(X, y)
        reg = small(**params, max_iter=150).fit(X, y)
        assert reg.loss_ < 0.7 * first.loss_curve_[0]
        assert reg.score(X, y) > 0.15

    @pytest.mark.parametrize("out_activation", ACTIVATIONS)
    def test_every_activation_learns_as_output(self, out_activation):
        X, y = diabetes()
        params = {"out_activation": out_activation, "learning_rate_init": 0.01, "activation": "tanh"}
        first = small(**params, max_iter=1).fit(X, y / 8)
        assert small(**params, max_iter=60).fit(X, y / 8).loss_ < first.loss_

    def test_activations_per_layer(self):
        X, y = diabetes()
        one = small(hidden_layer_sizes=(6, 5), activation="tanh").fit(X, y)
        assert_same_weights(one, small(hidden_layer_sizes=(6, 5), activation=["tanh", "tanh"]).fit(X, y))
        mixed = small(hidden_layer_sizes=(6, 5), activation=("tanh", "relu")).fit(X, y)
        h = np.maximum(np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1] + mixed.intercepts_[1], 0)
        assert_allclose(mixed.predict(X), (h @ mixed.coefs_[2] + mixed.intercepts_[2])[:, 0], rtol=1e-12)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_mean_squared_error_is_twice_squared_error(self, n_outputs):
        X, y = diabetes(n_outputs)
        params = {"solver": "gd", "alpha": 0.0, "max_iter": 20}
        half = small(**params, loss="squared_error", learning_rate_init=0.02).fit(X, y)
        whole = small(**params, loss="mean_squared_error", learning_rate_init=0.01).fit(X, y)
        assert_same_weights(half, whole)
        assert_allclose(whole.loss_curve_, 2 * np.array(half.loss_curve_), rtol=1e-15)

    def test_euclidean_of_one_output_is_the_absolute_error(self):
        # the best constant is the median; gradient descent ends within a step of it
        X, y = diabetes()
        reg = small(loss="euclidean", hidden_layer_sizes=(), solver="gd", learning_rate_init=0.01, alpha=0.0)
        reg.set_params(max_iter=3000).fit(np.zeros_like(X), y)
        assert reg.intercepts_[0][0] == pytest.approx(np.median(y), abs=0.01)
        assert reg.loss_ == pytest.approx(np.abs(y - np.median(y)).mean(), rel=1e-3)
        assert abs(np.mean(y) - np.median(y)) > 0.05

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_outliers_sway_euclidean_less_than_squared_error(self, n_outputs):
        X, y = diabetes(n_outputs)
        spoilt = y.copy()
        spoilt[::15] += 50.0
        clean = np.arange(len(y)) % 15 != 0

        def error(loss, targets):
            reg = small(loss=loss, solver="adam", activation="tanh", learning_rate_init=0.02, max_iter=300, tol=0.0)
            return np.mean((reg.fit(X, targets).predict(X) - y)[clean] ** 2)

        assert error("squared_error", spoilt) > 5 * error("squared_error", y)
        assert error("euclidean", spoilt) < 2 * error("euclidean", y)

    def test_poisson_predicts_the_mean_count(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        mean = np.exp(1 + X[:, 0] - X[:, 1])
        reg = small(loss="poisson", hidden_layer_sizes=(), alpha=0.0, solver="lbfgs", max_iter=200)
        reg.fit(X, rng.poisson(mean))
        assert_allclose(reg.coefs_[0][:, 0], [1, -1], atol=0.1)
        assert_allclose(reg.predict(X), mean, rtol=0.15)

    def test_poisson_takes_zeros_alone(self):
        X, y = diabetes()
        reg = small(loss="poisson", max_iter=50).fit(X, 0 * y)
        assert np.isfinite(reg.loss_curve_).all()
        assert (reg.predict(X) > 0).all()

    def test_gd_stops_before_the_update_at_a_small_gradient(self):
        X, y = diabetes()
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        stopped = small(solver="gd", gtol=1e9).fit(X, y)
        assert_same_weights(start, stopped)
        assert stopped.converged_
        assert stopped.n_iter_ == 0
        assert len(stopped.loss_curve_) == 1

    @pytest.mark.filterwarnings("error")
    def test_gd_converges_and_warns_of_its_iteration_limit_only(self):
        X, y = diabetes()
        params: dict[str, Any] = {"solver": "gd", "learning_rate_init": 0.1, "activation": "tanh", "alpha": 30.0}
        reg = small(**params, gtol=1e-3, max_iter=2000).fit(X, y)
        assert 1 < reg.n_iter_ < 2000
        assert reg.converged_
        with pytest.warns(ConvergenceWarning):
            reg = small(**params, gtol=0.0, max_iter=3).fit(X, y)
        assert reg.n_iter_ == 3
        assert not reg.converged_

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize(
        ("dtype", "given", "expected"),
        [("auto", "float32", "float32"), ("auto", "int64", "float64"), ("float32", "float64", "float32")],
    )
    def test_dtype(self, dtype, given, expected, solver):
        X, y = diabetes()
        X = X.astype(given)
        reg = small(dtype=dtype, solver=solver).fit(X, y)
        assert {array.dtype for array in reg.coefs_ + reg.intercepts_} == {np.dtype(expected)}
        assert reg.predict(X).dtype == ("float32" if given == "float32" else "float64")

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_scaled_targets_far_from_zero_keep_their_precision_in_float32(self, n_outputs):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(500, n_outputs))
        y = np.squeeze(1.7e12 + 100 * X)
        reg = small(dtype="float32", hidden_layer_sizes=(), solver="lbfgs", max_iter=50)
        model = TransformedTargetRegressor(reg, transformer=StandardScaler()).fit(X, y)
        assert model.regressor_.coefs_[0].dtype == np.float32
        assert model.score(X, y) > 0.999
        assert model.predict(X[:1]).dtype == np.float64

    @pytest.mark.parametrize(
        ("X_dtype", "y_dtype", "expected"),
        [
            ("float64", "float64", "float64"),
            ("float64", "int64", "float64"),
            ("float32", "float64", "float32"),  # as in scikit-learn
            ("float64", "float32", "float32"),
        ],
    )
    def test_predictions_of_float32_weights_are_float64_if_the_data_were(self, X_dtype, y_dtype, expected):
        X, y = diabetes()
        reg = small(dtype="float32").fit(X.astype(X_dtype), (100 * y).astype(y_dtype))
        for Z in (X, X.astype("float32"), X[:1]):
            assert reg.predict(Z).dtype == expected
        assert reg.partial_fit(X, y).predict(X).dtype == "float64"
        assert pickle.loads(pickle.dumps(reg)).predict(X).dtype == "float64"

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_without_intercepts(self, solver):
        X, y = diabetes()
        reg = small(fit_intercept=False, solver=solver).fit(X, y)
        assert not any(intercept.any() for intercept in reg.intercepts_)
        assert_array_equal(reg.predict(np.zeros((1, 10))), [0.0])

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_warm_start_and_partial_fit_go_on(self, solver):
        X, y = diabetes()
        reg = small(solver=solver, warm_start=True).fit(X, y).fit(X, y)
        assert len(reg.loss_curve_) == 10
        assert reg.n_iter_ == 5
        assert len(reg.partial_fit(X, y).loss_curve_) == 11
        assert reg.loss_curve_[-1] < reg.loss_curve_[0]


class TestState:
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_pickle_round_trip(self, solver):
        X, y = diabetes(3)
        reg = small(solver=solver, loss="poisson").fit(X, y)
        copy = pickle.loads(pickle.dumps(reg))
        assert_array_equal(copy.predict(X), reg.predict(X))
        assert copy.get_params() == reg.get_params()

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_pickle_keeps_the_state_of_the_optimiser(self, solver):
        X, y = diabetes()
        reg = small(solver=solver).partial_fit(X, y).partial_fit(X, y)
        copy = pickle.loads(pickle.dumps(reg))
        assert_same_weights(reg.partial_fit(X, y), copy.partial_fit(X, y))

    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
    def test_interrupt_keeps_the_fitted_state(self, solver):
        def interrupt(epoch, max_iter, loss):
            if epoch == 3:
                raise KeyboardInterrupt

        X, y = diabetes()
        params = {"solver": solver, "learning_rate_init": 0.01}
        with watch(interrupt), pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            reg = small(**params, max_iter=50).fit(X, y)
        assert reg.n_iter_ == 3
        assert not reg.converged_
        assert_same_weights(reg, small(**params, max_iter=3).fit(X, y))

    def test_clone_and_parameters_round_trip(self):
        params = {"loss": "euclidean", "hidden_layer_sizes": [6, 5], "activation": ["tanh", "relu"], "n_jobs": 1}
        reg = BackpropRegressor(**params)
        assert reg.get_params().items() >= params.items()
        assert clone(reg).get_params() == reg.get_params()
        assert BackpropRegressor().set_params(**params).get_params() == reg.get_params()
        assert BackpropRegressor("poisson", (3,), "tanh").get_params()["loss"] == "poisson"

    def test_edited_weights_are_the_ones_that_predict(self):
        X, y = diabetes()
        reg = small(activation="tanh").fit(X, y)
        reg.coefs_[0][1] = 0.0  # in place: the second feature is pruned
        assert_allclose(reg.predict(X), outputs(reg, X)[:, 0], rtol=1e-12)
        reg.intercepts_ = [reg.intercepts_[0], reg.intercepts_[1] + 100.0]  # assigned
        assert_allclose(reg.predict(X), outputs(reg, X)[:, 0], rtol=1e-12)
        assert reg.predict(X).min() > 50

    def test_edited_weights_are_the_ones_that_partial_fit_continues_from(self):
        X, y = diabetes()
        reg = small(solver="sgd", learning_rate_init=1e-30, momentum=0.0, alpha=0.0).fit(X, y)
        reg.coefs_[0][1] = 0.25
        reg.intercepts_[1] = np.array([7.0])
        reg.partial_fit(X, y)
        assert_array_equal(reg.coefs_[0][1], np.full(5, 0.25))
        assert_array_equal(reg.intercepts_[1], [7.0])

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_edited_weights_that_do_not_fit_the_features_are_refused(self, form):
        X, y = diabetes()
        reg = small().fit(X, y)
        reg.coefs_[0] = np.ones((3, 5))
        with pytest.raises(ValueError, match=r"coefs_.*\(3, 5\).*\(10, 5\)"):
            reg.predict(form(X))

    def test_fit_leaves_parameters_and_data_alone(self):
        X, y = diabetes(3)
        weight = np.ones(len(y))
        reg = small(loss="poisson", activation=["tanh"])
        copies, params = [X.copy(), y.copy(), weight.copy()], dict(reg.get_params())
        reg.fit(X, y, sample_weight=weight)
        for array, copy in zip([X, y, weight], copies, strict=True):
            assert_array_equal(array, copy)
        assert reg.get_params() == params

    def test_works_in_a_pipeline_and_a_grid_search(self):
        X, y = diabetes()
        search = GridSearchCV(make_pipeline(StandardScaler(), small()), {"backpropregressor__alpha": [0.0, 1.0]}, cv=2)
        assert search.fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_numbers_written_as_strings_are_refused(loss):
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match="y must be numbers, got dtype <U"):
        BackpropRegressor(loss, (5,), max_iter=2).fit(X, np.arange(20).astype(str))
