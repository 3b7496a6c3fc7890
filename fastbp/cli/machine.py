"""The machine that a job runs on, in words."""

import os
import pathlib
import platform
import re

import numba
from numba.core.registry import cpu_target

# These features of a CPU decide which instructions a kernel has, and the size of its register tiles.
NOTABLE_FEATURES = ("sse2", "avx", "fma", "avx2", "avx512f", "neon", "sve")
# A machine is busy if its load is at least BUSY times its number of cores. A fit then has to wait for some cores.
BUSY = 0.5


def compiled_for() -> tuple[str, list[str]]:
    """(name, notable features) of the CPU that the kernels are compiled for."""
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    return name, [feature for feature in NOTABLE_FEATURES if f"+{feature}" in features.split(",")]


def processor() -> str:
    """The name that the maker gives the CPU, or else the kind of the machine."""
    try:
        known = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        known = None
    return known[1] if known else platform.processor() or platform.machine()


def cores() -> int:
    """The number of cores of the machine. This process may not be allowed to use all of them."""
    return os.cpu_count() or 1


def _cores_in_words() -> str:
    return f"{cores()} core{'s' if cores() > 1 else ''}"


def load() -> float | None:
    """The average number of threads that wanted to run, over the last minute; None if the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return None


def described(load: float | None) -> str:
    """The machine and its load in a few words."""
    words = f"{processor()} ({compiled_for()[0]}), {_cores_in_words()}"
    return words if load is None else f"{words}, load average {load:.1f}"


def busy(load: float | None) -> str:
    """A sentence about a load that disturbs a measurement; empty if the load is smaller or unknown."""
    if load is None or load < BUSY * cores():
        return ""
    return f"The machine was busy in the minute before: load average {load:.1f} on {_cores_in_words()}."


def threading_layer() -> str:
    """Numba's threading layer; empty if none loads."""
    try:
        numba.get_num_threads()  # makes Numba choose its layer
        return str(numba.threading_layer())
    except ValueError:
        return ""
