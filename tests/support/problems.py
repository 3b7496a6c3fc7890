"""Small networks with random data, trained by the kernels and by the reference."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse

from fastbp.data.examples import as_examples
from fastbp.network.architecture import Network
from fastbp.parallel.team import Team
from fastbp.training.trainer import Trainer
from support import reference

# TOLERANCES are relative to the largest number of an array.
TOLERANCES = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 5e-6}
over_dtypes = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


def another_dtype(X):
    return X.astype(np.float32 if X.dtype == np.float64 else np.float64)


def sparse(X):
    return scipy.sparse.csr_matrix(X * (X > 1.5))


def half_sparse(X):
    """Sparse data of so many entries that the kernels make them dense."""
    return scipy.sparse.csr_matrix(X * (X > 0))


FORMS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "rows of another dtype": another_dtype,
    "sparse": sparse,
    "sparse of another dtype": lambda X: another_dtype(sparse(X)),
    "half sparse": half_sparse,
    "half sparse of another dtype": lambda X: another_dtype(half_sparse(X)),
}


class Problem:
    """A random network with random data. `names` are its arguments for the reference."""

    def __init__(self, widths, dtype, *, loss="log_loss", out="softmax", hidden="tanh", rows=29, form="rows", seed=0):
        rng = np.random.default_rng(seed)
        n_hidden = len(widths) - 2
        options = reference.loss_options(loss, widths[-1])
        self.network = Network(widths, (hidden,) * n_hidden + (out,), loss, dtype, loss_options=options)
        self.names = {"activation": hidden, "out_activation": out, "loss": loss, "options": options}
        X = rng.normal(size=(rows, widths[0])).astype(np.float32).astype(dtype)  # the same in every dtype
        self.X = FORMS[form](X)
        self.coefs = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in pairwise(widths)]
        self.intercepts = [rng.normal(size=n) for n in widths[1:]]
        self.Y = rng.uniform(size=(rows, widths[-1]))
        if out == "softmax":
            self.Y /= self.Y.sum(axis=1, keepdims=True)
        self.weights = rng.uniform(0.5, 2, rows)
        self.theta = self.network.layout.pack(self.coefs, self.intercepts)

    @property
    def examples(self):
        return as_examples(self.X, self.network.dtype, Y=self.Y, weights=self.weights)

    @property
    def dense(self):
        X = self.X.toarray() if scipy.sparse.issparse(self.X) else self.X
        return X.astype(np.float64)

    def trainer(self, **options):
        options = {"batch": len(self.Y), "team": Team(1), "alpha": 0.1} | options
        return Trainer(self.network, self.theta.copy(), self.examples, **options)

    def reference_loss_and_gradient(self, rows=slice(None), coefs=None, intercepts=None):
        coefs, intercepts = coefs or self.coefs, intercepts or self.intercepts
        X, Y, weights = self.dense[rows], self.Y[rows], self.weights[rows]
        return reference.loss_and_gradient(X, Y, coefs, intercepts, alpha=0.1, sample_weight=weights, **self.names)


def assert_close(found, expected, dtype):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCES[dtype] * np.abs(other).max())
