"""The elementary functions and activations are close to mpmath's, over the whole range. Errors are in ulp."""

import re

import mpmath
import numpy as np
import pytest

from fastbp.kernels import elementary
from fastbp.kernels.activations import HIDDEN, SELU_ALPHA, SELU_SCALE
from fastbp.kernels.compiling.jit import call, entry

mpmath.mp.prec = 200
over_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@entry
def evaluate(code, x, y):
    for i in range(x.size):
        if code == 0:
            y[i] = elementary.exp(x[i])
        elif code == 1:
            y[i] = elementary.expm1(x[i])
        elif code == 2:
            y[i] = elementary.tanh(x[i])
        elif code == 3:
            y[i] = elementary.log1p(x[i])
        elif code == 4:
            y[i] = elementary.softplus(x[i])
        elif code == 5:
            y[i] = elementary.logistic(x[i])


@entry
def activate(address, x, y):
    call(address, (x, y))


def logistic(x):
    return 1 / (1 + mpmath.exp(-x))


def softplus(x):
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


def gelu_argument(z):
    return mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)


EXACT = {  # in the order of the codes
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "tanh": mpmath.tanh,
    "log1p": mpmath.log1p,
    "softplus": softplus,
    "logistic": logistic,
}
CODES = {name: code for code, name in enumerate(EXACT)}
# {name: (exact function, bound in ulp)}. The bounds of silu, mish and gelu are in the comments of activations.py.
ACTIVATIONS = {
    "tanh": (mpmath.tanh, lambda z: 3),
    "logistic": (logistic, lambda z: 3),
    "softplus": (softplus, lambda z: 2),
    "elu": (lambda z: z if z > 0 else mpmath.expm1(z), lambda z: 2),
    "silu": (lambda z: z * logistic(z), lambda z: 4),
    "selu": (lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * mpmath.expm1(z)), lambda z: 4),
    "mish": (lambda z: z * mpmath.tanh(softplus(z)), lambda z: 6),
    "gelu": (lambda z: z * logistic(2 * gelu_argument(z)), lambda z: 4 if z > 0 else 4 - 4 * gelu_argument(z)),
}


def stated_bound(name):
    """The bound that a function's docstring states."""
    return float(re.search(r"within ([\d.]+) ulp", getattr(elementary, name).py_func.__doc__)[1])


def compute(name, x):
    y = np.empty_like(x)
    evaluate(CODES[name], x, y)
    return y


def compute_activation(name, z):
    a = np.empty_like(z)
    activate(HIDDEN[name].g.address(z.dtype), z, a)
    return a


def whole_range(dtype, n=400):
    """Every magnitude of both signs, also subnormal, numbers where results change, and the edges of the reduction."""
    rng, limits = np.random.default_rng(7), np.finfo(dtype)
    active = 110 if dtype == np.float32 else 750  # beyond, e^x is 0 or inf
    low, high = np.log(limits.smallest_subnormal.astype(float)), np.log(limits.max.astype(float))
    edges = (0.5 * np.log(2) * rng.integers(-2 * active, 2 * active, n)).astype(dtype)  # edges of r in x = n ln 2 + r
    positive = [
        np.exp(rng.uniform(low, high - 1e-6, n)),
        np.exp(rng.uniform(-40, np.log(active), n)),
        2.0 ** edges[:99],
    ]
    both_signs = np.concatenate([*positive, rng.uniform(0, active, n), rng.uniform(0, 4, n)]).astype(dtype)
    limits = [limits.smallest_subnormal, limits.tiny, np.nextafter(limits.tiny, dtype(0)), limits.max, 0]
    ends = [
        sign * np.nextafter(dtype(end), dtype(to)) for sign in (1, -1) for end in ends_of(dtype) for to in (0, active)
    ]
    nearby = [np.nextafter(edges, dtype(to)) for to in (-np.inf, np.inf)]
    x = np.concatenate([both_signs, -both_signs, edges, *nearby, limits, np.negative(limits), ends]).astype(dtype)
    return x[np.isfinite(x)]


def ends_of(dtype):
    """Numbers whose e^x, or that of minus them, overflows, becomes subnormal or becomes 0."""
    limits = np.finfo(dtype)
    return [abs(np.log(v.astype(np.longdouble))) for v in (limits.max, limits.tiny, limits.smallest_subnormal)]


def assert_within(bound, exact, x, y, *, absolute=0.0):
    """|y - exact(x)| <= bound(x) ulp of exact(x), or at most `absolute`. An overflow is inf."""
    limits = np.finfo(x.dtype)
    for point, value in zip(x.tolist(), y.tolist(), strict=True):
        at = mpmath.mpf(point)
        expected = exact(at)
        if abs(expected) > float(limits.max):
            assert value == np.inf, point
        else:
            ulp = float(np.spacing(np.nextafter(x.dtype.type(abs(float(expected))), x.dtype.type(0))))
            assert abs(mpmath.mpf(value) - expected) <= max(bound(at) * ulp, absolute), (point, value)


@over_dtypes
@pytest.mark.parametrize("name", CODES)
def test_error_stays_within_the_stated_bound_over_the_whole_range(name, dtype):
    x = whole_range(dtype)
    x = x[x >= -0.5] if name == "log1p" else x
    bound = stated_bound(name)
    assert bound <= 3
    assert_within(lambda x: bound, EXACT[name], x, compute(name, x))


@over_dtypes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_error_of_an_activation_stays_within_its_bound_over_the_whole_range(name, dtype):
    exact, bound = ACTIVATIONS[name]
    z = whole_range(dtype)
    # a subnormal e^z has few digits, and these activations multiply it by z
    absolute = float(np.finfo(dtype).tiny) if name in ("silu", "gelu", "mish") else 0.0
    assert_within(bound, exact, z, compute_activation(name, z), absolute=absolute)


@over_dtypes
@pytest.mark.parametrize("name", HIDDEN)
def test_a_saturated_activation_has_its_limit_and_a_slope_that_is_finite(name, dtype):
    z = np.array([-1.0, 1.0], dtype)[:, None] * np.logspace(2, np.log10(np.finfo(dtype).max) - 0.05, 40, dtype=dtype)
    z = z.ravel()
    a, slope = compute_activation(name, z), z.copy()
    activate(HIDDEN[name].slope.address(z.dtype), a, slope)
    below, above = {
        "identity": (z, z),
        "logistic": (0, 1),
        "tanh": (-1, 1),
        "leaky_relu": (z * z.dtype.type(0.01), z),
        "elu": (-1, z),
        "selu": (-SELU_SCALE * SELU_ALPHA, z * z.dtype.type(SELU_SCALE)),
    }.get(name, (0, z))
    np.testing.assert_allclose(a, np.where(z < 0, below, above), rtol=1e-6, atol=1e-35)
    flat = {"identity": 1, "leaky_relu": 0.01}.get(name, 0)
    steep = {"logistic": 0, "tanh": 0, "selu": SELU_SCALE}.get(name, 1)
    np.testing.assert_allclose(slope, np.where(z < 0, flat, steep), rtol=1e-6, atol=1e-6 if name == "selu" else 1e-35)


@over_dtypes
@pytest.mark.parametrize(
    ("name", "points", "values"),
    [
        ("exp", [np.nan, np.inf, -np.inf, 0, 1000, -1000], [np.nan, np.inf, 0, 1, np.inf, 0]),
        ("expm1", [np.nan, np.inf, -np.inf, 0, 1000, -1000], [np.nan, np.inf, -1, 0, np.inf, -1]),
        ("tanh", [np.nan, np.inf, -np.inf, 0, -0.0, 1000, -1000], [np.nan, 1, -1, 0, -0.0, 1, -1]),
        ("log1p", [np.nan, np.inf, 0, -0.0], [np.nan, np.inf, 0, -0.0]),
        ("softplus", [np.nan, np.inf, -np.inf, 1000, -1000], [np.nan, np.inf, 0, 1000, 0]),
        ("logistic", [np.nan, np.inf, -np.inf, 0, 1000, -1000], [np.nan, 1, 0, 0.5, 1, 0]),
    ],
)
def test_special_values_are_those_of_the_c_library(name, points, values, dtype):
    y = compute(name, np.array(points, dtype))
    np.testing.assert_array_equal(y, np.array(values, dtype))
    np.testing.assert_array_equal(np.copysign(1, y[y == 0]), np.copysign(1, np.array(values, dtype)[y == 0]))


@over_dtypes
def test_an_element_does_not_depend_on_its_place(dtype):
    """Vector code and its scalar remainder give the same bits."""
    x = np.random.default_rng(3).normal(0, 5, 259).astype(dtype)
    for name in CODES:
        points = abs(x) if name == "log1p" else x
        whole = compute(name, points)
        shifted = compute(name, points[13:].copy())
        np.testing.assert_array_equal(whole[13:], shifted)
