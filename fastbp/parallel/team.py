"""The only place that decides whether a call may run in parallel.

A call gets several threads only if all of these conditions hold:

- `n_jobs` allows more than one thread;
- the work of a typical call is at least MIN_WORK;
- if `n_jobs` is None, the call is not in a joblib worker or in a Dask task;
- the workers are not busy with a call of another thread.

Otherwise the call runs serially, and its result has the same bits. Every call releases the GIL.

`side_by_side` decides for jobs in Python threads. They need no workers, so only the conditions of `n_jobs`, of joblib
and of Dask apply.
"""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numba
from joblib.parallel import get_active_backend

from . import fork  # noqa: F401  from here on, its locks are taken before each fork
from .crew import CREW
from .pace import Pace

# Threads begin and end a call together in some microseconds, and meet several times in each step. With fewer
# floating-point operations than MIN_WORK, more threads would not save that time.
MIN_WORK = 1_000_000


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


def _available() -> int:
    """The number of threads that Numba allows. It is `NUMBA_NUM_THREADS` until the user sets another number.

    Numba's own threads stay asleep, and on macOS they may not even exist. `get_num_threads` would start them.
    """
    try:
        numba.threading_layer()
    except ValueError:  # they have not started, so nobody has called `set_num_threads`
        return int(numba.config.NUMBA_NUM_THREADS)
    return int(numba.get_num_threads())


def upper_bound(n_jobs: int | None) -> int:
    """Threads that `n_jobs` allows: None and -1 mean as many as Numba may use, -2 all but one, and so on."""
    available = _available()
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
    if n_jobs == 1 or _one_thread.get():
        return True
    return n_jobs is None and (in_joblib_worker() or in_dask_task())


# _paces maps a kernel, a number of threads and the magnitude of a call's work to a Pace. There are few such keys. The
# dictionary needs no lock. If two threads use it at once, one may replace a Pace or its state, which loses only
# measured times.
_paces: dict[tuple[Callable[..., Any], int, int], Pace] = {}


class Team:
    """The threads that a fit or a prediction may use.

    Parameters
    ----------
    n_threads : int
        The largest number of threads. With one thread, calls are not timed.
    work : float
        Floating-point operations of a typical call.
    """

    def __init__(self, n_threads: int, work: float = 0.0):
        self.n_threads, self._magnitude = n_threads, math.frexp(work)[1]

    def run(self, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
        """Call the kernel. With several threads, it runs on all or on one, whichever was faster lately.

        work: floating-point operations of this call, roughly.
        """
        if self.n_threads == 1:
            return CREW.run(kernel, 1, *args)
        key = kernel, self.n_threads, self._magnitude
        if key not in _paces:
            _paces[key] = Pace(self.n_threads)
        return _paces[key].run(lambda n_threads: CREW.run(kernel, n_threads, *args), work)


def team_for(n_jobs: int | None, work: float) -> Team:
    """The threads for a fit or a prediction.

    Parameters
    ----------
    n_jobs : int or None
        Upper bound, see `upper_bound`. In a joblib worker and in a Dask task, None means 1, because other workers and
        tasks use the other cores.
    work : float
        Floating-point operations of a typical call.
    """
    return Team(1) if work < MIN_WORK or _must_be_one(n_jobs) else Team(upper_bound(n_jobs), work)
