"""BLAS's own threads, which must not compete with ours."""

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from threadpoolctl import ThreadpoolController

Numbers = list[tuple[Any, int]]  # each library, and its number of threads before


class _User:
    """A caller that needs BLAS to have one thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.own: Numbers = []  # libraries that keep one number for each thread of the process


_lock = threading.Lock()  # held while _users and _shared change, for some milliseconds
# Whoever waits longer than PATIENCE_SECONDS goes on: probably an interrupt kept the lock's holder from releasing it.
PATIENCE_SECONDS = 1.0
# The set refers weakly to the users. So a user that an interrupt kept from leaving vanishes when its caller ends.
_users: weakref.WeakSet[_User] = weakref.WeakSet()
_shared: Numbers = []  # libraries that keep one number for the process; the first user notes it, the last restores it


def _renew_after_fork() -> None:
    """Make a new lock in a forked child and forget the users in other threads: they do not exist there."""
    global _lock, _users
    _lock = threading.Lock()
    _users = weakref.WeakSet([user for user in _users if user.thread == threading.get_ident()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    _lock.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # another thread, which waited too long for the lock, has released it
            _lock.release()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread until the last of the callers that overlap leaves."""
    user = _User()
    try:
        _enter(user)
        yield
    finally:
        _leave(user)


def _enter(user: _User) -> None:
    global _shared
    with _locked():
        _users.add(user)
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        user.own = [(library, library.get_num_threads()) for library in libraries if _is_per_thread(library)]
        shared = [library for library in libraries if not _is_per_thread(library)]
        _shared = _shared or [(library, library.get_num_threads()) for library in shared]
        for library in libraries:
            _set(library, 1)


def _leave(user: _User) -> None:
    global _shared
    with _locked():
        _users.discard(user)
        for library, n_threads in user.own:
            _set(library, n_threads)
        if not _users:
            for library, n_threads in _shared:
                _set(library, n_threads)
            _shared = []


def _is_per_thread(library: Any) -> bool:
    """Whether threadpoolctl sets the library's number for the calling thread only (OpenMP)."""
    return hasattr(library, "clear_controlling_thread") and library.threading_layer == "openmp"


def _set(library: Any, n_threads: int) -> None:
    """Set the library's number of threads.

    New versions of threadpoolctl obey only the first thread that set a number. So this function makes threadpoolctl
    forget that thread, before and after it sets the number.
    """
    give_up_control = getattr(library, "clear_controlling_thread", lambda force: None)
    give_up_control(force=True)
    library.set_num_threads(n_threads)
    give_up_control(force=True)
