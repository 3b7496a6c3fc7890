"""How many times as fast as scikit-learn's MLPClassifier fastbp trains, measured interleaved: A B A B ...

python benchmarks/compare.py                            every workload, both dtypes, one thread and all of them
python benchmarks/compare.py --quick                    few rows and repeats, in about a minute
python benchmarks/compare.py --only digits --dtype float32
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import platform
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import llvmlite.binding
import numba
import numpy as np
import sklearn
from threadpoolctl import threadpool_limits
from workloads import DTYPES, FASTBP, LIBRARIES, SKLEARN, WORKLOADS, Workload, settle, train, warm_up

import fastbp

THREADS = ("1", "all")
HEADINGS = ("workload", "dtype", "threads", "scikit-learn", "fastbp", "ratio", "lowest-highest", "loss differs by")
ALIGN = "<<>>>>>>"
WIDTHS = (40, 7, 7, 12, 9, 7, 15, 15)


class Timings(NamedTuple):
    """Milliseconds per epoch of each repeat, pair by pair, and how far the two final losses are apart."""

    theirs: list[float]
    ours: list[float]
    loss_difference: float

    @property
    def ratio(self) -> float:
        return statistics.median(self.theirs) / statistics.median(self.ours)

    @property
    def pairwise(self) -> list[float]:
        return [theirs / ours for theirs, ours in zip(self.theirs, self.ours, strict=True)]


@contextlib.contextmanager
def thread_limit(threads: str) -> Iterator[int | None]:
    """Hold BLAS to one thread, or let it run; the value is what fastbp needs as ``n_jobs`` for the same."""
    with threadpool_limits(1 if threads == "1" else None):
        yield 1 if threads == "1" else None


def measure(workload: Workload, dtype: str, threads: str, repeats: int) -> Timings:
    milliseconds: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    losses = {}
    with thread_limit(threads) as n_jobs:
        for library in LIBRARIES:
            warm_up(library, workload, dtype, n_jobs=n_jobs)
        # Alternating, so that whatever slows the machine for a while slows both.
        for _, library in itertools.product(range(repeats), LIBRARIES):
            settle()
            start = time.perf_counter()
            model = train(library, workload, dtype, n_jobs=n_jobs)
            milliseconds[library].append(1e3 * (time.perf_counter() - start) / workload.epochs)
            losses[library] = model.loss_
    difference = abs(losses[FASTBP] - losses[SKLEARN]) / losses[SKLEARN]
    return Timings(milliseconds[SKLEARN], milliseconds[FASTBP], difference)


def row(cells: tuple[str, ...]) -> str:
    return "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(cells, ALIGN, WIDTHS, strict=True)).rstrip()


def report(workload: Workload, dtype: str, threads: str, timings: Timings) -> str:
    theirs, ours = statistics.median(timings.theirs), statistics.median(timings.ours)
    spread = f"{min(timings.pairwise):.2f}-{max(timings.pairwise):.2f}"
    line = row(
        (
            workload.name,
            dtype,
            threads,
            f"{theirs:.3f}",
            f"{ours:.3f}",
            f"{timings.ratio:.2f}",
            spread,
            f"{timings.loss_difference:.1e}",
        )
    )
    return line if timings.ratio >= 1 else f"{line}  SLOWER"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/compare.py",
        description="Compare fastbp's training speed with scikit-learn's, both timed alternately in this run.",
    )
    parser.add_argument("--quick", action="store_true", help="few rows and repeats: for CI")
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads whose name contains TEXT")
    parser.add_argument("--dtype", choices=DTYPES, help="one dtype; both by default")
    parser.add_argument("--threads", choices=THREADS, help="one thread or all of them; both by default")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of fits for each line (default: 5)")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("argument --repeats: must be at least 1")
    if not any(arguments.only in workload.name for workload in WORKLOADS):
        names = "\n  ".join(workload.name for workload in WORKLOADS)
        parser.error(f"argument --only: no workload's name contains {arguments.only!r}; they are\n  {names}")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    workloads = [workload for workload in WORKLOADS if arguments.only in workload.name]
    repeats = arguments.repeats
    if arguments.quick:
        workloads, repeats = [workload.quick() for workload in workloads], min(repeats, 3)
    dtypes = (arguments.dtype,) if arguments.dtype else DTYPES
    threads = (arguments.threads,) if arguments.threads else THREADS

    print(
        f"{llvmlite.binding.get_host_cpu_name()}, {numba.config.NUMBA_NUM_THREADS} threads, "
        f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}, "
        f"scikit-learn {sklearn.__version__}, fastbp {fastbp.__version__}"
    )
    print("Workloads: rows x features (hidden layers) classes, batch. Adam, relu, scikit-learn's defaults otherwise.")
    print(f"Times: milliseconds per epoch, median of {repeats} alternating fits, compiled and warmed up.")
    print("Ratio: scikit-learn / fastbp, of the medians, and the lowest and highest of the pairs.\n")
    print(row(HEADINGS))
    slower = 0
    for job in itertools.product(workloads, dtypes, threads):
        timings = measure(*job, repeats)
        slower += timings.ratio < 1
        print(report(*job, timings), flush=True)
    print(f"\nfastbp is slower in {slower} of {len(workloads) * len(dtypes) * len(threads)} lines.")


if __name__ == "__main__":
    main()
