"""The target y, in the form that mean targets and the edges of trees need."""

from __future__ import annotations  # the methods of Target name Target

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import type_of_target

from ..typing import Array

# Legal values of `target_type`, as in scikit-learn's TargetEncoder.
TARGET_TYPES = ("auto", "binary", "continuous", "multiclass")
NUMBERS = ("continuous", "continuous-multioutput", "multilabel-indicator")


class Target(NamedTuple):
    """Classes, or one or more numbers per example.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,) or None
        Classes: the index of the class of each example.
    numbers : ndarray of shape (n_samples, n_outputs) or None
        Numbers: y itself. A multilabel y counts as numbers.
    names : list of str
        For each output, the end of its name. Two classes have one output. Three or more have one output each.
    """

    codes: NDArray[np.intp] | None
    numbers: Array | None
    names: list[str]

    @classmethod
    def of(cls, y: ArrayLike, target_type: str) -> Target:
        """The target y; raises ValueError if it does not fit `target_type`."""
        checked = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        kind = _type_of(checked) if target_type == "auto" else target_type
        if kind in NUMBERS:
            numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y").reshape(len(checked), -1)
            one = numbers.shape[1] == 1
            return cls(None, numbers, [""] if one else [f"_{output}" for output in range(numbers.shape[1])])
        if kind not in TARGET_TYPES:
            raise ValueError(
                f"Unknown label type: y must hold one class per example, or numbers, got {kind!r}. If the classes are "
                "objects of Python, turn them into text."
            )
        classes, codes = np.unique(column_or_1d(checked, warn=True), return_inverse=True)
        if kind == "binary" and len(classes) > 2:
            raise ValueError(f"target_type must be 'multiclass' for a y of {len(classes)} classes, got 'binary'.")
        return cls(codes, None, [f"_{label}" for label in classes] if len(classes) > 2 else [""])

    def output(self, j: int) -> Array:
        """Output j of each example: a number of y, or 1 for class j, else 0. Of two classes, the second has 1."""
        if self.numbers is not None:
            return np.asarray(self.numbers[:, j])
        return np.asarray(self.codes == (1 if len(self.names) == 1 else j), np.float64)

    def take(self, rows: NDArray[np.intp]) -> Target:
        """The target of some examples."""
        codes = None if self.codes is None else self.codes[rows]
        return Target(codes, None if self.numbers is None else self.numbers[rows], self.names)


def _type_of(y: NDArray) -> str:
    """The type of the target as scikit-learn names it. If most numbers are different, they are not classes."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # scikit-learn casts all floats to integers
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        kind = type_of_target(y, input_name="y")
    is_continuous = kind == "multiclass" and y.dtype.kind in "iuf" and len(np.unique(y)) > len(y) / 2
    return "continuous" if is_continuous else str(kind)
