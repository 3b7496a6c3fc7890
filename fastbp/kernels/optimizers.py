"""The optimisers. Each one is a sweep: a loop over the elements of theta, of its gradient and of the moments.

The formulas are scikit-learn's, so that models can be compared update by update. Adam adds epsilon to sqrt(v) before
the bias correction; the step size contains this correction. Momentum is v = mu v - eta g.
"""

import math
from typing import NamedTuple

import numpy as np

from .compiling.jit import call, deferred, entry, inlined, runtime
from .compiling.kinds import FLOAT, INT, VECTOR, kind_of_record, record
from .machine.simd import check_multiple, lanes_of, load, part, splat, store, tile
from .machine.vectors import over_root, scale

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


@inlined
def step_size(optimizer, rates, t):
    """The step size of step t, counted from 1: eta for sgd, eta with the bias correction for Adam."""
    if optimizer == ADAM:
        t = float(t)  # Numba would compile one more function for an integer exponent
        return rates.eta * math.sqrt(1.0 - rates.beta_2**t) / (1.0 - rates.beta_1**t)
    return rates.eta


class Step(NamedTuple):
    """The numbers of a step that all parameters share."""

    size: float  # the result of `step_size`, times the schedule's factor
    decay: float  # before the step, weights are multiplied by `decay`, and biases are not (Loshchilov and Hutter 2019)


@inlined
def step_of(optimizer, rates, factor, t, extras):
    """The `Step` number t, counted from 1. factor: multiplies the learning rate."""
    size, decay = step_size(optimizer, rates, t), 1.0
    if extras is not None:
        size *= factor
        decay -= factor * rates.eta * rates.weight_decay
    return Step(size, decay)


# rates, step, theta, i, n, grad, moment_1, moment_2: see `update`
_sweep = deferred(kind_of_record(RATES), FLOAT, VECTOR, INT, INT, VECTOR, VECTOR, VECTOR)


@_sweep
def adam(rates, step, theta, i, n, grad, moment_1, moment_2):
    lanes = lanes_of(theta)
    check_multiple(n, lanes)
    eta = splat(tile(1, 1), theta, step)
    beta_1, new_1 = splat(tile(1, 1), theta, rates.beta_1), splat(tile(1, 1), theta, 1.0 - rates.beta_1)
    beta_2, new_2 = splat(tile(1, 1), theta, rates.beta_2), splat(tile(1, 1), theta, 1.0 - rates.beta_2)
    epsilon = splat(tile(1, 1), theta, rates.epsilon)
    for k in range(0, n, lanes):
        g = load(tile(1, 1), grad, k, 0)
        m = beta_1 * load(tile(1, 1), moment_1, i + k, 0) + new_1 * g
        v = beta_2 * load(tile(1, 1), moment_2, i + k, 0) + new_2 * (g * g)
        store(m, moment_1, i + k, 0)
        store(v, moment_2, i + k, 0)
        store(load(tile(1, 1), theta, i + k, 0) - over_root(eta * m, v, epsilon), theta, i + k, 0)


@inlined
def _momentum(nesterov, rates, step, theta, i, n, grad, moment_1):
    lanes = lanes_of(theta)
    check_multiple(n, lanes)
    eta, mu = splat(tile(1, 1), theta, step), splat(tile(1, 1), theta, rates.mu)
    for k in range(0, n, lanes):
        g = load(tile(1, 1), grad, k, 0)
        v = mu * load(tile(1, 1), moment_1, i + k, 0) - eta * g
        store(v, moment_1, i + k, 0)
        if nesterov:
            v = mu * v - eta * g
        store(load(tile(1, 1), theta, i + k, 0) + v, theta, i + k, 0)


@_sweep
def sgd(rates, step, theta, i, n, grad, moment_1, moment_2):
    _momentum(runtime(False), rates, step, theta, i, n, grad, moment_1)


@_sweep
def nesterov(rates, step, theta, i, n, grad, moment_1, moment_2):
    _momentum(runtime(True), rates, step, theta, i, n, grad, moment_1)


SWEEPS = {SGD: sgd, NESTEROV: nesterov, ADAM: adam}


@inlined
def update(sweep, rates, step, theta, i, n, grad, moment_1, moment_2):
    """One step of theta[i : i + n] from grad[:n]; overwrites these elements of theta and of the moments.

    n: whole vectors. sweep: address of one of the functions above. step: `Step.size`. moment_1: velocity, or Adam's
    mean of g. moment_2: Adam's mean of g^2. Both moments have theta's layout.
    """
    call(sweep, (rates, step, theta, i, n, grad, moment_1, moment_2))


@inlined
def update_unit(sweep, rates, step, theta, unit, grad, moment_1, moment_2, extras):
    """A step of a unit of parameters. grad: the gradient of the unit. Weights decay before the step, biases do not."""
    if extras is not None and step.decay != 1.0 and unit.row > 0:
        scale(theta, unit.offset, grad.size, step.decay)
    update(sweep, rates, step.size, theta, unit.offset, grad.size, grad, moment_1, moment_2)


@entry
def step_all(optimizer, sweep, units, rates, factor, t, theta, grad, moment_1, moment_2):
    """Step t, counted from 1, of these units, with a gradient that the caller has computed.

    rates: an array of one RATES. factor: multiplies the learning rate.
    """
    rates = rates[0]
    step = step_of(optimizer, rates, factor, t, True)
    for u in range(units.size):
        unit = units[u]
        g = part(grad, unit.offset, unit.n_rows * unit.n_columns)
        update_unit(sweep, rates, step, theta, unit, g, moment_1, moment_2, True)
