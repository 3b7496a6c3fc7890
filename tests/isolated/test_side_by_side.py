"""Searches that train candidates side by side: fork, daemon threads, a SIGINT from outside."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.programs import CTRL_C, FOLDER, TIMEOUT, run

SEARCH = """
import json, warnings
from fastbp import BackpropClassifier
from fastbp.model_selection import GridSearchCV, HalvingSearchCV
from support import programs
warnings.simplefilter("ignore")
X, y = programs.data()
net = BackpropClassifier((64,), batch_size=500, max_iter=9, random_state=0)
def searched(n_jobs=None):
    grid = GridSearchCV(net, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, y)
    halving = HalvingSearchCV(net, {"alpha": [1e-4, 1e-2, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, y)
    scores = [*grid.cv_results_["mean_test_score"], *halving.cv_results_["mean_test_score"]]
    return [*scores, programs.digest_of(grid.best_estimator_), programs.digest_of(halving.best_estimator_)]
"""

EVERYWHERE = """
expected = searched(1)
child = programs.in_child(lambda: searched() == expected)
with programs.foreign_kernel_in_a_loop():
    at_once = programs.in_threads(3, searched)
late = programs.in_child(lambda: searched() == expected)
print(json.dumps([
    searched() == expected, [found == expected for found in at_once], programs.status(child), programs.status(late),
]))
"""


def test_searches_at_once_and_in_forked_children_have_the_results_of_one_thread(warm_cache):
    assert run(SEARCH + EVERYWHERE, warm_cache) == [True, [True] * 3, 0, 0]


LEAVING = """
import threading
from fastbp.training.observer import watch
begun = threading.Event()
def search_for_ever():
    with watch(lambda *_: begun.set()):
        GridSearchCV(net.set_params(max_iter=10**9, n_iter_no_change=10**9), {"alpha": [1e-4, 1.0]}).fit(X, y)
threading.Thread(target=search_for_ever, daemon=True).start()
assert begun.wait(100)
print(json.dumps("left"))
"""


def test_a_process_ends_while_a_daemon_thread_is_in_a_search(warm_cache):
    assert run(SEARCH + LEAVING, warm_cache) == "left"


INTERRUPTED = """
import threading, time
from fastbp.training.observer import watch
def say(epoch, max_iter, loss):
    if epoch == 2:
        print("training", flush=True)
try:
    with watch(say):
        GridSearchCV(net.set_params(max_iter=10**9, n_iter_no_change=10**9), {"alpha": [1e-4, 1.0]}).fit(X, y)
except KeyboardInterrupt:
    time.sleep(0.1)  # a thread that has finished its work may need a moment to end
    alive = [thread.name for thread in threading.enumerate() if thread.name == "fastbp"]
    net.set_params(max_iter=9, n_iter_no_change=10)
    print(json.dumps([alive, searched(1) == searched(2)]))
"""


@pytest.mark.parametrize("n_threads", ["1", "4"])
def test_a_sigint_from_outside_ends_a_search_and_the_next_one_works(n_threads, warm_cache):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(warm_cache), "NUMBA_NUM_THREADS": n_threads}
    command = [sys.executable, "-c", CTRL_C + SEARCH + INTERRUPTED]
    with subprocess.Popen(command, env=environment, cwd=FOLDER, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "training\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1]) == [[], True]
