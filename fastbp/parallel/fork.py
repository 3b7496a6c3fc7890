"""Processes made by fork(): no parallel code in the child, and no lock left locked there.

A child made by fork() has none of its parent's threads. Under OpenMP the child is killed when it enters a parallel
region that those threads should run. A lock that one of those threads held stays locked for ever.
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
    """Whether this process may have been forked, before this import, from one that had started Numba's threads.

    Only Linux tells. On other systems with fork(), or if all flags are zero (emulated kernels), the answer is yes.
    """
    try:
        numba.threading_layer()
    except ValueError:  # the threads have not started yet: the hooks below see every fork from now on
        return False
    if not hasattr(os, "fork"):
        return False
    try:
        fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    flags = int(fields[6])  # the ninth field of proc(5), the seventh after the name
    return flags == 0 or bool(flags & PF_FORKNOEXEC)


_lost_threads = _may_have_lost_threads()
_held_by_fork = contextlib.ExitStack()


def lost_threads() -> bool:
    """Whether this process must stay serial, because it came from a fork()."""
    return _lost_threads


def _before_fork() -> None:
    """Take the locks that a fit in the child needs: a lock that another thread held would stay locked there.

    Measured: beside a thread that compiles, 40 of 40 children hung at their first compilation; with this, none.
    """
    for lock in (
        global_compiler_lock,
        # Dropping compiled code takes llvmlite's lock without the compiler's lock.
        getattr(llvmlite.binding.ffi.lib, "_lock", contextlib.nullcontext()),
        get_bit_generator().lock,  # the generator of random_state=None
    ):
        _held_by_fork.enter_context(lock)


def _release_after_fork() -> None:
    # The stack is emptied while all locks are held, because another thread that forks may fill it once a lock is free.
    _held_by_fork.pop_all().close()


def _after_fork_in_child() -> None:
    global _lost_threads
    _release_after_fork()
    _lost_threads = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_release_after_fork, after_in_child=_after_fork_in_child)
