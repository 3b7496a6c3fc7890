"""The machine's ceiling: fused multiply-adds on registers alone, which no training step can exceed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from fastbp.kernels.machine.registers import ROWS, VECTOR_BYTES, VECTORS
from fastbp.kernels.machine.simd import load, multiply_add, splat, store, tile

STEPS = 1_000_000  # some milliseconds


@njit(nogil=True)
def _spin(registers: NDArray[Any], first: int, steps: int) -> None:
    """Add a constant `steps` times to each of the accumulators that a register tile has."""
    # Loaded, so that LLVM cannot know them equal; enough of them to hide the latency of the operation.
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
    """A function that does nothing but fused multiply-adds on `threads` cores, None for all; how many operations."""
    threads = threads or int(numba.get_num_threads())
    tile_width = VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize
    registers = np.full(ROWS * threads * tile_width, 1e-3, dtype)

    def spin() -> None:
        _spin_all(registers, tile_width, threads, STEPS)

    return spin, 2 * threads * ROWS * tile_width * STEPS
