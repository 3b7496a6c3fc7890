"""The command line ``python -m fastbp``: `main` runs it, `parser` reads it, and each job is a module with a `run`.

The jobs: `digits` (the comparison with scikit-learn), `train`, `predict`, `evaluate`, `warmup`, `info`.
"""
