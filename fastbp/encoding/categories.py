"""A column of categories as inputs of a network: one-hot, or the mean target of each category."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import TargetEncoder

from ..typing import Array
from .columns import Column, sorted_by_key
from .numbers import smooth_clip
from .target import Target

FOLDS = 5  # of the cross-fitting
Codes = NDArray[np.int64]


def positions(column: Column, places: dict[str, int], unseen: int, missing: int) -> Codes:
    """For each value, its place, or `unseen` or `missing`.

    column: a column of categories or text. places: the place of each category.
    """
    # A missing value has the code -1, which picks the last entry.
    table = np.array([*(places.get(key, unseen) for key in column.keys), missing], np.int64)
    return np.asarray(table[column.values])


def counted(column: Column) -> tuple[list[str], Codes]:
    """The categories that occur, and how often each does. Text is sorted; declared categories keep their order."""
    if column.is_text:
        column = sorted_by_key(column)
    counts = np.bincount(column.values[column.present], minlength=len(column.keys))
    seen = np.flatnonzero(counts).tolist()
    return [column.keys[code] for code in seen], counts[seen]


class Stored:
    """Base class of the encoders of categories.

    A stored encoder has its categories as one text, because skops needs hundreds of bytes for each key of a dict.
    """

    places: dict[str, int]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"places": json.dumps(self.places)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"places": json.loads(state["places"])}


class OneHotEncoder(Stored):
    """One output per category, and one for all rare categories.

    A category that the fit did not see counts as rare. If the fit had no rare categories, all outputs of an unseen
    category are 0. All outputs of a missing value are 0.

    Parameters
    ----------
    column : Column
        The column of the fit, of categories or text.
    min_frequency : int
        A category with fewer examples is rare.
    """

    def __init__(self, column: Column, min_frequency: int):
        keys, counts = counted(column)
        frequent = [key for key, count in zip(keys, counts, strict=True) if count >= min_frequency]
        rare = [key for key, count in zip(keys, counts, strict=True) if count < min_frequency]
        self.has_rare = bool(rare)
        self.n_outputs = len(frequent) + self.has_rare
        self.places = {key: place for place, key in enumerate(frequent)} | dict.fromkeys(rare, len(frequent))

    @property
    def labels(self) -> list[str]:
        """The endings that make the names of the outputs from the name of the column."""
        n_frequent = self.n_outputs - self.has_rare
        frequent = [f"_{key}" for key, place in self.places.items() if place < n_frequent]
        return [*frequent, *(["_infrequent"] if self.has_rare else [])]

    def write(self, column: Column, out: Array) -> None:
        """Encode categories; out, of shape (n_samples, n_outputs), is overwritten."""
        out[...] = 0
        places = self._places_of(column)
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1

    def sparse(self, column: Column, dtype: Any) -> sparse.csr_matrix:
        """The outputs of `write`, as a sparse matrix."""
        places = self._places_of(column)
        ends = np.concatenate([[0], np.cumsum(places >= 0)])
        columns = places[places >= 0]
        return sparse.csr_matrix((np.ones(len(columns), dtype), columns, ends), (len(places), self.n_outputs))

    def _places_of(self, column: Column) -> Codes:
        """For each value, the index of the output that is 1, or -1 if all are 0."""
        return positions(column, self.places, self.n_outputs - 1 if self.has_rare else -1, -1)


class TargetMeanEncoder(Stored):
    """The mean target of each category, shrunk towards the mean of all examples, as scikit-learn's TargetEncoder.

    There is one output per output of the target. Each is scaled to mean 0 and variance 1 in the fit, and clipped by
    `smooth_clip`. A category that the fit did not see has the mean of all examples. Missing values are a category of
    their own if the fit had some. Otherwise they have the mean of all examples too.

    Parameters
    ----------
    column : Column
        The column of the fit, of categories or text.
    target : Target
        The target of the fit.
    """

    def __init__(self, column: Column, target: Target):
        keys, _ = counted(column)
        self.places = {key: place for place, key in enumerate(keys)}
        self.target_names, self.n_outputs = target.names, len(target.names)
        codes = self._places_of(column)
        means = _means(codes, target, codes)
        self.center = means.mean(axis=0)
        scale = means.std(axis=0)
        self.scale = np.where(scale > 0, scale, 1.0)
        # One row per category, one for missing values, and one for the mean of all examples.
        self.table = self._scaled(_means(codes, target, np.arange(len(keys) + 2)))

    @property
    def labels(self) -> list[str]:
        """The endings that make the names of the outputs from the name of the column."""
        return [f"_target{name}" for name in self.target_names]

    def write(self, column: Column, out: Array) -> None:
        """Encode categories; out, of shape (n_samples, n_outputs), is overwritten."""
        out[...] = self.table[self._places_of(column)]

    def cross_fitted(self, column: Column, target: Target, random_state: np.random.RandomState) -> Array:
        """The outputs of the examples of the fit. The means for each example are those of other examples.

        A mean that includes the example's own target would reveal this target if the category is rare.
        """
        codes = self._places_of(column)
        result = np.empty((len(codes), len(self.target_names)))
        for train, test in _folds(target, len(codes), random_state):
            result[test] = _means(codes[train], target.take(train), codes[test])
        return self._scaled(result)

    def _scaled(self, means: Array) -> Array:
        return smooth_clip((means - self.center) / self.scale)

    def _places_of(self, column: Column) -> Codes:
        """For each value, its row in `table`."""
        return positions(column, self.places, len(self.places) + 1, len(self.places))


def _means(codes: Codes, target: Target, queries: Codes) -> Array:
    """Shrunk mean of each output of the target for some categories. Categories without examples get the mean of all."""
    means = np.empty((len(queries), len(target.names)))
    for j in range(len(target.names)):
        encoder = TargetEncoder(target_type="continuous").fit(codes[:, np.newaxis], target.output(j))
        means[:, j] = encoder.transform(queries[:, np.newaxis])[:, 0]
    return means


def _folds(target: Target, n: int, random_state: np.random.RandomState) -> Any:
    """Pairs of indices, to fit and to encode. Folds are stratified if each class has an example for each fold."""
    if target.codes is not None and np.bincount(target.codes).min() >= FOLDS:
        return StratifiedKFold(FOLDS, shuffle=True, random_state=random_state).split(np.zeros(n), target.codes)
    return KFold(min(FOLDS, n), shuffle=True, random_state=random_state).split(np.zeros(n))
