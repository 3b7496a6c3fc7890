"""The register tile: its size on each kind of CPU, and the checks of the debug mode."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from numba import njit, prange

from fastbp.kernels import backprop, optimizers, products, sparse
from fastbp.kernels.compiling.jit import FLAGS, call
from fastbp.kernels.machine import simd

LANES = simd.VECTOR_BYTES // 8


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
    assert simd.choose_tile(features, triple) == expected


@njit(**FLAGS)
def over_root(x, v, epsilon, out):
    lanes = simd.VECTOR_BYTES // x.itemsize
    some = simd.tile(1, 1)
    for i in range(0, x.size, lanes):
        quotient = simd.over_root(simd.load(some, x, i, 0), simd.load(some, v, i, 0), simd.load(some, epsilon, i, 0))
        simd.store(quotient, out, i, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_quotient_by_a_root_that_is_no_tiny_number_has_the_bits_of_a_division_by_a_square_root(dtype):
    rng, limits, n = np.random.default_rng(0), np.finfo(dtype), 1 << 18
    x = rng.normal(size=n) * 10.0 ** rng.uniform(-8, 8, n)
    v = 10.0 ** rng.uniform(np.log10(limits.tiny), np.log10(limits.max) - 0.1, n)
    epsilon = 10.0 ** rng.uniform(-12, 0, n)
    v[:64], v[64:128], v[128:192] = 0, np.inf, np.nan
    x, v, epsilon = x.astype(dtype), v.astype(dtype), epsilon.astype(dtype)
    out = np.empty_like(x)
    over_root(x, v, epsilon, out)
    expected = x / (np.sqrt(v) + epsilon)
    normal = ~(np.abs(expected) < limits.tiny) | (v == np.inf)  # a remainder of a subnormal number has few digits
    assert normal.mean() > 0.9
    np.testing.assert_array_equal(out[normal], expected[normal])


# What must not be done with an array of 64 float64; without the debug mode each does it in the array's neighbourhood.


@njit(**FLAGS)
def load_beyond_the_end(x):
    simd.store(simd.load(simd.tile(1, 1), x, 63, 0), x, 0, 0)


@njit(**FLAGS)
def load_before_the_beginning(x):
    simd.store(simd.load(simd.tile(1, 1), x, -1, 0), x, 0, 0)


@njit(**FLAGS)
def load_a_row_beyond_the_end(x):
    simd.store(simd.load(simd.tile(4, 1), x, 0, 21), x, 0, LANES)


@njit(**FLAGS)
def store_beyond_the_end(x):
    simd.store(simd.load(simd.tile(1, 3), x, 0, 0), x, 65 - 3 * LANES, 0)


@njit(**FLAGS)
def column_beyond_the_end(x):
    simd.store(simd.rank1(simd.zeros(simd.tile(2, 1), x), x, 1, 63, x, 0), x, 0, LANES)


@njit(**FLAGS)
def row_beyond_the_end(x):
    simd.store(simd.rank1(simd.zeros(simd.tile(2, 1), x), x, 0, 63, x, 63), x, 0, LANES)


@njit(**FLAGS)
def part_beyond_the_end(x):
    simd.part(x, 60, 5)[4] = 1.0


@njit(**FLAGS)
def part_before_the_beginning(x):
    simd.part(x, -1, 2)[0] = 1.0


@njit(**FLAGS)
def part_of_negative_size(x):
    x[0] = simd.part(x, 5, -2).size


@njit(parallel=True, **FLAGS)
def load_beyond_the_end_in_a_thread(x):
    for i in prange(4):
        simd.store(simd.load(simd.tile(1, 1), x, 63, 0), x, i * LANES, 0)


@njit(**FLAGS)
def add_part_of_a_vector(x):
    simd.add(x, 0, x, 0, 9)


@njit(**FLAGS)
def gradient_of_part_of_a_vector(x):
    backprop._finish_gradient(x, x, 0, 9, 0.1, 1.0)


@njit(**FLAGS)
def affine_of_part_of_a_vector(x):
    products.affine(0, 0, 0, 1, 1, x, 0, 1, 1, 1, x, 0, x, 0, 9, 9, False)


@njit(**FLAGS)
def call_of_nothing(x):
    call(0, (x, x))


@njit(**FLAGS)
def call_by_address(address, arguments):
    call(address, arguments)


def update_part_of_a_vector(x):
    call_by_address(optimizers.adam.address(x.dtype), (x, 0.1, x, 0, 9, x, x, x))


def sparse_gradient_of_part_of_a_vector(x):
    i = np.zeros(2, np.int64)
    call_by_address(sparse.sparse_outer_sum.address(x.dtype), (1, 0, i, i, i, x, 0, x, 0, 9, x, 9))


MISTAKES = {
    load_beyond_the_end: f"load of elements 63 : {63 + LANES} of an array of 64",
    load_before_the_beginning: f"load of elements -1 : {LANES - 1} of an array of 64",
    load_a_row_beyond_the_end: f"load of elements 0 : {63 + LANES} of an array of 64",
    store_beyond_the_end: f"store of elements {65 - 3 * LANES} : 65 of an array of 64",
    column_beyond_the_end: "rank1 of elements 1 : 65 of an array of 64",
    row_beyond_the_end: f"rank1 of elements 63 : {63 + LANES} of an array of 64",
    part_beyond_the_end: "part of elements 60 : 65 of an array of 64",
    part_before_the_beginning: "part of elements -1 : 1 of an array of 64",
    part_of_negative_size: "part of elements 5 : 3 of an array of 64",
    load_beyond_the_end_in_a_thread: f"load of elements 63 : {63 + LANES} of an array of 64",
    add_part_of_a_vector: f"9 is no multiple of {LANES}",
    update_part_of_a_vector: f"9 is no multiple of {LANES}",
    gradient_of_part_of_a_vector: f"9 is no multiple of {LANES}",
    sparse_gradient_of_part_of_a_vector: f"9 is no multiple of {LANES}",
    affine_of_part_of_a_vector: f"9 is no multiple of {LANES}",
    call_of_nothing: "call of a kernel that was not asked for",
}


def run(program, debug):
    """A finished process that ran `program` after an import of this file."""
    return subprocess.run(
        [sys.executable, "-c", f"import test_simd\n{program}"],
        env=os.environ | {"FASTBP_DEBUG": debug, "NUMBA_BOUNDSCHECK": "0"},
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def make(mistake):
    mistake(np.ones(192)[64:128])


@pytest.mark.isolated
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_in_the_debug_mode_a_mistake_stops_the_process_and_is_named(mistake):
    done = run(f"test_simd.make(test_simd.{mistake.__name__})", debug="1")
    assert done.returncode == -signal.SIGABRT, done.stderr
    assert set(done.stderr.splitlines()) == {f"fastbp: {MISTAKES[mistake]}"}


def make_all():
    """Make all mistakes that leave the process alive; prints in how many of the compiled functions there is a check."""
    for mistake in MISTAKES:
        if mistake not in (call_of_nothing, affine_of_part_of_a_vector):
            make(mistake)
    compiled = [call_by_address, *(mistake for mistake in MISTAKES if hasattr(mistake, "inspect_llvm"))]
    print(sum("dprintf" in str(function.inspect_llvm()) for function in compiled))


@pytest.mark.isolated
def test_without_the_debug_mode_nothing_is_checked_and_no_code_is_there_for_it():
    done = run("test_simd.make_all()", debug="0")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 0
