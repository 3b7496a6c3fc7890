"""The data of an ensemble: the checks of X, y and weights, and the validation set that all members share."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

from ..data.examples import in_order
from ..estimators.checking import Checked
from ..estimators.validation_set import (
    GivenValidation,
    Rows,
    errors_name_validation_set,
    refuse_few_rows,
    refuse_small_share,
)


class Validation(NamedTuple):
    """The validation set: some rows of X (None: all rows), and y and sample_weight of these rows only."""

    X: Any
    rows: Rows | None
    y: NDArray
    sample_weight: NDArray[np.float64] | None

    @property
    def own_X(self) -> Any:
        """X of the validation set alone. It is a copy if the set has only some rows of X."""
        return self.X if self.rows is None else _safe_indexing(self.X, self.rows)


class Data(NamedTuple):
    """The data of all members, after scikit-learn's checks."""

    X: Any
    y: NDArray
    sample_weight: NDArray[np.float64] | None
    given: GivenValidation  # the user's own validation set, after its checks; without one, the fields are None
    held_out: Rows | None = None  # the rows of X that are the validation set, if the user passed none

    @property
    def validation(self) -> Validation:
        """The validation set."""
        if self.held_out is None:
            return Validation(self.given.X, None, self.given.y, self.given.sample_weight)
        weights = None if self.sample_weight is None else self.sample_weight[self.held_out]
        return Validation(self.X, self.held_out, self.y[self.held_out], weights)


def checked(ensemble: Checked, X: Any, y: Any, sample_weight: Any, given: GivenValidation) -> Data:
    """The data after their checks. Sets n_features_in_ and feature_names_in_ of the ensemble."""
    own = _checked(ensemble, X, y, sample_weight, reset=True)
    if not given.is_there:
        return Data(*own, given)
    with errors_name_validation_set():
        held_out = _checked(ensemble, *given, reset=False)
        refuse_few_rows(held_out[0].shape[0])
        _refuse_all_zero(held_out[2], slice(None), "of the validation set")
    return Data(*own, GivenValidation(*held_out))


def _checked(ensemble: Checked, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, NDArray, Any]:
    X, y = ensemble._validated(X, y, reset=reset)
    if scipy.sparse.issparse(X):
        X = in_order(X)  # otherwise each member would make an ordered copy
    weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
    return X, y, weights


def set_aside(data: Data, fraction: float, random_state: np.random.RandomState, labels: NDArray | None) -> Data:
    """The data, with some rows of X held out as the validation set.

    labels: the class of each example, or None. With labels, both parts have all classes in the same proportions.
    """
    from sklearn.model_selection import train_test_split  # imported here, because most fits do not need it

    n = len(data.y)
    try:
        train, validation = train_test_split(
            np.arange(n), test_size=fraction, random_state=random_state, stratify=labels
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction!r} of {n} examples cannot be set aside: {error} Pass X_val and y_val, or "
            "change validation_fraction."
        ) from error
    refuse_small_share(len(validation), fraction, n)
    for part, name in ((train, "training"), (validation, "validation")):
        _refuse_all_zero(data.sample_weight, part, f"of the {name} examples in this split")
    return data._replace(held_out=np.sort(validation))


def _refuse_all_zero(weights: NDArray[np.float64] | None, rows: Any, which: str) -> None:
    if weights is not None and not weights[rows].any():
        raise ValueError(
            f"All sample_weight {which} are zero. Use another random_state or validation_fraction, or leave out "
            "examples of weight zero."
        )
