"""The values that BackpropClassifier refuses, and its words. A refusal leaves the model as it was."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

from fastbp import BackpropClassifier
from support.classifiers import ACTIVATIONS, LOSSES, SOLVERS, iris, small, targets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestErrors:
    """Each error names the parameter, the value given and what would be right."""

    @pytest.mark.parametrize(
        ("name", "value", "right"),
        [
            ("activation", "sigmoid", ACTIVATIONS),
            ("activation", "softmax", ACTIVATIONS),
            ("solver", "newton", SOLVERS),
            ("loss", "hinge", LOSSES),
            ("out_activation", "sigmoid", ["auto", "softmax", *ACTIVATIONS]),
            ("dtype", "float16", ["auto", "float32", "float64"]),
            ("learning_rate", "linear", ["constant", "invscaling", "adaptive", "cosine", "flat_cosine", "one_cycle"]),
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
        # both numbers, so that the reader sees which of them to change
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


def small_problem(n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, n_features))
    return X, (X[:, 0] > 0).astype(int)


class TestNothingIsLost:
    """A fit that fails leaves the estimator as it was. Edited models are checked before a kernel reads them."""

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
        """The random state after a fit has drawn its weights and biases, 4-100-1."""
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


def test_errors_about_the_validation_set_name_it():
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
