"""The threads of BLAS."""

import contextlib
import threading

import pytest
from threadpoolctl import threadpool_info

from fastbp.parallel import blas
from fastbp.parallel.blas import one_blas_thread
from support.interrupts import at_every_bytecode


def test_overlapping_users_of_one_blas_thread_leave_blas_as_it_was():
    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, leave = n_threads(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with one_blas_thread():
        assert set(n_threads()) <= {1}
        thread.start()
        inside.wait()
    leave.set()
    thread.join()
    assert n_threads() == before


def test_the_first_of_overlapping_users_to_leave_does_not_restore_blas_under_the_others():
    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, leave, left = n_threads(), threading.Event(), threading.Event(), threading.Event()

    def first():
        with one_blas_thread():
            inside.set()
            leave.wait()
        left.set()

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with one_blas_thread():
        leave.set()
        left.wait()
        assert set(n_threads()) <= {1}
    thread.join()
    assert n_threads() == before


class Library:
    """A BLAS library with one number of threads for all Python threads."""

    threading_layer = "pthreads"

    def __init__(self, filepath):
        self.filepath, self.n = filepath, 8

    def get_num_threads(self):
        return self.n

    def set_num_threads(self, n):
        self.n = n


@pytest.fixture
def loaded(monkeypatch):
    """The libraries that a user of one BLAS thread finds."""
    libraries = [Library("first")]

    class Controller:
        def select(self, user_api):
            self.lib_controllers = list(libraries)
            return self

    monkeypatch.setattr(blas, "ThreadpoolController", Controller)
    return libraries


def test_a_library_that_is_loaded_between_two_users_gets_its_threads_back(loaded):
    with one_blas_thread():
        loaded.append(Library("second"))
        with one_blas_thread():
            assert [library.n for library in loaded] == [1, 1]
        assert [library.n for library in loaded] == [1, 1]
    assert [library.n for library in loaded] == [8, 8]


def test_a_forked_child_gets_the_threads_back_that_a_user_in_another_thread_had_taken(loaded):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    before = blas._lock, blas._users, blas._shared
    try:
        blas._renew_after_fork()  # as a fork by this thread would
        assert loaded[0].n == 8
    finally:
        blas._lock, blas._users, blas._shared = before
        leave.set()
        thread.join()


def test_after_an_interrupt_the_next_user_of_one_blas_thread_leaves_blas_as_it_was(monkeypatch):
    monkeypatch.setattr(blas, "PATIENCE_SECONDS", 0.01)

    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    def call():
        with blas.one_blas_thread():
            assert set(n_threads()) <= {1}

    before, n = n_threads(), -1
    for n in at_every_bytecode({blas.__file__, contextlib.__file__}, call):
        call()
        assert n_threads() == before, n
    assert n > 100
