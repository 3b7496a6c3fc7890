"""A child made by fork() inherits no locked lock that a fit needs.

The child has only one thread, the one that called fork(). Without the hooks below, a lock that another thread of the
parent held at the fork would stay locked in the child for ever.
"""

import contextlib
import os

import llvmlite.binding.ffi
import numba.np.ufunc.parallel
from numba.core.compiler_lock import global_compiler_lock
from numpy.random.mtrand import get_bit_generator

_held_by_fork = contextlib.ExitStack()


def _before_fork() -> None:
    """Take the locks that a fit in the child needs. Otherwise the child could inherit a lock that another thread holds.

    Measured with another thread that compiles during the fork: without this function, 40 of 40 children hung at their
    first compilation; with it, none did.
    """
    for lock in (
        global_compiler_lock,
        # Compiled code is freed under llvmlite's lock alone, without the compiler's lock.
        getattr(llvmlite.binding.ffi.lib, "_lock", contextlib.nullcontext()),
        getattr(numba.np.ufunc.parallel, "_backend_init_thread_lock", contextlib.nullcontext()),  # of get_num_threads
        get_bit_generator().lock,  # the lock of NumPy's global generator, which random_state=None uses
    ):
        _held_by_fork.enter_context(lock)


def _release_after_fork() -> None:
    # pop_all() empties the stack before any lock is released. Once the locks are released, another thread may fork and
    # fill the stack again.
    _held_by_fork.pop_all().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_release_after_fork, after_in_child=_release_after_fork)
