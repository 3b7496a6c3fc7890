"""Who gets threads."""

import contextlib
import threading

import numba
import pytest
from joblib import Parallel, delayed

from fastbp.parallel import team as threads

many = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")


@pytest.mark.parametrize(
    ("n_jobs", "available", "expected"),
    [(None, 8, 8), (-1, 8, 8), (-2, 8, 7), (-20, 8, 1), (1, 8, 1), (3, 8, 3), (100, 8, 8), (-2, 1, 1)],
)
def test_n_jobs_is_an_upper_bound(monkeypatch, n_jobs, available, expected):
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: available)
    assert threads.upper_bound(n_jobs) == expected


def test_small_work_and_n_jobs_1_run_serially():
    with threads.team(None, threads.MIN_WORK - 1) as team:
        assert team.n_threads == 1
    with threads.team(1, 10 * threads.MIN_WORK) as team:
        assert team.n_threads == 1


@many
def test_only_one_caller_holds_the_threads_and_gives_them_back(safe_layer):
    work, found = 10 * threads.MIN_WORK, []

    def other():
        with threads.team(None, work) as team:
            found.append(team.n_threads)

    before = numba.get_num_threads()
    with contextlib.suppress(KeyError), threads.team(2, work) as team:
        assert team.n_threads == 2
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        raise KeyError
    assert found == [1]
    assert numba.get_num_threads() == before
    with threads.team(2, work) as team:
        assert team.n_threads == 2


@many
def test_who_holds_the_threads_may_use_them_within():
    """As a callback does that predicts in the middle of a fit."""
    if not threads.layer_is_safe():
        pytest.skip("the workqueue layer is never used in parallel")
    work, found = 10 * threads.MIN_WORK, []

    def other():
        with threads.team(None, work) as team:
            found.append(team.n_threads)

    before = numba.get_num_threads()
    with threads.team(2, work):
        with threads.team(2, work) as team:
            assert team.n_threads == 2
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [1]  # the outer team still held them
    assert numba.get_num_threads() == before


def test_under_workqueue_and_after_fork_everything_is_serial(monkeypatch):
    work = 10 * threads.MIN_WORK
    monkeypatch.setattr(threads.numba, "get_num_threads", lambda: 4)
    with monkeypatch.context() as patch:
        patch.setattr(threads.numba, "threading_layer", lambda: "workqueue")
        with threads.team(None, work) as team:
            assert team.n_threads == 1
    monkeypatch.setattr(threads, "_forked", True)
    with threads.team(None, work) as team:
        assert team.n_threads == 1


@many
def test_in_a_joblib_worker_n_jobs_none_is_serial_and_a_number_is_honoured(safe_layer):
    def n_threads(n_jobs):
        with threads.team(n_jobs, 10 * threads.MIN_WORK) as team:
            return team.n_threads

    def found(n_outer, *n_jobs):
        return Parallel(n_jobs=n_outer, backend="threading")(delayed(n_threads)(n) for n in n_jobs)

    assert found(2, None, None) == [1, 1]
    assert found(2, 2) == [2]
    assert found(1, None) == [numba.get_num_threads()]  # joblib runs one job after the other: no worker


def test_without_any_threading_layer_everything_is_serial(monkeypatch):
    def no_layer():
        raise ValueError("No threading layer could be loaded.")

    monkeypatch.setattr(threads.numba, "get_num_threads", no_layer)
    for n_jobs in (None, 1, 2, -1):
        with threads.team(n_jobs, 10 * threads.MIN_WORK) as team:
            assert team.n_threads == 1
