"""Compiles the kernels, keeps them on disk, and runs them as Python with NUMBA_DISABLE_JIT=1."""
