"""Time from nothing to a first model: fresh processes with empty and with filled caches, and imports alone."""

from __future__ import annotations

import functools
import pathlib

import pytest
from libraries import FASTBP, MODULES, PEERS, SKLEARN
from processes import empty_caches, run_python
from pytest_benchmark.fixture import BenchmarkFixture
from racing import race

# The clock starts before the first import. It excludes the start and the end of the interpreter.
TIMED = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
IMPORTS = {library: f"import {MODULES[library]}" for library in PEERS} | {
    FASTBP: "from fastbp import BackpropClassifier as MLP",
    SKLEARN: "from sklearn.neural_network import MLPClassifier as MLP",
}
FIT = "{}; from sklearn.datasets import load_iris; MLP(random_state=0).fit(*load_iris(return_X_y=True))"
FITS = {library: FIT.format(IMPORTS[library]) for library in (FASTBP, SKLEARN)}


def seconds(program: str, environment: dict[str, str] | None = None) -> float:
    return float(run_python("-P", "-c", TIMED.format(program), environment=environment))


def test_cold_start(benchmark: BenchmarkFixture, tmp_path: pathlib.Path, quick: bool) -> None:
    """From import to the end of a first fit, on iris, with every cache empty."""
    benchmark.group = "cold start"
    rounds = 1 if quick else 2
    environments = [empty_caches(tmp_path / str(round)) for round in range(rounds)]
    runners = {FASTBP: lambda: seconds(FITS[FASTBP], environments.pop())}
    benchmark.extra_info["seconds"] = race(benchmark, runners, rounds=rounds)


@pytest.mark.parametrize(("group", "programs"), [("cached start", FITS), ("import", IMPORTS)])
def test_start(benchmark: BenchmarkFixture, group: str, programs: dict[str, str], quick: bool) -> None:
    """From import to the end of a first fit, or the import alone, with filled caches."""
    benchmark.group = group
    runners = {name: functools.partial(seconds, program) for name, program in programs.items()}
    for run in runners.values():
        run()
    benchmark.extra_info["seconds"] = race(benchmark, runners, rounds=1 if quick else 5)
