"""Time what fits do outside of the kernels, and compare a prediction with the peak: python benchmarks/overhead.py

Outside of the training kernels are checks, copies, labels, shuffling, set-up and the Python code of each epoch.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from peak import fma_peak
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from workloads import DTYPES, Workload

from fastbp import BackpropClassifier
from fastbp.parallel.team import Team

SECONDS = 0.2  # a round repeats each case for about this time
PREDICTION = Workload(200_000, 54, (256, 128), 7, 200, epochs=1)


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """(microseconds of a call, microseconds of it outside of the kernels): medians of calls for SECONDS."""
    in_kernels, run = 0.0, Team.run

    def timed_run(team: Team, *args: Any, **options: Any) -> Any:
        nonlocal in_kernels
        start = time.perf_counter()
        result = run(team, *args, **options)
        in_kernels += time.perf_counter() - start
        return result

    both: list[tuple[float, float]] = []
    end = time.perf_counter() + SECONDS
    with patch.object(Team, "run", timed_run):
        while not both or time.perf_counter() < end:
            in_kernels, start = 0.0, time.perf_counter()
            call()
            whole = time.perf_counter() - start
            both.append((1e6 * whole, 1e6 * (whole - in_kernels)))
    whole, outside = (statistics.median(values) for values in zip(*both, strict=True))
    return whole, outside


def cases() -> dict[str, Callable[[], Any]]:
    """Fits on one thread."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50_000, 30), np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
    digits, labels = load_digits(return_X_y=True)
    digits = (digits / 16).astype(np.float32)
    train, test = np.arange(898), np.arange(898, 1347)
    table, candidate = (BackpropClassifier(max_iter=n, random_state=0, n_jobs=1) for n in (1, 20))
    iris = load_iris(return_X_y=True)
    short, flowers = (BackpropClassifier((5,), max_iter=n, random_state=0) for n in (1, 200))
    stream = BackpropClassifier((32,), random_state=0).partial_fit(digits, labels, classes=np.arange(10))

    def of_a_grid() -> float:
        model = clone(candidate).set_params(alpha=1e-3).fit(digits[train], labels[train])
        return float(model.score(digits[test], labels[test]))

    return {
        "one epoch of 50,000 x 30": lambda: table.fit(X, y),
        "one epoch of iris": lambda: short.fit(*iris),
        "200 epochs of iris": lambda: flowers.fit(*iris),
        "a candidate of a grid (digits)": of_a_grid,
        "partial_fit of a row": lambda: stream.partial_fit(digits[:1], labels[:1]),
    }


def prediction_of(dtype: str) -> float:
    """The rate of useful arithmetic of a prediction on one thread, as a share of the peak."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((PREDICTION.rows, PREDICTION.features)).astype(dtype)
    model = BackpropClassifier(PREDICTION.hidden, max_iter=1, n_jobs=1).fit(X[:2000], np.arange(2000) % 7)
    operations = 2 * len(X) * sum(coef.size for coef in model.coefs_)
    spin, of_spin = fma_peak(dtype, 1)
    seconds: dict[str, list[float]] = {"prediction": [], "peak": []}
    for turn in range(6):  # the first turn compiles
        for name, call in (("prediction", lambda: model.predict_proba(X)), ("peak", spin)):
            start = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    prediction, peak = (statistics.median(values) for values in seconds.values())
    return operations / prediction / (of_spin / peak)


def main() -> None:
    """Print a table of fits, and the share of the peak that a prediction reaches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(options.rounds + 1):  # the first turn compiles
        for name, call in cases().items():
            both = timed(call)
            if turn:
                found.setdefault(name, []).append(both)
    print(f"{'microseconds':32}{'fit':>10}{'outside':>10}{'share':>8}")
    for name, values in found.items():
        whole, outside = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:32}{whole:10,.0f}{outside:10,.0f}{outside / whole:8.0%}")
    for dtype in DTYPES:
        print(f"predict_proba of {PREDICTION.rows:,} rows in {dtype}: {prediction_of(dtype):.0%} of the FMA peak")


if __name__ == "__main__":
    main()
