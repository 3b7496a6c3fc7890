"""The output layer: its activation, the cost of each example, and delta^(L), on one block of examples.

C is the cost of one example over all outputs. The caller computes J, the weighted mean over examples. The kernels of
cross-entropies and deviances compute delta = dC/dz directly, because dC/da * g'(z) would be inf * 0 where the output
saturates.

To add a loss of the residual r = a - y, write a function like `squared_error`, and add its name to RESIDUAL and to
LOSSES of the estimator. The recipe in fastbp/README.md has every step.

The loops over formulas work on transposed matrices of shape (width, rows), flat. So a vector holds one unit of many
examples. The units of one example are often too few to fill a vector.
"""

import math

from .activations import ELEMENTWISE, activate, differentiate
from .compiling.jit import Deferred, call, deferred, inlined
from .compiling.kinds import FLOATS, INT, VECTOR
from .elementary import constant, exp, expm1, log1p
from .machine.simd import part


@inlined
def _by_unit(z, rows, width, padded, out):
    """out = z transposed: (rows, padded) to (width, rows), flat."""
    for i in range(rows):
        for k in range(width):
            out[k * rows + i] = z[i * padded + k]


@inlined
def _shifted(z, rows, width, largest):
    """z -= max_k z_k of each example, in place; z: (width, rows). largest: (rows,), scratch."""
    for i in range(rows):
        largest[i] = z[i]
    for k in range(1, width):
        z_k = part(z, k * rows, rows)
        for i in range(rows):
            largest[i] = largest[i] if z_k[i] < largest[i] else z_k[i]  # the maximum may miss a NaN, but z keeps it
    for k in range(width):
        z_k = part(z, k * rows, rows)
        for i in range(rows):
            z_k[i] -= largest[i]


# g, z, a, rows, width, padded: see `outputs`
_output = deferred(INT, VECTOR, VECTOR, INT, INT, INT)


@_output
def softmax(g, z, a, rows, width, padded):
    """e^z / sum_k e^z_k."""
    _by_unit(z, rows, width, padded, a)
    sums = part(z, 0, rows)
    _shifted(a, rows, width, sums)
    for j in range(rows * width):
        a[j] = exp(a[j])
    for i in range(rows):
        sums[i] = a[i]
    for k in range(1, width):
        a_k = part(a, k * rows, rows)
        for i in range(rows):
            sums[i] += a_k[i]
    for k in range(width):
        a_k = part(a, k * rows, rows)
        for i in range(rows):
            a_k[i] /= sums[i]


@_output
def elementwise_outputs(g, z, a, rows, width, padded):
    _by_unit(z, rows, width, padded, a)
    for j in range(rows * width):
        z[j] = a[j]
    activate(g, part(z, 0, rows * width), part(a, 0, rows * width))


@inlined
def outputs(kernel, g, z, a, rows, width, padded):
    """a^(L) = g(z^(L)) on a block, transposed: z (rows, padded) to a (width, rows). Overwrites a; z is scratch.

    kernel: address of one of the functions above. g: address of the activation, if it is elementwise.
    """
    call(kernel, (g, z, a, rows, width, padded))


@inlined
def _softmax_cross_entropy(z, y, rows, width, scratch, cost):
    """C = log sum_j e^z_j - sum_k y_k z_k, for targets that sum to 1; z becomes a - y.

    After max_k z_k is subtracted, the largest logit's term is e^0 = 1. `others` leaves this term out, because log1p of
    the other terms is accurate even if these terms are tiny.
    """
    zero, one = constant(0, z[0]), constant(1, z[0])
    maxima, others = part(scratch, 0, rows), part(scratch, rows, rows)
    _shifted(z, rows, width, maxima)
    for i in range(rows):
        cost[i], others[i], maxima[i] = 0.0, zero, -one
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            cost[i] -= y_k[i] * z_k[i]
        for i in range(rows):
            e = exp(z_k[i])
            others[i] += zero if z_k[i] == zero else e
            maxima[i] += one if z_k[i] == zero else zero  # number of largest logits, minus 1
            z_k[i] = e
    for i in range(rows):
        others[i] += maxima[i]
        maxima[i] = log1p(others[i])
    for i in range(rows):
        cost[i] += maxima[i]
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            z_k[i] = z_k[i] / (one + others[i]) - y_k[i]


@inlined
def _logistic_cross_entropy(z, y, rows, width, terms, cost):
    """C = sum_k y_k softplus(-z_k) + (1 - y_k) softplus(z_k); z becomes a - y.

    Both softplus terms share log1p(e) with e = e^-|z|. Nothing cancels: at y = 1, z = 40 the cost is e^-40.

    terms: (rows,), scratch.
    """
    zero, one = constant(0, z[0]), constant(1, z[0])
    for i in range(rows):
        cost[i] = 0.0
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            negative = z_k[i] < zero
            above, below = zero if negative else z_k[i], -z_k[i] if negative else zero
            e = exp(-(above + below))
            terms[i] = y_k[i] * below + (one - y_k[i]) * above + log1p(e)
            p = one / (one + e)
            z_k[i] = (e * p if negative else p) - y_k[i]
        for i in range(rows):
            cost[i] += terms[i]


@inlined
def _poisson_deviance(z, y, rows, width, cost):
    """C = sum_k y_k log(y_k / a_k) - y_k + a_k with a = e^z, half the deviance; z becomes a - y.

    With r = z - log y, a term is y (e^r - 1 - r). This second form is used for r < 1, because it is never negative,
    whereas the first form cancels. The first form is used for larger r, because there e^r may overflow.
    """
    for i in range(rows):
        cost[i] = 0.0
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            count, logit = constant(y_k[i], cost[i]), constant(z_k[i], cost[i])
            if count > 0.0:
                r = logit - math.log(count)
                cost[i] += count * (expm1(r) - r) if r < 1.0 else exp(logit) - count - count * r
            else:
                cost[i] += exp(logit)
        for i in range(rows):
            z_k[i] = exp(z_k[i]) - y_k[i]


@inlined
def _gamma_deviance(z, y, rows, width, cost):
    """C = sum_k y_k / a_k - 1 - log(y_k / a_k) with a = e^z, half the deviance; z becomes 1 - y / a.

    With r = log y - z, a term is e^r - 1 - r, which is never negative.
    """
    _clear(cost, rows)
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            r = math.log(constant(y_k[i], cost[i])) - constant(z_k[i], cost[i])
            cost[i] += expm1(r) - r
            z_k[i] = constant(-expm1(r), z_k[i])


# z, a, y, rows, width, padded, cost, g, slope, options: see `output_delta`
KINDS = (VECTOR, VECTOR, VECTOR, INT, INT, INT, FLOATS, INT, INT, FLOATS)
cost_and_delta = deferred(*KINDS)


@inlined
def _finish(a, z, rows, width, padded):
    """z = a transposed back, 0 in padded columns."""
    for i in range(rows):
        for k in range(width):
            z[i * padded + k] = a[k * rows + i]
        for k in range(width, padded):
            z[i * padded + k] = constant(0, z[0])


@cost_and_delta
def softmax_cross_entropy(z, a, y, rows, width, padded, cost, g, slope, options):
    _by_unit(z, rows, width, padded, a)
    _softmax_cross_entropy(a, y, rows, width, z, cost)
    _finish(a, z, rows, width, padded)


@cost_and_delta
def logistic_cross_entropy(z, a, y, rows, width, padded, cost, g, slope, options):
    _by_unit(z, rows, width, padded, a)
    _logistic_cross_entropy(a, y, rows, width, part(z, 0, rows), cost)
    _finish(a, z, rows, width, padded)


@cost_and_delta
def poisson_deviance(z, a, y, rows, width, padded, cost, g, slope, options):
    _by_unit(z, rows, width, padded, a)
    _poisson_deviance(a, y, rows, width, cost)
    _finish(a, z, rows, width, padded)


@cost_and_delta
def gamma_deviance(z, a, y, rows, width, padded, cost, g, slope, options):
    _by_unit(z, rows, width, padded, a)
    _gamma_deviance(a, y, rows, width, cost)
    _finish(a, z, rows, width, padded)


@inlined
def _residuals(z, a, y, rows, width, padded, g, slope):
    """z = r = a^(L) - y and a = g'(z^(L)), both transposed; overwrites z and a."""
    size = rows * width
    _by_unit(z, rows, width, padded, a)
    activate(g, part(a, 0, size), part(z, 0, size))
    differentiate(slope, part(z, 0, size), part(a, 0, size))
    for j in range(size):
        z[j] -= y[j]


@inlined
def _clear(cost, rows):
    for i in range(rows):
        cost[i] = 0.0


@inlined
def _sum_squares(r, rows, width, cost):
    """cost[i] = sum_k r_k^2 of example i; overwrites cost."""
    _clear(cost, rows)
    for k in range(width):
        r_k = part(r, k * rows, rows)
        for i in range(rows):
            r_ik = constant(r_k[i], cost[i])  # float64; Numba's float() leaves float32 as it is
            cost[i] += r_ik * r_ik


@cost_and_delta
def squared_error(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = r.r / 2, dC/da = r."""
    _residuals(z, a, y, rows, width, padded, g, slope)
    _sum_squares(z, rows, width, cost)
    for i in range(rows):
        cost[i] *= 0.5
    for j in range(rows * width):
        a[j] *= z[j]
    _finish(a, z, rows, width, padded)


@cost_and_delta
def mean_squared_error(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = r.r, dC/da = 2 r."""
    _residuals(z, a, y, rows, width, padded, g, slope)
    _sum_squares(z, rows, width, cost)
    for j in range(rows * width):
        a[j] *= constant(2, z[j]) * z[j]
    _finish(a, z, rows, width, padded)


@cost_and_delta
def euclidean(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = |r|, dC/da = r / |r|, 0 where r = 0."""
    _residuals(z, a, y, rows, width, padded, g, slope)
    zero, one = constant(0, z[0]), constant(1, z[0])
    scale = part(y, 0, rows)  # the largest |r_k|; r is divided by it, because a square may underflow or overflow
    for i in range(rows):
        scale[i] = zero
    for k in range(width):
        r = part(z, k * rows, rows)
        for i in range(rows):
            scale[i] = scale[i] if abs(r[i]) < scale[i] else abs(r[i])
    for k in range(width):
        r = part(z, k * rows, rows)
        for i in range(rows):
            r[i] /= scale[i] if scale[i] > zero else one
    _sum_squares(z, rows, width, cost)
    for k in range(width):
        r = part(z, k * rows, rows)
        for i in range(rows):
            norm = constant(math.sqrt(cost[i]), zero)
            r[i] = zero if norm == zero else r[i] / norm
    for i in range(rows):
        cost[i] = math.sqrt(cost[i]) * scale[i]
    for j in range(rows * width):
        a[j] *= z[j]
    _finish(a, z, rows, width, padded)


@cost_and_delta
def absolute_error(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = sum_k |r_k|, dC/da = sign(r), 0 where r = 0."""
    _residuals(z, a, y, rows, width, padded, g, slope)
    zero, one = constant(0, z[0]), constant(1, z[0])
    _clear(cost, rows)
    for k in range(width):
        r, a_k = part(z, k * rows, rows), part(a, k * rows, rows)
        for i in range(rows):
            cost[i] += constant(abs(r[i]), cost[i])
        for i in range(rows):
            a_k[i] *= (one if r[i] > zero else -one) if r[i] != zero else zero
    _finish(a, z, rows, width, padded)


@cost_and_delta
def huber(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = sum_k h(r_k), h(r) = r^2 / 2 if |r| <= d, else d (|r| - d / 2); dC/da = min(max(r, -d), d) (Huber 1964).

    options: one number, d.
    """
    _residuals(z, a, y, rows, width, padded, g, slope)
    largest = options[0]
    _clear(cost, rows)
    for k in range(width):
        r, a_k = part(z, k * rows, rows), part(a, k * rows, rows)
        for i in range(rows):
            size = constant(abs(r[i]), cost[i])
            cost[i] += largest * (size - 0.5 * largest) if size > largest else 0.5 * size * size
        for i in range(rows):
            bounded = r[i] if abs(r[i]) <= constant(largest, r[i]) else math.copysign(constant(largest, r[i]), r[i])
            a_k[i] *= bounded if r[i] == r[i] else r[i]  # NaN stays
    _finish(a, z, rows, width, padded)


@cost_and_delta
def quantile(z, a, y, rows, width, padded, cost, g, slope, options):
    """C = sum_k h(r_k), h(r_k) = -q_k r_k if r_k < 0, else (1 - q_k) r_k; dC/da = -q or 1 - q, 0 where r = 0.

    options: q_k for each output k. The best output k is the quantile q_k of y (Koenker and Bassett 1978).
    """
    _residuals(z, a, y, rows, width, padded, g, slope)
    zero = constant(0, z[0])
    _clear(cost, rows)
    for k in range(width):
        r, a_k = part(z, k * rows, rows), part(a, k * rows, rows)
        below, above = constant(-options[k], zero), constant(1.0 - options[k], zero)
        for i in range(rows):
            r_i = constant(r[i], cost[i])
            cost[i] += r_i * (-options[k] if r[i] < zero else 1.0 - options[k])
        for i in range(rows):
            a_k[i] *= (below if r[i] < zero else above) if r[i] != zero else zero
    _finish(a, z, rows, width, padded)


@inlined
def output_delta(kernel, z, a, y, rows, width, padded, cost, g, slope, options):
    """cost[i] = C of example i; z becomes delta^(L), 0 in padded columns.

    kernel: address of one of the functions above, or of a user's loss. z: (rows, padded), flat; on entry z^(L), whose
    first `width` columns are units. y: targets, transposed: (width, rows), flat. Overwrites cost and z; a and y are
    scratch. g, slope: addresses of an elementwise output activation and of its slope. options: see `huber` and
    `quantile`.
    """
    call(kernel, (z, a, y, rows, width, padded, cost, g, slope, options))


OUTPUTS = {**dict.fromkeys(ELEMENTWISE, elementwise_outputs), "softmax": softmax}
RESIDUAL = {
    "squared_error": squared_error,
    "mean_squared_error": mean_squared_error,
    "euclidean": euclidean,
    "absolute_error": absolute_error,
    "huber": huber,
    "quantile": quantile,
}
DEVIANCES = {"poisson": poisson_deviance, "gamma": gamma_deviance}
_ANY = tuple(name for name in ELEMENTWISE if name != "exp")
LEGAL_OUTPUTS = {
    "log_loss": ("softmax", "logistic"),
    "binary_cross_entropy": ("logistic",),
    **dict.fromkeys(RESIDUAL, _ANY),
    **dict.fromkeys(DEVIANCES, ("exp",)),
}


def kernel_of(loss: str, activation: str) -> Deferred:
    """The function for this loss and this output activation, a pair that LEGAL_OUTPUTS allows."""
    if loss in RESIDUAL or loss in DEVIANCES:
        return (RESIDUAL | DEVIANCES)[loss]
    return {"softmax": softmax_cross_entropy, "logistic": logistic_cross_entropy}[activation]
