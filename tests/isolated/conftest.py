"""The tests in this folder start processes that take long. All are marked `isolated`, and they share warm caches."""

import os
import pathlib
import subprocess
import sys

import pytest

from support.programs import run

# WARM_UP compiles training and prediction, parallel and serial.
WARM_UP = """
import json
from support import programs
programs.foreign_kernel(programs.np.ones(100))
programs.digest()
print(json.dumps(programs.digest(n_jobs=1)))
"""


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory):
    """A NUMBA_CACHE_DIR with the kernels of WARM_UP, for tests that start processes. It must stay as it is."""
    cache = os.environ.get("NUMBA_CACHE_DIR") or tmp_path_factory.mktemp("cache")
    run(WARM_UP, cache)
    return cache


@pytest.fixture(params=["omp", "workqueue", "tbb"])
def layer(request, monkeypatch):
    """A threading layer that loads on this machine. Every process that the test starts uses it."""
    monkeypatch.setenv("NUMBA_THREADING_LAYER", request.param)
    if request.param == "tbb":  # TBB's package puts the library where the loader does not look
        folders = [str(pathlib.Path(sys.prefix) / "lib"), os.environ.get("LD_LIBRARY_PATH")]
        monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(filter(None, folders)))
    program = "import numba; numba.get_num_threads()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        assert "No threading layer could be loaded" in done.stderr
        pytest.skip(f"the threading layer {request.param} does not load here")
    return request.param


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.isolated)
    item.add_marker(pytest.mark.posix)  # most of them fork, send signals or look for folders where POSIX has them
