"""A line that shows how far a job has come."""

import shutil
import sys


class LiveLine:
    """A line that is rewritten on a terminal. A file or a pipe gets only the texts of `log` and `done`."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        # One column stays free, because some terminals wrap as soon as the last column is written.
        self._width = shutil.get_terminal_size().columns - 1

    def show(self, text: str) -> None:
        """Show a text until the next one replaces it, on a terminal only."""
        if self.live:
            sys.stdout.write("\r" + text[: self._width].ljust(self._width))
            sys.stdout.flush()

    def log(self, text: str) -> None:
        """Show a text until the next one replaces it. If the standard output is not a terminal, the text stays."""
        if self.live:
            self.show(text)
        else:
            self.done(text)

    def clear(self) -> None:
        """Remove the text, on a terminal only."""
        if self.live:
            sys.stdout.write("\r" + " " * self._width + "\r")
            sys.stdout.flush()

    def done(self, text: str) -> None:
        """Replace the text by a text that stays. On a terminal, a long text may take several lines."""
        if self.live:
            sys.stdout.write("\r" + text.ljust(self._width) + "\n")
        else:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()
