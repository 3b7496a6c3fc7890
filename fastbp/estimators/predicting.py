"""Predictions of a fitted network: check the weights, run the network forward, refuse infinite or NaN outputs."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import functools
import operator
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from ..data.examples import FLOATS, Examples, as_examples
from ..data.targets import MULTILABEL, Target, Values
from ..network import architecture, costs
from ..network.architecture import Network, network_of
from ..parallel.team import team_for
from ..training import evaluation
from ..training.optimizer_state import MOST_STEPS, OptimizerState
from ..typing import Array
from .checking import Checked
from .parameters import Parameters

LISTS = (list, tuple)

Shapes = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]  # the shapes of coefs_, then those of intercepts_


class Predictor(Parameters, Checked):
    """An estimator that can predict once it has its fitted attributes."""

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None
    converged_: bool
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    classes_: NDArray  # of a classifier only
    _target_kind: str
    _predicts_float64: bool
    _n_without_improvement: int
    _best_theta: Array | None
    _best_epoch: int | None
    _last_theta: Array | None
    _optimizer_state: OptimizerState | None

    # ---------------------------------------------------------------- overridden by both estimators

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        """X and y after scikit-learn's checks; y is dense."""
        raise NotImplementedError

    def _fitted_target(self) -> Target:
        """The target of the fit: classes or numbers."""
        raise NotImplementedError

    # ---------------------------------------------------------------- checks

    def _validated_for_prediction(self, X: Any) -> tuple[Any, Network]:
        """X and the network of the fitted attributes, after checks of both: the user may have edited the attributes."""
        X = self._checked_for_prediction(X)
        return X, self._network_for(X)

    def _network_for(self, X: Any) -> Network:
        """The network of the fitted attributes, after checks that they make one that takes a validated X."""
        shapes = self._weight_shapes()
        try:
            units = [shape[-1] for shape in shapes[0][:-1]]
        except IndexError:
            raise ValueError(f"coefs_ must hold matrices, got shapes {shapes[0]}.") from None
        network = network_of(
            (X.shape[1], *units, self._checked_outputs()),
            (*architecture.hidden_activations(self.activation, len(units)), self.out_activation_),
            self._loss(),
            self._weights_dtype(),
        )
        self._check_weights(network, "for this X the layers must have", shapes)
        return network

    def _weight_shapes(self) -> Shapes:
        """The shapes of coefs_ and of intercepts_.

        Raises ValueError if one of them is neither a list nor a tuple, or if coefs_ is empty.
        """
        coefs, intercepts = self.coefs_, self.intercepts_
        if not (isinstance(coefs, LISTS) and isinstance(intercepts, LISTS) and coefs):
            raise ValueError(
                f"coefs_ and intercepts_ must be lists with an array per layer after the input, got {coefs!r:.100} and "
                f"{intercepts!r:.100}."
            )
        return [*map(_shape, coefs)], [*map(_shape, intercepts)]

    def _checked_outputs(self) -> int:
        """n_outputs_, after a check that it fits classes_ and the kind of the target; raises ValueError."""
        kind, n_outputs = self._target_kind, self.n_outputs_
        if type(n_outputs) is not int:
            try:
                n_outputs = operator.index(n_outputs)
            except TypeError:
                raise ValueError(f"n_outputs_ must be a whole number, got {n_outputs!r}.") from None
        if not isinstance(self, ClassifierMixin):
            if kind != Values.kind:
                raise ValueError(f"_target_kind of a regressor must be {Values.kind!r}, got {kind!r}.")
            return n_outputs
        check_classes(self.classes_)
        n = len(self.classes_)
        if kind == "binary":
            legal = n <= 2 and n_outputs in (1, n)
        elif kind == "multiclass":
            legal = 2 < n == n_outputs
        else:
            legal = kind == MULTILABEL and n_outputs <= n
        if not legal:
            raise ValueError(
                f"classes_, n_outputs_ and the kind of the target must go together, got {n} classes, "
                f"n_outputs_={n_outputs} and _target_kind={kind!r}."
            )
        return n_outputs

    def _check_fitted(self) -> None:
        """Check the attributes from which a fit goes on, because the user may have edited them; raises ValueError."""
        n_outputs, shape = self._checked_outputs(), self._weight_shapes()[0][-1]
        if shape[-1:] != (n_outputs,):
            raise ValueError(f"n_outputs_ must be the width of the last coefs_, of shape {shape}, got {n_outputs}.")
        for name in ("t_", "_n_without_improvement"):
            value = getattr(self, name)
            if not (isinstance(value, Integral) and 0 <= int(value) < MOST_STEPS):
                raise ValueError(f"{name} must be a whole number >= 0, got {value!r}.")
            setattr(self, name, operator.index(value))  # the value becomes an int, because an np.uint8 would overflow
        for name in ("best_loss_", "best_validation_score_"):
            value = getattr(self, name)
            if not (value is None or isinstance(value, Real)):
                raise ValueError(f"{name} must be a number or None, got {value!r:.100}.")
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
            values = getattr(self, name)
            if not (values is None or isinstance(values, list)):
                raise ValueError(f"{name} must be a list of numbers or None, got {values!r:.100}.")
        best, state = self._best_theta, self._optimizer_state
        if best is not None and not (isinstance(best, np.ndarray) and best.ndim == 1 and best.dtype.kind == "f"):
            raise ValueError(f"_best_theta must be a vector of floats or None, got {best!r:.100}.")
        if state is not None:
            if not isinstance(state, OptimizerState):
                raise ValueError(f"_optimizer_state must be an OptimizerState or None, got {state!r:.100}.")
            state.check()

    def _check_weights(self, network: Network, needed_by: str, found: Shapes | None = None) -> None:
        """Check that coefs_ and intercepts_ fit this network, because the user may have edited them; raises ValueError.

        The shapes must be those of the network, and without fit_intercept all intercepts must be 0. needed_by: why the
        shapes are needed, for the error message. found: the shapes of coefs_ and intercepts_, if they are known
        already.
        """
        coefs = network.layout.shapes
        intercepts = [shape[1:] for shape in coefs]
        found = found or self._weight_shapes()
        if found != (coefs, intercepts):
            raise ValueError(
                f"coefs_ and intercepts_ have shapes {found[0]} and {found[1]}, but {needed_by} {coefs} and "
                f"{intercepts}."
            )
        if not network.fit_intercept and any(np.any(intercept) for intercept in self.intercepts_):
            raise ValueError(
                "fit_intercept=False, but intercepts_ of the previous fit are not zero. Set them to 0, or fit anew "
                "with warm_start=False."
            )

    # ---------------------------------------------------------------- weights

    def _weights_dtype(self) -> np.dtype:
        """float32 if coefs_[0] is float32, otherwise float64: the user may have put other numbers into coefs_."""
        return np.dtype(np.float32 if np.asarray(self.coefs_[0]).dtype == np.float32 else np.float64)

    def _theta(self, network: Network) -> Array:
        """coefs_ and intercepts_ in the kernels' layout."""
        return network.layout.pack(self.coefs_, self.intercepts_)

    # ---------------------------------------------------------------- outputs

    def _outputs(self, X: Any) -> Array:
        """a^(L) of X: (n_samples, S_L)."""
        output = self._output_of_row(X)
        return self._outputs_of(*self._validated_for_prediction(X)) if output is None else output

    def _output_of_row(self, X: Any) -> Array | None:
        """a^(L) if X is an array of one row, and neither X nor a^(L) needs an error message; otherwise None.

        The kernel checks whether X is finite, because a call of NumPy takes longer than the whole check.
        """
        if not (self._has_features_of(X) and len(X) == 1 and X.dtype in FLOATS):
            return None
        network = self._network_for(X)
        output, are_finite = self._run_row(X, network)
        return output if are_finite else None

    def _run_row(self, X: Any, network: Network) -> tuple[Array, bool]:
        """(a^(L) of a single row X, whether the row and a^(L) are finite)."""
        x = np.ascontiguousarray(X[0])
        if x.dtype != network.dtype:
            with np.errstate(over="ignore"):  # an overflow is an error only if it makes an output that is not finite
                x = x.astype(network.dtype)
        return evaluation.predict_row(network, self.coefs_, self.intercepts_, x)

    def _decisions(self, X: Any, decide: Callable[[Array], NDArray]) -> NDArray:
        """decide(a^(L)) for the rows of X. Many rows are done in parts, so that memory never holds all their a^(L)."""
        output = self._output_of_row(X)
        if output is not None:
            return decide(output)
        X, network = self._validated_for_prediction(X)
        n, rows = X.shape[0], costs.output_rows(network)
        if n <= rows:
            return decide(self._outputs_of(X, network))
        starts = range(0, n, rows)
        return np.concatenate([decide(self._outputs_of(X[start : start + rows], network)) for start in starts])

    def _outputs_of(self, X: Any, network: Network, examples: Examples | None = None) -> Array:
        """a^(L) of validated X. examples: those of X in the dtype of the network, if they are made already."""
        if X.shape[0] == 1 and not scipy.sparse.issparse(X):
            output = self._run_row(X, network)[0]
        else:
            examples = examples or as_examples(X, network.dtype)
            team = team_for(self._checked_jobs(), costs.prediction_work(network, examples.n, examples.entries))
            output = evaluation.predict(network, self._theta(network), examples, np.arange(examples.n), team)
        refuse_overflow(X, output)
        return output

    def hidden_activations(self, X: ArrayLike) -> list[Array]:
        """Activations a^(l) of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, S_l)
            One array per hidden layer, from the first to the last.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        now = self._as_now()
        X, network = now._validated_for_prediction(X)
        examples = as_examples(X, network.dtype)
        team = team_for(now._checked_jobs(), costs.prediction_work(network, examples.n, examples.entries))
        layers = evaluation.hidden_layers(network, now._theta(network), examples, team)
        for layer in layers:
            refuse_overflow(X, layer)
        return layers


def _shape(values: Any) -> tuple[int, ...]:
    """np.shape, but faster for an array."""
    return values.shape if type(values) is np.ndarray else np.shape(values)


def check_classes(classes: Any) -> None:
    """Check that class labels strictly ascend, because `data.targets.positions` needs that; raises ValueError."""
    if not (isinstance(classes, np.ndarray) and classes.ndim == 1 and classes.size):
        raise ValueError(f"classes_ must be a vector of labels, got {classes!r:.100}.")
    # The comparison of the labels would slow down a prediction of one row, so its latest results are kept.
    plain = classes.dtype.kind in "biufUSMm"
    if not (_ascend(classes.dtype, classes.tobytes()) if plain else _objects_ascend(tuple(classes))):
        raise ValueError(f"classes_ must be different labels in ascending order, got {classes!r:.100}.")


@functools.lru_cache(maxsize=64)
def _ascend(dtype: np.dtype, labels: bytes) -> bool:
    values = np.frombuffer(labels, dtype)
    return bool((values[1:] > values[:-1]).all())


@functools.lru_cache(maxsize=64)
def _objects_ascend(labels: tuple[Any, ...]) -> bool:
    return all(a < b for a, b in pairwise(labels))


def refuse_overflow(X: Any, activations: Array) -> None:
    """Raise ValueError if an activation is not finite: NaN would become some class, or reach the user unnoticed."""
    if np.isfinite(activations).all():
        return
    values = X.data if scipy.sparse.issparse(X) else X
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if activations.dtype == np.float32 and largest > float(np.finfo(np.float32).max):
        raise ValueError("Input X contains a value too large for dtype('float32'), the dtype of this model.")
    raise ValueError(
        f"The network's outputs are not finite. Its coefs_ and intercepts_ are not finite, or too large for this X, "
        f"whose largest value is {largest:g}. Scale X like the training data."
    )


def expected_outputs(estimator: Predictor, X: Any, y: Any) -> tuple[Any, NDArray]:
    """X after its checks, and the outputs of shape (n_samples, S_L) that a fitted network should give for y."""
    X, y = estimator._validated(X, y, reset=False)
    estimator._checked_outputs()
    target = estimator._fitted_target()
    target.check_held_out(y, "y")
    codes, Y = target.encode(y, estimator.loss)
    if codes is not None:
        Y = codes[:, None] if estimator.n_outputs_ == 1 else np.eye(estimator.n_outputs_)[codes]
    assert Y is not None
    return X, Y
