"""Whether a kernel runs faster on all threads of a team or on one, judged by the times of its calls.

On a busy machine, a thread that gets no core makes the other threads wait for some milliseconds after every phase of a
step. So the calls of a kernel are timed. At times a *trial* times some calls with the other number of threads, and the
kernel goes on with the faster number. The number of threads never changes a bit of the result.

benchmarks/busy.py measured five jobs of some tenths of a second each on two cores. Times are in multiples of the time
of one thread. Beside one process that never waits, two threads took 1.3 to 10.7 without trials, and 0.95 to 3.6 with
trials. On the quiet machine they took 0.73 to 1.58 without trials, and 0.73 to 1.31 with trials. Another rule was no
better: a team that returned to one thread whenever its members slept at the barrier took 1.1 to 3.6 beside that
process. This rule also missed cases where two threads were slow without sleeping.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numba

# Between two trials, a kernel keeps the better number of threads. The length of this pause is a multiple of the latest
# trial's time, because that time is the cost of a trial. The multiple is SHORTEST_PAUSE after a trial that changed the
# number. It doubles, up to LONGEST_PAUSE, after each trial that did not change it. Only the time of calls counts for a
# pause: if the time of day counted, each of many short fits would begin with a trial.
SHORTEST_PAUSE, LONGEST_PAUSE = 16, 256
# A pause is at most LONGEST_PAUSE_SECONDS, or SHORTEST_PAUSE times the trial's time if that is longer. Without this
# bound, a slow trial beside a busy process would cause a long pause, even if that process soon ended.
LONGEST_PAUSE_SECONDS = 10.0
# A trial ends when its calls have taken TRIAL_SECONDS together, or at the first call after LONGEST_PAUSE_SECONDS
# without one. Only the second half of its calls counts: most trials begin when a fit begins, and threads that were
# asleep need some milliseconds until each has a core.
TRIAL_SECONDS = 0.006


class Pace:
    """Chooses whether one kernel runs on n_threads or on one thread, from the times of its calls."""

    def __init__(self, n_threads: int):
        self._best, self._other = n_threads, 1
        # The seconds per unit of work of the latest calls with the best number of threads. Their median counts, because
        # single calls get disturbed.
        self._seconds: deque[float] = deque(maxlen=3)
        self._trial: list[float] = []  # the seconds per unit of work of all calls of the present trial
        self._trial_seconds, self._seconds_since = TRIAL_SECONDS, 0.0  # seconds of the latest trial; of the calls since
        self._pause, self._last_call = SHORTEST_PAUSE, -math.inf

    def run(self, kernel: Callable[..., Any], args: tuple[Any, ...], work: float) -> Any:
        first, now = self._last_call == -math.inf, time.perf_counter()
        if now > self._last_call + LONGEST_PAUSE_SECONDS:  # the machine may be more or less busy by now
            if self._trial:  # decide now, because short and rare fits never fill a trial
                self._decide()
            self._seconds.clear()
        trial = bool(self._trial) or self._due()
        numba.set_num_threads(self._other if trial else self._best)
        start = time.perf_counter()
        result = kernel(*args)
        now = self._last_call = time.perf_counter()
        if trial:
            self._try(now - start, work)
        elif not first:  # the first call may compile, so its time says nothing
            self._seconds.append((now - start) / work)
            self._seconds_since += now - start
        return result

    def _due(self) -> bool:
        """Whether a trial begins now: the pause is over, and enough calls have been timed to compare the trial with."""
        most = max(SHORTEST_PAUSE * self._trial_seconds, LONGEST_PAUSE_SECONDS)
        waited = self._seconds_since >= min(self._pause * self._trial_seconds, most)
        return waited and len(self._seconds) == self._seconds.maxlen

    def _try(self, seconds: float, work: float) -> None:
        """Note the time of a call of a trial, and end the trial if its calls have taken long enough."""
        self._trial_seconds = seconds + (self._trial_seconds if self._trial else 0.0)
        self._trial.append(seconds / work)
        if self._trial_seconds >= TRIAL_SECONDS:
            self._decide()

    def _decide(self) -> None:
        """End a trial: go on with the number of threads that was faster."""
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
