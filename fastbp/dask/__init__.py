"""BackpropClassifier and BackpropRegressor for Dask arrays and dataframes that no machine could hold. The extra `dask`.

Where X is one, the estimators take it in, train and predict with the help of `distributed`; all else they inherit.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import _check_y, check_consistent_length, check_is_fitted

from ..data.examples import Examples
from ..data.targets import Target
from ..estimators import classifier, regressor
from ..estimators.base import Perceptron
from ..estimators.validation_set import ValidationSet
from ..extras import require
from ..network.architecture import Network
from ..training.solver import AnyTrainer
from ..typing import Array

try:
    import dask.array
    from dask.base import is_dask_collection
    from dask.delayed import Delayed, delayed
    from dask.utils import is_dataframe_like

    from .cluster import Cluster, DistributedExamples, Partitions
    from .trainer import DistributedTrainer, validator
except ImportError:
    require("dask", "distributed", extra="dask", by="fastbp.dask")
    raise

__all__ = ["BackpropClassifier", "BackpropRegressor"]

ABOUT = """
    As `fastbp.{name}`, with all of its parameters and methods.

    `fit` and `partial_fit` take Dask collections, too, for X, y, sample_weight and the validation set: arrays, whose
    blocks may be sparse (CSR), or dataframes of numbers. Their rows belong together by position, whatever their
    partitions. An X in memory is fitted on this machine.

    A Dask X stays on the workers of the current client of `dask.distributed`, in its partitions. Each worker computes
    loss and gradient of those that it has, in compiled loops, and these are added up in an order that the partitions
    alone decide: the same ones give the same bits, any others, and one machine, the same model to rounding. 'lbfgs' and
    'gd' take one round of communication, some hundredths of a second, for an evaluation of J, 'sgd' and 'adam' one for
    a minibatch, so let `batch_size` be thousands.

    In the process that calls are the parameters, the optimiser's state, y, the weights and some 100 bytes per row of X,
    for the order of the rows and the like; the scheduler has y and the weights, too. X is on the workers only. One that
    is lost is survived: its partitions are computed again from where they came from, so they must not be random.
    Without a client, or where it has had no workers for a minute, `fit` raises RuntimeError.

    For a Dask X `predict`, `predict_proba`, `predict_log_proba` and `hidden_activations` are lazy, Dask arrays with a
    block per partition, for any of Dask's schedulers.
"""


def _docstring(parent: type, first: str) -> str:
    """The parent's docstring, with another beginning."""
    # Without indentation, which Python 3.13 removes when it compiles; python -OO leaves no docstring.
    _, parameters, rest = inspect.cleandoc(parent.__doc__ or "").partition("\nParameters\n")
    rest, _, _ = rest.partition("\nSee Also\n")
    about = inspect.cleandoc(ABOUT.format(name=parent.__name__))
    see = f"\nSee Also\n--------\nfastbp.{parent.__name__} : For data in memory.\n"
    return f"{first}\n\n{about}\n{parameters}{rest}{see}"


def _here(values: Any) -> Any:
    """The values of a Dask collection; anything else as it is."""
    return values.compute() if is_dask_collection(values) else values


def _blocks(X: Any) -> list[Delayed]:
    """The rows of a Dask collection by partitions."""
    return list(X.to_delayed()) if is_dataframe_like(X) else X.rechunk({1: -1}).to_delayed().ravel().tolist()


def _one_row(X: Any) -> Any:
    """A row of zeros of the form of a Dask collection, for whoever checks the form."""
    if is_dataframe_like(X):
        return type(X._meta)(np.zeros((1, len(X.columns))), columns=X.columns)
    if not isinstance(X, dask.array.Array):
        raise TypeError(f"X must be a Dask array or dataframe, or be in memory, got {type(X)}.")
    if np.isnan(X.shape[1:]).any():
        raise ValueError(f"X must have a known number of columns, got shape {X.shape}.")
    return np.zeros((1, *X.shape[1:]))


def _applied(block: Any, model: Any, method: str, like: NDArray, layer: int | None = None) -> NDArray:
    """What the model's method gives for a block, which may be empty."""
    if not block.shape[0]:
        return like
    result = getattr(model, method)(block)
    return result if layer is None else result[layer]


class _OnDask(Perceptron):
    """What both estimators do for Dask collections in place of what they inherit."""

    _local: type[Perceptron]
    _metric: Callable[..., float]  # of y and predictions, what `score` gives

    def to_local(self) -> Any:
        """The same estimator for data in memory, fitted or not, which does not need Dask to be loaded.

        Returns
        -------
        estimator : BackpropClassifier or BackpropRegressor
            Of `fastbp`; a copy, which shares nothing with this one.
        """
        local = self._local.__new__(self._local)
        local.__setstate__(copy.deepcopy(self.__getstate__()))
        return local

    def _validate_data(self, X: Any, y: Any = "no_validation", *, reset: bool, **check_params: Any) -> Any:
        if not is_dask_collection(X):
            return super()._validate_data(X, _here(y), reset=reset, **check_params)
        row = _one_row(X)
        super()._validate_data(row, None if y is None else "no_validation", reset=reset)
        rows = Partitions(Cluster(), _blocks(X), row.shape[1], type(self).__name__)
        if not len(rows):
            super()._validate_data(row[:0], reset=reset)  # raises
        y = _check_y(_here(y), **check_params, estimator=self)
        check_consistent_length(rows, y)
        return rows, y

    def _examples(self, X: Any, y: NDArray, sample_weight: Any, target: Target, dtype: np.dtype) -> Examples:
        return super()._examples(X, y, _here(sample_weight), target, dtype)

    def _laid_out(
        self, X: Any, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Examples:
        if isinstance(X, Partitions):
            return DistributedExamples.of(X, dtype, codes, Y, weights)
        return super()._laid_out(X, dtype, codes, Y, weights)

    @contextmanager
    def _trainer(
        self, network: Network, theta: Array, examples: Examples, batch: int, optimizer: int
    ) -> Iterator[AnyTrainer]:
        if isinstance(examples, DistributedExamples):
            yield DistributedTrainer(
                network, theta, examples, batch=batch, optimizer=optimizer, alpha=float(self.alpha), n_jobs=self.n_jobs
            )
            return
        with super()._trainer(network, theta, examples, batch, optimizer) as trainer:
            yield trainer

    def _validator(
        self, trainer: AnyTrainer, validation: ValidationSet, target: Target
    ) -> Callable[[Array], tuple[float, float]]:
        examples, rows = validation
        if isinstance(examples, DistributedExamples):
            return validator(trainer.network, examples, rows, target, self.n_jobs)
        return super()._validator(trainer, validation, target)

    def _lazily(self, X: Any, method: str, layer: int | None = None) -> Any:
        """What a method of the local estimator gives for a Dask collection, block by block; a Dask array."""
        model, row = self.to_local(), _one_row(X)
        like = _applied(row, model, method, np.empty(0), layer)[:0]  # raises whatever there is to raise
        model._optimizer_state = model._best_theta = None  # which would be sent for nothing
        if is_dataframe_like(X):  # where Dask 2025.1 would not replace a Delayed by what it is
            return X.map_partitions(_applied, model, method, like, layer, meta=like)
        X = X.rechunk({1: -1})
        columns: dict[str, Any] = {"chunks": (X.chunks[0], (like.shape[1],))} if like.ndim == 2 else {"drop_axis": 1}
        return X.map_blocks(
            _applied, delayed(model, pure=True), method, like, layer, meta=like, dtype=like.dtype, **columns
        )

    def hidden_activations(self, X: ArrayLike) -> list[Any]:
        """Activations a^(l) of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        activations : list of ndarray or Dask array of shape (n_samples, S_l)
            One array per hidden layer, from the first to the last; of a Dask X lazy, each with a forward pass of its
            own.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return [self._lazily(X, "hidden_activations", layer) for layer in range(len(self.coefs_) - 1)]
        return super().hidden_activations(X)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of the predicted classes, or R^2 of the predicted numbers, averaged over the outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.
        y : array-like or Dask collection of shape (n_samples,) or (n_samples, n_outputs)
            Their labels or numbers.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            Share of the examples that is predicted right; of numbers 1 for perfect predictions, 0 for the mean of y.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        this: Any = self
        inherited: Any = super()
        if is_dask_collection(X):
            predictions = this.predict(X).compute()
            return float(self._metric(_here(y), predictions, sample_weight=_here(sample_weight)))
        return float(inherited.score(X, _here(y), _here(sample_weight)))


class BackpropClassifier(_OnDask, classifier.BackpropClassifier):
    __doc__ = _docstring(
        classifier.BackpropClassifier, "Multilayer perceptron classifier for Dask arrays and dataframes."
    )
    _local, _metric = classifier.BackpropClassifier, staticmethod(accuracy_score)

    def predict(self, X: ArrayLike) -> Any:
        """Predict classes: the largest output, or for a multilabel target every output of at least 1/2.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray or Dask array of shape (n_samples,) or (n_samples, n_classes)
            Labels, or the indicator matrix of a multilabel target; of a Dask X lazy.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or coefs_ or activation were edited into something that is not a network. Of a Dask X the
            values are checked when they are computed.
        """
        return self._lazily(X, "predict") if is_dask_collection(X) else super().predict(X)

    @classifier.if_probabilities
    def predict_proba(self, X: ArrayLike) -> Any:
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        p : ndarray or Dask array of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`; of a Dask X lazy.

        Raises
        ------
        AttributeError
            The outputs are not probabilities.
        NotFittedError, ValueError
            As `predict`.
        """
        return self._lazily(X, "predict_proba") if is_dask_collection(X) else super().predict_proba(X)

    @classifier.if_probabilities
    def predict_log_proba(self, X: ArrayLike) -> Any:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_p : ndarray or Dask array of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`; -inf where a probability is 0.

        Raises
        ------
        AttributeError, NotFittedError, ValueError
            As `predict_proba`.
        """
        return self._lazily(X, "predict_log_proba") if is_dask_collection(X) else super().predict_log_proba(X)


class BackpropRegressor(_OnDask, regressor.BackpropRegressor):
    __doc__ = _docstring(regressor.BackpropRegressor, "Multilayer perceptron regressor for Dask arrays and dataframes.")
    _local, _metric = regressor.BackpropRegressor, staticmethod(r2_score)

    def predict(self, X: ArrayLike) -> Any:
        """Predict numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray or Dask array of shape (n_samples,) or (n_samples, n_outputs)
            Outputs a^(L) of the network; of a Dask X lazy.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or coefs_ or activation were edited into something that is not a network. Of a Dask X the
            values are checked when they are computed.
        """
        return self._lazily(X, "predict") if is_dask_collection(X) else super().predict(X)
