"""Errors of the user, and words for the messages about them."""

import sys
from typing import Any

SHOWN = 8  # a message shows at most this number of names


class UserError(Exception):
    """A mistake that the user has to correct. The message describes the mistake in one line."""


def reason(error: Exception) -> str:
    """The message of another package's exception, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def listed(names: Any) -> str:
    """Names for a message; if there are more than SHOWN, the first SHOWN names and the number of the others."""
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def warn(text: str) -> None:
    """Print a warning on the standard error, apart from the results on the standard output."""
    print(f"fastbp: warning: {text}", file=sys.stderr)
