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

from ..ensemble import memory
from ..estimators.base import Perceptron
from ..estimators.run import Run, Shared, beginning
from ..estimators.validation_set import GivenValidation
from ..parallel.team import side_by_side
from ..training.footprint import refuse_too_much
from ..training.population import Population
from .folds import Rows
from .inputs import Inputs
from .recipe import Candidate

ROUNDS = 4  # usual rounds; a candidate that stays to the end has one network per round


class Network(NamedTuple):
    """A trained network."""

    candidate: int
    estimator: Any  # None if the candidate has left the race
    loss: float  # on the rows that it was not trained on


class Task(NamedTuple):
    """What the networks learn, apart from their inputs."""

    y: NDArray
    sample_weight: NDArray[np.float64] | None
    folds: Sequence[Rows]  # round r holds out folds[r], and begins anew after the last
    validation: GivenValidation | None  # the user's validation set; `Inputs` has its encoded X
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

    def run(self, n_kept: int, n_jobs: int | None, end: float | None, say: Callable[[str], None]) -> list[int]:
        """Run all rounds, or until Ctrl-C is pressed or time.monotonic() is `end`. Returns the candidates that stay.

        The number of candidates is halved from round to round, down to n_kept. Networks that are in training when the
        race ends early keep the weights that they have. Raises KeyboardInterrupt if Ctrl-C leaves no network,
        MemoryError if the machine has too little memory, ValueError if all candidates fail, and before any training
        the exception of a candidate that cannot begin.
        """
        left = self._encoded(end)
        self.late = len(left) < len(self._candidates)
        self._check_memory(left, n_jobs)
        n_rounds = len(self._seeds)
        for number in range(n_rounds):
            self._round(number, left, n_jobs, end, say)
            size = n_kept if self.ended_early or number == n_rounds - 1 else len(left) // 2
            left = [i for i in left if i in self.networks and i not in self.failed]
            if not left:
                first = min(self.failed)
                message = f"All {len(self.failed)} candidates failed. Candidate {first}: {self.failed[first]}"
                raise ValueError(message) from self.failed[first]
            left = sorted(left, key=self.mean_loss)[: max(size, n_kept)]
            self._free(left)
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

    # ---------------------------------------------------------------- before the training

    def _encoded(self, end: float | None) -> list[int]:
        """The candidates whose encodings are ready before the end, at least those with the encoding of the first."""
        ready: list[str] = []
        for name in dict.fromkeys(candidate.encoding for candidate in self._candidates):
            if not ready or end is None or time.monotonic() < end:
                ready.append(name)
                self._inputs.encoder(name)
        return [i for i, candidate in enumerate(self._candidates) if candidate.encoding in ready]

    def _check_memory(self, candidates: Sequence[int], n_jobs: int | None) -> None:
        """Raise MemoryError if the machine has less memory than the first round needs. Later rounds need less."""
        n_threads = min(side_by_side(n_jobs), len(candidates))
        footprints = [self._begin(i, 0).footprint() for i in candidates]
        refuse_too_much(
            memory.peak(footprints, n_threads, self._inputs.n_bytes),
            f"{len(candidates)} networks, {n_threads} of them in training at a time, and the encoded table",
            "",
            "Set a smaller n_networks or n_jobs, or pass fewer rows or columns.",
        )

    # ---------------------------------------------------------------- a round

    def _round(
        self, number: int, left: Sequence[int], n_jobs: int | None, end: float | None, say: Callable[[str], None]
    ) -> None:
        """Let the candidates that are left train one network each."""
        # The largest networks begin first, so that no thread waits long for the last one.
        left = sorted(left, key=lambda i: -self._inputs.width(self._candidates[i].encoding))
        population = Population([functools.partial(self._begin, i, number) for i in left], n_jobs)
        done: list[int] = []

        def ended(place: int, run: Run) -> None:
            population.drop(place)
            self._settle(left[place], run)
            done.append(place)
            say(f"Round {number + 1} of {len(self._seeds)}: {self._in_words(left[place])}")

        try:
            population.advance(range(len(left)), None, ended, None if end is None else end - time.monotonic())
            self.late |= len(done) + len(population.errors) < len(left)
        except KeyboardInterrupt:
            self.interrupted = True
        self.failed |= {left[place]: error for place, error in population.errors.items()}
        for place in population.begun:
            if population[place].ended and population[place].n_iter:
                self._settle(left[place], population[place], is_early=True)
        if self.interrupted and not self.networks:
            raise KeyboardInterrupt
        for i in left:
            if self.late and not self.networks and i not in self.failed:
                self._train_one_epoch(i, number)

    def _train_one_epoch(self, i: int, number: int) -> None:
        population = Population([functools.partial(self._begin, i, number)], 1)
        population.advance([0], 1, lambda _, run: self._settle(i, run))
        if population.errors:
            self.failed[i] = population.errors[0]

    def _begin(self, i: int, number: int) -> Run:
        candidate, task = self._candidates[i], self._task
        X, X_val = self._inputs[candidate.encoding]
        rows = task.folds[number % len(task.folds)]
        network = task.network(**candidate.network, random_state=int(self._seeds[number, i]))
        given: dict[str, Any] = {}
        if task.validation is not None:
            _, y_val, weights = task.validation
            given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weights}
        network.set_params(early_stopping=bool(given) or rows.size > 0, monitor="loss")
        with beginning(network, self._shared, None if given else rows) as runs:
            network.fit(X, task.y, task.sample_weight, **given)
        return runs[0]

    def _settle(self, i: int, run: Run, *, is_early: bool = False) -> None:
        """Turn a run that has ended into a network.

        is_early: whether the run has not had all of its epochs. If its network is worse than the others of candidate i,
        it is left out.
        """
        try:
            run.settle()
            network = run.estimator
            network._best_theta = network._last_theta = network._optimizer_state = None  # only later fits need them
            loss = float(np.nanmin(network.validation_loss_curve_ or network.loss_curve_))
            if not (is_early and i in self.networks and loss > self.mean_loss(i)):
                self.networks.setdefault(i, []).append(Network(i, network, loss))
        except Exception as error:
            self.failed[i] = error

    def _free(self, left: Sequence[int]) -> None:
        """Free the memory of the candidates that are not left."""
        self._inputs.keep(self._candidates[i].encoding for i in left)
        self._shared = Shared()  # it holds the data of this round
        for i in set(self.networks) - set(left):
            self.networks[i] = [network._replace(estimator=None) for network in self.networks[i]]

    def _in_words(self, i: int) -> str:
        if i in self.failed:
            return f"candidate {i} failed: {self.failed[i]}"
        return f"candidate {i} ({self._candidates[i].encoding}), validation loss = {self.networks[i][-1].loss:.6f}"
