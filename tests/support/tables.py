"""A table with columns of all kinds, its targets, and fits on it in other threads and processes."""

import hashlib
import threading
from typing import Any

import numpy as np
import pandas as pd

COLOURS = ["red", "green", None]


def table(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """Numbers, categories, booleans, large integers, numbers in text, missing values, and a column without values."""
    rng = np.random.default_rng(seed)
    columns = {
        "price": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(size=n)),
        "rooms": rng.integers(0, 90, n),
        "colour": np.array(COLOURS, object)[rng.integers(0, 3, n)],
        "city": np.array([f"city {i}" for i in rng.integers(0, 120, n)], object),
        "is_new": rng.random(n) < 0.5,
        "account": 2**60 + rng.integers(0, 999, n),
        "note": np.array([f"{number:.2f}" for number in rng.random(n)], object),
        "size": pd.Categorical.from_codes(rng.integers(-1, 3, n), ["small", "medium", "large"]),
        "zeros": np.where(rng.random(n) < 0.8, 0.0, rng.gamma(2, size=n)),
        "tick": np.array(["yes", None], object)[rng.integers(0, 2, n)],
        "nothing": np.full(n, np.nan),
    }
    return pd.DataFrame(columns)


def numbers_of(X: pd.DataFrame) -> pd.Series:
    """A target of numbers that depends on three columns."""
    return X["price"].fillna(1) + X["rooms"] / 30 + (X["colour"] == "red")


def classes_of(X: pd.DataFrame) -> np.ndarray:
    """A target of two classes that depends on the same columns."""
    return np.where(numbers_of(X) > 3, "yes", "no")


def fit_and_threads(n_jobs: int | None = None) -> tuple[str, int]:
    """The digest of a classifier's predictions, and the largest number of threads that have trained a round.

    Workers call this function too, so it sets the small recipe itself. In the process of the tests, callers are within
    `support.tabular.small_recipe`, which restores the recipe.
    """
    from fastbp import TabularClassifier  # here, because workers import it when they need it
    from fastbp.tabular import recipe
    from support.tabular import RECIPE

    vars(recipe).update(RECIPE)
    trained: list[int] = []  # the thread of each network, in the order of the rounds
    caller, lock = threading.get_ident(), threading.Lock()

    class Recording(TabularClassifier):
        def _network(self, **parameters: Any) -> Any:
            with lock:
                if threading.get_ident() != caller:  # the caller only estimates the memory
                    trained.append(threading.get_ident())
            return super()._network(**parameters)

    X = table()
    clf = Recording(1, n_jobs=n_jobs, random_state=0).fit(X, classes_of(X))
    n = len(recipe.ENCODINGS)  # two rounds of scouts come before the round of the candidates
    rounds = [trained[:n], trained[n : 2 * n], trained[2 * n :]]
    return hashlib.sha256(clf.predict_proba(X).tobytes()).hexdigest(), max(len(set(threads)) for threads in rounds)
