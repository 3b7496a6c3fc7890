"""Outputs of a network: predictions, hidden activations, and the evaluation of a theta on given examples."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples
from ..data.targets import Target
from ..kernels import losses
from ..kernels.activations import ELEMENTWISE
from ..kernels.row import Layer, forward_row
from ..network import costs
from ..network.architecture import Network
from ..network.memory import CACHE_LINE
from ..parallel.team import Team
from ..typing import Array
from .trainer import Evaluator
from .workspace import Workspace


def hidden_layers(network: Network, theta: Array, examples: Examples, team: Team) -> list[Array]:
    """For each hidden layer, a^(l) of all examples: an array of shape (n, S_l)."""
    space = Workspace(network, examples, examples.n, team)
    layers = [np.empty((examples.n, width), network.dtype) for width in network.widths[1:-1]]
    order, out = np.arange(examples.n), np.empty((examples.n, network.widths[-1]), network.dtype)
    for start in range(0, examples.n, space.chunk):
        stop = min(start + space.chunk, examples.n)
        space.predict(theta, order[start:stop], out[start:stop])
        for l, layer in enumerate(layers, 1):
            layer[start:stop] = space.activation(l, stop - start)
    return layers


def outputs_in_blocks(space: Workspace, theta: Array, order: NDArray[np.int64]) -> Iterator[tuple[slice, Array]]:
    """For each block of `order`, a pair: the block's slice of `order`, and a^(L) of its examples.

    a^(L) has the shape (rows, S_L). The a^(L) of the next block overwrites it.
    """
    rows, network = costs.output_rows(space.network), space.network
    out = np.empty((min(rows, len(order)), network.widths[-1]), network.dtype)
    for start in range(0, len(order), rows):
        part = slice(start, min(start + rows, len(order)))
        space.predict(theta, order[part], out[: part.stop - start])
        yield part, out[: part.stop - start]


@functools.lru_cache(maxsize=64)
def _row_layers(network: Network) -> tuple[list[tuple[int, ...]], int]:
    """(the fields of `kernels.row.Layer` for each layer after the input, the size of the scratch memory)."""
    layers, layout, dtype = [], network.layout, network.dtype
    x, end = -1, 0
    for l, name in enumerate(network.activations, 1):
        padded = layout.padded[l]
        g = ELEMENTWISE[name].g.address(dtype) if name in ELEMENTWISE else 0
        output = losses.OUTPUTS[name].address(dtype) if l == network.n_layers - 1 else 0
        layers.append(tuple(Layer(x, end, end + padded, padded, layout.is_narrow(l), g, output)))
        x, end = end + padded, end + 2 * padded
    return layers, end + CACHE_LINE // dtype.itemsize


def predict_row(network: Network, coefs: Sequence[Array], intercepts: Sequence[Array], x: Array) -> tuple[Array, bool]:
    """(a^(L) of one example, whether x and a^(L) are finite), from scikit-learn's arrays.

    x: (S_1,), contiguous and of the network's dtype. a^(L) has the shape (1, S_L), and the bits of `predict`.
    """
    (layers, size), dtype = _row_layers(network), network.dtype
    scratch, out, are_finite = np.zeros(size, dtype), np.empty((1, network.widths[-1]), dtype), True
    weights = network.layout.as_kernels_read(coefs, intercepts)
    for (coef, intercept), layer in zip(weights, layers, strict=True):
        are_finite = forward_row(coef, intercept, x, scratch, layer, out) and are_finite
    return out, are_finite


def predict(network: Network, theta: Array, examples: Examples, order: NDArray[np.int64], team: Team) -> Array:
    """a^(L) of the examples of `order`, of shape (len(order), S_L)."""
    out = np.empty((len(order), network.widths[-1]), network.dtype)
    Workspace(network, examples, len(order), team).predict(theta, order, out)
    return out


def evaluate(evaluator: Evaluator, theta: Array, rows: NDArray[np.int64], target: Target) -> tuple[NDArray, float]:
    """(judged, loss) for these rows. `target.score` takes judged; loss is the mean cost without the L2 term."""
    blocks = outputs_in_blocks(evaluator, theta, rows)
    judged = np.concatenate([target.judged(block, evaluator.examples, rows[part]) for part, block in blocks])
    return judged, evaluator.loss(theta, rows)
