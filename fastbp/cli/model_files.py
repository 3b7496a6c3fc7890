"""Files that the command line writes, each whole or not at all, and models in them. Needs skops: the extra `cli`.

skops keeps what pickle keeps, but a file of unknown origin cannot run code when it is loaded.
"""

import dataclasses
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, Self

from .tables import Columns, UserError, reason

FORMAT = "fastbp model 1"
# Beyond what skops trusts of itself, which includes NumPy's arrays and scikit-learn's estimators.
TRUSTED = {
    "fastbp.BackpropClassifier",
    "fastbp.BackpropRegressor",
    "fastbp.training.OptimizerState",
    "numpy.dtype",
}


def check_output(path: str, *others: str | None) -> None:
    """That a file can be written there which is none of the others, as far as can be told; raises UserError."""
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
    """Write a file by a function of a stream; until that is done, what was there stays. Raises UserError."""
    target = pathlib.Path(os.path.realpath(path))  # a link stays a link
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
    """Those that the file has, or that a new one would get."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_directory(folder: pathlib.Path) -> None:
    """Keep the new name over a power failure, where directories can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted pipeline and what the table was that it was trained on.

    Parameters
    ----------
    pipeline : Pipeline
        From the columns to predictions.
    columns : Columns
        What it reads.
    target : str
        What it predicts.
    """

    pipeline: Any
    columns: Columns
    target: str

    def save(self, path: str) -> None:
        """Write the model; raises UserError."""
        import skops.io

        content = {"format": FORMAT, "target": self.target, "columns": dataclasses.asdict(self.columns)}
        content["pipeline"] = self.pipeline
        data = skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED)
        write_whole(path, lambda stream: stream.write(data))

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a model; raises UserError."""
        import skops.io

        try:
            data = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from error
        try:
            unknown = set(skops.io.get_untrusted_types(data=data)) - TRUSTED
            if unknown:
                raise ValueError(f"it holds objects of {', '.join(sorted(unknown))}")
            content = skops.io.loads(data, trusted=sorted(TRUSTED))
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
            return cls(content["pipeline"], Columns(**content["columns"]), content["target"])
        except Exception as error:  # whatever skops raises on a file that is none of its own
            raise UserError(f"{path} is not a model of python -m fastbp train: {reason(error)}") from error
