"""BLAS's own threads, which must not compete with ours."""

import contextlib
import os
import threading
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

_held = threading.Lock()


def _renew_lock() -> None:
    """Make a new lock in a forked child: the thread that held the old one may not exist there."""
    global _held
    _held = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, unless another caller in this process already holds it.

    The number of threads is a setting of the process. Overlapping callers would restore each other's settings.
    """
    held = _held
    if not held.acquire(blocking=False):
        yield
        return
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        held.release()
