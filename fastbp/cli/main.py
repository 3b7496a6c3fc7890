"""From the arguments of ``python -m fastbp`` to the exit code."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from ..extras import MissingExtra
from .errors import UserError
from .parser import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        # The job is imported only now, because it imports many modules that `--help` should not wait for.
        job = importlib.import_module(f".{options.job}", __package__)
        return int(job.run(options) or 0)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except (UserError, MissingExtra) as error:
        print(f"fastbp: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    except BrokenPipeError:  # the reader has closed the pipe: `python -m fastbp | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise the flush at exit raises again
        return 141  # 128 + SIGPIPE
