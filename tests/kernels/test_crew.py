"""Which workers become members of a call, what the members do, and when the workers leave."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastbp.kernels.compiling import interpreted, jit
from fastbp.kernels.machine.barrier import AWAKE, BUSY, CREW_FIELDS, MEMBERS, MOST, SEATS, STOP, meet
from fastbp.kernels.machine.crew import join, serve, share, together


@jit.linked
def _count(rank, members, crew, calls, numbers):
    """Count this member's calls, and note the number of members, which all must see."""
    calls[rank] += 1
    numbers[rank] = members
    meet(crew, members)
    for other in range(members):
        if numbers[other] != members:
            calls[-1] += 1


_count_together = together(_count)


@jit.entry
def count(crew, most, calls, numbers):
    _count_together(crew, most, (crew, calls, numbers))


@jit.entry
def come(crew):
    return join(crew)


@jit.entry
def shared(first, last, rank, members, out):
    out[0], out[1] = share(first, last, rank, members)


@pytest.fixture
def crew():
    return np.zeros(CREW_FIELDS, np.int64)


@pytest.fixture
def workers(crew):
    """A function that starts so many workers of the crew. They stop after the test."""
    threads = []

    def work():
        while not crew[STOP]:
            serve(crew)

    def start(n):
        threads.extend(threading.Thread(target=work) for _ in range(n))
        for thread in threads[-n:]:
            thread.start()
        wait_for(lambda: crew[AWAKE] == len(threads))

    yield start
    crew[STOP] = 1
    for thread in threads:
        thread.join()


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def counted(crew, most, *, calls=1):
    """(members of the last call, [calls of each rank]) of so many calls."""
    found, numbers = np.zeros(18, np.int64), np.zeros(17, np.int64)
    for _ in range(calls):
        count(crew, most, found, numbers)
    assert found[-1] == 0
    return int(numbers[0]), found[:-1].tolist()


@pytest.mark.parametrize("n_workers", [1, 3, 15])
def test_workers_that_are_awake_take_part_in_calls_and_every_rank_is_there_once(n_workers, crew, workers):
    workers(n_workers)
    n = 10 if interpreted.ENABLED else 300
    most = 0
    for _ in range(n):
        members, ranks = counted(crew, 1 + n_workers)
        assert ranks == [1] * members + [0] * (17 - members)
        most = max(most, members)
    assert most > 1
    assert not crew[BUSY]


def test_a_call_has_no_more_members_than_it_may_have(crew, workers):
    workers(3)
    for most in (1, 2, 3):
        members, ranks = counted(crew, most, calls=20)
        assert members <= most
        assert not any(ranks[most:])
        assert ranks[0] == 20


def test_a_call_goes_on_alone_if_no_worker_comes(crew):
    assert counted(crew, 4) == (1, [1] + [0] * 16)
    assert not crew[BUSY]


def test_a_call_goes_on_alone_while_another_call_has_the_workers(crew, workers):
    workers(1)
    crew[BUSY] = 1
    assert counted(crew, 2, calls=20) == (1, [20] + [0] * 16)
    assert crew[BUSY] == 1  # this call did not set it


def test_calls_of_many_threads_at_once_are_done_completely(crew, workers):
    workers(2)
    n = 10 if interpreted.ENABLED else 200
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(counted, crew, 3, calls=n) for _ in range(6)]:
            assert done.result()[1][0] == n
    assert not crew[BUSY]


def test_a_worker_without_a_seat_goes_on_looking(crew):
    for seats in (0, -1):
        crew[SEATS] = seats
        assert come(crew) == (0, 0)
        assert crew[SEATS] == seats


@pytest.mark.parametrize("known", [False, True])
def test_a_worker_waits_to_be_told_how_many_take_part(known, crew):
    crew[MOST], crew[SEATS], crew[MEMBERS] = 4, 2, 3 * known
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(come, crew)
        time.sleep(0.05)
        assert found.done() == known
        crew[MEMBERS] = 3
        assert found.result() == (2, 3)
    assert crew[SEATS] == 1


def test_a_worker_leaves_when_no_call_comes(crew, workers):
    thread = threading.Thread(target=serve, args=(crew,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert crew[AWAKE] == 0


def test_a_worker_leaves_at_once_if_the_crew_stops(crew):
    crew[STOP] = 1
    serve(crew)
    assert crew[AWAKE] == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to choose a thread's cores")
def test_a_worker_on_the_core_of_the_first_thread_comes_in_time(crew, workers):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # for this thread and the threads that it starts
    try:
        workers(1)
        found = [counted(crew, 2)[0] for _ in range(20)]
    finally:
        os.sched_setaffinity(0, cores)
    assert 2 in found


def test_shares_are_disjoint_in_order_and_as_large_as_each_other():
    for first, last, members in ((0, 7, 1), (0, 7, 3), (5, 7, 4), (2, 2, 3), (3, 100, 8)):
        parts = np.empty((members, 2), np.int64)
        for rank in range(members):
            shared(first, last, rank, members, parts[rank])
        assert parts[0, 0] == first
        assert parts[-1, 1] == last
        assert (parts[1:, 0] == parts[:-1, 1]).all()
        assert np.ptp(parts[:, 1] - parts[:, 0]) <= 1
