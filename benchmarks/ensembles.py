"""The time of an ensemble of 8 on 2 threads, over the time of one member on 1 thread: python benchmarks/ensembles.py"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

from fastbp import BackpropClassifier, BackpropEnsembleClassifier

N_MEMBERS, N_THREADS = 8, 2
SPEEDUP = 1.9  # two threads should be at least this many times as fast as one
# rows, features, hidden layers, epochs
CASES: dict[str, tuple[int, int, tuple[int, ...], int]] = {
    "digits 1797x64 (100)": (1797, 64, (100,), 200),
    "20000x784 (100)": (20_000, 784, (100,), 6),
    "20000x64 (256,128)": (20_000, 64, (256, 128), 10),
    "100000x8 (128,32)": (100_000, 8, (128, 32), 6),
}


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def times(rows: int, features: int, hidden: tuple[int, ...], epochs: int, dtype: str, rounds: int) -> list[list[float]]:
    """For each round, the seconds of a fit of one member, of a fit of the ensemble, and of predictions of both."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(rows, features)).astype(dtype), rng.integers(10, size=rows)
    member = BackpropClassifier(hidden, max_iter=epochs, tol=0, n_iter_no_change=10**6, random_state=0, n_jobs=1)
    ensemble = BackpropEnsembleClassifier(member, N_MEMBERS, n_jobs=N_THREADS, random_state=0)
    found = []
    for turn in range(rounds + 1):  # the first turn compiles
        fits = [seconds(lambda: member.fit(X, y)), seconds(lambda: ensemble.fit(X, y))]
        predictions = [seconds(lambda: member.predict_proba(X)), seconds(lambda: ensemble.predict_proba(X))]
        if turn:
            found.append(fits + predictions)
    return found


def main() -> None:
    """Print medians of alternating rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    most = N_MEMBERS / SPEEDUP
    print(f"{N_MEMBERS} members on {N_THREADS} threads over one on one thread; at most {most:.2f} is the aim")
    print(f"{'':22}{'dtype':>9}{'member, ms':>12}{'ensemble, ms':>14}{'ratio':>7}{'prediction':>12}")
    for name, case in CASES.items():
        for dtype in ("float32", "float64"):
            found = times(*case, dtype, options.rounds)
            one, all_members, *_ = (1000 * statistics.median(column) for column in zip(*found, strict=True))
            fits = statistics.median(row[1] / row[0] for row in found)
            predictions = statistics.median(row[3] / row[2] for row in found)
            print(f"{name:22}{dtype:>9}{one:12.1f}{all_members:14.1f}{fits:7.2f}{predictions:12.2f}", flush=True)


if __name__ == "__main__":
    main()
