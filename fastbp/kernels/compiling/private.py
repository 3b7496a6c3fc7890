"""A check of Numba's private names that fastbp uses, because another version of Numba may lack some of them."""

import importlib
import operator


def missing(private):
    """The names in `private` that this Numba lacks. private: for each module of Numba, the names that fastbp uses."""
    return [f"{module}.{name}" for module, names in private.items() for name in names if not _has(module, name)]


def _has(module, name):
    try:
        operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError):
        return False
    return True
