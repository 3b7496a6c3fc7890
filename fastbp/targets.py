"""From labels to what a network is trained on, and from its outputs back to labels."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from .data import Examples
from .network import Array

MULTILABEL = "multilabel-indicator"


def dense_target(y: Any) -> NDArray:
    """y as a vector of labels or a dense indicator matrix; raises ValueError for anything but classes."""
    check_classification_targets(y)
    if scipy.sparse.issparse(y):
        y = y.toarray()
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def classes_of(y: NDArray, known: NDArray | None, *, subset: bool) -> NDArray:
    """Classes of y, or the known ones after a check that y has the same, or with `subset` no others."""
    classes = np.unique(y) if y.ndim == 1 and y.dtype != object else unique_labels(y)
    if known is None:
        return classes
    found, expected = set(classes.tolist()), set(known.tolist())
    if subset and not found <= expected:
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. 'y' has {classes}. "
            "All classes must be given to the first call, as `classes`."
        )
    if not subset and found != expected:
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
            f"Previously got {known}, `y` has {classes}. Set warm_start=False to fit anew."
        )
    return known


def target_kind(y: NDArray, classes: NDArray) -> str:
    """'multilabel-indicator', 'multiclass', or 'binary' for at most two classes."""
    if y.ndim == 2:
        return MULTILABEL
    return "multiclass" if len(classes) > 2 else "binary"


def encode(
    y: NDArray, target: str, classes: NDArray, loss: str
) -> tuple[NDArray[np.int64] | None, NDArray | None, int]:
    """(class codes, target matrix, number of outputs), one of the first two None.

    log_loss has scikit-learn's outputs, a single one for two classes; every other loss has one per class.
    """
    if target == MULTILABEL:
        return None, y, y.shape[1]
    if len(classes) == 1 and loss != "log_loss":
        return None, np.ones((len(y), 1)), 1  # of a single output, code 0 would be the number 0
    one_output = loss == "log_loss" and target == "binary"
    return np.searchsorted(classes, y), None, 1 if one_output else len(classes)


def winners(output: Array, n_classes: int) -> NDArray[np.int64]:
    """Code of the class with the largest output; a single output of two classes says by 1/2 which one."""
    if output.shape[1] == 1:
        return ((output[:, 0] > 0.5) & (n_classes > 1)).astype(np.int64)
    return output.argmax(axis=1)


def accuracy(output: Array, examples: Examples, chosen: NDArray[np.int64], target: str, n_classes: int) -> float:
    """Weighted share of the chosen examples that are predicted right; NaN where an output is not finite."""
    if not np.isfinite(output).all():
        return float("nan")
    if target == MULTILABEL:
        right = ((output >= 0.5) == examples.Y[chosen]).all(axis=1)
    elif n_classes == 1:
        right = np.ones(len(output))
    else:
        right = winners(output, n_classes) == examples.codes[chosen]
    return float(np.average(right, weights=examples.weights[chosen] if examples.weights.size else None))
