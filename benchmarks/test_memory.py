"""Peak memory of a fit and of a prediction, each library in a process of its own: see memory.py."""

from __future__ import annotations

import json
import pathlib

import pytest
from libraries import MISSING
from memory import LIBRARIES, WORKLOAD
from processes import run_python
from pytest_benchmark.fixture import BenchmarkFixture

MEMORY = pathlib.Path(__file__).with_name("memory.py")
QUICK_ROWS = 30_000


@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="Linux only")
@pytest.mark.parametrize("library", LIBRARIES)
def test_memory(benchmark: BenchmarkFixture, library: str, quick: bool) -> None:
    benchmark.group = "memory"
    if library in MISSING:
        pytest.skip(f"{library} is not installed")
    rows = QUICK_ROWS if quick else WORKLOAD.rows
    run_python(str(MEMORY), library, str(QUICK_ROWS))  # compiles first, because compiling takes memory too
    printed = benchmark.pedantic(run_python, args=(str(MEMORY), library, str(rows)))
    benchmark.extra_info |= {"library": library, "rows": rows, "MiB": json.loads(printed)}
