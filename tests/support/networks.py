"""A network and a problem for each estimator. Tests vary settings that must not change a fit."""

from typing import Any

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor

SOLVERS: dict[str, dict[str, Any]] = {
    "gd": {"solver": "gd", "learning_rate_init": 0.1},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs"},
}
DTYPES = ["float32", "float64"]


def problem(n_samples: int = 200, n_features: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_classification(
        n_samples, n_features, n_informative=6, n_classes=3, n_clusters_per_class=1, random_state=seed
    )
    return StandardScaler().fit_transform(X), y


def network(**params) -> BackpropClassifier:
    return BackpropClassifier(**{"hidden_layer_sizes": (12, 7), "max_iter": 6, "random_state": 0, **params})


def regression_problem(n_samples: int = 200, n_features: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Three outputs, all of them above zero."""
    X, _ = problem(n_samples, n_features)
    noise = np.random.default_rng(0).uniform(0, 0.2, (n_samples, 3))
    return X, np.exp(X[:, :3] / 2) + np.abs(X[:, 3:4]) + noise


def regression_network(**params) -> BackpropRegressor:
    return BackpropRegressor(**{"hidden_layer_sizes": (12, 7), "max_iter": 6, "random_state": 0, **params})


# {estimator: (network, problem)}
KINDS = {"classifier": (network, problem), "regressor": (regression_network, regression_problem)}


def assert_same_bits(clf: Any, other: Any, where: str = "") -> None:
    for a, b in zip(clf.coefs_ + clf.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b, err_msg=where)
    assert clf.loss_ == other.loss_, where
