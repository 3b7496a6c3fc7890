"""The register tile: its size on each kind of CPU, and its quotient by a root."""

import numpy as np
import pytest
from numba import njit

from fastbp.kernels.compiling.jit import FLAGS
from fastbp.kernels.compiling.target import VECTOR_BYTES, choose_tile
from fastbp.kernels.machine import simd, vectors


@pytest.mark.parametrize(
    ("features", "triple", "expected"),
    [
        ("+sse2,+avx,+avx2,+fma,+avx512f", "x86_64-unknown-linux-gnu", (64, 8)),
        ("+sse2,+avx,+avx2,+fma,-avx512f", "x86_64-unknown-linux-gnu", (32, 4)),
        ("+sse2,-avx,-avx2", "x86_64-unknown-linux-gnu", (16, 4)),
        ("", "x86_64-pc-windows-msvc", (16, 4)),
        ("+neon", "aarch64-unknown-linux-gnu", (16, 8)),
        ("", "arm64-apple-darwin23.0.0", (16, 8)),
    ],
)
def test_the_tile_fits_the_registers_of_the_cpu(features, triple, expected):
    assert choose_tile(features, triple) == expected


@njit(**FLAGS)
def over_root(x, v, epsilon, out):
    lanes = VECTOR_BYTES // x.itemsize
    some = simd.tile(1, 1)
    for i in range(0, x.size, lanes):
        quotient = vectors.over_root(simd.load(some, x, i, 0), simd.load(some, v, i, 0), simd.load(some, epsilon, i, 0))
        simd.store(quotient, out, i, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_quotient_by_a_root_has_the_bits_of_a_division_by_a_square_root_unless_it_is_tiny(dtype):
    rng, limits, n = np.random.default_rng(0), np.finfo(dtype), 1 << 18
    x = rng.normal(size=n) * 10.0 ** rng.uniform(-8, 8, n)
    v = 10.0 ** rng.uniform(np.log10(limits.tiny), np.log10(limits.max) - 0.1, n)
    epsilon = 10.0 ** rng.uniform(-12, 0, n)
    v[:64], v[64:128], v[128:192] = 0, np.inf, np.nan
    x, v, epsilon = x.astype(dtype), v.astype(dtype), epsilon.astype(dtype)
    out = np.empty_like(x)
    over_root(x, v, epsilon, out)
    expected = x / (np.sqrt(v) + epsilon)
    normal = ~(np.abs(expected) < limits.tiny) | (v == np.inf)  # a subnormal remainder has few digits
    assert normal.mean() > 0.9
    np.testing.assert_array_equal(out[normal], expected[normal])
