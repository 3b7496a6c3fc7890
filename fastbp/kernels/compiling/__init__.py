"""Compiles the kernels, keeps them on disk, and runs them as Python where nothing is compiled."""
