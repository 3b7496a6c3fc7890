"""The workers: threads of Python that take part in the calls of kernels.

A worker is in one of two states. It is awake while it is in `serve` of `kernels/machine/crew.py`: there it looks for
calls in compiled code, without the GIL. If none comes for some milliseconds, it falls asleep: it waits in Python for an
alarm.

Numba's own threads would be the alternative. With OpenMP their calls are as fast, but a child made by fork() cannot use
them, and on macOS they need a library that Numba does not ship. Numba's other layer takes a hundred times as long for a
call, and aborts the process if two threads call at once. benchmarks/README.md has the figures.
"""

import _thread
import atexit
import os
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.compiling import interpreted
from ..kernels.machine.barrier import AWAKE, CREW_FIELDS, STOP
from ..kernels.machine.crew import serve

# When Python ends, it waits at most PATIENCE_SECONDS for the workers to leave compiled code.
PATIENCE_SECONDS = 1.0


def prepare() -> None:
    """Compile the code of the workers, or load it, in this thread."""
    serve(np.ones(CREW_FIELDS, np.int64))  # in a crew that has to stop, so this thread returns at once


def _work(state: NDArray[np.int64], alarm: "SimpleQueue[None]") -> None:
    """The life of a worker. It ends with the process."""
    while True:
        alarm.get()
        serve(state)


class Crew:
    """The workers of this process. Any thread may call its methods, and an interrupt may come at any time."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Have no worker yet. Also in a child made by fork(), which has no thread but its own."""
        self._state = np.zeros(CREW_FIELDS, np.int64)
        self._alarm: SimpleQueue[None] = SimpleQueue()
        self._n_workers = 0

    def run(self, kernel: Callable[..., Any], n_threads: int, *args: Any) -> Any:
        """Call the kernel, with at most n_threads threads, of which this thread is one."""
        state = self._state
        if n_threads > 1:
            n_threads = self._summon(n_threads)
        return kernel(state, n_threads, *args)

    def _summon(self, n_threads: int) -> int:
        """Wake the workers that the next call needs. Returns the number of threads that the call may have."""
        missing = n_threads - 1 - int(self._state[AWAKE])
        if missing > 0:
            self._start(n_threads - 1)
            for _ in range(missing - self._alarm.qsize()):
                self._alarm.put(None)
        return min(n_threads, 1 + self._n_workers)

    def _start(self, n_workers: int) -> None:
        """Start threads until there are n_workers, if the system allows it."""
        if self._n_workers >= n_workers or self._state[STOP] or interpreted.ENABLED:
            return
        if not self._n_workers:
            prepare()
        try:
            while self._n_workers < n_workers:
                # The new thread is a daemon. An interrupt before the next line costs nothing but a spare worker.
                _thread.start_new_thread(_work, (self._state, self._alarm))
                self._n_workers += 1
        except RuntimeError:  # Python is ending, or the system has no more threads
            pass

    def stop(self) -> None:
        """Send the workers out of compiled code, before Python frees the code. Later calls have one thread."""
        self._state[STOP], self._n_workers = 1, 0
        end = time.monotonic() + PATIENCE_SECONDS
        while self._state[AWAKE] and time.monotonic() < end:
            time.sleep(0.001)


CREW = Crew()
atexit.register(CREW.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CREW.begin)
