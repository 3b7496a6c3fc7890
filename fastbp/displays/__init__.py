"""Pictures of a fitted network, in scikit-learn's Display convention: loss curves, the network itself, norms of delta.

Each has a class method `from_estimator`, which computes and plots, and `plot`, which plots again; after either, `ax_`
and `figure_` are what was drawn on. They take a fitted estimator of this package, also at the end of a Pipeline, or as
the best of a search, or within a TransformedTargetRegressor. Drawing needs matplotlib: the extra `plot`.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .. import textbook
from ..estimators.base import Perceptron
from ..estimators.parameters import STOCHASTIC
from ..extras import require
from ..network.architecture import hidden_activations
from ..typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["DeltaNormDisplay", "LossCurveDisplay", "NetworkDisplay"]

POSITIVE, NEGATIVE, PALE = "#2166ac", "#b2182b", "0.6"  # told apart by the colour-blind, too
ROWS_AT_ONCE = 1024  # of which delta is kept for all layers


class _Display:
    """What the displays share."""

    ax_: Axes
    figure_: Figure | SubFigure

    def _begin(self, ax: Axes | None, **figure: Any) -> Axes:
        """The axes to draw on, of a new figure if there are none."""
        require("matplotlib", extra="plot", by=f"{type(self).__name__}.plot")
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(layout="constrained", **figure)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


class LossCurveDisplay(_Display):
    """Loss over the epochs of a fit, on the training and on the validation examples.

    Parameters
    ----------
    training_loss : array-like of shape (n_iterations,)
        `loss_curve_`.
    validation_loss : array-like of shape (n_iterations,), default=None
        `validation_loss_curve_`.
    best_epoch : int, default=None
        Epoch, from 1, whose weights early stopping kept.
    unit : str, default='epoch'
        What the loss is taken after.
    name : str, default=None
        Of the estimator, in the legend.

    Attributes
    ----------
    training_line_ : matplotlib Line2D
        The training loss.
    validation_line_ : matplotlib Line2D or None
        The validation loss, dashed.
    best_marker_ : matplotlib Line2D or None
        On the validation loss at the best epoch.
    ax_ : matplotlib Axes
        With the curve.
    figure_ : matplotlib Figure
        With the axes.

    Notes
    -----
    The training loss has the L2 term and, for 'sgd' and 'adam', is the mean over an epoch in which the weights moved;
    the validation loss is without the L2 term, after the epoch. So the latter may well be the lower one at first.

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
            Fitted; see `fastbp.displays`.
        name : str, default=None
            Of the estimator, in the legend.
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
            There is no network of this package in the estimator.
        """
        net = network_in(estimator)
        unit = "epoch" if net.solver in STOCHASTIC else "iteration"
        validation_loss, best_epoch = net.validation_loss_curve_, None
        if validation_loss is not None and net.best_loss_ is None:  # progress was the score
            best_epoch = int(np.nanargmax(net.validation_scores_)) + 1
        display = cls(net.loss_curve_, validation_loss=validation_loss, best_epoch=best_epoch, unit=unit, name=name)
        return display.plot(ax=ax, log_scale=log_scale, **kwargs)

    def plot(self, ax: Axes | None = None, *, log_scale: bool = False, **kwargs: Any) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            To draw on, perhaps with the curves of other estimators; None makes a figure.
        log_scale : bool, default=False
            Whether the losses are on a logarithmic scale.
        **kwargs
            For both lines, as `matplotlib.axes.Axes.plot` takes them.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        ax = self._begin(ax)
        label = (lambda what: f"{self.name}, {what}") if self.name else (lambda what: what)
        training = np.asarray(self.training_loss)
        (self.training_line_,) = ax.plot(np.arange(1, len(training) + 1), training, label=label("training"), **kwargs)
        self.validation_line_ = self.best_marker_ = None
        if self.validation_loss is not None:
            colour: dict[str, Any] = {"color": self.training_line_.get_color()}
            validation = np.asarray(self.validation_loss)
            epochs = np.arange(1, len(validation) + 1)
            options = colour | {"linestyle": "--", "label": label("validation")} | kwargs
            (self.validation_line_,) = ax.plot(epochs, validation, **options)
            if self.best_epoch is not None:
                at = [self.best_epoch], validation[[self.best_epoch - 1]]
                options = colour | {"marker": "o", "linestyle": "none", "label": label("kept weights")}
                (self.best_marker_,) = ax.plot(*at, **options)
        ax.set(xlabel=self.unit, ylabel="loss", yscale="log" if log_scale else ax.get_yscale())
        _whole_ticks(ax)
        ax.legend()
        return self


class NetworkDisplay(_Display):
    """The network: a column of units per layer, and lines for the weights between them.

    Blue weights are positive, red ones negative; the wider a line, the larger the weight, compared with the largest of
    its layer. Of a layer of many units the first and the last are drawn.

    Parameters
    ----------
    coefs : list of array-like of shape (S_l, S_{l+1})
        Weights between layers.
    activations : list of str
        Activation of each layer but the input.
    feature_names : array-like of str of shape (S_1,), default=None
        Names of the input units.
    output_names : array-like of str of shape (S_L,), default=None
        Names of the output units.

    Attributes
    ----------
    units_ : list of dict of int to (float, float)
        For each layer the centres of the units that are drawn.
    weights_ : list of matplotlib LineCollection
        The weights between layers; with images not those of the first, which the images show.
    images_ : list of matplotlib AxesImage
        Weights of the first hidden layer's drawn units as images, with `image_shape`.
    ax_ : matplotlib Axes
        With the network.
    figure_ : matplotlib Figure
        With the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.displays import NetworkDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = BackpropClassifier(hidden_layer_sizes=(8,), tol=1e-3, random_state=0).fit(X / 16, y)
    >>> display = NetworkDisplay.from_estimator(clf, image_shape=(8, 8))
    >>> len(display.images_)
    8
    """

    RADIUS = 0.3  # of a unit; units of a layer are 1 apart
    IMAGE = 0.88  # side of an image
    WIDEST = 2.5  # line, in points
    NAME_LENGTH = 24  # of which longer names are cut

    def __init__(
        self,
        coefs: Sequence[ArrayLike],
        activations: Sequence[str],
        *,
        feature_names: ArrayLike | None = None,
        output_names: ArrayLike | None = None,
    ):
        self.coefs = coefs
        self.activations = activations
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        max_units: int = 16,
        feature_names: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted; see `fastbp.displays`.
        image_shape, max_units
            As in `plot`.
        feature_names : array-like of str of shape (S_1,), default=None
            Names of the input units; None are those that the network was fitted with, if any.
        ax
            As in `plot`.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        NotFittedError
            There was no fit.
        TypeError
            There is no network of this package in the estimator.
        ValueError
            As `plot`.
        """
        net = network_in(estimator)
        hidden = hidden_activations(net.activation, len(net.coefs_) - 1)
        if feature_names is None:
            feature_names = getattr(net, "feature_names_in_", None)
        output_names = None
        if is_classifier(net):  # a single output of two classes is the probability of the second
            output_names = net.classes_[-1:] if net.n_outputs_ == 1 else net.classes_
        display = cls(
            net.coefs_, (*hidden, net.out_activation_), feature_names=feature_names, output_names=output_names
        )
        return display.plot(image_shape=image_shape, max_units=max_units, ax=ax)

    def plot(self, ax: Axes | None = None, *, image_shape: tuple[int, int] | None = None, max_units: int = 16) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            To draw on; None makes a figure.
        image_shape : (int, int), default=None
            Rows and columns of the images whose pixels the features are, row by row. The units of the first hidden
            layer are then drawn as images of their weights.
        max_units : int, default=16
            Most units of a layer that are drawn, at least 2.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            max_units, image_shape or the number of names does not fit.
        """
        coefs = [np.asarray(coef) for coef in self.coefs]
        widths = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
        self._check(widths, image_shape, max_units)
        drawn = [_ends(width, max_units) for width in widths]
        first = 1 if image_shape else 0
        if image_shape:
            drawn[0] = []  # its images say more than lines from single pixels
        height = max(map(len, drawn)) + 1
        apart = max(3.0, 0.4 * height)  # layers
        inches = 0.55 if image_shape else 0.38  # between units
        size = inches * ((len(widths) - 1 - first) * apart + 1) + 3, inches * height + 1.2
        ax = self._begin(ax, figsize=size)

        self.units_ = [
            {unit: ((l - first) * apart, y) for unit, y in zip(units, _heights(len(units), width), strict=True)}
            for l, (units, width) in enumerate(zip(drawn, widths, strict=True))
        ]
        self.images_ = self._draw_images(ax, coefs[0], image_shape) if image_shape else []
        self.weights_ = [self._draw_weights(ax, coefs[l], l) for l in range(first, len(coefs))]
        self._draw_units(ax, widths, with_images=bool(image_shape))
        self._write(ax, widths, height, image_shape)
        ax.set(xlim=(-0.5, self._x(-1) + 0.5), ylim=(-height / 2, height / 2), aspect="equal")
        ax.set_axis_off()
        return self

    def _check(self, widths: list[int], image_shape: tuple[int, int] | None, max_units: int) -> None:
        if max_units < 2:
            raise ValueError(f"max_units must be at least 2, got {max_units!r}.")
        if image_shape and (len(image_shape) != 2 or np.prod(image_shape) != widths[0]):
            raise ValueError(
                f"image_shape must be (rows, columns) with as many pixels as there are features, {widths[0]}; "
                f"got {image_shape!r}."
            )
        if image_shape and len(widths) < 3:
            raise ValueError("image_shape needs a hidden layer, whose weights to draw; the network has none.")
        for name, width in (("feature_names", widths[0]), ("output_names", widths[-1])):
            names = getattr(self, name)
            if names is not None and len(names) != width:
                raise ValueError(f"{name} must be {width} names, got {len(names)}.")

    def _draw_images(self, ax: Axes, coef: Array, image_shape: tuple[int, int]) -> list[Any]:
        """The first hidden layer's units, on one scale of colours that is white at 0."""
        limit, (rows, columns) = np.abs(coef).max() or 1.0, image_shape
        half_width = self.IMAGE / 2 * min(1, columns / rows)
        half_height = self.IMAGE / 2 * min(1, rows / columns)
        return [
            ax.imshow(
                coef[:, unit].reshape(image_shape),
                extent=(x - half_width, x + half_width, y - half_height, y + half_height),
                cmap="RdBu",
                vmin=-limit,
                vmax=limit,
                zorder=3,
            )
            for unit, (x, y) in self.units_[1].items()
        ]

    def _draw_weights(self, ax: Axes, coef: Array, l: int) -> Any:
        """The lines from layer l to the next one, the heaviest on top."""
        from matplotlib.collections import LineCollection

        largest = np.abs(coef).max() or 1.0
        lines = [
            (coef[i, j] / largest, (start, end))
            for i, start in self.units_[l].items()
            for j, end in self.units_[l + 1].items()
        ]
        lines.sort(key=lambda line: abs(line[0]))
        weights = np.array([weight for weight, _ in lines])
        return ax.add_collection(
            LineCollection(
                [ends for _, ends in lines],
                colors=[POSITIVE if weight > 0 else NEGATIVE for weight in weights],
                linewidths=self.WIDEST * np.abs(weights),
                alpha=0.8,
                zorder=1,
            )
        )

    def _draw_units(self, ax: Axes, widths: list[int], *, with_images: bool) -> None:
        from matplotlib.patches import Circle, Rectangle

        for l, units in enumerate(self.units_):
            for x, y in units.values():
                if with_images and l == 1:
                    side = self.IMAGE
                    corner = (x - side / 2, y - side / 2)
                    ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=PALE, linewidth=0.5, zorder=4))
                else:
                    ax.add_patch(Circle((x, y), self.RADIUS, facecolor="white", edgecolor="black", zorder=3))
            if units and len(units) < widths[l]:
                ax.text(x, 0, "\u22ee", ha="center", va="center", fontsize="large", zorder=3)

    def _x(self, l: int) -> float:
        """Where the column of layer l is."""
        return next(iter(self.units_[l].values()))[0]

    def _write(self, ax: Axes, widths: list[int], height: int, image_shape: tuple[int, int] | None) -> None:
        """Captions, names and a key to the colours."""
        from matplotlib.lines import Line2D

        last = len(widths) - 1
        for l, width in enumerate(widths):
            if not self.units_[l]:
                continue
            kind = "input" if l == 0 else "output" if l == last else f"hidden {l}"
            lines = [kind, f"{width} unit{'s' if width > 1 else ''}"]
            if image_shape and l == 1:
                lines.append(f"of {image_shape[0]} \u00d7 {image_shape[1]} weights")
            if l:
                lines.append(self.activations[l - 1])
            ax.text(self._x(l), height / 2 + 0.2, "\n".join(lines), ha="center", va="bottom")
        for names, l, align, side in ((self.feature_names, 0, "right", -1), (self.output_names, last, "left", 1)):
            if names is not None:
                for unit, (x, y) in self.units_[l].items():
                    name = _shortened(str(np.asarray(names)[unit]), self.NAME_LENGTH)
                    ax.text(x + side * (self.RADIUS + 0.15), y, name, ha=align, va="center", fontsize="small")
        key = [Line2D([], [], color=POSITIVE, linewidth=2), Line2D([], [], color=NEGATIVE, linewidth=2)]
        ax.legend(key, ["positive weight", "negative weight"], loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2)


class DeltaNormDisplay(_Display):
    """Norm of delta per layer, which tells whether learning vanishes or explodes on its way back.

    delta^(l) is the derivative of one example's cost by z^(l), and the gradient of the weights into layer l is its
    outer product with what comes in. Where its norm falls by orders of magnitude from the output to the first hidden
    layer, the first layers hardly learn; where it grows so, their steps overshoot.

    Parameters
    ----------
    norms : array-like of shape (n_samples, L - 1)
        Euclidean norm of delta^(l) of every example, l = 2 ... L.
    name : str, default=None
        Of the estimator, in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean norm per layer.
    band_ : matplotlib PolyCollection
        From the 10th to the 90th percentile of the examples.
    ax_ : matplotlib Axes
        With the line, on a logarithmic scale.
    figure_ : matplotlib Figure
        With the axes.

    See Also
    --------
    fastbp.textbook.deltas : The deltas themselves.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.displays import DeltaNormDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5, 5), random_state=0).fit(X, y)
    >>> DeltaNormDisplay.from_estimator(clf, X, y).norms.shape
    (150, 3)
    """

    def __init__(self, norms: ArrayLike, *, name: str | None = None):
        self.norms = norms
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Compute delta for every example and plot its norm.

        Parameters
        ----------
        estimator : estimator
            Fitted; see `fastbp.displays`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples, as the estimator takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted.
        name : str, default=None
            Of the estimator, in the legend.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : DeltaNormDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        NotFittedError
            There was no fit.
        TypeError
            There is no network of this package in the estimator.
        ValueError
            X or y is not valid.
        """
        net = network_in(estimator)
        X, y = _as_the_network_sees(estimator, X, y)
        return cls(_delta_norms(net, X, y), name=name).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Plot the norms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            To draw on, perhaps with the norms of other estimators; None makes a figure.
        **kwargs
            For the line, as `matplotlib.axes.Axes.plot` takes them.

        Returns
        -------
        display : DeltaNormDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        norms = np.asarray(self.norms)
        ax = self._begin(ax)
        layers = np.arange(2, norms.shape[1] + 2)
        (self.line_,) = ax.plot(layers, norms.mean(axis=0), **({"marker": "o", "label": self.name} | kwargs))
        low, high = np.percentile(norms, [10, 90], axis=0)
        colour = self.line_.get_color()
        self.band_ = ax.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(
            xlabel="layer, from the first hidden one to the output",
            ylabel="norm of delta",
            yscale="log",
        )
        _whole_ticks(ax)
        ax.grid(axis="y", alpha=0.3)
        if self.name is not None:
            ax.legend()
        return self


# ---------------------------------------------------------------- what is drawn


def _inside(estimator: Any) -> Any:
    """The estimator that another one passes its data on to, None if it is of no known kind; raises NotFittedError."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        check_is_fitted(estimator)
        return estimator.regressor_
    if isinstance(estimator, BaseSearchCV):
        check_is_fitted(estimator)
        return estimator.best_estimator_
    return None


def network_in(estimator: Any) -> Any:
    """The fitted network in an estimator; raises TypeError if there is none, NotFittedError if it is not fitted."""
    network = estimator
    while not isinstance(network, Perceptron):
        network = _inside(network)
        if network is None:
            raise TypeError(
                "estimator must be a BackpropClassifier or BackpropRegressor, or a Pipeline, search or "
                f"TransformedTargetRegressor with one, got {estimator!r:.200}. For an MLPClassifier or MLPRegressor "
                "see from_sklearn."
            )
    check_is_fitted(network)
    return network


def _as_the_network_sees(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """X and y as they come to the network in the estimator."""
    while not isinstance(estimator, Perceptron):
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X)
        elif isinstance(estimator, TransformedTargetRegressor):
            y = np.asarray(y, dtype=np.float64)
            y = estimator.transformer_.transform(y.reshape(len(y), -1)).reshape(y.shape)
        estimator = _inside(estimator)
    return X, y


def _delta_norms(net: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """|delta^(l)| of every example: (n_samples, L - 1)."""
    X, y = net._validated(X, y, reset=False)
    target = net._fitted_target()
    target.check_held_out(y, "y")
    codes, Y = target.encode(y, net.loss)
    if codes is not None:
        Y = codes[:, None] if net.n_outputs_ == 1 else np.eye(net.n_outputs_)[codes]
    assert Y is not None
    parts = []
    for start in range(0, len(Y), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        dense = X[rows].toarray() if scipy.sparse.issparse(X) else X[rows]
        deltas = textbook.deltas(
            dense,
            Y[rows],
            net.coefs_,
            net.intercepts_,
            activation=list(hidden_activations(net.activation, len(net.coefs_) - 1)),
            out_activation=net.out_activation_,
            loss=net.loss,
        )
        parts.append(np.stack([np.linalg.norm(delta.astype(np.float64), axis=1) for delta in deltas], axis=1))
    return np.concatenate(parts)


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _ends(width: int, most: int) -> list[int]:
    """Units to draw of a layer: all, or as many of the first as of the last."""
    if width <= most:
        return list(range(width))
    first = most - most // 2
    return [*range(first), *range(width - most // 2, width)]


def _heights(n: int, width: int) -> list[float]:
    """Heights of n units of a layer, 1 apart from the top, centred; with a gap in the middle if it has more."""
    steps = [k + (1 if n < width and k >= n - n // 2 else 0) for k in range(n)]
    return [(steps[-1] / 2) - step for step in steps] if n else []


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "\u2026"
