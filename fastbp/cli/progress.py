"""What a fit started from the command line shows of how far it has come."""

import shutil
import sys
import time


class LiveLine:
    """One line rewritten in place on a terminal; plain lines, one below the other, on any other stream."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        # One column stays free: some terminals wrap as soon as the last one is written.
        self._width = shutil.get_terminal_size().columns - 1

    def show(self, text: str) -> None:
        """Replace what the line says."""
        if self.live:
            sys.stdout.write("\r" + text[: self._width].ljust(self._width))
        else:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def done(self, text: str) -> None:
        """Replace what the line says, for the last time."""
        self.show(text)
        if self.live:
            sys.stdout.write("\n")


class Progress:
    """A callback for `fastbp.monitor.watch` that shows how far a fit has come without slowing it down."""

    REDRAW_SECONDS = 0.1  # as often as the eye can use; drawing then costs well under 1 % of the time
    PLAIN_LINES = 5  # in a log, where lines stay
    BAR_WIDTH = 16

    def __init__(self, name: str, line: LiveLine) -> None:
        self._name = name
        self._line = line
        self._start = time.perf_counter()
        self._next_redraw = self._start

    def __call__(self, epoch: int, max_iter: int, loss: float) -> None:
        last = epoch == max_iter
        now = time.perf_counter()
        due = now >= self._next_redraw if self._line.live else epoch % -(-max_iter // self.PLAIN_LINES) == 0
        if not (due or last):
            return
        self._next_redraw = now + self.REDRAW_SECONDS
        bar = ("#" * (epoch * self.BAR_WIDTH // max_iter)).ljust(self.BAR_WIDTH, "-")
        text = f"{self._name} [{bar}] epoch {epoch}/{max_iter}, loss {loss:.4g}, {now - self._start:.1f} s"
        (self._line.done if last else self._line.show)(text)
