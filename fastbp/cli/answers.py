"""The predictions of a model for the rows of a table, each made once."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from ..encoding.readings import readings
from . import remarks
from .errors import UserError, listed, reason, warn
from .model_files import Model
from .tables import prepared

if TYPE_CHECKING:
    from pandas import DataFrame


class Numbers(RegressorMixin, BaseEstimator):
    """A regressor that has predicted all rows of a table. Its X is row indices, so no metric has to predict again.

    Parameters
    ----------
    regressor : TabularRegressor
    X : dataframe
    """

    def __init__(self, regressor: Any, X: Any) -> None:
        self._predictions = regressor.predict(X)

    def predict(self, rows: NDArray) -> NDArray:
        return np.asarray(self._predictions[rows])


class Classes(ClassifierMixin, BaseEstimator):
    """A classifier that has predicted all rows of a table. Its X is row indices, so no metric has to predict again.

    Parameters
    ----------
    classifier : TabularClassifier
    X : dataframe
    """

    def __init__(self, classifier: Any, X: Any) -> None:
        self.classes_ = classifier.classes_
        self._probabilities = classifier.predict_proba(X)

    def predict(self, rows: NDArray) -> NDArray:
        return np.asarray(self.classes_[self._probabilities[rows].argmax(axis=1)])

    def predict_proba(self, rows: NDArray) -> NDArray:
        return np.asarray(self._probabilities[rows])


def answers(estimator: Any, X: "DataFrame", path: str) -> Numbers | Classes:
    """The predictions of a fitted estimator; raises UserError if it cannot read the table. path: the table's file."""
    with errors_name(path):
        return (Classes if hasattr(estimator, "classes_") else Numbers)(estimator, X)


def answers_of_model(model: Model, frame: "DataFrame", path: str) -> Numbers | Classes:
    """The predictions of a model for the table in a file; raises UserError if the table does not suit the model.

    Warns of values that the model does not understand. path: the table's file.
    """
    if missing := [name for name in model.estimator.column_kinds_ if name not in frame]:
        raise UserError(f"{path} lacks columns that the model was trained on: {listed(missing)}")
    frame = prepared(frame[list(model.estimator.column_kinds_)], path)
    with errors_name(path):
        found = readings(model.estimator.encoders_[0], frame)
    remarks.refuse_other_kinds(found, frame, path)
    X, said = remarks.without_junk(found, frame)
    for remark in (*said, *remarks.on_new_categories(found, frame)):
        warn(remark)
    return answers(model.estimator, X, path)


@contextlib.contextmanager
def errors_name(path: str) -> Iterator[None]:
    """Within this context, an error about a table is a UserError that names the table's file."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {reason(error)}") from error
