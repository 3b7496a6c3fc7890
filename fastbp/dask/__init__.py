"""BackpropClassifier and BackpropRegressor for Dask collections too large for one machine. Needs the extra `dask`.

`HalvingSearchCV` is for data in memory: it spreads the candidates over the workers of a Dask cluster.

The two estimators override the methods that differ for a Dask X, and inherit the rest. `cluster` places X on the
workers, `trainer` makes the steps of a fit in this process, and `worker` has the tasks that run on the workers.
`halving` has the search.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.validation import _check_y, check_consistent_length, check_is_fitted

from ..data.examples import Examples
from ..data.targets import Target, Values
from ..estimators import classifier, regressor
from ..estimators.base import Perceptron
from ..estimators.fit import Fit
from ..estimators.quantiles import CROSSING
from ..estimators.validation_set import ValidationSet
from ..extras import require
from ..training.solver import AnyTrainer
from ..training.stochastic import Validate

try:
    import dask.array
    from dask.base import is_dask_collection
    from dask.delayed import Delayed, delayed
    from dask.utils import is_dataframe_like

    from .cluster import Cluster, DistributedExamples, Partitions
    from .halving import HalvingSearchCV
    from .trainer import DistributedTrainer, validator
    from .worker import in_order
except ImportError:
    require("dask", "distributed", extra="dask", by="fastbp.dask")
    raise

__all__ = ["BackpropClassifier", "BackpropRegressor", "HalvingSearchCV"]

ABOUT = """
    It has all parameters and methods of `fastbp.{name}`.

    `fit` and `partial_fit` also take Dask collections as X, y, sample_weight and validation set: arrays, whose blocks
    may be sparse (CSR), or dataframes of numbers. Row i of y belongs to row i of X, even if X and y have different
    partitions. A fit on an X in memory runs on this machine.

    A Dask X stays in its partitions on the workers of the current client of `dask.distributed`. Each worker computes
    loss and gradient of its partitions in compiled loops. Only the partitions decide in which order the results are
    added up. So the same partitions give the same bits on CPUs of the same kind. Other partitions and a single machine
    give the same model up to rounding. A round of communication takes some hundredths of a second. 'lbfgs' and 'gd'
    need one round for each evaluation of J. 'sgd' and 'adam' need one for each minibatch, so `batch_size` should be
    thousands.

    The calling process holds the parameters, the optimiser's state, y, the weights and some 100 bytes per row of X. The
    scheduler also holds y and the weights. Only the workers hold X. If a worker is lost, its partitions are computed
    again from their source, so they must not be random. `fit` raises RuntimeError if there is no client, if the client
    has had no workers for a minute, or if a worker that is still connected has not reported for a minute. A partition
    of a dataframe may have its columns in another order than the dataframe: the names count. If `monitor` is a scorer
    of scikit-learn, X_val and y_val must be in memory.

    If X is a Dask collection, `predict`, `hidden_activations` and the classifier's `predict_proba` and
    `predict_log_proba` return lazy Dask arrays with a block per partition. Any of Dask's schedulers can compute them.
"""


def _docstring(parent: type, first: str) -> str:
    """Parameters and Attributes from the parent's docstring, with another beginning and another See Also."""
    # Python before 3.13 keeps the indentation, so cleandoc removes it. python -OO keeps no docstring, hence `or ""`.
    _, parameters, rest = inspect.cleandoc(parent.__doc__ or "").partition("\nParameters\n")
    rest, _, _ = rest.partition("\nSee Also\n")
    about = inspect.cleandoc(ABOUT.format(name=parent.__name__))
    see = f"\nSee Also\n--------\nfastbp.{parent.__name__} : For data in memory.\n"
    return f"{first}\n\n{about}\n{parameters}{rest}{see}"


def _computed(values: Any) -> Any:
    """A Dask collection is computed into memory; anything else is returned as it is."""
    return values.compute() if is_dask_collection(values) else values


def _blocks(X: Any) -> list[Delayed]:
    """The partitions of a Dask collection, each with all columns of some of its rows."""
    return list(X.to_delayed()) if is_dataframe_like(X) else X.rechunk({1: -1}).to_delayed().ravel().tolist()


def _one_row(X: Any) -> Any:
    """A row of zeros with the columns of a Dask collection, to check the columns."""
    if is_dataframe_like(X):
        return type(X._meta)(np.zeros((1, len(X.columns))), columns=X.columns)
    if not isinstance(X, dask.array.Array):
        raise TypeError(f"X must be a Dask array or dataframe, or be in memory, got {type(X)}.")
    if np.isnan(X.shape[1:]).any():
        raise ValueError(f"X must have a known number of columns, got shape {X.shape}.")
    return np.zeros((1, *X.shape[1:]))


def _columns(X: Any) -> list[Any] | None:
    """The names of the columns of a Dask dataframe; None for a Dask array."""
    return list(X.columns) if is_dataframe_like(X) else None


def _applied(
    block: Any,
    model: Any,
    method: str,
    like: NDArray,
    layer: int | None = None,
    columns: list[Any] | None = None,
) -> NDArray:
    """The result of a method of the model for a block. For a block without rows it is `like`.

    If the block is a dataframe, its columns are first put into the order of `columns`.
    """
    if not block.shape[0]:
        return like
    result = getattr(model, method)(in_order(block, columns))
    return result if layer is None else result[layer]


class _OnDask(Perceptron):
    """The methods that both estimators override for Dask collections."""

    _local: type[Perceptron]
    _metric: Callable[..., float]  # the score, from y and the predictions

    def to_local(self) -> Any:
        """The same estimator for data in memory, fitted or not. A pickle of the result loads without Dask.

        Returns
        -------
        estimator : BackpropClassifier or BackpropRegressor
            The class from `fastbp`. It is a copy and shares nothing with this estimator.
        """
        local = self._local.__new__(self._local)
        local.__setstate__(copy.deepcopy(self.__getstate__()))
        return local

    def _validate_data(self, X: Any, y: Any = "no_validation", *, reset: bool, **check_params: Any) -> Any:
        if not is_dask_collection(X):
            return super()._validate_data(X, _computed(y), reset=reset, **check_params)
        row = _one_row(X)
        super()._validate_data(row, None if y is None else "no_validation", reset=reset)
        rows = Partitions(Cluster(), _blocks(X), row.shape[1], type(self).__name__, _columns(X))
        if not len(rows):
            super()._validate_data(row[:0], reset=reset)  # raises scikit-learn's error for an X without rows
        y = _check_y(_computed(y), **check_params, estimator=self)
        check_consistent_length(rows, y)
        return rows, y

    def _examples(
        self, X: Any, y: NDArray, sample_weight: Any, target: Target, dtype: np.dtype
    ) -> tuple[Examples, int]:
        return super()._examples(X, y, _computed(sample_weight), target, dtype)

    def _laid_out(
        self, X: Any, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Examples:
        if isinstance(X, Partitions):
            return DistributedExamples.of(X, dtype, codes, Y, weights)
        return super()._laid_out(X, dtype, codes, Y, weights)

    @contextmanager
    def _trainer(self, fit: Fit, batch: int, optimizer: int) -> Iterator[AnyTrainer]:
        if isinstance(fit.examples, DistributedExamples):
            yield DistributedTrainer(
                fit.network,
                fit.theta,
                fit.examples,
                batch=batch,
                optimizer=optimizer,
                n_jobs=self.n_jobs,
                **self._of_training(fit),
            )
            return
        with super()._trainer(fit, batch, optimizer) as trainer:
            yield trainer

    def _with_data(self, validation: ValidationSet, X: Any, y: NDArray) -> ValidationSet:
        if isinstance(X, Partitions) and self.monitor not in ("score", "loss"):
            raise ValueError(
                f"monitor={self.monitor!r} needs a validation set in memory, because scorers of scikit-learn do not "
                "read Dask collections. Pass X_val and y_val in memory, or use monitor='score' or 'loss'."
            )
        return super()._with_data(validation, X, y)

    def _validator(self, trainer: AnyTrainer, fit: Fit, validation: ValidationSet) -> Validate:
        examples, rows, _ = validation
        if isinstance(examples, DistributedExamples):
            return validator(trainer.network, examples, rows, fit.target, self.n_jobs)
        return super()._validator(trainer, fit, validation)

    def _lazily(self, X: Any, method: str, layer: int | None = None) -> Any:
        """The results of a method of the local estimator for the blocks of a Dask collection, as a Dask array."""
        model, row = self.to_local(), _one_row(X)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=CROSSING)
            like = _applied(row, model, method, np.empty(0), layer)[:0]  # raises errors that do not depend on values
        # Predictions do not need these attributes, so they are not sent to the workers.
        model._optimizer_state = model._best_theta = model._last_theta = None
        if is_dataframe_like(X):  # map_partitions of Dask 2025.1 would not compute delayed(model)
            return X.map_partitions(_applied, model, method, like, layer, _columns(X), meta=like)
        X = X.rechunk({1: -1})
        columns: dict[str, Any] = {"chunks": (X.chunks[0], (like.shape[1],))} if like.ndim == 2 else {"drop_axis": 1}
        return X.map_blocks(
            _applied, delayed(model, pure=True), method, like, layer, meta=like, dtype=like.dtype, **columns
        )

    def _predicted(self, X: Any, method: str) -> Any:
        """The result of an inherited method; for a Dask X, it is a lazy Dask array."""
        return self._lazily(X, method) if is_dask_collection(X) else getattr(super(), method)(X)

    def predict(self, X: ArrayLike) -> Any:
        """Predict classes or numbers.

        A classifier predicts the class with the largest output or, for a multilabel target, every label whose output is
        at least 1/2. A single output above 1/2 means the second of two classes. A regressor predicts the outputs a^(L).

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray or Dask array of shape (n_samples,) or (n_samples, n_outputs)
            Labels, the indicator matrix of a multilabel target, or numbers. Lazy for a Dask X.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or edited coefs_, intercepts_ or activation do not make a network. The values of a Dask X
            are checked when the prediction is computed.
        """
        return self._predicted(X, "predict")

    def hidden_activations(self, X: ArrayLike) -> list[Any]:
        """Activations a^(l) of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        activations : list of ndarray or Dask array of shape (n_samples, S_l)
            One array per hidden layer, from the first to the last. For a Dask X each array is lazy and takes a forward
            pass of its own.

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
        """Accuracy of the predicted classes, or R^2 of the predicted numbers as a mean over the outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or dataframe} of shape (n_samples, n_features)
            Examples.
        y : array-like or Dask collection of shape (n_samples,) or (n_samples, n_outputs)
            Labels or numbers of the examples.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the examples.

        Returns
        -------
        score : float
            Accuracy: the share of right predictions. R^2: 1 for perfect predictions, 0 if every prediction is the mean
            of y. For several quantiles the mean of scikit-learn's `d2_pinball_score`.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=CROSSING)
            predictions, y, weights = _computed(self.predict(X)), _computed(y), _computed(sample_weight)
        target = self._fitted_target()
        if isinstance(target, Values) and target.quantiles:
            return target.d2(np.asarray(y), predictions, weights)
        return float(self._metric(y, predictions, sample_weight=weights))


class BackpropClassifier(_OnDask, classifier.BackpropClassifier):
    __doc__ = _docstring(
        classifier.BackpropClassifier, "Multilayer perceptron classifier for Dask arrays and dataframes."
    )
    _local, _metric = classifier.BackpropClassifier, staticmethod(accuracy_score)

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
            Probabilities, in the order of `classes_`. Lazy for a Dask X.

        Raises
        ------
        AttributeError
            The outputs are not probabilities.
        NotFittedError, ValueError
            As `predict`.
        """
        return self._predicted(X, "predict_proba")

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
            Logarithms of the probabilities, in the order of `classes_`; -inf for a probability of 0.

        Raises
        ------
        AttributeError, NotFittedError, ValueError
            As `predict_proba`.
        """
        return self._predicted(X, "predict_log_proba")


class BackpropRegressor(_OnDask, regressor.BackpropRegressor):
    __doc__ = _docstring(regressor.BackpropRegressor, "Multilayer perceptron regressor for Dask arrays and dataframes.")
    _local, _metric = regressor.BackpropRegressor, staticmethod(r2_score)
