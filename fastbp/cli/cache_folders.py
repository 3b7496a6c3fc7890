"""The disk cache of compiled kernels: its folders, their files, and whether the next process finds all kernels."""

import pathlib

from numba.core.registry import cpu_target

from ..kernels.compiling import cache
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
    conditions = cache.conditions(cpu_target.target_context.codegen(), VARIANT)
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
