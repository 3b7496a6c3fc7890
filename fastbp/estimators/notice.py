"""A line on the standard error before kernels are compiled. Otherwise a first fit would be silent for many seconds.

The main process prints the line if its standard error is a terminal. A verbose fit prints it everywhere. Other fits do
not print it in a notebook or in a log. They do not print it in a worker process either, because all workers would print
the same line.
"""

import contextlib
import math
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar

from ..kernels.compiling import cache

TEXT = (
    "fastbp: compiling kernels for this machine, usually for 5 to 30 s; the result is kept on disk "
    "(python -m fastbp warmup compiles them beforehand)"
)
UNKEPT = (
    "fastbp: compiling kernels for this machine, usually for 5 to 30 s; no folder takes the result, so every process "
    "compiles anew (python -m fastbp info says why)"
)
# A fit compiles several kernels, and the first prediction compiles more. At most one line in SECONDS_BETWEEN is
# printed.
SECONDS_BETWEEN = 60.0

_verbose: ContextVar[bool] = ContextVar("fastbp_verbose", default=False)
_last = -math.inf


@contextlib.contextmanager
def of_fit(verbose: bool) -> Iterator[None]:
    """Within this context, a verbose fit prints the line even if the standard error is not a terminal."""
    token = _verbose.set(bool(verbose))
    try:
        yield
    finally:
        _verbose.reset(token)


def announce() -> None:
    """Print the line if somebody would read it, and if it was not printed in the last SECONDS_BETWEEN."""
    global _last
    now = time.monotonic()
    if now - _last < SECONDS_BETWEEN:
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is no standard error, or it is closed
        if _verbose.get() or (multiprocessing.parent_process() is None and sys.stderr.isatty()):
            print(TEXT if cache.can_keep() else UNKEPT, file=sys.stderr, flush=True)
            _last = now


cache.on_compile = announce
