"""The command line ``python -m fastbp``: `parser` defines its arguments, and `main` runs the job that they name.

Each job is a module with a function `run`: `digits` (the comparison with scikit-learn), `train`, `predict`, `evaluate`,
`warmup` and `info`.
"""
