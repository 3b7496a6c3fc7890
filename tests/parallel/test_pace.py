"""The number of threads that a team goes on with."""

from fastbp.parallel import pace
from fastbp.parallel.team import Team
from support.interrupts import at_every_bytecode


def test_a_team_compares_calls_of_one_kernel_only(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.019, 4: 0.010})
    team = Team(4)
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
    """A clock, a crew and a kernel. `seconds` has the time of the kernel for each number of threads."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.n_threads, self.seconds, self.calls = 0.0, None, seconds, []
        monkeypatch.setattr(pace.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr("fastbp.parallel.team.CREW", self)

    def run(self, kernel, n_threads, *args):
        self.n_threads = n_threads
        return kernel(*args)

    def kernel(self, result=None):
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
    team = Team(4)
    run_for(team, machine, 10.0)
    assert machine.share(4) > 0.98  # the team tries one thread now and then
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
        team = Team(4, work)
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


def test_a_trial_ends_with_its_fit_if_the_next_fit_begins_long_after(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.0011, 4: 0.0005})
    run_fits(machine, 400, 1e6, calls=8, pause=11)
    assert 0 < machine.share(1) < 0.05


def test_trials_that_are_lost_cost_little_however_long_each_takes(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.03, 4: 3.0})
    team = Team(4)
    run_for(team, machine, 60.0)
    run_for(team, machine, 600.0)
    assert 0 < machine.calls.count(4) * machine.seconds[4] < 0.07 * 600


def test_threads_that_have_to_wake_up_get_time_for_it(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.0008, 4: 0.0005})

    def kernel():
        if machine.n_threads == 4 and machine.calls[-3:] != [4] * 3:
            machine.now += 0.001
        machine.kernel()

    for _ in range(100):
        team = Team(4, 1e6)
        machine.calls.append(0)  # between fits, all threads sleep
        for _ in range(60):
            team.run(kernel, work=1.0)
        machine.now += 1
    assert machine.share(4) > 0.8


def test_times_of_long_ago_do_not_count(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.010, 4: 0.003})
    run_fits(machine, 1000, 1e6)
    assert machine.share(4) > 0.98
    machine.now += 3600
    machine.seconds[4] = 0.400  # slower than one thread was, but one thread may be slower now
    run_fits(machine, 100, 1e6)
    assert machine.share(1) > 0.9
    assert set(machine.calls[:3]) == {4}


def test_an_interrupt_between_any_two_bytecodes_never_breaks_a_pace(monkeypatch):
    machine = Machine(monkeypatch, {1: 0.010, 4: 0.003})
    paced, n = pace.Pace(4), -1

    def call_with(n_threads):
        return machine.run(machine.kernel, n_threads)

    def call():
        for seconds in (0.003, 0.3, 0.003):  # trials begin, are won and are lost
            machine.seconds[4] = seconds
            for _ in range(15):
                paced.run(call_with, 1.0)
            machine.now += 11.0

    for n in at_every_bytecode({pace.__file__}, call):
        if n % 50 == 0:
            call()
    assert n > 1000
    team = Team(4)
    run_for(team, machine, 30.0)
    assert machine.share(4) > 0.5
