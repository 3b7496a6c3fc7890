"""Jobs in threads: their results, their errors, and the context that they get from the caller."""

import contextvars
import os
import signal
import sys
import threading
import time

import pytest
from sklearn import config_context, get_config

from fastbp.parallel.team import side_by_side, team_for
from fastbp.parallel.threads import in_threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_are_in_the_order_of_the_jobs(n_threads):
    assert in_threads([lambda i=i: i**2 for i in range(20)], n_threads) == [i**2 for i in range(20)]
    assert in_threads([], n_threads) == []


def test_as_many_jobs_run_at_once_as_there_are_threads():
    together = threading.Barrier(3, timeout=30)
    names = in_threads([lambda: (together.wait(), threading.get_ident())[1]] * 6, 3)
    assert len(set(names)) <= 3
    assert threading.get_ident() not in names


def test_every_job_is_done_once_however_often_the_threads_take_turns():
    interval, done = sys.getswitchinterval(), []
    sys.setswitchinterval(1e-6)
    try:
        in_threads([lambda i=i: done.append(i) for i in range(5000)], 8)
    finally:
        sys.setswitchinterval(interval)
    assert sorted(done) == list(range(5000))


def test_the_first_error_is_raised_and_no_other_job_begins():
    begun, stop = [], threading.Event()

    def job(i):
        begun.append(i)
        if i == 2:
            raise ValueError("of job 2")

    with pytest.raises(ValueError, match="of job 2"):
        in_threads([lambda i=i: job(i) for i in range(10)], 1, stop)
    assert begun == [0, 1, 2]
    assert stop.is_set()


def test_a_job_sees_the_context_and_the_configuration_of_its_caller_and_one_thread():
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    def job():
        return variable.get(), get_config()["assume_finite"], team_for(None, 1e12).n_threads, side_by_side(None)

    with config_context(assume_finite=True):
        assert in_threads([job] * 3, 2) == [(7, True, 1, 1)] * 3


@pytest.mark.posix
def test_ctrl_c_is_raised_once_the_jobs_have_ended():
    begun, ended, stop = threading.Barrier(3, timeout=30), [], threading.Event()

    def job():
        begun.wait()
        stop.wait(30)
        time.sleep(0.1)
        ended.append(stop.is_set())

    def interrupt():
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            in_threads([job] * 4, 2, stop)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert ended == [True, True]
