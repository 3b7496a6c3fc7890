"""The elementary functions against mpmath: the error bounds that the kernels promise, in units in the last place."""

import mpmath
import numpy as np
import pytest

from fastbp.kernels import elementary
from fastbp.kernels.jit import entry

mpmath.mp.prec = 200


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


def log_uniform(rng, low, high, n):
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def spread(rng, low, high, n=3000):
    """Points of [low, high]: everywhere, and at every magnitude near 0."""
    tiny = log_uniform(rng, 1e-30, min(-low, high) if low < 0 else high, n)
    return np.concatenate([rng.uniform(low, high, n), tiny, -tiny if low < 0 else tiny])


# name -> code, exact function, bound in ulp, range in float32 and in float64 (where results are normal numbers)
FUNCTIONS = {
    "exp": (0, mpmath.exp, 1.0, (-86.0, 88.0), (-707.0, 709.0)),
    "expm1": (1, mpmath.expm1, 2.0, (-86.0, 88.0), (-707.0, 709.0)),
    "tanh": (2, mpmath.tanh, 3.0, (-20.0, 20.0), (-30.0, 30.0)),
    "log1p": (3, mpmath.log1p, 1.0, (-0.5, 3e38), (-0.5, 1e300)),
    "softplus": (4, lambda x: mpmath.log1p(mpmath.exp(x)), 2.0, (-86.0, 88.0), (-707.0, 709.0)),
    "logistic": (5, lambda x: 1 / (1 + mpmath.exp(-x)), 2.5, (-86.0, 88.0), (-707.0, 709.0)),
}
over_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def compute(name, x):
    y = np.empty_like(x)
    evaluate(FUNCTIONS[name][0], x, y)
    return y


@over_dtypes
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_stays_within_its_bound_over_the_whole_range(name, dtype):
    _, exact, bound, single, double = FUNCTIONS[name]
    low, high = single if dtype == np.float32 else double
    x = spread(np.random.default_rng(7), low, high).astype(dtype)
    y = compute(name, x)
    expected = [exact(mpmath.mpf(float(v))) for v in x]
    ulp = [mpmath.mpf(float(np.spacing(dtype(abs(float(e)))))) for e in expected]
    worst = max(abs(mpmath.mpf(float(v)) - e) / u for v, e, u in zip(y, expected, ulp, strict=True))
    assert worst <= bound


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
    for name in FUNCTIONS:
        points = abs(x) if name == "log1p" else x
        whole = compute(name, points)
        shifted = compute(name, points[13:].copy())
        np.testing.assert_array_equal(whole[13:], shifted)
