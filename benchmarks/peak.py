"""The peak of the machine: fused multiply-adds on registers alone. No training step can be faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from fastbp.kernels.machine.registers import ROWS, VECTOR_BYTES, VECTORS
from fastbp.kernels.machine.simd import load, multiply_add, splat, store, tile

STEPS = 1_000_000  # a call takes some milliseconds


@njit(nogil=True)
def _spin(registers: NDArray[Any], first: int, steps: int) -> None:
    """Add a constant to every accumulator of a register tile, `steps` times."""
    # The accumulators are loaded, so LLVM cannot know that they are equal. There are enough of them to hide the latency
    # of the operation.
    acc = load(tile(ROWS, VECTORS), registers, first, registers.size // ROWS)
    x = splat(tile(ROWS, VECTORS), registers, registers[0])
    for _ in range(steps):
        acc = multiply_add(acc, x, x)
    store(acc, registers, first, registers.size // ROWS)


@njit(nogil=True, parallel=True)
def _spin_all(registers: NDArray[Any], tile_width: int, threads: int, steps: int) -> None:
    for thread in prange(threads):
        _spin(registers, thread * tile_width, steps)


def fma_peak(dtype: str, threads: int | None) -> tuple[Callable[[], None], int]:
    """(a function of fused multiply-adds alone, the number of its operations), on so many threads. None means all."""
    threads = threads or int(numba.get_num_threads())
    tile_width = VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize
    registers = np.full(ROWS * threads * tile_width, 1e-3, dtype)

    def spin() -> None:
        _spin_all(registers, tile_width, threads, STEPS)

    return spin, 2 * threads * ROWS * tile_width * STEPS
