"""The share of a fit, and of an epoch, that the check of a sparse X takes: python benchmarks/sparse_check.py"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from fastbp import BackpropClassifier
from fastbp.data.examples import check_sparse, in_order

# (rows, columns, share of stored entries, units of the hidden layer, epochs)
SHAPES = [(20_000, 1_000, 0.02, 100, 10), (20_000, 10_000, 0.005, 50, 5), (100_000, 300, 0.05, 20, 5)]


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median time of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measured(rows: int, columns: int, density: float, units: int, epochs: int, repeats: int) -> str:
    """The row of a shape."""
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(rows, columns, density, "csr", random_state=rng)
    y = rng.integers(0, 2, rows)

    def check() -> None:
        check_sparse(X, "X")
        in_order(X)

    def fit(max_iter: int = epochs) -> BackpropClassifier:
        return BackpropClassifier((units,), max_iter=max_iter, random_state=0).fit(X, y)

    model = fit()  # compiles
    checking, whole = seconds(check, 20), seconds(fit, repeats)
    epoch, predicting = seconds(lambda: fit(1), repeats), seconds(lambda: model.predict(X), repeats)
    return (
        f"{rows:>10,} x {columns:>9,} {X.nnz:>10,} {1e3 * checking:>6.2f} ms {1e3 * epoch:>7.0f} ms {whole:>7.2f} s "
        f"{1e3 * predicting:>6.0f} ms {checking / epoch:>9.2%} {checking / whole:>7.2%}"
    )


def main() -> None:
    """Print a row per shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    print(f"{'X':>22} {'entries':>10} {'check':>9} {'one epoch':>10} {'a fit':>9} {'predict':>9} of epoch  of fit")
    for shape in SHAPES:
        print(measured(*shape, repeats), flush=True)


if __name__ == "__main__":
    main()
