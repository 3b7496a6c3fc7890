"""How long the estimators for tables take on small, wide and long tables: python benchmarks/table_sizes.py

Each table is made at random. A class depends on some numbers and on a category. The script prints the seconds of the
fit and of the predictions, the log loss on other rows beside that of a constant prediction, and how far the fit raises
the memory of the process at its peak.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import pandas as pd
from memory import peak
from sklearn.metrics import log_loss

from fastbp import TabularClassifier

# rows to train on, columns of numbers, columns of categories
SIZES = [(200, 3, 0), (200, 1_900, 100), (500_000, 20, 8)]
TEST_ROWS = 20_000
CATEGORIES = (3, 5, 8, 12, 30, 100, 400, 1_000)  # numbers of categories, in turns


def table(rows: int, numbers: int, categories: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A table and its classes. Some numbers are missing."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, numbers))
    score = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    columns = {f"number {j}": X[:, j] for j in range(numbers)}
    for j in range(categories):
        n = CATEGORIES[j % len(CATEGORIES)]
        codes = rng.integers(0, n, rows)
        columns[f"category {j}"] = pd.Categorical.from_codes(codes, [f"name {k}" for k in range(n)])
        score += (j == len(CATEGORIES) - 1) * rng.standard_normal(n)[codes]
    columns["number 2"] = np.where(rng.random(rows) < 0.1, np.nan, X[:, 2])
    return pd.DataFrame(columns), (score + 0.7 * rng.logistic(size=rows) > 0).astype(int)


def main() -> None:
    TabularClassifier(4, random_state=0).fit(*table(64, 3, 0))  # compiles kernels
    print("| rows x columns | fit, s | predictions, s | log loss | constant | peak memory, MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for rows, numbers, categories in SIZES:
        X, y = table(rows + TEST_ROWS, numbers, categories)
        start = time.perf_counter()
        raised, model = peak(functools.partial(TabularClassifier(random_state=0).fit, X[:rows], y[:rows]))
        fitted = time.perf_counter()
        p = model.predict_proba(X[rows:])
        end = time.perf_counter()
        test = y[rows:]
        constant = log_loss(test, np.full(len(test), y[:rows].mean()))
        print(
            f"| {rows:,} x {numbers + categories:,} | {fitted - start:.1f} | {end - fitted:.2f} | "
            f"{log_loss(test, p):.4f} | {constant:.4f} | {raised:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
