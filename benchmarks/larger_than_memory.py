"""Train on a file larger than the memory that this process may use: with fit, then in chunks (Linux).

python benchmarks/larger_than_memory.py [--file MB] [--memory MB] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import pathlib
import re
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastbp import BackpropClassifier

N_FEATURES, N_CLASSES, CHUNK = 500, 5, 5_000
CLASSES = np.arange(N_CLASSES)


def write(path: pathlib.Path, megabytes: int) -> NDArray[np.int64]:
    """Write a file of whole numbers, chunk by chunk, and return y.

    The class of a row is the index of the largest among its first features.
    """
    n, rng = megabytes * 1_000_000 // (2 * N_FEATURES), np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.int16, (n, N_FEATURES))
    y = np.empty(n, np.int64)
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        X[part] = rng.normal(0, 10, (part.stop - start, N_FEATURES))
        y[part] = X[part, :N_CLASSES].argmax(axis=1)
    return y


def chunks(X: NDArray[np.int16], y: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield CHUNK examples at a time, like a database or a stream."""
    for start in range(0, len(X), CHUNK):
        yield X[start : start + CHUNK].astype(np.float32), y[start : start + CHUNK]


def limit(megabytes: int) -> None:
    """Limit the private memory of this process to so much more than it has now. Mapped files do not count."""
    status = pathlib.Path("/proc/self/status").read_text()
    found = re.search(r"^VmData:\s+(\d+) kB", status, re.M)
    assert found is not None
    most = 1024 * int(found[1]) + megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=int, default=400, metavar="MB", help="size of the file (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=100, metavar="MB", help="private memory (default: %(default)s)")
    parser.add_argument("--folder", help="folder of the temporary file (default: the system's)")
    options = parser.parse_args()

    warnings.simplefilter("ignore", ConvergenceWarning)  # a few epochs are enough here
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (32,),
        "dtype": "float32",
        "learning_rate_init": 0.003,
        "random_state": 0,
    }
    whole = BackpropClassifier(early_stopping=True, max_iter=3, **settings)
    in_chunks = BackpropClassifier(**settings)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = pathlib.Path(folder) / "X.npy"
        y = write(path, options.file)
        X = np.load(path, mmap_mode="r")
        print(f"{path}: {len(X)} rows of {N_FEATURES} numbers, {path.stat().st_size / 1e6:.0f} MB")
        whole.fit(X[:CHUNK], y[:CHUNK]).predict(X[:CHUNK])  # compiles, or loads compiled code
        in_chunks.partial_fit(X[:CHUNK].astype(np.float32), y[:CHUNK], classes=CLASSES)
        limit(options.memory)
        print(f"private memory from now on: {options.memory} MB")

        start = time.perf_counter()
        whole.fit(X, y)
        print(f"fit, {whole.n_iter_} epochs: {time.perf_counter() - start:.1f} s, accuracy {whole.score(X, y):.3f}")

        start = time.perf_counter()
        for X_chunk, y_chunk in chunks(X, y):
            in_chunks.partial_fit(X_chunk, y_chunk)
        seconds = time.perf_counter() - start
        print(f"partial_fit, chunks of {CHUNK}: {seconds:.1f} s, accuracy {in_chunks.score(X, y):.3f}")


if __name__ == "__main__":
    main()
