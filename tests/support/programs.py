"""What the processes of the isolated tests share: a fit worth several threads, and who ran in parallel when.

A test starts them by `run`. They start in the folder `tests`, so that they and their own children can import this
module as `support.programs`, which is its name in the tests too.
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
TIMEOUT = 300  # seconds, only to turn a hang into a failure
# Begins a program that is to be interrupted: a shell starts its background jobs so that they ignore that.
CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def run(program, cache, **environment):
    """What a new Python process prints last, as JSON, when it runs `program` with four threads."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "4"} | environment
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, cwd=FOLDER, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with its children, who have the pipes too
            output, errors = process.communicate()
            errors += f"\nkilled after {TIMEOUT} seconds"
    assert process.returncode == 0, f"exit code {process.returncode}\n{output}\n{errors[-3000:]}"
    return json.loads(output.splitlines()[-1])


def digest(n_jobs=None):
    """Digest of all numbers that a fit and a prediction give."""
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
    """Of some kernels, by default our parallel ones: how many calls from now on, the most at once, the most threads."""

    def __init__(self, *names):
        from fastbp.kernels import backprop

        self.count = self.most_at_once = self.most_threads = self._now = 0
        self._lock = threading.Lock()
        for name in names or ("train_parallel", "predict_parallel"):
            setattr(backprop, name, self._counting(getattr(backprop, name)))

    def _counting(self, kernel):
        def call(*args):
            with self._lock:
                self.count += 1
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                self.most_threads = max(self.most_threads, numba.get_num_threads())
            try:
                return kernel(*args)
            finally:
                with self._lock:
                    self._now -= 1

        return call


def in_worker(n_jobs=None):
    """[digest, calls of parallel kernels] of a fit and a prediction, for pools of workers."""
    calls = Calls()
    return [digest(n_jobs), calls.count]


def in_threads(n, function):
    """What `function` returns in each of n threads that call it at the same time."""
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
    """Meanwhile another thread enters one parallel region after the other; the first is behind it."""
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
    """fork(); the child runs `function` and must return True from it within the timeout. Returns its process id."""
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
    """0 if that child succeeded, its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
