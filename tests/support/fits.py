"""Small fits of both estimators and of scikit-learn's: problems, models, and outcomes of calls."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.training.observer import watch

PAIRS = {BackpropClassifier: MLPClassifier, BackpropRegressor: MLPRegressor}
ESTIMATORS = list(PAIRS)
both = pytest.mark.parametrize("estimator", ESTIMATORS)
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "lbfgs": {"solver": "lbfgs"},
    "gd": {"solver": "gd", "learning_rate_init": 0.1},
}


def problem(estimator: type, *, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """40 flowers, and their species or the width of their petals. whole: rounded, so that any dtype holds them."""
    X, y = load_iris(return_X_y=True)
    X, y = scale(X)[10::3][:40], y[10::3][:40]
    if whole:
        X = np.round(3 * X)
    return (X, y) if estimator is BackpropClassifier else (X[:, :3], X[:, 3])


def small(estimator: type, **params) -> Any:
    defaults = {"hidden_layer_sizes": (4,), "activation": "tanh", "batch_size": 16, "max_iter": 3, "random_state": 0}
    return estimator(**{**defaults, **params})


def output(estimator, X) -> np.ndarray:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def assert_same_bits(actual, desired, where: str = "") -> None:
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(actual, name), getattr(desired, name), strict=True):
            assert a.dtype == b.dtype
            assert_array_equal(a, b, err_msg=f"{where} {name}")


def outcome(model: BaseEstimator, act: Callable[[BaseEstimator], Any]) -> tuple[list[str], Any]:
    """(warnings of `act(model)`, its result or error), with "MODEL" for the name of the model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            result = act(model)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
    said = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    name = type(model).__name__
    result = result.replace(name, "MODEL") if isinstance(result, str) else result
    return [text.replace(name, "MODEL") for text in said], result


def assert_as_scikit_learn(estimator: type, X, y, *to_predict) -> str:
    """Check that fit and predict give scikit-learn's warnings and its error or results. Return the error, or ''."""
    X_test = to_predict[0] if to_predict else X

    def fit_and_predict(model):
        model.fit(X, y)
        return model, model.predict(X_test), output(model, X_test)

    (said, ours), (expected, theirs) = (
        outcome(small(class_), fit_and_predict) for class_ in (estimator, PAIRS[estimator])
    )
    assert said == expected
    if isinstance(theirs, str):
        assert ours == theirs
        return theirs
    assert not isinstance(ours, str), ours
    model, prediction, values = theirs
    assert ours[1].dtype.newbyteorder("=") == prediction.dtype
    if prediction.dtype.kind == "f":
        assert_allclose(ours[1], prediction, rtol=1e-8, atol=1e-10)
    else:
        assert_array_equal(ours[1], prediction)
    assert_allclose(ours[2], values, rtol=1e-8, atol=1e-10)
    for name in ("classes_", "feature_names_in_", "n_features_in_"):
        assert hasattr(ours[0], name) == hasattr(model, name)
        value, expected = (np.asarray(getattr(fitted, name, None)) for fitted in (ours[0], model))
        assert value.dtype.newbyteorder("=") == expected.dtype
        assert_array_equal(value, expected)
    return ""


class Interruption:
    """An observer that raises KeyboardInterrupt after this epoch."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def __call__(self, epoch: int, max_iter: int, loss: float) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


def interrupted(model, X, y, epoch: int, method: str = "fit", **fit_params) -> Any:
    with watch(Interruption(epoch)), pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        return getattr(model, method)(X, y, **fit_params)
