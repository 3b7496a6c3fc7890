"""The inputs of the networks: the table in each encoding."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from ..encoding.encoder import TableEncoder
from ..encoding.frames import n_columns
from . import recipe


class Inputs:
    """The encoded table, in all encodings that are in use.

    Parameters
    ----------
    X : table
        The table of the fit.
    y : ndarray
        The target, for encodings that depend on it.
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
            encoder = recipe.encoder(name, (len(self._y), n_columns(self._X)), self._options)
            encoded = encoder.fit_transform(self._X, self._y)
            given = None if self._X_val is None else encoder.transform(self._X_val)
            self._encoders[name], self._encoded[name] = encoder, (encoded, given)
        return self._encoded[name]

    def encoder(self, name: str) -> TableEncoder:
        """The fitted encoder of this encoding."""
        if name not in self._encoders:
            self[name]  # fits it
        return self._encoders[name]

    def width(self, name: str) -> int:
        """The number of inputs of a network with this encoding."""
        return int(self[name][0].shape[1])

    def keep(self, names: Iterable[str]) -> None:
        """Free the memory of all other encodings."""
        kept = set(names)
        self._encoded = {name: encoded for name, encoded in self._encoded.items() if name in kept}
