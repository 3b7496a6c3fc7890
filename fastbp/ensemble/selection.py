"""Greedy selection of an ensemble, with repetition, and the costs by which it chooses.

The source is R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes: "Ensemble selection from libraries of models",
ICML 2004, without its sorted initialization and without its bags of models.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import NDArray

Votes = NDArray[np.float64]  # of shape (n, width): for n examples, the votes of one member or an average
Cost = Callable[[Votes], float]


class Selection(NamedTuple):
    """The result of a greedy selection."""

    counts: NDArray[np.int64]  # how often each member is in the ensemble
    costs: list[float]  # the cost of the average after each pick


def greedy(votes: Sequence[Votes], cost: Cost, max_picks: int) -> Selection:
    """Pick members, with repetition, so that the cost of the average of their votes becomes small.

    The first pick is the member of the least cost. Each later pick is the member whose addition makes the cost of the
    average least, and the first of several such members. The picks up to the least cost are kept.

    Parameters
    ----------
    votes : sequence of K arrays of shape (n, width)
    cost : callable
        The cost of a finite average of votes. NaN counts as infinite.
    max_picks : int

    Returns
    -------
    selection : Selection

    Raises
    ------
    ValueError
        No member has a finite cost.
    """

    def finite_cost(average: Votes) -> float:
        found = cost(average) if np.isfinite(average).all() else np.inf
        return np.inf if np.isnan(found) else found

    total, picks, costs = np.zeros_like(votes[0]), [], []
    with np.errstate(over="ignore"):  # large votes have large costs
        for size in range(1, max_picks + 1):
            found = [finite_cost((total + vote) / size) for vote in votes]
            picks.append(int(np.argmin(found)))
            costs.append(float(min(found)))
            total += votes[picks[-1]]
    if not np.isfinite(costs).any():
        raise ValueError(f"On the validation set, the cost of no member is finite: {costs[0]!r} is the least.")
    kept = picks[: int(np.argmin(costs)) + 1]
    return Selection(np.bincount(kept, minlength=len(votes)), costs)


# ---------------------------------------------------------------- costs


def mean(costs: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    """The mean of the costs of examples, with their weights."""
    return float(np.average(costs, weights=weights))


def log_loss(p: Votes) -> NDArray[np.float64]:
    """C = -sum_k log p_k of each example, with the probabilities p_k of the truth. p is clipped as in scikit-learn.

    p : (n, 1) for the class of each example, or (n, S_L) for the labels of a multilabel target.
    """
    eps = np.finfo(p.dtype).eps
    return -np.log(np.clip(p, eps, 1 - eps)).sum(axis=1)


def _pinball(a: Votes, y: Votes, quantiles: tuple[float, ...]) -> NDArray[np.float64]:
    r, q = y - a, np.asarray(quantiles)
    return np.maximum(q * r, (q - 1) * r).sum(axis=1)


# {loss of a regressor: C of each example from predictions a, targets y, both (n, S_L), and the options of the loss}
REGRESSION: dict[str, Callable[[Votes, Votes, tuple[float, ...]], NDArray[np.float64]]] = {
    "squared_error": lambda a, y, _: ((a - y) ** 2).sum(axis=1) / 2,
    "mean_squared_error": lambda a, y, _: ((a - y) ** 2).sum(axis=1),
    "euclidean": lambda a, y, _: np.sqrt(((a - y) ** 2).sum(axis=1)),
    "absolute_error": lambda a, y, _: np.abs(a - y).sum(axis=1),
    "huber": lambda a, y, options: scipy.special.huber(options[0], a - y).sum(axis=1),
    "quantile": _pinball,
    "poisson": lambda a, y, _: scipy.special.kl_div(y, a).sum(axis=1),  # y log(y / a) - y + a
    "gamma": lambda a, y, _: (y / a - 1 - np.log(y / a)).sum(axis=1),
}
