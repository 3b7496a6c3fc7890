"""Threads: which calls get them (`team`), how many are faster now (`pace`), and the effects of fork() and BLAS."""
