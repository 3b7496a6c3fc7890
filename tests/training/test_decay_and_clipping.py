"""Decoupled weight decay, and the bound of the gradient's norm."""

import numpy as np
import pytest

from fastbp import BackpropClassifier, BackpropRegressor
from fastbp.data.examples import as_examples
from fastbp.kernels import optimizers
from fastbp.network import costs
from fastbp.network.architecture import Network
from fastbp.training.optimizer_state import set_rates
from support import reference
from support.classifiers import iris
from support.steps import (
    F32,
    F64,
    OPTIMIZERS,
    RATES,
    Tasks,
    network,
    over_dtypes,
    random_examples,
    random_theta,
    trainer,
)

NAMES = {"activation": "tanh", "out_activation": "softmax", "loss": "log_loss"}


def optimizer_of(name):
    return reference.Adam(0.01) if name == "adam" else reference.SGD(0.01, nesterov=name == "nesterov")


def clipped(grads, bound):
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    return [g * min(1, bound / norm) for g in grads], norm


class Problem:
    def __init__(self, dtype=F64, n=60):
        rng = np.random.default_rng(0)
        self.network = network(dtype)
        self.theta, self.coefs, self.intercepts = random_theta(self.network, rng)
        self.examples = random_examples(self.network, rng, n)
        X = self.examples.X32 if self.examples.single else self.examples.X64
        self.X, self.Y = np.asarray(X, float).reshape(n, -1), np.eye(5)[self.examples.codes]

    def trainer(self, *, weight_decay=0.0, alpha=0.0, **options):
        run = trainer(self.network, self.theta, self.examples, alpha=alpha, weight_decay=weight_decay, **options)
        set_rates(run, **RATES)
        return run

    def gradient(self, rows, params, alpha=0.0):
        _, *grads = reference.loss_and_gradient(
            self.X[rows], self.Y[rows], params[:3], params[3:], alpha=alpha, **NAMES
        )
        return grads[0] + grads[1]

    def assert_trained(self, run, params):
        coefs, intercepts = self.network.layout.unpack(run.theta)
        for found, wanted in zip(coefs + intercepts, params, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_decay_before_a_step_by_the_rate_of_the_step_and_biases_do_not(name):
    problem, theirs, factors = Problem(), optimizer_of(name), [1.0, 0.5, 0.25]
    run = problem.trainer(batch=25, optimizer=OPTIMIZERS[name], weight_decay=0.3, planned=True, alpha=0.2)
    run.factors[:] = factors
    params = problem.coefs + problem.intercepts
    for _ in range(7):
        for factor, rows in zip(factors, np.split(np.arange(60), [25, 50]), strict=True):
            grads = problem.gradient(rows, params, alpha=0.2)
            shrink = 1 - 0.01 * factor * 0.3
            decayed = [shrink * theta for theta in params[:3]] + params[3:]
            theirs.learning_rate = 0.01 * factor
            params = theirs.step(decayed, grads)
        run.epoch(np.arange(60))
    problem.assert_trained(run, params)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("form", ["one call", "groups", "several calls"])
def test_a_gradient_above_the_bound_of_its_norm_is_scaled_down_to_it(name, form, monkeypatch):
    if form == "groups":
        monkeypatch.setattr(costs, "FEW", 0)
        monkeypatch.setattr(costs, "GROUP_WORK", 0)
    if form == "several calls":
        monkeypatch.setattr(costs, "CALL_WORK", 1e4)
        monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
    problem, theirs, norms = Problem(), optimizer_of(name), []
    batch, n_tasks, bound = (60, 1, 0.1) if form == "several calls" else (25, 2, 0.1)
    run = problem.trainer(batch=batch, optimizer=OPTIMIZERS[name], max_norm=bound, alpha=0.2, team=Tasks(n_tasks))
    assert (run.calls(batch) > 2) == (form == "several calls")
    params = problem.coefs + problem.intercepts
    for _ in range(7):
        for rows in np.split(np.arange(60), range(batch, 60, batch)):
            grads, norm = clipped(problem.gradient(rows, params, alpha=0.2), bound)
            norms.append(norm > bound)
            params = theirs.step(params, grads)
        run.epoch(np.arange(60))
        bound = run.rates.max_norm = bound * 1.6
    assert {*norms} == {False, True}
    problem.assert_trained(run, params)


@over_dtypes
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bound_that_no_gradient_reaches_changes_no_bit(name, dtype):
    problem = Problem(dtype)
    runs = [problem.trainer(batch=25, optimizer=OPTIMIZERS[name], max_norm=bound) for bound in (None, 1e9)]
    losses = [[run.epoch(np.arange(60)) for _ in range(3)] for run in runs]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(runs[0].theta, runs[1].theta)


@over_dtypes
@pytest.mark.parametrize("grouped", [False, True])
def test_any_number_of_threads_gives_the_same_bits(grouped, dtype, request):
    if grouped:
        request.getfixturevalue("by_groups")
    problem = Problem(dtype)
    options = {"batch": 45, "chunk": 16, "optimizer": optimizers.ADAM, "max_norm": 0.05, "weight_decay": 0.1}
    runs = [problem.trainer(team=Tasks(n), **options) for n in (1, 2, 3, 7)]
    losses = [[run.epoch(np.arange(60)) for _ in range(3)] for run in runs]
    for run, loss in zip(runs[1:], losses[1:], strict=True):
        assert loss == losses[0]
        np.testing.assert_array_equal(run.theta, runs[0].theta)


def test_the_norm_of_a_float32_gradient_does_not_overflow():
    shape = Network((2, 1), ("identity",), "squared_error", F32)
    X, Y = np.ones((4, 2), np.float32), np.full((4, 1), 1e25, np.float32)
    run = trainer(
        shape, shape.layout.pack([np.zeros((2, 1))], [np.zeros(1)]), as_examples(X, F32, Y=Y), alpha=0.0,
        optimizer=optimizers.SGD, max_norm=1.0,
    )  # fmt: skip
    set_rates(run, **RATES | {"momentum": 0.0, "learning_rate_init": 3.0})
    run.epoch(np.arange(4))
    coefs, intercepts = shape.layout.unpack(run.theta)
    np.testing.assert_allclose(np.concatenate([coefs[0][:, 0], intercepts[0]]), np.full(3, 3**0.5), rtol=1e-6)


def test_a_norm_beyond_float64_makes_the_weights_nan_so_that_the_fit_ends():
    shape = Network((2, 1), ("identity",), "squared_error", F64)
    X, Y = np.ones((4, 2)), np.full((4, 1), 1e160)
    theta = shape.layout.pack([np.zeros((2, 1))], [np.zeros(1)])
    run = trainer(shape, theta, as_examples(X, F64, Y=Y), optimizer=optimizers.SGD, max_norm=1.0)
    run.epoch(np.arange(4))
    assert np.isnan(shape.layout.flatten(run.theta)).all()


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_batch_without_weight_is_skipped(n_threads):
    rng = np.random.default_rng(1)
    shape = network(F64)
    theta, weights = random_theta(shape, rng)[0], np.repeat([1.0, 0.0, 1.0], 20)
    examples = random_examples(shape, rng, 60, weights)
    options = {"batch": 20, "optimizer": optimizers.ADAM, "max_norm": 0.1}
    run = trainer(shape, theta, examples, team=Tasks(n_threads), **options)
    other = trainer(shape, theta, examples, **options)
    run.epoch(np.arange(60))
    other.epoch(np.delete(np.arange(60), np.s_[20:40]))
    assert run.t[0] == other.t[0] == 2
    np.testing.assert_array_equal(run.theta, other.theta)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestEstimators:
    def fitted(self, **params):
        return BackpropClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}).fit(
            *iris()
        )

    @pytest.mark.parametrize("solver", ["sgd", "adam"])
    @pytest.mark.parametrize("params", [{"weight_decay": 0.5}, {"max_grad_norm": 0.01}], ids=str)
    def test_a_parameter_changes_the_weights(self, params, solver):
        assert (self.fitted(solver=solver, **params).coefs_[0] != self.fitted(solver=solver).coefs_[0]).any()

    def test_weight_decay_shrinks_weights_that_have_no_gradient(self):
        X, y = np.zeros((40, 3)), np.arange(40) % 2
        model = BackpropClassifier((), solver="sgd", alpha=0, learning_rate_init=0.1, weight_decay=0.5, batch_size=20)
        model.set_params(max_iter=1, random_state=0).fit(X, y)
        model.coefs_[0][:] = [[1.0], [-2.0], [3.0]]
        model.partial_fit(X, y)
        np.testing.assert_allclose(model.coefs_[0][:, 0], np.array([1, -2, 3]) * 0.95**2, rtol=1e-14)

    def test_a_gradient_that_is_not_finite_ends_the_fit_with_an_error(self):
        X, y = iris()
        with pytest.raises(ValueError, match="Training diverged in epoch"):
            BackpropRegressor(max_grad_norm=1.0, activation="identity", random_state=0).fit(1e300 * X, 1e300 * y)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"weight_decay": -1.0}, "'weight_decay' parameter"),
            ({"max_grad_norm": 0}, "'max_grad_norm' parameter"),
            ({"weight_decay": 0.1, "solver": "lbfgs"}, "solver must be sgd or adam for weight_decay=0.1, got 'lbfgs'"),
            ({"max_grad_norm": 1, "solver": "gd"}, "solver must be sgd or adam for max_grad_norm=1, got 'gd'"),
        ],
    )
    def test_a_wrong_value_is_refused(self, params, message):
        with pytest.raises(ValueError, match=message):
            self.fitted(**params)
