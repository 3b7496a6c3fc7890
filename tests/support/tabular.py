"""Small fits of both estimators for tables, and a table of columns of three kinds."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tabular import recipe

# A recipe of small networks of one shape, so that few kernels are compiled.
RECIPE: dict[str, Any] = {
    "LAYERS": ((16,),),
    "ACTIVATIONS": ("silu",),
    "EPOCHS": (30, 30),
    "SCOUT": {**recipe.SCOUT, "hidden_layer_sizes": (16,), "activation": "silu"},
    "SCOUT_EPOCHS": (10, 10),
}

KINDS = [TabularClassifier, TabularRegressor]
both = pytest.mark.parametrize("kind", KINDS)


@contextlib.contextmanager
def small_recipe() -> Iterator[None]:
    """Within this context, all candidates and all scouts are small."""
    with mock.patch.multiple(recipe, **RECIPE):
        yield


def table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Numbers, integers and text."""
    rng = np.random.default_rng(seed)
    columns = {"size": rng.normal(size=n), "rooms": rng.integers(0, 5, n)}
    return pd.DataFrame(columns | {"city": np.array(["Oslo", "Paris", "Rome"])[rng.integers(0, 3, n)]})


def numbers(X: pd.DataFrame) -> np.ndarray:
    """A target of numbers."""
    return (X["size"] + (X["city"] == "Paris")).to_numpy()


def target(kind: type, X: pd.DataFrame) -> np.ndarray:
    """A target of numbers for a regressor, and of text for a classifier."""
    return numbers(X) if kind is TabularRegressor else np.where(numbers(X) > 0.3, "yes", "no")


def problem(kind: type, n: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    X = table(n)
    return X, target(kind, X)


def small(kind: type, **params: Any) -> Any:
    return kind(**{"n_networks": 1, "random_state": 0, **params})


def networks(model: Any) -> list[Any]:
    """All networks of a fitted estimator."""
    return [network for group in model.networks_ for network in group]


def bits(model: Any) -> list[bytes]:
    """The weights of all networks, and their places."""
    arrays = [array for network in networks(model) for array in (*network.coefs_, *network.intercepts_)]
    return [array.tobytes() for array in arrays] + [repr([len(group) for group in model.networks_]).encode()]
