"""Many Python threads, parallel kernels that are not ours, and the end of a process that has workers."""

import pytest

from support.programs import run

EIGHT_THREADS = """
import contextlib, json
from support import programs
expected = programs.digest(n_jobs=1)
calls = programs.Calls()
with {meanwhile}:
    found = programs.in_threads(8, lambda: [programs.digest() for _ in range(3)])
print(json.dumps([all(digest == expected for digests in found for digest in digests), calls.parallel > 0]))
"""


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param("contextlib.nullcontext()", id="alone"),
        pytest.param("programs.foreign_kernel_in_a_loop()", id="beside_a_foreign_kernel"),
    ],
)
def test_eight_threads_at_once_get_the_bits_of_sequential_fits(meanwhile, warm_cache):
    assert run(EIGHT_THREADS.format(meanwhile=meanwhile), warm_cache) == [True, True]


WITHOUT_NUMBAS_THREADS = """
import json, numba
from support import programs
calls = programs.Calls()
digests = {programs.digest(n_jobs) for n_jobs in (1, None, -1, 4)}
try:
    started = numba.threading_layer()
except ValueError:
    started = None
print(json.dumps([len(digests), calls.most_threads, started]))
"""


def test_fits_are_parallel_without_numbas_own_threads(warm_cache):
    assert run(WITHOUT_NUMBAS_THREADS, warm_cache, NUMBA_THREADING_LAYER="workqueue") == [1, 4, None]


# NUMBER_OF_THREADS prints Numba's setting and this thread's number of threads: at first, after each fit, and after a
# fit with a number that the user has set. Then it prints the most threads that ran.
NUMBER_OF_THREADS = """
import json, numba
from support import programs
def numbers():
    return [numba.config.NUMBA_NUM_THREADS, numba.get_num_threads()]
found, calls = [numbers()], programs.Calls()
for n_jobs in (2, None, -1, 100):
    programs.digest(n_jobs)
    found.append(numbers())
used = [calls.most_threads]
if numba.config.NUMBA_NUM_THREADS > 1:
    numba.set_num_threads(2)
    calls = programs.Calls()
    programs.digest()
    found.append(numbers())
    used.append(calls.most_threads)
print(json.dumps([found, used]))
"""


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, [[[1, 1]] * 5, [1]]), (3, [[[3, 3]] * 5 + [[3, 2]], [3, 2]])],
)
def test_the_number_of_numba_threads_is_respected_and_left_alone(n, expected, warm_cache):
    assert run(NUMBER_OF_THREADS, warm_cache, NUMBA_NUM_THREADS=str(n)) == expected


LEAVING = """
import threading, time
from support import programs
from fastbp import BackpropClassifier
calls = programs.Calls()
endless = BackpropClassifier((64,), batch_size=500, max_iter=10**9, n_iter_no_change=10**9, n_jobs={n_jobs})
threading.Thread(target=endless.fit, args=programs.data(), daemon=True).start()
while calls.count < 3:
    time.sleep(0.01)
print(calls.count)
"""


@pytest.mark.parametrize("n_jobs", [1, None])
def test_a_process_ends_while_a_daemon_thread_is_in_a_fit(n_jobs, warm_cache):
    assert run(LEAVING.format(n_jobs=n_jobs), warm_cache) >= 3


# The programs of ENDING fit in parallel just before, or after, Python begins to end the process.
ENDING = {
    "at once": "digest()",
    "after a pause": "digest(); time.sleep(0.0005)",
    "with a function that is called at the end": "atexit.register(digest)",
    "with a thread that goes on": "threading.Thread(target=lambda: (time.sleep(0.3), digest())).start()",
    "with a daemon thread": "threading.Thread(target=endless.fit, args=programs.data(), daemon=True).start(); "
    "time.sleep(0.3)",
}


@pytest.mark.parametrize("how", ENDING)
def test_a_process_that_has_workers_ends_well(how, expected, warm_cache):
    program = f"""
import atexit, json, threading, time
from support import programs
from fastbp import BackpropClassifier
endless = BackpropClassifier((64,), batch_size=500, max_iter=10**9, n_iter_no_change=10**9)
def digest():
    print(json.dumps(programs.digest()), flush=True)
digest()
{ENDING[how]}
"""
    for _ in range(5):
        assert run(program, warm_cache) == expected
