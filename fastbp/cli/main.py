"""From the arguments of ``python -m fastbp`` to the exit code."""

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from ..extras import MissingExtra
from .errors import UserError
from .parser import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # Windows's encodings lack many characters that a table may have
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        # The job is imported only now, because it imports many modules that `--help` should not wait for.
        job = importlib.import_module(f".{options.job}", __package__)
        code = int(job.run(options) or 0)
        sys.stdout.flush()  # here, because a closed pipe would be an ugly error at the end of the process
        return code
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except (UserError, MissingExtra) as error:
        print(f"fastbp: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    except OSError as error:
        if not _says_that_the_pipe_is_closed(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise the flush at exit raises again
        return 141  # 128 + SIGPIPE


def _says_that_the_pipe_is_closed(error: OSError) -> bool:
    """Whether the reader of the standard output has closed the pipe, as in `python -m fastbp | head`."""
    # On Windows, such an error may have the code EINVAL. Errors about files have a file name, and this one has none.
    unnamed = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or unnamed
