"""``python -m fastbp warmup``: compile all kernels now and keep them on disk."""

import argparse
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..data.examples import as_examples
from ..kernels.compiling import cache
from ..kernels.compiling.jit import DEFERRED
from ..kernels.optimizers import ADAM, RATES, SWEEPS, step_all
from ..network.architecture import Network
from ..parallel.team import Team
from ..training import shuffling
from ..training.evaluation import predict, predict_row
from ..training.trainer import Trainer
from ..version import __version__
from . import cache_folders, machine
from .progress import Compiling


def run(options: argparse.Namespace) -> int:
    """Compile all kernels for the dtypes, and print the time of each part. Returns 1 if the kernels cannot be kept."""
    dtypes = ["float32", "float64"] if options.dtype == "both" else [options.dtype]
    parts = [(dtype, *part) for dtype in dtypes for part in _parts(np.dtype(dtype))]
    start = time.perf_counter()
    print(f"Compiling fastbp {__version__} for {machine.compiled_for()[0]}, in {len(parts)} parts", flush=True)
    for dtype, name, compile_part in parts:
        print(f"  {dtype}  {name:19}", end=" ... ", flush=True)
        before = time.perf_counter()
        with Compiling() as compiling:
            compile_part()
        result = "compiled" if compiling.kernels else "already there"
        print(f"{time.perf_counter() - before:5.1f} s  {result}", flush=True)
        if not cache_folders.all_kept():
            lacks = f"This Numba lacks {', '.join(cache.MISSING)}" if cache.MISSING else "No folder takes compiled code"
            print(f"\n{lacks}, so every process has to compile anew:")
            print(cache_folders.states())
            return 1
    files = cache_folders.files_in_use()
    print(f"\n{time.perf_counter() - start:.0f} s. {cache_folders.megabytes(files)} of machine code are in")
    print("\n".join(f"  {folder}" for folder in sorted({str(path.parent) for path in files})))
    return 0


def _parts(dtype: np.dtype) -> Iterator[tuple[str, Callable[[], None]]]:
    """For each part of the kernels for a dtype, a pair: the part's name, and a function that compiles it."""
    yield "all building blocks", functools.partial(_compile_deferred, dtype)
    teams = {"serial": Team(1)}
    if machine.threading_layer():  # without a threading layer all fits are serial
        teams["parallel"] = _Pair()
    for (kind, team), training in itertools.product(teams.items(), (True, False)):
        name = f"{kind} {'training' if training else 'prediction'}"
        yield name, functools.partial(_compile_entries, dtype, team, training=training)


class _Pair(Team):
    """A team of two tasks on any number of threads, so that parallel kernels also run on a machine of one core."""

    def __init__(self) -> None:
        super().__init__(2)

    def run(self, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
        return kernel(*args)


def _compile_deferred(dtype: np.dtype) -> None:
    """Compile the kernels that only some networks need."""
    for kernel in DEFERRED:
        kernel.address(dtype)


def _compile_entries(dtype: np.dtype, team: Team, *, training: bool) -> None:
    """Train a network of one weight for one step, or predict with such a network.

    This compiles the entries for every network and all data, because the arguments of an entry always have the same
    types.
    """
    network = Network((1, 1), ("logistic",), "binary_cross_entropy", dtype)
    weights = [np.zeros((1, 1))], [np.zeros(1)]
    theta = network.layout.pack(*weights)
    examples, order = as_examples(np.zeros((1, 1), dtype), dtype, codes=np.zeros(1, np.int64)), np.arange(1)
    if training:
        shuffling.shuffle(np.arange(shuffling.FEWEST), np.random.RandomState())
        trainer = Trainer(network, theta, examples, batch=1, team=team, optimizer=ADAM)
        trainer.epoch(order)
        sweep = SWEEPS[ADAM].address(dtype)
        step_all(
            ADAM, sweep, network.layout.units, np.zeros(1, RATES), 1.0, 1, theta, trainer.grad, trainer.moment_1,
            trainer.moment_2,
        )  # fmt: skip
    else:
        predict(network, theta, examples, order, team)
        predict_row(network, *weights, np.zeros(1, dtype))
