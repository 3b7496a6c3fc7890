"""Epochs of minibatch steps: the solvers 'sgd' and 'adam'."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..typing import Array
from . import shuffling
from .history import History
from .observer import Observer
from .schedules import Schedule
from .solver import AnyTrainer, diverged


@dataclasses.dataclass(frozen=True)
class Epochs:
    """The rules for epochs, as in scikit-learn's MLP.

    Parameters
    ----------
    max_iter : int
        Largest number of epochs.
    schedule : Schedule
        Schedule of the learning rate.
    n_iter_no_change : float
        After more epochs than this without improvement, the schedule decides whether training goes on.
    shuffled_by : RandomState or None
        Shuffles the order of the examples before each epoch, with the draws of scikit-learn's `shuffle`. None: no
        shuffling.
    only_one : bool
        Whether to train for a single epoch, without a warning that training did not converge. This is for partial_fit.
        The best theta is then restored only if training has converged or diverged.
    """

    max_iter: int
    schedule: Schedule
    n_iter_no_change: float
    shuffled_by: np.random.RandomState | None
    only_one: bool


Validate = Callable[[Array], tuple[float, float]]  # returns the validation score and loss of a theta


def stochastic(
    trainer: AnyTrainer,
    history: History,
    observer: Observer,
    order: NDArray[np.int64],
    epochs: Epochs,
    validate: Validate | None,
) -> Iterator[None]:
    """Train on the examples of `order`. Yields after each epoch but the last one.

    Shuffling overwrites `order`.

    If `history.scored`, the validation set decides when to stop, and the best theta is restored at the end. For the
    exception see `Epochs.only_one`.
    """
    begins = history.scored and history.best_theta is None
    if begins:
        history.best_theta = trainer.theta.copy()
    try:
        if history.scored and not begins and validate:
            _measure_start(trainer, history, validate, epochs)
        for epoch in range(1, epochs.max_iter + 1):
            loss = _train_once(trainer, history, observer, order, epochs, validate, epoch)
            asked_to_stop = observer.epoch_ends(epoch, epochs.max_iter, loss)
            if history.converged or history.diverged or epochs.only_one or asked_to_stop:
                break
            if epoch < epochs.max_iter:
                yield
        else:
            if not epochs.schedule.ends_at_last_epoch:
                history.warn(
                    f"Stochastic Optimizer: Maximum iterations ({epochs.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                )
    except KeyboardInterrupt:
        history.warn_interrupted()
    if history.scored and history.n_iter and not (epochs.only_one or math.isfinite(history.best_value)):
        raise ValueError(
            f"early_stopping=True, but no {history.measure.lower()} was finite, so no weights are the best. Scale the "
            "validation set as the training set, and look for outliers in it."
        )
    history.restore(trainer.theta, one_epoch=epochs.only_one)


def _measure_start(trainer: AnyTrainer, history: History, validate: Validate, epochs: Epochs) -> None:
    """Measure the best theta of earlier fits on this fit's validation set. The old score may come from other data.

    If the fit starts from another theta, that theta is measured too, except in partial_fit, where the previous call has
    measured it.
    """
    best = history.best_theta
    assert best is not None
    candidates = [best] if epochs.only_one or np.array_equal(best, trainer.theta) else [best, trainer.theta]
    measured = [validate(theta) for theta in candidates]
    history.best_value = history.best_score = -math.inf
    for (score, loss), theta in zip(measured, candidates, strict=True):
        history.compare_again(score, loss, theta)
    history.say(f"Validation score of the previous weights: {history.best_score:f}")


def _train_once(
    trainer: AnyTrainer,
    history: History,
    observer: Observer,
    order: NDArray[np.int64],
    epochs: Epochs,
    validate: Validate | None,
    epoch: int,
) -> float:
    """Run an epoch, record it, and let the schedule change the rate or end the training. Returns the loss."""
    if epochs.shuffled_by is not None:
        shuffling.shuffle(order, epochs.shuffled_by)
    if epochs.schedule.is_planned:
        n = -(-len(order) // trainer.batch)
        trainer.factors[:n] = factors = epochs.schedule.factors(epoch, n)
        if not factors.any() and epochs.schedule.first_epoch + epoch > epochs.schedule.epochs:
            history.warn(
                f"learning_rate={epochs.schedule.name!r} has the rate 0 in this epoch, because max_iter="
                f"{epochs.schedule.epochs} epochs have passed. The weights stay as they are. Set a larger max_iter."
            )
    observer.epoch_begins(trainer.calls(len(order)))
    loss = trainer.epoch(order, observer.part_ends)
    problem = ""
    if not math.isfinite(loss):
        problem = diverged(epoch, f"the loss is {loss:g}", trainer.network, trainer.rates.eta)
    if problem and not (history.scored and math.isfinite(history.best_value)):  # there are no good weights
        raise ValueError(problem)
    measured = validate(trainer.theta) if validate else None
    # The epoch is recorded only now, because an interrupt of the validation must not leave half a record.
    history.n_iter = epoch
    history.t += len(order)
    history.add_loss(loss)
    if measured:
        history.add_validation(*measured, trainer.theta)
    if problem:
        _go_back(trainer, history, problem)
        return loss
    epochs.schedule.after_epoch(trainer.rates, history.t)
    if history.n_without_improvement > epochs.n_iter_no_change:
        goes_on, what_follows = epochs.schedule.after_plateau(trainer.rates)
        history.say(
            f"{history.measure} did not improve more than tol={history.tol:f} for {epochs.n_iter_no_change} "
            f"consecutive epochs. {what_follows}"
        )
        history.converged = not goes_on
        if goes_on:
            history.n_without_improvement = 0
    return loss


def _go_back(trainer: AnyTrainer, history: History, problem: str) -> None:
    """End a fit that diverged after it had found good weights. `stochastic` then restores these weights."""
    history.warn(f"{problem} The best weights so far are kept.", ConvergenceWarning)
    history.diverged = True
    for vector in (trainer.moment_1, trainer.moment_2, trainer.t):  # the moments led away from the good weights
        vector[:] = 0
