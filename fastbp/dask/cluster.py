"""The workers of a Dask cluster, and the partitions of X that they hold.

A worker holds only results of tasks. The scheduler knows the tasks, so if a worker stops, another worker can compute
its results again.
"""

import asyncio
import concurrent.futures
import contextlib
import copy
import inspect
import math
import time
from collections.abc import Callable, Collection
from typing import Any, Self

import numpy as np
from dask.delayed import Delayed, delayed
from distributed import CancelledError, Client, Future, KilledWorker, get_client, wait
from numpy.typing import NDArray

from ..data.examples import Examples, as_examples
from .worker import checked, joined, size_and_dtype, these

PIECE_BYTES = 4 << 20  # an array in one task has at most PIECE_BYTES; Dask warns of tasks above 10 MB
# A fit checks every LOOK_SECONDS whether there are workers. It gives up only after WORKERLESS_SECONDS without a worker,
# because a worker that died may come back.
LOOK_SECONDS, WORKERLESS_SECONDS = 10.0, 60.0
# A worker reports to the scheduler every few seconds. A fit gives up when any connected worker has not reported for
# SILENT_SECONDS: the worker's process is stopped, or its machine hangs.
SILENT_SECONDS = 60.0
# If a worker dies, Dask moves its tasks to other workers. If a task seems to kill its workers, Dask gives the task up.
# Then a fit submits all its tasks again, and makes ATTEMPTS attempts in all.
ATTEMPTS = 3
# A client that gives up tells the workers so, and waits for their answers for at most TELL_SECONDS.
TELL_SECONDS = 5.0
# Newer versions of scheduler_info list only 5 workers, unless n_workers is -1. Older versions list all.
_ALL_WORKERS = {"n_workers": -1} if "n_workers" in inspect.signature(Client.scheduler_info).parameters else {}


class WorkerLeft(Exception):
    """A worker that tasks need has left the cluster."""


class Cluster:
    """The workers of the current client of dask.distributed.

    Raises
    ------
    RuntimeError
        There is no client, or the client is asynchronous.
    """

    def __init__(self) -> None:
        try:
            self.client: Client = get_client()
        except ValueError as error:
            raise RuntimeError(
                "A fit on a Dask cluster needs a dask.distributed.Client, but there is none. Create one before: "
                "client = dask.distributed.Client() on this machine, or Client(address) with a scheduler's address."
            ) from error
        if self.client.asynchronous:
            raise RuntimeError("A fit on a Dask cluster needs a Client that is not asynchronous.")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """The future result of a new task. Dask must not take the task for an earlier one with equal arguments."""
        return self.client.submit(function, *args, pure=False)

    def submit_to(self, workers: Collection[str], function: Callable[..., Any], *args: Any) -> Future:
        """The future result of a new task that runs on one of these workers, and waits for ever if they are gone."""
        return self.client.submit(function, *args, pure=False, workers=list(workers))

    def tell(self, function: Callable[..., Any], *args: Any) -> None:
        """Call function(*args) in every worker, at once. It may not reach a worker that does not answer."""
        telling = asyncio.run_coroutine_threadsafe(
            self.client.run(function, *args, on_error="ignore", asynchronous=True), self.client.loop.asyncio_loop
        )
        try:
            with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError):
                telling.result(TELL_SECONDS)
        finally:
            telling.cancel()

    def send(self, values: NDArray) -> Future:
        """Send an array as the result of a task. A large array takes several tasks.

        The scheduler keeps the task. So if a worker loses the array, the scheduler lets a worker compute the task
        again.
        """
        n = math.ceil(values.nbytes / PIECE_BYTES)
        if n <= 1:
            return self.submit(these, values)
        return self.submit(joined, [self.submit(these, piece) for piece in np.array_split(values, n)])

    def argument(self, values: NDArray) -> NDArray | Future:
        """An array as an argument of a task: a small one is a part of the task, a large one is sent by other tasks."""
        return values if values.nbytes <= PIECE_BYTES else self.send(values)

    def results(self, futures: list[Future], needed: Collection[str] = ()) -> list[Any]:
        """Wait for the results of the futures.

        Raises the error of a task that failed. Raises RuntimeError if the cluster has had no worker for
        WORKERLESS_SECONDS, or if any connected worker has not reported for SILENT_SECONDS. Raises WorkerLeft if one of
        the workers that the tasks need is not connected.
        """
        self._patiently(lambda: wait(futures, timeout=LOOK_SECONDS), needed)
        for future in futures:
            if future.status == "error":
                # Raise a copy, because the client keeps the original. A raised exception refers to the frames that it
                # passes, and the frames refer to the futures. So the client would keep the futures for ever.
                raise copy.copy(future.exception()).with_traceback(future.traceback())
        # The results come from the workers, and a worker may stop before it has sent them.
        gathering = asyncio.run_coroutine_threadsafe(
            self.client.gather(futures, asynchronous=True), self.client.loop.asyncio_loop
        )
        try:
            return list(self._patiently(lambda: gathering.result(LOOK_SECONDS), needed))
        finally:
            gathering.cancel()

    def _patiently(self, step: Callable[[], Any], needed: Collection[str]) -> Any:
        """Repeat a step until it returns a result. A step raises TimeoutError after LOOK_SECONDS.

        Raises RuntimeError and WorkerLeft as `results` does.
        """
        reports: dict[str, tuple[Any, float]] = {}  # by worker: its latest report, and when this process noticed it
        with_workers = time.monotonic()
        while True:
            try:
                return step()
            except (TimeoutError, concurrent.futures.TimeoutError):
                now = time.monotonic()
            workers = self.client.scheduler_info(**_ALL_WORKERS)["workers"]
            if workers:
                with_workers = now
            elif now - with_workers >= WORKERLESS_SECONDS:
                raise RuntimeError(
                    f"{self.client} has had no workers for {WORKERLESS_SECONDS:g} seconds: start some."
                ) from None
            if gone := set(needed) - set(workers):
                raise WorkerLeft(*gone)
            latest = {address: worker["last_seen"] for address, worker in workers.items()}
            reports = {
                address: reports[address] if address in reports and reports[address][0] == seen else (seen, now)
                for address, seen in latest.items()
            }
            silent = [address for address, (_, noticed) in reports.items() if now - noticed >= SILENT_SECONDS]
            if silent:
                raise RuntimeError(
                    f"The worker {silent[0]} is connected, but has not reported for {SILENT_SECONDS:g} seconds: its "
                    "process is stopped, or its machine hangs. Restart it or end it, then fit again."
                )

    def compute(
        self,
        ask: Callable[[], list[Future]],
        recover: Callable[[], None],
        *,
        needed: Collection[str] = (),
        advice: str = "Maybe a partition is too large for a worker: use smaller ones.",
    ) -> list[Any]:
        """The results of the futures that `ask` returns.

        If Dask loses some of the futures, `recover` restores the data of the tasks, and `ask` is called again. Raises
        RuntimeError with this advice if this happens in ATTEMPTS calls. Raises any other exception of `results`.

        needed: see `results`. `ask` may change the collection.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                recover()
            try:
                return self.results(ask(), needed)
            except (KilledWorker, CancelledError) as error:
                lost = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"The cluster lost tasks of this fit {ATTEMPTS} times. {advice} The last error was {lost}")


class Partitions:
    """X on the workers, as blocks of rows that have been checked. A fit reads its length, shape and dtype.

    Parameters
    ----------
    cluster : Cluster
    blocks : list of Delayed
        The rows of X in their order. A block may be empty.
    n_features : int
        S_1.
    name : str
        Name of the estimator, for error messages.
    columns : list or None
        Names of the columns, if the blocks are dataframes. A block may have them in another order.

    Attributes
    ----------
    shape : tuple of int
        (m, S_1).
    dtype : numpy.dtype
        float32 if all blocks with rows are float32, otherwise float64.
    starts : ndarray of int64
        The first row of each block that is not empty. The last element is m.
    futures : list of Future
        The blocks that are not empty.
    """

    def __init__(
        self, cluster: Cluster, blocks: list[Delayed], n_features: int, name: str, columns: list[Any] | None = None
    ):
        self.cluster, self._blocks, self._arguments = cluster, blocks, (n_features, name, columns)
        self.futures: list[Future] = []
        found = cluster.compute(self._load_and_measure, lambda: None)
        sizes = np.array([size for size, _ in found], np.int64)
        self.dtype = np.result_type(*(dtype for size, dtype in found if size or not sizes.any()))
        self.starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        self.shape = int(self.starts[-1]), n_features
        self._blocks = [block for block, size in zip(blocks, sizes, strict=True) if size]
        self.futures = [future for future, size in zip(self.futures, sizes, strict=True) if size]

    def load(self) -> None:
        """Submit the tasks that compute the blocks, for the first time or again."""
        self.futures = []  # the scheduler then forgets the old tasks and their failures
        check = delayed(checked, pure=False)
        self.futures = self.cluster.client.compute([check(block, *self._arguments) for block in self._blocks])

    def _load_and_measure(self) -> list[Future]:
        self.load()
        return [self.cluster.submit(size_and_dtype, block) for block in self.futures]

    def __len__(self) -> int:
        return self.shape[0]


class DistributedExamples(Examples):
    """Examples whose X is on the workers. This process has y and weights of all rows. The workers have them too."""

    partitions: Partitions
    targets: list[list[Future | None]]

    @classmethod
    def of(
        cls, X: Partitions, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Self:
        """X: the partitions. The other arguments are those of `data.examples.as_examples`."""
        here = cls(*as_examples(np.empty((X.shape[0], 0)), dtype, codes=codes, Y=Y, weights=weights))
        here.partitions = X
        here.send_targets()
        return here

    def send_targets(self) -> None:
        """Send y and the weights of each partition to the workers, for the first time or again."""
        codes = self.codes.astype(np.min_scalar_type(self.codes.max(initial=0)))
        cuts = self.partitions.starts[1:-1]
        parts = [np.split(values, cuts) if values.size else None for values in (codes, self.Y, self.weights)]
        self.targets = [
            [self.partitions.cluster.send(part[p]) if part else None for part in parts]
            for p in range(len(self.partitions.futures))
        ]

    def recover(self) -> None:
        """If something on the workers is lost, submit all tasks for X, y and the weights again."""
        held = [*self.partitions.futures, *(part for parts in self.targets for part in parts if part)]
        if any(future.status not in ("finished", "pending") for future in held):
            self.partitions.load()
            self.send_targets()

    def by_partition(self, rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64], NDArray[np.intp]]]:
        """Divide the rows among the partitions that have them.

        For each such partition p, the result has a triple: p, its rows as counted within p, and the positions of these
        rows in `rows`.
        """
        owners = np.searchsorted(self.partitions.starts, rows, side="right") - 1
        by_owner = np.argsort(owners, kind="stable")
        cuts = np.flatnonzero(np.diff(owners[by_owner])) + 1
        return [
            (int(p), rows[places] - self.partitions.starts[p], places)
            for places in np.split(by_owner, cuts)
            for p in owners[places[:1]]
        ]
