"""LossCurveDisplay: the loss over the epochs of a fit."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..estimators.parameters import STOCHASTIC
from .common import Display, line_options, network_in, show_legend, use_whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay(Display):
    """Loss over the epochs of a fit, on the training examples and on the validation examples.

    Parameters
    ----------
    training_loss : array-like of shape (n_iterations,)
        `loss_curve_`.
    validation_loss : array-like of shape (n_validated,), default=None
        `validation_loss_curve_`. If it is shorter than the training loss, it belongs to the last epochs: fits before a
        warm start may have had no validation set.
    best_epoch : int, default=None
        The epoch whose weights early stopping kept. Epochs count from 1, at the first training loss.
    unit : str, default='epoch'
        The label of the x axis. It names what each loss belongs to, such as 'epoch' or 'iteration'.
    name : str, default=None
        Name of the estimator in the legend.

    Attributes
    ----------
    training_line_ : matplotlib Line2D
        The training loss.
    validation_line_ : matplotlib Line2D or None
        The validation loss, a dashed line.
    best_marker_ : matplotlib Line2D or None
        The validation loss at the best epoch.
    ax_ : matplotlib Axes
        The axes with the curves.
    figure_ : matplotlib Figure
        The figure with the axes.

    Notes
    -----
    The training loss includes the L2 term, and the validation loss does not. For 'sgd' and 'adam', the training loss is
    a mean over the epoch, during which the weights change, but the validation loss is measured after the epoch. So the
    validation loss may be the lower one at first.

    Examples
    --------
    Several estimators on one axis:

    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.displays import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = None
    >>> for alpha in (0.001, 0.1):
    ...     clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), alpha=alpha, random_state=0).fit(X, y)
    ...     ax = LossCurveDisplay.from_estimator(clf, name=f"alpha={alpha}", ax=ax).ax_
    >>> len(ax.lines)
    2
    """

    def __init__(
        self,
        training_loss: ArrayLike,
        *,
        validation_loss: ArrayLike | None = None,
        best_epoch: int | None = None,
        unit: str = "epoch",
        name: str | None = None,
    ):
        self.training_loss = training_loss
        self.validation_loss = validation_loss
        self.best_epoch = best_epoch
        self.unit = unit
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        log_scale: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Plot the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator; see `fastbp.displays`.
        name : str, default=None
            Name of the estimator in the legend.
        ax, log_scale, **kwargs
            As in `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        NotFittedError
            There was no fit.
        TypeError
            The estimator contains no network of this package.
        """
        net = network_in(estimator)
        unit = "epoch" if net.solver in STOCHASTIC else "iteration"
        validation_loss, best_epoch = net.validation_loss_curve_, None
        # `of_validation` is the epoch of the kept weights, counted from 1 in the validation curve. It is None without
        # early stopping, or if no epoch of that curve gave the kept weights.
        of_validation = getattr(net, "_best_epoch", None)
        if validation_loss is not None and of_validation is not None:
            best_epoch = len(net.loss_curve_) - len(net.validation_scores_) + of_validation
        display = cls(net.loss_curve_, validation_loss=validation_loss, best_epoch=best_epoch, unit=unit, name=name)
        return display.plot(ax=ax, log_scale=log_scale, **kwargs)

    def plot(self, ax: Axes | None = None, *, log_scale: bool = False, **kwargs: Any) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. They may have the curves of other estimators. None makes a figure.
        log_scale : bool, default=False
            Whether to draw the losses on a logarithmic scale. False leaves the scale of the axes as it is.
        **kwargs
            Options of `matplotlib.axes.Axes.plot` for both lines. `label` is the label of the training loss. The labels
            of the validation loss and of the best epoch begin with it.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        ax = self._begin(ax)
        options, training = line_options(kwargs), np.asarray(self.training_loss)
        name = options.pop("label", self.name)

        def label(curve: str) -> str:
            return f"{name}, {curve}" if name else curve

        first = name if "label" in kwargs else label("training")
        (self.training_line_,) = ax.plot(np.arange(1, len(training) + 1), training, label=first, **options)
        self.validation_line_ = self.best_marker_ = None
        if self.validation_loss is not None:
            options["color"] = self.training_line_.get_color()
            validation = np.asarray(self.validation_loss)
            epochs = np.arange(len(training) - len(validation), len(training)) + 1
            dashed = {"linestyle": "--", "label": label("validation")} | options
            (self.validation_line_,) = ax.plot(epochs, validation, **dashed)
            if self.best_epoch is not None:
                at = [self.best_epoch], validation[epochs == self.best_epoch]
                marker = {"color": options["color"], "marker": "o", "linestyle": "none", "label": label("kept weights")}
                (self.best_marker_,) = ax.plot(*at, **marker)
        ax.set(xlabel=self.unit, ylabel="loss", yscale="log" if log_scale else ax.get_yscale())
        use_whole_ticks(ax)
        show_legend(ax)
        return self
