"""Steps of small networks equal the reference with dropout, weight decay, a bound of the norm, rates and smoothing.

Coverage sees these tests too, see test_small_networks.py.
"""

import math

import numpy as np
import pytest

from fastbp.kernels import optimizers, user_loss
from fastbp.kernels.compiling import jit
from fastbp.kernels.user_loss import UserLoss, compiled, is_function
from fastbp.network import costs
from fastbp.parallel.team import Team
from fastbp.training.optimizer_state import set_rates
from fastbp.training.regularization import Regularization
from support import dropout, reference
from support.problems import Problem, assert_close, over_dtypes
from support.steps import Tasks

RATES = {"learning_rate_init": 0.1, "momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
WIDTHS, F64 = (5, 9, 3), np.dtype(np.float64)


def stepped(problem, *, factors=None, **options):
    """The weights after an epoch of the kernels in batches of 20, for 29 examples."""
    run = problem.trainer(batch=20, optimizer=optimizers.SGD, planned=factors is not None, **options)
    set_rates(run, **RATES)
    if factors is not None:
        run.factors[:] = factors
    run.epoch(np.arange(29))
    coefs, intercepts = problem.network.layout.unpack(run.theta)
    return coefs + intercepts


def reference_steps(problem, gradient, *, weight_decay=0.0, factors=(1.0, 1.0)):
    """The same, by the reference; gradient(rows, params): the gradients of a batch."""
    optimizer, params = reference.SGD(0.1, nesterov=False), problem.coefs + problem.intercepts
    n = len(problem.coefs)
    for factor, rows in zip(factors, np.split(np.arange(29), [20]), strict=True):
        grads = gradient(rows, params)
        optimizer.learning_rate = 0.1 * factor
        params = [p * (1 - 0.1 * factor * weight_decay) for p in params[:n]] + params[n:]
        params = optimizer.step(params, grads)
    return params


def plain_gradient(problem):
    def gradient(rows, params):
        n = len(problem.coefs)
        _, *grads = problem.reference_loss_and_gradient(rows, params[:n], params[n:])
        return grads[0] + grads[1]

    return gradient


@over_dtypes
def test_weights_decay_and_every_batch_has_its_rate(dtype):
    problem, options = Problem(WIDTHS, dtype), {"weight_decay": 0.5, "factors": (0.5, 2.0)}
    assert_close(stepped(problem, **options), reference_steps(problem, plain_gradient(problem), **options), dtype)


@over_dtypes
@pytest.mark.parametrize("widths", [WIDTHS, (3, 5, 1)], ids=str)
@pytest.mark.parametrize("bound", [0.05, 1e3])
def test_the_norm_of_the_gradient_keeps_its_bound(bound, widths, dtype):
    problem = Problem(widths, dtype, out="logistic")
    whole = plain_gradient(problem)

    def gradient(rows, params):
        grads = whole(rows, params)
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        return [g * min(1.0, bound / norm) for g in grads]

    expected = reference_steps(problem, gradient)
    for team in (Team(1), Tasks(3)):
        assert_close(stepped(problem, max_norm=bound, team=team, chunk=16), expected, dtype)


def test_a_batch_without_weight_changes_nothing_if_the_norm_has_a_bound():
    problem = Problem(WIDTHS, F64)
    problem.weights[:20] = 0
    expected = reference_steps(problem, lambda rows, params: [0 * p for p in params])
    found = stepped(problem, max_norm=1e-300)
    assert_close(found, expected, F64)


def test_a_bound_of_the_norm_holds_over_several_calls(monkeypatch):
    problem = Problem((5, 9, 20, 3), F64, rows=80)
    monkeypatch.setattr(costs, "CALL_WORK", 1e4)
    monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
    run = problem.trainer(optimizer=optimizers.SGD, max_norm=0.05)
    set_rates(run, **RATES)
    run.epoch(np.arange(80))
    assert run.calls(80) > 3
    grads = plain_gradient(problem)(slice(None), problem.coefs + problem.intercepts)
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    expected = [p - 0.1 * g * 0.05 / norm for p, g in zip(problem.coefs + problem.intercepts, grads, strict=True)]
    coefs, intercepts = problem.network.layout.unpack(run.theta)
    assert_close(coefs + intercepts, expected, F64)


@over_dtypes
@pytest.mark.parametrize("form", ["rows", "sparse", "half sparse", "sparse of another dtype"])
@pytest.mark.parametrize("rates", [(0.3, 0.5), (0.0, 0.5), (0.3, 0.0)], ids=str)
def test_dropped_units_are_those_of_the_reference(rates, form, dtype):
    problem = Problem(WIDTHS, dtype, form=form, hidden="logistic")
    problem.weights = np.ones(29)
    masks = [
        dropout.factors(p, 7, l, range(29), width) if p else np.ones((29, width))
        for l, (p, width) in enumerate(zip(rates, WIDTHS, strict=False))
    ]

    def gradient(rows, params):
        names = {"activation": "logistic", "out_activation": "softmax", "loss": "log_loss"}
        grads = dropout.gradient(
            problem.dense[rows], problem.Y[rows], params[:2], params[2:], [m[rows] for m in masks], **names
        )
        decay = [0.1 / len(rows) * theta for theta in params[:2]]
        return [g + d for g, d in zip(grads[0], decay, strict=True)] + grads[1]

    expected = reference_steps(problem, gradient)
    assert_close(stepped(problem, regularization=Regularization(rates, seed=7)), expected, dtype)
    moved = {"regularization": Regularization(rates, seed=7), "places": np.arange(29)}
    assert_close(stepped(problem, **moved), expected, dtype)


@over_dtypes
@pytest.mark.parametrize("out", ["softmax", "logistic"])
def test_targets_are_smoothed(out, dtype):
    problem = Problem(WIDTHS, dtype, out=out)
    found = stepped(problem, regularization=Regularization(smoothing=0.2))
    problem.Y = 0.8 * problem.Y + 0.2 * (1 / 3 if out == "softmax" else 0.5)
    assert_close(found, reference_steps(problem, plain_gradient(problem)), dtype)


def squares(z, y):
    cost = 0.0
    for k in range(z.size):
        cost += 0.5 * (z[k] - y[k]) ** 2
    if z[0] > 1e3:
        raise ValueError("too large")
    return cost


def squares_gradient(z, y, out):
    for k in range(z.size):
        out[k] = z[k] - y[k]


def test_a_loss_of_the_users_own_is_that_of_its_formula():
    loss = UserLoss(compiled(squares), compiled(squares_gradient))
    assert compiled(loss.cost) is loss.cost
    assert is_function(squares)
    assert is_function(loss.cost)
    assert not is_function(len)
    problem = Problem(WIDTHS, F64, loss="squared_error", out="identity")
    expected = stepped(problem)
    problem.network = type(problem.network)(WIDTHS, ("tanh", "identity"), loss, F64)
    assert user_loss.kernel_of(loss) is user_loss.kernel_of(loss)
    assert_close(stepped(problem), expected, F64)
    problem.theta[:] = 1e4
    assert np.isnan(problem.trainer().loss_and_gradient(problem.theta))


@jit.entry
def step_sizes(rates, ts, out):
    for i in range(ts.size):
        out[i] = optimizers.step_size(optimizers.ADAM, rates[0], ts[i])


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.99999), (0.0, 0.9)])
def test_the_step_size_of_adam_is_exact_where_powers_are_left_out(betas):
    rates, ts = np.zeros(1, optimizers.RATES), np.array([1, 2, 79, 81, 399, 401, 39_999, 40_001, 10**7], np.int64)
    rates["eta"], rates["beta_1"], rates["beta_2"] = 0.001, *betas
    out = np.zeros(len(ts))
    step_sizes(rates, ts, out)
    expected = [0.001 * math.sqrt(1 - betas[1] ** int(t)) / (1 - betas[0] ** int(t)) for t in ts]
    np.testing.assert_array_equal(out, expected)
