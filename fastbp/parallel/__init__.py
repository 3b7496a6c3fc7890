"""Threads: which calls get them (`team`), whether they are faster now (`pace`), and conflicts with fork() and BLAS."""
