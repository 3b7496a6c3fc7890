"""Small helpers of the layout: rounding up, aligned memory, and attributes that are computed once."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from ..typing import Array

CACHE_LINE = 64  # bytes


def round_up(n: int, multiple: int) -> int:
    """The least multiple of `multiple` that is at least n."""
    return -(-n // multiple) * multiple


def aligned_zeros(size: int, dtype: np.dtype) -> Array:
    """Zeros that begin at a cache line, so that no vector lies on two cache lines."""
    memory = np.zeros(size + CACHE_LINE // dtype.itemsize, dtype)
    start = -memory.ctypes.data % CACHE_LINE // dtype.itemsize
    return memory[start : start + size]


T = TypeVar("T")


class kept(Generic[T]):
    """An attribute that is computed at its first use and then kept.

    functools.cached_property does the same, but before Python 3.12 it holds a lock while it computes. If another thread
    called fork() meanwhile, the lock would stay locked in the child.
    """

    def __init__(self, function: Callable[[Any], T]):
        self._function = function

    def __get__(self, instance: Any, owner: type) -> T:
        value: T
        # The instance's own attribute hides this descriptor from now on.
        value = instance.__dict__[self._function.__name__] = self._function(instance)
        return value
