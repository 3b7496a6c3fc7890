"""Files that a job writes: each is written whole or not at all."""

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

from .errors import UserError, reason


def check_output(path: str, *others: str | None) -> None:
    """Raise UserError if the path cannot be written to, or if it is one of the other files of this command."""
    file = pathlib.Path(os.path.realpath(path))
    if any(other and os.path.realpath(other) == str(file) for other in others):
        raise UserError(f"{path} is to be written, but is also another file of this command")
    if file.is_dir():
        raise UserError(f"cannot write {path}: it is a directory")
    if file.exists() and not file.is_file():
        raise UserError(f"cannot write {path}: it is not a regular file")
    if not file.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no directory {file.parent}")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: the directory {file.parent} is not writable")


def write_whole(path: str, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file whole or not at all; raises UserError.

    `write` writes the contents to a stream. An existing file stays until the new one is whole.
    """
    target = pathlib.Path(os.path.realpath(path))  # if the path is a link, the file that it leads to is replaced
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
            part = pathlib.Path(stream.name)
            write(stream)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(_permissions(target))
        part.replace(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _permissions(target: pathlib.Path) -> int:
    """The permissions of the file if it exists, otherwise the usual ones of a new file."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_directory(folder: pathlib.Path) -> None:
    """Make the file's new name survive a power failure, on systems that can open directories."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
