"""``python -m fastbp warmup`` and ``python -m fastbp info``: compile all kernels now, and say how things are."""

import argparse
import functools
import itertools
import os
import pathlib
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
import scipy
import sklearn
from numba.core.registry import cpu_target

import fastbp

from ..data.examples import as_examples
from ..kernels.compiling import cache
from ..kernels.compiling.jit import CHECKED, DEFERRED, KEPT, VARIANT
from ..kernels.machine import registers
from ..kernels.optimizers import ADAM, RATES, SWEEPS, step_all
from ..network.architecture import Network
from ..parallel.team import Team
from ..training import shuffling
from ..training.evaluation import predict, predict_row
from ..training.trainer import Trainer

# What decides which tile and which instructions the kernels get.
NOTABLE_FEATURES = ("sse2", "avx", "fma", "avx2", "avx512f", "neon", "sve")


class _Pair(Team):
    """Two tasks on whatever threads there are, so that the parallel kernels run on a machine of one core, too."""

    def __init__(self) -> None:
        super().__init__(2)

    def run(self, kernel: Callable[..., Any], *args: Any, work: float) -> Any:
        return kernel(*args)


def _compile_entries(dtype: np.dtype, team: Team, *, training: bool) -> None:
    """Train a network of one weight for a step, or predict with it.

    Entries see arrays of the same types whatever the data and the network, so this compiles all there are.
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
        step_all(ADAM, sweep, np.zeros(1, RATES), 1, theta, trainer.grad, trainer.moment_1, trainer.moment_2)
    else:
        predict(network, theta, examples, order, team)
        predict_row(network, *weights, np.zeros(1, dtype))


def _compile_deferred(dtype: np.dtype) -> None:
    """Compile all that only some networks need."""
    for kernel in DEFERRED:
        kernel.address(dtype)


def _jobs(dtype: np.dtype) -> Iterator[tuple[str, Callable[[], None]]]:
    """(name, function) of each part of what there is to compile for a dtype."""
    yield "all building blocks", lambda: _compile_deferred(dtype)
    teams = {"serial": Team(1)}
    if _threading_layer():  # else fits are serial, too
        teams["parallel"] = _Pair()
    for (kind, team), (what, training) in itertools.product(teams.items(), (("training", True), ("prediction", False))):
        yield f"{kind} {what}", functools.partial(_compile_entries, dtype, team, training=training)


def _misses() -> int:
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in KEPT)


def _all_kept() -> bool:
    """Whether the next process finds all that this one has compiled."""
    return all(signature in kernel._cache.files for kernel in KEPT for signature in kernel.signatures)


def warmup(options: argparse.Namespace) -> int:
    """Compile all kernels for the dtypes and keep them on disk; 1 if they cannot be kept."""
    dtypes = ["float32", "float64"] if options.dtype == "both" else [options.dtype]
    start = time.perf_counter()
    print(f"Compiling fastbp {fastbp.__version__} for {_cpu()[0]}: some seconds to a minute a line", flush=True)
    for dtype, name, job in ((kind, *job) for kind in dtypes for job in _jobs(np.dtype(kind))):
        print(f"  {dtype}  {name:19}", end=" ... ", flush=True)
        before, misses = time.perf_counter(), _misses()
        job()
        what = "compiled" if _misses() > misses else "already there"
        print(f"{time.perf_counter() - before:5.1f} s  {what}", flush=True)
        if not _all_kept():
            print("\nNo folder takes compiled code, so that every process has to compile anew:")
            print("\n".join(_state(folder) for folder in cache.folders()))
            return 1
    files = {path for kernel in KEPT for path in kernel._cache.files.values()}
    print(f"\n{time.perf_counter() - start:.0f} s. {_megabytes(files)} of machine code are in")
    print("\n".join(f"  {folder}" for folder in sorted({str(path.parent) for path in files})))
    return 0


def _megabytes(files: set[pathlib.Path]) -> str:
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def _writable(folder: pathlib.Path) -> bool:
    """Whether files can be made there, and the folder itself if need be."""
    nearest = next(part for part in (folder, *folder.parents) if part.exists())
    return os.access(nearest, os.W_OK | os.X_OK)


def _state(folder: pathlib.Path) -> str:
    """What is in one cache folder and what may be done with it, in some lines."""
    lines = [f"  {folder}"]
    if refusal := cache.refusal(folder):
        return "\n".join([*lines, f"    refused: {refusal}"])
    lines.append("    trusted, writable" if _writable(folder) else "    trusted, not writable")
    conditions = cache.conditions(cpu_target.target_context.codegen(), VARIANT)
    files, numbers = set(folder.glob("*.kernel")), {"this CPU and these settings": 0, "other CPUs or settings": 0}
    for path in sorted(files):
        try:
            key, _ = cache.read(path)
        except (OSError, ValueError) as error:
            lines.append(f"    not usable: {error}")
            continue
        numbers["this CPU and these settings" if key.endswith(conditions) else "other CPUs or settings"] += 1
    lines += [f"    for {whom}: {number} kernels" for whom, number in numbers.items() if number]
    lines[1] += f", {_megabytes(files)}" if files else ", empty"
    return "\n".join(lines)


def _threading_layer() -> str:
    """Numba's threading layer; empty if none loads."""
    try:
        numba.get_num_threads()  # makes Numba choose its layer
        return str(numba.threading_layer())
    except ValueError:
        return ""


def _threads() -> str:
    layer = _threading_layer()
    if layer in ("", "workqueue"):
        return f"{layer or 'no threading layer'}: fits are serial"
    return f"{layer}, at most {numba.get_num_threads()}"


def _cpu() -> tuple[str, list[str]]:
    """(name, notable features) of the CPU that the kernels are compiled for."""
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return name, [feature for feature in NOTABLE_FEATURES if f"+{feature}" in features.split(",")]


def info(options: argparse.Namespace) -> None:
    """Print versions, CPU, threads and the state of the cache."""
    (cpu, features), host = _cpu(), llvmlite.binding.get_host_cpu_name()
    lanes = ", ".join(f"{registers.VECTOR_BYTES // np.dtype(t).itemsize} {t}" for t in ("float32", "float64"))
    settings = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(("NUMBA_", "FASTBP_"))]
    rows = {
        "fastbp": f"{fastbp.__version__}, {pathlib.Path(fastbp.__file__).parent}",
        "Python": f"{platform.python_version()}, {platform.platform()}",
        "NumPy": np.__version__,
        "Numba": f"{numba.__version__}, llvmlite {llvmlite.__version__}",
        "scikit-learn": f"{sklearn.__version__}, SciPy {scipy.__version__}",
        "": "",
        "CPU": cpu if cpu == host else f"{cpu} (this is a {host})",
        "features": " ".join(features) or "the baseline of its kind",
        "vectors": f"{registers.VECTOR_BYTES} bytes: {lanes}",
        "tile": f"{registers.ROWS} rows of {registers.VECTORS} vectors",
        "threads": _threads(),
        "settings": " ".join(settings) or "none in the environment",
        "checks": "compiled in (FASTBP_DEBUG)" if CHECKED else "none (FASTBP_DEBUG=1 compiles them in)",
    }
    for name, value in rows.items():
        print(f"{name:14}{value}".rstrip())
    print(f"\ncache of version {cache.DIGEST}, in the order of looking")
    print("\n".join(_state(folder) for folder in cache.folders()))
