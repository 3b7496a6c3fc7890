"""Levels: kinds of CPUs for which the kernels can be compiled in advance, on any machine.

A level is a set of features that many CPUs have. The levels of x86-64 are those of its psABI: "x86-64-v3" has AVX2 and
FMA, and "x86-64-v4" has AVX-512. "aarch64" has NEON, like all 64-bit CPUs of ARM.

`compile_for` makes this process compile for a level. Nothing that it compiles runs, because this machine may have
another CPU. This file imports neither Numba nor llvmlite, because both must first get the settings of `compile_for`.
"""

import importlib.machinery
import os
import pathlib
import sys
from typing import NamedTuple

PREBUILT = pathlib.Path(__file__).resolve().parents[1] / "prebuilt"  # where this package has its kernels for levels

X86_64, AARCH64 = "x86_64", "aarch64"
_V3 = "+cx16,+sahf,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"


class Level(NamedTuple):
    """A kind of CPU, in LLVM's words."""

    machine: str  # the first part of LLVM's target triple
    cpu: str
    features: str


LEVELS = {
    "x86-64-v3": Level(X86_64, "x86-64-v3", _V3),
    "x86-64-v4": Level(X86_64, "x86-64-v4", f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"),
    "aarch64": Level(AARCH64, "generic", "+neon,+fp-armv8"),
}


class Building(NamedTuple):
    """What `compile_for` compiles for."""

    folder: pathlib.Path  # for the machine code
    binary_interface: str  # see `binary_interface`


building: Building | None = None  # None: the kernels are compiled for this process, which runs them


def machine_of(triple: str) -> str:
    """The machine in a target triple of LLVM: X86_64, AARCH64 or another name."""
    machine = triple.partition("-")[0]
    return {"amd64": X86_64, "arm64": AARCH64}.get(machine, machine)


def compile_for(name: str, folder: pathlib.Path) -> None:
    """From now on, compile the kernels for a level and keep them in a folder; do not run them.

    The kernels must not be imported yet, because they take the size of a vector from the CPU when they are imported.
    Numba gets its default settings, whatever the environment says.

    Parameters
    ----------
    name : str
        Name of the level in LEVELS.
    folder : Path
        It gets a folder `kernels-DIGEST`, as the disk cache has in each of its places.

    Raises
    ------
    RuntimeError
        If the kernels have been imported.
    """
    global building
    if f"{__package__}.target" in sys.modules:
        raise RuntimeError("this process has imported the kernels, so it cannot compile for another CPU")
    level = LEVELS[name]
    for variable in [each for each in os.environ if each.startswith(("NUMBA_", "FASTBP_"))]:
        del os.environ[variable]
    os.environ |= {"NUMBA_CPU_NAME": level.cpu, "NUMBA_CPU_FEATURES": level.features}
    from numba.core import config

    config.reload_config()  # in case Numba has been imported
    import llvmlite.binding

    interface = binary_interface()
    if machine_of(llvmlite.binding.get_process_triple()) != level.machine:
        _set_triple(f"{level.machine}-unknown-linux-gnu")
        interface = f".{sys.implementation.cache_tag}{sys.abiflags}-{level.machine}-linux-gnu.so"
    building = Building(folder, interface)


def binary_interface() -> str:
    """The name of the binary interface of Python, the machine and the system, as in file names of C extensions."""
    return building.binary_interface if building else importlib.machinery.EXTENSION_SUFFIXES[0]


def _set_triple(triple: str) -> None:
    """Make Numba generate code for this target triple.

    Numba asks llvmlite for the triple of this process, so Numba gets a llvmlite with another answer.
    """
    import llvmlite.binding
    from numba.core import codegen

    class ItsTarget(llvmlite.binding.Target):
        @classmethod
        def from_default_triple(cls):
            return cls.from_triple(triple)

    class Binding:
        Target = ItsTarget
        get_process_triple = staticmethod(lambda: triple)
        initialize_native_target = staticmethod(llvmlite.binding.initialize_all_targets)
        initialize_native_asmprinter = staticmethod(llvmlite.binding.initialize_all_asmprinters)

        def __getattr__(self, name):
            return getattr(llvmlite.binding, name)

    codegen.ll = Binding()
