"""Gradient descent on all examples, to a stationary point."""

import math
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..typing import Array
from .history import History
from .observer import Observer
from .solver import AnyTrainer, diverged


def gradient_descent(
    trainer: AnyTrainer, history: History, observer: Observer, *, learning_rate_init: float, gtol: float, max_iter: int
) -> Iterator[None]:
    """Theta -= eta D, with D the gradient of J, until ||D|| <= gtol or after max_iter updates.

    This is the fourth of the published descriptions in fastbp/README.md. The norm is tested before each update.
    `history.n_iter` counts updates. For every gradient, `history.loss_curve` has J at the same theta. Yields after each
    update.
    """
    theta = trainer.theta
    try:
        while True:
            observer.epoch_begins(trainer.calls(trainer.batch))
            loss = trainer.loss_and_gradient(theta, observer.part_ends)
            norm = _norm(trainer.grad)
            if not (np.isfinite(loss) and np.isfinite(norm)):
                what = f"the loss is {loss:g}, the norm of its gradient {norm:g}"
                raise ValueError(diverged(history.n_iter + 1, what, trainer.network, learning_rate_init))
            history.add_loss(loss)
            if norm <= gtol:
                history.say(f"Norm of the gradient {norm:g} <= gtol={gtol:g}. Stopping.")
                history.converged = True
                return
            if history.n_iter == max_iter:
                history.warn(
                    f"Gradient descent: Maximum iterations ({max_iter}) reached and the norm of the gradient, "
                    f"{norm:g}, is still above gtol={gtol:g}.",
                    ConvergenceWarning,
                )
                return
            theta -= learning_rate_init * trainer.grad
            history.n_iter += 1
            history.t += trainer.batch
            if observer.epoch_ends(history.n_iter, max_iter, loss):
                return
            yield
    except KeyboardInterrupt:
        history.warn_interrupted()


def _norm(vector: Array) -> float:
    """Euclidean norm in float64. Squares do not overflow. BLAS is not used: its threads would compete with ours."""
    largest = float(np.abs(vector).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(np.sum(np.square(vector.astype(np.float64) / largest)))
