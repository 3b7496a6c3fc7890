"""A column of numbers as inputs of a network: scaled, as normal scores, and piecewise linear."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..typing import Array
from .columns import Column
from .edges import Distribution, quantile_edges, tree_edges
from .target import Target

# The encodings, in the order of their columns in the output.
ENCODINGS = ("robust", "scores", "ple")
# Beyond EXACT, not every integer is a float. If a column has such integers, the encoder subtracts one of them from all
# values before it turns them into floats.
EXACT = 2**53
# The curve from values to normal scores has at most KNOTS knots.
KNOTS = 128
# `smooth_clip` takes larger numbers for FARTHEST. Their results have the same digits in float32.
FARTHEST = 1e6
# Bounds of a component of the piecewise linear encoding beyond the edges.
BELOW, ABOVE = -1.0, 2.0


def piecewise_linear(x: Array, edges: Array, out: Array) -> None:
    """Component t of x is (x - b_(t-1)) / (b_t - b_(t-1)), clipped to [0, 1], for the edges b_0 < ... < b_T.

    The first component is not clipped at 0 and the last not at 1. They go on linearly for the width of one bin beyond
    the edges, to BELOW and ABOVE, and then stay constant. So an outlier cannot drive a network arbitrarily far.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Numbers, all finite.
    edges : ndarray of shape (T + 1,)
        The edges, in ascending order and all different.
    out : ndarray of shape (n_samples, T)
        Overwritten with the components.
    """
    # Clipping is needed in the bin of x only: the bins below it have 1, and the bins above it 0.
    of = np.searchsorted(edges[1:-1], x, side="right")
    with np.errstate(over="ignore"):
        within = (x - edges[of]) / (edges[of + 1] - edges[of])
    out[...] = np.arange(len(edges) - 1) < of[:, np.newaxis]
    out[np.arange(len(x)), of] = np.clip(within, BELOW, ABOVE)


def smooth_clip(t: Array) -> Array:
    """t / sqrt(1 + (t / 3)^2): almost t near 0, and never beyond 3."""
    t = np.clip(t, -FARTHEST, FARTHEST)
    return np.asarray(t / np.sqrt(1 + (t / 3) ** 2))


def normal_scores(distribution: Distribution) -> tuple[Array, Array]:
    """Values and their normal scores. The score of other values is linear in between, and constant outside.

    The score is the quantile of the standard normal distribution at the share of smaller values plus half the share of
    equal ones.
    """
    counts, values = distribution.counts, distribution.values
    scores = ndtri((np.cumsum(counts) - counts / 2) / counts.sum())
    if len(values) <= KNOTS:
        return values, scores
    knots = np.linspace(scores[0], scores[-1], KNOTS)  # evenly spaced scores follow the curve in the tails too
    return np.interp(knots, scores, values), knots


def center_and_scale(distribution: Distribution) -> tuple[float, float]:
    """The median, and the distance of the quartiles. If this is 0, half of the range."""
    low, median, high = distribution.quantiles(np.array([0.25, 0.5, 0.75]))
    scale = high - low or (distribution.values[-1] - distribution.values[0]) / 2
    return float(median), float(scale)


@dataclasses.dataclass(frozen=True)
class NumberOptions:
    """How to encode numbers.

    Parameters
    ----------
    encodings : tuple of str
        Some of ENCODINGS.
    n_bins : int
        Most bins of the piecewise linear encoding, unless `max_distinct` asks for more.
    max_distinct : int
        If a column has at most this many different numbers, each of them is an edge.
    edges : str
        "quantile", or "tree" for edges that depend on the target.
    """

    encodings: tuple[str, ...]
    n_bins: int
    max_distinct: int
    edges: str


class NumberEncoder:
    """A column of numbers and how it is encoded.

    A missing number is encoded as the median. A column with two different values has one output, which is 0 or 1.

    Parameters
    ----------
    column : Column
        The column of the fit, of numbers or booleans. It has at least two different values.
    options : NumberOptions
        How to encode the numbers.
    target : Target or None
        The target, for edges that depend on it.
    rows : ndarray of int
        The examples that edges and quantiles are computed from.
    """

    def __init__(self, column: Column, options: NumberOptions, target: Target | None, rows: NDArray[np.intp]):
        self.offset, self.fill = 0, 0.0
        present = column.values[column.present]
        if present.dtype.kind in "iu" and max(abs(int(present.min())), abs(int(present.max()))) > EXACT:
            self.offset = int(present[0])
        x = self._relative(column)
        used = rows[column.present[rows]]
        if len(rows) < len(x):  # the extremes always count, so that no example of the fit lies beyond the edges
            low, high = np.where(column.missing, np.inf, x), np.where(column.missing, -np.inf, x)
            used = np.append(used, [low.argmin(), high.argmax()])
        distribution = Distribution(x[used])
        self.fill, self.scale = center_and_scale(distribution)
        self.is_binary = len(distribution.values) == 2
        encodings = ("ple",) if self.is_binary else options.encodings
        self.is_scaled = "robust" in encodings
        self.knots: Array = np.empty(0)
        self.scores: Array = np.empty(0)
        self.edges: Array = np.empty(0)
        if "scores" in encodings:
            self.knots, self.scores = normal_scores(distribution)
        if "ple" in encodings:
            if len(distribution.values) <= options.max_distinct:
                self.edges = distribution.values
            elif options.edges == "tree" and target is not None:
                self.edges = tree_edges(distribution, target.take(used), options.n_bins)
            else:
                self.edges = quantile_edges(distribution, options.n_bins)
        self.n_outputs = len(self.labels)

    @property
    def labels(self) -> list[str]:
        """The endings that make the names of the outputs from the name of the column."""
        if self.is_binary:
            return [""]
        bins = [f"_bin{t}" for t in range(1, len(self.edges))]
        return [*(["_scaled"] if self.is_scaled else []), *(["_score"] if len(self.knots) else []), *bins]

    def write(self, column: Column, out: Array) -> None:
        """Encode numbers, all finite; out, of shape (n_samples, n_outputs), is overwritten."""
        x, place = self._relative(column), 0
        if self.is_scaled:
            with np.errstate(over="ignore"):
                out[:, 0] = smooth_clip((x - self.fill) / self.scale)
            place = 1
        if len(self.knots):
            out[:, place] = np.interp(x, self.knots, self.scores)
            place += 1
        if len(self.edges):
            piecewise_linear(x, self.edges, out[:, place:])

    def _relative(self, column: Column) -> Array:
        """The values minus the offset as float64, with the median for missing ones."""
        x = column.values.astype(np.float64)
        if self.offset:
            x -= self.offset
            if column.values.dtype.kind in "iu":
                # Differences modulo 2^64 are exact. They are the true differences if these are below 2^62.
                wrapped = column.values.astype(np.uint64) - np.uint64(self.offset % 2**64)
                x = np.where(abs(x) < 2.0**62, wrapped.view(np.int64).astype(np.float64), x)
        x[column.missing] = self.fill
        return x
