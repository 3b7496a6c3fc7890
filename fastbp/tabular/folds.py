"""Folds: disjoint sets of rows. Each network is validated on one fold, and trained on all other rows."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def folds(n: int, codes: NDArray[np.intp] | None, n_folds: int, random_state: np.random.RandomState) -> list[Rows]:
    """At most n_folds folds of n rows, each of two rows or more in ascending order. Too few rows make one empty fold.

    With `codes`, the class of each row, the examples of a class are spread evenly over the folds, so the rows outside
    of any fold have all classes. A class with a single example is in no fold.
    """
    order = random_state.permutation(n)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
        order = order[np.bincount(codes)[codes[order]] > 1]
    n_folds = min(n_folds, len(order) // 2)
    if n_folds < 2:
        return [np.empty(0, np.int64)]
    return [np.sort(order[fold::n_folds]) for fold in range(n_folds)]
