"""Threads: which calls get them (`team`), how many are faster at present (`pace`), and care with `fork` and `blas`."""
