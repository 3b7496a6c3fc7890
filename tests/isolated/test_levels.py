"""Kernels for levels of CPUs: made by the command line, for this machine or another, and taken by fits.

`test_distribution.py` has the wheel with such kernels.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import fastbp
from fastbp.kernels.compiling import levels, target
from support.documents import block
from support.programs import FOLDER, run

TIMEOUT = 1200  # seconds; turns a hang into a failure
HERE = target.best_level(target.TRIPLE, target.FEATURES)
# The levels whose kernels this machine can run. With the CPU of a level, Numba chooses the level's size of a vector.
RUNNABLE = [
    name
    for name, level in levels.LEVELS.items()
    if level.machine == target.MACHINE and set(level.features.split(",")) <= set(target.FEATURES.split(","))
]

# MANY_FITS trains and predicts in many ways, and prints the number of kernels that it compiled.
MANY_FITS = """
import json, warnings
import numpy as np
from fastbp import BackpropClassifier
from fastbp.kernels.compiling import cache
from fastbp.parallel import team

announced = []
cache.on_compile = lambda: announced.append(True)
warnings.simplefilter("ignore")
team.MIN_WORK = 0
X, y = np.random.default_rng(0).normal(size=(1200, 5)), np.arange(1200) % 3
for n_jobs in (1, 2):
    for settings in ({}, {"solver": "sgd", "activation": "tanh"}, {"solver": "lbfgs"}, {"dropout": 0.2}):
        clf = BackpropClassifier((3,), max_iter=2, n_jobs=n_jobs, dtype="float32", random_state=0, **settings)
        clf.fit(X, y).predict(X[:1])
print(json.dumps(len(announced)))
"""
# DIGEST prints a digest of a fit and a prediction, and the folders of the kernels in use. LEVEL replaces the level.
DIGEST = """
import json
from fastbp.kernels.compiling import target
level = LEVEL
target.level = lambda: level
from support import programs
from fastbp.cli import cache_folders
digest = programs.digest(n_jobs=1)
print(json.dumps([digest, sorted({path.parent.parent.name for path in cache_folders.files_in_use()})]))
"""


def copy_of_the_package(folder):
    ignored = shutil.ignore_patterns("__pycache__", "prebuilt")
    shutil.copytree(pathlib.Path(fastbp.__file__).parent, folder / "fastbp", ignore=ignored)
    return folder


def compile_for(level, package):
    """What the document's command prints, for another level."""
    python, *arguments = block("level-command", "sh").replace("x86-64-v3", level).split()
    assert python == "python"
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package that has the kernels of all levels that this machine can run."""
    if not RUNNABLE:
        pytest.skip("this CPU has no level")
    folder = copy_of_the_package(tmp_path_factory.mktemp("package"))
    for level in RUNNABLE:
        assert f"for {level}, in " in compile_for(level, folder)
    return folder


def test_many_fits_compile_nothing(package, tmp_path):
    path = os.pathsep.join([str(package), str(FOLDER)])
    assert run(MANY_FITS, tmp_path / "cache", PYTHONPATH=path) == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("level", RUNNABLE)
def test_kernels_of_a_level_have_the_bits_of_those_that_this_machine_compiles_for_the_level(package, tmp_path, level):
    cpu = {"NUMBA_CPU_NAME": levels.LEVELS[level].cpu, "NUMBA_CPU_FEATURES": levels.LEVELS[level].features}
    cpu["PYTHONPATH"] = os.pathsep.join([str(package), str(FOLDER)])
    taken, places = run(DIGEST.replace("LEVEL", repr(level)), tmp_path / "first", **cpu)
    assert places == ["prebuilt"]
    compiled, places = run(DIGEST.replace("LEVEL", repr("")), tmp_path / "second", **cpu)
    assert places == ["fastbp"]  # the folder in NUMBA_CACHE_DIR
    assert taken == compiled


def test_info_says_where_kernels_come_from(package, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(tmp_path)}
    info = [sys.executable, "-m", "fastbp", "info"]
    printed = subprocess.check_output(info, cwd=package, env=environment, text=True, timeout=TIMEOUT)
    (line,) = [line for line in printed.splitlines() if line.startswith("prebuilt")]
    assert f" for {HERE}, " in line
    places, names = printed[printed.index("kernels on disk") :].splitlines()[1:3]
    assert places.strip().startswith(str(package / "fastbp" / "kernels" / "prebuilt"))
    assert {"adam", "relu", "train"} <= set(names.split())


# CROSS compiles two kernels for AArch64, and prints how the CPU looks to the kernels.
CROSS = """
import json, pathlib, sys
from fastbp.kernels.compiling import levels
levels.compile_for("aarch64", pathlib.Path(sys.argv[1]))
import numpy as np
from fastbp.kernels.compiling import target
from fastbp.kernels import activations, gradient, shuffle
activations.relu.address(np.dtype(np.float64))
returned = shuffle.shuffle(np.arange(2), 1, 0, np.zeros(shuffle.N + 1, np.uint32))
print(json.dumps([target.MACHINE, target.LINUX, target.VECTOR_BYTES, target.ROWS, returned]))
"""


def test_any_machine_compiles_for_aarch64_and_does_not_run_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CROSS, str(tmp_path)], cwd=FOLDER, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["aarch64", True, 16, 8, 0]
    files = list(tmp_path.glob("*/*.kernel"))
    assert {file.name.partition("-")[0] for file in files} == {"relu", "shuffle"}
    for file in files:
        data = file.read_bytes()
        header = data[data.index(b"\x7fELF") :]
        assert int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64
