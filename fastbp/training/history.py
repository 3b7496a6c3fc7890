"""The record of a fit: loss curve, best loss and score, number of epochs without improvement, and warnings."""

import dataclasses
import math

import numpy as np

from ..typing import Array

INTERRUPTED = "Training interrupted by user."  # scikit-learn's words


@dataclasses.dataclass
class History:
    """A fit's record, and the rules of scikit-learn's MLP for what counts as an improvement.

    Warnings are only collected here. `fit` emits them, because only `fit` knows the stack level of the user's code.
    """

    tol: float
    verbose: bool
    scored: bool  # whether the validation set measures progress; otherwise the training loss does
    scale: int = 1  # a loss is an improvement if it is at least scale * tol below the best loss so far
    by_loss: bool = False  # if scored: whether the validation loss measures progress; otherwise the score does
    n_iter: int = 0
    t: int = 0
    loss_curve: list[float] = dataclasses.field(default_factory=list)
    validation_scores: list[float] = dataclasses.field(default_factory=list)
    validation_loss_curve: list[float] = dataclasses.field(default_factory=list)
    best_loss: float = math.inf
    best_value: float = -math.inf  # the largest result of `value` so far
    best_score: float = -math.inf  # the validation score of the theta with best_value
    best_theta: Array | None = None  # if scored: the theta with best_value, restored at the end
    best_epoch: int | None = None  # the entry of validation_scores for best_theta, from 1; None if there is none
    last_theta: Array | None = None  # the theta where training stopped, if another theta was restored
    ended: bool = False
    n_without_improvement: int = 0
    converged: bool = False
    diverged: bool = False  # whether the fit diverged after it had found good weights
    warnings: list[tuple[str, type[Warning]]] = dataclasses.field(default_factory=list)

    @property
    def loss(self) -> float:
        """The last loss; NaN if the first epoch was interrupted, so that no loss is recorded."""
        return self.loss_curve[-1] if self.loss_curve else math.nan

    def kept(self, theta: Array, *, one_epoch: bool) -> Array:
        """The theta that a fit keeps if it ends at `theta`: the best theta, or `theta` if there is no best one.

        With one_epoch, as in partial_fit, later calls go on from `theta`. So the best theta is kept only if training
        has converged or diverged.
        """
        goes_on = one_epoch and not (self.converged or self.diverged)
        return theta if self.best_theta is None or goes_on else self.best_theta

    def add_loss(self, loss: float) -> None:
        """Record the loss of an epoch, iteration or update."""
        self.loss_curve.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter}, loss = {loss:.8f}")
        if not self.scored:
            self._count(loss > self.best_loss - self.tol * self.scale)
            self.best_loss = min(self.best_loss, loss)

    @property
    def measure(self) -> str:
        """The name of the measure of progress, for messages."""
        return ("Validation loss" if self.by_loss else "Validation score") if self.scored else "Training loss"

    def value(self, score: float, loss: float) -> float:
        """The number by which a theta is compared, from its validation score and loss. A larger one is better."""
        return -loss if self.scored and self.by_loss else score

    def compare_again(self, score: float, loss: float, theta: Array) -> None:
        """Make an earlier fit's theta the best one, if it has the best value so far on this fit's validation set."""
        value = self.value(score, loss)
        if value > self.best_value:
            self.best_value, self.best_score = value, score
            if theta is not self.best_theta:
                self.best_theta, self.best_epoch = theta.copy(), None

    def left(self, theta: Array, kept: Array) -> Array | None:
        """The theta from which a later fit goes on; None if that is the kept theta."""
        if self.ended:
            return self.last_theta
        leaves = not self.diverged and np.isfinite(theta).all() and not np.array_equal(theta, kept)
        return theta if leaves else None

    def restore(self, theta: Array, *, one_epoch: bool) -> None:
        """End the training: put the theta that the fit keeps into `theta`, and remember where training stopped."""
        kept = self.kept(theta, one_epoch=one_epoch)
        last = self.left(theta, kept)
        self.last_theta, self.ended = None if last is None else last.copy(), True
        theta[:] = kept

    def add_validation(self, score: float, loss: float, theta: Array) -> None:
        """Record the score and the loss of theta on the validation set."""
        self.validation_scores.append(score)
        self.validation_loss_curve.append(loss)
        self.say(f"Validation score: {score:f}")
        if self.scored and self.by_loss:
            self.say(f"Validation loss: {loss:f}")
        value = self.value(score, loss)
        is_best = value > self.best_value
        if self.scored:
            self._count(value < self.best_value + self.tol * (self.scale if self.by_loss else 1))
            if is_best:
                self.best_theta, self.best_epoch = theta.copy(), len(self.validation_scores)
        if is_best:
            self.best_value, self.best_score = value, score

    def _count(self, stagnates: bool) -> None:
        self.n_without_improvement = self.n_without_improvement + 1 if stagnates else 0

    def say(self, message: str) -> None:
        if self.verbose:
            print(message)

    def warn(self, message: str, category: type[Warning] = UserWarning) -> None:
        """Collect a warning. `fit` emits it later."""
        self.warnings.append((message, category))

    def warn_interrupted(self) -> None:
        """Collect the warning that Ctrl-C ended the training. The words are scikit-learn's."""
        self.warn(INTERRUPTED)
