"""The tests in this folder start processes that take long. All are marked `isolated`, and they share warm caches."""

import os

import pytest

from support.programs import run

# WARM_UP compiles training and prediction.
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


@pytest.fixture(scope="session")
def expected(warm_cache):
    """Digest of a serial fit and prediction."""
    return run("import json; from support import programs; print(json.dumps(programs.digest(n_jobs=1)))", warm_cache)


def pytest_itemcollected(item):
    item.add_marker(pytest.mark.isolated)
    item.add_marker(pytest.mark.posix)  # most of them fork, send signals or look for folders where POSIX has them
