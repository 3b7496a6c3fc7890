"""Kernels on disk: their folders and files, and whether the next process finds all kernels."""

import pathlib
from collections.abc import Iterator

import numba

from ..kernels.compiling import cache, target
from ..kernels.compiling.jit import KEPT, VARIANT


def all_kept() -> bool:
    """Whether the next process finds on disk all kernels that this process has compiled or loaded."""
    kept = (signature in kernel._cache.files for kernel in KEPT for signature in kernel.signatures)
    return not cache.MISSING and all(kept)


def files_in_use() -> set[pathlib.Path]:
    """The files of all kernels that this process has loaded from disk or saved there."""
    return {path for kernel in KEPT for path in kernel._cache.files.values()}


def megabytes(files: set[pathlib.Path]) -> str:
    """The total size of these files as text, such as '1.5 MB'."""
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


def states() -> str:
    """Lines about each folder of the cache, in the order in which a process searches the folders."""
    return "\n".join(_state(folder) for folder in cache.folders())


def _state(folder: pathlib.Path) -> str:
    lines = [f"  {folder}"]
    if refusal := cache.refusal(folder):
        return "\n".join([*lines, f"    refused: {refusal}"])
    lines.append("    trusted, writable" if cache.writable(folder) else "    trusted, not writable")
    conditions = cache.conditions(VARIANT)
    files, numbers = set(folder.glob("*.kernel")), {"this CPU and these settings": 0, "other CPUs or settings": 0}
    for path in sorted(files):
        try:
            key, _ = cache.read(path)
        except (OSError, ValueError) as error:
            lines.append(f"    not usable: {error}")
            continue
        numbers["this CPU and these settings" if key.endswith(conditions) else "other CPUs or settings"] += 1
    lines += [f"    for {whom}: {number} kernels" for whom, number in numbers.items() if number]
    lines[1] += f", {megabytes(files)}" if files else ", empty"
    return "\n".join(lines)


def prebuilt() -> str:
    """Which kernels of the installation this process may use, or why it uses none."""
    if not cache.PREBUILT.is_dir():
        return "none in this installation"
    if not target.level():
        chosen = numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None
        return "not used: NUMBA_CPU_NAME or NUMBA_CPU_FEATURES is set" if chosen else "none for this CPU"
    folder = cache.prebuilt_folder()
    if folder is None:
        wanted = cache.PREBUILT / f"kernels-{cache.prebuilt_digest()}"
        return cache.refusal(wanted) or "none for these versions of fastbp, Numba, NumPy and Python"
    files = {path for _, path in _usable(folder, cache.conditions(VARIANT, level=target.level()))}
    if not files:
        return f"none for {target.level()} and these settings"
    return f"{len(files)} for {target.level()}, {megabytes(files)}"


def origins() -> str:
    """For each place on disk, the names of the kernels that this process would load from there."""
    places = [(folder, cache.conditions(VARIANT)) for folder in cache.folders() if not cache.refusal(folder)]
    if folder := cache.prebuilt_folder():
        places.insert(0, (folder, cache.conditions(VARIANT, level=target.level())))
    lines: list[str] = []
    seen: set[str] = set()
    for folder, conditions in places:
        found = {signature for signature, _ in _usable(folder, conditions)} - seen
        seen |= found
        if found:
            lines += [f"  {folder}", f"    {' '.join(sorted({each.split()[0] for each in found}))}"]
    return "\n".join(lines or ["  nowhere yet"])


def _usable(folder: pathlib.Path, conditions: str) -> Iterator[tuple[str, pathlib.Path]]:
    """(name and signature, file) of each kernel in a folder that was compiled under these conditions."""
    for path in folder.glob("*.kernel"):
        try:
            key, _ = cache.read(path)
        except (OSError, ValueError):
            continue
        if key.endswith(conditions):
            yield key.removesuffix(conditions).strip(), path
