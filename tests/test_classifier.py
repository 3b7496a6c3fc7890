"""What BackpropClassifier promises beyond parity: scikit-learn's checks, errors, probabilities, state."""

import pickle
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp import BackpropClassifier
from fastbp.kernels import backprop
from fastbp.training import observer as monitor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = ["identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu"]
LOSSES = ["log_loss", "binary_cross_entropy", "squared_error", "mean_squared_error", "euclidean"]
SOLVERS = ["gd", "sgd", "adam", "lbfgs"]

# The README's five published descriptions; learning rates and layer sizes are this problem's
TEXTBOOK: dict[str, dict[str, Any]] = {
    "closed form": {"activation": "logistic", "loss": "binary_cross_entropy", "alpha": 0, "learning_rate_init": 0.01},
    "accumulator": {
        "activation": "logistic",
        "loss": "binary_cross_entropy",
        "alpha": 0.1,
        "solver": "gd",
        "learning_rate_init": 0.5,
    },
    "chain of layers": {
        "hidden_layer_sizes": (6, 5),
        "activation": ["tanh", "softplus"],
        "out_activation": "logistic",
        "loss": "mean_squared_error",
        "fit_intercept": False,
        "alpha": 0,
        "learning_rate_init": 0.01,
    },
    "stationary point": {
        "hidden_layer_sizes": (6, 5),
        "activation": ["tanh", "logistic"],
        "out_activation": "logistic",
        "loss": "euclidean",
        "solver": "gd",
        "learning_rate_init": 1.0,
        "gtol": 1e-3,
        "alpha": 0,
    },
    "2-3-2 network": {
        "hidden_layer_sizes": (3,),
        "activation": "logistic",
        "loss": "squared_error",
        "solver": "sgd",
        "batch_size": 1,
        "momentum": 0,
        "alpha": 0,
        "learning_rate_init": 0.1,
    },
}

# Checks of scikit-learn that have nothing to check here. Any other skipped check fails: a skip is not a pass.
NOT_APPLICABLE = {
    "check_array_api_input": "scikit-learn leaves it out unless SCIPY_ARRAY_API is set",
    "check_classifiers_multilabel_output_format_decision_function": "there is no decision_function",
    "check_classifiers_multilabel_output_format_predict_proba": "there is none with an output that is no probability",
    "check_classifier_data_not_an_array": "needs pandas",
    "check_sample_weights_pandas_series": "needs pandas",
}


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def targets(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A small problem with targets of a kind."""
    X, y = iris()
    if kind == "binary":
        return X, (y == 0).astype(int)
    if kind == "multilabel":
        return X, np.column_stack([y == 0, y != 1, y == 2]).astype(int)
    return X, y


def small(**params) -> BackpropClassifier:
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def outputs(clf: BackpropClassifier, X: np.ndarray) -> np.ndarray:
    """Output layer of a network with tanh hidden layers, by NumPy from its public parameters."""
    a = X
    for coef, intercept in zip(clf.coefs_[:-1], clf.intercepts_[:-1], strict=True):
        a = np.tanh(a @ coef + intercept)
    z = a @ clf.coefs_[-1] + clf.intercepts_[-1]
    g = {"identity": lambda z: z, "logistic": expit, "tanh": np.tanh, "softmax": lambda z: softmax(z, axis=1)}
    return g[clf.out_activation_](z)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        BackpropClassifier(max_iter=100),
        BackpropClassifier(solver="lbfgs", max_iter=50),
        BackpropClassifier(solver="gd", learning_rate_init=0.3),
        BackpropClassifier(solver="sgd", learning_rate_init=0.1, max_iter=30, n_jobs=2),
        BackpropClassifier(activation="gelu", loss="squared_error", out_activation="identity", max_iter=100),
        # softplus: without biases a network of odd functions could not prefer a class everywhere
        BackpropClassifier(
            (20,), ["softplus"], solver="gd", loss="euclidean", fit_intercept=False, learning_rate_init=2
        ),
    ]
)
def test_scikit_learn_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        name = check.func.__name__
        if name not in NOT_APPLICABLE or ("predict_proba" in name and hasattr(estimator, "predict_proba")):
            pytest.fail(f"skipped: {skipped}")
        raise


def test_as_many_scikit_learn_checks_as_for_mlp_classifier():
    def names(estimator):
        return [check.func.__name__ for _, check in estimator_checks_generator(estimator)]

    ours, theirs = names(BackpropClassifier()), names(MLPClassifier())
    assert len(ours) >= len(theirs)
    assert set(ours) >= set(theirs)


class TestErrors:
    """Each names the parameter, the value given and what would be right."""

    @pytest.mark.parametrize(
        ("name", "value", "right"),
        [
            ("activation", "sigmoid", ACTIVATIONS),
            ("activation", "softmax", ACTIVATIONS),
            ("solver", "newton", SOLVERS),
            ("loss", "hinge", LOSSES),
            ("out_activation", "sigmoid", ["auto", "softmax", *ACTIVATIONS]),
            ("dtype", "float16", ["auto", "float32", "float64"]),
            ("learning_rate", "cosine", ["constant", "invscaling", "adaptive"]),
            ("alpha", -1.0, ["0"]),
            ("alpha", "strong", ["0"]),
            ("gtol", -0.5, ["0"]),
            ("n_jobs", 0, ["None", "-1"]),
            ("n_jobs", "two", ["None", "int"]),
            ("batch_size", 0, ["auto", "1"]),
            ("batch_size", -3, ["auto", "1"]),
            ("batch_size", "all", ["auto", "1"]),
            ("learning_rate_init", 0.0, ["0"]),
            ("power_t", -1.0, ["0"]),
            ("max_iter", 0, ["1"]),
            ("shuffle", "yes", ["bool"]),
            ("random_state", "lucky", ["int", "RandomState"]),
            ("tol", -1.0, ["0"]),
            ("warm_start", "maybe", ["bool"]),
            ("momentum", 1.5, ["0", "1"]),
            ("nesterovs_momentum", "on", ["bool"]),
            ("early_stopping", "on", ["bool"]),
            ("validation_fraction", 1.0, ["0", "1"]),
            ("beta_1", 1.0, ["0", "1"]),
            ("beta_2", -0.1, ["0", "1"]),
            ("epsilon", 0.0, ["0"]),
            ("n_iter_no_change", 0, ["1"]),
            ("max_fun", 0, ["1"]),
            ("fit_intercept", "always", ["bool"]),
            ("hidden_layer_sizes", 0, ["1"]),
        ],
    )
    def test_parameter_out_of_its_range(self, name, value, right):
        X, y = iris()
        with pytest.raises((ValueError, TypeError)) as error:
            small(**{name: value}).fit(X, y)
        message = str(error.value)
        assert name in message
        assert str(value) in message
        for legal in right:
            assert legal in message

    @pytest.mark.parametrize("sizes", [(0,), (5, -3), [4, 0]])
    def test_hidden_layer_without_units(self, sizes):
        X, y = iris()
        with pytest.raises(ValueError, match="hidden_layer_sizes") as error:
            small(hidden_layer_sizes=sizes).fit(X, y)
        assert str(list(sizes)) in str(error.value) or str(sizes) in str(error.value)

    def test_hidden_layer_with_half_a_unit(self):
        X, y = iris()
        with pytest.raises((ValueError, TypeError), match=r"hidden_layer_sizes.*2\.5"):
            small(hidden_layer_sizes=(4, 2.5)).fit(X, y)

    @pytest.mark.parametrize("activation", [["tanh"], ["tanh", "relu", "tanh"], []])
    def test_as_many_activations_as_hidden_layers(self, activation):
        X, y = iris()
        with pytest.raises(ValueError, match="activation") as error:
            small(hidden_layer_sizes=(5, 4), activation=activation).fit(X, y)
        # both numbers, so that the reader sees which of the two to change
        assert str(len(activation)) in str(error.value)
        assert "2" in str(error.value)

    def test_unknown_activation_in_a_list(self):
        X, y = iris()
        with pytest.raises(ValueError, match="activation") as error:
            small(hidden_layer_sizes=(5, 4), activation=["tanh", "sigmoid"]).fit(X, y)
        assert "sigmoid" in str(error.value)
        assert all(name in str(error.value) for name in ACTIVATIONS)

    @pytest.mark.parametrize(
        ("loss", "out_activation", "kind", "legal"),
        [
            ("log_loss", "identity", "multiclass", ["softmax"]),
            ("log_loss", "tanh", "binary", ["logistic"]),
            ("log_loss", "logistic", "multiclass", ["softmax"]),
            ("log_loss", "softmax", "binary", ["logistic"]),
            ("log_loss", "softmax", "multilabel", ["logistic"]),
            ("binary_cross_entropy", "softmax", "multiclass", ["logistic"]),
            ("binary_cross_entropy", "relu", "binary", ["logistic"]),
            ("squared_error", "softmax", "multiclass", ACTIVATIONS),
            ("mean_squared_error", "softmax", "multiclass", ACTIVATIONS),
            ("euclidean", "softmax", "multilabel", ACTIVATIONS),
        ],
    )
    def test_loss_and_output_that_do_not_go_together(self, loss, out_activation, kind, legal):
        X, y = targets(kind)
        with pytest.raises(ValueError, match="out_activation") as error:
            small(loss=loss, out_activation=out_activation).fit(X, y)
        message = str(error.value)
        assert loss in message
        assert out_activation in message
        assert all(name in message for name in legal)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_non_finite_X(self, value, dtype):
        X, y = iris()
        X = X.astype(dtype)
        clf = small().fit(X, y)
        X[3, 1] = value
        for method in (clf.predict, clf.predict_proba, lambda X: small().fit(X, y), lambda X: clf.partial_fit(X, y)):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                method(X)
        for rows in (X[3:4], X[:5]):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                clf.predict(rows)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_sample_weight_all_zero(self, solver):
        X, y = iris()
        with pytest.raises(ValueError, match=r"(?i)sample.weight"):
            small(solver=solver).fit(X, y, sample_weight=np.zeros(len(y)))

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_sample_weight_negative(self, solver):
        X, y = iris()
        weight = np.ones(len(y))
        weight[7] = -1.0
        with pytest.raises(ValueError, match=r"sample_weight"):
            small(solver=solver).fit(X, y, sample_weight=weight)

    def test_sample_weight_not_finite(self):
        X, y = iris()
        weight = np.ones(len(y))
        weight[7] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            small().fit(X, y, sample_weight=weight)

    def test_wrong_number_of_features(self):
        X, y = iris()
        clf = small().fit(X, y)
        for method in (clf.predict, clf.predict_proba, lambda X: clf.partial_fit(X, y)):
            with pytest.raises(ValueError, match="X has 3 features, but BackpropClassifier is expecting 4 features"):
                method(X[:, :3])

    def test_one_dimensional_X(self):
        X, y = iris()
        with pytest.raises(ValueError, match=r"Expected 2D array"):
            small().fit(X, y).predict(X[0])

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
    def test_not_fitted(self, method):
        with pytest.raises(NotFittedError, match="BackpropClassifier"):
            getattr(small(), method)(np.zeros((2, 4)))

    def test_edited_weights_that_do_not_compose(self):
        X, y = iris()
        clf = small().fit(X, y)
        clf.coefs_[0] = clf.coefs_[0][:, :3]
        with pytest.raises(ValueError, match=r"shape|compose|match|align|dimension"):
            clf.predict(X)

    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_partial_fit_is_for_the_stochastic_solvers(self, solver):
        assert not hasattr(small(solver=solver), "partial_fit")
        with pytest.raises(AttributeError, match="partial_fit"):
            small(solver=solver).partial_fit  # noqa: B018

    def test_partial_fit_needs_classes_first(self):
        X, y = iris()
        with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
            small().partial_fit(X, y)

    def test_partial_fit_with_other_classes(self):
        X, y = iris()
        clf = small().partial_fit(X, y, classes=[0, 1, 2])
        with pytest.raises(ValueError, match="classes"):
            clf.partial_fit(X, y, classes=[0, 1, 2, 3])
        with pytest.raises(ValueError, match="classes"):
            clf.partial_fit(X, y + 1)

    def test_warm_start_with_other_classes(self):
        X, y = iris()
        clf = small(warm_start=True).fit(X, y)
        with pytest.raises(ValueError, match="warm_start"):
            clf.fit(X, y + 1)

    def test_validation_set_of_one_row(self):
        X, y = iris()
        with pytest.raises(ValueError, match=r"validation_fraction|test_size"):
            small(early_stopping=True, validation_fraction=0.001).fit(X, y)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(("solver", "rate"), [("gd", 1e6), ("sgd", 1e6), ("adam", 1e200)])
    def test_divergence_says_what_to_change(self, solver, rate, dtype):
        X, y = iris()
        clf = small(
            solver=solver,
            learning_rate_init=rate,
            activation="identity",
            loss="squared_error",
            out_activation="identity",
            hidden_layer_sizes=(10, 10),
            max_iter=100,
            tol=0.0,
            n_iter_no_change=1000,
            dtype=dtype,
        )
        with pytest.raises(ValueError, match="learning_rate_init"):
            clf.fit(X, y)


class TestOutputs:
    @pytest.mark.parametrize(
        ("kind", "out_activation", "n_outputs"),
        [("binary", "logistic", 1), ("multiclass", "softmax", 3), ("multilabel", "logistic", 3)],
    )
    def test_log_loss_has_the_outputs_of_scikit_learn(self, kind, out_activation, n_outputs):
        X, y = targets(kind)
        for name in ("auto", out_activation):
            clf = small(out_activation=name).fit(X, y)
            assert clf.out_activation_ == out_activation
            assert clf.n_outputs_ == n_outputs
            assert clf.coefs_[-1].shape == (5, n_outputs)

    @pytest.mark.parametrize(("kind", "n_outputs"), [("binary", 2), ("multiclass", 3), ("multilabel", 3)])
    @pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "log_loss"])
    def test_other_losses_have_one_output_per_class(self, loss, kind, n_outputs):
        X, y = targets(kind)
        clf = small(loss=loss).fit(X, y)
        assert clf.out_activation_ == "logistic"
        assert clf.n_outputs_ == n_outputs
        assert clf.coefs_[-1].shape == (5, n_outputs)
        assert clf.predict_proba(X).shape == (len(y), n_outputs)
        assert clf.predict(X).shape == y.shape

    @pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error", "euclidean"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_single_label_probabilities_are_the_outputs_normalised(self, kind, loss):
        X, y = targets(kind)
        clf = small(loss=loss, activation="tanh", hidden_layer_sizes=(5, 4)).fit(X, y)
        a = outputs(clf, X)
        proba = clf.predict_proba(X)
        assert_allclose(proba, a / a.sum(axis=1, keepdims=True), rtol=1e-12)
        assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-14)
        assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-12)
        assert_array_equal(clf.predict(X), clf.classes_[a.argmax(axis=1)])
        assert clf.score(X, y) == np.mean(clf.predict(X) == y)

    @pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy", "squared_error"])
    def test_multilabel_probabilities_are_the_outputs_as_they_are(self, loss):
        X, y = targets("multilabel")
        clf = small(loss=loss, activation="tanh", max_iter=30, learning_rate_init=0.05).fit(X, y)
        a = outputs(clf, X)
        assert_allclose(clf.predict_proba(X), a, rtol=1e-12)
        assert_array_equal(clf.predict(X), (a >= 0.5).astype(int))

    def test_softmax_probabilities_are_exact(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        assert_allclose(clf.predict_proba(X), outputs(clf, X), rtol=1e-12)

    def test_probabilities_are_uniform_where_all_outputs_are_zero(self):
        X, y = iris()
        clf = small(loss="squared_error").fit(X, y)
        clf.coefs_[-1][:] = 0.0
        clf.intercepts_[-1][:] = -2000.0
        assert_array_equal(clf.predict_proba(X), np.full((len(y), 3), 1 / 3))
        assert_allclose(clf.predict_log_proba(X), np.log(1 / 3))
        assert_array_equal(clf.predict(X), np.zeros(len(y)))

    def test_label_is_present_from_one_half_on(self):
        X, y = targets("multilabel")
        clf = small(loss="binary_cross_entropy").fit(X, y)
        clf.coefs_[-1][:] = 0.0
        clf.intercepts_[-1][:] = [0.0, 1e-9, -1e-9]
        assert_array_equal(clf.predict(X), np.tile([1, 1, 0], (len(y), 1)))

    @pytest.mark.parametrize("out_activation", [name for name in ACTIVATIONS if name != "logistic"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_no_probabilities_from_an_output_that_is_none(self, kind, out_activation):
        X, y = targets(kind)
        clf = small(loss="squared_error", out_activation=out_activation)
        for fitted in (clf, clone(clf).fit(X, y)):
            for method in ("predict_proba", "predict_log_proba"):
                assert not hasattr(fitted, method)
                with pytest.raises(AttributeError, match=method):
                    getattr(fitted, method)
        assert set(np.unique(clf.fit(X, y).predict(X))) <= set(np.unique(y))

    @pytest.mark.parametrize("out_activation", ["identity", "tanh"])
    def test_predict_is_the_argmax_or_one_half_for_any_output(self, out_activation):
        for kind in ("binary", "multiclass", "multilabel"):
            X, y = targets(kind)
            clf = small(loss="mean_squared_error", out_activation=out_activation, activation="tanh").fit(X, y)
            a = outputs(clf, X)
            expected = (a >= 0.5).astype(int) if kind == "multilabel" else clf.classes_[a.argmax(axis=1)]
            assert_array_equal(clf.predict(X), expected)

    def test_probabilities_are_available_before_fit_where_they_will_be(self):
        assert hasattr(small(), "predict_proba")
        assert hasattr(small(loss="euclidean"), "predict_log_proba")

    def test_log_probabilities_of_nearly_certain_predictions(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        clf.coefs_[-1] *= 100.0
        z = np.tanh(X @ clf.coefs_[0] + clf.intercepts_[0]) @ clf.coefs_[-1] + clf.intercepts_[-1]
        assert np.ptp(z, axis=1).max() < 700  # so that no probability is zero
        assert_allclose(clf.predict_log_proba(X), log_softmax(z, axis=1), rtol=1e-9, atol=1e-15)


class TestTraining:
    @pytest.mark.parametrize("row", TEXTBOOK)
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_textbook_configuration_learns(self, row, kind):
        X, y = targets(kind)
        params = TEXTBOOK[row]
        first = small(**{**params, "max_iter": 1}).fit(X, y)
        clf = small(**{**params, "max_iter": 300}).fit(X, y)
        assert clf.loss_ < 0.6 * first.loss_
        assert clf.score(X, y) > 0.8
        assert_allclose(clf.predict_proba(X).sum(axis=1) if kind != "multilabel" else 1.0, 1.0, rtol=1e-12)

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_every_solver_minimises_every_loss(self, solver, loss):
        X, y = iris()
        params = {"solver": solver, "loss": loss, "activation": "tanh", "learning_rate_init": 0.05}
        first = small(**params, max_iter=1).fit(X, y)
        assert small(**params, max_iter=60).fit(X, y).loss_ < first.loss_

    @pytest.mark.parametrize("out_activation", ACTIVATIONS)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_every_activation_learns_hidden_and_as_output(self, activation, out_activation):
        X, y = iris()
        params = {
            "activation": activation,
            "out_activation": out_activation,
            "loss": "squared_error",
            "learning_rate_init": 0.01,
        }
        first = small(**params, max_iter=1).fit(X, y)
        assert small(**params, max_iter=60).fit(X, y).loss_ < first.loss_

    def test_activations_per_layer(self):
        X, y = iris()
        one = small(hidden_layer_sizes=(6, 5), activation="tanh").fit(X, y)
        listed = small(hidden_layer_sizes=(6, 5), activation=["tanh", "tanh"]).fit(X, y)
        mixed = small(hidden_layer_sizes=(6, 5), activation=("tanh", "relu")).fit(X, y)
        assert_array_equal(one.coefs_[0], listed.coefs_[0])
        assert not np.array_equal(one.coefs_[0], mixed.coefs_[0])
        h = np.maximum(np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1] + mixed.intercepts_[1], 0)
        z = h @ mixed.coefs_[2] + mixed.intercepts_[2]
        assert_allclose(mixed.predict_proba(X), softmax(z, axis=1), rtol=1e-12)

    @pytest.mark.parametrize(
        ("sizes", "shapes"),
        [
            ((), [(4, 3)]),
            ([], [(4, 3)]),
            (6, [(4, 6), (6, 3)]),
            (np.int64(6), [(4, 6), (6, 3)]),
            ([6, 5], [(4, 6), (6, 5), (5, 3)]),
            (np.array([6, 5]), [(4, 6), (6, 5), (5, 3)]),
            ((1,), [(4, 1), (1, 3)]),
        ],
        ids=str,
    )
    def test_hidden_layer_sizes(self, sizes, shapes):
        X, y = iris()
        clf = small(hidden_layer_sizes=sizes).fit(X, y)
        assert clf.n_layers_ == len(shapes) + 1
        assert [coef.shape for coef in clf.coefs_] == shapes
        assert [intercept.shape for intercept in clf.intercepts_] == [shape[1:] for shape in shapes]

    def test_no_hidden_layer_takes_an_empty_list_of_activations(self):
        X, y = iris()
        clf = small(hidden_layer_sizes=(), activation=[]).fit(X, y)
        assert_array_equal(clf.coefs_[0].shape, (4, 3))

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize(
        ("dtype", "given", "expected"),
        [
            ("auto", "float32", "float32"),
            ("auto", "float64", "float64"),
            ("auto", "int64", "float64"),
            ("float32", "float64", "float32"),
            ("float64", "float32", "float64"),
        ],
    )
    def test_dtype(self, dtype, given, expected, solver):
        X, y = iris()
        X = (10 * X).astype(given)
        clf = small(dtype=dtype, solver=solver).fit(X, y)
        assert {array.dtype for array in clf.coefs_ + clf.intercepts_} == {np.dtype(expected)}
        assert clf.predict_proba(X.astype(expected)).dtype == expected

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_without_intercepts(self, solver):
        X, y = iris()
        clf = small(fit_intercept=False, solver=solver, loss="squared_error", out_activation="tanh").fit(X, y)
        assert [intercept.shape for intercept in clf.intercepts_] == [(5,), (3,)]
        assert not any(intercept.any() for intercept in clf.intercepts_)
        # without biases relu and tanh map the origin to itself: no class wins there, and argmax takes the first
        assert_array_equal(clf.predict(np.zeros((1, 4))), clf.classes_[:1])

    @pytest.mark.parametrize("n_jobs", [None, 1, 2, 1000, -1, -2, -1000])
    def test_n_jobs_is_an_upper_bound(self, n_jobs):
        X, y = iris()
        assert_array_equal(small(n_jobs=n_jobs).fit(X, y).coefs_[0], small().fit(X, y).coefs_[0])

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_a_batch_whose_weights_are_all_zero_is_skipped(self, solver):
        # Nothing moves in such a batch, momentum and adam's clock included: it is as if its rows were not there.
        X, y = iris()
        X, y = X[::5], y[::5]
        weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
        skipped = np.r_[5:10, 20:25]
        weight[skipped] = 0.0
        kept = np.setdiff1d(np.arange(len(y)), skipped)
        clf = small(solver=solver, batch_size=5, shuffle=False)
        with_batch = clone(clf).fit(X, y, sample_weight=weight)
        without = clone(clf).fit(X[kept], y[kept], sample_weight=weight[kept])
        assert np.isfinite(with_batch.loss_curve_).all()
        for a, b in zip(with_batch.coefs_ + with_batch.intercepts_, without.coefs_ + without.intercepts_, strict=True):
            assert_array_equal(a, b)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_single_rows_of_weight_zero_leave_no_nan(self, solver):
        X, y = iris()
        weight = np.tile([0.0, 0.0, 1.0], 50)
        clf = small(solver=solver, batch_size=1).fit(X, y, sample_weight=weight)
        assert np.isfinite(clf.loss_curve_).all()
        assert all(np.isfinite(coef).all() for coef in clf.coefs_)

    def test_gd_stops_before_the_update_at_a_small_gradient(self):
        X, y = iris()
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        stopped = small(solver="gd", gtol=1e9).fit(X, y)
        for a, b in zip(start.coefs_ + start.intercepts_, stopped.coefs_ + stopped.intercepts_, strict=True):
            assert_array_equal(a, b)

    @pytest.mark.filterwarnings("error")
    def test_gd_warns_of_its_iteration_limit_only(self):
        X, y = iris()
        params = {"solver": "gd", "learning_rate_init": 0.5, "activation": "tanh", "alpha": 1.0}
        clf = small(**params, gtol=1e-2, max_iter=2000).fit(X, y)
        assert 1 < clf.n_iter_ < 2000
        with pytest.warns(ConvergenceWarning):
            clf = small(**params, gtol=0.0, max_iter=3).fit(X, y)
        assert clf.n_iter_ == 3

    def test_gd_ignores_what_belongs_to_the_stochastic_solvers(self):
        X, y = iris()
        plain = small(solver="gd", learning_rate_init=0.1).fit(X, y)
        other = small(
            solver="gd",
            learning_rate_init=0.1,
            tol=10.0,
            n_iter_no_change=1,
            momentum=0.1,
            nesterovs_momentum=False,
            learning_rate="invscaling",
            power_t=2.0,
            batch_size=7,
            shuffle=False,
        ).fit(X, y)
        assert other.n_iter_ == plain.n_iter_ == 5
        assert_array_equal(plain.coefs_[0], other.coefs_[0])

    def test_fit_starts_anew_and_warm_start_continues(self):
        X, y = iris()
        clf = small(learning_rate_init=0.01).fit(X, y)
        first = clf.coefs_[0].copy()
        assert_array_equal(clf.fit(X, y).coefs_[0], first)
        assert len(clf.loss_curve_) == 5

        clf.set_params(warm_start=True).fit(X, y)
        assert len(clf.loss_curve_) == 10
        assert clf.loss_curve_[5] < clf.loss_curve_[0]
        assert clf.n_iter_ == 5

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_warm_start_with_early_stopping_keeps_weights_that_nothing_improves_on(self, solver):
        # scikit-learn's MLP returns the last weights here: its best ones are the arrays that the second fit trains
        X, y = targets("binary")
        clf = small(solver=solver, early_stopping=True, warm_start=True, max_iter=60, learning_rate_init=0.1).fit(X, y)
        assert clf.best_validation_score_ == 1.0
        best = [array.copy() for array in clf.coefs_ + clf.intercepts_]
        clf.fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, best, strict=True):
            assert_array_equal(a, b)

    def test_warm_start_of_gd_goes_on_where_it_stopped(self):
        X, y = iris()
        clf = small(solver="gd", learning_rate_init=0.1, warm_start=True)
        clf.fit(X, y).fit(X, y)
        whole = small(solver="gd", learning_rate_init=0.1, max_iter=10).fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, whole.coefs_ + whole.intercepts_, strict=True):
            assert_array_equal(a, b)

    def test_warm_start_of_lbfgs_goes_on_where_it_stopped(self):
        X, y = iris()
        clf = small(solver="lbfgs", warm_start=True)
        first = clf.fit(X, y).loss_
        assert clf.fit(X, y).loss_ < first

    @pytest.mark.parametrize("verbose", [False, True])
    def test_verbose_prints_the_loss(self, verbose, capsys):
        X, y = iris()
        small(verbose=verbose).fit(X, y)
        assert ("loss" in capsys.readouterr().out) == verbose


class TestInterrupt:
    @staticmethod
    def interrupt(epoch, max_iter, loss):
        if epoch == 3:
            raise KeyboardInterrupt

    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
    def test_keeps_the_fitted_state(self, solver):
        X, y = iris()
        params = {"solver": solver, "learning_rate_init": 0.01}
        with monitor.watch(self.interrupt), pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(**params, max_iter=50).fit(X, y)
        # three epochs were done, as in a fit of three
        whole = small(**params, max_iter=3).fit(X, y)
        assert clf.n_iter_ == 3
        for a, b in zip(clf.coefs_ + clf.intercepts_, whole.coefs_ + whole.intercepts_, strict=True):
            assert_array_equal(a, b)
        assert_array_equal(clf.predict(X), whole.predict(X))

    @pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
    def test_in_the_first_epoch_keeps_the_initial_weights(self, solver, monkeypatch):
        def interrupted(*args):
            raise KeyboardInterrupt

        X, y = iris()
        start = small(solver="sgd", learning_rate_init=1e-30, max_iter=1).fit(X, y)
        monkeypatch.setattr(backprop, "train_serial", interrupted)
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(solver=solver, n_jobs=1).fit(X, y)
        assert_array_equal(clf.predict_proba(X), start.predict_proba(X))

    def test_keeps_the_best_weights_of_early_stopping(self):
        X, y = iris()
        with monitor.watch(self.interrupt), pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            clf = small(early_stopping=True, max_iter=50).fit(X, y)
        assert len(clf.validation_scores_) == 3
        assert clf.best_validation_score_ == max(clf.validation_scores_)
        assert clf.predict(X).shape == y.shape

    def test_watch_ends_with_its_block_and_sees_every_epoch(self):
        X, y = iris()
        seen = []
        with monitor.watch(lambda *event: seen.append(event)):
            clf = small().fit(X, y)
        small().fit(X, y)
        assert [(epoch, max_iter) for epoch, max_iter, _ in seen] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
        assert_allclose([loss for _, _, loss in seen], clf.loss_curve_)


class TestState:
    def test_clone_and_parameters_round_trip(self):
        params = {"hidden_layer_sizes": [6, 5], "activation": ["tanh", "relu"], "dtype": "float32", "n_jobs": 1}
        clf = BackpropClassifier(**params)
        assert clf.get_params().items() >= params.items()
        assert clone(clf).get_params() == clf.get_params()
        assert BackpropClassifier().set_params(**params).get_params() == clf.get_params()
        with pytest.raises(ValueError, match="dropout"):
            clf.set_params(dropout=0.5)

    def test_fit_leaves_parameters_and_data_alone(self):
        X, y = iris()
        weight = np.ones(len(y))
        clf = small(activation=["tanh"])
        before = [X.copy(), y.copy(), weight.copy(), dict(clf.get_params())]
        clf.fit(X, y, sample_weight=weight)
        for array, copy in zip([X, y, weight], before, strict=False):
            assert_array_equal(array, copy)
        assert clf.get_params() == before[-1]

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_pickle_round_trip(self, solver):
        X, y = iris()
        clf = small(solver=solver).fit(X, y)
        copy = pickle.loads(pickle.dumps(clf))
        assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))
        assert copy.get_params() == clf.get_params()

    @pytest.mark.parametrize("changes", [{}, {"activation": "tanh"}])  # which makes another network, of the same shape
    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_pickle_keeps_the_state_of_the_optimiser(self, solver, changes):
        X, y = iris()
        clf = small(solver=solver).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
        copy = pickle.loads(pickle.dumps(clf))
        assert len(copy._optimizer_state.first) == sum(w.size for w in clf.coefs_ + clf.intercepts_)  # without padding
        for estimator in (clf, copy):
            estimator.set_params(**changes).partial_fit(X, y)
        for a, b in zip(clf.coefs_ + clf.intercepts_, copy.coefs_ + copy.intercepts_, strict=True):
            assert_array_equal(a, b)

    def test_html_repr(self):
        X, y = iris()
        for clf in (small(loss="euclidean"), small(loss="euclidean").fit(X, y)):
            html = clf._repr_html_()
            assert "BackpropClassifier" in html
            assert "euclidean" in html
        assert repr(small(alpha=0.5)).startswith("BackpropClassifier(alpha=0.5")

    def test_edited_weights_are_the_ones_that_predict(self):
        X, y = iris()
        clf = small(activation="tanh").fit(X, y)
        clf.coefs_[0][1] = 0.0  # in place: the second feature is pruned
        assert_allclose(clf.predict_proba(X), outputs(clf, X), rtol=1e-12)
        pruned = X.copy()
        pruned[:, 1] = 1e3
        assert_array_equal(clf.predict_proba(pruned), clf.predict_proba(X))

        clf.intercepts_ = [clf.intercepts_[0], np.array([0.0, 0.0, 100.0])]  # assigned
        assert_array_equal(clf.predict(X), np.full(len(y), 2))

    def test_edited_weights_are_the_ones_that_partial_fit_continues_from(self):
        X, y = iris()
        clf = small(solver="sgd", learning_rate_init=1e-30, momentum=0.0, alpha=0.0).fit(X, y)
        clf.coefs_[0][1] = 0.25
        clf.intercepts_[1] = np.array([1.0, 2.0, 3.0])
        clf.partial_fit(X, y)
        assert_array_equal(clf.coefs_[0][1], np.full(5, 0.25))
        assert_array_equal(clf.intercepts_[1], [1.0, 2.0, 3.0])

    def test_weights_handed_out_by_one_fit_survive_the_next(self):
        X, y = iris()
        clf = small().fit(X, y)
        kept = clf.coefs_[0]
        copy = kept.copy()
        clf.fit(X, 2 - y)
        assert_array_equal(kept, copy)

    def test_works_in_a_pipeline_and_a_grid_search(self):
        X, y = iris()
        search = GridSearchCV(make_pipeline(StandardScaler(), small()), {"backpropclassifier__alpha": [0.0, 1.0]}, cv=2)
        assert search.fit(X, y).predict(X).shape == y.shape

    def test_predict_takes_lists_and_any_dtype(self):
        X, y = iris()
        X = np.round(4 * X)
        clf = small().fit(X, y)
        for other in (X.tolist(), X.astype(np.float32), X.astype(np.int8), X.astype(">f8")):
            assert_array_equal(clf.predict(other), clf.predict(X))

    def test_multilabel_of_generated_data(self):
        X, y = make_multilabel_classification(n_samples=60, n_features=6, n_classes=4, random_state=0)
        clf = small(n_iter_no_change=np.inf).fit(X, y)
        assert_array_equal(clf.classes_, np.arange(4))
        assert clf.predict(X).shape == (60, 4)
        assert 0.0 <= clf.score(X, y) <= 1.0


def small_problem(n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, n_features))
    return X, (X[:, 0] > 0).astype(int)


class TestNothingIsLost:
    """A fit that fails leaves the estimator as it was; edited models are checked before a kernel reads them."""

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("rows", [3, 5])
    def test_edited_weights_that_do_not_fit_the_features_are_refused(self, rows, form):
        X, y = small_problem()
        clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=2, random_state=0, tol=1).fit(X, y)
        clf.coefs_[0] = np.ones((rows, 5))
        with pytest.raises(ValueError, match=rf"coefs_.*\({rows}, 5\).*\(4, 5\)"):
            clf.predict(form(X))

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_a_failed_fit_leaves_the_previous_model(self):
        X, y = small_problem()
        clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=2, random_state=0).fit(X, y)
        before = clf.predict_proba(X)
        with pytest.raises(ValueError, match=r"(?i)sample.weight"):
            clf.fit(X[:, :2], y, sample_weight=np.zeros(40))
        with pytest.raises(ValueError, match="diverged"):
            clf.set_params(solver="sgd", learning_rate_init=1e300, max_iter=10).fit(X[:, :3], y)
        np.testing.assert_array_equal(clf.predict_proba(X), before)
        assert clf.n_features_in_ == 4

    def test_a_failed_first_fit_leaves_the_estimator_unfitted(self):
        X, y = small_problem()
        clf = BackpropClassifier(hidden_layer_sizes=(5,))
        with pytest.raises(ValueError, match="classes not in"):
            clf.partial_fit(X, y, classes=[0, 2])
        assert not [name for name in vars(clf) if name.endswith("_")]

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("activation", [["tanh", "relu"], [], "foo", ["foo"]])
    def test_an_activation_that_does_not_fit_the_model_is_refused(self, activation):
        X, y = small_problem()
        clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=2, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="activation must be"):
            clf.set_params(activation=activation).predict(X)

    def test_lbfgs_that_diverges_says_so(self):
        X, y = small_problem()
        clf = BackpropClassifier(solver="lbfgs", activation="identity", loss="squared_error", out_activation="identity")
        with pytest.raises(ValueError, match="Scale the features") as error, np.errstate(all="ignore"):
            clf.fit(1e200 * X, y)
        assert "learning_rate_init" not in str(error.value)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_dropping_the_biases_of_a_fitted_model_is_refused(self):
        X, y = small_problem()
        clf = BackpropClassifier(hidden_layer_sizes=(5,), max_iter=2, random_state=0, warm_start=True).fit(X, y)
        clf.set_params(fit_intercept=False)
        for again in (clf.fit, clf.partial_fit):
            with pytest.raises(ValueError, match="fit_intercept=False, but intercepts_"):
                again(X, y)
        clf.intercepts_ = [np.zeros_like(intercept) for intercept in clf.intercepts_]
        assert not np.any(clf.fit(X, y).intercepts_[0])
        assert not np.any(clf.partial_fit(X, y).intercepts_[0])

    def test_a_model_keeps_its_outputs_and_its_kind_of_target(self):
        X, y = small_problem()
        clf = BackpropClassifier(solver="sgd", loss="squared_error").partial_fit(X, y, classes=[0, 1])
        with pytest.raises(ValueError, match="multilabel-indicator target, but the previous fit had a binary one"):
            clf.partial_fit(X, np.column_stack([y, y]))
        clf.coefs_[-1], clf.intercepts_[-1] = np.ones((100, 5)), np.ones(5)
        with pytest.raises(ValueError, match=r"\(100, 5\).*\(100, 2\)"):
            clf.predict(X)

    def test_partial_fit_keeps_the_dtype_of_the_model(self):
        X, y = small_problem()
        clf = BackpropClassifier(random_state=0).partial_fit(X, y, classes=[0, 1])
        clf.partial_fit(X.astype(np.float32), y)
        assert {coef.dtype for coef in clf.coefs_ + clf.intercepts_} == {np.dtype(np.float64)}

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("rows", [1, 2, None])
    def test_values_beyond_the_dtype_of_the_model_are_refused(self, rows):
        X, y = small_problem()
        clf = BackpropClassifier(max_iter=2, random_state=0).fit(X.astype(np.float32), y)
        for form in (np.asarray, sparse.csr_array):
            with pytest.raises(ValueError, match="too large for dtype\\('float32'\\)"):
                clf.predict_proba(form(1e39 * X[:rows]))

    def test_divergence_before_any_validation_score_is_an_error(self):
        X, y = small_problem()
        clf = BackpropClassifier(
            solver="sgd", batch_size=1, early_stopping=True, random_state=0, activation="identity", alpha=1
        )
        with pytest.raises(ValueError, match="diverged in epoch 1"):
            clf.set_params(learning_rate_init=1e6).fit(np.tile(X, (5, 1)), np.tile(y, 5))

    @pytest.mark.parametrize("part", ["training", "validation"])
    def test_early_stopping_refuses_a_split_without_weight(self, part):
        X, y = small_problem()
        stopper = BackpropClassifier(early_stopping=True, max_iter=3, random_state=0)
        chosen = train_test_split(
            np.arange(40), random_state=self.after_initial_weights(stopper, X, y), test_size=0.1, stratify=y
        )[part == "validation"]
        weights = np.ones(40)
        weights[chosen] = 0
        with pytest.raises(ValueError, match=f"sample_weight of the {part} examples are zero"):
            stopper.fit(X, y, weights)

    @staticmethod
    def after_initial_weights(clf, X, y):
        """The random state that is left when a fit has drawn its weights: 4-100-1, biases too."""
        state = np.random.RandomState(clf.random_state)
        state.uniform(size=4 * 100 + 100 + 100 + 1)
        return state

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("loss", ["log_loss", "squared_error", "binary_cross_entropy"])
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_a_single_class_is_always_predicted(self, loss, early_stopping):
        X, _ = small_problem()
        clf = BackpropClassifier(loss=loss, early_stopping=early_stopping, max_iter=3, random_state=3)
        clf.fit(X, ["a"] * 40)
        assert set(clf.predict(100 * X)) == {"a"}
        assert clf.score(X, ["a"] * 40) == 1
        np.testing.assert_array_equal(clf.predict_proba(X), np.ones((40, 1)))
        assert clf.loss_curve_[-1] < clf.loss_curve_[0]


class TestHiddenActivations:
    """hidden_activations against the forward pass of the reference."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_are_those_of_the_forward_pass_over_several_chunks(self, dtype, container):
        X, y = iris()
        clf = small(hidden_layer_sizes=(7, 19), activation=["tanh", "elu"], dtype=dtype, max_iter=2)
        clf.fit(X, y)
        rows = np.random.default_rng(0).normal(size=(2500, X.shape[1])).astype(dtype)
        _, *expected, output = reference.forward(
            rows, clf.coefs_, clf.intercepts_, activation=["tanh", "elu"], out_activation="softmax"
        )
        found = clf.hidden_activations(container(rows))
        assert [a.shape for a in found] == [(2500, 7), (2500, 19)]
        tolerance = 2e-5 if dtype == "float32" else 1e-13
        for a, e in zip(found, expected, strict=True):
            assert a.dtype == dtype
            assert_allclose(a, e, rtol=tolerance, atol=tolerance)
        assert_allclose(clf.predict_proba(rows), output, rtol=tolerance, atol=tolerance)

    def test_are_none_without_hidden_layers(self):
        X, y = iris()
        assert small(hidden_layer_sizes=(), solver="lbfgs", max_iter=200).fit(X, y).hidden_activations(X) == []

    def test_need_a_fit_and_the_features_of_it(self):
        X, y = iris()
        with pytest.raises(NotFittedError):
            small().hidden_activations(X)
        clf = small(solver="lbfgs", max_iter=500, alpha=1).fit(X, y)
        with pytest.raises(ValueError, match="X has 3 features, but BackpropClassifier is expecting 4"):
            clf.hidden_activations(X[:, :3])

    def test_beyond_the_dtype_of_the_model_are_refused(self):
        X, y = iris()
        clf = small(dtype="float32", activation="identity", solver="lbfgs").fit(X, y)
        for container in (np.asarray, sparse.csr_array):
            with pytest.raises(ValueError, match="X contains a value too large for dtype"):
                clf.hidden_activations(container(X * 1e39))


class TestContinuing:
    """What one fit or partial_fit hands on to the next."""

    def test_a_best_score_without_its_weights_is_forgotten(self):
        X, y = iris()
        clf = small(learning_rate_init=0.05, warm_start=True, max_iter=20).fit(X, y, X_val=X, y_val=y)
        assert clf.best_validation_score_ > 0.9
        clf.set_params(early_stopping=True, max_iter=3).fit(X, (y + 1) % 3, X_val=X, y_val=(y + 1) % 3)
        assert clf.best_validation_score_ == clf.score(X, (y + 1) % 3)

    def test_the_best_weights_of_partial_fit_survive_a_warm_fit(self):
        X, y = iris()
        clf = small(learning_rate_init=0.05, early_stopping=True, warm_start=True, n_iter_no_change=100, max_iter=2)
        for _ in range(10):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
        best = clf.best_validation_score_
        clf.set_params(learning_rate_init=5.0).partial_fit(X, y, X_val=X, y_val=y)
        assert clf.score(X, y) < best
        clf.set_params(learning_rate_init=1e-5).fit(X, y, X_val=X, y_val=y)
        assert clf.score(X, y) == clf.best_validation_score_ == best

    @pytest.mark.parametrize("first", ["gd", "lbfgs"])
    def test_patience_begins_anew_after_a_solver_without_any(self, first):
        X, y = iris()
        clf = small(solver=first, learning_rate_init=1e-5, warm_start=True, max_iter=30, alpha=1.0).fit(X, y)
        clf.set_params(solver="sgd", max_iter=5, learning_rate_init=1e-3, tol=1.0).fit(X, y)
        assert clf.n_iter_ == 5  # without any improvement by tol; 10 are allowed

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    def test_partial_fit_goes_on_from_the_best_weights_after_a_divergence(self, solver):
        X, y = iris()
        clf = small(solver=solver, early_stopping=True, loss="squared_error", out_activation="identity")
        for _ in range(3):
            clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
        with pytest.warns(ConvergenceWarning, match="best weights so far are kept"):
            clf.partial_fit(np.where(np.arange(len(X))[:, None] == 7, 1e200, X), y, X_val=X, y_val=y)
        assert not clf.converged_
        assert clf.score(X, y) == clf.best_validation_score_
        for _ in range(3):
            clf.partial_fit(X, y, X_val=X, y_val=y)
        assert np.isfinite(clf.loss_)

    def test_a_learning_rate_set_between_calls_of_partial_fit_takes_effect(self):
        X, y = iris()
        clf = small(solver="sgd", learning_rate_init=0.1, momentum=0.0).partial_fit(X, y, classes=[0, 1, 2])
        before = clf.coefs_[0].copy()
        clf.set_params(learning_rate_init=1e-9).partial_fit(X, y)
        assert 0 < np.abs(clf.coefs_[0] - before).max() < 1e-8

    def test_without_any_finite_validation_score_early_stopping_is_an_error(self):
        X, y = iris()
        clf = small(dtype="float32", early_stopping=True, activation="identity")
        with pytest.raises(ValueError, match="no validation score was finite"):
            clf.fit(X, y, X_val=X * 1e39, y_val=y)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_a_stop_iteration_of_a_watcher_is_no_request_to_stop(self, solver):
        X, y = iris()

        def watcher(epoch, max_iter, loss):
            raise StopIteration

        with pytest.raises(StopIteration), monitor.watch(watcher):
            small(solver=solver).fit(X, y)


def test_subclasses_may_have_parameters_of_their_own():
    class Narrow(BackpropClassifier):
        def __init__(self, hidden_layer_sizes=(5,), factor=2):
            super().__init__(hidden_layer_sizes=hidden_layer_sizes, max_iter=3)
            self.factor = factor

    X, y = iris()
    clf = clone(Narrow(factor=3)).fit(X, y)
    assert clf.get_params() == {"hidden_layer_sizes": (5,), "factor": 3}
    assert clf.n_iter_ == 3


@pytest.mark.parametrize("pair", [(0, 5), (0, -1)])
def test_a_multilabel_indicator_may_have_any_number_for_yes(pair):
    X, Y = targets("multilabel")
    for params in ({}, {"class_weight": "balanced"}):
        clf, plain = (small(**params).fit(X, y, X_val=X, y_val=y) for y in (np.array(pair)[Y], Y))
        assert_array_equal(clf.coefs_[0], plain.coefs_[0])
        assert clf.validation_scores_ == plain.validation_scores_


def test_errors_about_the_validation_set_say_so():
    X, y = iris()
    for given, what in (
        ({"sample_weight_val": -np.ones(len(y))}, "Negative values in data passed to `sample_weight`"),
        ({"sample_weight_val": np.ones(3)}, r"sample_weight.shape == \(3,\)"),
        ({"X_val": np.full_like(X, np.nan)}, "contains NaN"),
        ({"y_val": y[:3]}, "inconsistent numbers of samples"),
    ):
        with pytest.raises(ValueError, match=what) as error:
            small().fit(X, y, **({"X_val": X, "y_val": y} | given))
        assert str(error.value).startswith("In the validation set X_val, y_val, sample_weight_val: ")
    with pytest.raises(
        ValueError, match=r"sample_weight, times class_weight=\{.*\}, must have at least one positive value"
    ):
        small(class_weight={0: 0, 1: 1, 2: 1}).fit(X, y, X_val=X[:50], y_val=y[:50])


def test_sample_weights_that_training_would_take_for_zeros_are_refused():
    X, y = iris()
    with pytest.raises(ValueError, match=r"sample_weight must not all be below 2\.225\S+e-308, got \S*1e-310"):
        small().fit(X, y, sample_weight=np.full(len(y), 1e-310))
