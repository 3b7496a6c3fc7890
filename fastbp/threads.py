"""Who may run in parallel: the one place that decides it.

Numba's threads belong to the process. Two parallel regions at once abort it under the workqueue layer, and a child made
by fork() is killed or hangs when it enters one that its parent's threads should have run. So a call gets threads only
where the work is worth it, the layer is safe, this process did not come from such a fork(), neither joblib nor Dask
runs it beside others, and nobody else in here holds them; otherwise it runs serially, to the same bits, and releases
the GIL.

On a machine that others use too, a thread that does not get its core keeps the rest waiting after every phase of a
step, some milliseconds each time: measured, a hundred times slower than serial. So a team times its calls and goes on
with one thread where that is faster, as do the teams after it, for many a fit is a single call. That cannot change a
bit of the result either.
"""

import contextlib
import math
import os
import pathlib
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding.ffi
import numba
from joblib.parallel import get_active_backend
from numba.core.compiler_lock import global_compiler_lock
from numpy.random.mtrand import get_bit_generator
from threadpoolctl import threadpool_limits

# Floating-point operations of one parallel region below which entering it costs more than it saves: some microseconds.
MIN_WORK = 1_000_000

# How long a kernel keeps the better number of threads between two trials of the other one, as a multiple of what the
# latest trial took, for that is what it may cost: after a trial that was won, and at most, twice as long after each
# that was lost. It is the time of calls, not of day, or a fit now and then would begin with a trial each time.
SHORTEST_PAUSE, LONGEST_PAUSE = 16, 256
# Nor longer than that, but for the least, as a trial beside a busy process may take long, and the process may end.
LONGEST_PAUSE_SECONDS = 10.0
# What the calls of a trial take together, at least, of which the second half counts: threads that were asleep need some
# milliseconds until each has a core, and a trial begins where a fit does more often than not.
TRIAL_SECONDS = 0.006

PF_FORKNOEXEC = 0x40  # of Linux's flags of a process: it came from fork() and has not called exec() since


def _may_have_lost_threads() -> bool:
    """Whether this process may have been forked, before we were imported, from one that had started Numba's threads.

    Only Linux tells. Where nobody does, or only zeros (emulated kernels), the answer is yes.
    """
    try:
        numba.threading_layer()
    except ValueError:  # not started yet: the hooks below see every fork from now on
        return False
    if not hasattr(os, "fork"):
        return False
    try:
        fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    flags = int(fields[6])  # the ninth of proc(5), the seventh after the name
    return flags == 0 or bool(flags & PF_FORKNOEXEC)


_forked = _may_have_lost_threads()
# Reentrant: between two calls of a kernel, the holder may run another one, as a callback that predicts does.
_held = threading.RLock()
_blas_held = threading.Lock()

_held_by_fork = contextlib.ExitStack()


def _before_fork() -> None:
    """Wait for the locks that a fit needs in the child, where the thread that holds one would never release it."""
    for lock in (
        global_compiler_lock,
        getattr(llvmlite.binding.ffi.lib, "_lock", contextlib.nullcontext()),  # dropping compiled code takes it alone
        get_bit_generator().lock,  # random_state=None
    ):
        _held_by_fork.enter_context(lock)


def _release_after_fork() -> None:
    # Emptied while all are held: another thread that forks fills the stack as soon as the first of them is free.
    _held_by_fork.pop_all().close()


def _after_fork_in_child() -> None:
    global _held, _blas_held, _forked
    _release_after_fork()
    _held, _blas_held = threading.RLock(), threading.Lock()  # threads that no longer exist may have held the old ones
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_release_after_fork, after_in_child=_after_fork_in_child)


def layer_is_safe() -> bool:
    """Whether parallel regions may be entered from any thread: all of Numba's layers but workqueue."""
    numba.get_num_threads()  # makes Numba choose its layer
    return bool(numba.threading_layer() != "workqueue")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, unless somebody in here already does.

    It is a setting of the process: overlapping users would each restore what the other has set.
    """
    if not _blas_held.acquire(blocking=False):
        yield
        return
    held = _blas_held
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        held.release()


def in_joblib_worker() -> bool:
    """Whether joblib runs the caller beside others, in a thread or a process of any of its own backends."""
    return (get_active_backend()[0].nesting_level or 0) > 0


def in_dask_task() -> bool:
    """Whether the caller is a task of a Dask worker, which runs as many at once as it has threads.

    None of what Dask sets for its workers, such as OMP_NUM_THREADS=1, bounds Numba's threads, and joblib's backend of
    that name does not count as nested.
    """
    # Who is in a task has imported it, and nobody else is to wait for that.
    get_worker = getattr(sys.modules.get("distributed.worker"), "get_worker", None)
    if get_worker is None:
        return False
    try:
        get_worker()
    except ValueError:  # in the process of a worker, perhaps, but not in a task: a client's own
        return False
    return True


def upper_bound(n_jobs: int | None) -> int:
    """Threads that `n_jobs` allows: None and -1 are all of Numba's, -2 all but one, and so on."""
    try:
        available = int(numba.get_num_threads())
    except ValueError:  # Numba found no threading layer
        return 1
    if n_jobs is None:
        return available
    if n_jobs < 0:
        return max(1, available + 1 + n_jobs)
    return min(n_jobs, available)


class _Pace:
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


# By kernel, threads and magnitude of the work of a parallel region, so few. Nothing guards them: only who holds the
# threads runs a kernel in parallel.
_paces: dict[tuple[Callable[..., Any], int, int], _Pace] = {}


class Team:
    """The threads that a fit or a prediction may use.

    Parameters
    ----------
    n_threads : int
        Threads held; 1 means: call the serial kernels, and nothing is timed.
    work : float
        Floating-point operations of a typical parallel region.
    """

    def __init__(self, n_threads: int, work: float = 0.0):
        self._n_threads, self._magnitude = n_threads, math.frexp(work)[1]

    @property
    def n_threads(self) -> int:
        """Threads held now: a callback may have forked, and this be the child."""
        return 1 if _forked else self._n_threads

    def run(self, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
        """`kernel(*args)`; a parallel one with the number of threads that was faster lately.

        work: floating-point operations of this call, roughly.
        """
        if self.n_threads == 1:
            return kernel(*args)
        key = kernel, self._n_threads, self._magnitude
        if key not in _paces:
            _paces[key] = _Pace(self._n_threads)
        return _paces[key].run(kernel, args, work)


SERIAL = contextlib.nullcontext(Team(1))


def team(n_jobs: int | None, work: float) -> contextlib.AbstractContextManager[Team]:
    """Hold Numba's threads for a while, or get a team of one.

    Parameters
    ----------
    n_jobs : int or None
        Upper bound, see `upper_bound`; None is 1 in a joblib worker and in a Dask task, whose siblings use the other
        cores.
    work : float
        Floating-point operations of a typical parallel region.
    """
    # In this order: small work does not even make Numba start its threads.
    serial = n_jobs == 1 or work < MIN_WORK or _forked or (n_jobs is None and (in_joblib_worker() or in_dask_task()))
    return SERIAL if serial else _held_threads(n_jobs, work)


@contextlib.contextmanager
def _held_threads(n_jobs: int | None, work: float) -> Iterator[Team]:
    n_threads = upper_bound(n_jobs)
    if n_threads == 1 or not layer_is_safe() or not _held.acquire(blocking=False):
        yield Team(1)
        return
    held, before = _held, numba.get_num_threads()
    try:
        yield Team(n_threads, work)
    finally:
        numba.set_num_threads(before)
        held.release()
