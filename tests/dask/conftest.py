"""The workers and the examples of the tests that compare fits on Dask with fits on one machine."""

import numpy as np
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="module")
def two_processes():
    """A client of two worker processes."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(60, 5))


@pytest.fixture(scope="module")
def y(X):
    """Three classes. The last one is rare."""
    return np.digitize(X @ np.arange(1, 6), [-3, 7])


@pytest.fixture(scope="module")
def weights():
    """Weights of the examples. Some are zero."""
    return np.random.default_rng(1).integers(0, 4, size=60) * 0.5
