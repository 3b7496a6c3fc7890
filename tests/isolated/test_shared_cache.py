"""The disk cache between processes: images warmed for other users, other CPUs, two processes at once."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

import fastbp

TIMEOUT = 1200  # seconds; turns a hang into a failure
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
STRANGER = 12345  # a user without a home


def start(package, program, *arguments, **environment):
    """A new process that runs a program with this package. Its first usable cache folder is the package's own.

    environment: further variables. None unsets a variable.
    """
    nowhere = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": "/dev/null", "NUMBA_NUM_THREADS": "2"}
    settings = os.environ | nowhere | {"PYTHONPATH": str(package.parent)} | environment
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", *program, *arguments],
        env={name: value for name, value in settings.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=package.parent,
    )


def finish(process):
    """(exit code, output) of a process."""
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    return process.returncode, output


def run(package, program, *arguments, **environment):
    code, output = finish(start(package, program, *arguments, **environment))
    assert code == 0, output[-3000:]
    return output


def copy_of_the_package(folder):
    package = folder / "fastbp"
    shutil.copytree(pathlib.Path(fastbp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def snapshot(package):
    return {file: file.stat().st_mtime_ns for file in package.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def image():
    """(a package that others can read, warmed up by its owner with one thread; the output of the warm-up)."""
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to other users
        os.chmod(folder, 0o755)
        package = copy_of_the_package(pathlib.Path(folder))
        printed = run(package, ["-m", "fastbp", "warmup"], NUMBA_NUM_THREADS="1")
        yield package, printed


COUNT = """
def report():
    from fastbp.kernels.compiling.jit import KEPT
    for kernel in KEPT:
        stats = kernel.stats
        print("kernel", kernel.__name__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""

# EVERYTHING: all that a user may do, on one thread and on two.
EVERYTHING = f"""
{COUNT}
import itertools, sys
import numpy as np
import scipy.sparse
from fastbp import BackpropClassifier, textbook
from fastbp.parallel import team

team.MIN_WORK = 0
rng = np.random.default_rng(0)
labels, several = np.arange(40) % 3, rng.integers(2, size=(40, 2))
for dtype, n_jobs in itertools.product((np.float32, np.float64), (1, 2)):
    X = rng.normal(size=(40, 5)).astype(dtype)
    frozen = X.copy()
    frozen.flags.writeable = False
    inputs = [X, np.asfortranarray(X), X[:, ::-1], frozen, scipy.sparse.csr_matrix(X), scipy.sparse.csr_array(X)]
    solvers = [dict(solver="adam"), dict(solver="sgd"), dict(solver="sgd", momentum=0), dict(solver="lbfgs"),
               dict(solver="gd"), dict(early_stopping=True), dict(hidden_layer_sizes=(4, 3)), dict(fit_intercept=False),
               dict(dropout=0.2, input_dropout=0.1), dict(learning_rate="cosine", weight_decay=0.1, max_grad_norm=1.0)]
    for x, settings, y in itertools.product(inputs, solvers, (labels, several)):
        clf = BackpropClassifier(**{{"hidden_layer_sizes": (3,), "max_iter": 2, "n_jobs": n_jobs}} | settings)
        clf.fit(x, y)
        clf.predict_proba(x)
    clf = BackpropClassifier((3,), n_jobs=n_jobs, max_iter=2)
    clf.fit(X, labels, sample_weight=rng.random(40)).predict(X[:1])
    clf.partial_fit(X, labels).score(X, labels)
    coefs, intercepts = [rng.normal(size=(5, 2))], [rng.normal(size=2)]
    textbook.loss_and_gradient(X, np.eye(2)[rng.integers(2, size=40)], coefs, intercepts)

import dask.array
import fastbp.dask
from distributed import Client
with Client(processes=False, dashboard_address=":0"):
    for dtype in (np.float32, np.float64):
        X = dask.array.from_array(rng.normal(size=(40, 5)).astype(dtype), chunks=(20, 5))
        fastbp.dask.BackpropClassifier((3,), max_iter=2).fit(X, labels)
report()
"""

# STRANGERS_FIT: a fit on one thread as another user. This user can read the package but not write it. Late imports are
# made before, because only root may be able to read the folder of the interpreter.
STRANGERS_FIT = f"""
{COUNT}
import os, sys
import numba
import numpy as np
from fastbp import BackpropClassifier
X, y = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) % 3
numba.njit(lambda x: x + 1)(1.0)
if {AS_ROOT}:
    os.setgroups([])
    os.setgid({STRANGER})
    os.setuid({STRANGER})
clf = BackpropClassifier((3,), max_iter=2, n_jobs=1, random_state=0).fit(X, y)
assert len(clf.predict(X)) == 40
report()
"""

# ONE_KERNEL prints softplus(0) in a given dtype, and whether the kernels came from the disk.
ONE_KERNEL = f"""
{COUNT}
import sys
import numpy as np
from fastbp import textbook
X = np.zeros((1, 1), sys.argv[1])
print("softplus", float(textbook.forward(X, [X + 1], None, out_activation="softplus")[-1][0, 0]))
report()
"""


ENTRIES = ("transpose_all", "step_all", "train", "train_with_extras", "predict")
# FIT: the kernels of a fit and a prediction on one thread, with three relu units and three classes. ONE: the kernels of
# ONE_KERNEL.
FIT = ("transpose_all", "train", "predict", "relu", "relu_slope", "affine_1", "outer_1", "adam")
FIT += ("gather_64", "softmax", "softmax_cross_entropy")
ONE = {
    dtype: ("predict", "affine_1", "softplus_units", "elementwise_outputs", gather)
    for dtype, gather in (("float32", "gather_32"), ("float64", "gather_64"))
}


def kernels(output):
    """{kernel: (cache hits, cache misses)} of the kernels that were used."""
    rows = [line.split()[1:] for line in output.splitlines() if line.startswith("kernel ")]
    assert len(rows) > 5, output
    return {name: (int(hits), int(misses)) for name, hits, misses in rows if hits != "0" or misses != "0"}


def test_warmup_leaves_nothing_to_compile_for_any_fit_or_prediction(image):
    package, printed = image
    before = snapshot(package / "kernels" / "__pycache__")
    found = kernels(run(package, ["-c", EVERYTHING]))
    assert {misses for _, misses in found.values()} == {0}, found
    assert {name: found[name] for name in ENTRIES} == dict.fromkeys(ENTRIES, (2, 0))  # float32 and float64
    kept = {file: time for file, time in snapshot(package / "kernels" / "__pycache__").items() if file in before}
    assert kept == before
    assert printed.count("compiled") == 8
    assert f"in\n  {package}/kernels/__pycache__/kernels-" in printed


def test_a_second_warmup_finds_all_there(image):
    package, _ = image
    printed = run(package, ["-m", "fastbp", "warmup", "--dtype", "float32"])
    assert printed.count("already there") == 4
    assert "compiled" not in printed


def test_another_user_on_a_read_only_system_loads_the_kernels_of_the_image(image):
    package, _ = image
    folders = [path for path in package.rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        output = run(package, ["-c", STRANGERS_FIT], HOME=None, NUMBA_CACHE_DIR="/dev/null/nowhere")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert kernels(output) == dict.fromkeys(FIT, (1, 0))


@pytest.mark.skipif(not AS_ROOT, reason="only root can become a user who may write nowhere")
def test_a_user_who_can_write_nowhere_compiles_in_every_process():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        package = copy_of_the_package(pathlib.Path(folder))
        program = f"import tempfile; tempfile.tempdir = '/dev/null/nowhere'\n{STRANGERS_FIT}"
        output = run(package, ["-c", program], HOME=None, NUMBA_CACHE_DIR="/dev/null/nowhere")
        assert kernels(output) == dict.fromkeys(FIT, (0, 1))
        assert not list(pathlib.Path(folder).rglob("*.kernel"))


def test_warmup_says_so_where_nothing_can_be_kept(tmp_path):
    package = copy_of_the_package(tmp_path)
    (package / "kernels" / "__pycache__").write_bytes(b"a file where a folder should be")
    program = "import sys, tempfile; tempfile.tempdir = '/dev/null'; from fastbp.cli.main import main; sys.exit(main())"
    code, printed = finish(start(package, ["-c", program], "warmup", "--dtype", "float32"))
    assert code == 1, printed
    assert "every process has to compile anew" in printed
    assert printed.count("refused: ") == 3
    assert printed.count("compiled") == 2  # once per line: the first kernel, and the explanation


def test_two_processes_that_compile_at_once_leave_a_cache_that_serves_both(tmp_path):
    package = copy_of_the_package(tmp_path)
    dtypes = ["float32", "float64", "float32", "float64"]
    processes = [start(package, ["-c", ONE_KERNEL], dtype) for dtype in dtypes]
    outputs = [finish(process) for process in processes]
    assert [code for code, _ in outputs] == [0] * 4, outputs
    for dtype in ("float32", "float64"):
        output = run(package, ["-c", ONE_KERNEL], dtype)
        assert kernels(output) == dict.fromkeys(ONE[dtype], (1, 0))
        value = float(re.search(r"^softplus (.+)$", output, re.M)[1])
        assert value == pytest.approx(0.6931471805599453, rel=1e-7 if dtype == "float32" else 1e-15)


def test_code_for_another_cpu_is_not_loaded_though_it_lies_beside(tmp_path):
    package = copy_of_the_package(tmp_path)
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    for environment, hits in (({}, 0), (other, 0), ({}, 1), (other, 1)):
        output = run(package, ["-c", ONE_KERNEL], "float64", **environment)
        assert kernels(output) == dict.fromkeys(ONE["float64"], (hits, 1 - hits))
        assert "softplus 0.69314718055994" in output
    assert len({file.parent for file in package.rglob("*.kernel")}) == 1
