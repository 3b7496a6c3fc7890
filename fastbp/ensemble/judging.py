"""The judge of the members: their votes on the validation set, and the cost of an average of votes."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.targets import Labels, Values, positions
from .averaging import Average, Vote
from .data import Validation
from .selection import REGRESSION, Cost, Votes, log_loss, mean

Prepare = Callable[[Votes], Votes]


class Judge(NamedTuple):
    """Turns members into votes on the validation set, and an average of votes into its cost."""

    validation: Validation
    vote: Vote
    prepare: Prepare  # keeps the part of the votes that the cost needs
    cost: Cost

    def votes(self, member: Any) -> Votes:
        """The votes of a fitted member on the validation set: the part that the cost needs."""
        every = Average([member], np.ones(1), self.vote, self.validation.X, self.validation.rows)
        return self.prepare(every.decided(lambda average: average.astype(np.float64, copy=False), 1))


def loss_of_labels(target: Labels, validation: Validation) -> tuple[Prepare, Cost]:
    """The mean log loss of probabilities."""
    if target.kind == "multilabel-indicator":
        truth = validation.y == 1

        def prepare(p: Votes) -> Votes:
            return np.where(truth, p, 1 - p)
    else:
        rows, codes = np.arange(len(validation.y)), positions(target.classes, validation.y)

        def prepare(p: Votes) -> Votes:
            return p[rows, codes][:, np.newaxis]

    return prepare, lambda p: mean(log_loss(p), validation.sample_weight)


def loss_of_numbers(
    target: Values, validation: Validation, loss: str, options: tuple[float, ...]
) -> tuple[Prepare, Cost]:
    """The mean cost of predictions, by the loss of a regressor and its options, without an L2 term."""
    _, Y = target.encode(validation.y, loss)
    assert Y is not None
    costs = REGRESSION[loss]
    return lambda votes: votes, lambda a: mean(costs(a, Y, options), validation.sample_weight)


def by_scorer(
    ensemble: Any, scoring: str | Callable[..., float], validation: Validation, guess: Votes
) -> tuple[Prepare, Cost]:
    """Minus the score of one of scikit-learn's scorers.

    guess: votes that do not depend on X, of shape (len(validation.y), width), to try the scorer before any training.
    Raises ValueError if the scorer fails for them.
    """
    from sklearn.metrics import check_scoring  # imported here, because most fits do not need it

    scorer, X, model = check_scoring(ensemble, scoring=scoring), validation.own_X, ensemble._as_now(copied=True)
    metadata = {} if validation.sample_weight is None else {"sample_weight": validation.sample_weight}

    def cost(average: NDArray) -> float:
        # The scorer calls methods of the model, such as `predict`. All of them use this average.
        model._averaged = lambda X, decide: decide(average)
        return -float(scorer(model, X, validation.y, **metadata))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the guess may lack a class, for instance
            cost(guess)
    except Exception as error:
        raise ValueError(f"scoring={scoring!r} must go with this ensemble and its y, but: {error}") from error
    return lambda votes: votes, cost
