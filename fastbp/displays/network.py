"""NetworkDisplay: the units of a network and the weights between them."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from ..network.architecture import hidden_activations
from ..typing import Array
from .common import Display, input_names, layer_names, network_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POSITIVE, NEGATIVE, PALE = "#2166ac", "#b2182b", "0.6"  # blue and red that colour-blind people can tell apart


class NetworkDisplay(Display):
    """A column of units for each layer, and lines for the weights between them.

    Positive weights are blue and negative weights red. The width of a line is the size of its weight, relative to the
    largest weight between the same two layers. In a layer of many units, only those with the strongest weights are
    drawn. If these units have no names, they are numbered, from 0.

    Parameters
    ----------
    coefs : list of array-like of shape (S_l, S_{l+1})
        Weights from each layer l, which has S_l units, to the next. Layer 1 is the input, layer L the output.
    activations : list of str
        Activation of each layer after the input.
    feature_names : array-like of str of shape (S_1,), default=None
        Names of the input units.
    output_names : array-like of str of shape (S_L,), default=None
        Names of the output units.

    Attributes
    ----------
    units_ : list of dict of int to (float, float)
        One dict per layer. It maps the index of each drawn unit to the centre of the unit's circle or image.
    weights_ : list of matplotlib LineCollection
        The weights between layers. With `image_shape` the weights into the first hidden layer are missing, because
        the images show them.
    images_ : list of matplotlib AxesImage
        With `image_shape`, an image for each unit drawn in the first hidden layer: the weights into the unit.
    ax_ : matplotlib Axes
        The axes with the network.
    figure_ : matplotlib Figure
        The figure with the axes.

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

    # RADIUS and IMAGE are lengths. Neighbouring units of a layer are 1 apart.
    RADIUS = 0.3  # radius of a unit's circle
    IMAGE = 0.88  # side of the square frame around an image
    WIDEST = 2.5  # width of the widest line, in points
    NAME_LENGTH = 24  # longer names are cut to this many characters

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
            A fitted estimator; see `fastbp.displays`.
        image_shape, max_units
            As in `plot`.
        feature_names : array-like of str of shape (S_1,), default=None
            Names of the input units. None takes the names that the network was fitted with, or the names that a
            pipeline's earlier steps give to the network's inputs, if there are any.
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
            The estimator contains no network of this package.
        ValueError
            As `plot`.
        """
        net = network_in(estimator)
        hidden = hidden_activations(net.activation, len(net.coefs_) - 1)
        if feature_names is None:
            feature_names = input_names(estimator)
        output_names = None
        if is_classifier(net):  # a single output for two classes is the probability of the second
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
            Axes to draw on. None makes a figure.
        image_shape : (int, int), default=None
            Numbers of rows and columns of an image whose pixels, row by row, are the features. Each drawn unit of the
            first hidden layer is then an image of the weights into the unit.
        max_units : int, default=16
            Largest number of units of a layer to draw, at least 2.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            max_units is less than 2, image_shape does not fit the network, or the number of names is wrong.
        """
        coefs = [np.asarray(coef) for coef in self.coefs]
        widths = [len(coefs[0]), *(coef.shape[1] for coef in coefs)]
        self._check(widths, image_shape, max_units)
        drawn = [_strongest(strengths, max_units) for strengths in _strengths(coefs)]
        first = 1 if image_shape else 0
        if image_shape:
            drawn[0] = []  # the images replace the input units: lines from single pixels would show less
        height = max(_slots(len(units), width) for units, width in zip(drawn, widths, strict=True)) + 1
        apart = max(3.0, 0.4 * height)  # distance between neighbouring layers
        inches = 0.55 if image_shape else 0.38  # a length of 1 takes this many inches
        size = inches * ((len(widths) - 1 - first) * apart + 1) + 3, inches * height + 1.2
        ax = self._begin(ax, figsize=size)

        self.units_ = [
            {unit: ((l - first) * apart, y) for unit, y in zip(units, _heights(len(units), width), strict=True)}
            for l, (units, width) in enumerate(zip(drawn, widths, strict=True))
        ]
        self.images_ = self._draw_images(ax, coefs[0], image_shape) if image_shape else []
        self.weights_ = [self._draw_weights(ax, coefs[l], l) for l in range(first, len(coefs))]
        self._draw_units(ax, widths, with_images=bool(image_shape))
        self._write_captions(ax, widths, height / 2 + 0.2, image_shape)
        self._write_names(ax)
        self._write_numbers(ax, widths, with_images=bool(image_shape))
        self._explain_lines(ax)
        ax.set(xlim=(-0.5, self._x(-1) + 0.5), ylim=(-height / 2, height / 2), aspect="equal")
        ax.set_axis_off()
        return self

    def _check(self, widths: list[int], image_shape: tuple[int, int] | None, max_units: int) -> None:
        """Raise ValueError for the first argument that does not fit the network."""
        if max_units < 2:
            raise ValueError(f"max_units must be at least 2, got {max_units!r}.")
        if image_shape and (len(image_shape) != 2 or np.prod(image_shape) != widths[0]):
            raise ValueError(
                f"image_shape must be (rows, columns) with as many pixels as there are features, {widths[0]}; "
                f"got {image_shape!r}."
            )
        if image_shape and len(widths) < 3:
            raise ValueError("image_shape needs a hidden layer, but the network has none.")
        for name, width in (("feature_names", widths[0]), ("output_names", widths[-1])):
            names = getattr(self, name)
            if names is not None and len(names) != width:
                raise ValueError(f"{name} must be {width} names, got {len(names)}.")

    def _draw_images(self, ax: Axes, coef: Array, image_shape: tuple[int, int]) -> list[Any]:
        """Draw the units of the first hidden layer as images, on one scale of colours that is white at 0."""
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
        """Draw the lines from layer l to the next layer, the largest weight on top."""
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
        """Draw a circle for each unit, or a frame around its image, and dots where units are left out."""
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
                ax.text(x, y - 1, "\u22ee", ha="center", va="center", fontsize="large", zorder=3)

    def _x(self, l: int) -> float:
        """Position of the column of layer l."""
        return next(iter(self.units_[l].values()))[0]

    def _write_captions(self, ax: Axes, widths: list[int], y: float, image_shape: tuple[int, int] | None) -> None:
        """Write kind, size and activation of each layer above its column, at height y."""
        for l, (width, name) in enumerate(zip(widths, layer_names(len(widths)), strict=True)):
            if not self.units_[l]:
                continue
            lines = [name, f"{width} unit{'s' if width > 1 else ''}"]
            if len(self.units_[l]) < width:
                lines.append(f"(the {len(self.units_[l])} strongest)")
            if image_shape and l == 1:
                lines.append(f"of {image_shape[0]} \u00d7 {image_shape[1]} weights")
            if l:
                lines.append(self.activations[l - 1])
            ax.text(self._x(l), y, "\n".join(lines), ha="center", va="bottom")

    def _write_names(self, ax: Axes) -> None:
        """Write the names of the inputs to their left, the names of the outputs to their right."""
        for names, l, align, side in ((self.feature_names, 0, "right", -1), (self.output_names, -1, "left", 1)):
            if names is not None:
                for unit, (x, y) in self.units_[l].items():
                    name = _shortened(str(np.asarray(names)[unit]), self.NAME_LENGTH)
                    ax.text(x + side * (self.RADIUS + 0.15), y, name, ha=align, va="center", fontsize="small")

    def _write_numbers(self, ax: Axes, widths: list[int], *, with_images: bool) -> None:
        """In each layer that has no names and is drawn only in part, write the numbers of the drawn units."""
        named = {0: self.feature_names is not None, len(widths) - 1: self.output_names is not None}
        for l, units in enumerate(self.units_):
            if len(units) < widths[l] and not named.get(l):
                for unit, (x, y) in units.items():
                    if with_images and l == 1:
                        ax.text(x - self.IMAGE / 2 - 0.1, y, str(unit), ha="right", va="center", fontsize="x-small")
                    else:
                        ax.text(x, y, str(unit), ha="center", va="center", fontsize=6, zorder=4)

    def _explain_lines(self, ax: Axes) -> None:
        from matplotlib.lines import Line2D

        key = [Line2D([], [], color=POSITIVE, linewidth=2), Line2D([], [], color=NEGATIVE, linewidth=2)]
        ax.legend(
            key,
            ["positive weight", "negative weight"],
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=2,
            title="width of a line: size of the weight,\nrelative to the largest of its layer",
            title_fontsize="small",
        )


def _strengths(coefs: list[Array]) -> list[Array]:
    """For each layer, an array with the strength of each unit.

    The strength is the size of the unit's largest weight, in or out. Sizes are relative to the largest weight between
    the same two layers.
    """
    relative = [np.abs(coef) / (np.abs(coef).max() or 1.0) for coef in coefs]
    into, out_of = [weights.max(axis=0) for weights in relative], [weights.max(axis=1) for weights in relative]
    return [out_of[0], *map(np.maximum, into[:-1], out_of[1:]), into[-1]]


def _strongest(strengths: Array, most: int) -> list[int]:
    """The units of a layer to draw, in their order: all, or the `most` strongest of them."""
    return sorted(np.argsort(-strengths, kind="stable")[:most].tolist())


def _slots(n: int, width: int) -> int:
    """The places in a layer's column: one for each of n drawn units, and one for the dots if units are left out."""
    return n + (0 < n < width)


def _heights(n: int, width: int) -> list[float]:
    """Heights of the n drawn units of a layer, from the top, 1 apart; the column is centred."""
    top = (_slots(n, width) - 1) / 2
    return [top - k for k in range(n)]


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "\u2026"
