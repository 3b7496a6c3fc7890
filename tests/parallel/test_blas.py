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
