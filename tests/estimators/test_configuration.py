"""Parameters and settings: set after a fit, refused by name, or scikit-learn's own."""

from fractions import Fraction

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier
from support.fits import SOLVERS, assert_same_bits, both, output, problem, small

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestConfiguration:
    @both
    def test_parameters_set_after_a_fit_leave_its_predictions_alone(self, estimator):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        before = output(model, X)
        model.set_params(hidden_layer_sizes=(9, 9), solver="lbfgs", alpha=3, early_stopping=True, max_iter=1, n_jobs=2)
        assert_array_equal(output(model, X), before)
        assert len(model.fit(X, y).coefs_) == 3

    @pytest.mark.parametrize("value", [Fraction(1, 2), np.timedelta64(3, "s"), 10**400, -(10**400), 1j], ids="abcde")
    @pytest.mark.parametrize("name", ["alpha", "max_iter", "n_jobs"])
    @both
    def test_a_number_that_is_not_a_float_is_refused_by_name(self, estimator, name, value):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator.__name__} must be ") as error:
            small(estimator, **{name: value}).fit(X, y)
        assert f"Got {value!r} instead." in str(error.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("max_iter", np.int8(127)),
            ("max_iter", np.uint64(5)),
            ("power_t", np.float16(2.0)),
            ("learning_rate_init", np.float16(0.25)),
            ("tol", np.float16(2.0**-9)),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_a_number_of_numpy_counts_as_that_of_python(self, estimator, solver, name, value):
        X, y = (np.concatenate([part] * 8) for part in problem(estimator))
        params = {"solver": solver, "learning_rate": "invscaling", "learning_rate_init": 1e-3, "n_iter_no_change": 200}
        model, plain = (small(estimator, **{**params, name: number}).fit(X, y) for number in (value, value.item()))
        assert model.n_iter_ == plain.n_iter_ > 0
        assert_same_bits(model, plain)

    @pytest.mark.parametrize(
        ("name", "legal", "equal"), [("shuffle", True, 1), ("max_iter", 3, 3.0), ("early_stopping", False, 0.0)]
    )
    @both
    def test_a_value_of_a_wrong_type_is_refused_even_after_an_equal_value_of_the_right_type(
        self, estimator, name, legal, equal
    ):
        X, y = problem(estimator)
        for _ in range(2):
            small(estimator, **{name: legal}).fit(X, y)
            with pytest.raises(ValueError, match=f"The '{name}' parameter of {estimator.__name__} must be "):
                small(estimator, **{name: equal}).fit(X, y)

    @pytest.mark.parametrize("sizes", [10**25, (3, 2**60), [2**40, 2**40]])
    @both
    def test_layers_beyond_all_memory_are_refused_by_name(self, estimator, sizes):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=r"hidden_layer_sizes must .*, got ") as error:
            small(estimator, hidden_layer_sizes=sizes).fit(X, y)
        assert repr(sizes) in str(error.value)

    @pytest.mark.parametrize("names", [[3], ["tanh", None], [["tanh"], ["relu", "tanh"]], ["Relu"], np.array([True])])
    @both
    def test_unknown_activations_are_refused_and_shown_as_given(self, estimator, names):
        X, y = problem(estimator)
        with pytest.raises(ValueError, match=r"activation must be among .* or a list of them, got ") as error:
            small(estimator, activation=names).fit(X, y)
        assert str(error.value).endswith(f"got {names!r}.")

    @pytest.mark.parametrize("weights", [{"setosa": 1.0}, {0: "heavy"}])
    def test_a_class_weight_that_does_not_go_with_the_classes_is_shown_with_them(self, weights):
        X, y = problem(BackpropClassifier)
        with pytest.raises(ValueError, match=r"class_weight must have numbers for classes among \[0 1 2\]") as error:
            small(BackpropClassifier, class_weight=weights).fit(X, y)
        assert repr(weights) in str(error.value)

    @pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 1e-310), ("float32", 1e-40), ("float32", 1e-60)])
    @both
    def test_an_epsilon_that_training_takes_for_0_does_not_make_nan_of_weights_without_gradient(
        self, estimator, dtype, epsilon
    ):
        X, y = problem(estimator)
        X = np.column_stack([X, np.zeros(len(X))])  # the weights of the last column have no gradient
        params = {"solver": "adam", "dtype": dtype, "alpha": 0.0, "learning_rate_init": 1e-3}
        model = small(estimator, **params, epsilon=epsilon).fit(X, y)
        assert_array_equal(model.coefs_[0][-1], small(estimator, **params, epsilon=1e-8).fit(X, y).coefs_[0][-1])
        assert np.isfinite(model.predict(X).astype(float)).all()

    @pytest.mark.parametrize("names", ["hidden_layer_size", "drop_out"])
    @both
    def test_an_unknown_parameter_is_refused(self, estimator, names):
        with pytest.raises(ValueError, match=f"Invalid parameter '{names}'"):
            small(estimator).set_params(**{names: 3})
        pipeline = make_pipeline(StandardScaler(), small(estimator))
        pipeline.set_params(**{f"{estimator.__name__.lower()}__alpha": 0.5})
        assert pipeline[-1].alpha == 0.5

    @pytest.mark.parametrize(
        "settings",
        [
            {"transform_output": "pandas"},
            {"enable_metadata_routing": True},
            {"assume_finite": True},
            {"skip_parameter_validation": True},
            {"array_api_dispatch": False, "print_changed_only": False, "working_memory": 1},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    @both
    def test_settings_of_scikit_learn_do_not_change_a_bit(self, estimator, settings):
        if "transform_output" in settings:
            pytest.importorskip("pandas")
        X, y = problem(estimator)
        weights = np.arange(len(y)) + 1.0
        plain = make_pipeline(StandardScaler(), small(estimator)).fit(X, y)
        weighted = small(estimator).fit(X, y, sample_weight=weights)
        with sklearn.config_context(**settings):
            pipeline = make_pipeline(StandardScaler(), small(estimator)).fit(X, y)
            prediction = pipeline.predict(X)
            assert type(prediction) is np.ndarray
            assert_same_bits(pipeline[-1], plain[-1])
            assert_same_bits(small(estimator).fit(X, y, sample_weight=weights), weighted)
        assert_array_equal(prediction, plain.predict(X))

    @both
    def test_names_that_a_transformer_gives_are_checked(self, estimator):
        pytest.importorskip("pandas")
        X, y = problem(estimator)
        pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), small(estimator)).fit(X, y)
        assert_array_equal(pipeline[-1].feature_names_in_, [f"x{i}" for i in range(X.shape[1])])
        pipeline.predict(X)  # without a warning, because the names are the same
