"""Where the benchmarks are."""

import pathlib

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"
