"""Outputs of a network: predictions, hidden activations, and the evaluation of a theta on given examples."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples
from ..data.targets import Target
from ..kernels import losses
from ..kernels.activations import ELEMENTWISE
from ..kernels.row import forward_row
from ..network import costs
from ..network.architecture import Network
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


def predict_row(network: Network, coefs: Sequence[Array], intercepts: Sequence[Array], x: Array) -> Array:
    """a^(L) of one example, of shape (1, S_L), from scikit-learn's arrays. The bits are those of `predict`."""
    a = x
    for l, (coef, intercept) in enumerate(network.layout.as_kernels_read(coefs, intercepts), 1):
        name = network.activations[l - 1]
        g = ELEMENTWISE[name].g.address(network.dtype) if name in ELEMENTWISE else 0
        output = losses.OUTPUTS[name].address(network.dtype) if l == network.n_layers - 1 else 0
        z, x = np.zeros((2, network.layout.padded[l]), network.dtype)
        forward_row(a, coef.reshape(-1), intercept, network.layout.is_narrow(l), g, output, z, x)
        a = x
    return a[np.newaxis, : network.widths[-1]].copy()


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
