"""How threads wait for each other, and how a thread leaves a core."""

import os
import threading

import numpy as np
import pytest

from fastbp.kernels.compiling import interpreted, jit
from fastbp.kernels.machine.barrier import CREW_FIELDS, meet
from fastbp.kernels.machine.cores import current_core, leave


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


@jit.entry
def core():
    return current_core()


@jit.entry
def leave_core(core):
    leave(core)


def test_a_thread_moves_to_another_core_and_may_return(several_cores):
    for at in several_cores:
        os.sched_setaffinity(0, {at})
        os.sched_setaffinity(0, several_cores)  # the system does not move the thread at once
        before = core()
        leave_core(before)
        assert 0 < core() != before
        assert os.sched_getaffinity(0) == several_cores


def test_a_thread_that_may_run_on_one_core_stays_there(several_cores):
    last = max(several_cores)
    os.sched_setaffinity(0, {last})
    leave_core(core())
    assert core() == last + 1
    assert os.sched_getaffinity(0) == {last}


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
