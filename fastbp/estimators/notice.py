"""A line on the standard error before kernels are compiled. Without it, a first fit would be silent for many seconds.

A process at a terminal prints the line. If the standard error is not a terminal, as in a notebook or a log, only a
verbose fit prints it. In a worker process too, only a verbose fit prints it, because otherwise all workers would print
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
# A fit compiles several kernels, and the prediction after it compiles more. One line in SECONDS_BETWEEN is enough.
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
    """Print the line, unless it was printed in the last SECONDS_BETWEEN or nobody would read it."""
    global _last
    now = time.monotonic()
    if now - _last < SECONDS_BETWEEN:
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is no standard error, or it is closed
        if _verbose.get() or (multiprocessing.parent_process() is None and sys.stderr.isatty()):
            print(TEXT if cache.can_keep() else UNKEPT, file=sys.stderr, flush=True)
            _last = now


cache.on_compile = announce
