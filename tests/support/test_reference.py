"""The reference agrees with SciPy, scikit-learn and central differences."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from support import reference

SQRT_2_OVER_PI = np.sqrt(2 / np.pi)
PEERS = {
    "identity": lambda z: z,
    "logistic": special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, special.expm1(np.minimum(z, 0))),
    "softplus": lambda z: np.logaddexp(0, z),
    "silu": lambda z: z * special.expit(z),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(SQRT_2_OVER_PI * (z + 0.044715 * z**3))),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * special.expm1(np.minimum(z, 0))),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "hard_swish": lambda z: np.where(abs(z) < 3, z * (z + 3) / 6, np.maximum(z, 0)),
    "softmax": lambda z: special.softmax(z, axis=1),
    "exp": np.exp,
}
COMBINATIONS = [(loss, out) for loss, outs in reference.LEGAL_OUTPUTS.items() for out in outs]


def network(rng, sizes):
    coefs = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in pairwise(sizes)]
    return coefs, [rng.normal(size=n) for n in sizes[1:]]


def test_every_activation_has_its_peer():
    z = np.random.default_rng(0).normal(scale=5, size=(50, 7))
    assert set(PEERS) == set(reference.ACTIVATIONS)
    for name, peer in PEERS.items():
        np.testing.assert_allclose(reference.ACTIVATIONS[name](z), peer(z), rtol=1e-13, err_msg=name)


@pytest.mark.parametrize("name", reference.HIDDEN_ACTIVATIONS)
def test_derivatives_are_the_central_differences(name):
    rng = np.random.default_rng(1)
    z = (rng.choice([-1, 1], size=200) * rng.uniform(0.05, 6, size=200)).astype(np.longdouble)  # no kink nearby
    g, h = reference.ACTIVATIONS[name], np.longdouble(1e-6)
    np.testing.assert_allclose(reference.DERIVATIVES[name](z), (g(z + h) - g(z - h)) / (2 * h), rtol=1e-9, atol=1e-11)


def test_nothing_but_exp_overflows_at_extreme_arguments():
    z = np.array([[-1000.0, 1000.0, 0.0]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        functions = {**reference.ACTIVATIONS, **{f"{name}'": g for name, g in reference.DERIVATIVES.items()}}
        del functions["exp"]
        for g in functions.values():
            assert np.isfinite(g(z)).all()
        for loss, out in COMBINATIONS:
            if out == "exp":
                continue
            Y = np.array([[1.0, 0.0, 0.0]])
            assert np.isfinite(reference.example_costs(z, Y, out_activation=out, loss=loss)).all()
            assert np.isfinite(reference.output_delta(z, Y, out_activation=out, loss=loss)).all()


@pytest.mark.parametrize(("loss", "out_activation"), COMBINATIONS)
def test_output_delta_is_the_derivative_of_the_cost(loss, out_activation):
    rng = np.random.default_rng(2)
    z = rng.choice([-1, 1], size=(1, 5)) * rng.uniform(0.05, 2, size=(1, 5))
    Y = np.eye(5)[[3]] + (loss == "gamma")
    delta = reference.output_delta(z, Y, out_activation=out_activation, loss=loss)

    def cost():
        return reference.example_costs(z, Y, out_activation=out_activation, loss=loss)[0]

    assert reference.gradient_error(cost, [z], [delta], rng) < 1e-8


def test_cross_entropies_are_scikit_learns_where_nothing_saturates():
    rng = np.random.default_rng(3)
    z, codes = rng.normal(size=(40, 4)), rng.integers(4, size=40)
    Y = np.eye(4)[codes]
    softmax_cost = reference.example_costs(z, Y, out_activation="softmax", loss="log_loss").mean()
    np.testing.assert_allclose(softmax_cost, log_loss(codes, special.softmax(z, axis=1)), rtol=1e-13)
    logistic_cost = reference.example_costs(z, Y, out_activation="logistic", loss="binary_cross_entropy").mean()
    by_output = [log_loss(Y[:, k], special.expit(z[:, k])) for k in range(4)]
    np.testing.assert_allclose(logistic_cost, sum(by_output), rtol=1e-13)


def test_logistic_cost_keeps_its_digits_where_the_probability_rounds_to_one():
    cost = reference.example_costs(np.array([[40.0]]), np.ones((1, 1)), out_activation="logistic", loss="log_loss")
    np.testing.assert_allclose(cost, [4.248354255291589e-18], rtol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["gelu", ["tanh", "elu"]], ids=["one name", "one a layer"])
def test_gradient_is_the_central_difference(activation, bias):
    rng = np.random.default_rng(4)
    coefs, intercepts = network(rng, (5, 7, 6, 3))
    X, Y, w = rng.normal(size=(9, 5)), rng.normal(size=(9, 3)), rng.uniform(0.5, 2, size=9)
    options = {"activation": activation, "out_activation": "tanh", "loss": "euclidean", "alpha": 0.3}

    def cost():
        return reference.loss_and_gradient(X, Y, coefs, intercepts if bias else None, sample_weight=w, **options)[0]

    _, coef_grads, intercept_grads = reference.loss_and_gradient(
        X, Y, coefs, intercepts if bias else None, sample_weight=w, **options
    )
    params, grads = (coefs + intercepts, coef_grads + intercept_grads) if bias else (coefs, coef_grads)
    assert reference.gradient_error(cost, params, grads, rng) < 1e-8


def test_the_accumulator_gives_the_same_gradient():
    rng = np.random.default_rng(5)
    coefs, intercepts = network(rng, (5, 7, 3))
    X, Y = rng.normal(size=(9, 5)), np.eye(3)[rng.integers(3, size=9)]
    options = {"activation": "logistic", "out_activation": "logistic", "loss": "binary_cross_entropy", "alpha": 0.3}
    _, coef_grads, intercept_grads = reference.loss_and_gradient(X, Y, coefs, intercepts, **options)
    D, d = reference.accumulated_gradient(X, Y, coefs, intercepts, **options)
    for one, other in zip(D + d, coef_grads + intercept_grads, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("peer", "out_activation", "loss"),
    [(MLPClassifier, "softmax", "log_loss"), (MLPRegressor, "identity", "squared_error")],
)
def test_gradient_is_the_step_of_scikit_learn(peer, out_activation, loss):
    rng = np.random.default_rng(6)
    X, codes = rng.normal(size=(30, 5)), np.arange(30) % 3
    Y = np.eye(3)[codes] if loss == "log_loss" else rng.normal(size=(30, 3))

    def params_after_a_step(learning_rate):
        model = peer(hidden_layer_sizes=(7,), solver="sgd", batch_size=30, momentum=0, alpha=0.3, random_state=0)
        model.set_params(learning_rate_init=learning_rate)
        if loss == "log_loss":
            model.partial_fit(X, codes, classes=[0, 1, 2])
        else:
            model.partial_fit(X, Y)
        return model.coefs_, model.intercepts_, model.loss_

    coefs, intercepts, reported = params_after_a_step(1e-300)  # a step too small to change the initial weights
    J, coef_grads, intercept_grads = reference.loss_and_gradient(
        X, Y, coefs, intercepts, activation="relu", out_activation=out_activation, loss=loss, alpha=0.3
    )
    new_coefs, new_intercepts, _ = params_after_a_step(1.0)
    for before, after, grad in zip(
        coefs + intercepts, new_coefs + new_intercepts, coef_grads + intercept_grads, strict=True
    ):
        np.testing.assert_allclose(before - after, grad, rtol=1e-10, atol=1e-14)
    if loss == "log_loss":  # scikit-learn averages its squared loss over the outputs, but not the gradient
        np.testing.assert_allclose(J, reported, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            lambda: reference.SGD(0.1, momentum=0.8, nesterov=False),
            lambda p: SGDOptimizer(p, 0.1, momentum=0.8, nesterov=False),
        ),
        (lambda: reference.SGD(0.1, momentum=0.8), lambda p: SGDOptimizer(p, 0.1, momentum=0.8)),
        (lambda: reference.Adam(0.01), lambda p: AdamOptimizer(p, 0.01)),
    ],
    ids=["momentum", "nesterov", "adam"],
)
def test_steps_are_scikit_learns(ours, theirs):
    rng = np.random.default_rng(7)
    params = [rng.normal(size=(5, 3)), rng.normal(size=3)]
    expected = [p.copy() for p in params]
    ours, theirs = ours(), theirs(expected)
    for _ in range(10):
        grads = [rng.normal(size=p.shape) for p in params]
        params = ours.step(params, grads)
        theirs.update_params(expected, grads)
        for p, q in zip(params, expected, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-13)


def test_gradient_descent_stops_at_the_first_iterate_within_gtol():
    rng = np.random.default_rng(8)
    X, theta = rng.normal(size=(20, 4)), rng.normal(size=(4, 2))
    linear = {"activation": [], "out_activation": "identity", "loss": "squared_error"}
    problem = (X, X @ theta, [np.zeros((4, 2))], None)
    coefs, _, norms = reference.gradient_descent(*problem, learning_rate=0.3, gtol=1e-6, max_iter=1000, **linear)
    assert norms[-1] <= 1e-6 < min(norms[:-1])
    assert len(norms) < 1000
    np.testing.assert_allclose(coefs[0], theta, atol=1e-5)
    before, _, _ = reference.gradient_descent(*problem, learning_rate=0.3, gtol=0, max_iter=len(norms) - 1, **linear)
    np.testing.assert_array_equal(coefs[0], before[0])
