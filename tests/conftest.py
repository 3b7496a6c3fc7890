"""Fixtures shared by the tests."""

import _thread
import os
import signal

import pytest

from fastbp.network import costs
from support import tabular


def pytest_runtest_setup(item):
    if item.get_closest_marker("posix") and os.name != "posix":
        pytest.skip("needs POSIX")


@pytest.fixture(scope="module")
def dask_client():
    """A client of two Dask workers. Each is a process with one thread for tasks, and its Numba may run four threads."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", env={"NUMBA_NUM_THREADS": "4"}
    )
    with cluster, cluster.get_client() as client:
        yield client


@pytest.fixture(scope="module")
def small_recipe():
    """Let the estimators for tables train small networks of one shape, briefly."""
    with tabular.small_recipe():
        yield


@pytest.fixture
def by_groups(monkeypatch):
    """Sum gradients by groups of examples, whatever the sizes."""
    monkeypatch.setattr(costs, "FEW", 0)
    monkeypatch.setattr(costs, "GROUP_WORK", 0)


@pytest.fixture
def press_ctrl_c():
    """A function that does in the main thread what Ctrl-C does. Any thread may call it."""
    # A process that a shell starts in the background ignores SIGINT. So the handler is set here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)
