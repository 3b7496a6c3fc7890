"""``python -m fastbp warmup``: compile all kernels now and keep them on disk, for this CPU or for a level of CPUs."""

import argparse
import pathlib
import time

from ..kernels.compiling import levels
from ..version import __version__
from .errors import UserError


def run(options: argparse.Namespace) -> int:
    """Compile all kernels for the dtypes, and print the time of each part. Returns 1 if the kernels cannot be kept."""
    if options.into is not None and options.cpu is None:
        raise argparse.ArgumentTypeError("argument --into: needs --cpu, because the cache chooses its own folder")
    if options.cpu is not None:
        _compile_for(options.cpu, options.into)
    # These modules import the kernels, and the kernels must not be imported before it is known for which CPU.
    import numpy as np

    from ..kernels.compiling import cache
    from . import all_kernels, cache_folders, machine
    from .progress import Compiling

    dtypes = ["float32", "float64"] if options.dtype == "both" else [options.dtype]
    parts = [(dtype, *part) for dtype in dtypes for part in all_kernels.parts(np.dtype(dtype))]
    start = time.perf_counter()
    cpu = options.cpu or machine.compiled_for()[0]
    print(f"Compiling fastbp {__version__} for {cpu}, in {len(parts)} parts", flush=True)
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


def _compile_for(level: str, into: str | None) -> None:
    """Let this process compile for a level of CPUs. into: a folder for the kernels, by default the package's own."""
    folder = levels.PREBUILT if into is None else pathlib.Path(into)
    try:
        levels.compile_for(level, folder)
    except RuntimeError as error:
        raise UserError(f"--cpu {level}: {error}") from None
