"""``python -m fastbp warmup``: compile all kernels now and keep them on disk."""

import argparse
import functools
import time
from collections.abc import Callable, Iterator

import numpy as np

from ..data.examples import Examples, as_examples
from ..kernels.compiling import cache
from ..kernels.compiling.jit import DEFERRED
from ..kernels.optimizers import ADAM, RATES, SWEEPS, step_all
from ..network.architecture import Network
from ..parallel.crew import prepare
from ..parallel.team import Team
from ..training import shuffling
from ..training.evaluation import predict, predict_row
from ..training.trainer import Trainer
from ..typing import Array
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
        print(f"  {dtype}  {name:29}", end=" ... ", flush=True)
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
    for job, compile_entries in JOBS.items():
        yield job, functools.partial(compile_entries, dtype)


def _compile_deferred(dtype: np.dtype) -> None:
    """Compile the kernels that only some networks need."""
    for kernel in DEFERRED:
        kernel.address(dtype)


def _network_of_one_weight(dtype: np.dtype) -> tuple[Network, Array, Examples]:
    """(network, theta, examples) to call an entry with.

    This call compiles the entry for every network of the dtype and for all data, because the types of the arguments are
    always the same.
    """
    network = Network((1, 1), ("logistic",), "binary_cross_entropy", dtype)
    theta = network.layout.pack([np.zeros((1, 1))], [np.zeros(1)])
    return network, theta, as_examples(np.zeros((1, 1), dtype), dtype, codes=np.zeros(1, np.int64))


def _train(dtype: np.dtype) -> None:
    """Compile the entries of a training without extras, and what the workers need."""
    prepare()
    network, theta, examples = _network_of_one_weight(dtype)
    shuffling.shuffle(np.arange(shuffling.FEWEST, dtype=np.int64), np.random.RandomState())
    trainer = Trainer(network, theta, examples, batch=1, team=Team(1), optimizer=ADAM)
    trainer.epoch(np.arange(1))
    sweep, units, rates = SWEEPS[ADAM].address(dtype), network.layout.units, np.zeros(1, RATES)
    step_all(ADAM, sweep, units, rates, 1.0, 1, theta, trainer.grad, trainer.moment_1, trainer.moment_2)


def _train_with_extras(dtype: np.dtype) -> None:
    """Compile the entry of a training with dropout, weight decay and so on."""
    network, theta, examples = _network_of_one_weight(dtype)
    Trainer(network, theta, examples, batch=1, team=Team(1), optimizer=ADAM, planned=True).epoch(np.arange(1))


def _predict(dtype: np.dtype) -> None:
    """Compile the entries of a prediction."""
    network, theta, examples = _network_of_one_weight(dtype)
    predict(network, theta, examples, np.arange(1), Team(1))
    predict_row(network, *network.layout.unpack(theta), np.zeros(1, dtype))


JOBS = {"training": _train, "training with extras": _train_with_extras, "prediction": _predict}
