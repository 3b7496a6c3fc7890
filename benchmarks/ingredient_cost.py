"""The time that each ingredient of modern training adds to a step: python benchmarks/ingredient_cost.py"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np

from fastbp import BackpropClassifier

INGREDIENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "schedule": {"learning_rate": "cosine"},
    "weight_decay": {"weight_decay": 0.02},
    "label_smoothing": {"label_smoothing": 0.1},
    "max_grad_norm": {"max_grad_norm": 0.1},
    "dropout": {"dropout": 0.2},
    "dropout, also of inputs": {"dropout": 0.2, "input_dropout": 0.1},
    "mish": {"activation": "mish"},
}


def seconds(width: int, batch: int, dtype: str, ingredients: dict[str, Any]) -> float:
    """The time of an epoch of a network of two hidden layers, on one thread: a long fit less a short one."""
    rng = np.random.default_rng(0)
    rows = 40 * batch
    X, y = rng.normal(size=(rows, 64)).astype(dtype), rng.integers(10, size=rows)
    epochs = max(2, int(4e10 / (6.0 * rows * width * (width + 74))))
    params = {"batch_size": batch, "tol": 0, "n_iter_no_change": 10**6, "random_state": 0, "n_jobs": 1, **ingredients}
    times = []
    for n in (1, 1 + epochs):
        start = time.perf_counter()
        BackpropClassifier((width, width), max_iter=n, **params).fit(X, y)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / epochs


def main() -> None:
    """Print, for each ingredient, the median of its time over that of a step without any, in alternating rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = [(width, dtype) for width in options.widths for dtype in ("float32", "float64")]
    print(f"{'time over that of none':24}" + "".join(f"{width:>8} {dtype}" for width, dtype in columns))
    times: dict[tuple[str, int, str], list[float]] = {}
    for turn in range(options.rounds + 1):  # the first turn compiles
        for width, dtype in columns:
            for name, ingredients in INGREDIENTS.items():
                found = seconds(width, options.batch, dtype, ingredients)
                if turn:
                    times.setdefault((name, width, dtype), []).append(found)
    for name in INGREDIENTS:
        ratios = [
            statistics.median(a / b for a, b in zip(times[name, *column], times["none", *column], strict=True))
            for column in columns
        ]
        print(f"{name:24}" + "".join(f"{ratio:16.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
