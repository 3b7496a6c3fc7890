"""Ensembles in many threads, in processes made by fork and by joblib, and interrupted by a real Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.programs import CTRL_C, FOLDER, TIMEOUT, run

# ENSEMBLE: the beginning of each program. It computes a digest of all numbers of an ensemble.
ENSEMBLE = """
import hashlib, json, os, signal, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from support import programs
from fastbp import BackpropClassifier, BackpropEnsembleClassifier

def fitted(n_jobs=None, **params):
    member = BackpropClassifier((64,), **{"batch_size": 500, "max_iter": 3, **params})
    X, y = programs.data()
    return BackpropEnsembleClassifier(member, 6, selection="greedy", n_jobs=n_jobs, random_state=0).fit(X, y)

def digest(n_jobs=None):
    model = fitted(n_jobs)
    numbers = hashlib.sha256(model.predict_proba(programs.data()[0]).tobytes() + model.weights_.tobytes())
    for member in model.members_:
        for array in (*member.coefs_, *member.intercepts_, np.array(member.loss_curve_)):
            numbers.update(array.tobytes())
    return numbers.hexdigest()
"""
SAME = ENSEMBLE + "print(json.dumps(digest(n_jobs=1)))"
EIGHT_THREADS = (
    ENSEMBLE
    + """
expected = digest(n_jobs=1)
found = programs.in_threads(8, lambda: [digest(), digest(2)])
print(json.dumps(all(each == expected for both in found for each in both)))
"""
)
FORK = (
    ENSEMBLE
    + """
expected = digest()
child = programs.in_child(lambda: digest() == expected)
grandchild = programs.in_child(lambda: programs.status(programs.in_child(lambda: digest() == expected)) == 0)
print(json.dumps([programs.status(child), programs.status(grandchild), digest() == expected]))
"""
)
FORK_MEANWHILE = (
    ENSEMBLE
    + """
expected, stop = digest(), threading.Event()
def work():
    while not stop.is_set():
        digest()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
found = []
for _ in range(5):
    found.append(programs.status(programs.in_child(lambda: digest() == expected)))
stop.set()
for thread in threads:
    thread.join()
print(json.dumps(found))
"""
)
WORKERS = (
    ENSEMBLE
    + """
import joblib
expected = digest()
found = [
    joblib.Parallel(2, backend=backend)(joblib.delayed(digest)() for _ in range(3)) for backend in ("loky", "threading")
]
print(json.dumps(all(each == expected for digests in found for each in digests)))
"""
)
LEAVING = (
    ENSEMBLE
    + """
calls = programs.Calls()
threading.Thread(target=lambda: fitted(max_iter=10**9, n_iter_no_change=10**9, tol=0), daemon=True).start()
while calls.count < 3:
    time.sleep(0.01)
print(calls.count)
"""
)
# INTERRUPTED: the ensemble has two members of two iterations, and then four that would take days.
INTERRUPTED = (
    ENSEMBLE
    + """
calls = programs.Calls()
def announce():
    while calls.count < 200:
        time.sleep(0.01)
    print("training", flush=True)
threading.Thread(target=announce, daemon=True).start()
X, y = programs.data()
member = BackpropClassifier((64,), batch_size=500, n_iter_no_change=10**9, tol=0)
model = BackpropEnsembleClassifier(
    member, 6, param_distributions={"max_iter": [2, 10**9]}, n_jobs=N_JOBS, random_state=0
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, y)
said = [str(warning.message) for warning in caught if "Maximum iterations" not in str(warning.message)]
epochs = [each.n_iter_ for each in model.members_]
print(json.dumps([said, min(epochs) >= 1 and max(epochs) > 2, bool(np.isfinite(model.predict_proba(X)).all())]))
"""
)


def test_eight_threads_at_once_get_the_bits_of_sequential_fits(warm_cache):
    assert run(EIGHT_THREADS, warm_cache)


def test_any_number_of_threads_gives_the_same_bits(warm_cache):
    assert run(SAME.replace("n_jobs=1", ""), warm_cache) == run(SAME, warm_cache)


def test_children_of_a_fork_can_fit(warm_cache):
    assert run(FORK, warm_cache) == [0, 0, True]


def test_a_child_can_fit_although_other_threads_fitted_ensembles_at_the_fork(warm_cache):
    assert run(FORK_MEANWHILE, warm_cache) == [0] * 5


def test_workers_of_joblib_give_the_same_bits(warm_cache):
    assert run(WORKERS, warm_cache)


def test_a_process_ends_while_a_daemon_thread_fits_an_ensemble(warm_cache):
    assert run(LEAVING, warm_cache) >= 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_the_members_that_finished_an_epoch(n_jobs, warm_cache):
    program = CTRL_C + INTERRUPTED.replace("N_JOBS", str(n_jobs))
    environment = os.environ | {"NUMBA_CACHE_DIR": str(warm_cache), "NUMBA_NUM_THREADS": "4"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, cwd=FOLDER, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout.readline() == "training\n", process.communicate()[1][-3000:]
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, errors[-3000:]
    assert json.loads(output) == [["Training interrupted by user."], True, True]
