"""Callbacks for scikit-learn's interface that record what they are told, and small fits for them."""

import importlib.util
from itertools import chain
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor

HAS_CALLBACKS = importlib.util.find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has callbacks since 1.9")
not_converged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ESTIMATORS = [BackpropClassifier, BackpropRegressor]
SOLVERS = ["adam", "sgd", "lbfgs", "gd"]


def iris(kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Classes for the classifier; two numbers for the regressor."""
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return (X, y) if kind is BackpropClassifier else (X[:, :2], X[:, 2:])


def small(kind: type = BackpropClassifier, **params) -> Any:
    defaults = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, "learning_rate_init": 0.05}
    return kind(**{**defaults, **params})


def training_rows() -> np.ndarray:
    """Rows of iris that `small` with early stopping trains on. They are drawn after its initial weights."""
    random_state = np.random.RandomState(0)
    random_state.uniform(size=4 * 5 + 5 + 5 * 3 + 3)
    return train_test_split(np.arange(150), random_state=random_state, test_size=0.1)[0]


def assert_same_model(estimator: Any, other: Any) -> None:
    for a, b in zip(estimator.coefs_ + estimator.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(a, b)


class Recorder:
    """Records its calls as (hook, name of the task, ids from the root to the task). It can stop a fit, or raise.

    Parameters
    ----------
    stops : tuple of int, optional
        Ids of a task. It asks to stop at the end of this task.
    raises : (str, Exception), optional
        The hook in which it raises, and the error.
    """

    def __init__(self, stops: tuple[int, ...] | None = None, raises: tuple[str, BaseException] | None = None):
        self.calls: list[tuple[str, str, tuple[int, ...]]] = []
        self._stops, self._raises = stops, raises

    def _record(self, hook: str, context: Any) -> bool:
        path, task = [], context
        while task is not None:
            path.append(task.task_id)
            task = task.parent
        self.calls.append((hook, context.task_name, tuple(reversed(path))))
        if self._raises and self._raises[0] == hook:
            raise self._raises[1]
        return self.calls[-1][2] == self._stops

    def setup(self, estimator, context):
        self._record("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._record("begin", context)

    def on_fit_task_end(self, estimator, context):
        return self._record("end", context)

    def teardown(self, estimator, context):
        self._record("teardown", context)

    def hooks(self, name: str) -> list[tuple[str, str, tuple[int, ...]]]:
        return [call for call in self.calls if call[0] == name]


class Propagated(Recorder):
    """A callback that meta-estimators pass on."""

    max_propagation_depth = None


class Collector(Recorder):
    """A callback that also keeps everything that it is given."""

    def __init__(self):
        super().__init__()
        self.handed: list[tuple[str, tuple[int, ...], dict[str, Any]]] = []

    def _collect(self, hook, context, **handed):
        self._record(hook, context)
        self.handed.append((hook, self.calls[-1][2], handed))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._collect("begin", context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self._collect("end", context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)

    def of_epochs(self, hook: str, what: str) -> list[Any]:
        return [handed[what] for name, path, handed in self.handed if name == hook and len(path) == 2]


def expected_calls(*epochs: list[tuple[str, str, tuple[int, ...]]], method: str = "fit") -> list[Any]:
    """Calls of a whole fit with these calls of its epochs."""
    fit = (method, (0,))
    return [("setup", *fit), ("begin", *fit), *chain(*epochs), ("end", *fit), ("teardown", *fit)]


def epoch_calls(i: int) -> list[tuple[str, str, tuple[int, ...]]]:
    return [("begin", "epoch", (0, i)), ("end", "epoch", (0, i))]
