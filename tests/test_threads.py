"""Who gets threads, and how many of them a team goes on with."""

import contextlib
import threading

import numba
import pytest
from joblib import Parallel, delayed
from threadpoolctl import threadpool_info

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


def no_such_file(path):
    raise FileNotFoundError(path)


def stat_with_flags(flags):
    return lambda path: f"7 (a (name) 8 9) S 1 7 7 0 -1 {flags} 1 2 3"


@pytest.mark.parametrize(
    ("read_text", "lost"),
    [
        (no_such_file, True),  # not Linux
        (stat_with_flags(0), True),  # some emulated kernel
        (stat_with_flags(0x400040), True),
        (stat_with_flags(0x400000), False),
    ],
)
def test_only_what_is_known_not_to_be_forked_keeps_threads_that_were_started_before_the_import(
    monkeypatch, read_text, lost
):
    def not_started():
        raise ValueError("Threading layer is not initialized.")

    monkeypatch.setattr(threads.pathlib.Path, "read_text", read_text)
    monkeypatch.setattr(threads.numba, "threading_layer", lambda: "omp")
    assert threads._may_have_lost_threads() == lost
    monkeypatch.setattr(threads.numba, "threading_layer", not_started)
    assert not threads._may_have_lost_threads()


def test_a_team_compares_calls_of_one_kernel_only(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.019, 4: 0.010})
    team = threads.Team(4)
    quick = []

    def other_kernel():
        machine.now += machine.seconds[machine.n_threads] / 100
        quick.append(machine.n_threads)

    for _ in range(500):
        team.run(machine.kernel, "result", work=1.0)
        team.run(other_kernel, work=1.0)
    assert machine.share(4) > 0.95
    assert quick.count(4) > 450


class Machine:
    """A clock, and a kernel that takes as long as `seconds` says for the number of threads in force."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.n_threads, self.seconds, self.calls = 0.0, None, seconds, []
        monkeypatch.setattr(threads.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(threads.numba, "set_num_threads", self.use)

    def use(self, n_threads):
        self.n_threads = n_threads

    def kernel(self, result):
        self.now += self.seconds[self.n_threads]
        self.calls.append(self.n_threads)
        return result

    def share(self, n_threads):
        return self.calls.count(n_threads) / len(self.calls)


def run_for(team, machine, seconds):
    stop = machine.now + seconds
    machine.calls.clear()
    while machine.now < stop:
        assert team.run(machine.kernel, "result", work=1.0) == "result"


def test_a_team_goes_on_with_one_thread_while_the_machine_is_busy_and_comes_back(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.010, 4: 0.003})
    team = threads.Team(4)
    run_for(team, machine, 10.0)
    assert machine.share(4) > 0.98  # it tries one thread now and then
    machine.seconds[4] = 0.400  # another process takes a core
    run_for(team, machine, 30.0)
    assert machine.share(1) > 0.9
    machine.seconds[4] = 0.003
    run_for(team, machine, 30.0)
    assert machine.share(4) > 0.5


def run_fits(machine, n, work, *, calls=1, pause=0.0):
    """n fits of so many calls each, with a pause after each of them."""
    machine.calls.clear()
    for _ in range(n):
        team = threads.Team(4, work)
        for _ in range(calls):
            team.run(machine.kernel, "result", work=1.0)
        machine.now += pause


def test_a_team_goes_on_as_the_one_before_it_with_work_of_the_same_magnitude(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.001, 4: 0.012})
    run_fits(machine, 1000, 1.5e6)
    assert machine.share(1) > 0.98
    run_fits(machine, 1000, 1.6e6)
    assert machine.share(1) > 0.98
    run_fits(machine, 3, 1e9)
    assert machine.calls == [4, 4, 4]


def test_a_fit_now_and_then_does_not_begin_with_a_trial_each_time(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.030, 4: 0.015})
    run_fits(machine, 400, 1e9, calls=2, pause=5)
    assert 0 < machine.share(1) < 0.01


def test_a_trial_ends_with_the_fit_that_it_began_in_where_the_next_one_is_long_after(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.0011, 4: 0.0005})
    run_fits(machine, 400, 1e6, calls=8, pause=11)
    assert 0 < machine.share(1) < 0.05


def test_trials_that_are_lost_cost_little_however_long_each_takes(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.03, 4: 3.0})
    team = threads.Team(4)
    run_for(team, machine, 60.0)
    run_for(team, machine, 600.0)
    assert 0 < machine.calls.count(4) * machine.seconds[4] < 0.07 * 600


def test_threads_that_have_to_wake_up_get_time_for_it(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.0008, 4: 0.0005})

    def kernel():
        if machine.n_threads == 4 and machine.calls[-3:] != [4] * 3:
            machine.now += 0.001
        machine.kernel(None)

    for _ in range(100):
        team = threads.Team(4, 1e6)
        machine.calls.append(0)  # all sleep
        for _ in range(60):
            team.run(kernel, work=1.0)
        machine.now += 1
    assert machine.share(4) > 0.8


def test_times_of_long_ago_are_not_compared_with(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.010, 4: 0.003})
    run_fits(machine, 1000, 1e6)
    assert machine.share(4) > 0.98
    machine.now += 3600
    machine.seconds[4] = 0.400  # slower than before is not slower than now
    run_fits(machine, 100, 1e6)
    assert machine.share(1) > 0.9
    assert set(machine.calls[:3]) == {4}


def test_overlapping_users_of_one_blas_thread_leave_blas_as_it_was():
    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, leave = n_threads(), threading.Event(), threading.Event()

    def other():
        with threads.one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with threads.one_blas_thread():
        assert set(n_threads()) <= {1}
        thread.start()
        inside.wait()
    leave.set()
    thread.join()
    assert n_threads() == before


def test_without_any_threading_layer_everything_is_serial(monkeypatch):
    def no_layer():
        raise ValueError("No threading layer could be loaded.")

    monkeypatch.setattr(threads.numba, "get_num_threads", no_layer)
    for n_jobs in (None, 1, 2, -1):
        with threads.team(n_jobs, 10 * threads.MIN_WORK) as team:
            assert team.n_threads == 1
