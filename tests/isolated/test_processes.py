"""Processes made by fork, by multiprocessing and by joblib: none dies, none hangs, and all find the same bits."""

import pytest

from support.programs import run

OURS = "assert programs.digest() == expected"
FOREIGN = "programs.foreign_kernel(programs.np.ones(1000))"

# FORK prints whether the parent runs in parallel after the fork, and how a child and a grandchild ended, which also run
# in parallel.
FORK = """
import fastbp, json
from support import programs
expected, calls = "{expected}", programs.Calls()
{launch}
def in_parallel():
    before = calls.parallel
    return programs.digest() == expected and calls.parallel > before
child = programs.in_child(in_parallel)
grandchild = programs.in_child(lambda: programs.status(programs.in_child(in_parallel)) == 0)
before = calls.parallel
assert programs.digest() == expected
print(json.dumps([calls.parallel > before, programs.status(child), programs.status(grandchild)]))
"""


@pytest.mark.parametrize("launch", [pytest.param(OURS, id="ours"), pytest.param(FOREIGN, id="foreign")])
def test_after_a_parallel_kernel_and_fork_everybody_can_fit_in_parallel(launch, expected, warm_cache):
    found = run(FORK.format(expected=expected, launch=launch), warm_cache)
    assert found == [True, 0, 0]


# LATE_IMPORT is like FORK, but fastbp is imported after the fork. So fastbp has not seen the fork.
LATE_IMPORT = """
import json
from support import programs
programs.foreign_kernel(programs.np.ones(1000))
def in_parallel():
    calls = programs.Calls()
    return programs.digest() == "{expected}" and calls.parallel > 0
child = programs.in_child(in_parallel)
grandchild = programs.in_child(lambda: programs.status(programs.in_child(in_parallel)) == 0)
calls = programs.Calls()
assert programs.digest() == "{expected}"
print(json.dumps([calls.parallel > 0, programs.status(child), programs.status(grandchild)]))
"""


def test_a_child_that_imports_fastbp_after_the_fork_can_fit_in_parallel(expected, warm_cache):
    assert run(LATE_IMPORT.format(expected=expected), warm_cache) == [True, 0, 0]


# Work of a thread while another thread forks. Each may hold a lock that a fit needs.
COMPILE = """
    def slow(): pass
    @numba.extending.overload(slow)
    def compile_slowly():
        begun.set()
        time.sleep(2)
        return lambda: 1
    numba.njit(lambda: slow())()
"""
PARSE = """
    module = "".join(f"define i32 @f{i}() {{ ret i32 {i} }} " for i in range(1000))
    begun.set()
    while not forked.is_set():
        llvmlite.binding.parse_assembly(module)
"""
DRAW = """
    begun.set()
    while not forked.is_set():
        numpy.random.uniform(size=1_000_000)
"""
BEGIN_TO_FIT = """
    round_up = layout.round_up
    def slowly(n, multiple):
        layout.round_up = round_up
        begun.set()
        time.sleep(2)
        return round_up(n, multiple)
    layout.round_up = slowly
    programs.fitted()
"""
FORK_MEANWHILE = """
import json, llvmlite.binding, numba, numba.extending, numpy, threading, time
from support import programs
from fastbp import BackpropClassifier  # from here on, fastbp takes part in every fork
from fastbp.network import layout
begun, forked = threading.Event(), threading.Event()
def work():
{work}
def fits():
    programs.fitted(random_state=None)
    return programs.digest() == "{expected}"
thread = threading.Thread(target=work)
thread.start()
begun.wait()
time.sleep(0.5)
child = programs.in_child(fits)
forked.set()
thread.join()
print(json.dumps([programs.status(child), fits()]))
"""


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(COMPILE, id="compiles"),
        pytest.param(PARSE, id="parses"),
        pytest.param(DRAW, id="draws"),
        pytest.param(BEGIN_TO_FIT, id="fits"),
    ],
)
def test_a_child_can_fit_whatever_another_thread_did_at_the_fork(work, expected, warm_cache):
    assert run(FORK_MEANWHILE.format(work=work, expected=expected), warm_cache) == [0, True]


FORK_TOGETHER = """
import json, os, sys, threading
from fastbp import BackpropClassifier  # from here on, fastbp takes part in every fork
sys.setswitchinterval(1e-6)
def work():
    for _ in range(300):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps("done"))
"""


def test_two_threads_can_fork_at_once(warm_cache):
    assert run(FORK_TOGETHER, warm_cache) == "done"


FORK_WITHIN = """
import json, os
from support import programs
from fastbp.training.observer import watch
children = []
def fork(epoch, *_):
    if epoch == 2:
        children.append(os.fork())
with watch(fork):
    digest = programs.digest()
if children == [0]:
    os._exit(digest != "EXPECTED")
print(json.dumps([programs.status(children[0]), digest]))
"""


# A fork waits for the compiler's lock, then for the global generator's. The first shuffle must not wait for them in the
# other order.
FIRST_SHUFFLE = """
import json, os, threading, time
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from fastbp.training import shuffling
compiling = threading.Event()
def compile():
    with global_compiler_lock:
        compiling.set()
        time.sleep(1)
def fork():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
def shuffle():
    time.sleep(0.3)
    shuffling.shuffle(np.arange(1500), np.random.mtrand._rand)
threads = [threading.Thread(target=work, daemon=True) for work in (compile, fork, shuffle)]
threads[0].start()
compiling.wait()
for thread in threads[1:]:
    thread.start()
for thread in threads:
    thread.join(30)
print(json.dumps([thread.is_alive() for thread in threads]), flush=True)
os._exit(0)
"""


def test_a_fork_and_the_first_shuffle_of_a_process_do_not_wait_for_each_other(warm_cache):
    assert run(FIRST_SHUFFLE, warm_cache) == [False, False, False]


def test_a_child_forked_by_a_callback_can_finish_the_fit(expected, warm_cache):
    assert run(FORK_WITHIN.replace("EXPECTED", expected), warm_cache) == [0, expected]


# SERVER: all children have begun before the first of them predicts.
SERVER = """
import json, os
from support import programs
model, calls = programs.fitted(), programs.Calls()
read, write = os.pipe()
def serve():
    os.close(write)
    os.read(read, 1)
    return {programs.digest_of(model) for _ in range(20)} == {"EXPECTED"} and calls.parallel > 0
children = [programs.in_child(serve) for _ in range(4)]
os.close(write)
parent = programs.digest_of(model)
print(json.dumps([[programs.status(child) for child in children], parent, calls.parallel > 0]))
"""


def test_four_children_of_a_server_predict_at_once_with_the_model_it_fitted(expected, warm_cache):
    found = run(SERVER.replace("EXPECTED", expected), warm_cache)
    assert found == [[0, 0, 0, 0], expected, True]


POOL = """
import json, multiprocessing
from support import programs
programs.digest()
with multiprocessing.get_context("{method}").Pool(2) as pool:
    found = pool.map(programs.in_worker, [None] * 4, chunksize=1)
print(json.dumps([found, programs.digest()]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_run_in_parallel_and_find_the_same_bits(method, expected, warm_cache):
    found, parent = run(POOL.format(method=method), warm_cache)
    assert [(digest, calls > 0) for digest, calls in found] == [(expected, True)] * 4
    assert parent == expected


JOBLIB = """
import json, joblib
from support import programs
programs.digest()
with joblib.parallel_backend({config}):
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(programs.in_worker)({n_jobs}) for _ in range(3))
print(json.dumps(found))
"""


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    "config",
    [
        # Without this number loky gives each worker its share of the cores.
        pytest.param("'loky', inner_max_num_threads=2", id="loky"),
        pytest.param("'multiprocessing'", id="multiprocessing"),
        pytest.param("'threading'", id="threading"),
    ],
)
def test_in_a_joblib_worker_a_fit_is_serial_unless_n_jobs_asks_for_threads(config, n_jobs, expected, warm_cache):
    found = run(JOBLIB.format(config=config, n_jobs=n_jobs), warm_cache, JOBLIB_START_METHOD="forkserver")
    assert [digest for digest, _ in found] == [expected] * 3
    assert any(calls for _, calls in found) == (n_jobs is not None)


# The last line of START compiles a function that needs Numba's runtime. Our machine code does not need it.
START = """
import json, numba, numpy, sys
from support import programs
programs.fitted(n_jobs=1)
loaded = [name for name in {unneeded} if name in sys.modules]
print(json.dumps([loaded, int(numba.njit(lambda n: numpy.linalg.norm(numpy.full(n, 2.0)))(4))]))
"""


def test_a_first_fit_loads_no_more_than_it_needs_and_leaves_numba_able_to_compile(warm_cache):
    unneeded = ["sklearn.metrics", "sklearn.model_selection", "sklearn.neural_network", "numba.np.linalg", "dask"]
    assert run(START.format(unneeded=unneeded), warm_cache) == [[], 4]
