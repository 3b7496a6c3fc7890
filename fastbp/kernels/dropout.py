"""Dropout: in a step, each unit of each example becomes 0 with probability p, and otherwise is divided by 1 - p.

A hash of the epoch's seed, the layer, the place of the example in the epoch and the unit decides whether the unit is
dropped. So the bits do not depend on threads, chunks or blocks, and no random numbers are stored. The hash is integer
arithmetic, and loops over it become vector code.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from .compiling.jit import deferred, inlined, intrinsic
from .compiling.kinds import INT, INTS, VECTOR, named
from .elementary import constant
from .gather import INPUTS, ROWS_OF_CHUNK
from .machine.simd import part
from .panels import PANELS, panel_at

# A hash is a whole number below HASHES. A unit is dropped if its hash is below the threshold of its layer: p times
# HASHES, rounded.
HASHES = 1 << 32
# These numbers are odd and have no pattern. _GOLDEN is 2^64 divided by the golden ratio, and _OF_UNIT is 2^32 divided
# by it. _OF_LAYER is 2^64 divided by the positive root of x^4 = x + 1. _MIX_64 is from splitmix64 (Steele et al. 2014),
# and _MIX_32 from a hash with little bias (Wellons 2018).
_GOLDEN, _OF_LAYER, _MIX_64 = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_OF_UNIT, _MIX_32 = 0x9E3779B9, (0x7FEB352D, 0x846CA68B)


class Masks(NamedTuple):
    """Those arguments of the hash that are the same for all layers."""

    seed: int  # the seed of the epoch
    places: NDArray  # places[i] is the place in the epoch of example order[i]; if `places` is empty, the place is i


MASKS = named(Masks, INT, INTS)


def _plain_is_kept(threshold, seed, layer, place, unit):
    mask = HASHES * HASHES - 1
    x = (int(seed) + int(place) * _GOLDEN + int(layer) * _OF_LAYER) & mask
    x = ((x ^ (x >> 30)) * _MIX_64[0]) & mask
    x = ((x ^ (x >> 27)) * _MIX_64[1]) & mask
    x ^= x >> 31
    low, high, mask = x % HASHES, x // HASHES, HASHES - 1
    h = (low + int(unit) * _OF_UNIT) & mask
    h = ((h ^ (h >> 16)) * _MIX_32[0]) & mask
    h ^= high
    h = ((h ^ (h >> 15)) * _MIX_32[1]) & mask
    return h ^ (h >> 16) >= threshold


@intrinsic(_plain_is_kept)
def is_kept(typingctx, threshold, seed, layer, place, unit):
    """True if the unit is kept, False if it is dropped. place: the place of the example in the epoch."""

    def codegen(context, builder, sig, args):
        i32, i64 = ir.IntType(32), ir.IntType(64)

        def mixed(x, shift, factor=None):
            x = builder.xor(x, builder.lshr(x, x.type(shift)))
            return x if factor is None else builder.mul(x, x.type(factor))

        threshold, seed, layer, place, unit = args
        x = builder.add(seed, builder.mul(place, i64(_GOLDEN)))
        x = builder.add(x, builder.mul(layer, i64(_OF_LAYER)))
        x = mixed(mixed(mixed(x, 30, _MIX_64[0]), 27, _MIX_64[1]), 31)
        low, high = builder.trunc(x, i32), builder.trunc(builder.lshr(x, i64(32)), i32)
        h = builder.add(low, builder.mul(builder.trunc(unit, i32), i32(_OF_UNIT)))
        h = builder.xor(mixed(h, 16, _MIX_32[0]), high)
        return builder.icmp_unsigned(">=", mixed(mixed(h, 15, _MIX_32[1]), 16), builder.trunc(threshold, i32))

    return types.boolean(*[types.int64] * 5), codegen


@inlined
def _place_of(masks, rows, row):
    """The place in the epoch of a row of the chunk."""
    i = rows.start + row
    return masks.places[i] if masks.places.size else i


@inlined
def _scale(threshold, like):
    """1 / (1 - p), in the dtype of `like`."""
    return constant(HASHES / (HASHES - threshold), like)


@deferred(INT, INT, MASKS, ROWS_OF_CHUNK, PANELS)
def drop_inputs(threshold, layer, masks, rows, a):
    """Drop inputs in these rows. a: a^(1) as Panels; these rows are overwritten."""
    scale, zero = _scale(threshold, a.data[0]), constant(0, a.data[0])
    for r in range(rows.first, rows.first + rows.n):
        place = _place_of(masks, rows, r)
        for column in range(0, a.width, a.panel):
            a_r = part(a.data, panel_at(a, r, column)[0], min(a.panel, a.width - column))
            for k in range(a_r.size):
                a_r[k] = a_r[k] * scale if is_kept(threshold, masks.seed, layer, place, column + k) else zero


@deferred(INT, INT, MASKS, ROWS_OF_CHUNK, PANELS, PANELS)
def drop_units(threshold, layer, masks, rows, a, slope):
    """Drop units of a hidden layer in these rows: multiply a^(l) and g'(z^(l)) by the same 0 or 1 / (1 - p).

    a: a^(l). slope: g'(z^(l)). Both are Panels, and these rows of both are overwritten.
    """
    scale, zero = _scale(threshold, a.data[0]), constant(0, a.data[0])
    for r in range(rows.first, rows.first + rows.n):
        place = _place_of(masks, rows, r)
        for column in range(0, a.width, a.panel):
            size = min(a.panel, a.width - column)
            a_r = part(a.data, panel_at(a, r, column)[0], size)
            slope_r = part(slope.data, panel_at(slope, r, column)[0], size)
            for k in range(size):
                kept = is_kept(threshold, masks.seed, layer, place, column + k)
                a_r[k] = a_r[k] * scale if kept else zero
                slope_r[k] = slope_r[k] * scale if kept else zero


@deferred(INT, INT, MASKS, INPUTS, ROWS_OF_CHUNK, INTS, VECTOR, INT)
def drop_entries(threshold, layer, masks, inputs, rows, starts, x, ix):
    """`drop_inputs` for an X that stays sparse. The values of the chunk's entries begin at x[ix], see sparse.py."""
    scale, zero = _scale(threshold, x[0]), constant(0, x[0])
    for r in range(rows.first, rows.first + rows.n):
        place, p = _place_of(masks, rows, r), inputs.indptr[rows.order[rows.start + r]]
        for e in range(starts[r + 1] - starts[r]):
            i = ix + starts[r] + e
            x[i] = x[i] * scale if is_kept(threshold, masks.seed, layer, place, inputs.indices[p + e]) else zero
