"""The race of the candidates: which of them stay, and the networks of those that stay.

In each round, all candidates that are left train a network, side by side, one thread each. Another fold is held out in
each round. The networks stop by their loss on this fold, and the candidates with the least mean loss over all rounds so
far stay. So a bad candidate costs one network, and a good one gets networks that were trained on different rows.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..estimators.base import Perceptron
from ..estimators.run import Run, Shared, beginning
from ..training.population import Population
from .folds import Rows
from .inputs import Inputs
from .progress import Progress
from .recipe import Candidate

ROUNDS = 4  # usual rounds; a candidate that stays to the end has one network per round


class Network(NamedTuple):
    """A trained network."""

    candidate: int
    estimator: Any
    loss: float  # on the rows that it was not trained on


class Task(NamedTuple):
    """What the networks learn, apart from their inputs."""

    y: NDArray
    sample_weight: NDArray[np.float64] | None
    folds: Sequence[Rows]  # round r holds out folds[r], and begins anew after the last
    validation: tuple[NDArray, NDArray[np.float64] | None] | None  # y and weights of the user's validation set
    network: Callable[..., Perceptron]  # makes an unfitted network from its parameters


class Race:
    """The candidates and their networks.

    Parameters
    ----------
    candidates : sequence of Candidate
    inputs : Inputs
    task : Task
    seeds : ndarray of int of shape (rounds, len(candidates))
        The random state of each network.

    Attributes
    ----------
    networks : dict of int to list of Network
        The trained networks of each candidate.
    failed : dict of int to Exception
        The candidates whose training failed, and why.
    interrupted : bool
        Whether Ctrl-C has ended the race.
    late : bool
        Whether the race has ended because its time was over.
    """

    def __init__(self, candidates: Sequence[Candidate], inputs: Inputs, task: Task, seeds: NDArray[np.integer]):
        self._candidates, self._inputs, self._task, self._seeds = candidates, inputs, task, seeds
        self._shared = Shared()
        self.networks: dict[int, list[Network]] = {}
        self.failed: dict[int, Exception] = {}
        self.interrupted = self.late = False

    def run(self, n_kept: int, n_jobs: int | None, seconds: float | None, progress: Progress) -> list[int]:
        """Run all rounds, or until the time is over or Ctrl-C is pressed. Returns the candidates that stay.

        The number of candidates is halved from round to round, down to n_kept. Networks that are in training when the
        race ends early keep the weights that they have. Raises KeyboardInterrupt if Ctrl-C leaves no network, and the
        exception of the first candidate if all candidates fail.
        """
        end = None if seconds is None else time.monotonic() + seconds
        left = list(range(len(self._candidates)))
        n_rounds = len(self._seeds)
        for number in range(n_rounds):
            self._inputs.keep(self._candidates[i].encoding for i in left)
            self._round(number, left, n_jobs, end, progress)
            size = n_kept if self.ended_early or number == n_rounds - 1 else len(left) // 2
            left = sorted(filter(self.networks.get, left), key=self.mean_loss)[: max(size, n_kept)]
            if not left:
                raise self.failed[min(self.failed)]
            if self.ended_early:
                break
        return left

    @property
    def ended_early(self) -> bool:
        """Whether the race has ended before its last round."""
        return self.interrupted or self.late

    def mean_loss(self, i: int) -> float:
        """The mean loss of the networks of candidate i."""
        return float(np.mean([network.loss for network in self.networks[i]]))

    def _round(
        self, number: int, left: Sequence[int], n_jobs: int | None, end: float | None, progress: Progress
    ) -> None:
        """Let the candidates that are left train one network each."""
        progress.round_begins(number, len(left))
        # The largest networks begin first, so that no thread waits long for the last one.
        left = sorted(left, key=lambda i: -self._inputs.width(self._candidates[i].encoding))
        population = Population([functools.partial(self._begin, i, number) for i in left], n_jobs)

        def ended(place: int, run: Run) -> None:
            population.drop(place)
            self._settle(left[place], run, progress)

        places = range(len(left))
        try:
            population.advance(places, None, ended, None if end is None else end - time.monotonic())
            self.late = end is not None and time.monotonic() >= end
        except KeyboardInterrupt:
            self.interrupted = True
        for place in population.begun:  # those that ended early
            if population[place].ended and population[place].n_iter:
                self._settle(left[place], population[place], progress)
        if self.interrupted and not self.networks:
            raise KeyboardInterrupt
        if self.late and not (self.networks or population.errors):
            population = Population([functools.partial(self._begin, left[0], number)], n_jobs)
            population.advance([0], 1, ended)
        self.failed |= {left[place]: error for place, error in population.errors.items()}
        progress.round_ends()

    def _begin(self, i: int, number: int) -> Run:
        candidate, task = self._candidates[i], self._task
        X, X_val = self._inputs[candidate.encoding]
        rows = task.folds[number % len(task.folds)]
        network = task.network(**candidate.network, random_state=int(self._seeds[number, i]))
        given: dict[str, Any] = {}
        if task.validation is not None:
            given = {"X_val": X_val, "y_val": task.validation[0], "sample_weight_val": task.validation[1]}
        network.set_params(early_stopping=bool(given) or rows.size > 0)
        with beginning(network, self._shared, None if given else rows) as runs:
            network.fit(X, task.y, task.sample_weight, **given)
        return runs[0]

    def _settle(self, i: int, run: Run, progress: Progress) -> None:
        """Turn a run that has ended into a network."""
        loss = None
        try:
            run.settle()
            network = run.estimator
            network._best_theta = network._last_theta = network._optimizer_state = None  # only later fits need them
            losses = network.validation_loss_curve_ or network.loss_curve_
            loss = float(np.nanmin(losses))
            self.networks.setdefault(i, []).append(Network(i, network, loss))
        except Exception as error:
            self.failed[i] = error
        progress.network_ends(loss)
