"""Programs in fresh processes, with the caches of this machine or with empty ones."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import fastbp


def empty_caches(folder: pathlib.Path) -> dict[str, str]:
    """An environment without compiled code: a copy of the package, and an empty folder for every cache."""
    package = pathlib.Path(fastbp.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(folder)}
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "NUMBA_CACHE_DIR"):
        environment[name] = str(folder / name)
        (folder / name).mkdir()
    return environment


def run_python(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """The output of a fresh interpreter."""
    command = [sys.executable, "-W", "ignore", *arguments]
    process = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout
