"""Random networks and data for the textbook's functions, and comparisons with the reference."""

from itertools import pairwise

import numpy as np
import pytest

from fastbp import textbook
from support import reference

DTYPES = ["float64", "float32"]
RTOL = {"float64": 1e-10, "float32": 1e-4}
# Every depth from no hidden layer to three. No hidden width is a multiple of a vector. The layer of 2 units after 67 is
# narrow if a vector has 8 numbers (see Layout.is_narrow).
SIZES = [(7, 3), (5, 17, 3), (33, 5, 67, 2), (17, 33, 9, 50, 5)]
PAIRS = [(loss, out) for loss, outs in reference.LEGAL_OUTPUTS.items() for out in outs]
ONE_PAIR_PER_LOSS = [
    ("log_loss", "softmax"),
    ("log_loss", "logistic"),
    ("binary_cross_entropy", "logistic"),
    ("squared_error", "tanh"),
    ("mean_squared_error", "silu"),
    ("euclidean", "logistic"),
    ("absolute_error", "tanh"),
    ("huber", "identity"),
    ("quantile", "silu"),
    ("gamma", "exp"),
]
KINKS = {"relu": 0, "leaky_relu": 0, "selu": 0, "hard_swish": 3}  # |z| where the slope jumps
over_dtypes = pytest.mark.parametrize("dtype", DTYPES)
over_sizes = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
over_pairs = pytest.mark.parametrize(("loss", "out_activation"), PAIRS)
over_losses = pytest.mark.parametrize(("loss", "out_activation"), ONE_PAIR_PER_LOSS)


def random_network(rng, sizes):
    coefs = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in pairwise(sizes)]
    return coefs, [0.3 * rng.normal(size=n) for n in sizes[1:]]


def random_targets(rng, loss, m, n_outputs):
    if loss == "log_loss":
        return np.eye(n_outputs)[rng.integers(n_outputs, size=m)]
    if loss == "binary_cross_entropy":
        return rng.integers(2, size=(m, n_outputs)).astype(float)
    if loss == "poisson":
        return rng.poisson(2.0, size=(m, n_outputs)).astype(float)
    if loss == "gamma":
        return rng.gamma(2.0, size=(m, n_outputs))
    return rng.normal(size=(m, n_outputs))


def random_problem(seed, sizes, loss, *, m=11, bias=True, dtype="float64"):
    """(X, Y, coefs, intercepts), the arguments that every function of the textbook and the reference starts with."""
    rng = np.random.default_rng(seed)
    coefs, intercepts = random_network(rng, sizes)
    X, Y = rng.normal(size=(m, sizes[0])), random_targets(rng, loss, m, sizes[-1])
    return cast((X, Y, coefs, intercepts if bias else None), dtype)


def cast(problem, dtype):
    X, Y, coefs, intercepts = problem
    biases = None if intercepts is None else [b.astype(dtype) for b in intercepts]
    return X.astype(dtype), Y.astype(dtype), [theta.astype(dtype) for theta in coefs], biases


def problem_without_kinks(sizes, options, **kwargs):
    """A random problem without any z so near a kink that rounding or a finite difference could cross the kink."""
    kinks = {KINKS[name] for name in (options["activation"], options["out_activation"]) if name in KINKS}
    for seed in range(100):
        problem = random_problem(seed, sizes, options["loss"], **kwargs)
        X, _, coefs, intercepts = cast(problem, "float64")
        z = reference.pre_activations(X, coefs, intercepts, activation=options["activation"])
        if all(np.abs(np.abs(layer) - kink).min() > 1e-3 for layer in z for kink in kinks):
            return problem
    raise AssertionError("no such problem among 100")


def assert_agrees(actual, expected, dtype):
    """Arrays of `dtype` agree to RTOL. Entries that cancel may differ by 1 % of RTOL, relative to the largest entry."""
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        atol = 0.01 * RTOL[dtype] * np.abs(theirs).max() + np.finfo(dtype).tiny
        np.testing.assert_allclose(ours, theirs, rtol=RTOL[dtype], atol=atol)


def assert_all_agree(problem, dtype, *, alpha=0.0, sample_weight=None, **options):
    """J, every activation, every delta and every gradient agree with the reference."""
    wide = cast(problem, "float64")
    X, _, coefs, intercepts = problem
    network = {name: options[name] for name in ("activation", "out_activation")}
    a = textbook.forward(X, coefs, intercepts, **network)
    assert_agrees(a, reference.forward(wide[0], wide[2], wide[3], **network), dtype)
    assert_agrees(textbook.deltas(*problem, **options), reference.deltas(*wide, **options), dtype)

    objective = {"alpha": alpha, "sample_weight": sample_weight, **options}
    J, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **objective)
    wide_J, wide_coef_grads, wide_intercept_grads = reference.loss_and_gradient(*wide, **objective)
    np.testing.assert_allclose(J, wide_J, rtol=RTOL[dtype])
    assert_agrees(coef_grads, wide_coef_grads, dtype)
    if intercepts is not None:
        assert_agrees(intercept_grads, wide_intercept_grads, dtype)


def gradient_error(problem, **objective):
    """The gradient's largest relative distance from central differences of the textbook's own J."""
    _, _, coefs, intercepts = problem
    _, coef_grads, intercept_grads = textbook.loss_and_gradient(*problem, **objective)
    params = coefs if intercepts is None else coefs + intercepts
    grads = coef_grads if intercepts is None else [*coef_grads, *intercept_grads]
    return reference.gradient_error(
        lambda: textbook.loss_and_gradient(*problem, **objective)[0], params, grads, np.random.default_rng(0)
    )


def delta_error(problem, i, **options):
    """Like `gradient_error`, for the deltas of example i: a delta is the derivative of its own J by a bias."""
    X, Y, coefs, intercepts = problem
    biases = [np.zeros(theta.shape[1]) for theta in coefs] if intercepts is None else intercepts
    delta = [layer[i] for layer in textbook.deltas(*problem, **options)]
    return reference.gradient_error(
        lambda: textbook.loss_and_gradient(X[i : i + 1], Y[i : i + 1], coefs, biases, **options)[0],
        biases,
        delta,
        np.random.default_rng(0),
    )
