"""The machine that a job runs on, in words."""

import os
import pathlib
import platform
import re

from ..kernels.compiling import target

# The features of a CPU that matter most for the kernels' vector instructions.
NOTABLE_FEATURES = ("sse2", "avx", "fma", "avx2", "avx512f", "neon", "sve")
# A machine is busy if its load is at least BUSY times its number of cores. A fit then may have to wait for cores.
BUSY = 0.5


def compiled_for() -> tuple[str, list[str]]:
    """(name, notable features) of the CPU that the kernels are compiled for."""
    return target.CPU, [feature for feature in NOTABLE_FEATURES if f"+{feature}" in target.FEATURES.split(",")]


def processor() -> str:
    """The model name of the CPU if Linux tells it, otherwise the kind of CPU."""
    try:
        known = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        known = None
    return known[1] if known else platform.processor() or platform.machine()


def cores() -> int:
    """The number of cores of the machine. Perhaps this process may use only some of them."""
    return os.cpu_count() or 1


def _cores_in_words() -> str:
    return f"{cores()} core{'s' if cores() > 1 else ''}"


def load() -> float | None:
    """The average number of threads that wanted to run in the last minute; None if the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has no getloadavg
        return None


def described(load: float | None) -> str:
    """The machine and its load in a few words."""
    words = f"{processor()} ({compiled_for()[0]}), {_cores_in_words()}"
    return words if load is None else f"{words}, load average {load:.1f}"


def busy(load: float | None) -> str:
    """A sentence that says how busy the machine was; an empty string if it was not busy, or if the load is unknown."""
    if load is None or load < BUSY * cores():
        return ""
    return f"The machine was busy in the minute before: load average {load:.1f} on {_cores_in_words()}."
