"""HalvingSearchCV on Dask survives the loss of workers, and after an error no trial goes on training."""

import os
import signal

import numpy as np
import pytest
from distributed import Client, LocalCluster

import fastbp.dask
from fastbp import BackpropClassifier, model_selection
from fastbp.dask import cluster, halving
from support.halving import assert_same_search, eventually

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 6))
Y = np.digitize(X[:, 0] + 0.3 * RNG.normal(size=2000), [-0.4, 0.4])
CLASSIFIER = BackpropClassifier((7,), max_iter=54, random_state=0, n_iter_no_change=54)
GRID = {"alpha": [1e-4, 1e-2, 1.0], "learning_rate_init": [1e-4, 1e-3, 1e-2]}


@pytest.fixture
def client(monkeypatch):
    """A client of two worker processes with two threads each. Each is replaced when it dies."""
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.5)
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0") as cluster_,
        Client(cluster_) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def expected():
    return model_selection.HalvingSearchCV(CLASSIFIER, GRID, cv=3, refit=False).fit(X, Y)


def holders(client, what):
    """The workers that hold results of this function."""
    return [worker for worker, keys in client.has_what().items() if any(key.startswith(what) for key in keys)]


def kill_one(client):
    pids, (worker, *_) = client.run(os.getpid), holders(client, ("begin_trial", "continue_trial"))
    os.kill(pids[worker], signal.SIGKILL)


def kill_all(client):
    for pid in client.run(os.getpid).values():
        os.kill(pid, signal.SIGKILL)


def retire_one(client):
    (worker, *_) = holders(client, ("begin_trial", "continue_trial"))
    client.retire_workers([worker])


def restart(client):
    client.restart()


@pytest.mark.parametrize("lose", [kill_one, kill_all, retire_one, restart])
@pytest.mark.parametrize("moment", ["between two rungs", "during a rung"])
def test_a_search_survives_the_loss_of_workers(client, expected, monkeypatch, lose, moment):
    submitted, submit = [], halving.DistributedTrials._submit

    def submit_and_lose(self, trials, epochs):
        submitted.append(trials)
        if len(submitted) == 2 and moment == "between two rungs":
            lose(client)
        submit(self, trials, epochs)
        if len(submitted) == 2 and moment == "during a rung":
            lose(client)

    monkeypatch.setattr(halving.DistributedTrials, "_submit", submit_and_lose)
    found = fastbp.dask.HalvingSearchCV(CLASSIFIER, GRID, cv=3, refit=False).fit(X, Y)
    assert len(submitted) >= 4  # four rungs
    assert_same_search(found, expected)


DIE = """
def die(estimator, X, y):
    import os
    os._exit(1)
"""


def test_a_search_that_kills_its_workers_ends_with_what_to_do(client, monkeypatch):
    monkeypatch.setattr(cluster, "ATTEMPTS", 2)
    scope = {}
    exec(DIE, scope)
    search = fastbp.dask.HalvingSearchCV(CLASSIFIER, {"alpha": [1.0]}, cv=2, scoring=scope["die"])
    with pytest.raises(RuntimeError, match=r"2 times. Maybe X, y and the candidates .* KilledWorker"):
        search.fit(X, Y)


def test_after_an_error_no_worker_goes_on_training(client, monkeypatch):
    endless = BackpropClassifier(max_iter=10**9, n_iter_no_change=10**9, random_state=0)
    monkeypatch.setattr(cluster.Cluster, "_patiently", lambda self, step, needed: wait_and_fail(client))
    with pytest.raises(KeyboardInterrupt):
        fastbp.dask.HalvingSearchCV(endless, {"alpha": [0.0, 0.1]}, cv=2, min_epochs=10**8).fit(X, Y)
    assert eventually(lambda: not any(client.run(threads_in_fits).values()))
    assert eventually(lambda: not any(client.has_what().values()))


def wait_and_fail(client):
    """Interrupt the caller once all workers train."""
    assert eventually(lambda: all(client.run(threads_in_fits).values()))
    raise KeyboardInterrupt


def threads_in_fits():
    """How many threads of this process are in the training of a trial."""
    import sys

    return sum(any(f.f_code.co_name == "advance_to" for f in frames(top)) for top in sys._current_frames().values())


def frames(frame):
    while frame is not None:
        yield frame
        frame = frame.f_back
