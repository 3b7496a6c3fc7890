"""The only place that compiles: the decorators, the flags they set, and which kernels are kept on disk."""

import os
from typing import Any

import numba
from numba import njit, types
from numba.extending import intrinsic

from .cache import KernelCache

# FASTBP_DEBUG=1 compiles checks of shapes and bounds into the kernels. Read once: compiled code cannot change its mind.
CHECKED = os.environ.get("FASTBP_DEBUG", "0") not in ("", "0")
VARIANT = f"checked={CHECKED}"

# No fastmath: `reassoc` and `contract` let two callers of one function round differently, and the promise is the same
# bits everywhere; `nnan` makes the checks for NaN vanish. The NumPy error model keeps division branch-free.
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False}

ENTRIES: list[Any] = []  # the kernels that are kept on disk


def _cached(dispatcher):
    # The cache's folder knows the sources of this package only.
    if dispatcher.__module__.startswith(f"{__package__}.") and not numba.config.DISABLE_JIT:
        dispatcher._cache = KernelCache(dispatcher.__name__, VARIANT)
        ENTRIES.append(dispatcher)
    return dispatcher


def kernel(function):
    """Compile a building block. It is linked into the entries that call it, so it needs no cache of its own.

    Nor the wrappers that would make it callable from Python. Every level of calls is optimised and assembled once
    more by LLVM, so there are few: most building blocks are `inlined`.
    """
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **FLAGS)(function)


def inlined(function):
    """Paste a building block into its callers before types are inferred: no function is compiled for it."""
    return njit(inline="always", **FLAGS)(function)


def entry(function):
    """Compile a function that Python calls, serial, and keep the machine code on disk."""
    return _cached(njit(**FLAGS)(function))


def parallel_entry(function):
    """Compile a function that Python calls and whose `prange` loops run on Numba's threads.

    It must never be called by another kernel (a cached caller can crash when loaded), and it must be a function of its
    own: the serial and the parallel version of *one* function would share a cache entry.
    """
    return _cached(njit(parallel=True, **FLAGS)(function))


@intrinsic
def runtime(typingctx, value):
    """`value` as an ordinary variable: Numba compiles a callee once more for every literal that it is given."""
    kind = types.unliteral(value)
    return kind(kind), lambda context, builder, sig, args: args[0]
