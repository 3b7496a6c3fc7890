"""Trainers of random networks, for tests of the layout of parameters and of the steps on them."""

import numpy as np
import pytest
import scipy.sparse

from fastbp.data.examples import as_examples
from fastbp.kernels import optimizers
from fastbp.network.architecture import Network
from fastbp.parallel.crew import CREW
from fastbp.parallel.team import Team
from fastbp.training.optimizer_state import set_rates
from fastbp.training.trainer import Trainer

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
over_dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
OPTIMIZERS = {"sgd": optimizers.SGD, "nesterov": optimizers.NESTEROV, "adam": optimizers.ADAM}
RATES = {"learning_rate_init": 0.01, "momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
# No width is a multiple of a vector. The wider layers have full panels, and panels of two vectors and of one vector.
WIDTHS = (7, 115, 37, 5)


def network(dtype, activation="tanh", **kwargs):
    return Network(WIDTHS, (activation, activation, "softmax"), "log_loss", dtype, **kwargs)


def random_theta(shape, rng):
    coefs = [rng.normal(size=(n, m)) / np.sqrt(n) for n, m in zip(shape.widths, shape.widths[1:], strict=False)]
    intercepts = [rng.normal(size=m) * shape.fit_intercept for m in shape.widths[1:]]
    return shape.layout.pack(coefs, intercepts), coefs, intercepts


def random_examples(shape, rng, n, weights=None):
    X = rng.normal(size=(n, shape.widths[0])).astype(shape.dtype)
    return as_examples(X, shape.dtype, codes=rng.integers(shape.widths[-1], size=n), weights=weights)


def trainer(shape, theta, examples, **kwargs):
    options = {"batch": examples.n, "team": Team(1), "alpha": 0.1} | kwargs
    result = Trainer(shape, theta.copy(), examples, **options)
    set_rates(result, **RATES)
    return result


class Tasks(Team):
    """A team that always has all of its threads, even if the machine has fewer cores."""

    def run(self, kernel, *args, work):
        return CREW.run(kernel, self.n_threads, *args)


def data_forms(shape, rng, n):
    """Examples of every form that the kernels read."""
    X = rng.normal(size=(n, shape.widths[0])).astype(shape.dtype)
    codes, weights = rng.integers(max(2, shape.widths[-1]), size=n), rng.uniform(0.5, 2, n)
    Y = rng.uniform(size=(n, shape.widths[-1]))
    Y /= Y.sum(axis=1, keepdims=True)
    yield as_examples(X, shape.dtype, codes=codes)
    yield as_examples(np.asfortranarray(X), shape.dtype, codes=codes, weights=weights)
    yield as_examples(X.astype(F32 if shape.dtype == F64 else F64), shape.dtype, Y=Y)
    for least in (0, 1.5):  # the first is made dense, the second is not
        yield as_examples(scipy.sparse.csr_matrix(X * (least < X)), shape.dtype, Y=Y, weights=weights)


# Widths below, at and above those of a vector and of a panel, on any CPU. Every loss except poisson, and networks
# without hidden layers.
SHAPES = [
    (WIDTHS, ("tanh", "relu", "softmax"), "log_loss"),
    ((1, 1), ("logistic",), "binary_cross_entropy"),
    ((130, 9), ("identity",), "squared_error"),
    ((3, 24, 48, 2), ("gelu", "elu", "logistic"), "mean_squared_error"),
    ((5, 1, 33, 1, 3), ("softplus", "silu", "leaky_relu", "tanh"), "euclidean"),
    ((3, 67, 2), ("logistic", "logistic"), "log_loss"),
    ((2, 131, 4), ("tanh", "softmax"), "log_loss"),
]
