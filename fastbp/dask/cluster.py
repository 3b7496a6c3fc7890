"""The workers of a Dask cluster, and the partitions of X that they hold.

All that a worker holds is the result of a task that the scheduler knows, so that another worker can compute it again.
"""

import copy
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from dask.delayed import Delayed, delayed
from distributed import CancelledError, Client, Future, KilledWorker, get_client, wait
from numpy.typing import NDArray

from ..data.examples import Examples, as_examples
from .worker import checked, joined, size_and_dtype, these

# Dask warns of tasks above 10 MB.
PIECE_BYTES = 4 << 20
# Between two looks at whether there are workers at all, and for how long there may be none: those that died start anew.
LOOK_SECONDS, WORKERLESS_SECONDS = 10.0, 60.0
# What was computed on workers that died is computed by others, over and over unless it kills them, which Dask decides.
ATTEMPTS = 3


class Cluster:
    """The workers that the current client of dask.distributed leads to.

    Raises
    ------
    RuntimeError
        There is no client, or an asynchronous one.
    """

    def __init__(self) -> None:
        try:
            self.client: Client = get_client()
        except ValueError as error:
            raise RuntimeError(
                "A fit on Dask collections needs workers, but there is no dask.distributed.Client. Create one before: "
                "client = dask.distributed.Client(), on this machine, or Client(address) of a scheduler."
            ) from error
        if self.client.asynchronous:
            raise RuntimeError("A fit on Dask collections needs a Client that is not asynchronous.")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """The future result of a task of its own."""
        return self.client.submit(function, *args, pure=False)

    def send(self, values: NDArray) -> Future:
        """An array as a task that holds it, so that it cannot be lost with a worker; in pieces if it is large."""
        n = math.ceil(values.nbytes / PIECE_BYTES)
        if n <= 1:
            return self.submit(these, values)
        return self.submit(joined, [self.submit(these, piece) for piece in np.array_split(values, n)])

    def argument(self, values: NDArray) -> NDArray | Future:
        """An array as an argument of a task, in its specification unless it is large."""
        return values if values.nbytes <= PIECE_BYTES else self.send(values)

    def results(self, futures: list[Future]) -> list[Any]:
        """What they are, once all are done; raises RuntimeError if there have been no workers for a while."""
        looks = WORKERLESS_SECONDS / LOOK_SECONDS
        while True:
            try:
                wait(futures, timeout=LOOK_SECONDS)
                break
            except TimeoutError:
                looks = WORKERLESS_SECONDS / LOOK_SECONDS if self.client.nthreads() else looks - 1
                if looks <= 0:
                    raise RuntimeError(
                        f"{self.client} has had no workers for {WORKERLESS_SECONDS:g} seconds: start some."
                    ) from None
        for future in futures:
            if future.status == "error":
                # The client keeps the original, which would keep what it is raised through, and this the futures.
                raise copy.copy(future.exception()).with_traceback(future.traceback())
        return list(self.client.gather(futures))

    def compute(self, ask: Callable[[], list[Future]], recover: Callable[[], None]) -> list[Any]:
        """Results of the futures that `ask` gives; what was lost in spite of Dask's own care is asked for again.

        Raises RuntimeError when that does not help.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                recover()
            try:
                return self.results(ask())
            except (KilledWorker, CancelledError) as error:
                lost = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"The cluster lost what this fit computes, {ATTEMPTS} times. Maybe a partition is too large for a worker: "
            f"use smaller ones. The last time it was {lost}"
        )


class Partitions:
    """X on the workers, checked: what `Perceptron` asks of an X, and the blocks of rows that it consists of.

    Parameters
    ----------
    cluster : Cluster
    blocks : list of Delayed
        Rows of X, in their order; some may be empty.
    n_features : int
        S_1.
    name : str
        Of the estimator, for errors.

    Attributes
    ----------
    network : tuple of int
        (m, S_1).
    dtype : numpy.dtype
        float32, where all blocks are, or float64.
    starts : ndarray of int64
        First row of each block that has any, and m.
    futures : list of Future
        These blocks.
    """

    def __init__(self, cluster: Cluster, blocks: list[Delayed], n_features: int, name: str):
        self.cluster, self._blocks, self._arguments = cluster, blocks, (n_features, name)
        self.futures: list[Future] = []
        found = cluster.compute(self._load_and_measure, lambda: None)
        sizes = np.array([size for size, _ in found])
        self.dtype = np.result_type(*(dtype for size, dtype in found if size or not sizes.any()))
        self.starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        self.shape = int(self.starts[-1]), n_features
        self._blocks = [block for block, size in zip(blocks, sizes, strict=True) if size]
        self.futures = [future for future, size in zip(self.futures, sizes, strict=True) if size]

    def load(self) -> None:
        """Have the blocks computed, maybe anew."""
        self.futures = []  # forgotten by the scheduler, with whatever happened to them
        check = delayed(checked, pure=False)
        self.futures = self.cluster.client.compute([check(block, *self._arguments) for block in self._blocks])

    def _load_and_measure(self) -> list[Future]:
        self.load()
        return [self.cluster.submit(size_and_dtype, block) for block in self.futures]

    def __len__(self) -> int:
        return self.shape[0]


class DistributedExamples(Examples):
    """Examples whose X is on the workers; y and weights are here, and each worker has those of its rows."""

    partitions: Partitions
    targets: list[list[Future | None]]

    @classmethod
    def of(
        cls, X: Partitions, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Self:
        """As `as_examples`."""
        here = cls(*as_examples(np.empty((X.shape[0], 0)), dtype, codes=codes, Y=Y, weights=weights))
        here.partitions = X
        here.send_targets()
        return here

    def send_targets(self) -> None:
        """Give each worker y and weights of its rows, maybe anew."""
        codes = self.codes.astype(np.min_scalar_type(self.codes.max(initial=0)))
        cuts = self.partitions.starts[1:-1]
        parts = [np.split(values, cuts) if values.size else None for values in (codes, self.Y, self.weights)]
        self.targets = [
            [self.partitions.cluster.send(part[p]) if part else None for part in parts]
            for p in range(len(self.partitions.futures))
        ]

    def recover(self) -> None:
        """Have what the workers hold computed anew, if any of it is lost."""
        held = [*self.partitions.futures, *(part for parts in self.targets for part in parts if part)]
        if any(future.status not in ("finished", "pending") for future in held):
            self.partitions.load()
            self.send_targets()

    def by_partition(self, rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64], NDArray[np.intp]]]:
        """(partition, which of its rows, where in `rows` these are) for each partition that has any of them."""
        owners = np.searchsorted(self.partitions.starts, rows, side="right") - 1
        by_owner = np.argsort(owners, kind="stable")
        cuts = np.flatnonzero(np.diff(owners[by_owner])) + 1
        return [
            (int(p), rows[places] - self.partitions.starts[p], places)
            for places in np.split(by_owner, cuts)
            for p in owners[places[:1]]
        ]
