"""Small classifiers and the flowers that they learn."""

import numpy as np
from scipy.special import expit, softmax
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier

ACTIVATIONS = [
    "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "selu", "mish",
    "hard_swish",
]  # fmt: skip
LOSSES = ["log_loss", "binary_cross_entropy", "squared_error", "mean_squared_error", "euclidean"]
SOLVERS = ["gd", "sgd", "adam", "lbfgs"]


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def targets(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A small problem with targets of this kind."""
    X, y = iris()
    if kind == "binary":
        return X, (y == 0).astype(int)
    if kind == "multilabel":
        return X, np.column_stack([y == 0, y != 1, y == 2]).astype(int)
    return X, y


def small(**params) -> BackpropClassifier:
    return BackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def outputs(clf: BackpropClassifier, X: np.ndarray) -> np.ndarray:
    """The output layer of a network with tanh hidden layers, by NumPy from its public parameters."""
    a = X
    for coef, intercept in zip(clf.coefs_[:-1], clf.intercepts_[:-1], strict=True):
        a = np.tanh(a @ coef + intercept)
    z = a @ clf.coefs_[-1] + clf.intercepts_[-1]
    g = {"identity": lambda z: z, "logistic": expit, "tanh": np.tanh, "softmax": lambda z: softmax(z, axis=1)}
    return g[clf.out_activation_](z)
