"""Threads: which calls get them (`team`), whether they pay at present (`pace`), and conflicts with fork() and BLAS."""
