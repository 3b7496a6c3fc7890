"""Time of a GridSearchCV over 24 candidates, beside scikit-learn's search with scikit-learn's MLPClassifier.

MLPClassifier runs in every way that users run it, and the fastest way counts. fastbp's network also runs in
scikit-learn's search. The difference between the two is the gain of fastbp's search.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
import sklearn.model_selection
from libraries import FASTBP, SKLEARN
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from racing import race
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from workloads import DIGITS, Workload, data

import fastbp.model_selection
from fastbp import BackpropClassifier

GRID = {
    "hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "alpha": [1e-5, 1e-3, 1e-1, 1.0],
    "learning_rate_init": [1e-3, 1e-2],
}
TABLE = Workload(20_000, 12, (100,), 2, 200, epochs=5)
ONE_EXAMPLE = 1 / 400  # share of one example in the score of a validation fold of the digits


class Way(NamedTuple):
    """A way to run a search."""

    network: type
    search: Any
    backend: str
    n_jobs: int
    blas_threads: int

    def run(self, workload: Workload, epochs: int) -> NDArray[Any]:
        """The mean validation score of each candidate."""
        # Without refit, because a refit trains a single network, which does not belong to the search.
        candidates = self.search(
            self.network(max_iter=epochs, random_state=0), GRID, n_jobs=self.n_jobs, cv=3, refit=False
        )
        with (
            joblib.parallel_backend(self.backend),
            threadpool_limits(self.blas_threads, user_api="blas"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", ConvergenceWarning)
            candidates.fit(*data(workload, "float32")[0])
        return np.asarray(candidates.cv_results_["mean_test_score"])


OURS, THEIRS = fastbp.model_selection.GridSearchCV, sklearn.model_selection.GridSearchCV
WAYS = {
    f"{FASTBP}/all": Way(BackpropClassifier, OURS, "threading", 2, 1),
    f"{FASTBP}/in scikit-learn's search, loky": Way(BackpropClassifier, THEIRS, "loky", 2, 1),
    f"{FASTBP}/in scikit-learn's search, threading": Way(BackpropClassifier, THEIRS, "threading", 2, 1),
    f"{SKLEARN}/loky": Way(MLPClassifier, THEIRS, "loky", 2, 2),
    f"{SKLEARN}/threading, one BLAS thread": Way(MLPClassifier, THEIRS, "threading", 2, 1),
    f"{SKLEARN}/n_jobs=1, one BLAS thread": Way(MLPClassifier, THEIRS, "threading", 1, 1),
    f"{SKLEARN}/n_jobs=1, all BLAS threads": Way(MLPClassifier, THEIRS, "threading", 1, 2),
}


@pytest.mark.parametrize(("workload", "epochs"), [(DIGITS, 20), (TABLE, 5)], ids=["digits", "table"])
def test_grid_search(
    benchmark: BenchmarkFixture, workload: Workload, epochs: int, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark.group = "GridSearchCV"
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # worker processes do not see the warning filters of `run`
    workload, epochs = (workload.quick(), 2) if quick else (workload, epochs)
    runners = {}
    for name, way in WAYS.items():
        way.run(workload, 1)  # the workers start, import, and load or compile code
        runners[name] = functools.partial(way.run, workload, epochs)
    results = race(benchmark, runners, rounds=1 if quick else 3)
    for name, scores in results.items():
        np.testing.assert_allclose(scores[-1], results[f"{FASTBP}/all"][-1], atol=4 * ONE_EXAMPLE, err_msg=name)
    benchmark.extra_info |= {"workload": f"{workload.rows:,} x {workload.features}", "candidates": len(scores[-1])}
