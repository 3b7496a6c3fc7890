"""The kernels as plain Python, with NUMBA_DISABLE_JIT=1: what then stands for each intrinsic and for each entry.

For coverage, debuggers and reading along, on small data: some hundred times as slow. A tile is an array (rows,
columns). Every index is checked: one outside of its array raises IndexError, so does a negative one, which NumPy takes
from the end. A product is rounded before it is added to, as on a CPU without FMA, and subnormal numbers stay: numbers
are those of machine code to rounding.
"""

import functools
import math
import threading
import time
from typing import NamedTuple

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
        return tuple(map(_bounded, value))
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


# Of simd.py.


class Shape(NamedTuple):
    rows: int
    vectors: int
    vector_bytes: int


def _inside(what, array, i, extent):
    if not 0 <= i <= i + extent <= array.size:
        raise IndexError(f"{what} of elements {i} : {i + extent} of an array of {array.size}")


def _rows(what, array, i, step, shape):
    """View of rows that begin at array[i], `step` elements apart."""
    rows, width = shape
    _inside(what, array, i, (rows - 1) * step + width)
    size = array.itemsize
    return np.ndarray(shape, array.dtype, array, i * size, (step * size, size))


def _sums(x):
    """Sum of each row, always by the same tree of additions: (rows, 1)."""
    while x.shape[1] > 1:
        low, high = np.hsplit(x, 2)
        x = low + high
    return x


def part(x, start, size):
    _inside("part", x, start, size)
    return x[start : start + size]


def check_multiple(n, divisor):
    if n % divisor:
        raise ValueError(f"{n} is no multiple of {divisor}")


def columns(shape, like):
    return shape.vectors * shape.vector_bytes // like.itemsize


def splat(shape, like, value):
    return np.full((shape.rows, columns(shape, like)), value, like.dtype)


def zeros(shape, like):
    return splat(shape, like, 0)


def load(shape, a, i, step):
    return _rows("load", a, i, step, (shape.rows, columns(shape, a))).copy()


def store(acc, c, i, step):
    _rows("store", c, i, step, acc.shape)[...] = acc


def rank1(acc, a, i, step, b, j):
    rows, width = acc.shape
    return acc + _rows("rank1", a, i, step, (rows, 1)) * _rows("rank1", b, j, step, (1, width))


def prefetch(shape, a, i):
    pass


def transposed(x):
    return x.T.copy()


def first_columns(x, n):
    return np.where(np.arange(x.shape[1]) < n, x, x.dtype.type(0))


def multiply_add(acc, x, y):
    return acc + x * y


def over_root(x, v, epsilon):
    return x / (np.sqrt(v) + epsilon)


def total(x):
    return float(_sums(x.astype(np.float64))[0, 0])


def store_sums(acc, first, c, i, step):
    _rows("store_sums", c, i, step, (len(acc), 1))[...] = first + _sums(acc)


# Of elementary.py.


def fma(x, y, z):
    return x * y + z


def constant(value, like):
    return type(like)(value)


def horner(coefficients, x):
    """The polynomial in x with these coefficients, from the highest power."""
    first, *rest = (constant(c, x) for c in coefficients)
    return functools.reduce(lambda sum, c: fma(sum, x, c), rest, first)


def power_of_two(n):
    return n if math.isnan(n) else constant(math.ldexp(1.0, int(n)), n)


def _parts(u):
    mantissa, exponent = math.frexp(u)
    return (2 * mantissa, exponent - 1) if mantissa < constant(math.sqrt(0.5), u) else (mantissa, exponent)


def exponent(u):
    return constant(_parts(u)[1], u)


def mantissa(u):
    return constant(_parts(u)[0], u)


# Of subnormals.py.


def flush_subnormals():
    return 0


def restore_subnormals(before):
    pass


# Of barrier.py. A region has two tasks, which run one after the other.
_at_once = threading.Lock()


def add_to(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] += n
    return before


def exchange(x, i, n):
    with _at_once:
        before = int(x[i])
        x[i] = n
    return before


def read(x, i):
    return int(x[i])


def pause(looks):
    time.sleep(0)  # lets another thread run


def core():
    return 1


def leave(core):
    pass


def n_threads():
    return 2
