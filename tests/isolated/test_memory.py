"""Processes with measured or limited memory: nothing leaks, and a file may be larger than the memory."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from support.documents import ROOT
from support.programs import run

KINDS = {
    "classifier": "BackpropClassifier((16,), max_iter=2, n_jobs={n_jobs}).fit(X, y).predict(X)",
    "regressor": "BackpropRegressor(hidden_layer_sizes=(16,), solver='sgd', max_iter=2, n_jobs={n_jobs}).fit(X, y)",
    "early stopping": "BackpropClassifier((16,), early_stopping=True, max_iter=2, n_jobs={n_jobs}).fit(X, y)",
    "sparse": "BackpropClassifier((16,), max_iter=2, n_jobs={n_jobs}).fit(S, y).predict_proba(S)",
    "lbfgs": "BackpropRegressor(hidden_layer_sizes=(16,), solver='lbfgs', max_iter=2, n_jobs={n_jobs}).fit(X, y)",
    "partial_fit": "BackpropClassifier((16,), n_jobs={n_jobs}).partial_fit(X, y, classes=[0, 1]).partial_fit(X, y)",
    # with work for several threads
    "threads": "BackpropClassifier((256, 256), max_iter=1, n_jobs={n_jobs}).fit(X, y).predict(X)",
    "a shape each": "BackpropClassifier((1 + i % 150,), max_iter=1, n_jobs={n_jobs}).fit(X, y).predict(X)",
}
SLOPE = """
import json, pathlib, re
import numpy as np, scipy.sparse
from fastbp import BackpropClassifier, BackpropRegressor
X = np.random.default_rng(0).normal(size=(200, 8))
y, S = (X[:, 0] > 0).astype(int), scipy.sparse.csr_array(X * (X > 0))
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
found = []
for i in range(1001):
    FIT
    if i >= 200 and i % 50 == 0:
        found.append(resident())
print(json.dumps(float(np.polyfit(50 * np.arange(len(found)), found, 1)[0])))
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux only")
@pytest.mark.parametrize("n_jobs", [1, None])
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_fits_leave_less_than_a_kilobyte_each(kind, n_jobs, warm_cache):
    program = SLOPE.replace("FIT", KINDS[kind].format(n_jobs=n_jobs))
    assert run(program, warm_cache) < 1  # KB per fit


# A row of the file takes 4,000 bytes in float32, 2,000 in int16. y and orders take some 100 bytes per row.
N, N_FEATURES, LIMIT = 60_000, 1000, 32 << 20
FILE = """
import json, resource, sys
import numpy as np
from fastbp import BackpropClassifier, BackpropRegressor
path, dtype, solver, limited = PARAMETERS
kind = BackpropRegressor if solver.startswith("reg") else BackpropClassifier
options = {
    "adam": {}, "early stopping": {"early_stopping": True}, "gd": {"solver": "gd"}, "lbfgs": {"solver": "lbfgs"},
    "regressor": {"early_stopping": True},
}[solver]
def fit(X, y):
    model = kind(hidden_layer_sizes=(16,), max_iter=1, random_state=0, dtype=dtype, n_jobs=1, **options).fit(X, y)
    return model.predict(X), model.coefs_[0]
X = np.load(path, mmap_mode="r")
y = np.array(X[:, 0] > 1).astype(int)
fit(np.array(X[:500]), y[:500])
fit(X[:500], y[:500])
if limited:
    private = 1024 * int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData")))
    resource.setrlimit(resource.RLIMIT_DATA, (private + limited, private + limited))
    try:
        np.zeros(2 * limited, np.uint8)
        raise AssertionError("no limit")
    except MemoryError:
        pass
predicted, coefs = fit(X, y)
assert len(predicted) == len(X) and np.isfinite(coefs).all()
print(json.dumps([float(np.mean(predicted)), float(np.abs(coefs).sum())]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of the same numbers, in a dtype that the kernels read and in others."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    numbers = rng.integers(0, 4, (1000, N_FEATURES))
    paths = {}
    for dtype in ("f4", "i2", ">f4"):
        paths[dtype] = folder / f"{dtype}.npy"
        file = np.lib.format.open_memmap(paths[dtype], "w+", dtype, (N, N_FEATURES))
        for start in range(0, N, 1000):
            file[start : start + 1000] = np.roll(numbers, start // 1000, axis=1)
    yield paths
    for path in paths.values():
        path.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count memory maps as Linux does")
@pytest.mark.parametrize(
    ("file", "dtype", "solver"),
    [
        ("f4", "float32", "adam"),
        ("f4", "float64", "early stopping"),
        ("f4", "auto", "regressor"),
        ("f4", "auto", "lbfgs"),
        ("i2", "float32", "early stopping"),
        ("i2", "auto", "regressor"),
        ("i2", "auto", "gd"),
        (">f4", "auto", "adam"),
    ],
)
def test_a_file_of_several_times_the_memory_is_learned_and_predicted(file, dtype, solver, files, warm_cache):
    assert files[file].stat().st_size > 3 * LIMIT
    program = FILE.replace("PARAMETERS", repr((str(files[file]), dtype, solver, LIMIT)))
    run(program, warm_cache)


def test_a_file_gives_the_same_model_with_and_without_a_limit_of_memory(files, warm_cache):
    found = [
        run(FILE.replace("PARAMETERS", repr((str(files[file]), "float32", "early stopping", limit))), warm_cache)
        for file, limit in (("i2", LIMIT), ("f4", 0))
    ]
    assert found[0] == found[1]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count memory maps as Linux does")
def test_the_example_of_the_readme_learns_a_file_larger_than_its_memory(tmp_path):
    script = ROOT / "benchmarks" / "larger_than_memory.py"
    command = [sys.executable, str(script), "--file", "160", "--memory", "50", "--folder", str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    accuracies = [float(found) for found in re.findall(r"accuracy (\S+)", printed)]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.6  # of five classes
    assert not list(tmp_path.iterdir())
