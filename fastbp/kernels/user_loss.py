"""A loss of the user's own: two functions that Numba compiles into a kernel like those of losses.py.

The kernel is never kept on disk, because the digest of the cache does not cover the user's sources.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .compiling import interpreted
from .compiling.jit import Deferred
from .losses import KINDS
from .machine.simd import part


class UserLoss(NamedTuple):
    """The two functions of a loss, for one example.

    Parameters
    ----------
    cost : callable
        cost(z, y) returns C. z and y, of shape (S_L,), are z^(L) and the targets of the example.
    gradient : callable
        gradient(z, y, out) puts dC/dz into out, of shape (S_L,).
    """

    cost: Callable[..., Any]
    gradient: Callable[..., Any]


@functools.lru_cache(maxsize=64)
def compiled(function: Callable[..., Any]) -> Any:
    """The function as Numba compiles it; a function that Numba has compiled already stays as it is."""
    as_it_is = interpreted.ENABLED or hasattr(function, "py_func")
    return function if as_it_is else njit(nogil=True, error_model="numpy")(function)


@functools.lru_cache(maxsize=64)
def kernel_of(loss: UserLoss) -> Deferred:
    """The kernel of a loss; its functions are results of `compiled`."""
    cost_of, gradient_of = loss

    def user_loss(z, a, y, rows, width, padded, cost, g, slope, options):
        for i in range(rows):
            for k in range(width):
                a[i * padded + k] = y[k * rows + i]
        out = part(y, 0, width)  # the targets are in `a` now
        for i in range(rows):
            z_i, y_i = part(z, i * padded, width), part(a, i * padded, width)
            try:
                cost[i] = cost_of(z_i, y_i)
                gradient_of(z_i, y_i, out)
            except Exception:  # must not leave the kernel, because other threads wait for this one; NaN ends the fit
                cost[i] = np.nan
            for k in range(width):
                z_i[k] = out[k]

    user_loss.__module__ = getattr(loss.cost, "__module__", "__main__")  # not one of the modules whose kernels are kept
    return Deferred(user_loss, KINDS, allocates=True)
