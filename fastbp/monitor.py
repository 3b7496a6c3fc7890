"""What a fit remembers and tells: loss curve, best loss and score, when to stop, and who watches."""

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Array

Callback = Callable[[int, int, float], None]

_watchers: contextvars.ContextVar[tuple[Callback, ...]] = contextvars.ContextVar("fastbp_watchers", default=())


@contextlib.contextmanager
def watch(callback: Callback) -> Iterator[None]:
    """Tell `callback` of each epoch of every fit in this thread.

    Parameters
    ----------
    callback : callable
        Called as callback(epoch, max_iter, loss) after each epoch ('sgd', 'adam'), iteration ('lbfgs') or update
        ('gd'). An exception that it raises ends the fit; KeyboardInterrupt ends it as Ctrl-C does.
    """
    token = _watchers.set((*_watchers.get(), callback))
    try:
        yield
    finally:
        _watchers.reset(token)


class Observer:
    """Whom a fit and its solver tell of each epoch, iteration or update: the watchers of this thread."""

    def training_begins(self, rows: NDArray[np.int64] | None, fitted: Callable[[], dict[str, Any]]) -> None:
        """Epochs over these rows of X begin, None for all; fitted() gives what a fit has that ends there, as copies."""

    def epoch_begins(self, n_parts: int) -> None:
        """An epoch begins that takes about n_parts calls into a kernel."""

    def part_ends(self) -> None:
        """One of these calls is done."""

    def epoch_ends(self, epoch: int, max_iter: int, loss: float) -> bool:
        """An epoch is over, from 1, with its loss; returns whether somebody asks to stop."""
        for callback in _watchers.get():
            callback(epoch, max_iter, loss)
        return False

    def fit_ends(self) -> None:
        """The estimator has its fitted attributes."""


@dataclasses.dataclass
class History:
    """A fit's record, the rules of scikit-learn's MLP for what counts as an improvement, and its messages."""

    tol: float
    verbose: bool
    scored: bool  # whether progress is the validation score, or else the training loss
    scale: int = 1  # what the loss is a multiple of, tol being of its unit
    n_iter: int = 0
    t: int = 0
    loss_curve: list[float] = dataclasses.field(default_factory=list)
    validation_scores: list[float] = dataclasses.field(default_factory=list)
    validation_loss_curve: list[float] = dataclasses.field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_theta: Array | None = None  # with the best score, to be restored, where progress is the score
    n_without_improvement: int = 0
    converged: bool = False
    diverged: bool = False  # with best weights to go back to

    @property
    def loss(self) -> float:
        return self.loss_curve[-1] if self.loss_curve else math.nan  # interrupted in the first epoch

    def kept(self, theta: Array, *, one_epoch: bool) -> Array:
        """What a fit that ends with theta keeps: the best theta so far, for one_epoch only when it is over."""
        goes_on = one_epoch and not (self.converged or self.diverged)
        return theta if self.best_theta is None or goes_on else self.best_theta

    def add_loss(self, loss: float) -> None:
        self.loss_curve.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter}, loss = {loss:.8f}")
        if not self.scored:
            self._count(loss > self.best_loss - self.tol * self.scale)
            self.best_loss = min(self.best_loss, loss)

    def add_validation(self, score: float, loss: float, theta: Array) -> None:
        """Record score and loss of theta on the validation set."""
        self.validation_scores.append(score)
        self.validation_loss_curve.append(loss)
        self.say(f"Validation score: {score:f}")
        is_best = score > self.best_score
        if self.scored:
            self._count(score < self.best_score + self.tol)
            if is_best:
                self.best_theta = theta.copy()
        if is_best:
            self.best_score = score

    def _count(self, stagnates: bool) -> None:
        self.n_without_improvement = self.n_without_improvement + 1 if stagnates else 0

    def say(self, message: str) -> None:
        if self.verbose:
            print(message)
