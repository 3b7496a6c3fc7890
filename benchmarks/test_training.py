"""Time of whole fits: eight workloads, a sweep of one factor at a time, and real data trained to equal scores.

The tests assert that all contenders train the same networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from libraries import CONTENDERS, FASTBP, OURS, limit_threads, warmed_up
from peak import fma_peak
from pytest_benchmark.fixture import BenchmarkFixture
from racing import race
from workloads import DIGITS, DTYPES, SCORES, SWEEP, WORKLOADS, Point, Workload, data, quality

# LOSS_RTOL: the largest relative distance of a peer's final loss from ours. Rounding differs, and training amplifies
# it. Measured: 3e-3 and 1e-14.
LOSS_RTOL = {"float32": 1e-2, "float64": 1e-10}


def train_all(
    benchmark: BenchmarkFixture,
    workload: Workload,
    dtype: str,
    rounds: int,
    others: dict[str, Callable[[], Any]] | None = None,
) -> None:
    """Let all contenders train the workload in turns. Check that they agree, and record losses and scores.

    others: further functions to time in the same rounds.
    """
    results = race(benchmark, warmed_up(workload, dtype) | (others or {}), rounds=rounds, prepare=limit_threads)
    held = data(workload, dtype)[1]
    found = {name: quality(results[name][-1], held) for name in CONTENDERS}
    benchmark.extra_info |= {
        "workload": workload.name,
        "dtype": dtype,
        "epochs": workload.epochs,
        "operations": workload.operations * workload.epochs,
        "log_loss": {name: each.log_loss for name, each in found.items()},
        "accuracy": {name: each.accuracy for name, each in found.items()},
    }
    for name, contender in CONTENDERS.items():
        tolerance = 0.0 if contender.package == FASTBP else LOSS_RTOL[dtype]  # the same bits on any number of threads
        assert found[name].log_loss == pytest.approx(found[OURS].log_loss, rel=tolerance, abs=0), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_workload(benchmark: BenchmarkFixture, workload: Workload, dtype: str, quick: bool) -> None:
    benchmark.group = "workloads"
    spins, operations = {}, {}
    for name, n_threads in (("FMA peak/all", None), ("FMA peak/1", 1)):
        spins[name], operations[name] = fma_peak(dtype, n_threads)
        spins[name]()
    benchmark.extra_info["peak_operations"] = operations
    train_all(benchmark, workload.quick() if quick else workload, dtype, 1 if quick else 4, spins)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "point" in metafunc.fixturenames:
        quick = metafunc.config.getoption("quick")
        points = [point for points in SWEEP.values() for point in (points[:: len(points) - 1] if quick else points)]
        metafunc.parametrize("point", points, ids=lambda point: f"{point.factor} {point.value:g}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_sweep(benchmark: BenchmarkFixture, point: Point, dtype: str, quick: bool) -> None:
    benchmark.group = "sweep"
    benchmark.extra_info |= {"factor": point.factor, "value": point.value}
    train_all(benchmark, point.workload.quick() if quick else point.workload, dtype, 1 if quick else 3)


# The flights take long, so they run in float32 only.
REAL = [(workload, dtype) for workload in SCORES for dtype in DTYPES if workload == DIGITS or dtype == "float32"]


@pytest.mark.parametrize(("workload", "dtype"), REAL, ids=[f"{workload.name}-{dtype}" for workload, dtype in REAL])
def test_real_data(benchmark: BenchmarkFixture, workload: Workload, dtype: str, quick: bool) -> None:
    benchmark.group = "real data"
    train_all(benchmark, workload.quick() if quick else workload, dtype, 1 if quick else 3)
    assert quick or min(benchmark.extra_info["accuracy"].values()) >= SCORES[workload]
