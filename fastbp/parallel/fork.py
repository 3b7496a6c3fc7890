"""A child made by fork() runs no parallel code and inherits no locked lock that a fit needs.

The child has only one thread, the one that called fork(). If the parent had started Numba's OpenMP threads, a child
that enters a parallel region is killed. Without the hooks below, a lock that another thread of the parent held at the
fork would stay locked in the child for ever.
"""

import contextlib
import os
import pathlib

import llvmlite.binding.ffi
import numba
from numba.core.compiler_lock import global_compiler_lock
from numpy.random.mtrand import get_bit_generator

PF_FORKNOEXEC = 0x40  # a flag of Linux: the process came from fork() and has not called exec() since


def _may_have_lost_threads() -> bool:
    """Whether a fork() before this import may have cost this process Numba's threads.

    That is impossible if Numba's threads have not started. If they have, Linux tells whether this process was forked.
    On another system that has fork(), the answer is yes. It is also yes if all flags are zero, as in emulators of
    Linux.
    """
    try:
        numba.threading_layer()
    except ValueError:  # the threads have not started yet; `_after_fork_in_child` sees every later fork
        return False
    if not hasattr(os, "fork"):
        return False
    try:
        fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    flags = int(fields[6])  # field 9 in proc(5): the seventh field after the process's name
    return flags == 0 or bool(flags & PF_FORKNOEXEC)


_lost_threads = _may_have_lost_threads()
_held_by_fork = contextlib.ExitStack()


def lost_threads() -> bool:
    """Whether this process may have lost Numba's threads by a fork(), and so must stay serial."""
    return _lost_threads


def _before_fork() -> None:
    """Take the locks that a fit in the child needs. Otherwise the child could inherit a lock that another thread holds.

    Measured with another thread that compiles during the fork: without this function, 40 of 40 children hung at their
    first compilation; with it, none did.
    """
    for lock in (
        global_compiler_lock,
        # Compiled code is freed under llvmlite's lock alone, without the compiler's lock.
        getattr(llvmlite.binding.ffi.lib, "_lock", contextlib.nullcontext()),
        get_bit_generator().lock,  # the lock of NumPy's global generator, which random_state=None uses
    ):
        _held_by_fork.enter_context(lock)


def _release_after_fork() -> None:
    # pop_all() empties the stack before any lock is released. Once the locks are released, another thread may fork and
    # fill the stack again.
    _held_by_fork.pop_all().close()


def _after_fork_in_child() -> None:
    global _lost_threads
    _release_after_fork()
    _lost_threads = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_release_after_fork, after_in_child=_after_fork_in_child)
