"""A build hook of Hatchling: a wheel with the machine code of all kernels, so that a first fit compiles nothing.

The environment variable FASTBP_PREBUILT names the levels of CPUs, such as "x86-64-v3,x86-64-v4", or "all". Without it
the wheel is the usual one, for every platform. The code serves the versions of Numba and Python that build the wheel,
and NumPy's of the same major number. Elsewhere the package compiles as usual.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "FASTBP_PREBUILT"


class PlatformWheel(BuildHookInterface):
    def dependencies(self) -> list[str]:
        """The build compiles the kernels, so it imports the package, and needs the dependencies of the package."""
        return self.metadata.core.dependencies if os.environ.get(SWITCH) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not os.environ.get(SWITCH) or version == "editable":
            return
        levels = self._levels()
        self._folder = tempfile.TemporaryDirectory()
        paths = filter(None, [self.root, os.environ.get("PYTHONPATH")])  # pip finds the requirements by PYTHONPATH
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        for level in levels:
            compile_all = [sys.executable, "-m", "fastbp", "warmup", "--cpu", level, "--into", self._folder.name]
            subprocess.run(compile_all, cwd=self.root, env=environment, check=True)
        build_data["force_include"][self._folder.name] = "fastbp/kernels/prebuilt"
        build_data["pure_python"] = False
        build_data["tag"] = _tag(sorted({level.machine for level in levels.values()}))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def _levels(self) -> dict[str, Any]:
        """The levels of the package that the variable names."""
        sys.path.insert(0, self.root)
        from fastbp.kernels.compiling.levels import LEVELS  # this module imports only the standard library

        sys.path.remove(self.root)
        wanted = os.environ[SWITCH].replace(",", " ").split()
        names = list(LEVELS) if wanted == ["all"] else wanted
        if unknown := sorted(set(names) - set(LEVELS)):
            raise ValueError(f"{SWITCH} names levels of {', '.join(LEVELS)}, or is all; got {', '.join(unknown)}")
        return {name: LEVELS[name] for name in names}


def _tag(machines: list[str]) -> str:
    """The tag of the wheel: this Python, and the platforms of the machines, whose names LLVM and wheels share.

    On Linux the machine code needs only functions that every C library of manylinux2014 has.
    """
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    interface = python + sys.abiflags if hasattr(sys, "abiflags") else python
    if sys.platform == "linux":
        platforms = ".".join(f"manylinux_2_17_{machine}" for machine in machines)
    else:
        platforms = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{interface}-{platforms}"
