"""The architecture of a network: widths, activations, loss and precision."""

import dataclasses
import functools
from itertools import pairwise
from typing import Any

import numpy as np

from ..kernels.activations import HIDDEN
from .layout import Layout
from .memory import kept


@dataclasses.dataclass(frozen=True)
class Network:
    """The architecture of a network; it has no parameters.

    Parameters
    ----------
    widths : tuple of int
        Units per layer, input and output included: S_1 ... S_L.
    activations : tuple of str
        Activation of each layer after the input: g_2 ... g_L.
    loss : str
        Name of the loss.
    dtype : numpy.dtype
        float32 or float64, of parameters and arithmetic.
    fit_intercept : bool
        Whether row 0 of each Theta^(l) is learned; otherwise it stays 0.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    dtype: np.dtype
    fit_intercept: bool = True

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


# Equal architectures give the same object, so that predictions and calls of partial_fit do not make its layout again.
network_of = functools.lru_cache(maxsize=64)(Network)


def hidden_activations(activation: Any, n_hidden: int) -> tuple[str, ...]:
    """The activation of each of n_hidden hidden layers.

    activation: one name for all layers, or a name for each layer; anything else raises ValueError.
    """
    one_for_all = isinstance(activation, str)
    given = np.asarray(activation, dtype=object).ravel()  # dtype object: the list may be ragged or hold other types
    if not all(isinstance(name, str) and name in HIDDEN for name in given):
        raise ValueError(f"activation must be among {', '.join(HIDDEN)}, or a list of them, got {activation!r}.")
    names = tuple(map(str, given))
    if one_for_all:
        return names * n_hidden
    if len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one per hidden layer: got {len(names)} names, "
            f"{activation!r}, for {n_hidden} hidden layers."
        )
    return names
