"""Activations and their derivatives, side by side: a = g(z), and g'(z), which overwrites z.

To add an activation, write both functions and a line in HIDDEN. The recipe in fastbp/README.md has every step.
"""

from typing import NamedTuple

from .compiling.jit import Deferred, call, deferred, inlined
from .compiling.kinds import VECTOR
from .elementary import constant, exp, expm1, fma, logistic, softplus, tanh

LEAK = 0.01  # slope of leaky_relu below 0
GELU_SCALE = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBE = 0.044715
# With these two, selu keeps the mean 0 and the variance 1 of its inputs (Klambauer et al. 2017).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

elementwise = deferred(VECTOR, VECTOR)  # two flat vectors of equal size; the second one is overwritten


@elementwise
def identity(z, a):
    for i in range(z.size):
        a[i] = z[i]


@elementwise
def identity_slope(a, z):
    for i in range(z.size):
        z[i] = constant(1, z[i])


@elementwise
def logistic_units(z, a):
    for i in range(z.size):
        a[i] = logistic(z[i])


@elementwise
def logistic_slope(a, z):  # a (1 - a)
    for i in range(z.size):
        z[i] = a[i] * (constant(1, z[i]) - a[i])


@elementwise
def tanh_units(z, a):
    for i in range(z.size):
        a[i] = tanh(z[i])


@elementwise
def tanh_slope(a, z):  # 1 - a^2
    for i in range(z.size):
        z[i] = (constant(1, z[i]) - a[i]) * (constant(1, z[i]) + a[i])


@elementwise
def relu(z, a):
    for i in range(z.size):
        a[i] = constant(0, z[i]) if z[i] < constant(0, z[i]) else z[i]  # NaN stays


@elementwise
def relu_slope(a, z):
    for i in range(z.size):
        z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else constant(0, z[i])


@elementwise
def leaky_relu(z, a):
    for i in range(z.size):
        a[i] = constant(LEAK, z[i]) * z[i] if z[i] < constant(0, z[i]) else z[i]


@elementwise
def leaky_relu_slope(a, z):
    for i in range(z.size):
        z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else constant(LEAK, z[i])


@elementwise
def elu(z, a):
    for i in range(z.size):
        a[i] = expm1(z[i]) if z[i] < constant(0, z[i]) else z[i]


@elementwise
def elu_slope(a, z):  # 1 above 0, e^z = a + 1 below
    for i in range(z.size):
        z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else a[i] + constant(1, z[i])


@elementwise
def softplus_units(z, a):
    for i in range(z.size):
        a[i] = softplus(z[i])


@elementwise
def softplus_slope(a, z):  # logistic(z) = 1 - e^-a
    for i in range(z.size):
        z[i] = -expm1(-a[i])


@elementwise
def silu(z, a):  # error: at most 4 ulp, or at most the smallest normal number if e^z is subnormal
    for i in range(z.size):
        a[i] = z[i] * logistic(z[i])


@elementwise
def silu_slope(a, z):  # s + a (1 - s), s = logistic(z)
    for i in range(z.size):
        s = logistic(z[i])
        z[i] = fma(a[i], constant(1, s) - s, s)


@inlined
def _gelu_argument(z):
    """u = sqrt(2/pi) (z + 0.044715 z^3): gelu is z (1 + tanh(u)) / 2."""
    return constant(GELU_SCALE, z) * fma(constant(GELU_CUBE, z) * z * z, z, z)


@elementwise
def gelu(z, a):  # z logistic(2 u), because 1 + tanh(u) would cancel for z < 0
    # The error is bounded as in silu, but for z < 0 by 4 + 4 |u| ulp instead of 4 ulp.
    for i in range(z.size):
        a[i] = z[i] * logistic(constant(2, z[i]) * _gelu_argument(z[i]))


@elementwise
def gelu_slope(a, z):  # (1 + t) / 2 + z (1 - t^2) / 2 * du/dz, t = tanh(u)
    for i in range(z.size):
        t = tanh(_gelu_argument(z[i]))
        slope = constant(GELU_SCALE, t) * fma(constant(3 * GELU_CUBE, t) * z[i], z[i], constant(1, t))
        half, zero = constant(0.5, t), constant(0, t)
        rest = (constant(1, t) - t) * (constant(1, t) + t)
        rest = zero if rest == zero else half * z[i] * slope * rest  # where rest is 0, z * slope may overflow
        z[i] = fma(half, t, half) + rest


@elementwise
def selu(z, a):  # s z above 0, s alpha (e^z - 1) below
    for i in range(z.size):
        below = constant(SELU_ALPHA, z[i]) * expm1(z[i])
        a[i] = constant(SELU_SCALE, z[i]) * (below if z[i] < constant(0, z[i]) else z[i])


@elementwise
def selu_slope(a, z):  # s above 0, s alpha e^z = a + s alpha below
    for i in range(z.size):
        above = constant(SELU_SCALE, z[i])
        z[i] = above if a[i] > constant(0, z[i]) else a[i] + constant(SELU_SCALE * SELU_ALPHA, z[i])


@inlined
def _mish_parts(z):
    """(p, q, e): tanh(softplus(z)) = p / (p + q), e = e^{-|z|}. Nothing cancels or overflows."""
    # With u = e^z, tanh(log(1 + u)) = (u^2 + 2 u) / (u^2 + 2 u + 2). For z >= 0, both the numerator and the denominator
    # are divided by u^2.
    e, two = exp(-abs(z)), constant(2, z)
    if z < constant(0, z):
        return fma(e, e, two * e), two, e
    return fma(two, e, constant(1, z)), two * e * e, e


@elementwise
def mish(z, a):  # z tanh(softplus(z)); error: as in silu, but 6 ulp instead of 4
    for i in range(z.size):
        p, q, _ = _mish_parts(z[i])
        a[i] = z[i] * (p / (p + q))


@elementwise
def mish_slope(a, z):  # t + z logistic(z) (1 - t^2), t = tanh(softplus(z))
    for i in range(z.size):
        p, q, e = _mish_parts(z[i])
        one, sum = constant(1, e), p + q
        s = (e if z[i] < constant(0, e) else one) / (one + e)
        rest = (q / sum) * ((p + sum) / sum)  # 1 - t^2
        rest = constant(0, e) if rest == constant(0, e) else z[i] * s * rest  # where rest is 0, z may be infinite
        z[i] = p / sum + rest


@elementwise
def hard_swish(z, a):  # z min(max(z + 3, 0), 6) / 6
    for i in range(z.size):
        zero, six = constant(0, z[i]), constant(6, z[i])
        gate = z[i] + constant(3, z[i])
        gate = zero if gate < zero else gate
        gate = six if gate > six else gate
        a[i] = z[i] * (gate * constant(1 / 6, z[i]))


@elementwise
def hard_swish_slope(a, z):  # 0 up to -3, 1 from 3, (2 z + 3) / 6 between
    for i in range(z.size):
        between = fma(z[i], constant(1 / 3, z[i]), constant(0.5, z[i]))
        between = constant(0, z[i]) if z[i] <= constant(-3, z[i]) else between
        z[i] = constant(1, z[i]) if z[i] >= constant(3, z[i]) else between


@elementwise
def exponential(z, a):
    for i in range(z.size):
        a[i] = exp(z[i])


@elementwise
def exponential_slope(a, z):
    for i in range(z.size):
        z[i] = a[i]


class Activation(NamedTuple):
    """The two functions of an activation: g(z, a) overwrites a with g(z), and slope(a, z) overwrites z with g'(z)."""

    g: Deferred
    slope: Deferred


HIDDEN = {
    "identity": Activation(identity, identity_slope),
    "logistic": Activation(logistic_units, logistic_slope),
    "tanh": Activation(tanh_units, tanh_slope),
    "relu": Activation(relu, relu_slope),
    "leaky_relu": Activation(leaky_relu, leaky_relu_slope),
    "elu": Activation(elu, elu_slope),
    "softplus": Activation(softplus_units, softplus_slope),
    "silu": Activation(silu, silu_slope),
    "gelu": Activation(gelu, gelu_slope),
    "selu": Activation(selu, selu_slope),
    "mish": Activation(mish, mish_slope),
    "hard_swish": Activation(hard_swish, hard_swish_slope),
}
# exp is for outputs only: e^z is the mean of a Poisson or Gamma distribution. Softmax is in losses.py, because it
# couples units.
ELEMENTWISE = HIDDEN | {"exp": Activation(exponential, exponential_slope)}


@inlined
def activate(g, z, a):
    """a = g(z); overwrites a. g: address. z, a: flat, of equal size."""
    call(g, (z, a))


@inlined
def differentiate(slope, a, z):
    """z = g'(z), from a = g(z); overwrites z. slope: address. a, z: flat, of equal size."""
    call(slope, (a, z))
