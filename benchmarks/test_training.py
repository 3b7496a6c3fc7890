"""Training time of fastbp and scikit-learn on each workload; the two must have trained the same model.

python -m pytest benchmarks                 all of it, for some minutes
python -m pytest benchmarks --quick         results only, for CI
python -m pytest benchmarks -k "iris and float32"
"""

from __future__ import annotations

import functools

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from workloads import DTYPES, FASTBP, LIBRARIES, SKLEARN, WORKLOADS, Workload, data, settle, train, warm_up

# Rounding differs between the two, and training amplifies it.
LOSS_RTOL = {"float64": 1e-6, "float32": 1e-2}


@functools.cache
def final_loss(library: str, workload: Workload, dtype: str) -> float:
    return float(train(library, workload, dtype).loss_)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_time_per_epoch(benchmark: BenchmarkFixture, workload: Workload, dtype: str, library: str, quick: bool) -> None:
    benchmark.group = f"{workload.name}, {dtype}"
    if quick:
        workload = workload.quick()
    warm_up(library, workload, dtype)

    model = benchmark.pedantic(train, args=(library, workload, dtype), setup=settle, rounds=1 if quick else 5)

    other = final_loss(SKLEARN if library == FASTBP else FASTBP, workload, dtype)
    assert model.n_iter_ == workload.epochs
    assert model.coefs_[0].dtype == data(workload, dtype)[0].dtype
    assert model.loss_ == pytest.approx(other, rel=LOSS_RTOL[dtype])

    benchmark.extra_info |= {
        "epochs": workload.epochs,
        "final_loss": float(model.loss_),
        "final_loss_of_the_other_library": other,
    }
    if benchmark.stats is not None:  # None under --benchmark-disable
        benchmark.extra_info["ms_per_epoch"] = 1e3 * benchmark.stats.stats.median / workload.epochs
