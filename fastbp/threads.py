"""Who may run in parallel: the one place that decides it.

Numba's threads belong to the process. Two parallel regions at once abort it under the workqueue layer, and a child made
by fork() is killed by OpenMP when it enters one. So a call gets threads only where the work is worth it, the layer is
safe, this process did not come from fork(), and nobody else in it holds them; otherwise it runs serially, to the same
bits, and releases the GIL.
"""

import contextlib
import os
import threading
from collections.abc import Iterator

import numba
from numba.np.ufunc import parallel as _numba_parallel

# Floating-point operations of one parallel region below which entering it costs more than it saves: some microseconds.
MIN_WORK = 1_000_000

_held = threading.Lock()
_forked = False


def _after_fork_in_child() -> None:
    global _held, _forked
    _held = threading.Lock()  # a thread that no longer exists may have held the old one
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def layer_is_safe() -> bool:
    """Whether parallel regions may be entered from any thread: all of Numba's layers but workqueue."""
    _numba_parallel._launch_threads()  # chooses the layer; Numba has no public way to ask before a first parallel run
    return bool(numba.threading_layer() != "workqueue")


def upper_bound(n_jobs: int | None) -> int:
    """Threads that `n_jobs` allows: None and -1 are all of Numba's, -2 all but one, and so on."""
    available = int(numba.get_num_threads())
    if n_jobs is None:
        return available
    if n_jobs < 0:
        return max(1, available + 1 + n_jobs)
    return min(n_jobs, available)


@contextlib.contextmanager
def team(n_jobs: int | None, work: float) -> Iterator[int]:
    """Hold Numba's threads for a while; yields how many to use, 1 meaning: run the serial kernel.

    Parameters
    ----------
    n_jobs : int or None
        Upper bound, see `upper_bound`.
    work : float
        Floating-point operations of a typical parallel region.
    """
    n_threads = upper_bound(n_jobs)
    if n_threads == 1 or work < MIN_WORK or _forked or not layer_is_safe() or not _held.acquire(blocking=False):
        yield 1
        return
    held, before = _held, numba.get_num_threads()
    try:
        numba.set_num_threads(n_threads)
        yield n_threads
    finally:
        numba.set_num_threads(before)
        held.release()
