"""The threads of a call: their number, their shares of the work, and how they wait for each other."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastbp.kernels.compiling import interpreted, jit
from fastbp.kernels.machine import barrier
from fastbp.kernels.machine.barrier import COME, CORE, CREW_FIELDS, MEMBERS, assemble, join, meet, share


@jit.entry
def come(crew, most):
    return join(crew, most)


@jit.entry
def begin(crew):
    assemble(crew)


@jit.entry
def take_turns(rank, members, crew, slots, rounds, wrong):
    """In each round, write this member's slot, wait for all members, and count slots with another round's value."""
    for k in range(1, rounds + 1):
        slots[rank] = k
        meet(crew, members)
        for other in range(members):
            if slots[other] != k:
                wrong[rank] += 1
        meet(crew, members)


@jit.entry
def shared(first, last, rank, members, out):
    out[0], out[1] = share(first, last, rank, members)


def test_a_thread_that_comes_in_time_takes_part():
    crew = np.full(CREW_FIELDS, -1)
    for most in (1, 2, 3):
        begin(crew)
        assert not crew.any()
        with ThreadPoolExecutor(most) as pool:
            found = list(pool.map(come, [crew] * most, [most] * most))
        members = found[0][1]
        assert {n for _, n in found} == {members}
        # the members came before the first one stopped waiting, and their ranks count from 0
        assert sorted(rank for rank, _ in found if rank < members) == list(range(members))


def test_the_first_thread_goes_on_alone_if_tasks_run_one_after_the_other():
    crew = np.zeros(CREW_FIELDS, np.int64)
    assert come(crew, 3) == (0, 1)
    for _ in range(2):
        rank, members = come(crew, 3)
        assert rank >= members == 1


@pytest.fixture
def cores():
    """The cores that this thread may run on. It may run on all of them again after the test."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no way to choose a thread's cores")
    cores = os.sched_getaffinity(0)
    yield cores
    os.sched_setaffinity(0, cores)


@pytest.fixture
def several_cores(cores):
    """The same cores, if there are several and compiled code moves threads between them."""
    if interpreted.ENABLED or len(cores) == 1:
        pytest.skip("interpreted code does not move threads, or there is no other core")
    return cores


def test_a_thread_on_the_core_of_the_first_comes_in_time(cores):
    crew, together = np.zeros(CREW_FIELDS, np.int64), 0
    os.sched_setaffinity(0, {min(cores)})  # for this thread and the threads that it starts
    for _ in range(20):
        begin(crew)
        with ThreadPoolExecutor(2) as pool:
            (_, members), _ = pool.map(come, [crew] * 2, [2] * 2)
        together += members == 2
    assert together > 0  # 20 if nothing else runs, 0 if the first thread never leaves the core


@jit.entry
def core():
    return barrier._core()


@jit.entry
def leave(core):
    barrier._leave(core)


def test_a_thread_on_the_core_of_the_first_moves_to_another_and_may_return(several_cores):
    crew = np.zeros(CREW_FIELDS, np.int64)
    for at in several_cores:
        os.sched_setaffinity(0, {at})
        os.sched_setaffinity(0, several_cores)  # the system does not move the thread at once
        crew[COME], crew[MEMBERS], crew[CORE] = 1, 2, core()
        assert come(crew, 2) == (1, 2)
        assert 0 < core() != crew[CORE]
        assert os.sched_getaffinity(0) == several_cores


def test_a_thread_that_may_run_on_one_core_stays_there(several_cores):
    last = max(several_cores)
    os.sched_setaffinity(0, {last})
    leave(core())
    assert core() == last + 1
    assert os.sched_getaffinity(0) == {last}


@pytest.mark.parametrize("known", [False, True])
def test_the_others_wait_to_be_told_how_many_take_part(known):
    crew = np.zeros(CREW_FIELDS, np.int64)
    crew[COME], crew[MEMBERS] = 1, 2 * known
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(come, crew, 3)
        time.sleep(0.05)
        assert found.done() == known
        crew[MEMBERS] = 2
        assert found.result() == (1, 2)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_all_wait_until_everybody_is_there(members):
    crew, rounds = np.zeros(CREW_FIELDS, np.int64), 300
    slots, wrong = np.zeros(members, np.int64), np.zeros(members, np.int64)
    threads = [
        threading.Thread(target=take_turns, args=(rank, members, crew, slots, rounds, wrong)) for rank in range(members)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slots.tolist() == [rounds] * members
    assert not wrong.any()


def test_shares_are_disjoint_in_order_and_as_large_as_each_other():
    for first, last, members in ((0, 7, 1), (0, 7, 3), (5, 7, 4), (2, 2, 3), (3, 100, 8)):
        parts = np.empty((members, 2), np.int64)
        for rank in range(members):
            shared(first, last, rank, members, parts[rank])
        assert parts[0, 0] == first
        assert parts[-1, 1] == last
        assert (parts[1:, 0] == parts[:-1, 1]).all()
        assert np.ptp(parts[:, 1] - parts[:, 0]) <= 1
