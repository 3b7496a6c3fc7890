"""Time of predict_proba for one row, as in a service, and for 200,000 rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from libraries import CONTENDERS, FASTBP, OURS, Contender, Predict, estimator, fit, limit_threads, predictor
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from racing import race
from workloads import DTYPES, Workload, data

NETWORK = Workload(2000, 54, (256, 128), 7, 200, epochs=1)
CALLS = {1: 500, 200_000: 1}  # {rows: calls in one timing}
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def call_repeatedly(predict: Predict, X: NDArray[Any], calls: int) -> NDArray[Any]:
    for _ in range(calls):
        probabilities = predict(X)
    return probabilities


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", CALLS)
def test_predict_proba(benchmark: BenchmarkFixture, rows: int, dtype: str, quick: bool) -> None:
    benchmark.group = "predict_proba"
    calls = 10 if quick else CALLS[rows]
    X = np.random.default_rng(0).standard_normal((min(rows, 2000) if quick else rows, NETWORK.features)).astype(dtype)
    runners = {}
    for name, contender in CONTENDERS.items():
        model = estimator(Contender(FASTBP, contender.threads), NETWORK, NETWORK.epochs)
        fit(model, *data(NETWORK, dtype)[0])
        runners[name] = functools.partial(call_repeatedly, predictor(contender, model), X, calls)
        limit_threads(name)
        runners[name]()
    results = race(benchmark, runners, rounds=1 if quick else 5, prepare=limit_threads)
    for name in runners:
        np.testing.assert_allclose(results[name][-1], results[OURS][-1], atol=TOLERANCE[dtype], err_msg=name)
    benchmark.extra_info |= {"rows": rows, "dtype": dtype, "calls": calls}
