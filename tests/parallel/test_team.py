"""Which callers get threads."""

import contextlib
import threading

import numba
import pytest
from joblib import Parallel, delayed

from fastbp.parallel import fork, team

many = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


@pytest.mark.parametrize(
    ("n_jobs", "available", "expected"),
    [(None, 8, 8), (-1, 8, 8), (-2, 8, 7), (-20, 8, 1), (1, 8, 1), (3, 8, 3), (100, 8, 8), (-2, 1, 1)],
)
def test_n_jobs_is_an_upper_bound(monkeypatch, n_jobs, available, expected):
    monkeypatch.setattr(team.numba, "get_num_threads", lambda: available)
    assert team.upper_bound(n_jobs) == expected


def test_small_work_and_n_jobs_1_run_serially():
    with team.team_for(None, team.MIN_WORK - 1) as held:
        assert held.n_threads == 1
    with team.team_for(1, 10 * team.MIN_WORK) as held:
        assert held.n_threads == 1


@many
def test_only_one_caller_holds_the_threads_and_gives_them_back(safe_layer):
    work, found = 10 * team.MIN_WORK, []

    def other():
        with team.team_for(None, work) as held:
            found.append(held.n_threads)

    before = numba.get_num_threads()
    with contextlib.suppress(KeyError), team.team_for(2, work) as held:
        assert held.n_threads == 2
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        raise KeyError
    assert found == [1]
    assert numba.get_num_threads() == before
    with team.team_for(2, work) as held:
        assert held.n_threads == 2


@many
def test_a_caller_that_holds_the_threads_may_ask_for_them_again():
    """A callback that predicts in the middle of a fit does so."""
    if not team.layer_is_safe():
        pytest.skip("the workqueue layer is never used in parallel")
    work, found = 10 * team.MIN_WORK, []

    def other():
        with team.team_for(None, work) as held:
            found.append(held.n_threads)

    before = numba.get_num_threads()
    with team.team_for(2, work):
        with team.team_for(2, work) as held:
            assert held.n_threads == 2
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [1]  # the outer team still held the threads
    assert numba.get_num_threads() == before


def test_under_workqueue_and_after_fork_everything_is_serial(monkeypatch):
    work = 10 * team.MIN_WORK
    monkeypatch.setattr(team.numba, "get_num_threads", lambda: 4)
    with monkeypatch.context() as patch:
        patch.setattr(team.numba, "threading_layer", lambda: "workqueue")
        with team.team_for(None, work) as held:
            assert held.n_threads == 1
    monkeypatch.setattr(fork, "_lost_threads", True)
    with team.team_for(None, work) as held:
        assert held.n_threads == 1


@many
def test_in_a_joblib_worker_n_jobs_none_is_serial_and_a_number_is_honoured(safe_layer):
    def n_threads(n_jobs):
        with team.team_for(n_jobs, 10 * team.MIN_WORK) as held:
            return held.n_threads

    def found(n_outer, *n_jobs):
        return Parallel(n_jobs=n_outer, backend="threading")(delayed(n_threads)(n) for n in n_jobs)

    assert found(2, None, None) == [1, 1]
    assert found(2, 2) == [2]
    assert found(1, None) == [numba.get_num_threads()]  # joblib runs one job after the other, without a worker


def test_without_any_threading_layer_everything_is_serial(monkeypatch):
    def no_layer():
        raise ValueError("No threading layer could be loaded.")

    monkeypatch.setattr(team.numba, "get_num_threads", no_layer)
    for n_jobs in (None, 1, 2, -1):
        with team.team_for(n_jobs, 10 * team.MIN_WORK) as held:
            assert held.n_threads == 1
