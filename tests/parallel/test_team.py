"""Which callers get threads, and how many."""

import threading

import numba
import pytest
from joblib import Parallel, delayed

from fastbp.parallel import team


@pytest.fixture
def four(monkeypatch):
    """Numba may use four threads."""
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 4)
    monkeypatch.setattr(team.numba, "threading_layer", not_started)


def not_started():
    raise ValueError("Threading layer is not initialized.")


def n_threads(n_jobs, work=10 * team.MIN_WORK):
    return team.team_for(n_jobs, work).n_threads


@pytest.mark.parametrize(
    ("n_jobs", "available", "expected"),
    [(None, 8, 8), (-1, 8, 8), (-2, 8, 7), (-20, 8, 1), (1, 8, 1), (3, 8, 3), (100, 8, 8), (-2, 1, 1)],
)
def test_n_jobs_is_an_upper_bound(monkeypatch, n_jobs, available, expected):
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", available)
    monkeypatch.setattr(team.numba, "threading_layer", not_started)
    assert team.upper_bound(n_jobs) == expected


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_the_number_of_threads_that_a_user_sets_for_numba_holds_in_the_users_thread():
    before, found = numba.get_num_threads(), []
    assert n_threads(None) == before
    numba.set_num_threads(1)
    try:
        assert n_threads(None) == n_threads(-1) == n_threads(2) == 1
        thread = threading.Thread(target=lambda: found.append(n_threads(None)))
        thread.start()
        thread.join()
    finally:
        numba.set_num_threads(before)
    assert found == [numba.config.NUMBA_NUM_THREADS]


def test_small_work_and_n_jobs_1_run_serially(four):
    assert n_threads(None, team.MIN_WORK) == 4
    assert n_threads(None, team.MIN_WORK - 1) == 1
    assert n_threads(1) == 1


def test_in_a_joblib_worker_n_jobs_none_is_serial_and_a_number_is_honoured(four):
    def found(n_outer, *n_jobs):
        return Parallel(n_jobs=n_outer, backend="threading")(delayed(n_threads)(n) for n in n_jobs)

    assert found(2, None, None) == [1, 1]
    assert found(2, 2) == [2]
    assert found(1, None) == [4]  # joblib runs one job after the other, without a worker
