"""Dropout in plain NumPy and Python integers: which units stay, and a step of training with them."""

import numpy as np

from support import reference

BITS_64, BITS_32 = (1 << 64) - 1, (1 << 32) - 1


def mixed_64(x):
    """The last steps of splitmix64."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & BITS_64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & BITS_64
    return x ^ (x >> 31)


def hashed(seed, layer, place, unit):
    """A whole number below 2^32."""
    key = mixed_64((seed + place * 0x9E3779B97F4A7C15 + layer * 0xD1B54A32D192ED03) & BITS_64)
    h = ((key & BITS_32) + unit * 0x9E3779B9) & BITS_32
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & BITS_32
    h ^= key >> 32
    h = ((h ^ (h >> 15)) * 0x846CA68B) & BITS_32
    return h ^ (h >> 16)


def factors(p, seed, layer, places, width):
    """For each place in the epoch and each unit of a layer, 0 or 1 / (1 - p): an array (len(places), width)."""
    threshold = round(p * 2**32)
    kept = [[hashed(seed, layer, place, unit) >= threshold for unit in range(width)] for place in places]
    return np.array(kept) * (2**32 / (2**32 - threshold))


def epoch_seed(seed, t):
    """The seed of an epoch that begins after t steps."""
    return (seed + t * 0xD6E8FEB86659FD93) % 2**63


def gradient(X, Y, coefs, intercepts, masks, *, activation, out_activation, loss):
    """The gradients of J = mean cost, where layer l's units are multiplied by masks[l]; masks[0] is for X."""
    a, slopes = [X * masks[0]], []
    for l, (theta, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = a[-1] @ theta + b
        if l + 1 < len(coefs):
            slopes.append(reference.DERIVATIVES[activation](z) * masks[l + 1])
            a.append(reference.ACTIVATIONS[activation](z) * masks[l + 1])
    delta = [reference.output_delta(z, Y, out_activation=out_activation, loss=loss)]
    for theta, slope in zip(coefs[:0:-1], slopes[::-1], strict=True):
        delta.insert(0, (delta[0] @ theta.T) * slope)
    return [x.T @ d / len(X) for x, d in zip(a, delta, strict=True)], [d.mean(axis=0) for d in delta]
