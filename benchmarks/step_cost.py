"""A model of the time that a step on a Dask cluster takes.

A step is one round. The client sends the parameters, which a worker receives and passes on to the others; each worker
sums costs and gradients of its rows; workers add up sums, at most ARITY at a time; the client receives the last one and
updates the parameters. With W workers, a partition each:

    scheduling   round + task (tasks - 2)                         the scheduler handles one task after the other
    parameters   down / client + (W - 1) down / link              the others all fetch them from the first worker
    gradient     call + row ceil(rows / W)
    sums         sum over levels (hop + (parts - 1) (up / link + addition)) + up / client
    update       update

where down and up are the bytes of the parameters and of a sum, and a level adds up to ARITY parts, of which one is on
the worker that does it. Times are in seconds, rates in bytes per second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ARITY = 8  # of fastbp.dask.trainer
SUM_BYTES = 8  # sums are float64
MOST_WORKERS = 10_000  # that `fastest` considers


class Cluster(NamedTuple):
    """What Dask takes, whatever is computed."""

    round: float  # of the least one: parameters, a task that reads them, its result
    task: float  # for each task more
    hop: float  # between a task and one on another worker that waits for it
    link: float  # bytes per second between two workers
    client: float  # bytes per second between client and worker, which the scheduler passes on

    def on_network(self, latency: float, bandwidth: float) -> Cluster:
        """As if messages took longer there and back, and bytes moved no faster than that.

        A round goes from the client to a worker twice, with the tasks and for the result; a hop to the scheduler and to
        the other worker.
        """
        link, client = min(self.link, bandwidth), min(self.client, bandwidth)
        return Cluster(self.round + 2 * latency, self.task, self.hop + 2 * latency, link, client)


class Work(NamedTuple):
    """What a network takes, wherever it is trained."""

    parameters: int
    itemsize: int  # bytes of a parameter
    row: float  # seconds of a row of a gradient
    call: float  # of a task that sums a gradient, beside its rows
    addition: float  # of adding one sum to another
    update: float  # of what the client does with the last one


class Seconds(NamedTuple):
    """What a step takes, one after the other."""

    scheduling: float
    parameters: float
    gradient: float
    sums: float
    update: float


def tree(workers: int) -> list[tuple[int, int]]:
    """(tasks, most parts that one of them adds up) of each level on which sums are added up."""
    found = []
    while workers > 1:
        parts, workers = min(workers, ARITY), -(-workers // ARITY)
        found.append((workers, parts))
    return found


def tasks(workers: int) -> int:
    """Of a round: one has the parameters, one per worker reads them, and the tree."""
    return 1 + workers + sum(n for n, _ in tree(workers))


def seconds(work: Work, cluster: Cluster, rows: int, workers: int) -> Seconds:
    """Of a step on that many rows."""
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
    """Bytes that a step moves: parameters to all workers, sums back to one, and both ways through the scheduler."""
    return work.parameters * (work.itemsize + SUM_BYTES) * (workers + 1)


def fastest(work: Work, cluster: Cluster, rows: int) -> int:
    """The number of workers, to a percent and up to MOST_WORKERS, with which a step is fastest."""
    grid = {round(1.01**i) for i in range(math.ceil(math.log(MOST_WORKERS, 1.01)) + 1)}
    return min(sorted(grid), key=lambda workers: sum(seconds(work, cluster, rows, workers)))
