"""All threads or one, on a quiet and on a busy machine, with and without the trials of the number of threads.

Prints the milliseconds of short fits with one thread, with all threads always, and with the trials of
fastbp/parallel/pace.py: the median of some rounds, in which the three ways take turns. `--busy N` starts N processes
that never wait.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from sklearn.exceptions import ConvergenceWarning
from workloads import Workload, data

from fastbp import BackpropClassifier
from fastbp.parallel.crew import CREW
from fastbp.parallel.team import Team, upper_bound

JOBS = {
    "digits": Workload(1797, 64, (100,), 10, 200, epochs=60, source="digits"),
    "4000x784 (100)": Workload(4000, 784, (100,), 10, 200, epochs=5),
    "4000x784 (512,256)": Workload(4000, 784, (512, 256), 10, 256, epochs=1),
    "50000x8 (128,32)": Workload(50_000, 8, (128, 32), 2, 70, epochs=2),
    "4096x64 (128,128)": Workload(4096, 64, (128, 128), 10, 256, epochs=15),
}
FITS = 6  # fits of a job in a round; they take some tenths of a second, which the trials need


def always(self: Team, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
    """`Team.run` without trials."""
    return CREW.run(kernel, self.n_threads, *args)


def milliseconds(job: Workload, n_jobs: int | None) -> float:
    """The mean time of a fit."""
    training, _ = data(job, "float32")
    settings: dict[str, Any] = {"batch_size": job.batch, "tol": 0.0, "n_iter_no_change": 10**6, "random_state": 0}
    BackpropClassifier(job.hidden, max_iter=1, n_jobs=n_jobs, **settings).fit(*training)
    start = time.perf_counter()
    for _ in range(FITS):
        BackpropClassifier(job.hidden, max_iter=job.epochs, n_jobs=n_jobs, **settings).fit(*training)
    return (time.perf_counter() - start) / FITS * 1e3


def one_round(job: Workload) -> dict[str, float]:
    """Milliseconds of a fit in each of the three ways. The trials start without the times of earlier rounds."""
    times = {"one thread": milliseconds(job, 1)}
    with patch.object(Team, "run", always):
        times["all, always"] = milliseconds(job, None)
    with patch.dict("fastbp.parallel.team._paces", clear=True):
        times["with trials"] = milliseconds(job, None)
    return times


@contextlib.contextmanager
def busy(n: int) -> Iterator[None]:
    """Run n processes that never wait."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """Print a row for each job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that never wait (default: 0)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds, whose median is printed (default: 4)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{upper_bound(None)} threads beside {options.busy} busy processes: milliseconds (over one thread)")
    with busy(options.busy):
        for name, job in JOBS.items():
            rounds = [one_round(job) for _ in range(options.rounds)]
            found = {way: statistics.median(each[way] for each in rounds) for way in rounds[0]}
            alone = found["one thread"]
            cells = (f"{way} {ms:7.2f} ({ms / alone:.2f})" for way, ms in found.items())
            print(f"{name:20}", "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
