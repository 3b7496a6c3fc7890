"""An interrupt between any two bytecodes leaves nothing behind that a later call notices."""

import contextlib
import threading

import numba
import pytest
from threadpoolctl import threadpool_info

from fastbp.parallel import blas, pace, team
from support.interrupts import at_every_bytecode

many = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


def in_another_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def n_held():
    with team.team_for(None, 10 * team.MIN_WORK) as held:
        return held.n_threads


@many
@pytest.mark.usefixtures("safe_layer")
def test_an_interrupt_never_leaks_the_hold_on_numbas_threads():
    def call():
        with team.team_for(None, 10 * team.MIN_WORK) as outer:
            outer.run(lambda: numba.set_num_threads(1), work=1.0)  # as after a trial of one thread
            with team.team_for(None, 10 * team.MIN_WORK):
                pass

    before, n = numba.get_num_threads(), -1
    for n in at_every_bytecode({team.__file__, pace.__file__, contextlib.__file__}, call):
        assert in_another_thread(n_held) == before, n
        assert n_held() == before, n
        assert numba.get_num_threads() == before, n
    assert n > 300


@many
@pytest.mark.usefixtures("safe_layer")
def test_a_traceback_that_is_kept_does_not_make_later_calls_of_its_thread_serial():
    """An interactive session keeps the last traceback, with the frames in which the interrupt came."""
    before, manager = numba.get_num_threads(), team.team_for(None, 10 * team.MIN_WORK)
    manager.__enter__()
    numba.set_num_threads(1)
    assert n_held() == before  # while `manager` lives
    del manager
    assert in_another_thread(n_held) == before


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
