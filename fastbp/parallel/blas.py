"""BLAS's own threads, which must not compete with ours."""

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from threadpoolctl import ThreadpoolController

Numbers = list[tuple[Any, int]]  # pairs of a library and the number of its threads before we changed that number


class _User:
    """A caller that needs BLAS to have one thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.own: Numbers = []  # libraries with a separate number of threads for each Python thread


_lock = threading.Lock()  # held while _users and _shared change, for some milliseconds
# A thread that has waited PATIENCE_SECONDS for the lock goes on without it: probably an interrupt kept the lock's
# holder from releasing it.
PATIENCE_SECONDS = 1.0
# The set refers weakly to the users. So if an interrupt keeps a user from leaving, the user vanishes when its caller
# ends.
_users: weakref.WeakSet[_User] = weakref.WeakSet()
_shared: Numbers = []  # libraries with one number for all Python threads; the last user restores it


def _renew_after_fork() -> None:
    """In a forked child, make a new lock, and let the users in other threads leave, because the child lacks them."""
    global _lock, _users
    _lock = threading.Lock()
    _users = weakref.WeakSet([user for user in _users if user.thread == threading.get_ident()])
    if not _users:
        _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    _lock.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):  # a thread that went on without the lock, this one or another
            _lock.release()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within this context, BLAS has one thread in the calling Python thread.

    If overlapping contexts share a library's number of threads, the last context to end restores this number.
    """
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
        known = {library.filepath for library, _ in _shared}  # a library may have been loaded since
        _shared = _shared + [
            (library, library.get_num_threads()) for library in shared if library.filepath not in known
        ]
        for library in libraries:
            _set(library, 1)


def _leave(user: _User) -> None:
    with _locked():
        _users.discard(user)
        for library, n_threads in user.own:
            _set(library, n_threads)
        if not _users:
            _restore()


def _restore() -> None:
    """Give the shared libraries the numbers of threads back that they had before the first user."""
    global _shared
    for library, n_threads in _shared:
        _set(library, n_threads)
    _shared = []


def _is_per_thread(library: Any) -> bool:
    """Whether threadpoolctl sets the library's number of threads for the calling Python thread only (OpenMP)."""
    return hasattr(library, "clear_controlling_thread") and library.threading_layer == "openmp"


def _set(library: Any, n_threads: int) -> None:
    """Set the library's number of threads.

    New versions of threadpoolctl ignore a thread if another thread has set the number before it. So this function makes
    threadpoolctl forget the other thread. After setting the number, it makes threadpoolctl forget this thread too.
    """
    give_up_control = getattr(library, "clear_controlling_thread", lambda force: None)
    give_up_control(force=True)
    library.set_num_threads(n_threads)
    give_up_control(force=True)
