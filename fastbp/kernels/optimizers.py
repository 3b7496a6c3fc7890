"""The optimisers. Each one is a sweep: a loop over the elements of theta, of its gradient and of the moments.

The formulas are scikit-learn's, so that models can be compared update by update. Adam adds epsilon to sqrt(v) before
the bias correction; the step size contains this correction. Momentum is v = mu v - eta g.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling.jit import call, deferred, entry, inlined, runtime
from .compiling.kinds import FLOAT, FLOATS, INT, VECTOR, kind_of_record, named, record
from .machine.simd import check_multiple, lanes_of, load, multiply_add, part, splat, store, tile, zeros
from .machine.vectors import over_root, total

# The codes of the optimisers. NONE leaves a batch's gradient in `grad`.
NONE, SGD, NESTEROV, ADAM = range(4)

# RATES has the hyperparameters.
RATES = record(
    {
        "alpha": np.float64,  # L2 strength, lambda of the formulas
        "eta": np.float64,  # learning rate
        "mu": np.float64,  # momentum
        "beta_1": np.float64,
        "beta_2": np.float64,
        "epsilon": np.float64,
        "weight_decay": np.float64,  # strength of the decoupled weight decay, see `step_of`
        "max_norm": np.float64,  # bound on the Euclidean norm of a step's gradient, if the plan clips
        "smoothing": np.float64,  # epsilon of label smoothing
        "uniform": np.float64,  # probability of each label in the uniform distribution, for label smoothing
    }
)


# For a larger x, e^-x is so small that 1 - e^-x is 1.
MOST_EXPONENT = 40.0


@inlined
def _one_minus_power(beta, t):
    """1 - beta^t. No power is computed if it cannot change the 1, because powers that underflow take long."""
    return 1.0 if t * (1.0 - beta) > MOST_EXPONENT else 1.0 - beta**t


@inlined
def step_size(optimizer, rates, t):
    """The step size of step t, counted from 1: eta for sgd, eta with the bias correction for Adam."""
    if optimizer == ADAM:
        t = float(t)  # Numba would compile one more function for an integer exponent
        return rates.eta * math.sqrt(_one_minus_power(rates.beta_2, t)) / _one_minus_power(rates.beta_1, t)
    return rates.eta


class Step(NamedTuple):
    """The numbers of a step that all parameters share."""

    size: float  # the result of `step_size`, times the schedule's factor
    decay: float  # weights are multiplied by `decay` in each step, and biases are not (Loshchilov and Hutter 2019)


@inlined
def step_of(optimizer, rates, factor, t, extras):
    """The `Step` number t, counted from 1. factor: multiplies the learning rate."""
    size, decay = step_size(optimizer, rates, t), 1.0
    if extras is not None:
        size *= factor
        decay -= factor * rates.eta * rates.weight_decay
    return Step(size, decay)


class Sums(NamedTuple):
    """Some sums over the examples of a batch, and how they become a gradient: g = (grad + alpha theta) * scale."""

    grad: NDArray  # the sums of [1, a]^T delta, for the parameters theta[i : i + grad.size]; whole vectors
    alpha: float
    scale: float


# rates, step, sums, theta, i, moment_1, moment_2, squares, u: see `update`
_sweep = deferred(
    kind_of_record(RATES), named(Step, FLOAT, FLOAT), named(Sums, VECTOR, FLOAT, FLOAT), VECTOR, INT, VECTOR, VECTOR,
    FLOATS, INT,
)  # fmt: skip


@inlined
def _theta_and_gradient(k, grad, theta, i, alpha, scale, squared):
    """For a vector of parameters: theta, the gradient, and squared + theta^2. alpha, scale, squared: vectors."""
    old = load(tile(1, 1), theta, i + k, 0)
    g = multiply_add(load(tile(1, 1), grad, k, 0), alpha, old) * scale
    return old, g, multiply_add(squared, old, old)


@_sweep
def adam(rates, step, sums, theta, i, moment_1, moment_2, squares, u):
    eta, decay = splat(tile(1, 1), theta, step.size), splat(tile(1, 1), theta, step.decay)
    alpha, scale = splat(tile(1, 1), theta, sums.alpha), splat(tile(1, 1), theta, sums.scale)
    beta_1, new_1 = splat(tile(1, 1), theta, rates.beta_1), splat(tile(1, 1), theta, 1.0 - rates.beta_1)
    beta_2, new_2 = splat(tile(1, 1), theta, rates.beta_2), splat(tile(1, 1), theta, 1.0 - rates.beta_2)
    epsilon, squared = splat(tile(1, 1), theta, rates.epsilon), zeros(tile(1, 1), theta)
    check_multiple(sums.grad.size, lanes_of(theta))
    for k in range(0, sums.grad.size, lanes_of(theta)):
        old, g, squared = _theta_and_gradient(k, sums.grad, theta, i, alpha, scale, squared)
        m = beta_1 * load(tile(1, 1), moment_1, i + k, 0) + new_1 * g
        v = beta_2 * load(tile(1, 1), moment_2, i + k, 0) + new_2 * (g * g)
        store(m, moment_1, i + k, 0)
        store(v, moment_2, i + k, 0)
        store(old * decay - over_root(eta * m, v, epsilon), theta, i + k, 0)
    squares[u] = total(squared)


@inlined
def _momentum(nesterov, rates, step, sums, theta, i, moment_1, squares, u):
    eta, decay = splat(tile(1, 1), theta, step.size), splat(tile(1, 1), theta, step.decay)
    alpha, scale = splat(tile(1, 1), theta, sums.alpha), splat(tile(1, 1), theta, sums.scale)
    mu, squared = splat(tile(1, 1), theta, rates.mu), zeros(tile(1, 1), theta)
    check_multiple(sums.grad.size, lanes_of(theta))
    for k in range(0, sums.grad.size, lanes_of(theta)):
        old, g, squared = _theta_and_gradient(k, sums.grad, theta, i, alpha, scale, squared)
        v = mu * load(tile(1, 1), moment_1, i + k, 0) - eta * g
        store(v, moment_1, i + k, 0)
        if nesterov:
            v = mu * v - eta * g
        store(old * decay + v, theta, i + k, 0)
    squares[u] = total(squared)


@_sweep
def sgd(rates, step, sums, theta, i, moment_1, moment_2, squares, u):
    _momentum(runtime(False), rates, step, sums, theta, i, moment_1, squares, u)


@_sweep
def nesterov(rates, step, sums, theta, i, moment_1, moment_2, squares, u):
    _momentum(runtime(True), rates, step, sums, theta, i, moment_1, squares, u)


SWEEPS = {SGD: sgd, NESTEROV: nesterov, ADAM: adam}


@inlined
def update(sweep, rates, step, sums, theta, unit, moment_1, moment_2, squares, u):
    """One step of a unit of theta; overwrites the unit and its moments, and squares[u] with the sum of the old theta^2.

    Biases have no L2 term: they do not decay, their alpha must be 0, and their squares[u] is 0.

    sweep: address of one of the functions above. step: a `Step`. sums: the `Sums` of the unit. moment_1: velocity, or
    Adam's mean of g. moment_2: Adam's mean of g^2. Both moments have theta's layout.
    """
    if unit.row > 0:
        call(sweep, (rates, step, sums, theta, unit.offset, moment_1, moment_2, squares, u))
    else:
        biases = Step(step.size, 1.0)
        call(sweep, (rates, biases, sums, theta, unit.offset, moment_1, moment_2, squares, u))
        squares[u] = 0.0


@entry
def step_all(optimizer, sweep, units, rates, factor, t, theta, grad, moment_1, moment_2, squares):
    """Step t, counted from 1, of these units, with a gradient that the caller has computed.

    rates: an array of one RATES. factor: multiplies the learning rate. squares: scratch, a number for each unit.
    """
    rates = rates[0]
    step = step_of(optimizer, rates, factor, t, True)
    for u in range(units.size):
        unit = units[u]
        sums = Sums(part(grad, unit.offset, unit.n_rows * unit.n_columns), 0.0, 1.0)
        update(sweep, rates, step, sums, theta, unit, moment_1, moment_2, squares, u)
