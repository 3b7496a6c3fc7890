"""Arguments behind a pointer."""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastbp.kernels.compiling.jit import FLAGS, linked
from fastbp.kernels.machine.pointers import pointed, pointer_to
from fastbp.kernels.optimizers import RATES


class Inner(NamedTuple):
    x: np.ndarray
    n: int


class Outer(NamedTuple):
    inner: Inner
    rates: np.record
    yes: bool
    Y: np.ndarray


@linked
def use(pointer, factor):
    outer = pointed(pointer)
    inner, rates, yes, Y = outer
    for i in range(inner.n):
        inner.x[i] *= factor * rates.eta
    Y[1, 0] = outer.inner.x[0] if yes else 0.0


@njit(**FLAGS)
def call_twice(x, n, rates, yes, Y):
    pointer = pointer_to(Outer(Inner(x, n), rates[0], yes, Y))
    use(pointer, 2.0)
    use(pointer, 3.0)


def test_a_function_gets_the_tuple_that_the_pointer_points_to():
    x, rates, Y = np.array([1.0, 10.0, 100.0]), np.zeros(1, RATES), np.zeros((2, 2))
    rates["eta"] = 0.5
    call_twice(x, 2, rates, True, Y)
    np.testing.assert_array_equal(x, [1.5, 15.0, 100.0])
    np.testing.assert_array_equal(Y, [[0, 0], [1.5, 0]])
    call_twice(x, 0, rates, False, Y)
    assert not Y.any()
