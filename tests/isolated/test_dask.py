"""Fits on Dask collections survive the loss of workers, and workers may have different CPUs."""

import os
import platform
import signal
import time

import dask.array as da
import llvmlite.binding
import numpy as np
import pytest
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
from numpy.testing import assert_allclose

import fastbp
import fastbp.dask
from fastbp.dask import cluster, worker
from fastbp.network.architecture import network_of
from fastbp.training.observer import watch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = {
    "gd": {"learning_rate_init": 0.5},
    "lbfgs": {},
    "sgd": {"learning_rate_init": 0.1},
    "adam": {"learning_rate_init": 0.01, "early_stopping": True},
}
CPUS = {
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
    "SSE2": {"NUMBA_CPU_NAME": "generic"},
}
ROWS = (150, 30, 0, 70, 50)


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 13))
    return X, (X @ rng.normal(size=(13, 3)) + rng.normal(size=(300, 3))).argmax(axis=1)


def fit(solver, kind, after_epoch=None):
    """A fit of this kind. after_epoch is called with the number of each epoch."""
    X, y = data()
    options = {"hidden_layer_sizes": (50, 19), "activation": "tanh", "batch_size": 100, "max_iter": 5}
    net = kind(**options, solver=solver, random_state=0, **SOLVERS[solver])
    if kind is fastbp.dask.BackpropClassifier:
        X = da.from_array(X, chunks=(ROWS, 13))
    with watch(lambda epoch, *_: after_epoch and after_epoch(epoch)):
        return net.fit(X, y)


def bits(net):
    return b"".join(array.tobytes() for array in (*net.coefs_, *net.intercepts_, np.array(net.loss_curve_)))


@pytest.fixture
def client():
    """A client of two worker processes. Each is replaced when it dies."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def kill_workers(client, n):
    """Kill the n workers that hold most partitions. Return their process ids."""
    held, pids = client.has_what(), client.run(os.getpid)
    by_partitions = sorted(pids, key=lambda worker: sum(key.startswith("checked") for key in held[worker]))
    killed = [pids[worker] for worker in by_partitions[-n:]]
    assert any(key.startswith("checked") for key in held[by_partitions[-1]])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return killed


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_survives_workers_that_are_killed(solver, n, client):
    expected = fit(solver, fastbp.dask.BackpropClassifier)
    killed = []

    def kill(epoch):
        if epoch == 2:
            killed.extend(kill_workers(client, n))

    found = fit(solver, fastbp.dask.BackpropClassifier, kill)
    assert len(killed) == n
    assert not set(killed) & set(client.run(os.getpid).values())
    assert bits(found) == bits(expected)
    assert_allclose(found.coefs_[0], fit(solver, fastbp.BackpropClassifier).coefs_[0], rtol=1e-8, atol=1e-9)


def test_a_fit_survives_a_worker_that_dies_in_the_middle_of_an_epoch(client):
    expected = fit("sgd", fastbp.dask.BackpropClassifier)
    killed, rounds = [], []
    ask = cluster.Cluster.results

    def results(self, *args):
        rounds.append(args)
        if len(rounds) == 8 and not killed:
            killed.extend(kill_workers(client, 1))
        return ask(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.Cluster, "results", results)
        found = fit("sgd", fastbp.dask.BackpropClassifier)
    assert killed
    assert bits(found) == bits(expected)


def test_a_fit_survives_a_restart_of_the_cluster(client):
    expected = fit("sgd", fastbp.dask.BackpropClassifier)
    found = fit("sgd", fastbp.dask.BackpropClassifier, lambda epoch: epoch == 2 and client.restart())
    assert bits(found) == bits(expected)


def test_a_worker_that_is_gone_for_good_is_not_missed():
    worker = {"cls": Nanny, "options": {"nthreads": 1}}
    with (
        SpecCluster(
            workers={0: worker, 1: worker},
            scheduler={"cls": Scheduler, "options": {"dashboard": False, "dashboard_address": ":0"}},
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        expected = fit("adam", fastbp.dask.BackpropClassifier)
        found = fit("adam", fastbp.dask.BackpropClassifier, lambda epoch: epoch == 2 and cluster.scale(1))
        assert len(client.nthreads()) == 1
        assert bits(found) == bits(expected)


def test_without_any_worker_the_fit_says_so(client, monkeypatch):
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "WORKERLESS_SECONDS", 1.0)

    def leave(epoch):
        client.cluster.scale(0)
        while client.nthreads():
            time.sleep(0.1)

    with pytest.raises(RuntimeError, match="has had no workers for 1 seconds"):
        fit("sgd", fastbp.dask.BackpropClassifier, leave)
    with pytest.raises(RuntimeError, match="has had no workers for 1 seconds"):
        fit("sgd", fastbp.dask.BackpropClassifier)


@pytest.fixture
def stop():
    """A function that stops a process, until the test ends."""
    stopped = []

    def stop_one(process):
        stopped.append(process)
        os.kill(process, signal.SIGSTOP)

    yield stop_one
    for process in stopped:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("solver", ["gd", "adam"])
def test_a_worker_that_is_stopped_ends_the_fit_with_an_error_that_names_it(client, monkeypatch, stop, solver):
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 6.0)
    address, process = next(iter(client.run(os.getpid).items()))
    with pytest.raises(RuntimeError, match=rf"The worker {address} is connected, but has not reported for 6 seconds"):
        fit(solver, fastbp.dask.BackpropClassifier, lambda epoch: epoch == 2 and stop(process))


def test_a_worker_that_stops_before_it_sends_its_results_ends_the_fit_too(client, monkeypatch, stop):
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(cluster, "SILENT_SECONDS", 6.0)
    here, done = cluster.Cluster(), cluster.wait
    processes = client.run(os.getpid)

    def wait_and_stop(futures, **options):
        result = done(futures, **options)
        for process in processes.values():
            stop(process)
        return result

    monkeypatch.setattr(cluster, "wait", wait_and_stop)
    with pytest.raises(RuntimeError, match="has not reported for 6 seconds"):
        here.results([here.submit(np.ones, 5)])


DIE = """
def die(block):
    import os
    os._exit(1)
"""


def test_partitions_that_kill_their_workers_end_the_fit_with_what_to_do(client, monkeypatch):
    monkeypatch.setattr(cluster, "ATTEMPTS", 2)
    scope = {}
    exec(DIE, scope)
    X, y = data()
    with pytest.raises(RuntimeError, match=r"2 times. Maybe a partition is too large .* KilledWorker"):
        fastbp.dask.BackpropClassifier().fit(da.from_array(X).map_blocks(scope["die"], meta=X[:0]), y)


def test_workers_with_different_cpus_work_together():
    if platform.machine() not in ("x86_64", "AMD64") or not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("needs a CPU with AVX2, to run with and without it")
    workers = {cpu: {"cls": Nanny, "options": {"nthreads": 1, "env": CPUS[cpu]}} for cpu in CPUS}
    with (
        SpecCluster(
            workers=workers, scheduler={"cls": Scheduler, "options": {"dashboard": False, "dashboard_address": ":0"}}
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        assert set(client.run(vector_bytes).values()) == {16, 32}
        X, y = data()
        shape = network_of((13, 50, 19, 3), ("tanh", "tanh", "softmax"), "log_loss", np.dtype(np.float64))
        theta = np.random.default_rng(1).normal(size=shape.layout.n_parameters) / 5
        arguments = X, [y, None, None], theta, worker.architecture_of(shape), None, None
        here = worker.partial_sums(*arguments)
        for address in client.nthreads():
            there = client.submit(worker.partial_sums, *arguments, workers=[address], pure=False).result()
            assert_allclose(there.grad, here.grad, rtol=0, atol=1e-12 * abs(here.grad).max())
        for solver in SOLVERS:
            expected = fit(solver, fastbp.BackpropClassifier)
            found = fit(solver, fastbp.dask.BackpropClassifier)
            tolerance = 1e-5 if solver == "lbfgs" else 1e-8
            assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=tolerance)
            assert_allclose(found.coefs_[0], expected.coefs_[0], rtol=tolerance, atol=1e-9)


def vector_bytes():
    from fastbp.kernels.machine.simd import VECTOR_BYTES

    return VECTOR_BYTES
