"""The classifier's parameter `class_weight`: its checks, and the weight of each class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from ..data.targets import MULTILABEL, Labels, positions


def class_weights(class_weight: Any, target: Labels, y: NDArray, *, incremental: bool) -> tuple[NDArray, ...] | None:
    """Weights of the classes for the training labels y; None means that every weight is 1.

    The tuple has one array with the weights of all classes. For a multilabel target it has one array per output, with
    the weights of 0 and 1.
    """
    if class_weight is None:
        return None
    _check_form(class_weight, target)
    if incremental and class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' is not supported by partial_fit, because it sees only a part of the data. Pass "
            "the weights of the classes as a dict."
        )
    if target.kind == MULTILABEL:
        of_outputs = class_weight if isinstance(class_weight, list) else ["balanced"] * target.n_outputs
        weights = tuple(_weights_of(one, np.array([0, 1]), column) for one, column in zip(of_outputs, y.T, strict=True))
    else:
        weights = (_weights_of(class_weight, target.classes, y),)
    if not all(np.isfinite(w).all() and (w >= 0).all() for w in weights):
        raise ValueError(f"class_weight must be finite and >= 0, got {class_weight!r}.")
    return weights


def _check_form(class_weight: Any, target: Labels) -> None:
    """Check that class_weight is a dict, a list of dicts or 'balanced', as the target needs; raises ValueError."""
    needed, fits = "a dict", isinstance(class_weight, dict)
    if target.kind == MULTILABEL:
        n = target.n_outputs
        needed = f"a list of {n} dicts, one per output,"
        fits = (
            isinstance(class_weight, list)
            and len(class_weight) == n
            and all(isinstance(one, dict) for one in class_weight)
        )
    if not fits and class_weight != "balanced":
        raise ValueError(
            f"For a {target.kind} target class_weight must be {needed} or 'balanced', got {class_weight!r}."
        )


def _weights_of(class_weight: Any, classes: NDArray, y: NDArray) -> NDArray[np.float64]:
    """The weight of each class. 'balanced' counts the labels in y. It gives weight 1 to a class that is not in y."""
    present = np.unique(y) if class_weight == "balanced" else classes
    weights = np.ones(len(classes))
    try:
        weights[positions(classes, present)] = compute_class_weight(class_weight, classes=present, y=y)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"class_weight must have numbers for classes among {classes}, got {class_weight!r}: {error}"
        ) from error
    return weights
