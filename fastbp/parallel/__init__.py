"""Who may run in parallel (`team`), how many threads are faster now (`pace`), and what fork() and BLAS do to that."""
