"""A loss of the user's own: two functions, which Numba compiles into a kernel like those of losses.py.

The kernel is never kept on disk, because the digest of the cache does not cover the user's sources.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .compiling import interpreted
from .compiling.jit import CHECKED, Deferred
from .elementary import constant
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


def is_function(function: Any) -> bool:
    """Whether this is a Python function, compiled by Numba or not."""
    return inspect.isfunction(getattr(function, "py_func", function))


@functools.lru_cache(maxsize=64)
def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled by Numba. A compiled function, and in interpreted mode any function, stays as it is."""
    as_it_is = interpreted.ENABLED or hasattr(function, "py_func")
    return function if as_it_is else njit(nogil=True, error_model="numpy", boundscheck=CHECKED)(function)


@functools.lru_cache(maxsize=64)
def kernel_of(loss: UserLoss) -> Deferred:
    """The kernel of a loss. Both functions of the loss must be results of `compiled`."""
    cost_of, gradient_of = loss

    # This function is a separate one, because Numba on Python 3.12 does not catch the exception between loops.
    def cost_and_gradient(z, y, out):
        try:
            cost = float(cost_of(z, y))
            gradient_of(z, y, out)
        except Exception:
            # An exception must not leave the kernel, because other threads wait for this one. A cost of NaN ends the
            # fit.
            cost = np.nan
        return cost

    cost_and_gradient = compiled(cost_and_gradient)

    def user_loss(z, a, y, rows, width, padded, cost, g, slope, options):
        for i in range(rows):
            for k in range(width):
                a[i * padded + k] = y[k * rows + i]
        out = part(y, 0, width)  # y may be overwritten, because the targets are in `a` now
        for i in range(rows):
            z_i, y_i = part(z, i * padded, width), part(a, i * padded, width)
            for k in range(width):
                out[k] = constant(np.nan, z[0])  # so that a gradient that leaves elements unset ends the fit
            cost[i] = cost_and_gradient(z_i, y_i, out)
            for k in range(width):
                z_i[k] = out[k]
            for k in range(width, padded):
                z[i * padded + k] = constant(0, z[0])

    user_loss.__module__ = getattr(loss.cost, "__module__", "__main__")  # so that the kernel is not kept on disk
    return Deferred(user_loss, KINDS, allocates=True)
