"""Small ensembles of both classes, a fit of a member alone, and greedy selection in plain loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import BackpropClassifier, BackpropEnsembleClassifier, BackpropEnsembleRegressor, BackpropRegressor
from support.fits import small

KINDS = {BackpropEnsembleClassifier: BackpropClassifier, BackpropEnsembleRegressor: BackpropRegressor}
both = pytest.mark.parametrize("kind", KINDS)
EARLY = {"early_stopping": True, "learning_rate_init": 0.05, "max_iter": 30, "n_iter_no_change": 3}


def ensemble(kind: type, member: dict[str, Any] | None = None, **params: Any) -> Any:
    """A small ensemble. member: parameters of the estimator."""
    defaults = {"n_members": 4, "random_state": 0, "validation_fraction": 0.3}
    return kind(small(KINDS[kind], **(member or {})), **{**defaults, **params})


def alone(
    member: Any, X: Any, y: np.ndarray, rows: np.ndarray | None, weights: np.ndarray | None = None, **given: Any
) -> Any:
    """A copy of a member, fitted alone. rows: the validation set of the ensemble, if it was held out."""
    model, validated = clone(member), member.early_stopping and member.solver in ("sgd", "adam")
    if rows is None:
        return model.fit(X, y, weights, **(given if validated else {}))
    others = np.delete(np.arange(len(y)), rows)
    if validated:
        given = {"X_val": X[rows], "y_val": y[rows]}
        given |= {} if weights is None else {"sample_weight_val": weights[rows]}
    return model.fit(X[others], y[others], None if weights is None else weights[others], **given)


def assert_same_model(actual: Any, desired: Any) -> None:
    """All fitted attributes have the same bits."""
    assert vars(actual).keys() == vars(desired).keys()
    for name, value in vars(desired).items():
        found = getattr(actual, name)
        if name == "_optimizer_state" and value is not None:
            found, value = vars(found.unpadded()), vars(value.unpadded())
        np.testing.assert_equal(found, value, err_msg=name)


def greedily(votes: list[np.ndarray], cost: Callable[[np.ndarray], float], max_picks: int) -> tuple[list[int], float]:
    """Caruana's greedy selection, slow and obvious: the picks up to the least cost, and this cost."""
    bag: list[int] = []
    best: tuple[list[int], float] = [], np.inf
    for _ in range(max_picks):
        costs = []
        for k in range(len(votes)):
            candidate = [votes[j] for j in [*bag, k]]
            costs.append(cost(sum(candidate) / len(candidate)))
        bag = [*bag, costs.index(min(costs))]
        if min(costs) < best[1]:
            best = bag, min(costs)
    return best
