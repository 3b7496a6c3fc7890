"""A line on the standard error before kernels are compiled: a first fit would be a long silence without it.

A process at a terminal prints the line. Where the standard error is no terminal, as in a notebook or a log, a fit
prints it if `verbose` is set. Worker processes leave it to their verbose fits, for they would all print the same line.
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
# A fit compiles several kernels, and the prediction after it compiles some more. One line serves them all.
SECONDS_BETWEEN = 60.0

_verbose: ContextVar[bool] = ContextVar("fastbp_verbose", default=False)
_last = -math.inf


@contextlib.contextmanager
def of_fit(verbose: bool) -> Iterator[None]:
    """If the fit is verbose, announce the kernels that this thread compiles meanwhile, on any standard error."""
    token = _verbose.set(bool(verbose))
    try:
        yield
    finally:
        _verbose.reset(token)


def announce() -> None:
    """Print the line, unless it was printed a moment ago or nobody would read it."""
    global _last
    now = time.monotonic()
    if now - _last < SECONDS_BETWEEN:
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is no standard error, or it is closed
        if _verbose.get() or (multiprocessing.parent_process() is None and sys.stderr.isatty()):
            print(TEXT, file=sys.stderr, flush=True)
            _last = now


cache.on_compile = announce
