"""The race of the candidates: which of them stay, and the networks of those that stay.

In each round, all candidates that are still in the race train a network, side by side, one thread each. Each round
holds out another fold. The loss on this fold stops the networks, and compares them. The first round begins with a
trial: all candidates train for some epochs, and the worse half leaves. After the first round, the worse half of the
others leaves. So most candidates cost less than a network, and the best ones get networks that were trained on
different rows.
"""

import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ensemble import memory
from ..estimators.base import Perceptron
from ..estimators.run import Run, Shared, beginning
from ..estimators.validation_set import GivenValidation
from ..parallel.team import side_by_side
from ..training.footprint import refuse_too_much
from ..training.population import Population
from .folds import Rows
from .inputs import Inputs
from .progress import Progress
from .recipe import Candidate

TRIAL = 5  # in the trial, a network trains for a TRIAL-th of its epochs


class Network(NamedTuple):
    """A trained network."""

    estimator: Any
    loss: float  # on the rows that it was not trained on


class Task(NamedTuple):
    """The target of all networks, the rows that judge them, and how they are made."""

    y: NDArray
    sample_weight: NDArray[np.float64] | None
    folds: Sequence[Rows]  # round r holds out folds[r]; after the last fold, the first one follows
    validation: GivenValidation | None  # the user's validation set; `Inputs` has its encoded X
    network: Callable[..., Perceptron]  # makes an unfitted network from its parameters
    loss: Callable[[Any], float]  # of a fitted network, on the rows that it was not trained on


class Race:
    """The candidates and their networks.

    Parameters
    ----------
    inputs : Inputs
    task : Task
    progress : Progress
    n_jobs : int or None
        The largest number of threads, as in `parallel.team.upper_bound`.
    end : float or None
        When time.monotonic() is `end`, the race ends.

    Attributes
    ----------
    candidates : list of Candidate
        All candidates so far.
    losses : dict of int to list of float
        The loss of each network of each candidate.
    networks : dict of int to list of Network
        The networks of the candidates that are still in the race. Until the first round of a run has ended, there are
        also those of the run before.
    failed : dict of int to Exception
        The candidates of which a network failed in training, and why. They keep their other networks.
    interrupted : bool
        Whether Ctrl-C has ended the race.
    late : bool
        Whether the race has ended because its time was over.
    """

    def __init__(self, inputs: Inputs, task: Task, progress: Progress, *, n_jobs: int | None, end: float | None):
        self._inputs, self._task, self._progress = inputs, task, progress
        self._n_jobs, self._end = n_jobs, end
        self._shared = Shared()
        self.candidates: list[Candidate] = []
        self.losses: dict[int, list[float]] = {}
        self.networks: dict[int, list[Network]] = {}
        self.failed: dict[int, Exception] = {}
        self.interrupted = self.late = False

    @property
    def ended_early(self) -> bool:
        """Whether Ctrl-C or the time has ended the race."""
        return self.interrupted or self.late

    def run(self, candidates: Sequence[Candidate], seeds: NDArray[np.integer], n_kept: int) -> list[int]:
        """Let these candidates run the race. Returns the indices of those that stay, the best first.

        Half of the candidates leave after the trial, but at least n_kept stay. After the first round, n_kept stay.
        Networks that are in training when the race ends early keep the weights that they have. In that case, candidates
        of the run before may stay as well.

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
        MemoryError
            The machine has too little memory.
        ValueError
            No candidate is left, because those that stayed after the trial failed in the first round.
        Exception
            Before the first round, the exception of a candidate that cannot begin.
        """
        first = len(self.candidates)
        self.candidates += candidates
        self._inputs.keep(each.encoding for each in candidates)
        left = self._encoded(range(first, len(self.candidates)))
        self._check_memory(left, n_kept)
        for number, row in enumerate(seeds):
            if self.ended_early and self.networks:
                break
            self._round(number, left, {i: int(row[i - first]) for i in left}, n_kept)
            failed = [i for i in left if i in self.failed]
            left = self._ranked(left)[:n_kept]
            if not (self._ranked(self.networks) if self.ended_early else left):
                i = min(failed)
                message = f"No candidate is left, because {len(failed)} failed. Candidate {i}: {self.failed[i]}"
                raise ValueError(message) from self.failed[i]
            if not self.ended_early:
                self._free(left)
        return self._ranked(self.networks)[:n_kept]

    def _ranked(self, candidates: Iterable[int]) -> list[int]:
        """The candidates among these that have networks, the least mean loss first."""
        return sorted([i for i in candidates if i in self.networks], key=self._mean_loss)

    def _mean_loss(self, i: int) -> float:
        return float(np.mean([network.loss for network in self.networks[i]]))

    def _free(self, left: Sequence[int]) -> None:
        """Free the memory of the candidates that have left the race."""
        self._inputs.keep(self.candidates[i].encoding for i in left)
        self._shared = Shared()  # it holds the data of the last round
        self.networks = {i: self.networks[i] for i in left}

    # ---------------------------------------------------------------- before the training

    def _encoded(self, candidates: Sequence[int]) -> list[int]:
        """The candidates that begin: those whose encodings are ready before the end and differ from earlier ones.

        At least one encoding is made, even if it is late.
        """
        ready: list[str] = []
        for name in dict.fromkeys(self.candidates[i].encoding for i in candidates):
            if ready and self._end is not None and time.monotonic() >= self._end:
                self.late = True
                break
            if not self._inputs.drop_if_equal(name, ready):
                ready.append(name)
        return [i for i in candidates if self.candidates[i].encoding in ready]

    def _check_memory(self, candidates: Sequence[int], n_kept: int) -> None:
        """Raise MemoryError if the machine has less memory than the first round needs. Later rounds need less."""
        n = len(candidates)
        if _after_trial(n, n_kept) < n:
            at_once, how, smaller = n, "all of them in memory during a trial", "n_networks"
        else:
            at_once = min(side_by_side(self._n_jobs), n)
            how, smaller = f"{at_once} of them in training at a time", "n_networks or n_jobs"
        footprints = [self._begin(i, 0, 0).footprint() for i in candidates]
        refuse_too_much(
            memory.peak(footprints, at_once, self._inputs.n_bytes),
            f"{n} networks, {how}, and the encoded table",
            "",
            f"Set a smaller {smaller}, or pass fewer rows or columns.",
        )

    # ---------------------------------------------------------------- a round

    def _round(self, number: int, left: Sequence[int], seeds: dict[int, int], n_kept: int) -> None:
        """Let each candidate in the race train a network. If there is a trial, half of them leave after it."""
        self._progress.round_begins(len(left))
        # The largest networks begin first, so that no thread waits long for the last one.
        left = sorted(left, key=lambda i: -self._inputs.width(self.candidates[i].encoding))
        begin = [functools.partial(self._begin, i, number, seeds[i]) for i in left]
        population = Population(begin, self._n_jobs)

        def ended(place: int, run: Run) -> None:
            population.drop(place)
            self._settle(left[place], run)

        try:
            if places := self._trial(population, left, n_kept):
                self._advance(population, places, None, ended)
        except KeyboardInterrupt:
            self.interrupted = True
        if self.ended_early:
            population.interrupt()
        self.failed |= {left[place]: error for place, error in population.errors.items()}
        for place in population.begun:  # after an early end
            if population[place].n_iter:
                self._settle(left[place], population[place], is_early=True)
        if self.interrupted and not self.networks:
            raise KeyboardInterrupt
        for place, i in enumerate(left):
            if self.late and not self.networks and i not in self.failed:
                self._train_one_epoch(i, begin[place])
        self._progress.round_ends()

    def _trial(self, population: Population[Run], left: Sequence[int], n_kept: int) -> Sequence[int]:
        """Let the candidates train for some epochs. Returns the places of those that stay; none if the race has ended.

        If no candidate would leave, there is no trial.
        """
        n = _after_trial(len(left), n_kept)
        if n == len(left):
            return range(n)

        def tried(place: int, run: Run) -> float:
            try:
                run.show()
                return self._task.loss(run.estimator)
            except Exception as error:
                population.errors[place] = error
                return math.inf

        def n_epochs(place: int) -> int:
            return math.ceil(self.candidates[left[place]].network["max_iter"] / TRIAL)

        losses = self._advance(population, range(len(left)), n_epochs, tried)
        if self.late:
            return []
        ranked = sorted([place for place in losses if place not in population.errors], key=lambda place: losses[place])
        for place in losses.keys() - set(ranked[:n]):
            population.drop(place)
        self._progress.networks_leave(len(ranked[n:]))
        return ranked[:n]

    def _advance(
        self,
        population: Population[Run],
        places: Sequence[int],
        n_epochs: Callable[[int], int] | None,
        after: Callable[[int, Run], Any],
    ) -> dict[int, Any]:
        """`population.advance` until the end of the race."""
        seconds = None if self._end is None else self._end - time.monotonic()
        found = population.advance(places, n_epochs, after, seconds)
        self.late |= any(place not in found and place not in population.errors for place in places)
        return found

    def _train_one_epoch(self, i: int, begin: Callable[[], Run]) -> None:
        population = Population([begin], 1)
        population.advance([0], 1, lambda _, run: self._settle(i, run))
        if population.errors:
            self.failed[i] = population.errors[0]

    def _begin(self, i: int, number: int, seed: int) -> Run:
        candidate, task = self.candidates[i], self._task
        X, X_val = self._inputs[candidate.encoding]
        rows = task.folds[number % len(task.folds)]
        given: dict[str, Any] = {}
        if task.validation is not None:
            _, y_val, weights = task.validation
            given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weights}
        network = task.network(
            **candidate.network,
            random_state=seed,
            early_stopping=bool(given) or rows.size > 0,
            tol=0,
            alpha=0,  # weight decay does its work
        )
        with beginning(network, self._shared, None if given else rows) as runs:
            network.fit(X, task.y, task.sample_weight, **given)
        return runs[0]

    def _settle(self, i: int, run: Run, *, is_early: bool = False) -> None:
        """Turn a run that has ended into a network.

        is_early: whether the run ends before its last epoch. Then its network is left out if it is worse than the mean
        of the other networks of candidate i.
        """
        loss = None
        try:
            if is_early:
                run.advance()  # a run that waits after the trial ends here, because the population is interrupted
            run.settle()
            network = run.estimator
            network._best_theta = network._last_theta = network._optimizer_state = None  # only later fits need them
            loss = self._task.loss(network)
            if not (is_early and i in self.networks and loss > self._mean_loss(i)):
                self.networks.setdefault(i, []).append(Network(network, loss))
                self.losses.setdefault(i, []).append(loss)
        except Exception as error:
            self.failed[i] = error
        self._progress.network_ends(loss)


def _after_trial(n: int, n_kept: int) -> int:
    """How many of n candidates stay after the trial."""
    return max(n // 2, min(n_kept, n))
