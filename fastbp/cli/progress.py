"""A fit that a job starts: its progress, the kernels that it compiles, and Ctrl-C."""

import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import Self

from sklearn.exceptions import ConvergenceWarning

from ..kernels.compiling import cache
from ..live_line import LiveLine


class Progress:
    """A callback for `training.observer.watch` that shows the epochs of a fit and takes next to no time."""

    REDRAW_SECONDS = 0.1  # Nobody reads faster. At this pace, drawing costs well under 1 % of the time.
    LOG_SECONDS = 2.0  # A log keeps its lines. So LOG_SECONDS or more pass before a fit writes its next line.
    LOG_LINES = 5  # A fit writes at most LOG_LINES lines to a log.
    BAR_WIDTH = 10

    def __init__(self, name: str, line: LiveLine) -> None:
        self._name = name
        self._line = line
        self._start = self._drawn = time.perf_counter()

    def __call__(self, epoch: int, max_iter: int, loss: float) -> None:
        now = time.perf_counter()
        pause = self.REDRAW_SECONDS if self._line.live else self.LOG_SECONDS
        at_a_mark = self._line.live or epoch % -(-max_iter // self.LOG_LINES) == 0
        if now - self._drawn < pause or not at_a_mark:
            return
        self._drawn = now
        bar = ("#" * (epoch * self.BAR_WIDTH // max_iter)).ljust(self.BAR_WIDTH, "-")
        self._line.log(f"{self._name} [{bar}] epoch {epoch}/{max_iter}, loss {loss:.3g}, {now - self._start:.1f} s")


class Compiling:
    """A context that counts the kernels that a job compiles, and silences `estimators.notice` meanwhile.

    Parameters
    ----------
    line : LiveLine or None
        The line that shows the number of kernels so far. None shows nothing.
    """

    def __init__(self, line: LiveLine | None = None) -> None:
        self.kernels = 0
        self._line = line

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        self._before, cache.on_compile = cache.on_compile, self._count
        return self

    def __exit__(self, *error: object) -> None:
        cache.on_compile = self._before

    def _count(self) -> None:
        self.kernels += 1
        if self._line is None:
            return
        if self.kernels == 1:
            self._line.log("Compiling kernels for this machine ...")
        else:
            seconds = time.perf_counter() - self._start
            self._line.show(f"Compiling kernels for this machine: {self.kernels - 1} done, {seconds:.0f} s ...")


@contextlib.contextmanager
def interrupts_raised() -> Iterator[None]:
    """Let Ctrl-C during a fit raise KeyboardInterrupt. Otherwise estimators only warn, and keep the epochs so far.

    A ConvergenceWarning is not shown, because the fits of `digits` always reach their number of epochs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("error", "Training interrupted")
        try:
            yield
        except UserWarning as warning:
            if "Training interrupted" in str(warning):
                raise KeyboardInterrupt from None
            raise
