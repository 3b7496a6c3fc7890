"""Make Linux look like macOS or Windows to fastbp, in a process of its own, and use fastbp there.

fastbp then takes every path that it takes on that system. Code of other packages cannot run as on that system, so all
of it is imported before.
"""

import builtins
import contextlib
import ctypes
import io
import json
import os
import pathlib
import platform
import sys
import warnings

import joblib
import llvmlite.binding
import numba
import numpy as np
import pandas as pd
import scipy.optimize
import sklearn.model_selection
import sklearn.neural_network
import skops.io
import threadpoolctl
from sklearn.datasets import load_iris

IMPORTED = joblib, numba, pd, scipy.optimize, skops.io, sklearn.model_selection, sklearn.neural_network
# The names in the module os that fastbp may look for and that Windows lacks.
NOT_ON_WINDOWS = (
    *("fork", "geteuid", "getloadavg", "getuid", "register_at_fork", "sched_getaffinity", "sched_setaffinity"),
    *("sysconf", "uname"),
)
UNAMES = {
    "darwin": ("Darwin", "here", "25.0.0", "Darwin Kernel Version 25.0.0", "arm64"),
    "win32": ("Windows", "here", "11", "10.0.26100", "AMD64"),
}


def pretend(name: str) -> None:
    """Let this process look like macOS (name: "darwin") or Windows with NumPy 1 ("win32")."""
    system, node, release, version, machine = UNAMES[name]
    sys.platform = name
    platform.system, platform.machine, platform.release = (lambda: system), (lambda: machine), (lambda: release)
    platform.platform, platform.processor = (lambda *_, **__: f"{system}-{release}-{machine}"), (lambda: machine)
    os.uname = lambda: os.uname_result((system, node, release, version, machine))
    _hide_proc()
    # threadpoolctl finds libraries by functions of the system.
    threadpoolctl.ThreadpoolController._load_libraries = lambda self: None
    if name == "win32":
        _like_windows()
    from fastbp.kernels.compiling import target  # no kernel has been imported yet

    target.LINUX, target.WINDOWS = False, name == "win32"


def _hide_proc() -> None:
    opened = io.open

    def without_proc(file, *args, **kwargs):
        if str(file).startswith("/proc/"):
            raise FileNotFoundError(2, "No such file or directory", file)
        return opened(file, *args, **kwargs)

    io.open = builtins.open = without_proc
    pathlib.Path.open = lambda self, *args, **kwargs: without_proc(self, *args, **kwargs)


def _like_windows() -> None:
    for name in NOT_ON_WINDOWS:
        delattr(os, name)
    os.linesep = "\r\n"
    sys.stdout.reconfigure(newline="\r\n", encoding="cp1252")
    yielded = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value
    llvmlite.binding.add_symbol("SwitchToThread", yielded)  # kernels call it
    usual = np.arange

    def arange(*args, dtype=None, **kwargs):
        """As in NumPy 1 on Windows: integers have 32 bits."""
        found = usual(*args, dtype=dtype, **kwargs)
        return found.astype(np.int32) if dtype is None and found.dtype == np.int64 else found

    np.arange = arange


def use(folder: str) -> None:
    """Fit, predict, use the cache and the command line; print the results as JSON."""
    from fastbp import BackpropClassifier, BackpropRegressor
    from fastbp.cli.main import main
    from fastbp.kernels.compiling import cache
    from fastbp.kernels.compiling.jit import KEPT
    from support.programs import digest

    warnings.simplefilter("ignore")
    X, y = load_iris(return_X_y=True)
    results = {"bits": digest(), "bits of one thread": digest(n_jobs=1)}
    losses = []
    for options in ({"early_stopping": True}, {"solver": "lbfgs"}, {"solver": "sgd", "dropout": 0.1}):
        options |= {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
        losses += [class_(**options).fit(X, y).loss_ for class_ in (BackpropClassifier, BackpropRegressor)]
    results["losses"] = losses
    os.chdir(folder)
    pd.DataFrame(X[:60]).assign(kind=y[:60]).to_csv("iris.csv", index=False)
    printed = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline=os.linesep)
    with contextlib.redirect_stdout(printed):
        train = ["train", "iris.csv", "--target", "kind", "--output", "model", "--networks", "1"]
        results["exit codes"] = [main(train), main(["info"])]
        results["folders"] = list(map(str, cache.folders()))
        printed.seek(0)
        printed.truncate()
        results["exit codes"].append(main(["predict", "model", "iris.csv"]))
    results["predictions"] = printed.buffer.getvalue().decode()
    results["compiled"] = sum(sum(kernel.stats.cache_misses.values()) for kernel in KEPT)
    print(json.dumps(results))
