"""How many threads run a kernel faster at the moment, from the times of its calls.

On a machine that others use too, a thread that does not get its core keeps the others waiting after every phase of a
step, some milliseconds each time: measured, a hundred times slower than serial. So the calls of a kernel are timed, and
it goes on with one thread while that is faster. The number of threads never changes a bit of the result.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numba

# How long a kernel keeps the better number of threads between two trials of the other one, as a multiple of what the
# latest trial took, for that is what it may cost: after a trial that was won, and at most, twice as long after each
# that was lost. It is the time of calls, not of day, or a fit now and then would begin with a trial each time.
SHORTEST_PAUSE, LONGEST_PAUSE = 16, 256
# Nor longer than that, but for the least, as a trial beside a busy process may take long, and the process may end.
LONGEST_PAUSE_SECONDS = 10.0
# What the calls of a trial take together, at least, of which the second half counts: threads that were asleep need some
# milliseconds until each has a core, and a trial begins where a fit does more often than not.
TRIAL_SECONDS = 0.006


class Pace:
    """Which number of threads runs one kernel faster, from the times of its calls."""

    def __init__(self, n_threads: int):
        self._best, self._other = n_threads, 1
        # Per unit of work, of the latest calls with the best number; their median, because single calls get disturbed.
        self._seconds: deque[float] = deque(maxlen=3)
        self._trial: list[float] = []  # the same of all calls of the trial that goes on
        self._trial_seconds, self._seconds_since = TRIAL_SECONDS, 0.0  # of the latest trial, and of calls after it
        self._pause, self._last_call = SHORTEST_PAUSE, -math.inf

    def run(self, kernel: Callable[..., Any], args: tuple[Any, ...], work: float) -> Any:
        first, now = self._last_call == -math.inf, time.perf_counter()
        if now > self._last_call + LONGEST_PAUSE_SECONDS:  # the machine may be another one by now
            if self._trial:  # of which this is all, or short fits now and then would go on trying
                self._decide()
            self._seconds.clear()
        trial = bool(self._trial) or self._due()
        numba.set_num_threads(self._other if trial else self._best)
        start = time.perf_counter()
        result = kernel(*args)
        now = self._last_call = time.perf_counter()
        if trial:
            self._try(now - start, work)
        elif not first:  # which may compile, so it says nothing
            self._seconds.append((now - start) / work)
            self._seconds_since += now - start
        return result

    def _due(self) -> bool:
        """Whether a trial is to begin; it has to beat the time of some calls just before it."""
        most = max(SHORTEST_PAUSE * self._trial_seconds, LONGEST_PAUSE_SECONDS)
        waited = self._seconds_since >= min(self._pause * self._trial_seconds, most)
        return waited and len(self._seconds) == self._seconds.maxlen

    def _try(self, seconds: float, work: float) -> None:
        """A call of a trial is over."""
        self._trial_seconds = seconds + (self._trial_seconds if self._trial else 0.0)
        self._trial.append(seconds / work)
        if self._trial_seconds >= TRIAL_SECONDS:
            self._decide()

    def _decide(self) -> None:
        """End a trial: go on with what was faster."""
        found = statistics.median_low(self._trial[len(self._trial) // 2 :])
        if found < statistics.median_low(self._seconds):
            self._best, self._other = self._other, self._best
            self._seconds.clear()
            self._seconds.append(found)
            self._pause = SHORTEST_PAUSE
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._trial.clear()
        self._seconds_since = 0.0
