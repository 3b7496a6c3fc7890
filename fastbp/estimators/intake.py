"""The data of a fit: from the user's X, y, weights and validation set to the examples that the kernels read."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

from ..data import examples as data
from ..data.examples import Examples, as_examples
from ..data.targets import Target, product_in_unit, without_negligible
from .parameters import STOCHASTIC
from .predicting import Predictor
from .run import FROM_DATA, held_out
from .validation_set import GivenValidation, ValidationSet, errors_name_validation_set, refuse_few_rows


class Data(NamedTuple):
    """The data of a fit, after all checks. Fits side by side share them, so nothing may change them."""

    X: Any
    y: NDArray
    dtype: np.dtype  # of the network
    target: Target
    examples: Examples
    unit: int  # see `_example_weights`
    validation: ValidationSet | None  # the one that the user passed, or that `run.beginning` holds out
    attributes: dict[str, Any]  # the attributes of an estimator that the checks have set


class Intake(Predictor):
    """Base class of the estimators: the methods that check and lay out the data of a fit."""

    # ---------------------------------------------------------------- overridden by both estimators

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        """The target of this fit; `classes` is the argument of partial_fit."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the intake

    def _intake(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: GivenValidation,
        classes: Any,
        *,
        continues: bool,
        incremental: bool,
    ) -> Data:
        """Check and lay out the data of a fit. Sets the attributes of FROM_DATA.

        continues: whether the fit goes on from the weights of a previous one.
        """
        X, y = self._validated(X, y, reset=not continues)
        dtype = self._dtype_for(X, continues=continues)
        rows = held_out()
        learned = y if rows is None else np.delete(y, rows, axis=0)
        target = self._target_of(learned, classes, continues=continues, incremental=incremental)
        if continues and target.kind != self._target_kind:
            raise ValueError(
                f"y is a {target.kind} target, but the previous fit had a {self._target_kind} one. Fit anew."
            )
        examples, unit = self._examples(X, y, sample_weight, target, dtype)
        validation = self._given_validation(given, target, dtype, incremental)
        if rows is not None and self.early_stopping and self.solver in STOCHASTIC:
            validation = self._with_data(ValidationSet(examples, rows), X, y)
        return Data(X, y, dtype, target, examples, unit, validation, self._from_data())

    def _from_data(self) -> dict[str, Any]:
        """The attributes that the checks of the data have set."""
        return {name: getattr(self, name) for name in FROM_DATA if hasattr(self, name)}

    def _dtype_for(self, X: Any, *, continues: bool) -> np.dtype:
        """The dtype of this fit: float32 or float64."""
        natural = self._weights_dtype() if continues else data.dtype_of(X)
        return np.dtype(natural if self.dtype == "auto" else self.dtype)

    def _examples(
        self, X: Any, y: NDArray, sample_weight: Any, target: Target, dtype: np.dtype
    ) -> tuple[Examples, int]:
        """The examples of a validated X and y, as the kernels read them, and the unit of `_example_weights`."""
        weights, unit = self._example_weights(X, y, sample_weight, target)
        if weights is not None:
            weights = without_negligible(weights, dtype)
        codes, Y = target.encode(y, self.loss)
        with np.errstate(over="ignore"):
            examples = self._laid_out(X, dtype, codes, Y, weights)
        if not np.isfinite(examples.Y).all():
            raise ValueError(f"Input y contains a value too large for {dtype!r}, the dtype of this model.")
        if self.loss == "gamma" and (np.finfo(dtype).tiny > examples.Y).any():
            raise ValueError(f"Input y contains a value too small for {dtype!r}, the dtype of this model.")
        return examples, unit

    def _example_weights(
        self, X: Any, y: NDArray, sample_weight: Any, target: Target
    ) -> tuple[NDArray[np.float64] | None, int]:
        """The weights of the examples divided by 2^unit, and unit.

        A weight is the product of sample_weight and the weight of the class. If neither is given, the weights are None.
        """
        factors: list[NDArray[np.float64]] = []
        if sample_weight is not None:
            given = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if (given < 0).any():
                raise ValueError(
                    f"Negative values in data passed to `sample_weight`: the least is {given.min()!r}, must be >= 0."
                )
            factors.append(given)
        by_target = target.weights(y)
        if by_target is not None:
            factors.append(by_target)
        if not factors:
            return None, 0
        weights, unit = product_in_unit(factors)
        if not weights.any():
            times = "" if by_target is None else f", times class_weight={self.get_params()['class_weight']!r},"
            raise ValueError(f"sample_weight{times} must have at least one positive value: all of them are zero.")
        tiny = np.finfo(np.float64).tiny  # a smaller float64 is subnormal: it has fewer digits
        with np.errstate(over="ignore", under="ignore"):
            largest = np.ldexp(weights.max(), unit)
        if largest < tiny:
            raise ValueError(f"sample_weight must not all be below {tiny}, got {largest!r}.")
        return weights, unit

    def _laid_out(
        self, X: Any, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Examples:
        """The examples of a validated X. The other arguments are those of `data.examples.as_examples`."""
        return as_examples(X, dtype, codes=codes, Y=Y, weights=weights)

    def _given_validation(
        self, given: GivenValidation, target: Target, dtype: np.dtype, incremental: bool
    ) -> ValidationSet | None:
        """The user's own validation set after its checks; None if the user passed none."""
        if not given.is_there:
            if incremental and self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True without a validation set: a chunk of the data "
                    "cannot serve as a validation set. Pass X_val and y_val, set early_stopping=False, or use fit."
                )
            return None
        if self.solver not in STOCHASTIC:
            raise ValueError(
                f"X_val and y_val are used by the solvers {' and '.join(STOCHASTIC)} only, got solver={self.solver!r}."
            )
        with errors_name_validation_set():
            X, y = self._validated(given.X, given.y, reset=False)
            target.check_held_out(y)
            refuse_few_rows(len(y))
            examples, _ = self._examples(X, y, given.sample_weight, target, dtype)
        return self._with_data(ValidationSet(examples, np.arange(examples.n)), X, y)

    def _with_data(self, validation: ValidationSet, X: Any, y: NDArray) -> ValidationSet:
        """The validation set. If `monitor` is a scorer, the result includes its rows of X and y."""
        if self.monitor in ("score", "loss"):
            return validation
        examples, rows, _ = validation
        metadata = {"sample_weight": examples.weights[rows]} if examples.weights.size else {}
        return validation._replace(data=(_safe_indexing(X, rows), y[rows], metadata))
