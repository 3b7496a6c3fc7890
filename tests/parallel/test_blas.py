"""The threads of BLAS."""

import threading

from threadpoolctl import threadpool_info

from fastbp.parallel.blas import one_blas_thread


def test_overlapping_users_of_one_blas_thread_leave_blas_as_it_was():
    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, leave = n_threads(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with one_blas_thread():
        assert set(n_threads()) <= {1}
        thread.start()
        inside.wait()
    leave.set()
    thread.join()
    assert n_threads() == before


def test_the_first_of_overlapping_users_to_leave_does_not_restore_blas_under_the_others():
    def n_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, leave, left = n_threads(), threading.Event(), threading.Event(), threading.Event()

    def first():
        with one_blas_thread():
            inside.set()
            leave.wait()
        left.set()

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with one_blas_thread():
        leave.set()
        left.wait()
        assert set(n_threads()) <= {1}
    thread.join()
    assert n_threads() == before
