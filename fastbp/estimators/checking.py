"""Networks and ensembles share these parts: checks of X and y, a state at one moment, and storing."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import column_or_1d
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from ..data import examples as data
from ..data.targets import dense_labels, exact_labels
from ..version import stamped, unstamped

# `is_finite` checks about PART elements at a time, because it makes an array of as many booleans. The array then stays
# in a cache of the CPU.
PART = 1 << 17


class Checked(BaseEstimator):
    """Base class of the estimators and of the ensembles: checks of X and y, a state at one moment, and storing."""

    # ---------------------------------------------------------------- beside other threads

    def _as_now(self, *, copied: bool = False) -> Self:
        """The estimator as it is now.

        The result keeps the present attributes even if another thread fits the estimator, because a fit replaces the
        estimator's `__dict__` and does not change the old one. With `copied`, attributes that are set on the result are
        not set on the estimator.
        """
        now = object.__new__(type(self))
        now.__dict__ = self.__dict__.copy() if copied else self.__dict__
        return now

    def _take(
        self, draft: Self, fitted: Sequence[str], said: Sequence[tuple[str, type[Warning]]], *, stacklevel: int
    ) -> None:
        """Take the fitted attributes of a draft, all at once, and emit the warnings of its fit.

        If a warning was turned into an error, the estimator stays as it was. fitted: the names of all fitted
        attributes; those that the draft lacks are removed. stacklevel: of the user's code; 1 is this method.
        """
        before = self.__dict__
        taken = {name: value for name, value in draft.__dict__.items() if name in fitted}
        try:
            self.__dict__ = {name: value for name, value in before.items() if name not in fitted} | taken
            for message, category in said:
                warnings.warn(message, category, stacklevel=stacklevel)
        except BaseException:
            self.__dict__ = before
            raise

    # ---------------------------------------------------------------- checks

    def _validate_data(self, X: Any, y: Any = "no_validation", *, reset: bool, **check_params: Any) -> Any:
        """X, or X and y, after scikit-learn's checks; X has a form that `data.examples` takes.

        scikit-learn would convert and check an X in a memory-mapped file as a whole. That may need more memory than
        there is, and Ctrl-C would have to wait. So this method checks such an X some rows at a time.

        scikit-learn's checks consider every kind of container, which takes longer than the first epochs of a small
        network. So this method leaves them out for arrays that would pass them as they are.

        check_params: `multi_output` must be True if there is a y.
        """
        has_y = not isinstance(y, str)
        if (not has_y or _goes_with(y, X)) and (reset or self._has_features_of(X)) and is_clean(X):
            if reset:
                self.n_features_in_ = X.shape[1]
                self.__dict__.pop("feature_names_in_", None)
            return (X, y) if has_y else X
        if scipy.sparse.issparse(X):
            data.check_sparse(X, "X")
        if scipy.sparse.issparse(y):
            data.check_indicator(y, "y")
        in_file = data.is_file(X)
        dtype = None if in_file else data.FLOATS
        try:
            result = validate_data(
                self, X, y, accept_sparse="csr", dtype=dtype, ensure_all_finite=not in_file, reset=reset, **check_params
            )
        except (ValueError, TypeError) as error:
            columns = _columns_of_text(X)
            if not columns:
                raise
            raise (ValueError if isinstance(error, ValueError) else TypeError)(
                f"{error}. X has columns of text: {', '.join(map(repr, columns))}. Leave them out or "
                "encode them, for example in a Pipeline with a OneHotEncoder."
            ) from error
        if in_file:
            checked = result[0] if has_y else result
            rows = data.converted_rows(checked)
            for start in range(0, len(checked), rows):
                part = data.converted(checked[start : start + rows])
                assert_all_finite(part, estimator_name=type(self).__name__, input_name="X")
        return result

    def _checked_for_prediction(self, X: Any) -> Any:
        """X after scikit-learn's checks; raises NotFittedError if there was no fit."""
        if self._has_features_of(X) and is_clean(X):  # then there was a fit
            return X
        check_is_fitted(self)
        return self._validate_data(X, reset=False)

    def _has_features_of(self, X: Any) -> bool:
        """Whether X is an array with as many features as in the fit, and the fit was on an X without names."""
        return (
            type(X) is np.ndarray
            and X.shape[1:] == (getattr(self, "n_features_in_", None),)
            and not hasattr(self, "feature_names_in_")
        )

    # ---------------------------------------------------------------- storing and loading

    def __getstate__(self) -> dict[str, Any]:
        return stamped(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(state, type(self).__name__))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_clean(X: Any) -> bool:
    """Whether scikit-learn's `check_array` would return X itself: a matrix of floats that are finite.

    This check is faster than `check_array`. If it returns False, only `check_array` can tell whether X is wrong.
    """
    return type(X) is np.ndarray and X.dtype in data.FLOATS and X.ndim == 2 and X.size > 0 and is_finite(X)


def is_finite(values: NDArray) -> bool:
    """Whether all numbers of an array, which is not empty, are finite."""
    if values.size <= PART:
        return bool(np.isfinite(values).all())
    values = values.T if values.flags.f_contiguous else values
    rows = max(1, PART // (values.size // len(values)))
    return all(np.isfinite(values[start : start + rows]).all() for start in range(0, len(values), rows))


def _goes_with(y: Any, X: Any) -> bool:
    """Whether X and y are arrays of the same length, and scikit-learn's checks would return this y itself."""
    return (
        type(X) is type(y) is np.ndarray
        and y.dtype.kind in "iubfU"
        and y.ndim in (1, 2)
        and y.shape[:1] == X.shape[:1]
        and y.size > 0
        and (y.dtype.kind != "f" or is_finite(y))
    )


def checked_labels(estimator: Checked, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
    """X and the labels y after scikit-learn's checks; y is dense. reset: whether the estimator is fitted anew."""
    X, y = estimator._validate_data(X, exact_labels(y), multi_output=True, reset=reset)
    return X, dense_labels(y)


def checked_numbers(estimator: Checked, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
    """X and the numbers y after scikit-learn's checks; y is dense. reset: whether the estimator is fitted anew."""
    X, y = estimator._validate_data(X, y, multi_output=True, y_numeric=True, reset=reset)
    if scipy.sparse.issparse(y):
        y = y.toarray()
    if y.dtype.kind not in "fiub":
        raise ValueError(f"y must be numbers, got dtype {y.dtype}.")
    return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def _columns_of_text(X: Any) -> list[Any]:
    """The columns of a dataframe with text that is not a number, in their order; an empty list for any other X."""
    found = []
    for name in X.columns if hasattr(X, "columns") else ():
        values = np.asarray(X[name])
        if values.dtype == object:  # it may also hold missing values and dates
            values = np.array([value for value in values.flat if isinstance(value, str)], object)
        try:
            values.astype(np.float64)
        except ValueError:
            found.append(name)
    return found
