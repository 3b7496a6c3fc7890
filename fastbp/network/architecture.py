"""The architecture of a network: widths, activations, loss and precision."""

import dataclasses
import functools
import operator
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import NumbaError

from ..kernels.activations import HIDDEN
from ..kernels.losses import LEGAL_OUTPUTS, OUTPUTS
from ..kernels.user_loss import UserLoss, kernel_of
from .layout import Layout
from .memory import kept

Loss = str | UserLoss


@dataclasses.dataclass(frozen=True)
class Network:
    """The architecture of a network, without its parameters.

    Parameters
    ----------
    widths : tuple of int
        Units per layer, input and output included: S_1 ... S_L.
    activations : tuple of str
        Activation of each layer after the input: g_2 ... g_L.
    loss : str or UserLoss
        Name of the loss, or the functions of a loss of the user's own.
    dtype : numpy.dtype
        The dtype of parameters and arithmetic: float32 or float64.
    fit_intercept : bool
        Whether row 0 of each Theta^(l) is learned; otherwise it stays 0.
    loss_options : tuple of float
        The numbers that training with the loss 'huber' or 'quantile' needs, see kernels/losses.py.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: Loss
    dtype: np.dtype
    fit_intercept: bool = True
    loss_options: tuple[float, ...] = ()

    @property
    def n_layers(self) -> int:
        """Number of layers L, input and output included."""
        return len(self.widths)

    @kept
    def layout(self) -> Layout:
        """Where the parameters lie in `theta`."""
        return Layout(self.widths, self.dtype, self.fit_intercept)

    @kept
    def inner_weights(self) -> int:
        """Number of weights in all Theta^(l) except Theta^(1), without biases."""
        return sum(n * m for n, m in pairwise(self.widths[1:]))


def network_of(
    widths: Iterable[Any],
    activations: Iterable[str],
    loss: Loss,
    dtype: np.dtype,
    fit_intercept: bool = True,
    loss_options: Iterable[float] = (),
) -> Network:
    """The network with these fields. Recent networks are kept, so that equal fields give the same object and layout.

    The estimators make their networks here, because a user or a file may have edited the fields. A width that is not an
    integer raises TypeError. Other illegal fields raise ValueError.
    """
    # The cache treats 255, 255.0 and np.uint8(255) as one key, and np.uint8(255) would overflow when it is rounded up.
    # So every width becomes an int first.
    widths = tuple(map(operator.index, widths))
    for name in (names := tuple(activations)):
        if not isinstance(name, str):  # an unhashable name would raise a TypeError in the cache
            raise ValueError(f"The activation of a layer must be a name, got {name!r}.")
    return _kept_network(widths, names, loss, dtype, bool(fit_intercept), tuple(map(float, loss_options)))


@functools.lru_cache(maxsize=64)
def _kept_network(
    widths: tuple[int, ...],
    activations: tuple[str, ...],
    loss: Loss,
    dtype: np.dtype,
    fit_intercept: bool,
    loss_options: tuple[float, ...],
) -> Network:
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"A network must have at least two layers of at least 1 unit, got the widths {widths}.")
    if len(activations) != len(widths) - 1:
        raise ValueError(f"Each layer after the input must have an activation, got {activations} for {widths}.")
    for name in activations[:-1]:
        if name not in HIDDEN:
            raise ValueError(f"The activation of a hidden layer must be among {', '.join(HIDDEN)}, got {name!r}.")
    if activations[-1] not in OUTPUTS:
        raise ValueError(f"The output activation must be among {', '.join(OUTPUTS)}, got {activations[-1]!r}.")
    if not isinstance(loss, UserLoss) and loss not in LEGAL_OUTPUTS:
        raise ValueError(f"loss must be among {', '.join(LEGAL_OUTPUTS)}, got {loss!r}.")
    if not (isinstance(dtype, np.dtype) and dtype in (np.float32, np.float64)):
        raise ValueError(f"The dtype of a network must be float32 or float64, got {dtype}.")
    return Network(tuple(map(int, widths)), activations, loss, dtype, fit_intercept, loss_options)


def legal_outputs(loss: Loss) -> tuple[str, ...]:
    """The output activations that go with a loss. A loss of the user's own goes with all."""
    return tuple(OUTPUTS) if isinstance(loss, UserLoss) else LEGAL_OUTPUTS[loss]


def hidden_activations(activation: Any, n_hidden: int) -> tuple[str, ...]:
    """The activation of each of n_hidden hidden layers.

    activation: one name for all layers, or a name for each layer; anything else raises ValueError.
    """
    if isinstance(activation, str) and activation in HIDDEN:
        return (str(activation),) * n_hidden
    given = np.asarray(activation, dtype=object).ravel()  # dtype object: the list may be ragged or hold other types
    if not all(isinstance(name, str) and name in HIDDEN for name in given):
        raise ValueError(f"activation must be among {', '.join(HIDDEN)}, or a list of them, got {activation!r}.")
    names = tuple(map(str, given))
    if len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one per hidden layer: got {len(names)} names, "
            f"{activation!r}, for {n_hidden} hidden layers."
        )
    return names


def compile_loss(network: Network) -> None:
    """Compile a loss of the user's own; raises ValueError if Numba cannot, or if the gradient returns something."""
    if isinstance(network.loss, UserLoss):
        try:
            kernel_of(network.loss).address(network.dtype)
        except (NumbaError, TypeError) as error:  # some versions of Numba raise TypeError for a wrong signature
            functions = ", ".join(getattr(function, "__name__", repr(function)) for function in network.loss)
            raise ValueError(
                f"loss=({functions}) must be two functions that Numba compiles, cost(z, y) and gradient(z, y, out), "
                f"but: {error}"
            ) from error
        results = {signature.return_type for signature in getattr(network.loss.gradient, "nopython_signatures", ())}
        if results - {types.none}:
            raise ValueError(
                "loss=(cost, gradient) must have a gradient(z, y, out) that puts dC/dz into out and returns nothing, "
                f"but {getattr(network.loss.gradient, '__name__', 'it')} returns {', '.join(map(str, results))}."
            )
