"""The progress of a race: a line that is rewritten on a terminal, and a few lines elsewhere."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from ..live_line import LiveLine
from ..training.observer import watch

REDRAW_SECONDS = 0.1  # Nobody reads faster. At this pace, drawing takes well under 1 % of the time.
LOG_SECONDS = 10.0  # A log keeps its lines. So it gets a line per round, and one every LOG_SECONDS in between.
BAR_WIDTH = 10
# A standard output that is missing, closed, full or without a reader raises one of these errors.
OUTPUT_FAILS = (AttributeError, OSError, ValueError)


@contextlib.contextmanager
def shown(n_rounds: int, *, verbose: bool) -> Iterator["Progress"]:
    """The progress of a race that runs within this context, shown if the fit is verbose."""
    line = None
    if verbose:
        with contextlib.suppress(*OUTPUT_FAILS):
            line = LiveLine()
    progress = Progress(n_rounds, line)
    with contextlib.nullcontext() if line is None else watch(progress.epoch_ends):
        try:
            yield progress
        finally:
            progress.clear()


class Progress:
    """Says how far a race has come. The threads of the race may call all methods.

    If the standard output fails, no more lines are written, but the fit goes on.

    Parameters
    ----------
    n_rounds : int
    line : LiveLine or None
        None: nothing is said.
    """

    def __init__(self, n_rounds: int, line: LiveLine | None):
        self._n_rounds, self._line = n_rounds, line
        self._pause = REDRAW_SECONDS if line is not None and line.live else LOG_SECONDS
        self._start = self._drawn = time.perf_counter()
        self._writing = threading.Lock()
        self._number = self._n_networks = self._n_ended = self._n_trained = 0
        self._least = math.inf
        self._epochs: dict[int, tuple[int, int]] = {}  # {thread: (epoch, last epoch)} of the networks in training

    def round_begins(self, n_networks: int) -> None:
        """The next round begins, with this number of networks to train."""
        self._number += 1
        self._n_networks, self._n_ended, self._n_trained = n_networks, 0, 0
        self._write(lambda line: line.show(self._in_words()))

    def epoch_ends(self, epoch: int, max_iter: int, loss: float) -> None:
        """A network has ended an epoch. This is a callback for `training.observer.watch`."""
        self._epochs[threading.get_ident()] = epoch, max_iter
        self._draw()

    def network_ends(self, loss: float | None) -> None:
        """The network of this thread has ended, with this validation loss. None: it has failed."""
        self._epochs.pop(threading.get_ident(), None)
        with self._writing:
            self._n_ended += 1
            if loss is not None:
                self._n_trained += 1
                self._least = min(self._least, loss)
        self._draw()

    def networks_leave(self, n: int) -> None:
        """So many networks of this round leave, and will not end. No network is in training."""
        self._epochs.clear()
        self._n_networks -= n

    def round_ends(self) -> None:
        """The round is over. Its line stays."""
        self._epochs.clear()
        self._write(lambda line: line.done(self._in_words()))

    def clear(self) -> None:
        """Remove the line from a terminal."""
        self._write(lambda line: line.clear())

    def _draw(self) -> None:
        """Show the state of the race, unless the last text is too young."""
        now = time.perf_counter()
        if now - self._drawn >= self._pause:
            self._drawn = now
            self._write(lambda line: line.log(self._in_words()))

    def _write(self, how: Callable[[LiveLine], None]) -> None:
        """Let one thread at a time write on the line."""
        with self._writing:
            if self._line is None:
                return
            try:
                how(self._line)
            except OUTPUT_FAILS:
                self._line = None

    def _in_words(self) -> str:
        """The state of the race in one line.

        An example is 'Round 3/6 [###-------] 5/16 networks, best loss 0.25, epochs 7/16 2/40, 3.0 s'.
        Here two networks are in training, and the first is in epoch 7 of 16.
        """
        running = list(self._epochs.copy().values())  # other threads change the dict
        share = (self._n_ended + sum(epoch / last for epoch, last in running)) / max(self._n_networks, 1)
        bar = ("#" * int(share * BAR_WIDTH)).ljust(BAR_WIDTH, "-")
        trained = f"{self._n_trained}/{self._n_networks} networks"
        words = [f"Round {self._number}/{self._n_rounds} [{bar}] {trained}"]
        if self._least < math.inf:
            words.append(f"best loss {self._least:.4g}")
        if running:
            words.append("epochs " + " ".join(f"{epoch}/{last}" for epoch, last in running))
        words.append(f"{time.perf_counter() - self._start:.1f} s")
        return ", ".join(words)
