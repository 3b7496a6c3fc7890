"""Activations and their derivatives, side by side: a = g(z), and g'(z) written over z.

A layer's activation is an integer code, looked up once per block of examples and never inside a loop. To add one: a
code and a name here, and one branch in `activate` and in `differentiate`.
"""

from .elementary import constant, exp, expm1, fma, logistic, softplus, tanh
from .jit import inlined, kernel

IDENTITY, LOGISTIC, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU, SOFTMAX, EXP = range(11)

HIDDEN = {
    "identity": IDENTITY,
    "logistic": LOGISTIC,
    "tanh": TANH,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "softplus": SOFTPLUS,
    "silu": SILU,
    "gelu": GELU,
}
# Outputs only: softmax couples the units of a layer, losses.py has it; exp is the mean of a Poisson distribution.
OUTPUT = HIDDEN | {"softmax": SOFTMAX, "exp": EXP}

LEAK = 0.01  # slope of leaky_relu below 0
GELU_SCALE = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBE = 0.044715


@inlined
def _gelu_tanh(z):
    """tanh(sqrt(2/pi) (z + 0.044715 z^3)): gelu is z (1 + this) / 2."""
    return tanh(constant(GELU_SCALE, z) * fma(constant(GELU_CUBE, z) * z * z, z, z))


@kernel
def activate(code, z, a):
    """a = g(z); z and a: flat, of equal size. Overwrites a."""
    if code == IDENTITY:
        for i in range(z.size):
            a[i] = z[i]
    elif code == LOGISTIC:
        for i in range(z.size):
            a[i] = logistic(z[i])
    elif code == TANH:
        for i in range(z.size):
            a[i] = tanh(z[i])
    elif code == RELU:
        for i in range(z.size):
            a[i] = constant(0, z[i]) if z[i] < constant(0, z[i]) else z[i]  # NaN stays
    elif code == LEAKY_RELU:
        for i in range(z.size):
            a[i] = constant(LEAK, z[i]) * z[i] if z[i] < constant(0, z[i]) else z[i]
    elif code == ELU:
        for i in range(z.size):
            a[i] = expm1(z[i]) if z[i] < constant(0, z[i]) else z[i]
    elif code == SOFTPLUS:
        for i in range(z.size):
            a[i] = softplus(z[i])
    elif code == SILU:
        for i in range(z.size):
            a[i] = z[i] * logistic(z[i])
    elif code == GELU:
        for i in range(z.size):
            a[i] = constant(0.5, z[i]) * z[i] * (constant(1, z[i]) + _gelu_tanh(z[i]))
    elif code == EXP:
        for i in range(z.size):
            a[i] = exp(z[i])


@kernel
def differentiate(code, a, z):
    """z = g'(z), from the activation a where that suffices; a and z: flat, of equal size. Overwrites z."""
    if code == IDENTITY:
        for i in range(z.size):
            z[i] = constant(1, z[i])
    elif code == LOGISTIC:  # a (1 - a)
        for i in range(z.size):
            z[i] = a[i] * (constant(1, z[i]) - a[i])
    elif code == TANH:  # 1 - a^2
        for i in range(z.size):
            z[i] = (constant(1, z[i]) - a[i]) * (constant(1, z[i]) + a[i])
    elif code == RELU:
        for i in range(z.size):
            z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else constant(0, z[i])
    elif code == LEAKY_RELU:
        for i in range(z.size):
            z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else constant(LEAK, z[i])
    elif code == ELU:  # 1 above 0, e^z = a + 1 below
        for i in range(z.size):
            z[i] = constant(1, z[i]) if a[i] > constant(0, z[i]) else a[i] + constant(1, z[i])
    elif code == SOFTPLUS:  # logistic(z) = 1 - e^-a
        for i in range(z.size):
            z[i] = -expm1(-a[i])
    elif code == SILU:  # s + a (1 - s), s = logistic(z)
        for i in range(z.size):
            s = logistic(z[i])
            z[i] = fma(a[i], constant(1, s) - s, s)
    elif code == GELU:  # (1 + t) / 2 + z (1 - t^2) / 2 * d(argument of t)/dz
        for i in range(z.size):
            t = _gelu_tanh(z[i])
            slope = constant(GELU_SCALE, t) * fma(constant(3 * GELU_CUBE, t) * z[i], z[i], constant(1, t))
            half, zero = constant(0.5, t), constant(0, t)
            rest = (constant(1, t) - t) * (constant(1, t) + t)
            rest = zero if rest == zero else half * z[i] * slope * rest  # z * slope may overflow there
            z[i] = fma(half, t, half) + rest
