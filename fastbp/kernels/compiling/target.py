"""The target: the CPU and the system that the kernels are compiled for, and the tile that suits this CPU.

Usually these are the CPU and the system of this machine. They are others with NUMBA_CPU_NAME, and after
`levels.compile_for`. So a kernel that depends on the machine asks this file, not Python's `platform`.
"""

import functools

import numba
from numba.core.registry import cpu_target

from . import levels
from .levels import AARCH64, X86_64

__all__ = ["AARCH64", "X86_64"]  # names of machines, for the kernels

VECTORS = 3  # vectors in a row of a full tile; products.py has functions for 3, 2 and 1


def choose_tile(features: str, triple: str) -> tuple[int, int]:
    """(bytes of a vector, rows of a full tile), from the CPU's features and the target triple that Numba compiles for.

    rows * VECTORS accumulators, VECTORS operands and one broadcast must fit in the vector registers. There are 32
    registers on AVX-512 and NEON, and 16 on AVX and SSE. Measured: 8x3 reaches the peak of AVX-512. On AVX2 4x3 reaches
    the peak; 8x3 spills registers and has a third of the speed.
    """
    if "+avx512f" in features:
        return 64, 8
    if "+avx" in features:
        return 32, 4
    return 16, (8 if levels.machine_of(triple) == AARCH64 else 4)


TRIPLE, CPU, FEATURES = cpu_target.target_context.codegen().magic_tuple()
MACHINE = levels.machine_of(TRIPLE)
LINUX, WINDOWS = "linux" in TRIPLE, "windows" in TRIPLE
VECTOR_BYTES, ROWS = choose_tile(FEATURES, TRIPLE)
# Whether roots and quotients are computed from AVX-512's estimates, see `vectors.over_root`. AMD's CPUs have a fast
# root and a fast division. Measured on Zen 5: with these, a sweep of Adam takes half as long as with estimates.
ESTIMATES = VECTOR_BYTES == 64 and not CPU.startswith("znver")


@functools.cache
def level() -> str:
    """The name of the level whose kernels this process may run; an empty string if there is none.

    This is the best level that the CPU has. But a CPU with larger vectors than the level has none, because there it
    pays to compile. So the size of a tile is the same for the kernels of the level and for those that this process
    compiles. If the user chooses a CPU by NUMBA_CPU_NAME or NUMBA_CPU_FEATURES, there is no level either.
    """
    if levels.building or numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None:
        return ""
    return best_level(TRIPLE, FEATURES)


def best_level(triple: str, features: str) -> str:
    """The name of the level for a CPU with these features, see `level`."""
    present = set(features.split(","))
    suiting = [
        name
        for name, (machine, _, needed) in levels.LEVELS.items()
        if machine == levels.machine_of(triple)
        and present.issuperset(needed.split(","))
        and choose_tile(needed, triple) == choose_tile(features, triple)
    ]
    return suiting[-1] if suiting else ""
