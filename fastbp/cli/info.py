"""``python -m fastbp info``: versions, CPU, threads and the state of the cache, for a bug report."""

import argparse
import os
import pathlib
import platform
import sys
import sysconfig

import llvmlite
import llvmlite.binding
import numba
import numpy as np
import scipy
import sklearn

from ..kernels.compiling import cache, compilers
from ..kernels.compiling.jit import CHECKED
from ..kernels.machine import registers
from ..parallel.team import upper_bound
from ..version import __version__
from . import cache_folders, machine


def run(options: argparse.Namespace) -> None:
    (cpu, features), host = machine.compiled_for(), llvmlite.binding.get_host_cpu_name()
    lanes = ", ".join(f"{registers.VECTOR_BYTES // np.dtype(t).itemsize} {t}" for t in ("float32", "float64"))
    settings = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(("NUMBA_", "FASTBP_"))]
    rows = {
        "fastbp": f"{__version__}, {pathlib.Path(__file__).parents[1]}",
        "Python": f"{platform.python_version()}, {platform.platform()}{_free_threads()}",
        "NumPy": np.__version__,
        "Numba": f"{numba.__version__}, llvmlite {llvmlite.__version__}",
        "scikit-learn": f"{sklearn.__version__}, SciPy {scipy.__version__}",
        "": "",
        "machine": machine.described(machine.load()),
        "CPU": cpu if cpu == host else f"{cpu} (this is a {host})",
        "features": " ".join(features) or "the baseline of its kind",
        "vectors": f"{registers.VECTOR_BYTES} bytes: {lanes}",
        "tile": f"{registers.ROWS} rows of {registers.VECTORS} vectors",
        "compiler": _compiler(),
        "prebuilt": cache_folders.prebuilt(),
        "threads": f"at most {upper_bound(None)}",
        "settings": " ".join(settings) or "none in the environment",
        "checks": "compiled in (FASTBP_DEBUG)" if CHECKED else "none (FASTBP_DEBUG=1 compiles them in)",
    }
    for name, value in rows.items():
        print(f"{name:14}{value}".rstrip())
    print(f"\ncache of version {cache.DIGEST}, searched in this order")
    print(cache_folders.states())
    print("\nkernels on disk, by the folder that a fit loads them from")
    print(cache_folders.origins())


def _free_threads() -> str:
    """Whether a Python with free threads has them now. An extension module that is not made for them ends them."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return ""
    return (
        ", with the GIL, because a module needs it"
        if getattr(sys, "_is_gil_enabled", lambda: True)()
        else ", without the GIL"
    )


def _compiler() -> str:
    missing = [*compilers.MISSING, *cache.MISSING]
    return f"plain njit, because this Numba lacks {', '.join(missing)}" if missing else "Numba's, made faster"
