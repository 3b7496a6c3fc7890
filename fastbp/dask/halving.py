"""HalvingSearchCV on a Dask cluster: the workers train the candidates, and a survivor stays on its worker."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import inspect
import pickle
import threading
import uuid
import weakref
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from dask.base import is_dask_collection
from distributed import Future
from distributed.protocol.pickle import dumps
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context, get_config

from ..model_selection import halving
from ..model_selection.evaluation import Experiment, Trial, Trials
from ..parallel.team import one_thread
from .cluster import Cluster, WorkerLeft

ADVICE = "Maybe X, y and the candidates that a worker trains are too large for it: use workers with more memory."

# ---------------------------------------------------------------- on a worker

# For each search, the event that ends the trials of the search in this process.
_interrupted: weakref.WeakValueDictionary[str, threading.Event] = weakref.WeakValueDictionary()


class Site:
    """An experiment on a worker.

    Parameters
    ----------
    experiment : Experiment
    config : dict
        scikit-learn's configuration on the client.
    search : str
        The name of the search, the same in all processes.
    """

    def __init__(self, experiment: Experiment, config: dict[str, Any], search: str):
        self.experiment, self.config, self.search = experiment, config, search
        self.interrupted = _interrupted.setdefault(search, threading.Event())

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.experiment, self.config, self.search)

    def evaluate(self, i: int, trial: Trial, epochs: int | None) -> Paused:
        """Train trial i on one thread, and score it. epochs: see `Trials.evaluate`."""
        trial.interrupt_by(self.interrupted)
        with one_thread(), config_context(**self.config):
            result = self.experiment.evaluate(i, trial, epochs)
        return Paused(self, i, trial, result)


class Paused:
    """A trial that waits on a worker, and its latest result.

    The training stays on the worker: a pickle has only the result.
    """

    def __init__(self, site: Site, i: int, trial: Trial, result: dict[str, Any]):
        self.result, self.n_iter = result, trial.n_iter
        self.training: tuple[Site, int, Trial] | None = (site, i, trial)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"training": None}


def opened(sent: NDArray[np.uint8]) -> Site:
    """The site that was sent as a pickle."""
    return pickle.loads(sent.data)


def begin_trial(site: Site, i: int, epochs: int | None) -> Paused:
    """Begin trial i, train it for this number of epochs, and score it. epochs: see `Trials.evaluate`."""
    return site.evaluate(i, site.experiment.begin(i), epochs)


def continue_trial(paused: Paused, epochs: int | None) -> Paused | None:
    """Go on with a trial, and score it. None if the training is not here, because Dask has moved the trial.

    Dask may run a task twice. `epochs` counts from the beginning of the trial, so a second run has nothing to train.
    """
    if paused.training is None:
        return None
    site, i, trial = paused.training
    return site.evaluate(i, trial, epochs)


def interrupt(search: str) -> None:
    """End all trials of a search in this process, as after Ctrl-C."""
    if event := _interrupted.get(search):
        event.set()


# ---------------------------------------------------------------- on the client


class DistributedTrials:
    """`Trials` on the workers of the current client. A trial goes on where it has trained before.

    Each rung of a trial is a task. Its result is the paused trial, which stays in the memory of the worker until the
    client releases it. The task of the next rung takes the paused trial as an argument. Dask would move a waiting task
    to an idle worker, without the training. So the task of a later rung names its worker. If this worker leaves, or if
    Dask moves the trial to make room, the trial begins again somewhere, with the same result.

    Parameters
    ----------
    experiment : Experiment
    """

    def __init__(self, experiment: Experiment):
        self._cluster, self._experiment, self._search = Cluster(), experiment, uuid.uuid4().hex
        self._earlier: dict[int, Future] = {}  # for each trial, its latest rung that is complete
        self._now: dict[int, Future] = {}  # for each trial, the rung that is on its way
        self._homes: dict[int, set[str]] = {}  # for each trial on its way, the workers that have its training
        self._n_iter: dict[int, int] = {}
        self._send()

    def evaluate(self, candidates: Iterable[int], epochs: int | None, *, keep: bool) -> list[dict[str, Any]]:
        """See `Trials.evaluate`."""
        candidates = list(candidates)
        # The folds of a candidate follow each other, so that they begin on different workers. Then the trials of the
        # survivors are on different workers too.
        trials = [i for c in candidates for i in self._experiment.trials_of(c)]
        try:
            found = self._results(trials, epochs)
        except BaseException:
            self._stop()
            raise
        self._earlier, self._now, self._homes = self._earlier | self._now, {}, {}
        self._n_iter |= {i: paused.n_iter for i, paused in zip(trials, found, strict=True)}
        if not keep:
            for c in candidates:
                self.drop(c)
        return [paused.result for paused in found]

    def memory(self) -> int:
        """See `Trials.memory`. The trials are on the workers, so the client needs none."""
        return 0

    def n_iter(self, c: int) -> list[int]:
        """See `Trials.n_iter`."""
        return [self._n_iter[i] for i in self._experiment.trials_of(c)]

    def drop(self, c: int) -> None:
        """See `Trials.drop`."""
        self._forget(self._experiment.trials_of(c))

    def _send(self) -> None:
        """Send the experiment, with X and y, to the workers."""
        site = dumps(Site(self._experiment, get_config(), self._search))
        self._site = self._cluster.submit(opened, self._cluster.send(np.frombuffer(site, np.uint8)))

    def _results(self, trials: list[int], epochs: int | None) -> list[Paused]:
        """Train and score these trials. Returns the paused trials, without their trainings."""
        needed: set[str] = set()

        def ask() -> list[Future]:
            self._submit([i for i in trials if i not in self._now], epochs)
            needed.clear()
            needed.update(*self._homes.values())
            return [self._now[i] for i in trials]

        while True:
            try:
                found = self._cluster.compute(ask, self._recover, needed=needed, advice=ADVICE)
            except WorkerLeft as error:
                lost = [i for i, homes in self._homes.items() if homes & set(error.args)]
            else:
                lost = [i for i, paused in zip(trials, found, strict=True) if paused is None]
                if not lost:
                    return found
            self._forget(lost)

    def _submit(self, trials: list[int], epochs: int | None) -> None:
        """Submit the tasks that train and score these trials. epochs: see `Trials.evaluate`."""
        earlier = [self._earlier[i] for i in trials if i in self._earlier]
        holders = self._cluster.client.who_has(earlier) if earlier else {}
        for i in trials:
            before = self._earlier.get(i)
            homes = set(holders.get(before.key, ())) if before else set()
            if homes:
                self._homes[i] = homes
                self._now[i] = self._cluster.submit_to(homes, continue_trial, before, epochs)
            else:
                self._forget([i])
                self._now[i] = self._cluster.submit(begin_trial, self._site, i, epochs)

    def _recover(self) -> None:
        """Send the data again if Dask has lost them, and forget the trials that it has lost."""

        def is_lost(future: Future) -> bool:
            return future.status not in ("finished", "pending")

        if is_lost(self._site):
            self._send()
        self._forget([i for held in (self._earlier, self._now) for i, future in held.items() if is_lost(future)])

    def _forget(self, trials: Iterable[int]) -> None:
        """Release these trials. The workers then free their memory."""
        for i in trials:
            for held in (self._earlier, self._now, self._homes):
                held.pop(i, None)

    def _stop(self) -> None:
        """End all trials now. Dask cannot end a task that runs, so this method tells the workers."""
        self._cluster.tell(interrupt, self._search)
        self._cluster.client.cancel([*self._now.values(), *self._earlier.values()])
        self._forget(list(self._now.keys() | self._earlier.keys()))


ABOUT = """
Search on the workers of a Dask cluster; only the best candidates train for all epochs.

It is `fastbp.model_selection.HalvingSearchCV` with the same results, but the candidates are spread over the workers of
the current client of `dask.distributed`. X and y must be in memory. Every worker gets them once, and trains as many
candidates at once as it has threads. `n_jobs` has no effect. A survivor goes on with its next epochs on the worker
where it is, so weights and optimisers do not travel. The best candidate is fitted to all examples in this process.

If a worker is lost, its candidates train again from the start on other workers. The results are the same if each
`random_state` is a number. A candidate also starts again if a worker with too little memory moves it to its disk. The
scheduler holds X and y too. Ctrl-C ends the search on all workers.
"""

EXAMPLES = """
See Also
--------
fastbp.model_selection.HalvingSearchCV : On this machine.
fastbp.dask.BackpropClassifier : One network, for an X that does not fit into a worker.

Examples
--------
>>> from dask.distributed import Client
>>> from sklearn.datasets import load_iris
>>> from fastbp import BackpropClassifier
>>> from fastbp.dask import HalvingSearchCV
>>> X, y = load_iris(return_X_y=True)
>>> clf = BackpropClassifier(max_iter=90, n_iter_no_change=90, random_state=0)
>>> rates = {"learning_rate_init": [1e-4, 1e-3, 1e-2]}
>>> with Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"):
...     search = HalvingSearchCV(clf, rates).fit(X, y)
>>> search.rungs_
[(3, 30), (1, 90)]
"""


def _docstring() -> str:
    """Parameters and Attributes of the search on one machine, between another beginning and another end."""
    # Python before 3.13 keeps the indentation, so cleandoc removes it. python -OO keeps no docstring, hence `or ""`.
    _, _, sections = inspect.cleandoc(halving.HalvingSearchCV.__doc__ or "").partition("\nParameters\n")
    sections, _, _ = sections.partition("\nSee Also\n")
    return f"{ABOUT.strip()}\n\nParameters\n{sections.strip()}\n{EXAMPLES}"


class HalvingSearchCV(halving.HalvingSearchCV):
    __doc__ = _docstring()

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Evaluate all candidates on the workers, and fit the best one to all examples in this process.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples, in memory.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in memory.
        **params : dict
            Arguments of `fit`, of the scorer and of the splitter, as in scikit-learn: for instance `sample_weight` and
            `groups`.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            X, y or another argument is a Dask collection.
        ValueError
            A parameter, X or y is not valid; or all fits failed; or one failed and error_score='raise'.
        RuntimeError
            There is no client, or it has had no workers for a minute; or a worker that is connected has not reported
            for a minute; or the search kills its workers again and again.
        """
        for name, values in {"X": X, "y": y, **params}.items():
            if is_dask_collection(values):
                raise TypeError(
                    f"{name} must be in memory, because every worker gets all examples, got {type(values)}. Pass "
                    f"{name}.compute(), or the rows of a sample if it does not fit into a worker."
                )
        return super().fit(X, y, **params)

    def _trials(self, experiment: Experiment) -> Trials:
        return DistributedTrials(experiment)
