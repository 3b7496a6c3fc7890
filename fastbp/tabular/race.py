"""The race of the candidates: which of them stay, and the networks of those that stay.

In each round, all candidates that are left train a network, side by side, one thread each. Another fold is held out in
each round. The networks stop by their loss on this fold, and the candidates with the least mean loss over all rounds so
far stay. So a bad candidate costs one network, and a good one gets networks that were trained on different rows.
"""

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..estimators.base import Perceptron
from ..estimators.run import Run, Shared, beginning
from ..training.population import Population
from .folds import Rows
from .inputs import Inputs
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
    inputs : Inputs
    task : Task
    n_jobs : int or None
        The largest number of threads, as in `parallel.team.upper_bound`.
    seconds : float or None
        The race ends after this time.
    say : callable
        Called with a line of text for each network.

    Attributes
    ----------
    candidates : list of Candidate
        All candidates so far.
    networks : dict of int to list of Network
        The trained networks of each candidate.
    failed : dict of int to Exception
        The candidates whose training failed, and why.
    interrupted : bool
        Whether Ctrl-C has ended the race.
    late : bool
        Whether the race has ended because its time was over.
    """

    def __init__(
        self, inputs: Inputs, task: Task, *, n_jobs: int | None, seconds: float | None, say: Callable[[str], None]
    ):
        self._inputs, self._task, self._n_jobs, self._say = inputs, task, n_jobs, say
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._shared = Shared()
        self.candidates: list[Candidate] = []
        self.networks: dict[int, list[Network]] = {}
        self.failed: dict[int, Exception] = {}
        self.interrupted = self.late = False

    @property
    def ended_early(self) -> bool:
        """Whether Ctrl-C or the time has ended the race."""
        return self.interrupted or self.late

    def run(self, candidates: Sequence[Candidate], seeds: NDArray[np.integer], n_kept: int) -> list[int]:
        """Let these candidates run the race. Returns the indices of those that stay, the best first.

        Half of the candidates leave after each round, but n_kept or more stay. If the race has ended early, the
        candidates of earlier runs may stay too. Networks that are in training at that moment keep the weights that they
        have.

        Parameters
        ----------
        candidates : sequence of Candidate
        seeds : ndarray of int of shape (n_rounds, len(candidates))
            The random state of each network.
        n_kept : int

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C left no network.
        Exception
            All candidates failed. This is the exception of the first one.
        """
        first = len(self.candidates)
        self.candidates += candidates
        left = list(range(first, len(self.candidates)))
        for number in range(len(seeds)):
            if self.ended_early:
                break
            self._round(number, left, dict(zip(range(first, len(self.candidates)), seeds[number], strict=True)))
            left = self._ranked(left)[: max(len(left) // 2, n_kept)]
            if not self.networks:
                raise self.failed[min(self.failed)]
        return self._ranked(range(len(self.candidates)) if self.ended_early else left)[:n_kept]

    def _ranked(self, candidates: Iterable[int]) -> list[int]:
        """Those of these candidates that have networks, the least mean loss first."""

        def mean_loss(i: int) -> float:
            return float(np.mean([network.loss for network in self.networks[i]]))

        return sorted(filter(self.networks.get, candidates), key=mean_loss)

    def _round(self, number: int, left: Sequence[int], seeds: dict[int, int]) -> None:
        """Let the candidates that are left train one network each."""
        self._inputs.keep(self.candidates[i].encoding for i in left)
        # The largest networks begin first, so that no thread waits long for the last one.
        left = sorted(left, key=lambda i: -self._inputs.width(self.candidates[i].encoding))
        begin = [functools.partial(self._begin, i, number, seeds[i]) for i in left]
        population = Population(begin, self._n_jobs)

        def ended(place: int, run: Run) -> None:
            population.drop(place)
            self._settle(left[place], run)

        try:
            seconds = None if self._end == math.inf else self._end - time.monotonic()
            population.advance(range(len(left)), None, ended, seconds)
            self.late = time.monotonic() >= self._end
        except KeyboardInterrupt:
            self.interrupted = True
        for place in population.begun:  # those that ended early
            if population[place].ended and population[place].n_iter:
                self._settle(left[place], population[place])
        if self.interrupted and not self.networks:
            raise KeyboardInterrupt
        if self.late and not (self.networks or population.errors):
            population = Population(begin[:1], self._n_jobs)
            population.advance([0], 1, ended)
        self.failed |= {left[place]: error for place, error in population.errors.items()}

    def _begin(self, i: int, number: int, seed: int) -> Run:
        candidate, task = self.candidates[i], self._task
        X, X_val = self._inputs[candidate.encoding]
        rows = task.folds[number % len(task.folds)]
        network = task.network(**candidate.network, random_state=int(seed), tol=0, monitor="loss")
        given: dict[str, Any] = {}
        if task.validation is not None:
            given = {"X_val": X_val, "y_val": task.validation[0], "sample_weight_val": task.validation[1]}
        network.set_params(early_stopping=bool(given) or rows.size > 0)
        with beginning(network, self._shared, None if given else rows) as runs:
            network.fit(X, task.y, task.sample_weight, **given)
        return runs[0]

    def _settle(self, i: int, run: Run) -> None:
        """Turn a run that has ended into a network."""
        try:
            run.settle()
            network = run.estimator
            network._best_theta = network._last_theta = network._optimizer_state = None  # only later fits need them
            loss = float(np.nanmin(network.validation_loss_curve_ or network.loss_curve_))
            self.networks.setdefault(i, []).append(Network(i, network, loss))
        except Exception as error:
            self.failed[i] = error
        self._say(f"{self.candidates[i].encoding}: {self.failed.get(i) or f'validation loss = {loss:.6f}'}")
