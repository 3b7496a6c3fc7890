"""The disk cache of compiled kernels: never stale, never half a file, never somebody else's code.

Numba's own cache does not suffice:

- It notices a change of a cached function's own file, but not of another file whose functions the cached one *calls*.
- If two processes compile at once, its index can point at the wrong machine code afterwards.
- It runs any code that it finds, whoever put it there.
- It looks into one folder only, and this folder must be writable.

This cache may use several places. In each place it has a folder for each version of the kernel sources, of the
compilers and of Python. A folder has one file for each kernel, signature, CPU and choice of settings. The cache reads
from every safe folder, and writes to the first safe folder that it can write to.

Before these places, the cache looks into the folder `prebuilt` of the package. Some wheels have code there that was
compiled for a level of CPUs, see levels.py.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import re
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from . import levels, target
from .private import missing

# The private names of Numba that this file needs, by module of Numba. If this Numba lacks one of them, no kernel is
# kept on disk.
PRIVATE = {
    "numba.core.caching": ("NullCache",),
    "numba.core.compiler": ("CompileResult._reduce", "CompileResult._rebuild"),
    "numba.core.serialize": ("dumps",),
}
MISSING = missing(PRIVATE)
if MISSING:
    NullCache = object
else:
    from numba.core.caching import NullCache  # type: ignore[no-redef]
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps

HERE = pathlib.Path(__file__).resolve().parents[1]  # the folder of all kernel sources
PYCACHE = HERE / "__pycache__"
PREBUILT = levels.PREBUILT
# In each place only the KEPT_FOLDERS most recently used folders stay, because a folder has some megabytes, and every
# edit of a kernel makes a new folder.
KEPT_FOLDERS = 8
# The names of the folders and files that this cache makes. The cache removes no others. A file that is not yet whole
# has a number after its name.
OUR_FOLDER, OUR_FILE = re.compile(r"kernels-[0-9a-f]{16}"), re.compile(r"\w+(-[0-9a-f]{16})?\.kernel(\.[0-9a-f]{32})?")
MOST_LINKS = 40  # a path has at most MOST_LINKS symbolic links; Linux has the same limit
# SETTINGS are the settings of Numba that change the machine code. `magic_tuple`, which describes the CPU, lacks them.
SETTINGS = ("BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE", "USING_SVML")
DIGEST_BYTES = hashlib.sha256().digest_size

# on_compile is called before the compilation of a kernel that has a `KernelCache`, in the thread that needs the kernel.
# Numba's compiler lock is held then, so only one thread at a time calls on_compile.
on_compile: Callable[[], None] | None = None


def source_digest(folder: pathlib.Path = HERE, numpy: str | None = None) -> str:
    """Digest of all kernel sources, of the versions of Numba, llvmlite and NumPy, and of Python's binary interface.

    A frozen application has no folder with sources. There the version of fastbp stands for the sources. numpy: a
    version of NumPy, by default the one of this process.
    """
    versions = [numba.__version__, llvmlite.__version__, numpy or np.__version__, levels.binary_interface()]
    sources = sorted(folder.rglob("*.py")) if folder.is_dir() else []
    if not sources:
        versions.append(sys.modules[__name__.partition(".")[0]].__version__)
    digest = hashlib.sha256(" ".join(versions).encode())
    for source in sources:
        digest.update(source.relative_to(folder).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


DIGEST = source_digest()


@functools.cache
def prebuilt_digest() -> str:
    """The `source_digest` of kernels that were compiled for a level.

    They serve all versions of NumPy with the same major number. The machine code knows arrays by Numba's own structures
    only, and a wheel with kernels should not grow stale with every version of NumPy.
    """
    return source_digest(HERE, np.__version__.partition(".")[0])


def prebuilt_folder() -> pathlib.Path | None:
    """The folder that has the kernels of this version for `target.level()`, if there are any."""
    folder = PREBUILT / f"kernels-{prebuilt_digest()}" if target.level() and PREBUILT.is_dir() else None
    return folder if folder and folder.is_dir() and not refusal(folder) else None


def _bases() -> Iterator[pathlib.Path]:
    if numba.config.CACHE_DIR:
        yield pathlib.Path(numba.config.CACHE_DIR, "fastbp")
    if HERE.is_dir():  # otherwise the application is frozen
        yield PYCACHE
    with contextlib.suppress(RuntimeError):  # no home folder
        yield pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "fastbp")
    if hasattr(os, "geteuid"):  # Windows does not say whether another user has made a folder there
        with contextlib.suppress(OSError):  # no temporary folder
            yield pathlib.Path(tempfile.gettempdir(), f"fastbp-{os.geteuid()}")


def folders() -> Iterator[pathlib.Path]:
    """The folders that may have the kernels of this version, in the order of the search.

    Symbolic links in the paths have been followed, so that the folder that is checked is the folder that is used. A
    link of another user has not been followed. `refusal` refuses a path with such a link.
    """
    bases, digest = _bases(), DIGEST
    if levels.building:
        bases, digest = iter([levels.building.folder]), prebuilt_digest()
    for base in bases:
        with contextlib.suppress(OSError):  # the links form a circle, or the current folder is gone
            yield _resolved(base / f"kernels-{digest}")


def writable(folder: pathlib.Path) -> bool:
    """Whether this process can make files in the folder, or make the folder if it does not exist yet."""
    nearest = next(part for part in (folder, *folder.parents) if part.exists())
    return os.access(nearest, os.W_OK | os.X_OK)


def can_keep() -> bool:
    """Whether there is a folder that takes compiled code."""
    return not MISSING and any(not refusal(folder) and writable(folder) for folder in folders())


def _resolved(path: pathlib.Path) -> pathlib.Path:
    """The path, with its symbolic links followed up to the first link of another user.

    That link and the rest of the path stay as they are, because the other user could lead us anywhere.
    """
    path = path.absolute()
    done, rest, n_links = pathlib.Path(path.anchor), list(path.parts[:0:-1]), 0
    while rest:
        part = rest.pop()
        if part == os.pardir:
            done = done.parent
            continue
        done /= part
        if not done.is_symlink():
            continue
        if _foreign(done.lstat()):
            return done.joinpath(*reversed(rest))
        n_links += 1
        if n_links > MOST_LINKS:
            raise OSError(f"{path} has too many symbolic links")
        target = pathlib.Path(os.readlink(done))
        done = pathlib.Path(target.anchor) if target.is_absolute() else done.parent
        rest += [part for part in reversed(target.parts) if part != target.anchor]
    return done


def _foreign(status: os.stat_result) -> bool:
    """Whether a file or folder of this status belongs to another user.

    Root and the owner of our sources do not count as other users.
    """
    if not hasattr(os, "geteuid"):  # Windows has no such owners
        return False
    owners = {HERE.stat().st_uid} if HERE.is_dir() else set()
    return status.st_uid not in {0, os.geteuid(), *owners}


def _suspicion(path: pathlib.Path, status: os.stat_result, *, sticky: bool = False) -> str:
    """How another user could have changed a file or folder with this status; an empty string if no other user could.

    Root and the owner of our sources do not count as other users. What lies in PREBUILT may be writable for the users
    that may write to the folder of our sources. sticky: whether the sticky bit makes a folder safe that others may
    write to. With this bit, they cannot rename or remove the files of other users there.
    """
    if not hasattr(os, "geteuid"):
        return ""  # Windows, where these bits mean nothing
    if _foreign(status):
        return f"belongs to user {status.st_uid}"
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if PREBUILT in path.parents:
        writable &= ~HERE.stat().st_mode
    if writable and not (sticky and status.st_mode & stat.S_ISVTX):
        return f"may be written by others ({stat.filemode(status.st_mode)})"
    return ""


def refusal(folder: pathlib.Path) -> str:
    """Why this folder must not be used; an empty string if it may be used.

    A folder is refused if another user could write to it or replace it, or if this process cannot examine it.
    """
    for part in (folder, *folder.parents):
        suspicion = ""
        try:
            status = part.lstat()
            if stat.S_ISLNK(status.st_mode):
                suspicion = "is a link of another user"  # `folders` has followed the links of this user
            elif part not in (PYCACHE, PREBUILT):
                suspicion = _suspicion(part, status, sticky=part != folder)
        except FileNotFoundError:
            pass  # this process will make the folder
        except OSError as error:
            return str(error)
        if suspicion:
            return f"{part} {suspicion}"
        if part in (PYCACHE, PREBUILT):
            break  # a user who can write here can change the code of this package anyway
    return ""


def read(path: pathlib.Path) -> tuple[str, bytes]:
    """(key, pickled code) of a file; raises OSError or ValueError if the file cannot be read or trusted."""
    with path.open("rb") as file:
        if suspicion := _suspicion(path, os.fstat(file.fileno())):
            raise ValueError(f"{path} {suspicion}")
        digest, data = file.read(DIGEST_BYTES), file.read()
    if hashlib.sha256(data).digest() != digest:
        raise ValueError(f"{path} is broken")
    key, code = data.split(b"\0", 1)
    return key.decode(), code


def _write(path: pathlib.Path, key: str, code: bytes) -> None:
    """Write a whole file or no file. Other users cannot change the file or a new folder, whatever umask says."""
    for part in reversed((path.parent, *path.parent.parents)):
        if not part.exists():
            part.mkdir(mode=0o755, exist_ok=True)
    if suspicion := refusal(path.parent):  # another user may have made a folder or a link since the first check
        raise OSError(suspicion)
    data = key.encode() + b"\0" + code
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_old(folder: pathlib.Path) -> None:
    """Remove this cache's folders in this place, except the KEPT_FOLDERS most recently used ones.

    A process that still uses a removed folder makes it again.
    """
    if not OUR_FOLDER.fullmatch(folder.name):
        return  # a link of this user leads to a folder of another name, and the folders beside it may not be ours
    used = {}
    for other in folder.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):  # another process has removed it
            if OUR_FOLDER.fullmatch(other.name) and not refusal(other):
                used[other] = other.stat().st_mtime
    for old in sorted(used, key=used.__getitem__, reverse=True)[KEPT_FOLDERS:]:
        with contextlib.suppress(OSError):  # another process is at work in it
            _remove(old)


def _remove(folder: pathlib.Path) -> None:
    """Remove a folder, unless it has anything that this cache did not make; raises OSError."""
    files = list(folder.iterdir())
    if all(OUR_FILE.fullmatch(file.name) and stat.S_ISREG(file.lstat().st_mode) for file in files):
        for file in files:
            file.unlink()
        folder.rmdir()


def conditions(variant: str, *, level: str = "") -> str:
    """The end of a key: the CPU, Numba's settings and the variant. All of these change the machine code.

    level: the name of a level; by default the CPU is the one that Numba compiles for.
    """
    cpu = levels.LEVELS[level][1:] if level else (target.CPU, target.FEATURES)
    settings = (f"{name}={getattr(numba.config, name, None)}" for name in SETTINGS)
    return " ".join([target.TRIPLE, *cpu, *settings, variant])


def _reduced(result):
    """A compiled kernel as an object to pickle, without what only a reader or another compiler would use.

    Numba keeps the intermediate code too, so that other functions can link the kernel. No function links a kernel that
    is kept on disk. Numba still reads there which symbols the machine code defines, so these symbols stay, without
    code. Numba also keeps the source with the types of its variables. All this would double the size of a file.
    """
    (name, kind, (machine_code, intermediate)), *rest = result._replace(type_annotation="")._reduce()
    symbols = llvmlite.binding.parse_bitcode(intermediate).functions
    defined = "".join(f'define void @"{each.name}"() {{ ret void }}\n' for each in symbols if not each.is_declaration)
    return (name, kind, (machine_code, llvmlite.binding.parse_assembly(defined).as_bitcode())), *rest


class KernelCache(NullCache):
    """Numba's interface to the files of one kernel. No fault of a file stops a program: Numba compiles instead.

    Parameters
    ----------
    name : str
        Name of the kernel.
    variant : str
        A text that names our own settings that change the machine code.
    """

    def __init__(self, name, variant):
        self._name, self._variant = name, variant
        self.files = {}  # the file of each signature that this process has loaded or saved

    def _key_and_name(self, sig, level=""):
        """The key of a signature, and the name of its file."""
        key = f"{self._name} {sig} {conditions(self._variant, level=level)}"
        return key, f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.kernel"

    def _places(self, sig):
        """(key, file) for each place that may have the code for a signature, in the order of the search."""
        if prebuilt := prebuilt_folder():
            key, name = self._key_and_name(sig, target.level())
            yield key, prebuilt / name
        key, name = self._key_and_name(sig)
        yield from ((key, folder / name) for folder in folders() if not refusal(folder))

    def load_overload(self, sig, target_context):
        """The code for a signature, from the first folder that has it; None if no folder has it."""
        # Numba's own cache would first refresh the target's context, which takes a tenth of a second. Machine code does
        # not need this refresh. If Numba compiles a kernel later, Numba refreshes the context then.
        for key, path in self._places(sig):
            with contextlib.suppress(Exception):  # after any fault of a file, the next folder is tried
                found, code = read(path)
                if found != key:
                    continue
                result = CompileResult._rebuild(target_context, *pickle.loads(code))
                self.files[sig] = path
                with contextlib.suppress(OSError):  # the folder is read-only, or not ours
                    os.utime(path.parent)
                return result
        if on_compile is not None:
            on_compile()
        return None

    def save_overload(self, sig, result):
        """Keep the code for a signature in the first folder that takes it."""
        with contextlib.suppress(Exception):
            key, name = self._key_and_name(sig)
            code = dumps(_reduced(result))
            for folder in folders():
                if refusal(folder):
                    continue
                with contextlib.suppress(OSError):  # the folder is not writable, or the disk is full
                    _write(folder / name, key, code)
                    self.files[sig] = folder / name
                    _remove_old(folder)
                    return
