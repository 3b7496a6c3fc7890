"""Ctrl-C from outside, in the middle of an epoch that would take a long time."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.programs import CTRL_C, FOLDER, TIMEOUT

# PROGRAM: an epoch, or an evaluation, takes some twenty minutes, far more than a test may.
PROGRAM = """
import json, warnings
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from fastbp import BackpropClassifier
from fastbp.kernels import step
X = sliding_window_view(np.random.default_rng(0).normal(size=2_000_000), 200)
y = (X[:, 0] > 0).astype(int)
model = BackpropClassifier((2048, 2048), max_iter=1, random_state=0, warm_start=True, **PARAMETERS)
warnings.simplefilter("ignore")
model.fit(X[:500], y[:500])
calls = 0
def announcing(kernel):
    def call(*args):
        global calls
        calls += 1
        if calls == 2:
            print("in an epoch", flush=True)
        return kernel(*args)
    return call
step.train = announcing(step.train)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, y)
messages = [str(warning.message) for warning in caught if "batch_size" not in str(warning.message)]
epochs = model.n_iter_
first = model.predict_proba(X[:500])
loss = model.fit(X[:500], y[:500]).loss_
print(json.dumps([messages, epochs, bool(np.isfinite(first).all() and np.isfinite(loss))]))
"""
SOLVERS = {
    "adam": {},
    "sgd in one batch": {"solver": "sgd", "batch_size": 10**9},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.1},
    "gd": {"solver": "gd"},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize(
    ("solver", "n_threads"), [*((solver, "1") for solver in SOLVERS), ("adam", "4"), ("lbfgs", "4")]
)
def test_an_interrupt_in_a_long_epoch_gives_a_model_that_predicts_and_trains_on(solver, n_threads, warm_cache):
    program = PROGRAM.replace("PARAMETERS", repr(SOLVERS[solver]))
    environment = os.environ | {"NUMBA_CACHE_DIR": str(warm_cache), "NUMBA_NUM_THREADS": n_threads}
    command, pipe = [sys.executable, "-c", CTRL_C + program], subprocess.PIPE
    with subprocess.Popen(command, env=environment, cwd=FOLDER, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "in an epoch\n", process.communicate()[1][-3000:]
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, errors[-3000:]
    assert json.loads(output) == [["Training interrupted by user."], 0, True]
