"""A model of the time that a step on a Dask cluster takes.

A step is one round. The client sends the parameters to a worker, and this worker passes them on to the others. Each
worker sums costs and gradients of its rows. Workers add up these sums, at most ARITY at a time. The client receives the
last sum and updates the parameters. With W workers and one partition on each:

    scheduling   round + task (tasks - 2)                         the scheduler handles one task after the other
    parameters   down / client + (W - 1) down / link              all others fetch from the first worker
    gradient     call + row ceil(rows / W)
    sums         sum over levels (hop + (parts - 1) (up / link + addition)) + up / client
    update       update

Here down is the size of the parameters in bytes, and up is the size of a sum. A task of a level adds up at most ARITY
parts. One of these parts is already on the worker of the task. Times are in seconds, rates in bytes per second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ARITY = 8  # as in fastbp.dask.trainer
SUM_BYTES = 8  # sums are float64
MOST_WORKERS = 10_000  # `fastest` considers no more


class Cluster(NamedTuple):
    """Dask's times and rates. They do not depend on the network."""

    round: float  # seconds of the smallest round: parameters, a task that reads them, its result
    task: float  # seconds per further task
    hop: float  # seconds between a task and a task on another worker that waits for it
    link: float  # bytes per second between two workers
    client: float  # bytes per second between client and worker, through the scheduler

    def on_network(self, latency: float, bandwidth: float) -> Cluster:
        """The same cluster with `latency` more seconds per round trip, and at most `bandwidth`.

        A round has two round trips from the client to a worker, one with the tasks and one for the result. A hop also
        has two, one to the scheduler and one to the other worker.
        """
        link, client = min(self.link, bandwidth), min(self.client, bandwidth)
        return Cluster(self.round + 2 * latency, self.task, self.hop + 2 * latency, link, client)


class Work(NamedTuple):
    """The times and sizes of a network. They do not depend on the cluster."""

    parameters: int
    itemsize: int  # bytes of a parameter
    row: float  # seconds per row of a gradient
    call: float  # seconds of a task that sums a gradient, in addition to its rows
    addition: float  # seconds to add one sum to another
    update: float  # seconds of the client's own part of a step


class Seconds(NamedTuple):
    """The times of the parts of a step. The parts follow each other."""

    scheduling: float
    parameters: float
    gradient: float
    sums: float
    update: float


def tree(workers: int) -> list[tuple[int, int]]:
    """(number of tasks, most parts that a task adds up) of each level of additions."""
    found = []
    while workers > 1:
        parts, workers = min(workers, ARITY), -(-workers // ARITY)
        found.append((workers, parts))
    return found


def tasks(workers: int) -> int:
    """Tasks of a round: one with the parameters, one per worker that reads them, and those of the tree."""
    return 1 + workers + sum(n for n, _ in tree(workers))


def seconds(work: Work, cluster: Cluster, rows: int, workers: int) -> Seconds:
    """The times of a step of so many rows."""
    down, up = work.parameters * work.itemsize, work.parameters * SUM_BYTES
    added = [cluster.hop + (parts - 1) * (up / cluster.link + work.addition) for _, parts in tree(workers)]
    return Seconds(
        scheduling=cluster.round + cluster.task * (tasks(workers) - 2),
        parameters=down / cluster.client + (workers - 1) * down / cluster.link,
        gradient=work.call + math.ceil(rows / workers) * work.row,
        sums=sum(added) + up / cluster.client,
        update=work.update,
    )


def moved(work: Work, workers: int) -> int:
    """Bytes that a step moves: parameters to all workers, sums back to one, and both through the scheduler."""
    return work.parameters * (work.itemsize + SUM_BYTES) * (workers + 1)


def fastest(work: Work, cluster: Cluster, rows: int) -> int:
    """The number of workers with which a step is fastest, to one percent and at most MOST_WORKERS."""
    grid = {round(1.01**i) for i in range(math.ceil(math.log(MOST_WORKERS, 1.01)) + 1)}
    return min(sorted(grid), key=lambda workers: sum(seconds(work, cluster, rows, workers)))
