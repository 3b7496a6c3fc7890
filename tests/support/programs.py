"""Helpers in the processes of the isolated tests: a fit worth several threads, and counts of parallel calls.

A test starts a process by `run`. The process starts in the folder `tests`. So it and its children can import this
module as `support.programs`, the name that it has in the tests too.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

FOLDER = pathlib.Path(__file__).parents[1]  # where the processes start
TIMEOUT = 300  # seconds; turns a hang into a failure
# CTRL_C begins a program that a test interrupts. Otherwise the program may ignore SIGINT, because a shell starts its
# background jobs so.
CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def run(program, cache, **environment):
    """The last line, as JSON, that a new Python process prints when it runs `program` with four threads."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "4"} | environment
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, cwd=FOLDER, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children too, because they also have the pipes
            output, errors = process.communicate()
            errors += f"\nkilled after {TIMEOUT} seconds"
    assert process.returncode == 0, f"exit code {process.returncode}\n{output}\n{errors[-3000:]}"
    return json.loads(output.splitlines()[-1])


def digest(n_jobs=None):
    """A digest of all numbers of a fit and a prediction."""
    return digest_of(fitted(n_jobs))


def fitted(n_jobs=None, random_state=0):
    from fastbp import BackpropClassifier  # here, because some tests import it late

    X, y = data()
    return BackpropClassifier((64,), batch_size=500, max_iter=3, random_state=random_state, n_jobs=n_jobs).fit(X, y)


def digest_of(clf):
    numbers = hashlib.sha256(clf.predict_proba(data()[0]).tobytes())
    for array in (*clf.coefs_, *clf.intercepts_, np.array(clf.loss_curve_)):
        numbers.update(array.tobytes())
    return numbers.hexdigest()


def data():
    X = np.random.default_rng(0).normal(size=(1500, 20))
    return X, X[:, :3].argmax(axis=1)


class Calls:
    """Calls of the kernels `train` and `predict` from now on: their number, and that of calls with several threads."""

    def __init__(self):
        from support.entries import ENTRIES, entry

        self.count = self.parallel = self.most_threads = 0
        self._lock = threading.Lock()
        for name in ("train", "predict"):
            setattr(ENTRIES[name], name, self._counting(entry(name)))

    def _counting(self, kernel):
        def call(crew, n_threads, *args):
            with self._lock:
                self.count += 1
                self.parallel += n_threads > 1
                self.most_threads = max(self.most_threads, n_threads)
            return kernel(crew, n_threads, *args)

        return call


def in_worker(n_jobs=None):
    """[digest, calls of parallel kernels] of a fit and a prediction, for pools of workers."""
    calls = Calls()
    return [digest(n_jobs), calls.parallel]


def in_threads(n, function):
    """The results of `function` in n threads that call it at the same time."""
    start = threading.Barrier(n)

    def task():
        start.wait()
        return function()

    with ThreadPoolExecutor(n) as pool:
        return [future.result() for future in [pool.submit(task) for _ in range(n)]]


@numba.njit(parallel=True, nogil=True, cache=True)
def foreign_kernel(x):
    """A parallel region that is not ours."""
    total = 0.0
    for i in numba.prange(len(x)):
        total += np.sqrt(x[i])
    return total


@contextlib.contextmanager
def foreign_kernel_in_a_loop():
    """In this context, another thread runs parallel regions one after the other. On entry, the first one is over."""
    enough, stop = threading.Barrier(2), threading.Event()

    def loop():
        foreign_kernel(np.ones(10_000))
        enough.wait()
        while not stop.is_set():
            foreign_kernel(np.ones(10_000))

    thread = threading.Thread(target=loop)
    thread.start()
    enough.wait()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def in_child(function):
    """Fork a child that runs `function`. It must return True within the timeout. Return the child's process id."""
    child = os.fork()
    if child:
        return child
    signal.alarm(TIMEOUT // 3)  # its default action ends a child that hangs
    succeeded = False
    try:
        succeeded = function()
    finally:
        os._exit(0 if succeeded else 1)


def status(child):
    """The exit code of that child, 0 if it succeeded, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
