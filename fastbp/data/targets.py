"""The targets of a network, classes or numbers: from y to the kernels, and from outputs to predictions and scores.

The weights of examples are here too.
"""

import dataclasses
import numbers
from typing import Any, Self, TypeGuard

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..typing import Array
from .examples import Examples

MULTILABEL = "multilabel-indicator"
# Weights stay as they are if the exponent of the largest, from np.frexp, is between -ORDINARY and ORDINARY.
ORDINARY = 20
# A weight below 2^-SPREAD times the largest one counts as 0. Such a weight could not change the sum of all weights,
# and a batch of such weights alone could divide 0 by 0.
SPREAD = {np.dtype(np.float32): 80, np.dtype(np.float64): 900}
# NumPy sorts, or searches, fewer than MANY labels in less time than it takes to make a table of them.
MANY = 1000

Encoded = tuple[NDArray[np.int64] | None, NDArray | None]  # (class codes, None) or (None, matrix of targets)


@dataclasses.dataclass(frozen=True)
class Labels:
    """The target of a classifier: each example has one class or, if multilabel, a set of classes.

    Parameters
    ----------
    kind : {'binary', 'multiclass', 'multilabel-indicator'}
        'binary' means one or two classes.
    classes : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_outputs : int
        Number of outputs S_L. There is one output per class, except that two classes with log_loss have a single
        output, as in scikit-learn.
    class_weights : tuple of ndarray or None
        One array with the weights of the classes. A multilabel target has one array per output, with the weights of 0
        and 1.
    """

    kind: str
    classes: NDArray
    n_outputs: int
    class_weights: tuple[NDArray, ...] | None = None

    @classmethod
    def of(cls, y: NDArray, loss: Any, known: NDArray | None, *, subset: bool) -> Self:
        """The target for y.

        known: the classes that are known already; None if there are none. Without `subset`, y must have exactly the
        known classes. With `subset`, y may lack some of them. Raises ValueError for other classes.
        """
        classes = _classes_of(y, known, subset=subset)
        kind = MULTILABEL if y.ndim == 2 else "multiclass" if len(classes) > 2 else "binary"
        if kind == MULTILABEL:
            n_outputs = y.shape[1]
        else:
            single = len(classes) == 1 or (loss == "log_loss" and kind == "binary")
            n_outputs = 1 if single else len(classes)
        return cls(kind, classes, n_outputs)

    def check_held_out(self, y: NDArray, name: str = "y_val") -> None:
        """Check that the targets y of new examples have a shape and labels of the fit; raises ValueError."""
        if (y.ndim == 2) != (self.kind == MULTILABEL) or (y.ndim == 2 and y.shape[1] != self.n_outputs):
            raise ValueError(f"{name} has shape {y.shape}, which does not go with the {self.kind} target of the fit.")
        unknown = set() if y.ndim == 2 else set(np.unique(y).tolist()) - set(self.classes.tolist())
        if unknown:
            raise ValueError(f"{name} has classes {sorted(unknown)} that the fit did not have; it had {self.classes}.")

    def encode(self, y: NDArray, loss: Any) -> Encoded:
        """Targets of the network for the labels y, which are among the classes."""
        if self.kind == MULTILABEL:
            return None, y
        if len(self.classes) == 1 and loss != "log_loss":
            return None, np.ones((len(y), 1))  # the only class has code 0, which would make the target 0
        return positions(self.classes, y), None

    def weights(self, y: NDArray) -> NDArray[np.float64] | None:
        """The weight of the label of each example; None means that every weight is 1.

        For a multilabel target, this is a product over the outputs: each output has one weight for label 0 and one for
        label 1.
        """
        if self.class_weights is None:
            return None
        if self.kind == MULTILABEL:
            by_output = [w[column.astype(np.int64)] for w, column in zip(self.class_weights, y.T, strict=True)]
            return np.prod(by_output, axis=0)
        return self.class_weights[0][positions(self.classes, y)]

    def predict(self, output: Array) -> NDArray:
        """The class of each example; for a multilabel target, an indicator matrix of the outputs of at least 1/2."""
        if self.kind == MULTILABEL:
            return (output >= 0.5).astype(np.int64)
        return self.classes[self._winners(output)]

    def judged(self, output: Array, examples: Examples, rows: NDArray[np.int64]) -> NDArray:
        """For `score`, a number per row: 1 for a right prediction, 0 for a wrong one, NaN if outputs are not finite."""
        if self.kind == MULTILABEL:
            right = ((output >= 0.5) == examples.Y[rows]).all(axis=1)
        elif len(self.classes) == 1:
            right = np.ones(len(output), bool)
        else:
            right = self._winners(output) == examples.codes[rows]
        return np.where(np.isfinite(output).all(axis=1), right, np.nan)

    def score(self, judged: NDArray, examples: Examples, rows: NDArray[np.int64]) -> float:
        """Weighted share of right predictions; NaN if an output is not finite."""
        return float(np.average(judged, weights=examples.weights[rows] if examples.weights.size else None))

    def _winners(self, output: Array) -> NDArray[np.int64]:
        """Code of the class with the largest output. A single output above 1/2 means the second of two classes."""
        if output.shape[1] == 1:
            return ((output[:, 0] > 0.5) & (len(self.classes) > 1)).astype(np.int64)
        return output.argmax(axis=1)


@dataclasses.dataclass(frozen=True)
class Values:
    """The target of a regressor: one or several numbers per example.

    Parameters
    ----------
    n_outputs : int
        Outputs S_L.
    quantiles : tuple of float
        The quantiles to predict, if there are several: each is an output for the same number. Otherwise empty.
    """

    n_outputs: int
    quantiles: tuple[float, ...] = ()
    kind = "continuous"

    @classmethod
    def of(cls, y: NDArray) -> Self:
        return cls(1 if y.ndim == 1 else y.shape[1])

    def check_held_out(self, y: NDArray, name: str = "y_val") -> None:
        """Check that y of new examples has a column per output, or one for all quantiles; raises ValueError."""
        if self.of(y).n_outputs != (1 if self.quantiles else self.n_outputs):
            needed = (
                "several quantiles need one column" if self.quantiles else f"the network has {self.n_outputs} outputs"
            )
            raise ValueError(f"{name} has shape {y.shape}, but {needed}.")

    def encode(self, y: NDArray, loss: Any) -> Encoded:
        """Targets of the network; raises ValueError for numbers for which the loss is not defined."""
        if loss == "poisson" and (y < 0).any():
            raise ValueError(f"loss='poisson' needs y >= 0, but the least y is {float(y.min())!r}.")
        if loss == "gamma" and not (y > 0).all():
            raise ValueError(f"loss='gamma' needs y > 0, but the least y is {float(y.min())!r}.")
        Y = y.reshape(len(y), -1)
        return None, np.repeat(Y, self.n_outputs, axis=1) if self.quantiles else Y

    def weights(self, y: NDArray) -> None:
        """None, because numbers have no classes."""

    def predict(self, output: Array) -> NDArray:
        """The outputs; a vector if there is one output."""
        return output[:, 0] if self.n_outputs == 1 else output

    def judged(self, output: Array, examples: Examples, rows: NDArray[np.int64]) -> Array:
        """For `score`, the outputs themselves: R^2, unlike accuracy, is not an average of one number per row.

        The outputs are copied, because the next block of rows overwrites their memory.
        """
        return output.copy()

    def score(self, output: Array, examples: Examples, rows: NDArray[np.int64]) -> float:
        """Weighted R^2, averaged over the outputs; NaN if an output is not finite. For several quantiles see `d2`."""
        from sklearn.metrics import r2_score  # imported here, because most fits do not need it

        if not np.isfinite(output).all():
            return float("nan")
        weights = examples.weights[rows] if examples.weights.size else None
        if self.quantiles:
            return self.d2(examples.Y[rows, 0], output, weights)
        return float(r2_score(examples.Y[rows], output, sample_weight=weights))

    def d2(self, y: NDArray, output: NDArray, weights: Any) -> float:
        """Mean of scikit-learn's D^2 over the quantiles: the share of the pinball loss that the output explains."""
        from sklearn.metrics import d2_pinball_score  # imported here, because most fits do not need it

        columns = zip(self.quantiles, output.T, strict=True)
        return float(np.mean([d2_pinball_score(y, a, sample_weight=weights, alpha=q) for q, a in columns]))


Target = Labels | Values


def dense_labels(y: Any) -> NDArray:
    """y as a vector of labels or a dense indicator matrix; raises ValueError if y does not have classes."""
    if not _are_few_integers(y):
        check_classification_targets(y)
    if scipy.sparse.issparse(y):
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] > 1:
        if type_of_target(y) != MULTILABEL:
            raise ValueError("Multioutput target data is not supported with label binarization")  # scikit-learn's words
        return (y != 0).astype(np.int64)  # scikit-learn accepts any two numbers as an indicator
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("Input y contains NaT.")
    return column_or_1d(y, warn=True) if y.ndim == 2 else y


def exact_labels(y: Any, name: str = "y") -> Any:
    """y itself, but a list of integers that NumPy would turn into floats becomes an array of integers.

    NumPy turns a list into floats if some of its integers need int64 and others uint64. Then 2^53 and 2^53 + 1 would
    be one label. Raises ValueError if no integer type has all labels.
    """
    if not (isinstance(y, list | tuple) and y and all(isinstance(label, numbers.Integral) for label in y)):
        return y
    if np.asarray(y).dtype.kind != "f":
        return y
    least, largest = int(min(y)), int(max(y))
    dtype = next((t for t in (np.int64, np.uint64) if np.iinfo(t).min <= least and largest <= np.iinfo(t).max), None)
    if dtype is None:
        raise ValueError(f"{name} has integer labels from {least} to {largest}, and no integer type has all of them.")
    return np.array([int(label) for label in y], dtype)


def _are_few_integers(y: Any) -> bool:
    """Whether y is a vector of integers that `check_classification_targets` accepts without a warning.

    It warns if more than half of the labels are different.
    """
    return are_integers(y) and 0 < len(different(y)) <= max(2, len(y) // 2)


def are_integers(y: Any) -> TypeGuard[NDArray]:
    """Whether y is a vector of integers or booleans."""
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biu"


def different(labels: NDArray) -> NDArray:
    """`np.unique` of a vector. Many integers from a small range are found without sorting, which is faster."""
    if labels.dtype.kind in "biu" and labels.size >= MANY:
        least, largest = int(labels.min()), int(labels.max())
        if largest - least < labels.size:
            is_there = np.zeros(largest - least + 1, bool)
            is_there[_above(least, labels)] = True
            return (np.flatnonzero(is_there).astype(np.uint64) + np.array(least).astype(np.uint64)).astype(labels.dtype)
    return np.unique(labels)


def _above(least: int, labels: NDArray) -> NDArray[np.int64]:
    """labels - least for integer labels, none of them below `least`."""
    # With 64 bits and without a sign, the difference is right even if it does not fit into the dtype of the labels.
    return (labels.astype(np.uint64) - np.array(least).astype(np.uint64)).view(np.int64)


def positions(classes: NDArray, labels: NDArray) -> NDArray[np.intp]:
    """The index of each label in the sorted classes. Every label must be one of the classes.

    `searchsorted` would compare int64 and uint64 as floats, so numeric labels get the dtype of the classes first.
    """
    if classes.dtype != labels.dtype and classes.dtype.kind in "biuf" and labels.dtype.kind in "biuf":
        labels = labels.astype(classes.dtype)
    if classes.dtype == labels.dtype and classes.dtype.kind in "biu" and labels.size >= MANY:
        least, largest = int(classes[0]), int(classes[-1])
        if largest - least < labels.size:
            table = np.zeros(largest - least + 1, np.intp)
            table[_above(least, classes)] = np.arange(len(classes))
            return table[_above(least, labels)]
    return np.searchsorted(classes, labels)


def _classes_of(y: NDArray, known: NDArray | None, *, subset: bool) -> NDArray:
    """The classes of y, or the known ones after a check of y; raises ValueError."""
    classes = different(y) if y.ndim == 1 and y.dtype != object else unique_labels(y)
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


# ---------------------------------------------------------------- the weights of examples


def in_unit(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """(weights / 2^e, e), with an exponent e that suits the kernels; e is 0 for ordinary weights.

    The kernels multiply errors by weights and divide by the sum of the weights, in the dtype of the network. Weights of
    1e36, or of 1e-36, would overflow or vanish there. A common factor of all weights and of alpha changes no model.
    """
    exponent = int(np.frexp(weights.max(initial=0))[1])
    return (weights, 0) if abs(exponent) <= ORDINARY else (np.ldexp(weights, -exponent), exponent)


def product_in_unit(factors: list[NDArray[np.float64]]) -> tuple[NDArray[np.float64], int]:
    """`in_unit` of the product of one or two vectors of weights, computed without overflow."""
    weights, exponent = in_unit(factors[0])
    for factor in factors[1:]:
        scaled, of_factor = in_unit(factor)
        weights, of_product = in_unit(weights * scaled)
        exponent += of_factor + of_product
    return weights, exponent


def without_negligible(weights: NDArray[np.float64], dtype: np.dtype) -> NDArray[np.float64]:
    """The weights, with 0 for each weight that is negligible in this dtype beside the largest, see SPREAD."""
    negligible = (weights > 0) & (weights < np.ldexp(weights.max(initial=0), -SPREAD[dtype]))
    return np.where(negligible, 0.0, weights) if negligible.any() else weights


def strength_in_unit(alpha: float, exponent: int) -> float:
    """The L2 strength for weights that `in_unit` has divided by 2^exponent.

    J divides the L2 term by the sum of the weights, so alpha has to be divided too.
    """
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(alpha, -exponent))
