"""Jobs in Python threads. Each thread does one job after the other.

The jobs call kernels on one thread each, so they need none of the workers of crew.py.
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sklearn import config_context, get_config

from .team import one_thread

# A signal that comes just before the main thread begins to wait does not wake this thread. So the thread waits PATIENCE
# seconds at a time. After Ctrl-C, it looks every POLL seconds whether other threads still run.
PATIENCE, POLL = 0.1, 0.001


def in_threads(jobs: Sequence[Callable[[], Any]], n_threads: int, stop: threading.Event | None = None) -> list[Any]:
    """The results of the jobs. The caller's thread only waits. If it is the main thread, it answers Ctrl-C soon.

    The threads are daemons, unlike those of `concurrent.futures`. A daemon thread of the user may call this function.
    Then its jobs must not keep the process alive after the main thread has ended.

    Parameters
    ----------
    jobs : sequence of callable
    n_threads : int
        The largest number of threads.
    stop : Event, optional
        This function sets it after an error or Ctrl-C. A running job may watch it and end early.

    Raises
    ------
    BaseException
        The first exception of a job or of the caller's thread. All jobs that have begun have ended, and no other job
        begins.
    """
    config, stop = get_config(), stop or threading.Event()
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []
    todo = deque(range(len(jobs)))  # threads may share a deque, also in a Python without the GIL, but not an iterator

    def work(gate: Any) -> None:
        try:
            with one_thread(), config_context(**config):  # scikit-learn's configuration belongs to a thread
                while not stop.is_set():
                    try:
                        i = todo.popleft()
                    except IndexError:  # no job is left
                        return
                    results[i] = jobs[i]()
        except BaseException as error:
            errors.append(error)
            stop.set()
        finally:
            gate.release()

    gates = [threading.Lock() for _ in range(min(n_threads, len(jobs)))]
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work, gate), name="fastbp", daemon=True)
        for gate in gates
    ]
    try:
        for gate, thread in zip(gates, threads, strict=True):
            gate.acquire()
            thread.start()
        # Not `join`, because before Python 3.13 a thread whose `join` was interrupted counts as ended.
        for gate in gates:
            while not gate.acquire(timeout=PATIENCE):
                pass
    except BaseException:
        stop.set()
        while any(thread.is_alive() for thread in threads):
            time.sleep(POLL)
        raise
    if errors:
        raise errors[0]
    return results
