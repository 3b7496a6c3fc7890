"""When the workers start, wake up, sleep and end, also after a fork or an interrupt."""

import time

import numpy as np
import pytest

from fastbp.kernels.compiling import interpreted
from fastbp.kernels.machine.barrier import AWAKE, BUSY, PASSED, STOP
from fastbp.parallel import crew as crews
from fastbp.parallel import pace, team
from support.interrupts import at_every_bytecode
from support.networks import network, problem

WORK = 10 * team.MIN_WORK
compiled = pytest.mark.skipif(interpreted.ENABLED, reason="interpreted calls have one thread")


@pytest.fixture
def crew():
    """A crew without workers. Its workers stop after the test."""
    crew = crews.Crew()
    yield crew
    crew.stop()


def state_and_threads(state, n_threads):
    """Stands for a kernel."""
    return state, n_threads


def wait_until_asleep(crew):
    end = time.monotonic() + 30
    while crew._state[AWAKE]:
        assert time.monotonic() < end
        time.sleep(0.001)


@compiled
def test_workers_start_with_the_first_call_that_needs_them_and_no_more_than_it_needs(crew, monkeypatch):
    start, started = crews._thread.start_new_thread, []
    monkeypatch.setattr(crews._thread, "start_new_thread", lambda *args: started.append(start(*args)))
    for n_threads, n_workers in ((1, 0), (3, 2), (2, 2), (4, 3)):
        assert crew.run(state_and_threads, n_threads)[1] == n_threads
        assert len(started) == n_workers


@compiled
def test_workers_sleep_when_there_is_no_call_and_the_next_call_wakes_them(crew):
    for _ in range(3):
        state, _ = crew.run(state_and_threads, 3)
        end = time.monotonic() + 30
        while state[AWAKE] < 2:
            assert time.monotonic() < end
            crew.run(state_and_threads, 3)
        wait_until_asleep(crew)
        assert crew._alarm.qsize() == 0  # no worker has to wake up for nothing


def test_a_system_without_room_for_a_thread_leaves_the_call_to_one(crew, monkeypatch):
    def no_room(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(crews._thread, "start_new_thread", no_room)
    assert crew.run(state_and_threads, 4)[1] == 1


@compiled
def test_after_the_end_of_the_process_has_begun_calls_have_one_thread(crew):
    state, _ = crew.run(state_and_threads, 2)
    crew.stop()
    assert state[AWAKE] == 0
    assert state[STOP]
    assert crew.run(state_and_threads, 2)[1] == 1


@compiled
def test_a_forked_child_begins_with_new_workers(crew):
    state, _ = crew.run(state_and_threads, 2)
    state[BUSY] = 1  # as if another thread of the parent were in a call
    crew.begin()
    found, n_threads = crew.run(state_and_threads, 2)
    assert found is not state
    assert n_threads == 2
    assert not found[BUSY]
    state[STOP] = 1


@compiled
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_threads", [2, 8, 16])
def test_any_number_of_threads_gives_the_bits_of_one(n_threads, crew, monkeypatch):
    X, y = problem(n_samples=1500)
    found = []
    for n in (1, n_threads):
        monkeypatch.setattr(team, "team_for", lambda n_jobs, work, n=n: team.Team(n, work))
        for module in ("fastbp.estimators.base", "fastbp.estimators.predicting"):
            monkeypatch.setattr(f"{module}.team_for", team.team_for)
        monkeypatch.setattr(team, "CREW", crew)
        model = network(batch_size=300).fit(X, y)
        found.append([*model.coefs_, *model.intercepts_, model.predict_proba(X)])
    assert crew._state[PASSED] > 0  # threads have met
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)


def test_an_interrupt_between_any_two_bytecodes_leaves_a_crew_that_works(monkeypatch):
    monkeypatch.setattr(crews, "_work", lambda state, alarm: None)  # threads that end at once
    n = -1
    crew = crews.Crew()

    def call():
        crew.begin()
        team_of = team.Team(3, WORK)
        for _ in range(2):
            team_of.run(state_and_threads, work=1.0)

    monkeypatch.setattr(team, "CREW", crew)
    for n in at_every_bytecode({team.__file__, crews.__file__, pace.__file__}, call):
        state, n_threads = crew.run(state_and_threads, 3)
        assert n_threads == (1 if interpreted.ENABLED else 3), n
        assert state is crew._state, n
        assert crew._n_workers <= 2, n
    assert n > 100
