"""The data of one split of a cross-validation, which all its candidates share."""

import threading
from collections.abc import Callable
from typing import Any

import joblib
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..estimators.run import Run, Shared, beginning

FITS = (BackpropClassifier.fit, BackpropRegressor.fit)


def own_network(estimator: Any) -> Any:
    """The estimator, or the last step of a Pipeline, if it is one of fastbp's; otherwise None."""
    last = estimator.steps[-1][1] if type(estimator) is Pipeline and estimator.steps else estimator
    return last if getattr(type(last), "fit", None) in FITS else None


class Fold:
    """The training data of a split. They are selected, checked and laid out once for all candidates.

    A pickle has only the arguments: another process selects the training data again.

    Parameters
    ----------
    estimator : estimator
        The estimator of the search. scikit-learn asks it how to select rows of X.
    X, y
        All examples.
    fit_params : dict
        Arguments of `fit` for all examples.
    train, test : ndarray of int
        The rows of the split.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], train: NDArray[Any], test: NDArray[Any]
    ):
        self.train, self.test = train, test
        self._given = estimator, X, y, fit_params
        self._lock = threading.Lock()
        self._data: tuple[Any, Any, dict[str, Any]] | None = None
        self._shared = Shared()
        self._steps = SharedSteps()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (*self._given, self.train, self.test)

    def begin(self, estimator: Any) -> Run | None:
        """Begin to fit the estimator to the training data.

        Returns the run of the network. If the estimator, or its last step, is not one of fastbp's, this method fits the
        estimator completely and returns None.
        """
        X, y, fit_params = self._training_data()
        given = [y] if y is not None else []
        network, is_pipeline = own_network(estimator), isinstance(estimator, Pipeline)
        if network is None:
            estimator.fit(X, *given, **fit_params)
            return None
        # Most candidates have the same steps before the network. A Pipeline whose user has set a memory keeps it.
        shares_steps = is_pipeline and estimator.memory is None
        # If a step is not shared, the network gets an X of its own. No other candidate would use it, so it is not kept.
        shares_X = not is_pipeline or (shares_steps and all(_key_of(step) for _, step in estimator.steps[:-1]))
        if shares_steps:
            estimator.memory = self._steps
        try:
            with beginning(network, self._shared if shares_X else Shared()) as runs:
                estimator.fit(X, *given, **fit_params)
        finally:
            if shares_steps:
                estimator.memory = None
        return runs[0]

    def free(self) -> None:
        """Forget the training data. They are selected again if another candidate begins."""
        with self._lock:
            self._data, self._shared, self._steps = None, Shared(), SharedSteps()

    def _training_data(self) -> tuple[Any, Any, dict[str, Any]]:
        with self._lock:
            if self._data is None:
                estimator, X, y, fit_params = self._given
                params = _check_method_params(X, params=fit_params, indices=self.train)
                self._data = *_safe_split(estimator, X, y, self.train), params
            return self._data


class SharedSteps:
    """A memory for the Pipelines of a fold: a transformer that was fitted once is not fitted again.

    Without this memory, every network that waits for its next epochs would keep a transformed X of its own. A
    transformer whose random_state is None is fitted anew for each candidate, and so is a transformer that cannot be
    compared with others.
    """

    def __init__(self) -> None:
        self._results = Shared()

    def cache(self, function: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        """The function with a memory: for equal arguments, it returns its earlier result.

        A Pipeline calls this method of its memory with the function that fits a transformer and transforms X.
        """

        def remembered(transformer: Any, X: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
            def make() -> Any:
                return function(transformer, X, y, *args, **kwargs)

            key = _key_of(transformer, kwargs.get("params"))
            return make() if key is None else self._results.get((X, y), key, make)

        return remembered


def _key_of(transformer: Any, params: Any = None) -> str | None:
    """Equal keys mean equal fits to the same data, with these parameters of `fit`. None: no fit equals another one."""
    given = transformer.get_params() if hasattr(transformer, "get_params") else {}
    if any(name.endswith("random_state") and value is None for name, value in given.items()):
        return None
    try:
        return joblib.hash((transformer, params))
    except Exception:  # a pickle of it is impossible, for instance because it has a lambda
        return None


def candidate(estimator: Any, parameters: dict[str, Any]) -> Any:
    """A copy of the estimator with these parameters, as scikit-learn's searches make it."""
    return clone(estimator).set_params(**clone(parameters, safe=False))
