"""A frozen application, as a zip file on the path: its sources lie in no folder, and its kernels are kept too."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from support.documents import PACKAGE

PROGRAM = """
import json, sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
import fastbp
from fastbp.kernels.compiling.jit import KEPT
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
loss = fastbp.BackpropClassifier((5,), max_iter=2, random_state=0, n_jobs=1, verbose=True).fit(X, y).loss_
print(json.dumps([fastbp.__file__, loss, sum(sum(kernel.stats.cache_misses.values()) for kernel in KEPT)]))
"""


@pytest.fixture
def frozen(tmp_path):
    path = tmp_path / "application.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for source in PACKAGE.rglob("*.py"):
            archive.write(source, source.relative_to(PACKAGE.parent))
    return path


def run(frozen, **environment):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    command = [sys.executable, "-c", PROGRAM, str(frozen)]
    done = subprocess.run(command, env=environment, cwd=frozen.parent, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_second_process_of_a_frozen_application_compiles_nothing(frozen, tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (file, loss, misses), said = run(frozen, **cache)
    assert file.startswith(str(frozen))
    assert misses > 0
    assert "the result is kept on disk" in said
    assert run(frozen, **cache)[0] == [file, loss, 0]


def test_a_fit_says_that_nothing_can_be_kept(frozen, tmp_path):
    file = tmp_path / "file"
    file.touch()
    nowhere = {name: str(file) for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")}
    program_of_no_folder = "import tempfile; tempfile.tempdir = '/dev/null'\n"
    command = [sys.executable, "-c", program_of_no_folder + PROGRAM, str(frozen)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | nowhere
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "no folder takes the result" in done.stderr
