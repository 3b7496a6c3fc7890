"""The warning that predicted quantiles cross: for an example, a larger quantile has a smaller prediction."""

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

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
