"""A model of the workloads on a machine with many cores. Its constants are measured on this machine.

python benchmarks/many_cores.py [--cores 4 8 16 64] [--rounds 5]

A step on p threads takes

    compute     one / p, times the imbalance of the tasks
    meetings    meet (p - 1) for each time that the threads meet: they count themselves at one place in memory
    exchange    read (1 - 1 / p) bytes: what a thread reads and others have written

`one` is the measured time of a step on one thread. A chunk has two meetings, one after the examples and one after the
update. With groups of rows it has one more if there are more tasks than groups. A thread reads theta and its transposed
copy in the phase of the examples. In the update it reads activations and deltas of all rows, or, with groups, the
gradients of the groups. The share 1 - 1 / p of these bytes comes from other cores. The parts of the rows are whole
tiles, and the parts of theta are whole units, so at some number of threads more threads have nothing to do.

The script measures the steps of all workloads in float32 on one thread and on two. The times on two threads give `meet`
and `read`, by least squares of relative errors. The table has the times on one thread, over which the model's times are
so many times as fast. Measured ratios stand in brackets; --measured adds them for more threads, as far as this machine
has cores. The model leaves out what is different on a large machine: several sockets, the bandwidth of a
shared cache, and clocks that fall when all cores work. So it is a bound of what can be gained.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Sequence
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from busy import always
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning
from workloads import WORKLOADS, Workload, data

from fastbp import BackpropClassifier
from fastbp.kernels.machine.registers import ROWS
from fastbp.network import costs
from fastbp.network.architecture import Network
from fastbp.network.memory import round_up
from fastbp.parallel.team import Team, upper_bound
from fastbp.training.observer import watch

DTYPE = np.dtype(np.float32)
MOST_CORES = 256  # the fastest number of threads is looked for up to here


class Step(NamedTuple):
    """The sizes of a step that the model needs."""

    tiles: int  # tiles of rows in a chunk
    units: int  # units of parameters
    chunks: int
    groups: int
    theta_bytes: int  # theta and its transposed copy
    row_bytes: int  # activations and deltas of a chunk, or the gradients of the groups

    @classmethod
    def of(cls, workload: Workload) -> Step:
        output = "logistic" if workload.units[-1] == 1 else "softmax"
        loss = "binary_cross_entropy" if output == "logistic" else "log_loss"
        network = Network(workload.units, (*("relu" for _ in workload.hidden), output), loss, DTYPE)
        rows = min(workload.batch, costs.even_chunk_rows(network, workload.batch))
        groups, theta = costs.n_groups(network, rows), network.layout.size * DTYPE.itemsize
        return cls(
            tiles=-(-rows // ROWS),
            units=len(network.layout.units),
            chunks=-(-workload.batch // rows),
            groups=groups,
            theta_bytes=2 * theta,
            row_bytes=groups * theta if groups > 1 else rows * costs.row_bytes(network),
        )

    def imbalance(self, threads: int) -> float:
        """The time of the thread with the most work, relative to an equal share."""
        tasks = round_up(threads, self.groups)
        of_rows = math.ceil(tasks / threads) * math.ceil(self.tiles / tasks) * threads / self.tiles
        of_units = math.ceil(self.units / threads) * threads / self.units
        return (2 * of_rows + of_units) / 3  # two of three products are in the phase of the examples

    def meetings(self, threads: int) -> int:
        """How often the threads meet in a step."""
        return self.chunks * (3 if 1 < self.groups < round_up(threads, self.groups) else 2)

    def terms(self, threads: int) -> tuple[float, float]:
        """What `meet` and `read` are multiplied by."""
        read = self.chunks * (self.theta_bytes + self.row_bytes)
        return self.meetings(threads) * (threads - 1.0), read * (1 - 1 / threads)


class Machine(NamedTuple):
    meet: float  # seconds that each thread after the first adds to a meeting
    read: float  # seconds for a byte that another core has written


def predicted(one: float, step: Step, machine: Machine, threads: int) -> float:
    """Seconds of a step on so many threads. one: seconds of the step on one thread."""
    return one * step.imbalance(threads) / threads + float(np.dot(machine, step.terms(threads)))


def fastest(one: float, step: Step, machine: Machine) -> int:
    """The number of threads with the shortest step."""
    return min(range(1, MOST_CORES + 1), key=lambda threads: predicted(one, step, machine, threads))


def limit(one: float, step: Step, machine: Machine, threads: int) -> str:
    """The largest loss of a step on so many threads: "imbalance", "meetings" or "exchange"."""
    meetings, bytes_ = (constant * term for constant, term in zip(machine, step.terms(threads), strict=True))
    lost = {
        "imbalance": one * (step.imbalance(threads) - 1) / threads,
        "meetings": meetings,
        "exchange": bytes_,
    }
    return max(lost, key=lost.__getitem__)


def calibrated(ones: Sequence[float], twos: Sequence[float], steps: Sequence[Step]) -> Machine:
    """The constants for which the model is nearest to the measured times on two threads."""
    terms = np.array([np.array(step.terms(2)) / two for step, two in zip(steps, twos, strict=True)])
    rest = [1 - one * step.imbalance(2) / 2 / two for one, two, step in zip(ones, twos, steps, strict=True)]
    scale = terms.max(axis=0)  # bytes are far more than meetings
    found, _ = nnls(terms / scale, np.array(rest))
    return Machine(*(found / scale).tolist())


def seconds(workload: Workload, n_jobs: int) -> float:
    """Seconds of a step on n_jobs threads: the median over the epochs of a fit, except the first two.

    All threads take part in all steps, even where one thread is faster.
    """
    X, y = data(workload, DTYPE.name)[0]
    epochs = max(8, min(workload.epochs, 200))
    model = BackpropClassifier(
        workload.hidden, batch_size=workload.batch, max_iter=epochs, n_iter_no_change=epochs, n_jobs=n_jobs,
        random_state=0,
    )  # fmt: skip
    ends: list[float] = []
    with (
        watch(lambda *_: ends.append(time.perf_counter())),
        patch.object(Team, "run", always),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    epoch = statistics.median(end - start for start, end in itertools.pairwise(ends[1:]))
    return epoch / math.ceil(workload.rows / workload.batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", nargs="+", type=int, default=[4, 8, 16, 64], help="numbers of threads to predict")
    parser.add_argument("--rounds", type=int, default=3, help="how often each workload is measured")
    parser.add_argument("--measured", action="store_true", help="also measure these numbers of threads")
    options = parser.parse_args()
    most = upper_bound(None)
    if most < 2:
        parser.error("the model needs times on two threads, and this process may use one only")
    threads = [1, 2, *(n for n in options.cores if options.measured and 2 < n <= most)]
    found = {
        workload: {n: statistics.median(seconds(workload, n) for _ in range(options.rounds)) for n in threads}
        for workload in WORKLOADS
    }
    steps = [Step.of(workload) for workload in found]
    machine = calibrated([each[1] for each in found.values()], [each[2] for each in found.values()], steps)
    rate = f"{1e-9 / machine.read:.1f} GB/s" if machine.read else "without limit"
    print(f"meet: {machine.meet * 1e6:.2f} us; read: {rate}\n")
    names = [f"{n} threads" for n in sorted({2, *options.cores})]
    print(f"| float32 | us, 1 thread | {' | '.join(names)} | fastest (threads) | limit |")
    print(f"| --- |{' ---: |' * (len(names) + 2)} --- |")
    for (workload, times), step in zip(found.items(), steps, strict=True):
        one, cells = times[1], []
        for n in sorted({2, *options.cores}):
            ratio = f"{one / predicted(one, step, machine, n):.1f}"
            cells.append(f"{ratio} ({one / times[n]:.1f})" if n in times else ratio)
        best = fastest(one, step, machine)
        gain = one / predicted(one, step, machine, best)
        why = limit(one, step, machine, max(options.cores))
        print(f"| {workload.name} | {one * 1e6:,.0f} | {' | '.join(cells)} | {gain:.1f} ({best}) | {why} |")


if __name__ == "__main__":
    main()
