"""The version of this package, and its stamp on stored models."""

import warnings
from typing import Any

__version__ = "0.1.0"
STAMP = "_fastbp_version"


class NewerVersionWarning(UserWarning):
    """A stored model comes from a newer fastbp. In that version, the model's attributes may have another meaning."""


def stamped(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a model, with the version of fastbp that stores the model."""
    return {**state, STAMP: __version__}


def unstamped(state: dict[str, Any], name: str) -> dict[str, Any]:
    """The state of a stored model without its version; warns if the version is newer than this package."""
    from sklearn.utils.fixes import parse_version  # imported here, so that `python -m fastbp --help` does not wait

    state = dict(state)
    stored = state.pop(STAMP, __version__)
    if parse_version(stored) > parse_version(__version__):
        warnings.warn(
            f"{name} was stored by fastbp {stored} and is loaded by fastbp {__version__}, which is older. The model "
            f"may fail, or predict something else. Install fastbp {stored} or newer.",
            NewerVersionWarning,
            stacklevel=3,
        )
    return state
