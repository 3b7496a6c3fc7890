"""The output layer: its activation, the cost of each example, and delta^(L), on one block of examples.

The cost of one example is a sum over outputs; J is the weighted mean over examples, taken by the caller. The matched
pairs have delta = a - y, which is formed directly: dC/da * g'(z) is 0 * inf where the output saturates.
To add a loss of the residual: a code, its name in LOSSES and LEGAL_OUTPUTS, and one branch in `_residual_cost`.
"""

import math

from .activations import HIDDEN, LOGISTIC, SOFTMAX, activate, differentiate
from .elementary import constant, exp, expm1, log1p
from .jit import inlined
from .simd import part

LOG_LOSS, BINARY_CROSS_ENTROPY, SQUARED_ERROR, MEAN_SQUARED_ERROR, EUCLIDEAN, POISSON = range(6)

LOSSES = {
    "log_loss": LOG_LOSS,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "squared_error": SQUARED_ERROR,
    "mean_squared_error": MEAN_SQUARED_ERROR,
    "euclidean": EUCLIDEAN,
    "poisson": POISSON,
}
LEGAL_OUTPUTS = {
    "log_loss": ("softmax", "logistic"),
    "binary_cross_entropy": ("logistic",),
    "squared_error": tuple(HIDDEN),
    "mean_squared_error": tuple(HIDDEN),
    "euclidean": tuple(HIDDEN),
    "poisson": ("exp",),
}


@inlined
def _by_unit(z, rows, width, padded, out):
    """out = z transposed: (rows, padded) to (width, rows), flat."""
    for i in range(rows):
        for k in range(width):
            out[k * rows + i] = z[i * padded + k]


@inlined
def _shifted(z, rows, width, largest):
    """z -= max_k z in place; z: (width, rows), largest: (rows,), scratch."""
    for i in range(rows):
        largest[i] = z[i]
    for k in range(1, width):
        z_k = part(z, k * rows, rows)
        for i in range(rows):
            largest[i] = largest[i] if z_k[i] < largest[i] else z_k[i]  # NaN spreads
    for k in range(width):
        z_k = part(z, k * rows, rows)
        for i in range(rows):
            z_k[i] -= largest[i]


@inlined
def outputs(activation, z, a, rows, width, padded):
    """a^(L) = g(z^(L)) on a block, transposed: z (rows, padded) to a (width, rows). Overwrites a; z is scratch."""
    size = rows * width
    _by_unit(z, rows, width, padded, a)
    if activation == SOFTMAX:  # e^z / sum_k e^z_k
        sums = part(z, 0, rows)
        _shifted(a, rows, width, sums)
        for j in range(size):
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
    else:
        for j in range(size):
            z[j] = a[j]
        activate(activation, part(z, 0, size), part(a, 0, size))


@inlined
def _softmax_cross_entropy(z, y, rows, width, scratch, cost):
    """C = log sum_j e^z_j - sum_k y_k z_k, for targets that sum to 1; z becomes a - y.

    The largest logit's own term, e^0 = 1, is kept out of the sum: log1p of the rest is exact however small it is.
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
            maxima[i] += one if z_k[i] == zero else zero  # from -1: how many more than one are largest
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

    With e = e^-|z| both softplus share log1p(e), and no term cancels: at y = 1, z = 40 the cost is e^-40. terms:
    (rows,), scratch.
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

    As y (e^r - 1 - r) with r = z - log y it is not negative where the terms above cancel; elsewhere e^r may overflow.
    """
    for i in range(rows):
        cost[i] = 0.0
    for k in range(width):
        z_k, y_k = part(z, k * rows, rows), part(y, k * rows, rows)
        for i in range(rows):
            count, logit = float(y_k[i]), float(z_k[i])
            if count > 0.0:
                r = logit - math.log(count)
                cost[i] += count * (expm1(r) - r) if r < 1.0 else exp(logit) - count - count * r
            else:
                cost[i] += exp(logit)
        for i in range(rows):
            z_k[i] = exp(z_k[i]) - y_k[i]


@inlined
def _residual_cost(loss, a, y, rows, width, cost):
    """C of r = a - y, and dC/da written over a: half r.r and r, r.r and 2 r, or |r| and r / |r| (0 where r = 0).

    y is scratch.
    """
    size = rows * width
    zero, one = constant(0, a[0]), constant(1, a[0])
    for j in range(size):
        a[j] -= y[j]
    scale = part(y, 0, rows)
    for i in range(rows):
        cost[i], scale[i] = 0.0, zero
    if loss == EUCLIDEAN:  # by the largest |r|: its square may underflow or overflow
        for k in range(width):
            r = part(a, k * rows, rows)
            for i in range(rows):
                scale[i] = scale[i] if abs(r[i]) < scale[i] else abs(r[i])
        for k in range(width):
            r = part(a, k * rows, rows)
            for i in range(rows):
                r[i] /= scale[i] if scale[i] > zero else one
    for k in range(width):
        r = part(a, k * rows, rows)
        for i in range(rows):
            cost[i] += float(r[i]) * float(r[i])
    if loss == EUCLIDEAN:
        for k in range(width):
            r = part(a, k * rows, rows)
            for i in range(rows):
                norm = constant(math.sqrt(cost[i]), zero)
                r[i] = zero if norm == zero else r[i] / norm
        for i in range(rows):
            cost[i] = math.sqrt(cost[i]) * scale[i]
    elif loss == SQUARED_ERROR:
        for i in range(rows):
            cost[i] *= 0.5
    elif loss == MEAN_SQUARED_ERROR:
        for j in range(size):
            a[j] *= constant(2, zero)


@inlined
def output_delta(loss, activation, z, a, y, rows, width, padded, cost):
    """cost[i] = C of example i; z becomes delta^(L), 0 in padded columns.

    z: (rows, padded), flat, of which `width` columns are units, on entry z^(L); y: targets, transposed: (width,
    rows), flat. Overwrites cost and z; a and y are scratch. In between all is transposed: few units and many examples
    fill a vector.
    """
    size = rows * width
    _by_unit(z, rows, width, padded, a)
    if activation == SOFTMAX:
        _softmax_cross_entropy(a, y, rows, width, z, cost)
    elif activation == LOGISTIC and loss in (LOG_LOSS, BINARY_CROSS_ENTROPY):
        _logistic_cross_entropy(a, y, rows, width, part(z, 0, rows), cost)
    elif loss == POISSON:
        _poisson_deviance(a, y, rows, width, cost)
    else:
        activate(activation, part(a, 0, size), part(z, 0, size))
        differentiate(activation, part(z, 0, size), part(a, 0, size))
        _residual_cost(loss, z, y, rows, width, cost)
        for j in range(size):
            a[j] *= z[j]
    for i in range(rows):
        for k in range(width):
            z[i * padded + k] = a[k * rows + i]
        for k in range(width, padded):
            z[i * padded + k] = constant(0, z[0])
