"""from_sklearn and to_sklearn give the same model, fitted or not. It trains on as the original would."""

import copy
import functools
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from fastbp import BackpropClassifier, BackpropRegressor

PAIRS = {MLPClassifier: BackpropClassifier, MLPRegressor: BackpropRegressor}

SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02, "momentum": 0.8, "nesterovs_momentum": False},
    "sgd invscaling": {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.3},
    "sgd adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "tol": 0.05,
        "n_iter_no_change": 2,
    },
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 4, "tol": 0.01},
    "lbfgs": {"solver": "lbfgs"},
}
STOCHASTIC = ["adam", "sgd", "sgd invscaling", "sgd adaptive"]

# CHANGED: for every parameter of scikit-learn's estimators, a value that is not the default.
CHANGED: dict[str, Any] = {
    "hidden_layer_sizes": [4, 3],
    "activation": "tanh",
    "solver": "sgd",
    "alpha": 0.5,
    "batch_size": 7,
    "learning_rate": "adaptive",
    "learning_rate_init": 0.25,
    "power_t": 0.75,
    "max_iter": 11,
    "shuffle": False,
    "random_state": 3,
    "tol": 0.125,
    "verbose": True,
    "warm_start": True,
    "momentum": 0.5,
    "nesterovs_momentum": False,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "beta_1": 0.5,
    "beta_2": 0.6,
    "epsilon": 1e-3,
    "n_iter_no_change": np.inf,
    "max_fun": 99,
}


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return scale(X)[::2], y[::2]


def problem(kind: str) -> tuple[type, dict[str, Any], np.ndarray, np.ndarray]:
    """scikit-learn's class, parameters, X and y."""
    X, y = iris()
    return {
        "binary": (MLPClassifier, {}, X, np.where(y == 0, -1, 4)),
        "multiclass": (MLPClassifier, {}, X, np.array([-7, 0, 3])[y]),
        "multilabel": (MLPClassifier, {}, X, np.column_stack([y == 0, y != 1, y == 2]).astype(int)),
        "squared_error": (MLPRegressor, {}, X[:, :3], X[:, 3]),
        "several outputs": (MLPRegressor, {"alpha": 0.0}, X[:, :2], np.column_stack([X[:, 2:], X[:, 0] ** 2])),
        "poisson": (MLPRegressor, {"loss": "poisson"}, X, y.astype(float)),
    }[kind]


PROBLEMS = ["binary", "multiclass", "multilabel", "squared_error", "several outputs", "poisson"]


def small(theirs: type, **params) -> Any:
    # Each fit has a generator of its own. partial_fit goes on drawing from it.
    state = np.random.RandomState(0)
    defaults = {"hidden_layer_sizes": (6, 5), "activation": "tanh", "batch_size": 16, "max_iter": 12}
    return theirs(**{**defaults, "random_state": state, **params})


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


@functools.cache
def _fitted(side: str, kind: str, solver: str) -> Any:
    theirs, params, X, y = problem(kind)
    return fitted(small(theirs if side == "mlp" else PAIRS[theirs], **params, **SOLVERS[solver]), X, y)


def fitted_mlp(kind: str, solver: str) -> tuple[Any, np.ndarray, np.ndarray]:
    return copy.deepcopy(_fitted("mlp", kind, solver)), *problem(kind)[2:]


def fitted_ours(kind: str, solver: str) -> tuple[Any, np.ndarray, np.ndarray]:
    return copy.deepcopy(_fitted("ours", kind, solver)), *problem(kind)[2:]


def from_sklearn(mlp) -> Any:
    return PAIRS[type(mlp)].from_sklearn(mlp)


def learned(estimator) -> dict[str, Any]:
    """The public fitted attributes."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and not name.startswith("_")}


def assert_same(actual: Any, desired: Any, where: str, rtol: float = 0.0) -> None:
    """Type, shape and dtype are equal all the way down. Values are equal to the bit, or to rtol."""
    if isinstance(desired, list | tuple | dict):
        assert type(actual) is type(desired), where
        assert len(actual) == len(desired), where
        keys = desired if isinstance(desired, dict) else range(len(desired))
        for key in keys:
            assert_same(actual[key], desired[key], f"{where}[{key!r}]", rtol)
    elif isinstance(desired, np.random.RandomState):
        assert actual is not desired, where
        assert_array_equal(actual.get_state()[1], desired.get_state()[1], err_msg=where)
    elif isinstance(desired, np.ndarray | float | int | str | None):
        assert np.asarray(actual).dtype == np.asarray(desired).dtype, where
        if rtol and np.asarray(desired).dtype.kind == "f":
            assert_allclose(actual, desired, rtol=rtol, atol=0.01 * rtol, err_msg=where)
        else:
            assert_array_equal(actual, desired, err_msg=where)
    else:
        assert type(actual) is type(desired), where
        assert_same(vars(actual), vars(desired), where, rtol)


def assert_predicts_as(actual, desired, X) -> None:
    methods = ["predict", "predict_proba", "predict_log_proba"] if hasattr(desired, "predict_proba") else ["predict"]
    for method in methods:
        result, expected = getattr(actual, method)(X), getattr(desired, method)(X)
        assert result.shape == expected.shape
        if expected.dtype.kind == "f":
            assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
        else:
            assert_array_equal(result, expected)


def assert_goes_on_as(actual, desired, X, y, go_on) -> None:
    """Train both further. Their weights and losses then agree to 1e-8, and so do the numbers of epochs and examples."""
    for _ in range(4):
        go_on(actual, X, y)
        go_on(desired, X, y)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(actual, name), getattr(desired, name), strict=True):
            assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=name)
    curves = [np.array(estimator.loss_curve_) / estimator.loss_curve_[-1] for estimator in (actual, desired)]
    assert_allclose(*curves, rtol=1e-8)  # the losses may have different units
    assert actual.t_ == desired.t_
    assert actual.n_iter_ == desired.n_iter_


def partial_fit(estimator, X, y) -> None:
    estimator.partial_fit(X, y)


def warm_start(estimator, X, y) -> None:
    fitted(estimator.set_params(warm_start=True, max_iter=3), X, y)


class TestParameters:
    @pytest.mark.parametrize("theirs", PAIRS)
    def test_every_parameter_of_an_unfitted_estimator_is_kept(self, theirs):
        changed = {**CHANGED, "loss": "poisson"} if theirs is MLPRegressor else CHANGED
        mlp, ours = theirs(**changed), PAIRS[theirs](**changed)
        assert all(value != getattr(theirs(), name) for name, value in mlp.get_params().items())

        assert from_sklearn(mlp).get_params() == ours.get_params()
        assert ours.to_sklearn().get_params() == mlp.get_params()
        for converted in (from_sklearn(mlp), ours.to_sklearn()):
            with pytest.raises(NotFittedError):
                converted.predict(np.ones((1, 2)))

    @pytest.mark.parametrize("theirs", PAIRS)
    def test_parameters_and_generator_are_copies(self, theirs):
        for original, convert in [(theirs, from_sklearn), (PAIRS[theirs], lambda ours: ours.to_sklearn())]:
            estimator = original(hidden_layer_sizes=[5], random_state=np.random.RandomState(1))
            converted = convert(estimator)
            converted.hidden_layer_sizes.append(6)
            assert estimator.hidden_layer_sizes == [5]
            assert estimator.random_state.randint(2**31) == converted.random_state.randint(2**31)

    @pytest.mark.parametrize("activation", [["tanh", "tanh"], np.array(["tanh", "tanh"]), ("tanh", "tanh")])
    def test_a_list_of_equal_activations_is_their_name(self, activation):
        clf = BackpropClassifier((3, 3), activation)
        assert clf.to_sklearn().activation == "tanh"

    def test_no_hidden_layer(self):
        X, y = iris()
        clf = fitted(BackpropClassifier([], [], random_state=0, max_iter=3), X, y)
        assert_predicts_as(clf.to_sklearn(), clf, X)
        assert_predicts_as(BackpropClassifier.from_sklearn(clf.to_sklearn()), clf, X)

    def test_n_jobs_dtype_and_gtol_are_left_out(self):
        clf = BackpropClassifier(n_jobs=2, dtype="float32", gtol=0.5)
        assert clf.to_sklearn().get_params() == MLPClassifier().get_params()


class TestFromSklearn:
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_every_fitted_attribute_is_kept_to_the_bit(self, kind, solver):
        mlp, X, _ = fitted_mlp(kind, solver)
        ours = from_sklearn(mlp)
        expected = learned(mlp)
        if kind == "several outputs":  # scikit-learn averages over the three outputs
            for name in {"loss_", "loss_curve_", "best_loss_"} & expected.keys():
                value = expected.pop(name)
                assert_allclose(np.array(getattr(ours, name), float), 3 * np.array(value, float), rtol=1e-15)
        for name, value in expected.items():
            assert_same(getattr(ours, name), value, name)
        assert_predicts_as(ours, mlp, X)
        # An estimator that this package has trained has the same attributes, also the private ones.
        own, _, _ = fitted_ours(kind, solver)
        assert vars(ours).keys() == vars(own).keys()

    @pytest.mark.parametrize("solver", [*STOCHASTIC, "early stopping"])
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_is_what_the_same_training_gives_here(self, kind, solver):
        mlp, _, _ = fitted_mlp(kind, solver)
        own, _, _ = fitted_ours(kind, solver)
        ours = from_sklearn(mlp)
        if own.validation_scores_:
            assert np.isnan(ours.validation_loss_curve_).all()
            ours.validation_loss_curve_ = own.validation_loss_curve_  # scikit-learn does not record these losses
        if own.solver == "sgd":
            assert ours._optimizer_state.t == 0
            ours._optimizer_state.t = own._optimizer_state.t  # scikit-learn's sgd does not count its steps
        own._last_theta = None  # scikit-learn does not keep the last weights of early stopping
        for name, value in vars(own).items():
            assert_same(getattr(ours, name), value, name, rtol=1e-8)

    @pytest.mark.parametrize("solver", STOCHASTIC)
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_partial_fit_goes_on_as_there(self, kind, solver):
        mlp, X, y = fitted_mlp(kind, solver)
        assert_goes_on_as(from_sklearn(mlp), mlp, X, y, partial_fit)

    # Not with early stopping, because then scikit-learn trains the very arrays that it keeps as the best.
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_warm_start_goes_on_as_there(self, kind, solver):
        mlp, X, y = fitted_mlp(kind, solver)
        assert_goes_on_as(from_sklearn(mlp), mlp, X, y, warm_start)

    def test_it_is_a_copy(self):
        mlp, X, y = fitted_mlp("binary", "adam")
        before, kept = mlp.predict_proba(X), pickle.dumps(mlp)
        ours = from_sklearn(mlp)
        ours.coefs_[0][:] = 0
        ours.classes_[:] = 5, 6
        ours.partial_fit(X, np.full(len(y), 5))
        assert_array_equal(mlp.predict_proba(X), before)
        assert pickle.dumps(mlp) == kept

    @pytest.mark.parametrize("max_iter", [2, 500])
    def test_lbfgs_has_converged_unless_it_used_up_its_iterations(self, max_iter):
        X, y = iris()
        mlp, own = (
            fitted(small(class_, solver="lbfgs", max_iter=max_iter, alpha=1), X, y)
            for class_ in (MLPClassifier, BackpropClassifier)
        )
        assert from_sklearn(mlp).converged_ == own.converged_ == (max_iter == 500)

    def test_float32_stays_float32(self):
        X, y = iris()
        mlp = fitted(small(MLPClassifier), X.astype(np.float32), y)
        ours = from_sklearn(mlp)
        assert {coef.dtype for coef in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}
        for name in ("coefs_", "intercepts_"):
            assert_same(getattr(ours, name), getattr(mlp, name), name)
        assert_allclose(
            ours.predict_proba(X.astype(np.float32)), mlp.predict_proba(X.astype(np.float32)), rtol=1e-4, atol=1e-6
        )
        X = X.astype(np.float32)
        ours.partial_fit(X, y)
        mlp.partial_fit(X, y)
        assert_allclose(ours.coefs_[0], mlp.coefs_[0], rtol=1e-3, atol=1e-5)

    def test_a_fit_that_was_interrupted_in_its_first_epoch(self, monkeypatch):
        def interrupted(*args):
            raise KeyboardInterrupt

        X, y = iris()
        monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            mlp = small(MLPClassifier).fit(X, y)
        monkeypatch.undo()
        assert not hasattr(mlp, "loss_")
        ours = from_sklearn(mlp)
        assert_predicts_as(ours, mlp, X)
        assert np.isnan(ours.loss_)
        assert_goes_on_as(ours, mlp, X, y, partial_fit)

    def test_instances_of_subclasses_are_accepted(self):
        class Quiet(MLPClassifier):
            def __init__(self, alpha=0.5, loudness=0):
                super().__init__((4,), alpha=alpha, max_iter=3, random_state=0)
                self.loudness = loudness

        X, y = iris()
        mlp = fitted(Quiet(), X, y)
        ours = BackpropClassifier.from_sklearn(mlp)
        assert ours.get_params().items() >= {"alpha": 0.5, "max_iter": 3, "hidden_layer_sizes": (4,)}.items()
        assert_predicts_as(ours, mlp, X)

    def test_of_a_subclass_is_an_instance_of_it(self):
        class Mine(BackpropClassifier):
            pass

        assert type(Mine.from_sklearn(MLPClassifier())) is Mine

    @pytest.mark.parametrize(
        ("ours", "given", "what"),
        [
            (BackpropClassifier, MLPRegressor(), "MLPClassifier, got MLPRegressor"),
            (BackpropRegressor, MLPClassifier(), "MLPRegressor, got MLPClassifier"),
            (BackpropClassifier, LogisticRegression(C=3), r"MLPClassifier, got LogisticRegression\(C=3\)"),
            (BackpropClassifier, BackpropClassifier(), "MLPClassifier, got BackpropClassifier"),
            (BackpropClassifier, MLPClassifier, "MLPClassifier, got <class"),
            (BackpropRegressor, None, "MLPRegressor, got None"),
        ],
    )
    def test_anything_else_is_refused_by_name(self, ours, given, what):
        with pytest.raises(TypeError, match=f"mlp must be an instance of {what}"):
            ours.from_sklearn(given)


class TestToSklearn:
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_every_fitted_attribute_is_kept_to_the_bit(self, kind, solver):
        ours, X, _ = fitted_ours(kind, solver)
        mlp = ours.to_sklearn()
        assert type(mlp) is problem(kind)[0]
        expected = learned(ours)
        for name in ("validation_loss_curve_", "converged_"):  # scikit-learn has no such attributes
            del expected[name]
        if kind == "several outputs":
            for name in ("loss_", "loss_curve_", "best_loss_"):
                value = expected.pop(name)
                assert_allclose(3 * np.array(getattr(mlp, name), float), np.array(value, float), rtol=1e-15)
        for name, value in expected.items():
            assert_same(getattr(mlp, name), value, name)
        assert_predicts_as(mlp, ours, X)

    @pytest.mark.parametrize("solver", [*STOCHASTIC, "early stopping"])
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_is_what_the_same_training_gives_there(self, kind, solver):
        ours, _, _ = fitted_ours(kind, solver)
        own, _, _ = fitted_mlp(kind, solver)
        mlp = ours.to_sklearn()
        assert vars(mlp).keys() == vars(own).keys()
        if not own.early_stopping:  # without early stopping these are the initial weights, and nobody needs them
            own._best_coefs, own._best_intercepts = mlp._best_coefs, mlp._best_intercepts
        if own.solver == "adam":  # scikit-learn computes the rate anew in every step
            own._optimizer.learning_rate = mlp._optimizer.learning_rate
        for name, value in vars(own).items():
            assert_same(getattr(mlp, name), value, name, rtol=1e-8)

    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_of_lbfgs_has_the_attributes_of_lbfgs_there(self, kind):
        ours, _, _ = fitted_ours(kind, "lbfgs")
        own, _, _ = fitted_mlp(kind, "lbfgs")
        scratch = {"_coef_indptr", "_intercept_indptr"}  # every fit makes these anew
        assert vars(ours.to_sklearn()).keys() >= vars(own).keys() - scratch

    @pytest.mark.parametrize("solver", STOCHASTIC)
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_partial_fit_goes_on_as_here(self, kind, solver):
        ours, X, y = fitted_ours(kind, solver)
        assert_goes_on_as(ours.to_sklearn(), ours, X, y, partial_fit)

    # Not with early stopping, because then scikit-learn goes on from the best weights and without new patience.
    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_warm_start_goes_on_as_here(self, kind, solver):
        ours, X, y = fitted_ours(kind, solver)
        if solver == "lbfgs":  # the iterates of lbfgs are too sensitive to rounding
            ours.set_params(**SOLVERS["adam"])
        assert_goes_on_as(ours.to_sklearn(), ours, X, y, warm_start)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_a_rate_set_after_the_first_epochs_takes_effect_on_both_sides(self, solver):
        ours, X, y = fitted_ours("multiclass", solver)
        ours.set_params(learning_rate_init=0.1 * ours.learning_rate_init)
        assert_goes_on_as(ours.to_sklearn(), ours, X, y, partial_fit)

    def test_an_optimiser_of_another_solver_is_not_continued(self):
        ours, X, y = fitted_ours("multiclass", "adam")
        ours.set_params(**SOLVERS["sgd"])
        mlp = ours.to_sklearn()
        assert not hasattr(mlp, "_optimizer")
        assert_goes_on_as(mlp, ours, X, y, partial_fit)

    def test_it_is_a_copy(self):
        ours, X, y = fitted_ours("binary", "adam")
        before, kept = ours.predict_proba(X), pickle.dumps(ours)
        mlp = ours.to_sklearn()
        mlp.partial_fit(X, y)
        mlp.classes_[:] = 5
        assert_array_equal(ours.predict_proba(X), before)
        assert pickle.dumps(ours) == kept

    def test_the_best_weights_of_partial_fit_are_kept_aside_there_too(self):
        X, y = iris()
        ours = small(BackpropClassifier, early_stopping=True, learning_rate_init=0.3)
        for _ in range(6):
            ours.partial_fit(X, y, classes=[0, 1, 2], X_val=X[:20], y_val=y[:20])
        mlp = ours.to_sklearn()
        best = mlp._best_coefs + mlp._best_intercepts
        assert not np.array_equal(best[0], mlp.coefs_[0])
        mlp.coefs_, mlp.intercepts_ = mlp._best_coefs, mlp._best_intercepts
        assert mlp.score(X[:20], y[:20]) == pytest.approx(ours.best_validation_score_)

        again = from_sklearn(ours.to_sklearn())
        assert_array_equal(again._best_theta, ours._best_theta)

    def test_many_classes_do_not_warn(self):
        X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 30
        ours = fitted(small(BackpropClassifier, max_iter=2), X, y)
        assert_predicts_as(ours.to_sklearn(), ours, X)

    @pytest.mark.parametrize("dtype", [str, object])
    def test_string_labels(self, dtype):
        X, y = iris()
        y = np.array(["setosa", "versicolor", "virginica"], dtype)[y]
        for labels in (y, np.where(y == "setosa", "yes", "no").astype(dtype)):
            ours = fitted(small(BackpropClassifier), X, labels)
            mlp, own = ours.to_sklearn(), fitted(small(MLPClassifier), X, labels)
            assert_same(mlp._label_binarizer, own._label_binarizer, "_label_binarizer")
            assert_same(mlp.classes_, own.classes_, "classes_")
            assert_same(BackpropClassifier.from_sklearn(own).classes_, ours.classes_, "classes_")
            assert_goes_on_as(mlp, ours, X, labels, partial_fit)
            assert_predicts_as(mlp, ours, X)

    def test_one_class(self):
        X, _ = iris()
        ours = fitted(small(BackpropClassifier, max_iter=2), X, ["a"] * len(X))
        assert_array_equal(ours.to_sklearn().predict(X), ours.predict(X))

    def test_names_of_features_are_kept(self):
        pandas = pytest.importorskip("pandas")
        X, y = iris()
        frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
        ours = fitted(small(BackpropClassifier, max_iter=2), frame, y)
        mlp = ours.to_sklearn()
        assert_same(mlp.feature_names_in_, ours.feature_names_in_, "feature_names_in_")
        assert_predicts_as(mlp, ours, frame)
        assert_same(from_sklearn(mlp).feature_names_in_, ours.feature_names_in_, "feature_names_in_")
        with pytest.raises(ValueError, match="feature names should match"):
            mlp.predict(frame.rename(columns={"a": "z"}))

    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_tools_for_scikit_learns_mlp_take_it(self, kind):
        ours, X, y = fitted_ours(kind, "adam")
        mlp = ours.to_sklearn()
        assert mlp.score(X, y) == pytest.approx(ours.score(X, y), rel=1e-10)
        loaded = pickle.loads(pickle.dumps(mlp))
        assert_array_equal(loaded.predict(X), mlp.predict(X))
        assert_goes_on_as(loaded, copy.deepcopy(ours), X, y, partial_fit)
        anew = fitted(clone(mlp).set_params(random_state=0), X, y)
        own = fitted(clone(ours).set_params(random_state=0), X, y)
        assert_allclose(anew.coefs_[0], own.coefs_[0], rtol=1e-8, atol=1e-10)


class TestRoundTrip:
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("kind", PROBLEMS)
    def test_gives_the_same_to_the_bit(self, kind, solver):
        for estimator, _, _ in (fitted_mlp(kind, solver), fitted_ours(kind, solver)):
            ours = from_sklearn(estimator) if isinstance(estimator, tuple(PAIRS)) else estimator
            again = from_sklearn(ours.to_sklearn())
            for name, value in vars(ours).items():
                if name in ("validation_loss_curve_", "_last_theta") or (name == "converged_" and solver == "lbfgs"):
                    continue  # not recorded by scikit-learn
                if name == "_optimizer_state" and ours.solver == "sgd":
                    value = copy.copy(value)
                    value.t = 0
                assert_same(getattr(again, name), value, name, rtol=1e-15 if kind == "several outputs" else 0)


class TestWhatScikitLearnCannotExpress:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"activation": "gelu"}, "activation='gelu' .*one of identity, logistic, tanh, relu for all hidden layers"),
            ({"activation": ["relu", "tanh"]}, r"activation=\['relu', 'tanh'\] "),
            ({"activation": ["silu", "silu"]}, r"activation=\['silu', 'silu'\] "),
            ({"loss": "euclidean"}, "loss='euclidean' is not in MLPClassifier.*loss='log_loss' only"),
            ({"loss": "binary_cross_entropy"}, "loss='binary_cross_entropy'"),
            ({"loss": "squared_error"}, "loss='squared_error'"),
            ({"out_activation": "tanh"}, "out_activation='tanh' .*'auto' or 'logistic' or 'softmax' only"),
            ({"solver": "gd"}, "solver='gd' .*'lbfgs' or 'sgd' or 'adam' only"),
            ({"fit_intercept": False}, "fit_intercept=False .*fit_intercept=True only"),
            ({"class_weight": "balanced"}, "class_weight='balanced' .*class_weight=None only"),
            ({"class_weight": {0: 2.0}}, r"class_weight=\{0: 2.0\} "),
            ({"class_weight": [{0: 1, 1: 2}]}, r"class_weight=\[\{0: 1, 1: 2\}\] "),
            ({"monitor": "loss"}, "monitor='loss' is not in MLPClassifier.*monitor='score' only"),
            ({"learning_rate": "cosine"}, "learning_rate='cosine' .*'constant' or 'invscaling' or 'adaptive' only"),
            ({"weight_decay": 0.1}, "weight_decay=0.1 .*weight_decay=0.0 only"),
            ({"warmup": 0.1}, "warmup=0.1 "),
            ({"dropout": 0.1}, "dropout=0.1 "),
            ({"dropout": [0, 0.1]}, r"dropout=\[0, 0.1\] "),
            ({"dropout": np.array([0, 0.1])}, r"dropout=array\(\[0\. , 0\.1\]\) "),
            ({"input_dropout": 0.1}, "input_dropout=0.1 "),
            ({"max_grad_norm": 1.0}, "max_grad_norm=1.0 .*max_grad_norm=None only"),
            ({"init": "he"}, "init='he' .*init='auto' only"),
            ({"label_smoothing": 0.1}, "label_smoothing=0.1 "),
        ],
    )
    def test_of_a_classifier_is_refused_by_name(self, params, message):
        with pytest.raises(ValueError, match=message):
            BackpropClassifier((3, 3), **params).to_sklearn()

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"activation": "softplus"}, "activation='softplus' is not in MLPRegressor"),
            ({"loss": "mean_squared_error"}, "loss='mean_squared_error' .*'squared_error' or 'poisson' only"),
            ({"loss": "euclidean"}, "loss='euclidean'"),
            ({"out_activation": "logistic"}, "out_activation='logistic' .*'auto' or 'identity' only"),
            ({"out_activation": "identity", "loss": "poisson"}, "out_activation='identity' .*'auto' or 'exp' only"),
            ({"solver": "gd"}, "solver='gd'"),
            ({"fit_intercept": False}, "fit_intercept=False"),
        ],
    )
    def test_of_a_regressor_is_refused_by_name(self, params, message):
        with pytest.raises(ValueError, match=message):
            BackpropRegressor(hidden_layer_sizes=(3, 3), **params).to_sklearn()

    @pytest.mark.parametrize(
        ("ours", "fitted_with", "then"),
        [
            (BackpropClassifier, {"loss": "binary_cross_entropy"}, {"loss": "log_loss"}),
            (
                BackpropClassifier,
                {"loss": "squared_error", "out_activation": "tanh"},
                {"loss": "log_loss", "out_activation": "auto"},
            ),
            (BackpropRegressor, {"out_activation": "tanh"}, {"out_activation": "auto"}),
            (BackpropRegressor, {"loss": "poisson"}, {"loss": "squared_error"}),
        ],
    )
    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_is_refused_after_a_fit_with_other_parameters_too(self, ours, fitted_with, then, n_classes):
        X, y = iris()
        estimator = fitted(small(ours, max_iter=2, **fitted_with), X, y % n_classes).set_params(**then)
        with pytest.raises(ValueError, match="The fit gave out_activation_="):
            estimator.to_sklearn()

    @pytest.mark.parametrize(
        ("ours", "params"),
        [
            (BackpropClassifier, {"out_activation": "softmax"}),
            (BackpropRegressor, {"out_activation": "identity"}),
            (BackpropRegressor, {"out_activation": "exp", "loss": "poisson"}),
        ],
    )
    def test_its_own_output_activation_by_name_is_not(self, ours, params):
        X, y = iris()
        estimator = fitted(small(ours, max_iter=2, **params), X, y)
        assert_predicts_as(estimator.to_sklearn(), estimator, X)
