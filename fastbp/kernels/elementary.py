"""exp, expm1, tanh, logistic, log1p and softplus as branch-free arithmetic, so that loops over them become vector code.

Numba would call the C library once per element. Each of these functions is a few multiply-adds. All exponentials share
one reduction, x = n ln 2 + r with |r| <= ln 2 / 2, and one Taylor polynomial of e^r. The first omitted term is below
half an ulp. Each function states a bound on its error in units in the last place (ulp) of the exact result, which may
be subnormal. Tests check the bounds over the whole range. inf, NaN and saturation come out as in the C library.

One source serves float32 and float64. `constant` gives a literal the type of a variable, so that nothing is promoted.
Code that depends on the format is emitted for each type.
"""

import dataclasses
import functools
import math
import struct

from llvmlite import ir
from numba import typeof, types

from .compiling.jit import inlined, intrinsic
from .machine.registers import emit_fma


@dataclasses.dataclass(frozen=True)
class _Format:
    """The properties of a floating-point format, as far as the emitted code needs them."""

    kind: str  # format character for `struct.pack`
    bits: int
    mantissa: int
    bias: int
    exp_range: tuple[float, float]  # e^x is 0 below the first number and inf above the second
    exp_series: tuple[float, ...]  # coefficients of (e^r - 1 - r) / r^2, from the highest power
    # Minimax coefficients of (log((1 + s) / (1 - s)) - 2 s) / s^3 as a polynomial in s^2, from the highest power. They
    # are those of FreeBSD's msun.
    log_series: tuple[float, ...]
    ln2_high: float  # n * ln2_high is exact, because the last bits of ln2_high are zeros

    @property
    def shifter(self):
        """x + shifter has x, rounded to an integer, in its low bits."""
        return 1.5 * 2.0**self.mantissa

    def bits_of(self, x):
        return struct.unpack("i" if self.bits == 32 else "q", struct.pack(self.kind, x))[0]

    def int(self, value):
        return ir.Constant(ir.IntType(self.bits), value)


def _taylor(degree):
    return tuple(1 / math.factorial(k) for k in range(degree, 1, -1))


_FORMATS = {
    types.float32: _Format(
        "f", 32, 23, 127, (-104.0, 89.0), _taylor(8),
        (0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693), 0.693359375,
    ),
    types.float64: _Format(
        "d", 64, 52, 1023, (-746.0, 710.0), _taylor(14),
        (
            0.1479819860511658591, 0.1531383769920937332, 0.1818357216161805012, 0.2222219843214978396,
            0.2857142874366239149, 0.3999999999940941908, 0.6666666666666735130,
        ), float.fromhex("0x1.62e42fee00000p-1"),
    ),
}  # fmt: skip
_LN2 = (0.6931471805599453, 2.3190468138462996e-17)  # ln 2 as the sum of two float64


def _plain_fma(x, y, z):
    return x * y + z


@intrinsic(_plain_fma)
def fma(typingctx, x, y, z):
    """x * y + z, rounded only once if the CPU has FMA."""
    return x(x, x, x), lambda context, builder, sig, args: emit_fma(builder, *args)


def _plain_constant(value, like):
    return type(like)(value)


@intrinsic(_plain_constant)
def constant(typingctx, value, like):
    """`value` in the floating-point type of `like`."""
    value = types.unliteral(value)
    return like(value, like), lambda context, builder, sig, args: context.cast(builder, args[0], value, like)


def _per_type(value_of_format):
    """An intrinsic f(x) whose value depends only on the type of x."""

    @intrinsic(lambda x: _plain_constant(value_of_format(_FORMATS[typeof(x)]), x))
    def number(typingctx, x):
        value = value_of_format(_FORMATS[x])
        return x(x), lambda context, builder, sig, args: ir.Constant(context.get_value_type(x), value)

    return number


_smallest = _per_type(lambda f: f.exp_range[0])
_largest = _per_type(lambda f: f.exp_range[1])
_shifter = _per_type(lambda f: f.shifter)
_ln2_high = _per_type(lambda f: f.ln2_high)
_ln2_low = _per_type(lambda f: _LN2[0] - f.ln2_high + _LN2[1])


def _plain_horner(coefficients, x):
    """The polynomial in x with these coefficients, from the highest power."""
    first, *rest = (_plain_constant(c, x) for c in coefficients)
    return functools.reduce(lambda sum, c: _plain_fma(sum, x, c), rest, first)


def _polynomial(series_of_format):
    """An intrinsic f(x): Horner's rule with the coefficients for the type of x."""

    @intrinsic(lambda x: _plain_horner(series_of_format(_FORMATS[typeof(x)]), x))
    def horner(typingctx, x):
        def codegen(context, builder, sig, args):
            kind = context.get_value_type(x)
            first, *rest = (ir.Constant(kind, c) for c in series_of_format(_FORMATS[x]))
            for coefficient in rest:
                first = emit_fma(builder, first, args[0], coefficient)
            return first

        return x(x), codegen

    return horner


_exp_series = _polynomial(lambda f: f.exp_series)
_log_series = _polynomial(lambda f: f.log_series)


def _plain_power_of_two(n):
    return n if math.isnan(n) else _plain_constant(math.ldexp(1.0, int(n)), n)


@intrinsic(_plain_power_of_two)
def _power_of_two(typingctx, n):
    """2^n for an integral n, if 2^n is a normal number. Any other n gives an arbitrary number and no exception."""
    f = _FORMATS[n]

    def codegen(context, builder, sig, args):
        shifted = builder.fadd(args[0], ir.Constant(context.get_value_type(n), f.shifter))
        integer = builder.sub(builder.bitcast(shifted, ir.IntType(f.bits)), f.int(f.bits_of(f.shifter) - f.bias))
        return builder.bitcast(builder.shl(integer, f.int(f.mantissa)), context.get_value_type(n))

    return n(n), codegen


def _plain_parts(u):
    mantissa, exponent = math.frexp(u)
    return (2 * mantissa, exponent - 1) if mantissa < _plain_constant(math.sqrt(0.5), u) else (mantissa, exponent)


def _emit_exponent(f, builder, u):
    """Two integers: k, with sqrt(1/2) <= u / 2^k < sqrt(2), and the bits of u."""
    bits = builder.bitcast(u, ir.IntType(f.bits))
    return builder.ashr(builder.sub(bits, f.int(f.bits_of(math.sqrt(0.5)))), f.int(f.mantissa)), bits


def _plain_exponent(u):
    return _plain_constant(_plain_parts(u)[1], u)


@intrinsic(_plain_exponent)
def _exponent(typingctx, u):
    def codegen(context, builder, sig, args):
        return builder.sitofp(_emit_exponent(_FORMATS[u], builder, args[0])[0], context.get_value_type(u))

    return u(u), codegen


def _plain_mantissa(u):
    return _plain_constant(_plain_parts(u)[0], u)


@intrinsic(_plain_mantissa)
def _mantissa(typingctx, u):
    """u / 2^_exponent(u)."""
    f = _FORMATS[u]

    def codegen(context, builder, sig, args):
        k, bits = _emit_exponent(f, builder, args[0])
        return builder.bitcast(builder.sub(bits, builder.shl(k, f.int(f.mantissa))), context.get_value_type(u))

    return u(u), codegen


@inlined
def _exp_parts(x):
    """(2^a, 2^b, e^r - 1) with e^x = 2^a 2^b e^r. A single factor 2^n could be out of range although e^x is not."""
    x = _smallest(x) if x < _smallest(x) else x  # written so that NaN stays
    x = _largest(x) if x > _largest(x) else x
    n = fma(x, constant(1 / math.log(2), x), _shifter(x)) - _shifter(x)
    r = fma(n, -_ln2_low(x), fma(n, -_ln2_high(x), x))
    a = fma(n, constant(0.5, x), _shifter(x)) - _shifter(x)
    return _power_of_two(a), _power_of_two(n - a), fma(r * r, _exp_series(r), r)


@inlined
def exp(x):
    """e^x, within 1 ulp."""
    a, b, p = _exp_parts(x)
    return fma(p, a, a) * b


@inlined
def expm1(x):
    """e^x - 1, within 2 ulp, also near 0."""
    a, b, p = _exp_parts(x)
    return fma(p, a, a - constant(1, x) / b) * b


@inlined
def tanh(x):
    """tanh(x) = sign(x) (-t) / (t + 2) with t = e^{-2|x|} - 1, within 3 ulp."""
    t = expm1(constant(-2, x) * abs(x))
    return math.copysign(-t / (t + constant(2, x)), x)


@inlined
def logistic(x):
    """1 / (1 + e^{-x}), within 3 ulp. It uses e^{-|x|}, because e^{-x} may overflow although the result is not 0."""
    e = exp(-abs(x))
    return (e if x < constant(0, x) else constant(1, x)) / (constant(1, x) + e)


@inlined
def log1p(x):
    """log(1 + x) for x >= -1/2, within 1 ulp, also near 0."""
    # u = 2^n (1 + f) is 1 + x, rounded. `lost` is the relative error of this rounding.
    one = constant(1, x)
    u = one + x
    lost = (x - (u - one) if x < one else one - (u - x)) / u
    n = _exponent(u)
    f = _mantissa(u) - one
    s = f / (constant(2, x) + f)
    half_square = constant(0.5, x) * f * f
    # log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 P(s^2))
    tail = s * (half_square + s * s * _log_series(s * s)) + fma(n, _ln2_low(x), lost)
    result = fma(n, _ln2_high(x), f - (half_square - tail))
    return x if x == constant(0, x) or x == constant(math.inf, x) else result  # -0 and inf stay


@inlined
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log1p(e^{-|x|}), without overflow or cancellation; within 2 ulp."""
    return (constant(0, x) if x < constant(0, x) else x) + log1p(exp(-abs(x)))
