"""HalvingDisplay: the test scores of the candidates of a HalvingSearchCV, rung by rung."""

from __future__ import annotations  # Axes are imported for type checkers only

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..model_selection import HalvingSearchCV
from .common import Display, line_options, show_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Candidates that stop by themselves may end at many different epochs. If more than MOST_TICKS epochs are different,
# matplotlib chooses the ticks.
MOST_TICKS = 8


class HalvingDisplay(Display):
    """Mean test score of each candidate of a HalvingSearchCV after each of its rungs.

    Parameters
    ----------
    epochs : list of array-like
        For each candidate, its epochs after each of its rungs: `cv_results_["curve_epochs"]`.
    scores : list of array-like
        For each candidate, its mean test scores there: `cv_results_["curve_test_score"]`.
    best : int, default=None
        The candidate to highlight.
    name : str, default=None
        Name of the best candidate in the legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        A line for each candidate. It ends where the candidate was dropped.
    best_line_ : matplotlib Line2D or None
        The line of the best candidate.
    ax_ : matplotlib Axes
        The axes with the curves.
    figure_ : matplotlib Figure
        The figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.displays import HalvingDisplay
    >>> from fastbp.model_selection import HalvingSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(max_iter=90, n_iter_no_change=90, random_state=0)
    >>> search = HalvingSearchCV(clf, {"learning_rate_init": [1e-4, 1e-3, 1e-2]}).fit(X, y)
    >>> len(HalvingDisplay.from_estimator(search).lines_)
    3
    """

    def __init__(
        self, epochs: list[ArrayLike], scores: list[ArrayLike], *, best: int | None = None, name: str | None = None
    ):
        self.epochs, self.scores, self.best, self.name = epochs, scores, best, name

    @classmethod
    def from_estimator(cls, estimator: HalvingSearchCV, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Plot the curves of a fitted search.

        Parameters
        ----------
        estimator : HalvingSearchCV
            A fitted search.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : HalvingDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        NotFittedError
            There was no fit.
        TypeError
            The estimator is not a HalvingSearchCV.
        """
        if not isinstance(estimator, HalvingSearchCV):
            raise TypeError(f"estimator must be a HalvingSearchCV, got {estimator!r:.200}.")
        check_is_fitted(estimator, "cv_results_")
        results, best = estimator.cv_results_, getattr(estimator, "best_index_", None)
        name = None
        if best is not None:
            name = ", ".join(f"{key.split('__')[-1]}={_short(value)}" for key, value in results["params"][best].items())
        display = cls(list(results["curve_epochs"]), list(results["curve_test_score"]), best=best, name=name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs
            Options of `matplotlib.axes.Axes.plot` for the lines of the candidates that are not the best one.

        Returns
        -------
        display : HalvingDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        ax = self._begin(ax)
        others: dict[str, Any] = {"color": "0.7", "linewidth": 1.0, "marker": "."} | line_options(kwargs)
        best: dict[str, Any] = {"color": "C0", "linewidth": 2.0, "marker": "o", "label": self.name, "zorder": 3}
        self.lines_, self.best_line_ = [], None
        for c, (epochs, scores) in enumerate(zip(self.epochs, self.scores, strict=True)):
            (line,) = ax.plot(np.asarray(epochs), np.asarray(scores), **(best if c == self.best else others))
            self.lines_.append(line)
            if c == self.best:
                self.best_line_ = line
        # The axis is logarithmic, because each rung has `factor` times the epochs of the rung before.
        ax.set(xlabel="epochs", ylabel="mean test score", xscale="log")
        ticks = sorted({float(epoch) for epochs in self.epochs for epoch in np.asarray(epochs)})
        if len(ticks) <= MOST_TICKS:
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.minorticks_off()
        show_legend(ax)
        return self


def _short(value: Any) -> str:
    """A number with few digits; anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
