"""The kernels as plain Python, with NUMBA_DISABLE_JIT=1: for coverage and debuggers, on small data.

Python is hundreds of times slower than machine code. This file has the entries and the calls by address; the NumPy twin
of each intrinsic stands beside the intrinsic. An index outside of its array raises IndexError. So does a negative
index, which NumPy would count from the end. The numbers are those of machine code, with two exceptions. A product is
rounded before it is added to a sum, as on a CPU without FMA (fused multiply-add). And subnormal numbers never count as
0.
"""

import functools
import threading

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
    """The function with bounded views of its arrays as arguments, and without NumPy's warnings about inf and NaN."""

    @functools.wraps(function)
    def run(*args):
        with np.errstate(all="ignore"):
            return function(*_bounded(args))

    return run


# _kernels maps an address, here just a number, to a deferred kernel and to the dtypes of its parameters, see
# `_declared`. Threads may ask for addresses at once, and each needs its own number.
_kernels: dict[int, tuple] = {}
_one_at_a_time = threading.Lock()


def address(function, kinds):
    """A number other than 0 by which `call` finds the function; kinds: Numba's types of its parameters."""
    with _one_at_a_time:
        _kernels[len(_kernels) + 1] = function, _declared(kinds)
        return len(_kernels)


def _declared(kinds):
    """For each type: if it is an array, the character of its dtype; if a tuple, a tuple of such results; else ""."""
    return tuple(
        _declared(kind.types)
        if isinstance(kind, types.BaseTuple)
        else as_dtype(kind.dtype).char
        if isinstance(kind, types.Array)
        else ""
        for kind in kinds
    )


def _found(arguments):
    """The dtypes of the arguments, in the form of `_declared`."""
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
    if found != dtypes:  # machine code would misread the arrays
        raise TypeError(f"{function.__name__} takes arrays of {dtypes}, got {found}")
    function(*arguments)


def runtime(value):
    return value
