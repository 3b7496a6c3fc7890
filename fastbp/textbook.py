"""The mathematics as plain functions on lists of arrays. They run the same kernels as the estimators.

The functions are for learning, teaching and verifying. `coefs` are the weights between layers: for l = 1 ... L - 1,
coefs[l - 1] has the shape (S_l, S_{l+1}). `intercepts` are the biases: intercepts[l - 1] has the shape (S_{l+1},).
`intercepts=None` means a network without biases. `activation` is the name of the activation of the hidden layers, or a
list with one name per hidden layer. `out_activation` is the name of the activation of the output layer. X has the shape
(m, S_1), Y has the shape (m, S_L).

Arithmetic is float32 if X is float32, otherwise float64. fastbp/README.md has the formulas and their sources.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from .data.examples import as_examples
from .data.targets import in_unit, strength_in_unit
from .kernels.losses import LEGAL_OUTPUTS, OUTPUTS
from .kernels.user_loss import UserLoss, compiled, is_function
from .network.architecture import Network, compile_loss, hidden_activations, legal_outputs
from .parallel.team import Team
from .training.trainer import Trainer
from .training.workspace import Workspace
from .typing import Array

__all__ = ["check_gradient", "deltas", "forward", "loss_and_gradient", "smoothed"]

Activation = str | Sequence[str]
Loss = str | tuple[Callable[..., Any], Callable[..., Any]]


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
        An argument is not valid, or the shapes of two layers do not compose.
    """
    X = _matrix(X, "X")
    network = _network(X, coefs, intercepts, activation, out_activation, loss="")
    m = len(X)
    examples = as_examples(X, network.dtype)
    space = Workspace(network, examples, m, Team(1), chunk=m)  # one chunk keeps the activations of all examples
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
    loss: Loss = "binary_cross_entropy",
    loss_options: Sequence[float] = (),
) -> list[Array]:
    """Derivative delta^(l) = d(cost of one example) / d z^(l), for every example and every layer after the input.

    delta^(L) comes from the loss; delta^(l) = (delta^(l+1) Theta^(l)[1:]^T) * g'(z^(l)).

    Parameters
    ----------
    X : array-like of shape (m, S_1)
        Examples.
    Y : array-like of shape (m, S_L)
        Targets. For softmax they are probabilities: each row sums to 1.
    coefs, intercepts, activation, out_activation
        As in `forward`.
    loss : str or tuple of two functions, default='binary_cross_entropy'
        'log_loss', 'binary_cross_entropy', 'squared_error', 'mean_squared_error', 'euclidean', 'absolute_error',
        'huber', 'quantile', 'poisson' or 'gamma'; or your own functions (cost, gradient), as in `BackpropRegressor`.
    loss_options : sequence of float, default=()
        For 'huber', the residual beyond which the cost is linear, by default 1. For 'quantile', the quantile of each
        output, by default 1/2.

    Returns
    -------
    delta : list of ndarray of shape (m, S_l), l = 2 ... L
        [delta^(2), ..., delta^(L)].

    Raises
    ------
    ValueError
        As `forward`; or the loss does not go with the output activation; or the loss options do not go with the loss.
    """
    trainer = _trained(X, Y, coefs, intercepts, activation, out_activation, loss, loss_options)[0]
    return [trainer.delta(l, trainer.batch) for l in range(1, trainer.network.n_layers)]


def loss_and_gradient(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    *,
    activation: Activation = "logistic",
    out_activation: str = "logistic",
    loss: Loss = "binary_cross_entropy",
    loss_options: Sequence[float] = (),
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, list[Array], list[Array] | None]:
    """The objective J and its gradient D. J is the weighted mean cost plus the L2 term.

    J = (sum_i w_i C_i + alpha / 2 sum Theta^2) / W with W = sum_i w_i;
    D^(l) = (sum_i w_i [1, a^(l)]^T delta^(l+1) + alpha Theta^(l)) / W. Neither L2 term includes the biases.

    Parameters
    ----------
    X, Y, coefs, intercepts, activation, out_activation, loss, loss_options
        As in `deltas`.
    alpha : float, default=0.0
        L2 strength lambda.
    sample_weight : array-like of shape (m,), default=None
        Weights w_i, not negative and not all zero. None means that every weight is 1.

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
    trainer, J = _trained(X, Y, coefs, intercepts, activation, out_activation, loss, loss_options, alpha, sample_weight)
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
    loss: Loss = "binary_cross_entropy",
    loss_options: Sequence[float] = (),
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest relative difference between the gradient and central differences of J, in float64.

    This number is below 1e-6 if the gradient is right. A mistake makes it much larger, and so does a kink of J or of
    its derivative near theta, as with relu or huber. For each parameter, the difference of the two derivatives is
    divided by the larger one, or by a thousandth of the gradient's largest entry if that thousandth is larger still.

    Parameters
    ----------
    X, Y, coefs, intercepts, activation, out_activation, loss, loss_options, alpha, sample_weight
        As in `loss_and_gradient`.

    Returns
    -------
    difference : float
        max_k |D_k - N_k| / max(|D_k|, |N_k|, max|D| / 1000) with the central difference
        N_k = (8 (J_1 - J_{-1}) - (J_2 - J_{-2})) / 12h, J_i = J(theta + i h e_k). The error of N_k is of order h^4.

    Raises
    ------
    ValueError
        As `loss_and_gradient`.
    """
    X = _matrix(X, "X").astype(np.float64)
    trainer, _ = _trained(X, Y, coefs, intercepts, activation, out_activation, loss, loss_options, alpha, sample_weight)
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


def smoothed(Y: ArrayLike, label_smoothing: float, *, out_activation: str = "logistic") -> NDArray:
    """Label smoothing: (1 - epsilon) Y + epsilon u, where u is the uniform distribution.

    Parameters
    ----------
    Y : array-like of shape (m, S_L)
        Targets, which are probabilities.
    label_smoothing : float
        Share epsilon of the uniform distribution, in [0, 1).
    out_activation : str, default='logistic'
        Activation of the output layer. For 'softmax' a row of Y is one distribution, and u is 1 / S_L. Otherwise each
        output has a label of its own, and u is 1/2.

    Returns
    -------
    Y : ndarray of shape (m, S_L)
        The smoothed targets.

    Raises
    ------
    ValueError
        Y is not a matrix of finite numbers, label_smoothing is not in [0, 1), or out_activation is unknown.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016.
    """
    Y = _matrix(Y, "Y")
    if not (isinstance(label_smoothing, Real) and 0 <= float(label_smoothing) < 1):
        raise ValueError(f"label_smoothing must be a number in [0, 1), got {label_smoothing!r}.")
    if out_activation not in OUTPUTS:
        raise ValueError(f"out_activation must be one of {', '.join(OUTPUTS)}, got {out_activation!r}.")
    u = 1 / Y.shape[1] if out_activation == "softmax" else 0.5
    return np.asarray((1 - float(label_smoothing)) * Y + float(label_smoothing) * u)


def _trained(
    X: ArrayLike,
    Y: ArrayLike,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    activation: Activation,
    out_activation: str,
    loss: Loss,
    loss_options: Sequence[float],
    alpha: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> tuple[Trainer, float]:
    """A trainer after one forward and backward pass over all examples, and J."""
    X = _matrix(X, "X")
    network = _network(X, coefs, intercepts, activation, out_activation, _checked_loss(loss))
    network = dataclasses.replace(network, loss_options=_options(loss_options, network))
    compile_loss(network)
    Y = _targets(Y, len(X), network)
    if not (isinstance(alpha, Real) and 0 <= alpha < np.inf):
        raise ValueError(f"alpha must be a number >= 0, got {alpha!r}.")
    weights = None if sample_weight is None else _weights(sample_weight, len(X))
    theta = _theta(network, coefs, intercepts)
    unit = 0
    if weights is not None:
        weights, unit = in_unit(weights)
    examples = as_examples(X, network.dtype, Y=Y, weights=weights)
    strength = strength_in_unit(float(alpha), unit)
    # One chunk keeps a and delta of all examples.
    trainer = Trainer(network, theta, examples, batch=len(X), team=Team(1), alpha=strength, chunk=len(X))
    return trainer, trainer.loss_and_gradient(theta)


def _network(
    X: Array,
    coefs: Sequence[ArrayLike],
    intercepts: Sequence[ArrayLike] | None,
    activation: Activation,
    out_activation: str,
    loss: Any,
) -> Network:
    """The network that the arguments describe; raises ValueError if they do not describe one."""
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
    legal = legal_outputs(loss) if loss else tuple(OUTPUTS)
    if out_activation not in legal:
        with_loss = f" with loss={loss!r}" if loss else ""
        raise ValueError(f"out_activation must be one of {', '.join(legal)}{with_loss}, got {out_activation!r}.")
    widths = (shapes[0][0], *(columns for _, columns in shapes))
    return Network(widths, (*names, out_activation), loss, X.dtype, fit_intercept=intercepts is not None)


def _checked_loss(loss: Any) -> Any:
    """The loss of the network; raises ValueError if `loss` is neither a known name nor a tuple of two functions."""
    if isinstance(loss, tuple) and len(loss) == 2 and all(map(is_function, loss)):
        return UserLoss(*map(compiled, loss))
    if not isinstance(loss, str) or loss not in LEGAL_OUTPUTS:
        raise ValueError(f"loss must be one of {', '.join(LEGAL_OUTPUTS)}, or two functions, got {loss!r}.")
    return loss


def _options(given: Sequence[float], network: Network) -> tuple[float, ...]:
    """The given loss options, or the defaults if there are none; raises ValueError if the loss does not take them."""
    defaults = {"huber": (1.0,), "quantile": (0.5,) * network.widths[-1]}.get(str(network.loss), ())
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if not all(isinstance(option, Real) for option in listed):
        raise ValueError(f"loss_options must be numbers, got {given!r}.")
    options = tuple(map(float, listed)) or defaults
    most = 1.0 if network.loss == "quantile" else np.inf
    if len(options) != len(defaults) or not all(0 < option < most for option in options):
        raise ValueError(
            f"loss_options must be {len(defaults)} positive numbers, quantiles below 1, for loss={network.loss!r}, got "
            f"{given!r}."
        )
    return options


def _targets(Y: ArrayLike, m: int, network: Network) -> NDArray:
    """Y as a matrix; raises ValueError if the network cannot be trained on it."""
    Y = _matrix(Y, "Y")
    if Y.shape != (m, network.widths[-1]):
        raise ValueError(
            f"Y must have one row per example and one column per output, {(m, network.widths[-1])}, got {Y.shape}."
        )
    if network.activations[-1] == "softmax" and not np.allclose(Y.sum(axis=1), 1, atol=1e-5):
        sums = Y.sum(axis=1)
        raise ValueError(
            "Y must have rows that sum to 1, because out_activation='softmax' gives probabilities; "
            f"got sums from {sums.min():g} to {sums.max():g}."
        )
    if network.loss == "gamma" and not (Y > 0).all():
        raise ValueError(f"Y must be positive for loss='gamma', but its least value is {Y.min():g}.")
    if network.loss == "poisson" and (Y < 0).any():
        raise ValueError(f"Y must not be negative for loss='poisson', but its least value is {Y.min():g}.")
    return Y


def _weights(sample_weight: ArrayLike, m: int) -> NDArray[np.float64]:
    """The weights of m examples; raises ValueError if they are not valid."""
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (m,) or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"sample_weight must have shape ({m},), no negative value and at least one positive, "
            f"got shape {weights.shape} and values from {weights.min():g} to {weights.max():g}."
        )
    return weights


def _theta(network: Network, coefs: Sequence[Any], intercepts: Sequence[Any] | None) -> Array:
    """The weights and biases in the kernels' layout. If intercepts is None, the biases are 0."""
    if intercepts is None:
        intercepts = [np.zeros(width) for width in network.widths[1:]]
    return network.layout.pack([np.asarray(coef) for coef in coefs], [np.asarray(b) for b in intercepts])


def _matrix(values: ArrayLike, name: str) -> NDArray:
    """The argument as a finite float matrix; scikit-learn's errors contain its name."""
    return np.asarray(check_array(values, dtype=(np.float64, np.float32), input_name=name))
