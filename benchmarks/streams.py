"""scikit-learn's random numbers for peers with other generators, so that all train the same network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import shuffle
from workloads import Parameters, Workload


def initial(workload: Workload, dtype: np.dtype[Any], rng: np.random.RandomState) -> Parameters:
    """Glorot's uniform weights and biases, for relu."""
    parameters = Parameters([], [])
    for n_in, n_out in zip(workload.units, workload.units[1:], strict=False):
        bound = np.sqrt(6 / (n_in + n_out))
        parameters.coefs.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(dtype))
        parameters.intercepts.append(rng.uniform(-bound, bound, n_out).astype(dtype))
    return parameters


def orders(rows: int, epochs: int, rng: np.random.RandomState) -> Iterator[NDArray[Any]]:
    """The order of the examples in each epoch."""
    order = np.arange(rows)
    for _ in range(epochs):
        order = shuffle(order, random_state=rng)
        yield order
