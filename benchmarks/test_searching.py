"""Time of GridSearchCV over 24 candidates on the digits, two at a time, in processes (loky) and in threads."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from libraries import FASTBP, OURS, SKLEARN, Contender, limit_threads
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from racing import race
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from workloads import DIGITS, data

from fastbp import BackpropClassifier

GRID = {
    "hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "alpha": [1e-5, 1e-3, 1e-1, 1.0],
    "learning_rate_init": [1e-3, 1e-2],
}
CONTENDERS = (Contender(FASTBP, "all"), Contender(SKLEARN, "all"), Contender(SKLEARN, "1"))
ONE_EXAMPLE = 1 / 400  # share of one example in the score of a validation fold


def search(library: str, backend: str, epochs: int) -> NDArray[Any]:
    """The mean validation score of each candidate."""
    kind = BackpropClassifier if library == FASTBP else MLPClassifier
    candidates = GridSearchCV(kind(max_iter=epochs, random_state=0), GRID, n_jobs=2, cv=3)
    with joblib.parallel_backend(backend), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        candidates.fit(*data(DIGITS, "float32")[0])
    return np.asarray(candidates.cv_results_["mean_test_score"])


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_grid_search(benchmark: BenchmarkFixture, backend: str, quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark.group = "GridSearchCV"
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # worker processes do not see the warning filters of `search`
    runners = {}
    for contender in CONTENDERS:
        limit_threads(contender.name)
        search(contender.package, backend, 1)  # the workers start, import, and load or compile code
        runners[contender.name] = functools.partial(search, contender.package, backend, 2 if quick else 20)
    results = race(benchmark, runners, rounds=1 if quick else 3, prepare=limit_threads)
    for name in runners:
        np.testing.assert_allclose(results[name][-1], results[OURS][-1], atol=4 * ONE_EXAMPLE, err_msg=name)
    benchmark.extra_info |= {"backend": backend, "candidates": len(results[OURS][-1])}
