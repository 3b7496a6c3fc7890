"""The edges of the piecewise linear encoding: where the slope of a network's response to a number may change."""

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ..typing import Array
from .target import Target

# A leaf of a tree has at least LEAST_LEAF examples, or a LEAST_SHARE-th of the examples if that is less.
LEAST_LEAF, LEAST_SHARE = 32, 20
# A share of the examples counts as a whole number of them if it differs from this number by at most ROUNDING.
ROUNDING = 1e-6


class Distribution:
    """The different values of a column in ascending order, and how often each occurs.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Values of the column, none missing.
    """

    def __init__(self, x: Array):
        self.x = x
        self.values, self.counts = np.unique(x, return_counts=True)

    def quantiles(self, levels: Array) -> Array:
        """For each level in [0, 1], the least value with at least this share of all values at or below it."""
        return _quantiles(self.values, self.counts, levels)


def _quantiles(values: Array, counts: NDArray[np.integer], levels: Array) -> Array:
    sums = np.cumsum(counts)
    places = np.searchsorted(sums, levels * sums[-1] - ROUNDING, side="left")
    return np.asarray(values[np.minimum(places, len(values) - 1)])


def quantile_edges(distribution: Distribution, n_bins: int) -> Array:
    """At most n_bins + 1 edges. Between two neighbours lie about equally many examples.

    A value that would fill a bin alone becomes an edge, and the other edges are quantiles of the other values. So a
    column that is mostly zero still has edges among its other values. If there are few different values, all are edges.
    """
    values, counts = distribution.values, distribution.counts
    if len(values) <= n_bins + 1:
        return np.asarray(values)
    is_frequent = counts > counts.sum() / n_bins
    levels = np.linspace(0, 1, max(n_bins - is_frequent.sum(), 1) + 1)
    others = _quantiles(values[~is_frequent], counts[~is_frequent], levels)
    return np.union1d(values[is_frequent], others)


def tree_edges(distribution: Distribution, target: Target, n_bins: int) -> Array:
    """At most n_bins + 1 edges: the splits of a decision tree that predicts the target from this column alone.

    The tree sees the ranks of the values, because trees compute in float32 and large close numbers would be equal.
    """
    values, ranks = distribution.values, np.searchsorted(distribution.values, distribution.x)
    least = max(1, min(LEAST_LEAF, len(ranks) // LEAST_SHARE))
    kind = DecisionTreeRegressor if target.codes is None else DecisionTreeClassifier
    tree = kind(max_leaf_nodes=n_bins, min_samples_leaf=least, random_state=0)
    fitted = tree.fit(ranks[:, np.newaxis].astype(np.float32), _for_tree(target)).tree_
    below = np.floor(fitted.threshold[fitted.feature >= 0]).astype(np.int64)
    return np.union1d((values[below] + values[below + 1]) / 2, values[[0, -1]])


def _for_tree(target: Target) -> NDArray:
    """The codes of classes, or numbers of the same scale in each output."""
    if target.codes is not None:
        return target.codes
    assert target.numbers is not None
    scale = target.numbers.std(axis=0)
    return np.asarray(target.numbers / np.where(scale > 0, scale, 1))
