"""The parts that the displays share: their axes, and the network within an estimator."""

from __future__ import annotations  # Axes and Figure are imported for type checkers only

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..estimators.base import Perceptron
from ..extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


class Display:
    """Base class of the displays."""

    ax_: Axes
    figure_: Figure | SubFigure

    def _begin(self, ax: Axes | None, **figure: Any) -> Axes:
        """The axes to draw on: `ax` or, if it is None, the axes of a new figure with these options."""
        require("matplotlib", extra="plot", by=f"{type(self).__name__}.plot")
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(layout="constrained", **figure)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def use_whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def line_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a line by their long names, because matplotlib also takes short ones, such as `c` for `color`."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return dict(normalize_kwargs(options, Line2D))


def show_legend(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend()


def layer_names(n_layers: int) -> list[str]:
    """The names of all layers of a network, the input first."""
    return ["input", *(f"hidden {l}" for l in range(1, n_layers - 1)), "output"]


def input_names(estimator: Any) -> Any:
    """Names of the inputs of the network in a fitted estimator; None if they are not known.

    The names are those that the network was fitted with, or those that the pipeline's steps before the network give.
    """
    names = None
    while not isinstance(estimator, Perceptron):
        if isinstance(estimator, Pipeline):
            try:
                names = estimator[:-1].get_feature_names_out(names)
            except (AttributeError, ValueError):  # a step does not name its outputs, or there is only one step
                names = names if len(estimator) == 1 else None
        estimator = _inner(estimator)
    names = getattr(estimator, "feature_names_in_", names)
    return names if names is not None and len(names) == estimator.n_features_in_ else None


def network_in(estimator: Any) -> Any:
    """The fitted network in an estimator.

    Raises TypeError if the estimator contains no network of this package, and NotFittedError if the network is not
    fitted.
    """
    network = estimator
    while not isinstance(network, Perceptron):
        network = _inner(network)
        if network is None:
            raise TypeError(
                "estimator must be a BackpropClassifier or BackpropRegressor, or a Pipeline, search or "
                f"TransformedTargetRegressor with one, got {estimator!r:.200}. For an MLPClassifier or MLPRegressor "
                "see from_sklearn."
            )
    check_is_fitted(network)
    return network


def as_the_network_sees(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """X and y after the transformations on their way to the network in the estimator."""
    while not isinstance(estimator, Perceptron):
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X)
        elif isinstance(estimator, TransformedTargetRegressor):
            y = np.asarray(y, dtype=np.float64)
            y = estimator.transformer_.transform(y.reshape(len(y), -1)).reshape(y.shape)
        estimator = _inner(estimator)
    return X, y


def _inner(estimator: Any) -> Any:
    """The estimator to which this one passes the data; None if this one is neither a pipeline nor another wrapper.

    Raises NotFittedError if this one is a search or a TransformedTargetRegressor without a fit.
    """
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        check_is_fitted(estimator)
        return estimator.regressor_
    if isinstance(estimator, BaseSearchCV):
        check_is_fitted(estimator, "best_estimator_")
        return estimator.best_estimator_
    return None
