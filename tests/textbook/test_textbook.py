"""fastbp.textbook equals tests/support/reference.py, for every network."""

from itertools import product

import mpmath
import numpy as np
import pytest

from fastbp import textbook
from support import reference
from support.random_problems import (
    ONE_PAIR_PER_LOSS,
    PAIRS,
    RTOL,
    assert_agrees,
    assert_all_agree,
    gradient_error,
    over_dtypes,
    over_losses,
    over_pairs,
    problem_without_kinks,
    random_problem,
)

# A hidden layer and the output layer are computed apart, so it is enough that every hidden activation meets every loss,
# and that every pair of a loss and an output activation meets one hidden activation.
NETWORKS = [
    *(("tanh", *pair) for pair in PAIRS),
    *((g, *pair) for g in reference.HIDDEN_ACTIVATIONS if g != "tanh" for pair in ONE_PAIR_PER_LOSS),
]
over_networks = pytest.mark.parametrize(("activation", "loss", "out_activation"), NETWORKS)
ILLEGAL_PAIRS = [pair for pair in product(reference.LEGAL_OUTPUTS, reference.ACTIVATIONS) if pair not in PAIRS]


# Every network.


@over_dtypes
@over_networks
def test_every_activation_with_every_loss_and_every_pair(activation, loss, out_activation, dtype):
    options = {"activation": activation, "out_activation": out_activation, "loss": loss}
    problem = problem_without_kinks((5, 9, 3), options, m=7, dtype=dtype)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=7).astype(dtype)
    assert_all_agree(problem, dtype, alpha=0.3, sample_weight=weight, **options)


@over_networks
def test_central_differences_of_every_activation_with_every_loss_and_every_pair(activation, loss, out_activation):
    options = {"activation": activation, "out_activation": out_activation, "loss": loss}
    problem = problem_without_kinks((3, 5, 3), options, m=4)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=4)
    assert gradient_error(problem, alpha=0.3, sample_weight=weight, **options) < 1e-6


@over_dtypes
def test_one_activation_per_layer(dtype):
    problem = random_problem(60, (5, 17, 33, 6, 3), "log_loss", dtype=dtype)
    options = {"out_activation": "softmax", "loss": "log_loss"}
    for activation in (["tanh", "elu", "gelu"], ["gelu", "tanh", "elu"]):
        assert_all_agree(problem, dtype, activation=activation, **options)


def test_one_name_means_every_hidden_layer():
    problem = random_problem(61, (5, 17, 33, 3), "squared_error")
    options = {"out_activation": "identity", "loss": "squared_error"}
    for one, listed in zip(
        textbook.deltas(*problem, activation="tanh", **options),
        textbook.deltas(*problem, activation=["tanh", "tanh"], **options),
        strict=True,
    ):
        np.testing.assert_array_equal(one, listed)


def test_defaults_are_logistic_and_cross_entropy():
    X, _, coefs, intercepts = problem = random_problem(62, (5, 17, 3), "binary_cross_entropy")
    network = {"activation": "logistic", "out_activation": "logistic"}
    a = textbook.forward(X, coefs, intercepts)
    assert_agrees(a, reference.forward(X, coefs, intercepts, **network), "float64")
    expected = reference.deltas(*problem, loss="binary_cross_entropy", **network)
    assert_agrees(textbook.deltas(*problem), expected, "float64")


def test_a_network_without_hidden_layers_takes_a_name_or_none():
    X, _, coefs, intercepts = random_problem(63, (5, 3), "squared_error")
    for activation in ("tanh", [], ()):
        a = textbook.forward(X, coefs, intercepts, activation=activation, out_activation="logistic")
        assert len(a) == 2
        np.testing.assert_allclose(a[1], reference.logistic(X @ coefs[0] + intercepts[0]), rtol=1e-13)


@over_losses
def test_no_intercepts_are_intercepts_of_zero(loss, out_activation):
    X, Y, coefs, _ = random_problem(64, (5, 17, 3), loss)
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss, "alpha": 0.3}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(X, Y, coefs, None, **options)
    assert intercept_grads is None
    zeros = [np.zeros(17), np.zeros(3)]
    zero_J, zero_coef_grads, _ = textbook.loss_and_gradient(X, Y, coefs, zeros, **options)
    np.testing.assert_allclose(J, zero_J, rtol=1e-14)
    assert_agrees(coef_grads, zero_coef_grads, "float64")


@over_dtypes
@pytest.mark.parametrize("m", [1, 3, 200, 1500])
def test_any_number_of_examples(m, dtype):
    problem = random_problem(65, (9, 33, 17, 5), "log_loss", m=m, dtype=dtype)
    options = {"activation": "tanh", "out_activation": "softmax", "loss": "log_loss"}
    assert_all_agree(problem, dtype, alpha=0.1, **options)


@over_dtypes
@pytest.mark.parametrize("m", [1, 3, 7, 9])
def test_a_row_has_the_same_bits_in_any_batch(m, dtype):
    X, Y, coefs, intercepts = random_problem(66, (5, 33, 17, 3), "log_loss", m=200, dtype=dtype)
    options = {"activation": "gelu", "out_activation": "softmax", "loss": "log_loss"}
    whole = textbook.deltas(X, Y, coefs, intercepts, **options)
    for first in (0, 100):
        rows = slice(first, first + m)
        for part, all_rows in zip(textbook.deltas(X[rows], Y[rows], coefs, intercepts, **options), whole, strict=True):
            np.testing.assert_array_equal(part, all_rows[rows])


def test_memory_order_does_not_matter_and_arguments_may_be_read_only():
    problem = random_problem(67, (5, 17, 3), "squared_error")
    options = {"activation": "tanh", "out_activation": "logistic", "loss": "squared_error", "alpha": 0.3}
    X, Y, coefs, intercepts = problem
    fortran = np.asfortranarray(X), np.asfortranarray(Y), [np.asfortranarray(theta) for theta in coefs], intercepts
    for array in (*fortran[:2], *fortran[2], *intercepts):
        array.flags.writeable = False
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **options)
    fortran_J, fortran_coef_grads, fortran_intercept_grads = textbook.loss_and_gradient(*fortran, **options)
    assert fortran_J == J
    for one, other in zip(
        [*coef_grads, *intercept_grads], [*fortran_coef_grads, *fortran_intercept_grads], strict=True
    ):
        np.testing.assert_array_equal(one, other)
    textbook.check_gradient(*fortran, **options)


# Saturation.


@over_dtypes
@pytest.mark.parametrize("loss", ["log_loss", "binary_cross_entropy"])
def test_saturated_logistic_outputs_are_exact(loss, dtype):
    logits = np.array([[1000, -1000, 1000, -1000]], dtype)
    problem = np.ones((1, 1), dtype), np.array([[1, 1, 0, 0]], dtype), [logits], [np.zeros(4, dtype)]
    options = {"activation": [], "out_activation": "logistic", "loss": loss}
    (delta,) = textbook.deltas(*problem, **options)
    np.testing.assert_array_equal(delta, [[0, -1, 1, 0]])
    J, (coef_grad,), (intercept_grad,) = textbook.loss_and_gradient(*problem, **options)
    assert J == 2000
    np.testing.assert_array_equal(coef_grad, delta)
    np.testing.assert_array_equal(intercept_grad, delta[0])


@over_dtypes
def test_saturated_softmax_is_exact(dtype):
    logits = np.array([[1000, -1000, 0]], dtype)
    options = {"activation": [], "out_activation": "softmax", "loss": "log_loss"}
    for y, cost in zip(np.eye(3, dtype=dtype), (0, 2000, 1000), strict=True):
        problem = np.ones((1, 1), dtype), y[None], [logits], [np.zeros(3, dtype)]
        (delta,) = textbook.deltas(*problem, **options)
        np.testing.assert_array_equal(delta, [np.array([1, 0, 0]) - y])
        J, (coef_grad,), (intercept_grad,) = textbook.loss_and_gradient(*problem, **options)
        assert cost == J
        np.testing.assert_array_equal(coef_grad, delta)
        np.testing.assert_array_equal(intercept_grad, delta[0])


@over_dtypes
@pytest.mark.parametrize(("z", "y"), [(40, 1), (-40, 0)])
def test_a_cost_below_rounding_of_its_probability_is_exact(z, y, dtype):
    problem = np.ones((1, 1), dtype), np.full((1, 1), y, dtype), [np.full((1, 1), z, dtype)], None
    options = {"activation": [], "out_activation": "logistic", "loss": "binary_cross_entropy"}
    J = textbook.loss_and_gradient(*problem, **options)[0]
    np.testing.assert_allclose(J, 4.248354255291589e-18, rtol=1e-14 if dtype == "float64" else 1e-6)


@over_dtypes
@over_pairs
def test_extreme_logits_are_finite_and_agree(loss, out_activation, dtype):
    largest = 50 if out_activation == "exp" else 1000  # e^50 is finite in float32, e^1000 is not
    logits = np.array([[largest, -largest, 0.5]], dtype)
    options = {"activation": [], "out_activation": out_activation, "loss": loss}
    for Y in np.eye(3, dtype=dtype):
        Y = Y + 1 if loss == "gamma" else Y
        problem = np.ones((1, 1), dtype), Y[None], [logits], [np.zeros(3, dtype)]
        assert_all_agree(problem, dtype, **options)
        assert np.isfinite(textbook.loss_and_gradient(*problem, **options)[0])


@over_dtypes
@pytest.mark.parametrize("activation", reference.HIDDEN_ACTIVATIONS)
def test_extreme_hidden_units_are_finite_and_agree(activation, dtype):
    X, Y = np.array([[1000, 0.5], [-1000, 2]], dtype), np.array([[0, 1], [1, 0]], dtype)
    coefs = [np.array([[1, -1, 0], [0, 0, 1]], dtype), np.array([[1, 0.25], [-2, 1], [0.5, -1]], dtype)]
    intercepts = [np.zeros(3, dtype), np.zeros(2, dtype)]
    options = {"activation": activation, "out_activation": "logistic", "loss": "binary_cross_entropy"}
    assert_all_agree((X, Y, coefs, intercepts), dtype, **options)
    assert np.isfinite(textbook.loss_and_gradient(X, Y, coefs, intercepts, **options)[0])


# Invariants.


@over_dtypes
@over_pairs
def test_a_perfect_fit_has_zero_delta(loss, out_activation, dtype):
    X, _, coefs, intercepts = random_problem(70, (5, 17, 3), loss, dtype=dtype)
    network = {"activation": "tanh", "out_activation": out_activation}
    Y = textbook.forward(X, coefs, intercepts, **network)[-1]
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(X, Y, coefs, intercepts, loss=loss, **network)
    deltas = textbook.deltas(X, Y, coefs, intercepts, loss=loss, **network)
    largest = max(np.abs(array).max() for array in (*deltas, *coef_grads, *intercept_grads))
    if loss in ("log_loss", "binary_cross_entropy"):  # a is rounded in another way, and J is the entropy of Y, not 0
        assert largest < 10 * np.finfo(dtype).eps
    elif loss == "gamma":  # log(Y) is not quite z
        assert largest < 10 * np.finfo(dtype).eps
        assert 0 <= J < 100 * np.finfo(dtype).eps ** 2
    elif loss == "poisson":  # log(Y) is not quite z
        assert largest == 0
        assert 0 <= J < np.finfo(dtype).eps ** 2 * Y.max()
    else:
        assert largest == 0
        assert J == 0


@pytest.mark.parametrize(
    ("count", "logit"), [(1e-300, 30.0), (1e-300, 100.0), (5.0, 700.0), (1e300, 1.0), (3.0, np.log(3.0))]
)
def test_poisson_cost_is_exact_far_from_the_mean(count, logit):
    one = np.ones((1, 1))
    J, *_ = textbook.loss_and_gradient(
        one, count * one, [logit * one], None, activation=[], out_activation="exp", loss="poisson"
    )
    with mpmath.workdps(60):
        y, z = mpmath.mpf(count), mpmath.mpf(logit)
        expected = y * (mpmath.log(y) - z) - y + mpmath.exp(z)
    np.testing.assert_allclose(J, float(expected), rtol=1e-13, atol=1e-30)


def test_softmax_of_two_outputs_is_logistic():
    X, Y, (hidden, two), (hidden_bias, two_bias) = random_problem(71, (5, 17, 2), "log_loss")
    one, one_bias = two[:, 1:] - two[:, :1], two_bias[1:] - two_bias[:1]
    options = {"activation": "tanh", "loss": "log_loss"}
    of_two = (X, Y, [hidden, two], [hidden_bias, two_bias])
    of_one = (X, Y[:, 1:], [hidden, one], [hidden_bias, one_bias])
    J, (hidden_grad, out_grad), _ = textbook.loss_and_gradient(*of_two, out_activation="softmax", **options)
    other_J, (other_hidden_grad, other_out_grad), _ = textbook.loss_and_gradient(
        *of_one, out_activation="logistic", **options
    )
    np.testing.assert_allclose(J, other_J, rtol=1e-13)
    np.testing.assert_allclose(hidden_grad, other_hidden_grad, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(out_grad, np.hstack([-other_out_grad, other_out_grad]), rtol=1e-10, atol=1e-14)


@over_dtypes
@over_losses
def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(loss, out_activation, dtype):
    X, Y, coefs, intercepts = random_problem(72, (5, 17, 3), loss, m=9, dtype=dtype)
    repeats = np.array([1, 0, 2, 5, 1, 0, 3, 1, 1])
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss, "alpha": 0.3}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(
        X, Y, coefs, intercepts, sample_weight=repeats.astype(dtype), **options
    )
    repeated = np.repeat(X, repeats, axis=0), np.repeat(Y, repeats, axis=0)
    expected_J, *expected_grads = textbook.loss_and_gradient(*repeated, coefs, intercepts, **options)
    np.testing.assert_allclose(J, expected_J, rtol=RTOL[dtype])
    assert_agrees(coef_grads, expected_grads[0], dtype)
    assert_agrees(intercept_grads, expected_grads[1], dtype)


@over_dtypes
@over_losses
def test_dtype_in_is_dtype_out(loss, out_activation, dtype):
    X, _, coefs, intercepts = problem = random_problem(73, (5, 17, 3), loss, dtype=dtype)
    network = {"activation": "tanh", "out_activation": out_activation}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, loss=loss, **network)
    arrays = [
        *textbook.forward(X, coefs, intercepts, **network),
        *textbook.deltas(*problem, loss=loss, **network),
        *coef_grads,
        *intercept_grads,
    ]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert np.ndim(J) == 0


def test_check_gradient_covers_weights_penalty_and_sample_weight():
    problem = random_problem(74, (5, 9, 3), "log_loss")
    weight = np.random.default_rng(0).uniform(0.5, 2, size=11)
    options = {"activation": ["elu"], "out_activation": "softmax", "loss": "log_loss"}
    assert 0 <= textbook.check_gradient(*problem, alpha=0.3, sample_weight=weight, **options) < 1e-6


def test_check_gradient_sees_a_kink():
    """At relu's kink, the gradient is one side's derivative. The central difference is half the other side's."""
    problem = np.ones((1, 1)), np.ones((1, 1)), [np.zeros((1, 1)), np.ones((1, 1))], None
    options = {"activation": "relu", "out_activation": "identity", "loss": "squared_error"}
    assert textbook.check_gradient(*problem, **options) > 0.1


# Errors name the parameter, the value given and what would be right.


@pytest.mark.parametrize(("loss", "out_activation"), ILLEGAL_PAIRS)
def test_an_illegal_pair_lists_the_legal_ones(loss, out_activation):
    problem = random_problem(80, (5, 9, 3), loss)
    options = {"activation": "tanh", "out_activation": out_activation, "loss": loss}
    for function in (textbook.deltas, textbook.loss_and_gradient, textbook.check_gradient):
        with pytest.raises(ValueError, match=loss) as error:
            function(*problem, **options)
        for name in (out_activation, *reference.LEGAL_OUTPUTS[loss]):
            assert name in str(error.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"Y": np.zeros((6, 4))}, ["Y", "(6, 4)"]),
        ({"Y": np.zeros((5, 3))}, ["Y", "(5, 3)"]),
        ({"X": np.full((6, 5), np.nan)}, ["X", "NaN"]),
        ({"X": np.full((6, 5), np.inf)}, ["X", "inf"]),
        ({"Y": np.full((6, 3), np.nan)}, ["Y", "NaN"]),
        ({"coefs": []}, ["coefs"]),
        ({"coefs": [np.full((5, 7), np.nan), np.zeros((7, 3))]}, ["coefs[0]", "NaN"]),
        ({"coefs": [np.zeros((5, 7)), np.zeros((8, 3))]}, ["coefs", "(5, 7)", "(8, 3)"]),
        ({"intercepts": [np.zeros(7), np.zeros(4)]}, ["intercepts", "(4,)"]),
        ({"intercepts": [np.zeros(7)]}, ["intercepts", "(7,)"]),
        ({"sample_weight": np.array([1, 1, -1.5, 1, 1, 1])}, ["sample_weight", "-1.5"]),
        ({"sample_weight": np.ones(5)}, ["sample_weight", "5"]),
        ({"sample_weight": np.zeros(6)}, ["sample_weight", "0"]),
        ({"alpha": -0.25}, ["alpha", "-0.25"]),
        ({"activation": "sigmoid"}, ["activation", "sigmoid", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": "softmax"}, ["activation", "softmax", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": ["sigmoid"]}, ["activation", "sigmoid", *reference.HIDDEN_ACTIVATIONS]),
        ({"activation": ["tanh", "tanh"]}, ["activation", "['tanh', 'tanh']"]),
        ({"activation": []}, ["activation", "[]"]),
        ({"out_activation": "sigmoid"}, ["out_activation", "sigmoid"]),
        ({"loss": "huber", "loss_options": "abc"}, ["loss_options", "abc"]),
        ({"loss": "huber", "loss_options": None}, ["loss_options", "None"]),
        ({"loss": "huber", "loss_options": [0.5, 0.5]}, ["loss_options", "1 positive", "0.5"]),
        ({"loss": (len, max)}, ["loss", "two functions", "len"]),
        ({"loss": "hinge"}, ["loss", "hinge", *reference.LEGAL_OUTPUTS]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_a_wrong_argument_is_named_with_its_value(changed, named):
    X, Y, coefs, intercepts = random_problem(81, (5, 7, 3), "squared_error", m=6)
    arguments = {
        "X": X,
        "Y": Y,
        "coefs": coefs,
        "intercepts": intercepts,
        "activation": "tanh",
        "out_activation": "identity",
        "loss": "squared_error",
    }
    with pytest.raises(ValueError) as error:  # noqa: PT011 (each message is looked into below)
        textbook.loss_and_gradient(**(arguments | changed))
    for part in named:
        assert part in str(error.value)


def test_softmax_refuses_targets_that_are_no_probabilities():
    X, Y, coefs, intercepts = random_problem(0, (7, 3), "log_loss")
    with pytest.raises(ValueError, match=r"Y must have rows that sum to 1.*from 5 to 5"):
        textbook.loss_and_gradient(X, 5 * Y, coefs, intercepts, out_activation="softmax", loss="log_loss")


@over_dtypes
@pytest.mark.parametrize("activation", sorted(reference.HIDDEN_ACTIVATIONS))
def test_derivatives_are_finite_for_any_finite_logit(activation, dtype):
    largest = 18 if dtype == "float32" else 150  # gelu cubes z
    z = np.array([sign * 10.0**power for sign in (-1, 1) for power in range(-largest, largest * 2, 3)], dtype)[:, None]
    one = np.ones((1, 1), dtype)
    for delta in textbook.deltas(
        z, 0 * z, [one, 1e-30 * one], None, activation=activation, out_activation="identity", loss="squared_error"
    ):
        assert np.isfinite(delta).all()
