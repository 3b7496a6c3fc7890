"""How good predictions are: the metrics that are always printed, and scorers of scikit-learn by name."""

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    get_scorer_names,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from .errors import UserError, reason

SHARES = ("R^2", "accuracy", "log loss", "AUC", "F1")
MARGIN = 2  # spaces between two columns


def check_scorers(names: Sequence[str]) -> None:
    """Raise UserError unless scikit-learn has these scorers."""
    for name in names:
        if name not in get_scorer_names():
            close = difflib.get_close_matches(name, get_scorer_names())
            hint = f"; it has {', '.join(close)}" if close else ""
            raise UserError(f"--metric {name}: scikit-learn has no scorer of this name{hint}")


def scores(estimator: Any, X: Any, y: NDArray, scorers: Sequence[str]) -> dict[str, float]:
    """The usual metrics of an estimator, and the values of these scorers; raises UserError if a scorer fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # an undefined metric is NaN
        warnings.filterwarnings("ignore", "The number of unique classes")  # `train` gives this warning in its own words
        usual = _of_classes if hasattr(estimator, "classes_") else _of_numbers
        result = usual(estimator, X, y)
        for name in scorers:
            try:
                result[name] = _scored(name, estimator, X, y)
            except (ValueError, AttributeError, TypeError) as error:
                raise UserError(f"--metric {name}: {reason(error)}") from error
    return result


def table(title: str, rows: dict[str, dict[str, float]]) -> str:
    """Lines with the title and the names of the metrics, and below them a row for each estimator."""
    names = list(next(iter(rows.values())))
    first = max(len(title), *(len(row) + MARGIN for row in rows))
    cells = {row: [_number(*item) for item in values.items()] for row, values in rows.items()}
    widths = [max(len(name), *(len(row[k]) for row in cells.values())) + MARGIN for k, name in enumerate(names)]
    lines = [title.ljust(first), *("  " + row.ljust(first - MARGIN) for row in rows)]
    columns = [names, *cells.values()]
    return "\n".join(
        line + "".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for line, row in zip(lines, columns, strict=True)
    )


def _of_numbers(estimator: Any, X: Any, y: NDArray) -> dict[str, float]:
    predictions = estimator.predict(X)
    return {
        "R^2": r2_score(y, predictions),
        "RMSE": root_mean_squared_error(y, predictions),
        "MAE": mean_absolute_error(y, predictions),
    }


def _of_classes(estimator: Any, X: Any, y: NDArray) -> dict[str, float]:
    """The metrics of a classifier's predictions.

    With more than two classes, AUC is the mean of the areas for each class against the rest, and F1 is the mean over
    the classes. Log loss and AUC leave out the rows whose class the estimator does not know.
    """
    classes, predictions, probabilities = estimator.classes_, estimator.predict(X), estimator.predict_proba(X)
    result, last, known = {"accuracy": accuracy_score(y, predictions)}, classes[-1], np.isin(y, classes)
    result |= _of_probabilities(y[known], probabilities[known], classes)
    if len(classes) > 2:
        return result | {"F1": f1_score(y, predictions, average="macro", zero_division=0)}
    return result | {f"F1 of {str(last)!r:.22}": f1_score(y == last, predictions == last, zero_division=0)}


def _of_probabilities(y: NDArray, probabilities: NDArray, classes: NDArray) -> dict[str, float]:
    if not len(y):
        return {"log loss": np.nan, "AUC": np.nan}
    of_last = len(classes) == 2
    scores, truth = (probabilities[:, 1], y == classes[-1]) if of_last else (probabilities, y)
    auc = roc_auc_score(truth, scores, multi_class="ovr", labels=None if of_last else classes)
    return {"log loss": log_loss(y, probabilities, labels=classes), "AUC": auc}


class _Numbered(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose classes are renamed to 0, 1, ... Of two classes, scorers take 1 as the positive one."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier
        self.classes_ = np.arange(len(classifier.classes_))

    def predict(self, X: Any) -> NDArray:
        return np.searchsorted(self.classifier.classes_, self.classifier.predict(X))

    def predict_proba(self, X: Any) -> NDArray:
        probabilities: NDArray = self.classifier.predict_proba(X)
        return probabilities


def _scored(name: str, estimator: Any, X: Any, y: NDArray) -> float:
    if hasattr(estimator, "classes_"):
        known = np.isin(y, estimator.classes_)
        X, y = X[known], np.searchsorted(estimator.classes_, y[known])
        estimator = _Numbered(estimator)
    return float(get_scorer(name)(estimator, X, y))


def _number(name: str, value: float) -> str:
    """Four decimals, or five significant digits if the value is large or tiny and its metric is not in SHARES."""
    if np.isnan(value):
        return "-"
    of_shares = name.startswith(SHARES) or value == 0
    return f"{value:.4f}" if of_shares or 0.001 <= abs(value) < 10_000 else f"{value:.5g}"
