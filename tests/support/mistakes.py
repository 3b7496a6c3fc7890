"""Mistakes with the register tile, each in a function of its own. The debug mode must find them."""

import numpy as np
from numba import njit, prange

from fastbp.kernels import gradient, optimizers, products, records, sparse
from fastbp.kernels.compiling.jit import FLAGS, call
from fastbp.kernels.machine import simd, vectors
from fastbp.kernels.machine.registers import VECTOR_BYTES
from fastbp.kernels.panels import Panels, Strided

LANES = VECTOR_BYTES // 8
LAYER = np.zeros(1, records.LAYER)
RATES = np.zeros(1, optimizers.RATES)


# Accesses that are wrong for an array of 64 float64. Without the debug mode they touch the memory beside the array.


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
    vectors.add(x, 0, x, 0, 9)


@njit(**FLAGS)
def gradient_of_part_of_a_vector(x):
    gradient._finish_gradient(x, x, 0, 9, 0.1, 1.0)


@njit(**FLAGS)
def affine_of_part_of_a_vector(x):
    one_column, nine = Panels(x, 0, 1, 1, 1, 1), Panels(x, 0, 9, 9, 9, 1)
    products.affine(LAYER[0], 0, 1, one_column, x, 0, nine, False)


@njit(**FLAGS)
def call_of_nothing(x):
    call(0, (x, x))


@njit(**FLAGS)
def call_by_address(address, arguments):
    call(address, arguments)


def update_part_of_a_vector(x):
    call_by_address(
        optimizers.adam.address(x.dtype),
        (RATES[0], optimizers.Step(0.1, 1.0), optimizers.Sums(x[:9], 0.0, 1.0), x, 0, x, x, x, 0),
    )


def sparse_gradient_of_part_of_a_vector(x):
    i = np.zeros(2, np.int64)
    call_by_address(
        sparse.sparse_outer_sum.address(x.dtype), (0, 1, sparse.Sorted(i, i, i), x, 0, Strided(x, 0, 9), x, 9)
    )


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


def make(mistake):
    mistake(np.ones(192)[64:128])


def make_all():
    """Make all mistakes that leave the process alive. Print how many of the compiled functions contain a check."""
    for mistake in MISTAKES:
        if mistake not in (call_of_nothing, affine_of_part_of_a_vector):
            make(mistake)
    compiled = [call_by_address, *(mistake for mistake in MISTAKES if hasattr(mistake, "inspect_llvm"))]
    print(sum("snprintf" in str(function.inspect_llvm()) for function in compiled))
