"""Numba's private names that fastbp uses, checked once: another version of Numba may lack some of them."""

import importlib
import operator


def missing(private):
    """The names that this Numba lacks; private: for each module of Numba's the names and attributes that are used."""
    return [f"{module}.{name}" for module, names in private.items() for name in names if not _has(module, name)]


def _has(module, name):
    try:
        operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError):
        return False
    return True
