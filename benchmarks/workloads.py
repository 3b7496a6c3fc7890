"""The jobs that every benchmark trains, and how each library trains them: same data, settings and seed."""

from __future__ import annotations

import functools
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier

DTYPES = ("float32", "float64")
FASTBP, SKLEARN = "fastbp", "scikit-learn"
LIBRARIES = (SKLEARN, FASTBP)

QUICK_ROWS = 2000

# OpenBLAS's threads keep spinning for some 30 ms after their last product, on cores that the next fit needs: without a
# pause, alternating fits of two libraries measure how they disturb each other (digits: fastbp 2.5 times as slow).
SETTLE_SECONDS = 0.1

Estimator: TypeAlias = BackpropClassifier | MLPClassifier


@dataclass(frozen=True)
class Workload:
    """A classification problem and a network for it."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    classes: int
    batch: int
    epochs: int  # of one timed fit: enough for what fit does besides epochs not to count
    source: str = "synthetic"

    @property
    def name(self) -> str:
        hidden = ",".join(map(str, self.hidden))
        return f"{self.source} {self.rows}x{self.features} ({hidden}) {self.classes}, {self.batch}"

    def quick(self) -> Workload:
        """The same network on fewer rows: for checking results, not for quoting times."""
        return replace(self, rows=min(self.rows, QUICK_ROWS))


WORKLOADS = (
    Workload(1797, 64, (100,), 10, 200, epochs=100, source="digits"),
    Workload(20_000, 784, (100,), 10, 200, epochs=5),
    Workload(20_000, 784, (512, 256), 10, 256, epochs=2),
    Workload(100_000, 8, (128, 32), 2, 70, epochs=3),
    Workload(100_000, 4, (500,), 2, 1000, epochs=3),
    Workload(100_000, 54, (256, 128), 7, 1024, epochs=3),
    Workload(1000, 16, (32, 16), 4, 32, epochs=400),
    Workload(150, 4, (5,), 3, 150, epochs=1000, source="iris"),
)


@functools.lru_cache(maxsize=1)  # the largest are 100 MB
def data(workload: Workload, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Standardised features and labels. Synthetic labels are the noisy argmax of a linear map."""
    if workload.source == "digits":
        X, y = load_digits(return_X_y=True)
    elif workload.source == "iris":
        X, y = load_iris(return_X_y=True)
    else:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((workload.rows, workload.features))
        scores = X @ rng.standard_normal((workload.features, workload.classes))
        y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    return StandardScaler().fit_transform(X).astype(dtype), y


def estimator(library: str, workload: Workload, *, n_jobs: int | None = None) -> Estimator:
    """An estimator that trains for exactly ``workload.epochs`` epochs; it takes its dtype from the data."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": workload.hidden,
        "batch_size": workload.batch,
        "max_iter": workload.epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": 0,
    }
    return BackpropClassifier(**settings, n_jobs=n_jobs) if library == FASTBP else MLPClassifier(**settings)


def train(library: str, workload: Workload, dtype: str, *, n_jobs: int | None = None) -> Estimator:
    """Train ``workload`` with ``library``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping at max_iter is the point
        return estimator(library, workload, n_jobs=n_jobs).fit(*data(workload, dtype))


def warm_up(library: str, workload: Workload, dtype: str, *, n_jobs: int | None = None) -> None:
    """Compile, start the threads and generate the data, so that none of it is timed."""
    train(library, replace(workload, epochs=1), dtype, n_jobs=n_jobs)


def settle() -> None:
    """Wait until the threads of the fit before have gone to sleep."""
    time.sleep(SETTLE_SECONDS)
