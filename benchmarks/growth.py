"""The time of a step on Dask: measured and predicted with one worker and with two, predicted for larger clusters.

python benchmarks/growth.py [--latency MS] [--bandwidth GB/S] [--task MS] [--quick]

step_cost.py has the model. First the script prints the constants of the model, measured on LocalClusters of one worker
process and of two:

    a round     milliseconds of a step on one partition with 20 parameters: all this time is Dask's
    a task more milliseconds that each further task adds to a step; more partitions make more tasks
    a hop       milliseconds between a task and a task on another worker that waits for it
    GB/s        10^9 bytes per second through the loopback device, Dask's handling included
    GFLOP/s     10^9 useful floating-point operations per second of a worker's gradients, on one thread
    a call      milliseconds of a worker's task in addition to its rows
    an addition milliseconds to add one worker's sum to another's
    an update   milliseconds of the client's part of a step

Then it prints a line for each network, solver, number of rows of a step and number of workers. The line has the
predicted milliseconds of a step, the measured ones of real fits, and their ratio. A ratio above 1 means that the model
is too slow. Last it prints the predicted milliseconds on clusters, and the megabytes that a step moves. All numbers are
medians of several rounds, because the machine may be busy with something else for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import dask.array
import numpy as np
from dask.distributed import Client, Future, LocalCluster
from sklearn.exceptions import ConvergenceWarning
from step_cost import ARITY, Cluster, Work, fastest, moved, seconds, tasks, tree

from fastbp.dask import BackpropClassifier, worker
from fastbp.dask.trainer import DistributedTrainer
from fastbp.kernels import optimizers
from fastbp.network.architecture import Network
from fastbp.training.observer import watch

N_CLASSES, ROWS = 10, 16_384
# SIZES: rows of a step that is measured here. CLUSTER_SIZES: rows of a step that is predicted for a cluster. A step of
# adam has a minibatch, a step of gd has all rows.
SIZES = {"adam": (256, 4096), "gd": (ROWS,)}
CLUSTER_SIZES = {"adam": (256, 4096, 65_536), "gd": (100_000, 10_000_000, 1_000_000_000)}
CLUSTER_WORKERS = (1, 8, 64, 1000)
DTYPE = np.dtype(np.float32)
# Sizes of the measurements that give the constants.
HOPS, PARTITIONS, LINK_BYTES, CLIENT_BYTES, FEW_ROWS, MANY_ROWS = 16, (2, 8, 32), 1 << 25, 1 << 23, 128, 8192
FASTEST = 100e9  # bytes per second; no link is faster than memory


class Layers(NamedTuple):
    """The sizes of a network that is measured."""

    features: int
    hidden: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.features}-({','.join(map(str, self.hidden))})-{N_CLASSES}"

    @property
    def network(self) -> Network:
        activations = (*("relu" for _ in self.hidden), "softmax")
        return Network((self.features, *self.hidden, N_CLASSES), activations, "log_loss", DTYPE)

    @property
    def operations(self) -> int:
        """Useful operations per row: two per multiply-add of the forward pass, the gradient and the delta recursion."""
        products = [m * n for m, n in itertools.pairwise(self.network.widths)]
        return 2 * (2 * sum(products) + sum(products[1:]))


NETWORKS = (Layers(64, (32,)), Layers(784, (100,)), Layers(784, (512, 256)))


@contextlib.contextmanager
def workers(n: int) -> Iterator[Client]:
    """A client of n workers. Each worker is a process with one thread."""
    with LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """The median time of a call. The first call does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


# ---------------------------------------------------------------- fits


class Job(NamedTuple):
    """A network and its solver. Their steps are predicted and measured."""

    layers: Layers
    solver: str


class Fit(NamedTuple):
    """A job, the number of rows of a step, and the number of workers."""

    job: Job
    size: int
    workers: int


NOTHING = Job(Layers(1, ()), "gd")  # its 20 parameters take almost no time, so its steps show Dask's own time


def step_seconds(job: Job, rows: int, size: int, partitions: int, epochs: int) -> float:
    """Seconds of a step of `size` rows, in a fit on so many partitions: the median over all epochs except the first."""
    chunks = math.ceil(rows / partitions)
    X = dask.array.random.default_rng(0).standard_normal((rows, job.layers.features), dtype=DTYPE, chunks=(chunks, -1))
    y = dask.array.arange(rows, chunks=chunks) % N_CLASSES
    settings: dict[str, Any] = {
        "solver": job.solver,
        "batch_size": size,
        "gtol": 0,
        "max_iter": epochs,
        "n_iter_no_change": epochs,
    }
    model = BackpropClassifier(job.layers.hidden, random_state=0, **settings)
    ends: list[float] = []
    with watch(lambda *_: ends.append(time.perf_counter())), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    epoch = statistics.median(end - start for start, end in itertools.pairwise(ends))
    return epoch / math.ceil(rows / size)


# ---------------------------------------------------------------- constants


def these(*values: Any) -> Any:
    return values[0]


def rate(n_bytes: int, seconds: float) -> float:
    """Bytes per second, at most FASTEST, because a disturbed measurement may show no time at all."""
    return n_bytes / max(seconds, n_bytes / FASTEST)


def measured_cluster(client: Client, repeats: int) -> Cluster:
    """Dask's times and rates on this machine, with two workers."""
    first, second = client.scheduler_info()["workers"]

    def submit(worker: str, function: Callable[..., Any], *args: Any) -> Future:
        return client.submit(function, *args, workers=[worker], pure=False)

    def chain(n: int) -> None:
        value = submit(first, these, 0)
        for i in range(n):
            value = submit(first if i % 2 else second, these, value)
        value.result()

    def hand_over(worker: str, n_bytes: int) -> None:
        submit(worker, len, submit(first, np.ones, n_bytes, np.uint8)).result()

    def link_seconds(n_bytes: int) -> float:
        """Seconds that the bytes take to the other worker: the time of a task there, minus its time here."""
        there, here = (median_seconds(partial(hand_over, worker, n_bytes), repeats) for worker in (second, first))
        return there - here

    def echo_seconds(n_bytes: int) -> float:
        values = np.ones(n_bytes, np.uint8)
        return median_seconds(lambda: submit(first, these, values).result(), repeats)

    hop = (median_seconds(partial(chain, 1 + HOPS), repeats) - median_seconds(partial(chain, 1), repeats)) / HOPS
    link = rate(LINK_BYTES, link_seconds(LINK_BYTES) - link_seconds(1))
    both_ways = rate(2 * CLIENT_BYTES, echo_seconds(CLIENT_BYTES) - echo_seconds(1))
    least, *others = (step_seconds(NOTHING, 16 * n, 16 * n, n, 1 + 2 * repeats) for n in (1, *PARTITIONS))
    extra = np.array([tasks(n) - tasks(1) for n in PARTITIONS])
    taken = [time - least - hop * len(tree(n)) for n, time in zip(PARTITIONS, others, strict=True)]
    return Cluster(least, float(extra @ taken / (extra @ extra)), hop, link, both_ways)


def gradient_seconds(job: Job, repeats: int) -> tuple[float, float]:
    """(seconds per row, seconds of a call in addition to its rows) of a worker's task."""
    network, rng = job.layers.network, np.random.default_rng(0)
    theta = rng.normal(0, 0.1, network.layout.n_parameters).astype(DTYPE)
    X = rng.standard_normal((2 * MANY_ROWS, job.layers.features), dtype=DTYPE)
    codes = np.arange(len(X)) % N_CLASSES

    def call(rows: int) -> Callable[[], Any]:
        some = partial(worker.partial_sums, theta=theta, architecture=worker.architecture_of(network), n_jobs=None)
        if job.solver == "adam":  # adam picks its rows from a partition
            return partial(some, X, [codes, None, None], rows=rng.permutation(len(X))[:rows])
        return partial(some, X[:rows], [codes[:rows], None, None], rows=None)

    few, many = (median_seconds(call(rows), repeats) for rows in (FEW_ROWS, MANY_ROWS))
    row = (many - few) / (MANY_ROWS - FEW_ROWS)
    return row, max(0.0, few - FEW_ROWS * row)


def measured_work(client: Client, job: Job, repeats: int) -> Work:
    """The times of a network, measured while all workers train it."""
    network, adam = job.layers.network, job.solver == "adam"
    sums = worker.Sums(1.0, 1.0, np.ones(network.layout.n_parameters))
    addition = median_seconds(lambda: worker.total([sums] * ARITY), repeats) / (ARITY - 1)

    # The client's own part of a step is everything except the wait for a sum.
    answers = SimpleNamespace(compute=lambda ask, recover: [sums])
    examples: Any = SimpleNamespace(partitions=SimpleNamespace(cluster=answers), recover=None)
    theta, optimizer = np.zeros(network.layout.size, DTYPE), optimizers.ADAM if adam else optimizers.NONE
    trainer = DistributedTrainer(network, theta, examples, batch=1, optimizer=optimizer, alpha=1e-4, n_jobs=None)
    make = partial(trainer.epoch, np.arange(1)) if adam else partial(trainer.loss_and_gradient, theta)
    update = median_seconds(make, repeats)

    for repeats_there in (1, repeats):  # the first call compiles, or loads compiled code
        each = client.scheduler_info()["workers"]
        there = [client.submit(gradient_seconds, job, repeats_there, workers=[one], pure=False) for one in each]
        found = client.gather(there)
    row, call = np.mean(found, axis=0)
    return Work(network.layout.n_parameters, DTYPE.itemsize, float(row), float(call), addition, update)


# ---------------------------------------------------------------- printing


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown. All columns except the first are aligned to the right."""
    print(f"\n| {' | '.join(header)} |\n| --- |{' ---: |' * (len(header) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def digits(number: float) -> str:
    """A number in three significant digits, or as a whole number from 100 on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def print_constants(cluster: Cluster, works: dict[int, dict[Job, Work]]) -> None:
    times = (digits(1e3 * time) for time in (cluster.round, cluster.task, cluster.hop))
    print_table(
        ["a round, ms", "a task more, ms", "a hop, ms", "from worker to worker, GB/s", "from client to worker, GB/s"],
        [[*times, digits(cluster.link / 1e9), digits(cluster.client / 1e9)]],
    )
    table = []
    for job, one in works[1].items():
        rates = (digits(job.layers.operations / works[n][job].row / 1e9) for n in (1, 2))
        times = (digits(1e3 * time) for time in (one.call, one.addition, one.update))
        table.append([job.layers.name, job.solver, f"{one.parameters:,.0f}", *rates, *times])
    header = ["network", "solver", "parameters", "the only worker, GFLOP/s", "each of two, GFLOP/s"]
    print_table([*header, "a call, ms", "an addition, ms", "an update, ms"], table)


def print_check(cluster: Cluster, works: dict[int, dict[Job, Work]], measured: dict[Fit, float]) -> None:
    table = []
    for (job, size, n), found in measured.items():
        predicted = sum(seconds(works[n][job], cluster, size, n))
        times = (digits(1e3 * time) for time in (predicted, found))
        table.append([job.layers.name, job.solver, f"{size:,}", str(n), *times, f"{predicted / found:.2f}"])
    print_table(["network", "solver", "rows of a step", "workers", "predicted, ms", "measured, ms", "ratio"], table)


def print_clusters(cluster: Cluster, works: dict[Job, Work]) -> None:
    """Print the steps on clusters where each worker has a core of its own, and the bytes that a step moves."""
    by_workers = [f"{n:,} workers" if n > 1 else "1 worker" for n in CLUSTER_WORKERS]
    table, bytes_moved = [], {}
    for job, work in works.items():
        bytes_moved[job.layers.name] = [digits(moved(work, n) / 1e6) for n in CLUSTER_WORKERS]
        for size in CLUSTER_SIZES[job.solver]:
            steps = [sum(seconds(work, cluster, size, n)) for n in CLUSTER_WORKERS]
            best = fastest(work, cluster, size)
            shortest, alone = sum(seconds(work, cluster, size, best)), size * work.row + work.update
            times = (digits(1e3 * time) for time in (alone, *steps))
            best_of_all = [f"{best:,}", digits(1e3 * shortest), digits(alone / shortest)]
            table.append([job.layers.name, job.solver, f"{size:,}", *times, *best_of_all])
    header = ["network", "solver", "rows of a step", "one thread, no Dask", *by_workers]
    print_table([*header, "fastest number of workers", "with these", "times one thread's speed"], table)
    print("\nMegabytes that a step moves between processes:")
    print_table(["network", *by_workers], [[name, *row] for name, row in bytes_moved.items()])


# ---------------------------------------------------------------- the script


Tuple = TypeVar("Tuple", Cluster, Work)


def medians(found: Sequence[Tuple]) -> Tuple:
    """The median of each field."""
    return type(found[0])._make(np.median(found, axis=0).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="MS",
        help="round trip of a message on your network, in addition to one between processes here",
    )
    parser.add_argument(
        "--bandwidth",
        type=float,
        default=math.inf,
        metavar="GB/S",
        help="rate of your network, if it is lower than the rate between processes here",
    )
    parser.add_argument(
        "--task",
        type=float,
        metavar="MS",
        help="the scheduler's time per task (default: measured here, where all processes share the cores)",
    )
    parser.add_argument("--quick", action="store_true", help="few small cases; do not quote the times")
    options = parser.parse_args()
    networks, rounds, repeats, epochs = (NETWORKS[:1], 1, 2, 3) if options.quick else (NETWORKS, 3, 8, 4)
    jobs = [Job(layers, solver) for layers in networks for solver in SIZES]

    clusters: list[Cluster] = []
    works: dict[int, dict[Job, list[Work]]] = {n: {job: [] for job in jobs} for n in (1, 2)}
    measured: dict[Fit, list[float]] = {
        Fit(job, size, n): [] for job in jobs for size in SIZES[job.solver] for n in works
    }
    with workers(1) as one, workers(2) as two:
        # The measurements take turns, because the machine may be slower for a while.
        for _ in range(rounds):
            with two.as_current():
                clusters.append(measured_cluster(two, repeats))
            for job, (n, client) in itertools.product(jobs, ((1, one), (2, two))):
                with client.as_current():
                    works[n][job].append(measured_work(client, job, repeats))
                    for size in SIZES[job.solver]:
                        n_epochs = epochs if size < ROWS else 3 * epochs  # an epoch is then a single step
                        measured[Fit(job, size, n)].append(step_seconds(job, ROWS, size, n, n_epochs))
    cluster = medians(clusters)
    work = {n: {job: medians(found) for job, found in of_jobs.items()} for n, of_jobs in works.items()}
    print("Constants, with two workers, the scheduler and the client on this machine:")
    print_constants(cluster, work)
    print("\nA step here:")
    print_check(cluster, work, {fit: statistics.median(found) for fit, found in measured.items()})
    print("\nA step on clusters with a core for each worker, predicted, in milliseconds:")
    on_paper = cluster.on_network(1e-3 * options.latency, 1e9 * options.bandwidth)
    print_clusters(on_paper if options.task is None else on_paper._replace(task=1e-3 * options.task), work[1])


if __name__ == "__main__":
    main()
