"""Searches on Dask in processes of their own: the kernels that their workers compile, and Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest

from support.programs import CTRL_C, FOLDER, TIMEOUT, run

pytest.importorskip("distributed")

# COMPILING prints how often each kernel was compiled, per worker of a first cluster and per worker of a second one. In
# each worker two threads begin at once.
COMPILING = """
import json, warnings
import joblib
from distributed import LocalCluster
from sklearn.model_selection import GridSearchCV
from support import programs
from fastbp import BackpropClassifier
def misses():
    from fastbp.kernels.compiling.jit import KEPT
    return [count for kernel in KEPT for count in kernel.stats.cache_misses.values()]
def search():
    grid = {"hidden_layer_sizes": [(4,), (3, 2), (5,)], "alpha": [0.0, 0.1]}
    cluster = LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0")
    with cluster, cluster.get_client() as client:
        with joblib.parallel_backend("dask"):
            GridSearchCV(BackpropClassifier(max_iter=2, random_state=0), grid, cv=3, refit=False).fit(*programs.data())
        return list(client.run(misses).values())
print(json.dumps([search(), search()]))
"""


def test_a_kernel_is_compiled_once_in_a_worker_and_then_found_on_disk(tmp_path):
    first, second = run(COMPILING, tmp_path)
    assert all(set(worker) <= {1} for worker in first)  # no kernel, if the package itself has them already
    assert second == [[], []]


# ENDLESS: a candidate takes days. A class of search replaces %s.
ENDLESS = """
import joblib
from distributed import LocalCluster
from sklearn.model_selection import GridSearchCV
from support import programs
import fastbp.dask
from fastbp import BackpropClassifier
print(programs.digest(), flush=True)
cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
with cluster, cluster.get_client() as client:
    endless = BackpropClassifier(max_iter=10**9, n_iter_no_change=10**9, random_state=0)
    processing = cluster.scheduler.workers
    def announce():
        if all(worker.processing for worker in processing.values()):
            print("searching", flush=True)
        else:
            client.loop.call_later(0.1, announce)
    client.loop.add_callback(announce)
    try:
        with joblib.parallel_backend("dask"):
            %s(endless, {"alpha": [0.0, 0.1]}, cv=2).fit(*programs.data())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("search", ["GridSearchCV", "fastbp.dask.HalvingSearchCV"])
def test_an_interrupt_ends_a_search_and_its_workers(warm_cache, search):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(warm_cache)}
    command, pipe = [sys.executable, "-W", "ignore", "-c", CTRL_C + ENDLESS % search], subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=FOLDER, stdout=pipe, stderr=pipe, text=True) as process:
        first = process.stdout.readline()
        assert process.stdout.readline() == "searching\n", first + process.communicate()[1][-3000:]
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=TIMEOUT)  # the pipes are closed when all processes are gone
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, output) == (0, "interrupted\n"), errors[-3000:]
