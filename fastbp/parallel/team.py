"""The only place that decides whether a call may run in parallel.

Numba has one set of threads for the whole process. Under the workqueue layer, two parallel regions at once abort the
process. Under every layer, a child made by fork() lacks its parent's threads. So a call gets several threads only if
all of these conditions hold:

- `n_jobs` allows more than one thread;
- the work of a typical parallel region is at least MIN_WORK;
- this process has not lost Numba's threads by a fork(), see fork.py;
- if `n_jobs` is None, the call is not in a joblib worker or in a Dask task;
- Numba's threading layer is safe, see `layer_is_safe`;
- no other thread of this process holds Numba's threads.

Otherwise the call runs serially, and its result has the same bits. Every call releases the GIL.

`side_by_side` decides for jobs in Python threads. They need none of Numba's threads, so only the conditions of
`n_jobs`, of fork(), of joblib and of Dask apply.
"""

import contextlib
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numba
from joblib.parallel import get_active_backend

from .fork import lost_threads
from .pace import Pace

# Entering a parallel region costs some microseconds. A region of fewer floating-point operations than MIN_WORK is so
# short that more threads would not save that time.
MIN_WORK = 1_000_000


class _Hold:
    """A caller's hold on Numba's threads; `thread` is the thread of the caller.

    An interrupt may come between any two bytecodes, also while a hold is being released. So a hold that was never
    released must do no harm. For this reason `_holder` refers weakly to the hold, and `_number` keeps the number of
    threads that the next caller must restore.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()


# The hold that has the threads now, if any. Every change of the dict is one call into C, which no interrupt divides.
_holder: dict[str, weakref.ref[_Hold]] = {}


class _Number(threading.local):
    """`before`: this thread's number of Numba threads before a team changed it; None if it need not be restored."""

    before: int | None = None


_number = _Number()


def _current_hold() -> _Hold | None:
    """The hold that has the threads; None if nobody holds them."""
    reference = _holder.get("threads")
    return None if reference is None else reference()


def _is_mine(hold: _Hold | None) -> bool:
    return hold is not None and hold.thread == threading.get_ident()


def _try_to_hold(hold: _Hold) -> bool:
    """Let `hold` have the threads if they are free; returns whether it has them."""
    mine = weakref.ref(hold)
    found = _holder.setdefault("threads", mine)
    if found() is None:  # an interrupt kept the last holder from releasing the threads
        # Two threads may come here at once, and then both go on in parallel. That is safe, because callers have checked
        # `layer_is_safe`.
        _holder["threads"] = found = mine
    return found() is hold


def _release(hold: _Hold) -> None:
    if _current_hold() is hold:
        _holder.clear()


def _restore_number() -> None:
    """If a team of this thread has changed Numba's number of threads, restore the number."""
    if _number.before is not None:
        numba.set_num_threads(_number.before)


def _forget_other_threads() -> None:
    """In a forked child, forget a hold of a thread that the child lacks."""
    if not _is_mine(_current_hold()):
        _holder.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def layer_is_safe() -> bool:
    """Whether two threads may be in parallel regions at once. Of Numba's layers, only workqueue forbids that."""
    numba.get_num_threads()  # makes Numba choose its layer
    return bool(numba.threading_layer() != "workqueue")


def in_joblib_worker() -> bool:
    """Whether joblib runs the caller beside other calls, in a thread or a process of one of joblib's own backends."""
    return (get_active_backend()[0].nesting_level or 0) > 0


def in_dask_task() -> bool:
    """Whether the caller is a task of a Dask worker. A worker runs as many tasks at once as it has threads.

    The variables that Dask sets for its workers, such as OMP_NUM_THREADS=1, do not limit Numba's threads. Under
    joblib's backend "dask", `in_joblib_worker` is False, because joblib reports no nesting.
    """
    # In a task of a worker, `distributed.worker` is already imported. Other callers must not wait for its import.
    get_worker = getattr(sys.modules.get("distributed.worker"), "get_worker", None)
    if get_worker is None:
        return False
    try:
        get_worker()
    except ValueError:  # not in a task, though perhaps in the process of a worker
        return False
    return True


def upper_bound(n_jobs: int | None) -> int:
    """Threads that `n_jobs` allows: None and -1 mean all of Numba's threads, -2 all but one, and so on."""
    try:
        available = int(numba.get_num_threads())
    except ValueError:  # Numba found no threading layer
        return 1
    if n_jobs is None:
        return available
    if n_jobs < 0:
        return max(1, available + 1 + n_jobs)
    return min(n_jobs, available)


_one_thread: ContextVar[bool] = ContextVar("fastbp_one_thread", default=False)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within this context, every team has one thread, because the other cores do other work of the same caller."""
    token = _one_thread.set(True)
    try:
        yield
    finally:
        _one_thread.reset(token)


def side_by_side(n_jobs: int | None) -> int:
    """The number of Python threads for jobs side by side, see `threads.in_threads`. n_jobs: as in `team_for`."""
    return 1 if _must_be_one(n_jobs) else upper_bound(n_jobs)


def _must_be_one(n_jobs: int | None) -> bool:
    """Whether a call must have one thread, whatever its work is."""
    if n_jobs == 1 or _one_thread.get() or lost_threads():
        return True
    return n_jobs is None and (in_joblib_worker() or in_dask_task())


# _paces maps a kernel, a number of threads and the magnitude of a parallel region's work to a Pace. There are few such
# keys. The dictionary needs no lock, because only the thread that holds Numba's threads uses it. There is one rare
# exception, described in `_try_to_hold`. Then a second thread may replace a Pace or its state, which loses only
# measured times.
_paces: dict[tuple[Callable[..., Any], int, int], Pace] = {}


class Team:
    """The threads that a fit or a prediction may use.

    Parameters
    ----------
    n_threads : int
        Number of threads held. With one thread, callers choose the serial kernels, and calls are not timed.
    work : float
        Floating-point operations of a typical parallel region.
    """

    def __init__(self, n_threads: int, work: float = 0.0):
        self._n_threads, self._magnitude = n_threads, math.frexp(work)[1]

    @property
    def n_threads(self) -> int:
        """Number of threads held now. In a child process that a callback has forked, the number is 1."""
        return 1 if lost_threads() else self._n_threads

    def run(self, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
        """Call `kernel(*args)`. With several threads, the kernel runs on all or on one, whichever was faster lately.

        work: floating-point operations of this call, roughly.
        """
        if self.n_threads == 1:
            return kernel(*args)
        key = kernel, self._n_threads, self._magnitude
        if key not in _paces:
            _paces[key] = Pace(self._n_threads)
        return _paces[key].run(kernel, args, work)


SERIAL = contextlib.nullcontext(Team(1))


def team_for(n_jobs: int | None, work: float) -> contextlib.AbstractContextManager[Team]:
    """A context that gives a Team. If the team has several threads, the context holds Numba's threads.

    Parameters
    ----------
    n_jobs : int or None
        Upper bound, see `upper_bound`. In a joblib worker and in a Dask task, None means 1, because other workers and
        tasks use the other cores.
    work : float
        Floating-point operations of a typical parallel region.
    """
    # These conditions come first, because `_held_threads` starts Numba's threads, and small work must not start them.
    return SERIAL if work < MIN_WORK or _must_be_one(n_jobs) else _held_threads(n_jobs, work)


@contextlib.contextmanager
def _held_threads(n_jobs: int | None, work: float) -> Iterator[Team]:
    # Whether this thread holds Numba's threads already, for example because a callback predicts during a fit.
    nested = _is_mine(_current_hold())
    _restore_number()
    n_threads = upper_bound(n_jobs)
    if n_threads == 1 or not layer_is_safe():
        yield Team(1)
        return
    hold, before = _Hold(), numba.get_num_threads()
    try:
        if nested or _try_to_hold(hold):
            _number.before = before
            yield Team(n_threads, work)
        else:
            yield Team(1)
    finally:
        try:
            _restore_number()
            if not nested:
                _number.before = None
        finally:
            _release(hold)
