"""The encodings of numbers in plain Python, one number after the other, slow and obvious.

It shares no code with fastbp. Values are Python floats, none missing.
"""

import math
import statistics
from bisect import bisect_left


def component(x: float, low: float, high: float, *, is_first: bool, is_last: bool) -> float:
    """One component of the piecewise linear encoding, between two edges."""
    t = (x - low) / (high - low)
    least, most = (-1.0 if is_first else 0.0), (2.0 if is_last else 1.0)
    return min(max(t, least), most)


def piecewise_linear(x: float, edges: list[float]) -> list[float]:
    last = len(edges) - 2
    return [component(x, edges[t], edges[t + 1], is_first=t == 0, is_last=t == last) for t in range(last + 1)]


def smooth_clip(t: float) -> float:
    return t / math.hypot(1, t / 3)


def quantile(values: list[float], level: float) -> float:
    """The least value with at least this share of the values at or below it."""
    ordered = sorted(values)
    return next(x for x in ordered if sum(v <= x for v in ordered) >= level * len(ordered) - 1e-9)


def scaled(x: float, values: list[float]) -> float:
    low, median, high = (quantile(values, level) for level in (0.25, 0.5, 0.75))
    return smooth_clip((x - median) / (high - low or (max(values) - min(values)) / 2))


def score(x: float, values: list[float]) -> float:
    """The normal score of one of the values: the quantile of the share below it plus half the share of its equals."""
    below, equal = sum(v < x for v in values), sum(v == x for v in values)
    return statistics.NormalDist().inv_cdf((below + equal / 2) / len(values))


def interpolated_score(x: float, values: list[float]) -> float:
    """The normal score of any number: linear between the scores of the values, and constant beyond."""
    ordered = sorted(set(values))
    if x <= ordered[0]:
        return score(ordered[0], values)
    if x >= ordered[-1]:
        return score(ordered[-1], values)
    place = bisect_left(ordered, x)
    low, high = ordered[place - 1], ordered[place]
    share = (x - low) / (high - low)
    return (1 - share) * score(low, values) + share * score(high, values)


def quantile_edges(values: list[float], n_bins: int) -> list[float]:
    """The edges: all values if they are few. Otherwise: values that fill a bin alone, and quantiles of the others."""
    different = sorted(set(values))
    if len(different) <= n_bins + 1:
        return different
    frequent = [x for x in different if values.count(x) > len(values) / n_bins]
    others = [x for x in values if x not in frequent]
    n = max(n_bins - len(frequent), 1)
    return sorted({*frequent, *(quantile(others, k / n) for k in range(n + 1))})
