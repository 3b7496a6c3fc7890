"""The members of an ensemble: how they are drawn, and their training side by side."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..estimators.base import Perceptron
from ..estimators.parameters import STOCHASTIC
from ..estimators.run import Run, Shared, beginning
from ..training.population import Population
from .data import Data
from .judging import Judge
from .selection import Votes

Distributions = dict[str, Any] | list[dict[str, Any]] | None
LARGEST_SEED = np.iinfo(np.int32).max


def drawn(
    estimator: Perceptron, n_members: int, distributions: Distributions, random_state: np.random.RandomState
) -> list[Perceptron]:
    """Unfitted copies of the estimator, each with its own random_state and with parameters from the distributions.

    The random_state of each is the one that scikit-learn's BaggingClassifier would set. A smaller ensemble has the
    first members of a larger one. Raises ValueError if a parameter is not legal.
    """
    draw, members = _draw(distributions), []
    for seed in random_state.randint(LARGEST_SEED, size=n_members):
        own = check_random_state(seed)
        member = clone(estimator).set_params(random_state=int(own.randint(LARGEST_SEED)))
        member.set_params(**draw(own))._validate_params()
        members.append(member)
    return members


def _draw(distributions: Distributions) -> Callable[[np.random.RandomState], dict[str, Any]]:
    """A function that draws parameters. From lists alone, it draws every combination before it repeats one."""
    from sklearn.model_selection import ParameterGrid, ParameterSampler  # here, because most ensembles do not need them

    if not distributions:
        return lambda own: {}
    parts = [distributions] if isinstance(distributions, dict) else distributions
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"param_distributions must be a dict or a list of dicts, got {distributions!r:.200}.")
    if any(hasattr(values, "rvs") for part in parts for values in part.values()):
        return lambda own: next(iter(ParameterSampler(distributions, 1, random_state=own)))
    grid, seen = ParameterGrid(distributions), set[int]()

    def draw(own: np.random.RandomState) -> dict[str, Any]:
        if len(seen) == len(grid):
            seen.clear()
        while (i := int(own.randint(len(grid)))) in seen:
            pass
        seen.add(i)
        return grid[i]

    return draw


def is_validated(member: Perceptron) -> bool:
    """Whether the training of this member looks at a validation set."""
    return bool(member.early_stopping) and member.solver in STOCHASTIC


class Fitted(NamedTuple):
    """A member after its training."""

    estimator: Perceptron
    warnings: list[tuple[str, type[Warning]]]  # collected during its training
    votes: Votes | None  # on the validation set, if they are needed


class Training:
    """The members in training.

    Parameters
    ----------
    members : sequence of Perceptron
        Unfitted.
    data : Data

    Attributes
    ----------
    fitted : dict of int to Fitted
        The members that are done.
    failed : dict of int to Exception
        The members that failed, and why.
    interrupted : bool
        Whether Ctrl-C has ended the training.
    """

    def __init__(self, members: Sequence[Perceptron], data: Data):
        self._members, self._data = members, data
        self._shared = Shared()
        self.fitted: dict[int, Fitted] = {}
        self.failed: dict[int, Exception] = {}
        self.interrupted = False

    def begin(self, i: int) -> Run:
        """Member i, checked and prepared, but without the memory of its training. Members share their data."""
        member, data = self._members[i], self._data
        given: dict[str, Any] = {}
        if data.held_out is None and is_validated(member):
            given = dict(zip(("X_val", "y_val", "sample_weight_val"), data.given, strict=True))
        with beginning(member, self._shared, data.held_out) as runs:
            member.fit(data.X, data.y, data.sample_weight, **given)
        return runs[0]

    def run(self, n_jobs: int | None, judge: Judge | None, say: Callable[[str], None]) -> None:
        """Train all members side by side, on one thread each. A member that ends leaves only its fitted attributes.

        judge: makes the votes of the members on the validation set. say: is called with a line for each member.
        """
        n = len(self._members)
        population = Population([functools.partial(self.begin, i) for i in range(n)], n_jobs)

        def ended(i: int, run: Run) -> None:
            population.drop(i)
            self._settle(i, run, judge)
            what = f"failed: {self.failed[i]}" if i in self.failed else _in_words(self.fitted[i].estimator)
            say(f"Member {i} ({len(self.fitted) + len(self.failed) + len(population.errors)} of {n}) {what}")

        try:
            population.advance(range(n), None, ended)
        except KeyboardInterrupt:
            self.interrupted = True
            for i in population.begun:
                if population[i].ended and population[i].n_iter:
                    self._settle(i, population[i], judge)
            if not self.fitted:
                raise
        self.failed |= population.errors

    def _settle(self, i: int, run: Run, judge: Judge | None) -> None:
        """Turn a run that has ended into a fitted member."""
        try:
            warnings, member = run.settle(), self._members[i]
            self.fitted[i] = Fitted(member, warnings, judge.votes(member) if judge else None)
        except Exception as error:  # its outputs on the validation set are not finite, for instance
            self.failed[i] = error


def _in_words(member: Perceptron) -> str:
    words = f"ended after {member.n_iter_} iterations, loss = {member.loss_:.8f}"
    if member.best_validation_score_ is not None:
        words += f", validation score = {member.best_validation_score_:f}"
    return words
