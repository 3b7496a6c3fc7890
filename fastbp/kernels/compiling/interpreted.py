"""The kernels as plain Python, with NUMBA_DISABLE_JIT=1: what then stands for each intrinsic and for each entry.

For coverage, debuggers and reading along, on small data: some hundred times as slow. A tile is an array (rows,
columns). Every index is checked: one outside of its array raises IndexError, so does a negative one, which NumPy takes
from the end. A product is rounded before it is added to, as on a CPU without FMA, and subnormal numbers stay: numbers
are those of machine code to rounding.
"""

import functools

import numba
import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

ENABLED = bool(numba.config.DISABLE_JIT)


class Bounded(np.ndarray):
    """An array that refuses negative indices."""

    def __getitem__(self, index):
        _refuse_negative(index)
        return super().__getitem__(index)

    def __setitem__(self, index, value):
        _refuse_negative(index)
        super().__setitem__(index, value)


def _refuse_negative(index):
    for i in index if isinstance(index, tuple) else (index,):
        if not isinstance(i, slice) and i < 0:
            raise IndexError(f"index {i} is negative")


def _bounded(value):
    if isinstance(value, tuple):
        parts = map(_bounded, value)
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value.view(Bounded) if isinstance(value, np.ndarray) else value


def entry(function):
    """A function that Python calls, on bounded views of its arrays; inf and NaN arise without a warning."""

    @functools.wraps(function)
    def run(*args):
        with np.errstate(all="ignore"):
            return function(*_bounded(args))

    return run


# Deferred kernels by their addresses, which are just numbers. Each has the dtypes of its arrays, as characters, and ""
# where a parameter is not an array: NumPy takes None for float64.
_kernels: dict[int, tuple] = {}


def address(function, kinds):
    """A number other than 0 by which `call` finds the function; kinds: Numba's types of its parameters."""
    _kernels[len(_kernels) + 1] = function, _declared(kinds)
    return len(_kernels)


def _declared(kinds):
    """The dtype of each array among the kinds, as a character, in the nesting of the kinds."""
    return tuple(
        _declared(kind.types)
        if isinstance(kind, types.BaseTuple)
        else as_dtype(kind.dtype).char
        if isinstance(kind, types.Array)
        else ""
        for kind in kinds
    )


def _found(arguments):
    """The same of arguments."""
    return tuple(
        _found(argument)
        if isinstance(argument, tuple)
        else argument.dtype.char
        if isinstance(argument, np.ndarray)
        else ""
        for argument in arguments
    )


def call(address, arguments):
    if address not in _kernels:
        raise ValueError("call of a kernel that was not asked for")
    function, dtypes = _kernels[address]
    found = _found(arguments)
    if found != dtypes:  # which machine code would read as what it was compiled for
        raise TypeError(f"{function.__name__} takes arrays of {dtypes}, got {found}")
    function(*arguments)


def runtime(value):
    return value
