"""Compile the kernels and keep them on disk, or run them as Python if NUMBA_DISABLE_JIT=1."""
