"""Models in files. They need skops, from the extra `cli`.

skops stores the same objects as pickle, but loading a file of unknown origin cannot run code.
"""

import dataclasses
import pathlib
import zipfile
from typing import Any, Self

from .errors import UserError, reason
from .output_files import write_whole
from .tables import Columns

FORMAT = "fastbp model 1"
# skops itself trusts NumPy's arrays and scikit-learn's estimators. A model also holds objects of the types in TRUSTED.
TRUSTED = {
    "fastbp.BackpropClassifier",
    "fastbp.BackpropRegressor",
    "fastbp.training.OptimizerState",
    "numpy.dtype",
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted pipeline, and the columns of the table that it was trained on.

    Parameters
    ----------
    pipeline : Pipeline
        Predicts from the columns.
    columns : Columns
        The columns that the pipeline reads.
    target : str
        The column that the pipeline predicts.
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
        except Exception as error:  # skops raises many kinds of errors for other files
            raise UserError(f"{path} is not a model of python -m fastbp train: {reason(error)}") from error
