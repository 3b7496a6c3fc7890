"""DeltaNormDisplay: how large delta is in each layer."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from .. import textbook
from ..estimators.predicting import expected_outputs
from ..network.architecture import hidden_activations
from .common import Display, as_the_network_sees, layer_names, line_options, network_in, show_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS_AT_ONCE = 1024  # the deltas of at most this number of examples are in memory at once


class DeltaNormDisplay(Display):
    """Norm of delta per layer. It shows whether the gradient vanishes or explodes on its way back.

    The vector delta^(l) is the derivative of one example's cost with respect to z^(l). The gradient of the weights into
    layer l is the outer product of delta^(l) and the activations of the layer before. If the norm falls by orders of
    magnitude from the output to the first hidden layer, 'sgd' and 'gd' hardly train the first layers. If the norm grows
    by as much, their steps in the first layers overshoot. 'adam' suffers less, because it divides a gradient by its
    usual size.

    Parameters
    ----------
    norms : array-like of shape (n_samples, L - 1)
        Euclidean norm of delta^(l) for every example and each layer after the input, l = 2 ... L.
    name : str, default=None
        Name of the estimator in the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean norm per layer.
    band_ : matplotlib PolyCollection
        The band from the 10th to the 90th percentile of the examples.
    ax_ : matplotlib Axes
        The axes with the line; the norms have a logarithmic scale.
    figure_ : matplotlib Figure
        The figure with the axes.

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
        """Compute delta for every example and plot the norms.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator; see `fastbp.displays`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples, as the estimator takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or numbers that the estimator should predict.
        name : str, default=None
            Name of the estimator in the legend.
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
            The estimator contains no network of this package.
        ValueError
            X or y is not valid.
        """
        net = network_in(estimator)
        X, y = as_the_network_sees(estimator, X, y)
        return cls(_delta_norms(net, X, y), name=name).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Plot the norms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. They may have the norms of other estimators. None makes a figure.
        **kwargs
            Options of `matplotlib.axes.Axes.plot` for the line.

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
        names = _names_on(ax) if ax.lines else {}
        layers = np.arange(2, norms.shape[1] + 2)
        options = {"marker": "o", "label": self.name} | line_options(kwargs)
        (self.line_,) = ax.plot(layers, norms.mean(axis=0), **options)
        low, high = np.percentile(norms, [10, 90], axis=0)
        colour = self.line_.get_color()
        self.band_ = ax.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(xlabel="layer", ylabel="norm of delta", yscale="log")
        for layer, name in zip(layers, layer_names(len(layers) + 1)[1:], strict=True):
            names.setdefault(layer, []).append(name)
        ax.set_xticks(sorted(names), [" / ".join(dict.fromkeys(names[layer])) for layer in sorted(names)])
        ax.grid(axis="y", alpha=0.3)
        show_legend(ax)
        return self


def _names_on(ax: Axes) -> dict[int, list[str]]:
    """For each layer, its names below the axis, from earlier displays. The label "hidden 2 / output" is two names."""
    ticks = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    written = {int(at): label.get_text().split(" / ") for at, label in ticks}
    return {at: names for at, names in written.items() if names[0].startswith(("hidden", "output"))}


def _delta_norms(net: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """|delta^(l)| for every example: (n_samples, L - 1)."""
    X, Y = expected_outputs(net, X, y)
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
            loss_options=net._loss_options(net._fitted_target()),
        )
        parts.append(np.stack([np.linalg.norm(delta.astype(np.float64), axis=1) for delta in deltas], axis=1))
    return np.concatenate(parts)
