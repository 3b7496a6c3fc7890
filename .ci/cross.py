"""Compile all kernels for AArch64 on this machine, without running them: python .ci/cross.py SOURCES CACHE."""

import argparse
import importlib.machinery
import sys

import llvmlite.binding as llvm
from llvmlite.binding import targets

TRIPLE = "aarch64-unknown-linux-gnu"
sources, cache = sys.argv[1:]
# Numba asks llvmlite for the kind of CPU, and gets these answers.
llvm.initialize_native_target = llvm.initialize_all_targets
llvm.initialize_native_asmprinter = llvm.initialize_all_asmprinters
llvm.get_process_triple = targets.get_process_triple = lambda: TRIPLE
llvm.Target.from_default_triple = classmethod(lambda cls: cls.from_triple(TRIPLE))

import numba  # noqa: E402
import sklearn.neural_network  # noqa: E402, F401  (it must be imported before the next answer)
from numba.core.registry import CPUDispatcher  # noqa: E402

numba.config.CACHE_DIR = cache
# The cache asks for the binary interface of the process that will load the code.
importlib.machinery.EXTENSION_SUFFIXES[0] = f".cpython-3{sys.version_info.minor}-aarch64-linux-gnu.so"
CPUDispatcher.__call__ = lambda self, *args: self.compile(tuple(map(self.typeof_pyval, args))) and None
sys.path.insert(0, sources)

from fastbp.cli import machine, warmup  # noqa: E402
from fastbp.training import shuffling  # noqa: E402

machine.threading_layer = lambda: "omp"
shuffling._state_is_known = lambda: True
sys.exit(warmup.run(argparse.Namespace(dtype="both")))
