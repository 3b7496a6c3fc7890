"""scikit-learn's callbacks, new in scikit-learn 1.9. A fit calls them when it or one of its subtasks begins or ends.

To scikit-learn a fit is a task. Its subtasks are epochs ('sgd', 'adam'), iterations ('lbfgs') or updates ('gd'). Here
each of these is called an epoch. The subtasks of a long epoch are its calls into a kernel. Here each of these is called
a part. Callbacks of a fit get X and y as the user passed them to `fit`. Callbacks of an epoch get only the rows to
train on.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_sample_weight

from ..training.observer import Observer

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An empty class, because this scikit-learn has no callbacks."""


# An epoch has parts if it takes at least LONG_EPOCH calls into a kernel, about a second. Shorter epochs move the
# progress bar of the fit often enough, and a bar for their parts would only add a line to the screen.
LONG_EPOCH = 20


def observer(estimator: Any, X: Any, y: Any, sample_weight: Any, *, method: str, max_subtasks: int) -> Observer:
    """The observer of a fit. If the estimator has callbacks, this function sets them up and begins the task of the fit.

    Parameters
    ----------
    estimator : Perceptron
    X, y, sample_weight
        The arguments of the fit.
    method : str
        Name of the task: 'fit' or 'partial_fit'.
    max_subtasks : int
        Largest number of epochs of the fit.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        return Observer()
    return CallbackObserver(estimator, X, y, sample_weight, method=method, max_subtasks=max_subtasks)


class TrainingData:
    """The examples for the callbacks: all rows or some. The rows are selected when a callback first asks for them."""

    def __init__(self, X: Any, y: Any, sample_weight: Any, rows: NDArray[np.int64] | None = None):
        self._given, self._rows = (X, y, sample_weight), rows

    def part(self, rows: NDArray[np.int64] | None) -> "TrainingData":
        """These rows of the examples; None means all rows."""
        return self if rows is None else TrainingData(*self._given, rows=rows.copy())

    @functools.cached_property
    def _values(self) -> tuple[Any, Any, dict[str, Any] | None]:
        X, y, weight = self._given
        if weight is not None:
            weight = _check_sample_weight(weight, X, dtype=np.float64)
        if self._rows is not None:
            X, y, weight = (
                None if values is None else _safe_indexing(values, self._rows) for values in indexable(X, y, weight)
            )
        return X, y, None if weight is None else {"sample_weight": weight}

    def arguments(self) -> dict[str, Callable[[], Any]]:
        """Arguments of scikit-learn's hooks. Each is a function that is called if a callback asks for its value."""
        return {
            "X": lambda: self._values[0],
            "y": lambda: self._values[1],
            "metadata": lambda: self._values[2],
        }


class CallbackObserver(Observer):
    """An observer that also calls the callbacks of an estimator."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, *, method: str, max_subtasks: int):
        self._estimator, self._data = estimator, TrainingData(X, y, sample_weight)
        self._epoch_arguments: dict[str, Any] = {}
        self._tasks: list[Any] = []  # tasks that have begun and not ended: an epoch, then one of its parts
        self._parts_to_come = 0
        self._asked_to_stop = False
        self._fit = estimator._init_callback_context(task_name=method, max_subtasks=max_subtasks)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data.arguments())

    def training_begins(self, rows: NDArray[np.int64] | None, fitted: Callable[[], dict[str, Any]]) -> None:
        self._epoch_arguments = {**self._data.part(rows).arguments(), "reconstruction_attributes": fitted}

    def epoch_begins(self, n_parts: int) -> None:
        self._parts_to_come = n_parts if n_parts >= LONG_EPOCH else 0
        self._begin(self._fit.subcontext(task_name="epoch", max_subtasks=self._parts_to_come), **self._epoch_arguments)
        self._begin_part()

    def part_ends(self) -> None:
        super().part_ends()
        if len(self._tasks) > 1:
            self._end()
            self._begin_part()

    def epoch_ends(self, epoch: int, max_iter: int, loss: float) -> bool:
        stops = super().epoch_ends(epoch, max_iter, loss)
        while len(self._tasks) > 1:
            self._end()
        self._end(**self._epoch_arguments)
        return stops or self._asked_to_stop

    def fit_ends(self) -> None:
        while self._tasks:  # left open by an interrupt, or by 'lbfgs' or 'gd', which may begin one epoch too many
            self._end()
        self._fit.call_on_fit_task_end(
            estimator=self._estimator, **self._data.arguments(), reconstruction_attributes=dict
        )

    def _begin_part(self) -> None:
        if self._parts_to_come:
            self._parts_to_come -= 1
            self._begin(self._tasks[-1].subcontext(task_name="part"))

    def _begin(self, task: Any, **arguments: Any) -> None:
        self._tasks.append(task)
        task.call_on_fit_task_begin(estimator=self._estimator, **arguments)

    def _end(self, **arguments: Any) -> None:
        self._asked_to_stop |= self._tasks.pop().call_on_fit_task_end(estimator=self._estimator, **arguments)
