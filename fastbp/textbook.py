"""The mathematics as plain functions on lists of arrays, for people who learn, teach or verify; on the same kernels.

A network is `coefs`, the weights between layers, coefs[l] of shape (S_l, S_{l+1}), and `intercepts`, the biases,
intercepts[l] of shape (S_{l+1},), or None for a network without. `activation` is the name of the hidden layers'
activation, or one name per hidden layer; `out_activation` the output layer's; X has shape (m, S_1), Y (m, S_L).

Arithmetic is float32 if X is, else float64. The formulas and their sources are in fastbp/README.md.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from .data.examples import as_examples
from .kernels.losses import LEGAL_OUTPUTS, OUTPUTS
from .network.architecture import Network, hidden_activations
from .parallel.team import Team
from .training.trainer import Trainer
from .training.workspace import Workspace
from .typing import Array

__all__ = ["check_gradient", "deltas", "forward", "loss_and_gradient"]

Activation = str | Sequence[str]


def forward(
    X: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    *,
    activation: Activation = "logistic",
    out_activation: str = "logistic",
) -> list[Array]:
    """Activations of all layers: z^(l+1) = [1, a^(l)] Theta^(l), a^(l+1) = g(z^(l+1)).

    Parameters
    ----------
    X : array-like of shape (m, S_1)
        Examples.
    coefs : list of array-like of shape (S_l, S_{l+1})
        Weights.
    intercepts : list of array-like of shape (S_{l+1},), or None
        Biases.
    activation : str or list of str, default='logistic'
        Activation of the hidden layers, one for all or one per layer.
    out_activation : str, default='logistic'
        Activation of the output layer.

    Returns
    -------
    a : list of ndarray of shape (m, S_l)
        [a^(1), ..., a^(L)], a^(1) = X.

    Raises
    ------
    ValueError
        An argument is not valid, or the layers do not compose.
    """
    X = _matrix(X, "X")
    network = _network(X, coefs, intercepts, activation, out_activation, loss="")
    m = len(X)
    examples = as_examples(X, network.dtype)
    space = Workspace(network, examples, m, Team(1), chunk=m)  # one chunk: all activations are still there afterwards
    out = np.empty((m, network.widths[-1]), network.dtype)
    space.predict(_theta(network, coefs, intercepts), np.arange(m), out)
    return [space.activation(l, m) for l in range(network.n_layers - 1)] + [out]


def deltas(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    *,
    activation: Activation = "logistic",
    out_activation: str = "logistic",
    loss: str = "binary_cross_entropy",
) -> list[Array]:
    """Derivative delta^(l) = d(cost of one example) / d z^(l), for every example and layer but the first.

    delta^(L) comes from the loss; delta^(l) = (delta^(l+1) Theta^(l)[1:]^T) * g'(z^(l)).

    Parameters
    ----------
    X : array-like of shape (m, S_1)
        Examples.
    Y : array-like of shape (m, S_L)
        Targets; probabilities, which sum to 1 in each row, for a softmax.
    coefs, intercepts, activation, out_activation
        As in `forward`.
    loss : str, default='binary_cross_entropy'
        'log_loss', 'binary_cross_entropy', 'squared_error', 'mean_squared_error', 'euclidean' or 'poisson'.

    Returns
    -------
    delta : list of ndarray of shape (m, S_l), l = 2 ... L
        [delta^(2), ..., delta^(L)].

    Raises
    ------
    ValueError
        As `forward`; or loss and output activation do not go together.
    """
    trainer = _trained(X, Y, coefs, intercepts, activation, out_activation, loss)[0]
    return [trainer.delta(l, trainer.batch) for l in range(1, trainer.network.n_layers)]


def loss_and_gradient(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    *,
    activation: Activation = "logistic",
    out_activation: str = "logistic",
    loss: str = "binary_cross_entropy",
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, list[Array], list[Array] | None]:
    """J and its gradient D: the weighted mean cost plus the L2 term, and the derivative by every parameter.

    J = (sum_i w_i C_i + alpha / 2 sum Theta^2) / W with W = sum_i w_i, the biases left out of the L2 term;
    D^(l) = (sum_i w_i [1, a^(l)]^T delta^(l+1) + alpha Theta^(l)) / W.

    Parameters
    ----------
    X, Y, coefs, intercepts, activation, out_activation, loss
        As in `deltas`.
    alpha : float, default=0.0
        L2 strength lambda.
    sample_weight : array-like of shape (m,), default=None
        Weights w_i, not negative and not all zero; 1 by default.

    Returns
    -------
    J : float
        The objective.
    coef_grads : list of ndarray of shape (S_l, S_{l+1})
        dJ / dcoefs: D^(l) without row 0.
    intercept_grads : list of ndarray of shape (S_{l+1},), or None without intercepts
        dJ / dintercepts: row 0 of D^(l).

    Raises
    ------
    ValueError
        As `deltas`; or alpha or a weight is negative.
    """
    trainer, J = _trained(X, Y, coefs, intercepts, activation, out_activation, loss, alpha, sample_weight)
    coef_grads, intercept_grads = trainer.network.layout.unpack(trainer.grad)
    return J, coef_grads, None if intercepts is None else intercept_grads


def check_gradient(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    *,
    activation: Activation = "logistic",
    out_activation: str = "logistic",
    loss: str = "binary_cross_entropy",
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest relative difference between the gradient and central differences of J, in float64.

    Below 1e-6 where the gradient is right; a kink of relu or a mistake gives much more. The difference of each
    parameter is taken relative to its derivative, or to a thousandth of the largest derivative where that is more.

    Parameters
    ----------
    X, Y, coefs, intercepts, activation, out_activation, loss, alpha, sample_weight
        As in `loss_and_gradient`.

    Returns
    -------
    difference : float
        max_k |D_k - N_k| / max(|D_k|, |N_k|, max|D| / 1000), N_k = (8 (J_1 - J_{-1}) - (J_2 - J_{-2})) / 12h with
        J_i = J(theta + i h e_k): the central difference whose error is of order h^4.

    Raises
    ------
    ValueError
        As `loss_and_gradient`.
    """
    X = _matrix(X, "X").astype(np.float64)
    trainer, _ = _trained(X, Y, coefs, intercepts, activation, out_activation, loss, alpha, sample_weight)
    network = trainer.network
    gradient, theta = network.layout.flatten(trainer.grad), network.layout.flatten(trainer.theta)

    def J(k: int, step: float) -> float:
        moved = theta.copy()
        moved[k] += step
        return trainer.loss_and_gradient(network.layout.unflatten(moved))

    steps = np.finfo(np.float64).eps ** 0.2 * np.maximum(1.0, abs(theta))  # balances truncation and rounding
    numeric = np.array(
        [(8 * (J(k, h) - J(k, -h)) - (J(k, 2 * h) - J(k, -2 * h))) / (12 * h) for k, h in enumerate(steps)]
    )
    floor = max(abs(gradient).max() / 1000, np.finfo(np.float64).tiny)
    return float((abs(gradient - numeric) / np.maximum(np.maximum(abs(gradient), abs(numeric)), floor)).max())


def _trained(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    activation: Activation,
    out_activation: str,
    loss: str,
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[Trainer, float]:
    """A trainer that has run forward and backward once over all examples, and J."""
    X = _matrix(X, "X")
    if loss not in LEGAL_OUTPUTS:
        raise ValueError(f"loss must be one of {', '.join(LEGAL_OUTPUTS)}, got {loss!r}.")
    network = _network(X, coefs, intercepts, activation, out_activation, loss)
    Y = _matrix(Y, "Y")
    if Y.shape != (len(X), network.widths[-1]):
        raise ValueError(
            f"Y must have one row per example and one column per output, {(len(X), network.widths[-1])}, got {Y.shape}."
        )
    if out_activation == "softmax" and not np.allclose(Y.sum(axis=1), 1, atol=1e-5):
        sums = Y.sum(axis=1)
        raise ValueError(
            "Y must have rows that sum to 1, as probabilities do, for out_activation='softmax'; "
            f"got sums from {sums.min():g} to {sums.max():g}."
        )
    if loss == "poisson" and (Y < 0).any():
        raise ValueError(f"Y must not be negative for loss='poisson', got a least value of {Y.min():g}.")
    if not (isinstance(alpha, Real) and 0 <= alpha < np.inf):
        raise ValueError(f"alpha must be a number >= 0, got {alpha!r}.")
    weights = None
    if sample_weight is not None:
        weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weights.shape != (len(X),) or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"sample_weight must have shape ({len(X)},), no negative value and at least one positive, "
                f"got shape {weights.shape} and values from {weights.min():g} to {weights.max():g}."
            )
    theta = _theta(network, coefs, intercepts)
    examples = as_examples(X, network.dtype, Y=Y, weights=weights)
    # One chunk, so that a and delta of every example are still there afterwards.
    trainer = Trainer(network, theta, examples, batch=len(X), team=Team(1), alpha=float(alpha), chunk=len(X))
    return trainer, trainer.loss_and_gradient(theta)


def _network(
    X: Array,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    activation: Activation,
    out_activation: str,
    loss: str,
) -> Network:
    """The network that the arguments describe, after all checks but those of Y."""
    if len(coefs) == 0:
        raise ValueError("coefs must have at least one array, the weights into the output layer; got none.")
    shapes = [np.shape(_matrix(coef, f"coefs[{l}]")) for l, coef in enumerate(coefs)]
    if X.shape[1] != shapes[0][0]:
        raise ValueError(f"X of shape {X.shape} does not compose with coefs[0] of shape {shapes[0]}.")
    for l, (before, after) in enumerate(pairwise(shapes)):
        if before[1] != after[0]:
            raise ValueError(
                f"Layers do not compose: coefs[{l}] of shape {before} gives {before[1]} units, "
                f"coefs[{l + 1}] of shape {after} takes {after[0]}."
            )
    if intercepts is not None:
        found, expected = [np.shape(b) for b in intercepts], [(columns,) for _, columns in shapes]
        if found != expected:
            raise ValueError(f"intercepts must have shapes {expected} to go with coefs, or be None; got {found}.")
        for l, b in enumerate(intercepts):
            check_array(b, ensure_2d=False, dtype=np.float64, input_name=f"intercepts[{l}]")
    names = hidden_activations(activation, len(coefs) - 1)
    legal = LEGAL_OUTPUTS[loss] if loss else tuple(OUTPUTS)
    if out_activation not in legal:
        with_loss = f" with loss={loss!r}" if loss else ""
        raise ValueError(f"out_activation must be one of {', '.join(legal)}{with_loss}, got {out_activation!r}.")
    widths = (shapes[0][0], *(columns for _, columns in shapes))
    return Network(widths, (*names, out_activation), loss, X.dtype, fit_intercept=intercepts is not None)


def _theta(network: Network, coefs: Sequence[Any], intercepts: Sequence[Any] | None) -> Array:
    if intercepts is None:
        intercepts = [np.zeros(width) for width in network.widths[1:]]
    return network.layout.pack([np.asarray(coef) for coef in coefs], [np.asarray(b) for b in intercepts])


def _matrix(values: ArrayLike, name: str) -> NDArray:
    """A finite float matrix; scikit-learn's errors name the argument."""
    return np.asarray(check_array(values, dtype=(np.float64, np.float32), input_name=name))
