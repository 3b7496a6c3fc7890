"""The inputs of the networks: the table in each encoding."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..encoding.encoder import TableEncoder
from ..encoding.frames import n_columns
from ..estimators.validation_set import errors_name_validation_set
from . import recipe


class Inputs:
    """The encoded table, in all encodings that are in use.

    Parameters
    ----------
    X : table
        The table of the fit.
    y : ndarray
        The target, for encodings that depend on it: the codes of classes, or numbers.
    X_val : table or None
        The user's validation set.
    options : dict
        Parameters of all encoders.
    """

    def __init__(self, X: Any, y: NDArray, X_val: Any, options: dict[str, Any]):
        self._X, self._y, self._X_val, self._options = X, y, X_val, options
        self._encoders: dict[str, TableEncoder] = {}
        self._encoded: dict[str, tuple[Any, Any]] = {}

    def __getitem__(self, name: str) -> tuple[Any, Any]:
        """The encoded table and the encoded validation set, which is None if there is none."""
        if name not in self._encoded:
            # The encoder refuses a table without columns.
            encoder = recipe.encoder(name, (len(self._y), max(1, n_columns(self._X))), self._options)
            encoded, given = encoder.fit_transform(self._X, self._y), None
            if self._X_val is not None:
                with errors_name_validation_set():
                    given = encoder.transform(self._X_val)
            self._encoders[name], self._encoded[name] = encoder, (encoded, given)
        return self._encoded[name]

    def encoder(self, name: str) -> TableEncoder:
        """The fitted encoder of this encoding."""
        if name not in self._encoders:
            self[name]  # fits it
        return self._encoders[name]

    def drop_if_equal(self, name: str, others: Iterable[str]) -> bool:
        """Free the memory of an encoding if it is equal to one of the others on this table. Returns whether it is.

        For instance, all encodings are equal if no column has numbers, and some are if the columns have few different
        numbers, or if the table is so large that the encodings have the same limits.
        """
        encoded, _ = self[name]
        equal = any(_are_equal(encoded, self[other][0]) for other in others)
        if equal:
            del self._encoded[name]
        return equal

    def width(self, name: str) -> int:
        """The number of inputs of a network with this encoding."""
        return int(self[name][0].shape[1])

    @property
    def n_bytes(self) -> int:
        """The memory of the encoded tables."""
        return sum(_n_bytes(table) for pair in self._encoded.values() for table in pair if table is not None)

    def keep(self, names: Iterable[str]) -> None:
        """Free the memory of all other encodings."""
        kept = set(names)
        self._encoded = {name: encoded for name, encoded in self._encoded.items() if name in kept}


def _arrays(table: Any) -> tuple[NDArray, ...]:
    return (table.data, table.indices, table.indptr) if issparse(table) else (table,)


def _n_bytes(table: Any) -> int:
    return sum(array.nbytes for array in _arrays(table))


def _are_equal(a: Any, b: Any) -> bool:
    if a.shape != b.shape or issparse(a) != issparse(b):
        return False
    return all(np.array_equal(x, y) for x, y in zip(_arrays(a), _arrays(b), strict=True))
