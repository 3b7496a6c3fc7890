"""The labels of a classifier. y of any library becomes a vector of labels of one kind, none of them missing."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ..data.targets import exact_labels
from ..encoding.columns import missing_objects


def labels_of(y: Any) -> NDArray:
    """The labels y as text, booleans, numbers or dates; raises ValueError or TypeError if y holds anything else.

    Objects of one kind become an array of this kind, so that predictions have it too. scikit-learn would turn the
    nullable booleans and integers of pandas into floats.
    """
    if not issparse(y):  # `column_or_1d` refuses it
        # NumPy would turn a list of text and NaN into text.
        y = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
        if y.dtype.kind == "T":  # NumPy's StringDType, which scikit-learn does not know
            y = y.astype(object)
    y = column_or_1d(y, warn=True)
    if y.dtype == object:
        y = _of_objects(y)
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("Input y contains NaT.")
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    return y


def _of_objects(y: NDArray) -> NDArray:
    """A vector of Python objects as text, booleans or numbers; raises ValueError for missing labels and mixed kinds."""
    missing = missing_objects(y)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(f"Input y contains missing labels, such as {y[row]!r} in row {row} (the first is 0).")
    types = set(map(type, y))
    for kinds in ((bool, np.bool_), (Integral,), (Real,), (str,)):
        if all(issubclass(each, kinds) for each in types):
            return np.asarray(exact_labels(y.tolist()))
    names = ", ".join(sorted(each.__name__ for each in types))
    raise ValueError(
        f"Unknown label type: y must be text only, booleans only or numbers only, got objects of the types {names}. "
        "Turn all labels into text."
    )
