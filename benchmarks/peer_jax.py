"""Training in JAX.

An epoch is one compiled call: a scan over the batches, and one more step if the last batch is smaller.
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray
from streams import initial, orders
from workloads import ALPHA, BETA_1, BETA_2, EPSILON, LEARNING_RATE, Parameters, Workload

jax.config.update("jax_enable_x64", True)  # allows float64; float32 arrays stay float32

# Layers: the pair (weights, biases) of each layer. State: the layers, and Adam's first and second moments of them.
Layers: TypeAlias = list[tuple[Any, Any]]
State: TypeAlias = tuple[Layers, Layers, Layers]


def _forward(layers: Layers, a: Any) -> Any:
    for weights, biases in layers[:-1]:
        a = jax.nn.relu(a @ weights + biases)
    weights, biases = layers[-1]
    return a @ weights + biases


def _objective(layers: Layers, X: Any, y: Any) -> tuple[Any, Any]:
    """(mean loss with the L2 term, mean loss without it) of a batch."""
    z = _forward(layers, X)
    if z.shape[1] == 1:
        losses = jax.nn.softplus(z[:, 0]) - y * z[:, 0]
    else:
        losses = jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
    penalty = sum(jnp.vdot(weights, weights) for weights, _ in layers)
    return losses.mean() + 0.5 * ALPHA / len(X) * penalty, losses.mean()


def _step(X: Any, y: Any, state: State, batch: Any, rate: Any) -> tuple[State, Any]:
    layers, first, second = state
    gradient, loss = jax.grad(_objective, has_aux=True)(layers, X[batch], y[batch])
    first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradient)
    layers = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), layers, first, second)
    return (layers, first, second), loss * len(batch)


@functools.partial(jax.jit, static_argnames="size", donate_argnames="state")
def _epoch(state: State, X: Any, y: Any, order: Any, rates: Any, size: int) -> tuple[State, Any]:
    """(state after an epoch, mean loss of the epoch). rates: Adam's rate in each step."""
    whole = len(X) // size
    batches = order[: whole * size].reshape(whole, size)
    state, losses = lax.scan(lambda state, step: _step(X, y, state, *step), state, (batches, rates[:whole]))
    total = losses.sum()
    if len(X) % size:
        state, loss = _step(X, y, state, order[whole * size :], rates[-1])
        total += loss
    return state, total / len(X)


def trainer(workload: Workload, X: NDArray[Any], y: NDArray[Any]) -> Any:
    """A function that trains for a number of epochs; see `libraries.trainer`."""
    features, labels = jnp.asarray(X), jnp.asarray(y, X.dtype if workload.classes == 2 else np.int32)
    steps = -(-len(X) // workload.batch)

    def train(epochs: int) -> Parameters:
        rng = np.random.RandomState(0)
        layers: Layers = [(jnp.array(w), jnp.array(b)) for w, b in zip(*initial(workload, X.dtype, rng), strict=True)]
        state: State = layers, jax.tree.map(jnp.zeros_like, layers), jax.tree.map(jnp.zeros_like, layers)
        curve = []
        for epoch, order in enumerate(orders(len(X), epochs, rng)):
            t = np.arange(epoch * steps, (epoch + 1) * steps) + 1
            rates = LEARNING_RATE * np.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
            state, loss = _epoch(
                state, features, labels, order.astype(np.int32), rates.astype(X.dtype), size=workload.batch
            )
            curve.append(float(loss))
        return Parameters([np.asarray(w) for w, _ in state[0]], [np.asarray(b) for _, b in state[0]])

    return train


def predictor(parameters: Parameters) -> Any:
    """A function that gives class probabilities; see `libraries.predictor`."""
    layers: Layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(*parameters, strict=True)]
    probabilities = jax.jit(lambda X: jax.nn.softmax(_forward(layers, X), axis=1))

    def predict(X: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(probabilities(X))

    return predict
