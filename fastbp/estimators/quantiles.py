"""Several quantiles: the warning that predicted ones cross, and the score of a regressor.

Quantiles cross if, for an example, a larger quantile has a smaller prediction.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from ..data.targets import Values

CROSSING = "The predicted quantiles"  # the first words of the warning

_unsaid: ContextVar[bool] = ContextVar("fastbp_crossing_unsaid", default=False)


@contextlib.contextmanager
def crossing_unsaid() -> Iterator[None]:
    """Within this context, `warn_of_crossing` does not warn.

    `warnings.catch_warnings` would change the filters of all threads. If two threads used it at once, for instance in
    a search, the changed filters could stay.
    """
    token = _unsaid.set(True)
    try:
        yield
    finally:
        _unsaid.reset(token)


def warn_of_crossing(predicted: NDArray, *, stacklevel: int) -> None:
    """Warn if predictions of several quantiles cross. stacklevel: of the user's code; 1 is this function."""
    crossing = int((np.diff(predicted, axis=1) < 0).any(axis=1).sum())
    if crossing and not _unsaid.get():
        warnings.warn(
            f"{CROSSING} of {crossing} of {len(predicted)} examples cross. np.sort(..., axis=1) "
            "puts them in order, and the pinball loss does not become larger.",
            stacklevel=stacklevel,
        )


class QuantileScoreMixin(RegressorMixin):
    """The score of a regressor that may predict several quantiles."""

    def _fitted_target(self) -> Values:
        """The target of the fit."""
        raise NotImplementedError

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions; with several quantiles, the mean of scikit-learn's `d2_pinball_score` over them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the examples.

        Returns
        -------
        score : float
            At most 1.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X or y is not valid.
        """
        target = self._fitted_target() if hasattr(self, "n_outputs_") else None
        if target is None or not target.quantiles:
            return float(super().score(X, y, sample_weight))
        with crossing_unsaid():
            return target.d2(np.asarray(y), self.predict(X), sample_weight)
