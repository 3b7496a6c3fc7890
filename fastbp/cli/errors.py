"""Errors of the user, and words for the messages about them."""

import sys
from typing import Any

SHOWN = 8  # most names in one message


class UserError(Exception):
    """The user has to correct something. The message names it in one line."""


def reason(error: Exception) -> str:
    """The message of another package's exception, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def listed(names: Any) -> str:
    """Names for a message; if there are many, the first of them and the number of the others."""
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def warn(text: str) -> None:
    """Tell the user something on the standard error, so that it is not among the results."""
    print(f"fastbp: warning: {text}", file=sys.stderr)
