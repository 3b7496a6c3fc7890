"""HalvingSearchCV beside a full search over the same 81 candidates: the winner's test score, epochs and seconds.

python benchmarks/halving.py                takes about two minutes on two cores
python benchmarks/halving.py --quick        fewer candidates and epochs: the figures mean little
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastbp import BackpropClassifier
from fastbp.model_selection import GridSearchCV, HalvingSearchCV

GRID = {
    "hidden_layer_sizes": [(20,), (50,), (50, 50)],
    "alpha": np.logspace(-4, 1, 9).tolist(),
    "learning_rate_init": [1e-4, 1e-3, 1e-2],
}
SEEDS, EPOCHS, FOLDS = 5, 81, 3


def searched(search: Any, X: Any, y: Any) -> tuple[Any, float]:
    """The fitted search, and its seconds without the refit."""
    start = time.perf_counter()
    search.fit(X, y)
    return search, time.perf_counter() - start - search.refit_time_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    grid, epochs = (GRID | {"alpha": GRID["alpha"][::4]}, 9) if quick else (GRID, EPOCHS)
    n_candidates = int(np.prod([len(values) for values in grid.values()]))
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X /= 16
    # No candidate stops by itself, so a full search trains them all for all epochs.
    net = BackpropClassifier(max_iter=epochs, n_iter_no_change=np.inf, random_state=0)
    searched(GridSearchCV(net.set_params(max_iter=1), grid, cv=FOLDS), X, y)  # compiles
    net.set_params(max_iter=epochs)
    rows = []
    print("| seed | full: test score | halving: test score | epochs | seconds of the full search | of halving |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for seed in range(SEEDS):
        train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
        full, full_seconds = searched(GridSearchCV(net, grid, cv=FOLDS), train, y_train)
        halving, seconds = searched(HalvingSearchCV(net, grid, cv=FOLDS), train, y_train)
        scores = full.score(test, y_test), halving.score(test, y_test)
        share = halving.n_epochs_ / (n_candidates * epochs * FOLDS)
        rows.append((*scores, share, full_seconds, seconds))
        print(f"| {seed} | {scores[0]:.4f} | {scores[1]:.4f} | {share:.1%} | {full_seconds:.2f} | {seconds:.2f} |")
    found = np.array(rows)
    difference = found[:, 1] - found[:, 0]
    error = difference.std(ddof=1) / np.sqrt(SEEDS)
    print()
    print(f"Halving less full: {difference.mean():+.4f}, standard error {error:.4f}.")
    shares = found[:, 2].mean(), (found[:, 4] / found[:, 3]).mean()
    print(f"Halving takes {shares[0]:.1%} of the epochs and {shares[1]:.1%} of the time.")


if __name__ == "__main__":
    main()
