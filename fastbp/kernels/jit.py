"""The only place that compiles: the two decorators, the flags they set, and a disk cache that cannot be stale.

Numba notices that a cached function's own file changed, but not that a function it *calls* changed. So the cache folder
carries a digest of every source in this folder: edit any kernel and the next process looks in an empty folder.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import stat
import tempfile
import time

import llvmlite
import numba
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

HERE = pathlib.Path(__file__).resolve().parent
# FASTBP_DEBUG=1 compiles checks of shapes and bounds into the kernels. Read once: compiled code cannot change its mind.
CHECKED = os.environ.get("FASTBP_DEBUG", "0") not in ("", "0")
KEPT_SECONDS = 30 * 24 * 3600  # cache folders of other versions are removed after a month without use

# No fastmath: `reassoc` and `contract` let two callers of one function round differently, and the promise is the same
# bits everywhere; `nnan` makes the checks for NaN vanish. The NumPy error model keeps division branch-free.
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False}


def source_digest(folder: pathlib.Path = HERE) -> str:
    """Digest of all kernel sources, the compilers' versions and the debug mode: what code depends on besides the CPU.

    The CPU's name and features, and so the tile that is derived from them, are already part of Numba's own key.
    """
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {CHECKED}".encode())
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _is_private(folder: pathlib.Path) -> bool:
    """Whether nobody else could have put code there: loading a cache runs it."""
    if not hasattr(os, "getuid"):
        return True  # Windows, where these bits mean nothing
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _candidates() -> list[pathlib.Path]:
    if numba.config.CACHE_DIR:
        return [pathlib.Path(numba.config.CACHE_DIR) / "fastbp"]
    folders = [HERE / "__pycache__"]
    with contextlib.suppress(RuntimeError):  # no home folder
        cache_home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folders.append(pathlib.Path(cache_home) / "fastbp")
    with contextlib.suppress(OSError):  # no temporary folder
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folders.append(pathlib.Path(tempfile.gettempdir()) / f"fastbp-{user}")
    return folders


def _find_cache_folder() -> pathlib.Path | None:
    """The first candidate that we can write to and nobody else can, or None: then every process compiles anew."""
    name = f"kernels-{source_digest()}"
    for base in _candidates():
        folder = base / name
        try:
            for part in (base, folder):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if _is_private(base) and _is_private(folder):
                _remove_old(folder)
                return folder
        except OSError:
            continue
    return None


def _remove_old(current: pathlib.Path) -> None:
    """Delete the caches of other versions that nobody used for a month."""
    os.utime(current)
    for folder in current.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):
            if folder != current and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder)


CACHE_FOLDER = _find_cache_folder()


class _KernelCache(FunctionCache):
    """A cache that never stops a program: what cannot be read is compiled again, what cannot be written is not kept."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # truncated, garbage, or from an incompatible Numba: whatever unpickling raises
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig, data):
        with contextlib.suppress(Exception):
            super().save_overload(sig, data)


def _cached(dispatcher):
    if CACHE_FOLDER is None or numba.config.DISABLE_JIT:
        return dispatcher
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(CACHE_FOLDER)
    try:
        dispatcher._cache = _KernelCache(dispatcher.py_func)
    except (OSError, RuntimeError):  # the folder vanished meanwhile: compile without a cache
        pass
    finally:
        numba.config.CACHE_DIR = before
    return dispatcher


def kernel(function):
    """Compile a building block. It is linked into the entries that call it, so it needs no cache of its own.

    Nor the wrappers that would make it callable from Python. Every level of calls is optimised and assembled once
    more by LLVM, so there are few: most building blocks are `inlined`.
    """
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **FLAGS)(function)


def inlined(function):
    """Paste a building block into its callers before types are inferred: no function is compiled for it."""
    return njit(inline="always", **FLAGS)(function)


def entry(function):
    """Compile a function that Python calls, serial, and keep the machine code on disk."""
    return _cached(njit(**FLAGS)(function))


def parallel_entry(function):
    """Compile a function that Python calls and whose `prange` loops run on Numba's threads.

    It must never be called by another kernel (a cached caller can crash when loaded), and it must be a function of its
    own: the serial and the parallel version of *one* function would share a cache entry.
    """
    return _cached(njit(parallel=True, **FLAGS)(function))


@intrinsic
def runtime(typingctx, value):
    """`value` as an ordinary variable: Numba compiles a callee once more for every literal that it is given."""
    kind = types.unliteral(value)
    return kind(kind), lambda context, builder, sig, args: args[0]
