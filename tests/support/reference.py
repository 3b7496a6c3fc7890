"""The mathematics of fastbp in plain NumPy: slow and obvious. It shares no code with the package.

Arrays are named and shaped as in the table of symbols in fastbp/README.md: X (m, S_1), Y (m, S_L), coefs[l]
(S_l, S_{l+1}), intercepts[l] (S_{l+1},), and z, a and delta of layer l (m, S_l). Everything keeps the dtype of its
arguments, so np.longdouble gives more digits than float64 where a test needs them.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Arrays = Sequence[Array]
Names = str | Sequence[str]
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


# Activations, each beside its derivative with respect to z.


def identity(z: Array) -> Array:
    return z


def identity_derivative(z: Array) -> Array:
    return np.ones_like(z)


def logistic(z: Array) -> Array:
    e = np.exp(-np.abs(z))  # of minus the modulus, so it never overflows
    return np.where(z >= 0, 1, e) / (1 + e)


def logistic_derivative(z: Array) -> Array:
    return logistic(z) * logistic(-z)


def tanh(z: Array) -> Array:
    return np.tanh(z)


def tanh_derivative(z: Array) -> Array:
    return 1 - np.tanh(z) ** 2


def relu(z: Array) -> Array:
    return np.where(z > 0, z, 0)


def relu_derivative(z: Array) -> Array:
    return np.where(z > 0, np.ones_like(z), 0)


def leaky_relu(z: Array) -> Array:
    return np.where(z > 0, z, z / 100)


def leaky_relu_derivative(z: Array) -> Array:
    return np.where(z > 0, np.ones_like(z), np.ones_like(z) / 100)


def elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def elu_derivative(z: Array) -> Array:
    return np.exp(np.minimum(z, 0))


def softplus(z: Array) -> Array:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softplus_derivative(z: Array) -> Array:
    return logistic(z)


def silu(z: Array) -> Array:
    return z * logistic(z)


def silu_derivative(z: Array) -> Array:
    return logistic(z) + z * logistic_derivative(z)


def gelu(z: Array) -> Array:
    return z * (1 + np.tanh(_gelu_argument(z))) / 2


def gelu_derivative(z: Array) -> Array:
    t = np.tanh(_gelu_argument(z))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
    return (1 + t) / 2 + z * (1 - t**2) * slope / 2


def _gelu_argument(z: Array) -> Array:
    return math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)


def selu(z: Array) -> Array:
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def selu_derivative(z: Array) -> Array:
    return SELU_SCALE * np.where(z > 0, np.ones_like(z), SELU_ALPHA * np.exp(np.minimum(z, 0)))


def mish(z: Array) -> Array:
    return z * np.tanh(softplus(z))


def mish_derivative(z: Array) -> Array:
    e = np.exp(-softplus(z))
    return np.tanh(softplus(z)) + z * logistic(z) * (2 * e / (1 + e**2)) ** 2  # 1 - tanh^2 = 1 / cosh^2


def hard_swish(z: Array) -> Array:
    return z * np.clip(z + 3, 0, 6) / 6


def hard_swish_derivative(z: Array) -> Array:
    return np.where(z <= -3, 0, np.where(z >= 3, np.ones_like(z), (2 * z + 3) / 6))


def exp(z: Array) -> Array:
    return np.exp(z)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "identity": identity_derivative,
    "logistic": logistic_derivative,
    "tanh": tanh_derivative,
    "relu": relu_derivative,
    "leaky_relu": leaky_relu_derivative,
    "elu": elu_derivative,
    "softplus": softplus_derivative,
    "silu": silu_derivative,
    "gelu": gelu_derivative,
    "selu": selu_derivative,
    "mish": mish_derivative,
    "hard_swish": hard_swish_derivative,
}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": identity,
    "logistic": logistic,
    "tanh": tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "silu": silu,
    "gelu": gelu,
    "selu": selu,
    "mish": mish,
    "hard_swish": hard_swish,
    "softmax": softmax,
    "exp": exp,
}
HIDDEN_ACTIVATIONS = tuple(DERIVATIVES)
LEGAL_OUTPUTS: dict[str, tuple[str, ...]] = {
    "log_loss": ("softmax", "logistic"),
    "binary_cross_entropy": ("logistic",),
    "squared_error": HIDDEN_ACTIVATIONS,
    "mean_squared_error": HIDDEN_ACTIVATIONS,
    "euclidean": HIDDEN_ACTIVATIONS,
    "absolute_error": HIDDEN_ACTIVATIONS,
    "huber": HIDDEN_ACTIVATIONS,
    "quantile": HIDDEN_ACTIVATIONS,
    "poisson": ("exp",),
    "gamma": ("exp",),
}


def loss_options(loss: str, n_outputs: int) -> tuple[float, ...]:
    """Numbers for a loss that needs some: a different quantile for each output."""
    if loss == "quantile":
        return tuple((np.arange(n_outputs) + 0.8) / (n_outputs + 1))
    return (0.7,) if loss == "huber" else ()


# Losses: the cost of each example (m,) from the logits z^(L), beside delta^(L).


def example_costs(z: Array, Y: Array, *, out_activation: str, loss: str, options: Sequence[float] = ()) -> Array:
    if out_activation == "softmax":
        z = z - z.max(axis=1, keepdims=True)
        return (Y * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)).sum(axis=1)
    if loss in ("log_loss", "binary_cross_entropy"):
        return (Y * softplus(-z) + (1 - Y) * softplus(z)).sum(axis=1)
    if loss == "poisson":
        return (Y * (np.log(np.where(Y > 0, Y, 1)) - z) - Y + np.exp(z)).sum(axis=1)
    if loss == "gamma":
        return (Y * np.exp(-z) - 1 - (np.log(Y) - z)).sum(axis=1)
    residual = ACTIVATIONS[out_activation](z) - Y
    if loss == "absolute_error":
        return np.abs(residual).sum(axis=1)
    if loss == "huber":
        (d,) = options or (1.0,)
        size = np.abs(residual)
        return np.where(size <= d, size**2 / 2, d * (size - d / 2)).sum(axis=1)
    if loss == "quantile":
        q = np.array(options or (0.5,))
        return np.maximum(-q * residual, (1 - q) * residual).sum(axis=1)
    if loss == "squared_error":
        return (residual**2).sum(axis=1) / 2
    if loss == "mean_squared_error":
        return (residual**2).sum(axis=1)
    return np.array([euclidean_norm(r) for r in residual], dtype=z.dtype)


def output_delta(z: Array, Y: Array, *, out_activation: str, loss: str, options: Sequence[float] = ()) -> Array:
    residual = ACTIVATIONS[out_activation](z) - Y
    if loss in ("log_loss", "binary_cross_entropy", "poisson"):
        return residual
    if loss == "gamma":
        return 1 - Y * np.exp(-z)
    derivative = DERIVATIVES[out_activation](z)
    if loss == "absolute_error":
        return np.sign(residual) * derivative
    if loss == "huber":
        (d,) = options or (1.0,)
        return np.clip(residual, -d, d) * derivative
    if loss == "quantile":
        q = np.array(options or (0.5,), z.dtype)
        return np.where(residual == 0, 0, np.where(residual < 0, -q, 1 - q)) * derivative
    if loss == "squared_error":
        return residual * derivative
    if loss == "mean_squared_error":
        return 2 * residual * derivative
    return np.array([unit_vector(r) for r in residual], dtype=z.dtype) * derivative


def euclidean_norm(r: Array) -> np.floating:
    scale = np.abs(r).max()  # squares of r / scale neither underflow nor overflow
    return scale if scale == 0 else scale * np.sqrt(((r / scale) ** 2).sum())


def unit_vector(r: Array) -> Array:
    scale = np.abs(r).max()
    return r if scale == 0 else (r / scale) / np.sqrt(((r / scale) ** 2).sum())


# The one recursion.


def pre_activations(X: Array, coefs: Arrays, intercepts: Arrays | None, *, activation: Names) -> list[Array]:
    """[z^(2), ..., z^(L)]. The output's activation plays no part."""
    z: list[Array] = []
    a = X
    for layer, theta in enumerate(coefs):
        if layer > 0:
            a = ACTIVATIONS[_name(activation, layer - 1)](z[-1])
        z.append(a @ theta if intercepts is None else a @ theta + intercepts[layer])
    return z


def forward(
    X: Array, coefs: Arrays, intercepts: Arrays | None, *, activation: Names, out_activation: str
) -> list[Array]:
    """[a^(1), ..., a^(L)]."""
    *hidden, output = pre_activations(X, coefs, intercepts, activation=activation)
    a = [ACTIVATIONS[_name(activation, layer)](z) for layer, z in enumerate(hidden)]
    return [X, *a, ACTIVATIONS[out_activation](output)]


def deltas(
    X: Array,
    Y: Array,
    coefs: Arrays,
    intercepts: Arrays | None,
    *,
    activation: Names,
    out_activation: str,
    loss: str,
    options: Sequence[float] = (),
) -> list[Array]:
    """[delta^(2), ..., delta^(L)]. Row i belongs to the cost of example i alone."""
    *hidden, output = pre_activations(X, coefs, intercepts, activation=activation)
    delta = [output_delta(output, Y, out_activation=out_activation, loss=loss, options=options)]
    for layer in reversed(range(len(hidden))):
        derivative = DERIVATIVES[_name(activation, layer)](hidden[layer])
        delta.insert(0, (delta[0] @ coefs[layer + 1].T) * derivative)
    return delta


def loss_and_gradient(
    X: Array,
    Y: Array,
    coefs: Arrays,
    intercepts: Arrays | None,
    *,
    activation: Names,
    out_activation: str,
    loss: str,
    alpha: float = 0.0,
    sample_weight: Array | None = None,
    options: Sequence[float] = (),
) -> tuple[np.floating, list[Array], list[Array]]:
    """J and D^(l), split into weights and biases. It has gradients of biases even if the network has no biases."""
    w = np.ones(len(X), dtype=X.dtype) if sample_weight is None else sample_weight
    W = w.sum()
    z = pre_activations(X, coefs, intercepts, activation=activation)
    costs = example_costs(z[-1], Y, out_activation=out_activation, loss=loss, options=options)
    penalty = alpha / 2 * sum((theta**2).sum() for theta in coefs)

    a = forward(X, coefs, intercepts, activation=activation, out_activation=out_activation)
    delta = deltas(
        X, Y, coefs, intercepts, activation=activation, out_activation=out_activation, loss=loss, options=options
    )
    weighted = [w[:, None] * d for d in delta]
    coef_grads = [(a[layer].T @ weighted[layer] + alpha * theta) / W for layer, theta in enumerate(coefs)]
    intercept_grads = [d.sum(axis=0) / W for d in weighted]
    return ((w * costs).sum() + penalty) / W, coef_grads, intercept_grads


def accumulated_gradient(
    X: Array,
    Y: Array,
    coefs: Arrays,
    intercepts: Arrays,
    *,
    activation: Names,
    out_activation: str,
    loss: str,
    alpha: float,
) -> tuple[list[Array], list[Array]]:
    """D^(l) by an accumulator: Delta adds one example after another, with the bias in row 0."""
    accumulators = [np.zeros((1 + len(theta), theta.shape[1]), dtype=X.dtype) for theta in coefs]
    for i in range(len(X)):
        x, y = X[i : i + 1], Y[i : i + 1]
        a = forward(x, coefs, intercepts, activation=activation, out_activation=out_activation)
        delta = deltas(x, y, coefs, intercepts, activation=activation, out_activation=out_activation, loss=loss)
        for layer, Delta in enumerate(accumulators):
            Delta += np.outer(np.append(1, a[layer][0]), delta[layer][0])
    D = [Delta / len(X) for Delta in accumulators]
    for layer, theta in enumerate(coefs):
        D[layer][1:] += alpha / len(X) * theta
    return [d[1:] for d in D], [d[0] for d in D]


def _name(activation: Names, hidden_layer: int) -> str:
    return activation if isinstance(activation, str) else activation[hidden_layer]


# Solvers. A step takes the parameters and their gradients, and returns the new parameters.


class SGD:
    """Momentum and Nesterov's momentum, as scikit-learn defines them; set `learning_rate` to follow a schedule."""

    def __init__(self, learning_rate: float, *, momentum: float = 0.9, nesterov: bool = True) -> None:
        self.learning_rate, self.momentum, self.nesterov = learning_rate, momentum, nesterov
        self.velocities: list[Array] | None = None

    def step(self, params: Arrays, grads: Arrays) -> list[Array]:
        if self.velocities is None:
            self.velocities = [np.zeros_like(p) for p in params]
        self.velocities = self._moved(grads)
        updates = self._moved(grads) if self.nesterov else self.velocities
        return [p + u for p, u in zip(params, updates, strict=True)]

    def _moved(self, grads: Arrays) -> list[Array]:
        assert self.velocities is not None
        return [self.momentum * v - self.learning_rate * g for v, g in zip(self.velocities, grads, strict=True)]


class Adam:
    """Adam as scikit-learn defines it: epsilon is added before the bias correction. The correction scales the rate."""

    def __init__(
        self, learning_rate: float, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon
        self.t = 0
        self.means: list[Array] | None = None
        self.squares: list[Array] | None = None

    def step(self, params: Arrays, grads: Arrays) -> list[Array]:
        means = self.means or [np.zeros_like(p) for p in params]
        squares = self.squares or [np.zeros_like(p) for p in params]
        b1, b2 = self.beta_1, self.beta_2
        self.t += 1
        self.means = [b1 * m + (1 - b1) * g for m, g in zip(means, grads, strict=True)]
        self.squares = [b2 * v + (1 - b2) * g**2 for v, g in zip(squares, grads, strict=True)]
        rate = self.learning_rate * np.sqrt(1 - b2**self.t) / (1 - b1**self.t)
        moments = zip(params, self.means, self.squares, strict=True)
        return [p - rate * m / (np.sqrt(v) + self.epsilon) for p, m, v in moments]


def gradient_descent(
    X: Array,
    Y: Array,
    coefs: Arrays,
    intercepts: Arrays | None,
    *,
    learning_rate: float,
    gtol: float,
    max_iter: int,
    activation: Names,
    out_activation: str,
    loss: str,
    alpha: float = 0.0,
) -> tuple[list[Array], list[Array] | None, list[float]]:
    """At most max_iter full-batch steps. It stops before a step if ||grad|| <= gtol.

    It also returns the norms of all gradients that it computed. If the last norm is <= gtol, it made one step less
    than it returns norms.
    """
    coefs, norms = list(coefs), []
    biases = None if intercepts is None else list(intercepts)
    for _ in range(max_iter):
        _, coef_grads, intercept_grads = loss_and_gradient(
            X, Y, coefs, biases, activation=activation, out_activation=out_activation, loss=loss, alpha=alpha
        )
        free = coef_grads if biases is None else coef_grads + intercept_grads
        norms.append(float(euclidean_norm(np.concatenate([g.ravel() for g in free]))))
        if norms[-1] <= gtol:
            break
        coefs = [theta - learning_rate * g for theta, g in zip(coefs, coef_grads, strict=True)]
        if biases is not None:
            biases = [b - learning_rate * g for b, g in zip(biases, intercept_grads, strict=True)]
    return coefs, biases, norms


# Central differences.


def central_difference(f: Callable[[], Array | float], x: Array, index: tuple[int, ...], step: float = 1e-5) -> Array:
    """df / dx[index] of a function that reads x. x is changed in place and restored."""
    kept = x[index]
    x[index] = kept + step
    upper = f()
    x[index] = kept - step
    lower = f()
    x[index] = kept
    return np.asarray((upper - lower) / (2 * step))


def gradient_error(
    cost: Callable[[], float], params: Arrays, grads: Arrays, rng: np.random.Generator, n_entries: int = 20
) -> float:
    """The largest difference of grads from central differences, relative to the largest entry of its array.

    It checks at most n_entries of each array, drawn without replacement.
    """
    errors = []
    for x, grad in zip(params, grads, strict=True):
        scale = np.abs(grad).max() or 1.0
        for flat in rng.permutation(x.size)[:n_entries]:
            index = np.unravel_index(flat, x.shape)
            errors.append(abs(central_difference(cost, x, index) - grad[index]) / scale)
    return float(max(errors))
