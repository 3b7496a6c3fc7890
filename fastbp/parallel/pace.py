"""Whether a kernel runs faster on all threads of a team or on one, judged by the times of its calls.

On a busy machine, a thread that gets no core makes the other threads wait for some milliseconds after every phase of a
step. So the calls of a kernel are timed. Now and then, a *trial* makes some calls with the other number of threads.
Then the kernel goes on with the faster number. The number of threads never changes a bit of the result.

benchmarks/busy.py measured five jobs of some tenths of a second each on two cores. Times are in multiples of the time
of one thread. Beside a process that keeps a core busy, two threads took 1.1 to 12.8 without trials, and 1.0 to 4.1
with trials. On the quiet machine they took 0.59 to 1.75 without trials, and 0.60 to 1.39 with trials. Another rule was
no better: a team returned to one thread whenever its members slept at the barrier. Beside the busy process, the jobs
took 1.1 to 3.6 with this rule. It also missed cases where two threads were slow without sleeping.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

# Between two trials, a kernel keeps the better number of threads. The length of this pause is a multiple of the latest
# trial's time, because that time is the cost of a trial. The multiple is SHORTEST_PAUSE after a trial that changed the
# number. After each trial that kept the number, the multiple doubles, up to LONGEST_PAUSE. Only the time of calls
# counts for a pause: if the time of day counted, each of many short fits would begin with a trial.
SHORTEST_PAUSE, LONGEST_PAUSE = 16, 256
# A pause is at most LONGEST_PAUSE_SECONDS, or SHORTEST_PAUSE times the trial's time if that is longer. Without this
# bound, a slow trial beside a busy process would cause a long pause, even if that process soon ended.
LONGEST_PAUSE_SECONDS = 10.0
# A trial ends when its calls have taken TRIAL_SECONDS together, or at the first call after LONGEST_PAUSE_SECONDS
# without a call. Only the second half of its calls counts, because threads that were asleep before the trial need some
# milliseconds until each has a core.
TRIAL_SECONDS = 0.006
# A trial is compared with the median time of the last LATEST calls before it, because a single call may be disturbed.
LATEST = 3


class _State(NamedTuple):
    """The measurements of a Pace.

    A state never changes. Each call makes a new state, because an interrupt may come at any time.
    """

    best: int  # the number of threads that the latest trial found faster; before the first trial, all threads
    other: int
    seconds: tuple[float, ...] = ()  # seconds per unit of work, for the last calls with `best`; at most LATEST of them
    trial: tuple[float, ...] = ()  # seconds per unit of work, for all calls of the present trial
    trial_seconds: float = TRIAL_SECONDS  # total time of the calls of the present trial or, without one, of the latest
    seconds_since: float = 0.0  # total time of the calls after the latest trial
    pause: int = SHORTEST_PAUSE
    last_call: float = -math.inf

    @property
    def tries(self) -> bool:
        """Whether the next call belongs to a trial. A trial needs LATEST calls before it, to compare its times with."""
        most = max(SHORTEST_PAUSE * self.trial_seconds, LONGEST_PAUSE_SECONDS)
        waited = self.seconds_since >= min(self.pause * self.trial_seconds, most)
        return bool(self.trial) or (waited and len(self.seconds) == LATEST)

    def begun(self, now: float) -> Self:
        """The state at the beginning of a call."""
        if now <= self.last_call + LONGEST_PAUSE_SECONDS:
            return self
        # The machine may be more or less busy by now, so the earlier times are forgotten. An unfinished trial is
        # decided by the calls that it has. If it began anew instead, rare short fits would never finish a trial.
        return (self.decided() if self.trial else self)._replace(seconds=())

    def called(self, seconds: float, work: float) -> Self:
        """The state after a call that did not belong to a trial."""
        if self.last_call == -math.inf:  # the first call may compile, so its time says nothing
            return self
        latest = (*self.seconds, seconds / work)[-LATEST:]
        return self._replace(seconds=latest, seconds_since=self.seconds_since + seconds)

    def tried(self, seconds: float, work: float) -> Self:
        """The state after a call of a trial."""
        total = seconds + (self.trial_seconds if self.trial else 0.0)
        state = self._replace(trial=(*self.trial, seconds / work), trial_seconds=total)
        return state.decided() if total >= TRIAL_SECONDS else state

    def decided(self) -> Self:
        """The state at the end of a trial. The faster number of threads becomes `best`."""
        state = self._replace(trial=(), seconds_since=0.0)
        found = statistics.median_low(self.trial[len(self.trial) // 2 :])
        if found < statistics.median_low(self.seconds):
            return state._replace(best=self.other, other=self.best, seconds=(found,), pause=SHORTEST_PAUSE)
        return state._replace(pause=min(2 * self.pause, LONGEST_PAUSE))


class Pace:
    """Chooses whether one kernel runs on n_threads or on one thread, from the times of its calls."""

    def __init__(self, n_threads: int):
        self._state = _State(n_threads, 1)

    def run(self, call: Callable[[int], Any], work: float) -> Any:
        """`call(n)`, with n threads. work: floating-point operations of this call, roughly."""
        state = self._state.begun(time.perf_counter())
        n_threads = state.other if state.tries else state.best
        start = time.perf_counter()
        result = call(n_threads)
        now = time.perf_counter()
        after = state.tried(now - start, work) if state.tries else state.called(now - start, work)
        self._state = after._replace(last_call=now)
        return result
