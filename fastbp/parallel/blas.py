"""BLAS's own threads, which must not compete with ours."""

import contextlib
import os
import threading
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

_held = threading.Lock()


def _renew_lock() -> None:
    """Make a new lock in a forked child. The old lock may be held by a thread that does not exist in the child."""
    global _held
    _held = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread, unless another caller in this process already limits it.

    The limit is a setting of the whole process. If two callers overlapped, each could restore the other's setting.
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
