"""The observer of a fit, and the watchers of a thread. A solver tells the observer of each epoch."""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Callback = Callable[[int, int, float], None]

_watchers: contextvars.ContextVar[tuple[Callback, ...]] = contextvars.ContextVar("fastbp_watchers", default=())


@contextlib.contextmanager
def watch(callback: Callback) -> Iterator[None]:
    """Within this context, tell `callback` of each epoch of every fit in this thread.

    Parameters
    ----------
    callback : callable
        Called as callback(epoch, max_iter, loss) after each epoch ('sgd', 'adam'), iteration ('lbfgs') or update
        ('gd'). If the callback raises an exception, the fit ends with this exception. KeyboardInterrupt is different:
        it ends the fit like Ctrl-C.
    """
    token = _watchers.set((*_watchers.get(), callback))
    try:
        yield
    finally:
        _watchers.reset(token)


class Observer:
    """Tells the watchers of this thread of each epoch, iteration or update of a fit.

    Attributes
    ----------
    interrupted : threading.Event or None
        Once it is set, the fit ends as after Ctrl-C. Python raises KeyboardInterrupt in the main thread only, so a fit
        in another thread needs this event.
    """

    interrupted: threading.Event | None = None

    def training_begins(self, rows: NDArray[np.int64] | None, fitted: Callable[[], dict[str, Any]]) -> None:
        """Epochs over these rows of X begin; None means all rows.

        fitted() returns copies of the attributes that the estimator would have if the fit ended at that moment.
        """

    def epoch_begins(self, n_parts: int) -> None:
        """An epoch of about n_parts calls into a kernel begins."""

    def part_ends(self) -> None:
        """One call into a kernel is done. Raises KeyboardInterrupt if the fit is to end."""
        if self.interrupted is not None and self.interrupted.is_set():
            raise KeyboardInterrupt

    def epoch_ends(self, epoch: int, max_iter: int, loss: float) -> bool:
        """An epoch has ended; epochs count from 1. Returns whether the fit is asked to stop."""
        for callback in _watchers.get():
            callback(epoch, max_iter, loss)
        return False

    def fit_ends(self) -> None:
        """The fit is over, and the estimator has its fitted attributes."""
