"""Helpers of the parity tests: fit both libraries' estimators with the same arguments, and compare them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastbp import BackpropClassifier, BackpropRegressor

Pair = tuple[type, type]
CLASSIFIERS: Pair = (BackpropClassifier, MLPClassifier)
REGRESSORS: Pair = (BackpropRegressor, MLPRegressor)

# Parameters that scikit-learn does not have, with their defaults, which both of our estimators have.
NEW = [
    ("weight_decay", 0.0),
    ("warmup", 0.0),
    ("dropout", 0.0),
    ("input_dropout", 0.0),
    ("max_grad_norm", None),
    ("init", "auto"),
]

# With EPOCHS no fit stops early. Every test that is not about stopping runs all epochs.
EPOCHS = {"max_iter": 50, "tol": 0.0, "n_iter_no_change": 1000}

SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "sgd momentum": {"solver": "sgd", "learning_rate_init": 0.02, "nesterovs_momentum": False},
    "sgd nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "sgd invscaling": {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.2},
    # the rate is divided several times in 50 epochs, but stays above 1e-6, where training stops
    "sgd adaptive": {
        "solver": "sgd",
        "learning_rate_init": 0.1,
        "learning_rate": "adaptive",
        "tol": 0.02,
        "n_iter_no_change": 5,
    },
}


def any_options(rng: np.random.Generator) -> dict[str, Any]:
    """Random options of a fit. It has 50 epochs, unless the options stop it earlier."""
    params = dict(SOLVERS[rng.choice(list(SOLVERS))])
    params["learning_rate_init"] /= (
        5  # many small steps at a high rate amplify rounding a thousandfold every ten epochs
    )
    params |= EPOCHS if rng.random() < 0.5 else {"max_iter": 50, "n_iter_no_change": int(rng.integers(1, 6))}
    return params | {
        "hidden_layer_sizes": [(), (7,), (12, 5), (6, 5, 4)][rng.integers(4)],
        "activation": str(rng.choice(["identity", "logistic", "tanh", "relu"])),
        "alpha": float(rng.choice([0.0, 1e-4, 0.5])),
        "batch_size": ["auto", 1, 16, 50][rng.choice(4, p=[0.4, 0.05, 0.3, 0.25])],
        "shuffle": bool(rng.random() < 0.7),
        "early_stopping": bool(rng.random() < 0.4),
        "validation_fraction": float(rng.choice([0.1, 0.25])),
        "random_state": int(rng.integers(100)),
    }


def recorded(fit: Callable[[], Any]) -> tuple[Any, list[tuple[type, str]]]:
    """(result of `fit()`, its warnings as (category, text))."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit()
    return result, [(warning.category, str(warning.message)) for warning in caught]


def fit_both(pair: Pair, X, y, *, sample_weight=None, **params) -> tuple[Any, Any]:
    """Fit both estimators with the same arguments. Their warnings must agree."""
    params.setdefault("random_state", 0)
    ours, theirs = (estimator(**params) for estimator in pair)
    call_both((ours, theirs), "fit", X, y, sample_weight=sample_weight)
    return ours, theirs


def call_both(fitted: tuple[Any, Any], method: str, *args, **kwargs) -> None:
    """Call a method of both estimators. Their warnings must agree."""
    warned, expected = (recorded(lambda e=estimator: getattr(e, method)(*args, **kwargs))[1] for estimator in fitted)
    assert warned == expected


def assert_close(actual, desired, rtol: float) -> None:
    # atol only helps entries near zero, where a relative error means nothing
    assert_allclose(actual, desired, rtol=rtol, atol=0.1 * rtol * np.abs(desired).max(initial=0.0))


def assert_follows(ours, theirs, X, rtol: float = 1e-8, *, loss_factor: float = 1) -> None:
    """Check everything that both learned, and their predictions for X. Our loss is theirs times `loss_factor`."""
    learned = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert learned <= {name for name in dir(ours) if name.endswith("_")}

    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.n_features_in_ == theirs.n_features_in_
    assert ours.out_activation_ == theirs.out_activation_

    assert_close(ours.loss_, loss_factor * theirs.loss_, rtol)
    assert_close(ours.loss_curve_, loss_factor * np.array(theirs.loss_curve_), rtol)
    if theirs.best_loss_ is None:
        assert ours.best_loss_ is None
        assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=rtol)
        assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, rtol=rtol)
    else:
        assert_close(ours.best_loss_, loss_factor * theirs.best_loss_, rtol)
        assert ours.validation_scores_ is None
        assert ours.best_validation_score_ is None

    assert_parameters(ours, theirs, rtol)
    assert_predictions(ours, theirs, X, rtol)


def assert_parameters(ours, theirs, rtol: float) -> None:
    for name in ("coefs_", "intercepts_"):
        actual, desired = getattr(ours, name), getattr(theirs, name)
        assert [array.shape for array in actual] == [array.shape for array in desired]
        assert [array.dtype for array in actual] == [array.dtype for array in desired]
        for a, b in zip(actual, desired, strict=True):
            assert_close(a, b, rtol)


def assert_predictions(ours, theirs, X, rtol: float) -> None:
    actual, desired = ours.predict(X), theirs.predict(X)
    assert actual.shape == desired.shape
    assert actual.dtype == desired.dtype
    if not hasattr(theirs, "classes_"):
        assert_close(actual, desired, rtol)
        return
    assert_array_equal(actual, desired)
    assert ours.classes_.dtype == theirs.classes_.dtype
    assert_array_equal(ours.classes_, theirs.classes_)
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), rtol)


def lbfgs_objectives(monkeypatch, pair: Pair, X, y, *, sample_weight=None, **params) -> list[tuple[Any, Any]]:
    """((our J, our gradient), (their J, their gradient)) at the points that a few iterations of their L-BFGS visit."""
    minimize = scipy.optimize.minimize
    visited: list[np.ndarray] = []
    objectives = []

    def spy(fun, x0, *, args=(), **kwargs):
        is_first = not visited

        def objective(x):
            if is_first:
                visited.append(x.copy())
            return fun(x, *args)

        result = minimize(objective, x0, **kwargs)
        objectives.append([fun(x, *args) for x in visited])
        return result

    monkeypatch.setattr(scipy.optimize, "minimize", spy)
    for estimator in reversed(pair):
        recorded(lambda e=estimator: e(solver="lbfgs", max_iter=5, **params).fit(X, y, sample_weight=sample_weight))
    theirs, ours = objectives
    return list(zip(ours, theirs, strict=True))
