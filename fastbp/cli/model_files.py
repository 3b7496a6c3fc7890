"""Reading and writing files of models. This needs skops, from the extra `cli`.

skops stores the same objects as pickle, but a file that it loads cannot run code. That is not enough: a file may be
huge, or its objects may not fit together. So `Model.load` accepts only what `train` writes, and checks a file in three
steps. Before it loads the file, it checks the size and the types. Then `model_checks` looks at every object. Last, the
model must predict two rows.
"""

import dataclasses
import io
import json
import pathlib
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, Self

from ..encoding import Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder
from ..encoding.encoder import TableEncoder
from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..tabular.classifier import TabularClassifier
from ..tabular.regressor import TabularRegressor
from .errors import UserError, reason
from .model_checks import check_estimator
from .output_files import write_whole

FORMAT = "fastbp model 2"
OLD_FORMATS = ("fastbp model 1",)
# skops itself trusts NumPy's arrays. A model also holds objects of the types in TRUSTED.
ESTIMATORS = (TabularClassifier, TabularRegressor, BackpropClassifier, BackpropRegressor)
ENCODERS = (TableEncoder, Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder)
TRUSTED = {f"{kind.__module__}.{kind.__name__}" for kind in (*ESTIMATORS, *ENCODERS)}
# Neither a file nor its decompressed contents may have more than MOST_BYTES. Contents of more than SMALL_BYTES may have
# at most MOST_TIMES as many bytes as the file: weights hardly compress, so larger contents are suspicious.
MOST_BYTES, SMALL_BYTES, MOST_TIMES = 1 << 32, 1 << 26, 30
# skops stores an object as a tree of nodes, and has a loader for each kind of node. LOADED maps the name of each loader
# to the names of the types that it may load.
LOADED = {
    "ObjectNode": TRUSTED,
    "DictNode": {"builtins.dict"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "JsonNode": {"builtins.str"},
    "TypeNode": {"builtins.str"},
    "NdArrayNode": {"numpy.ndarray", "numpy.float64"},
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted estimator, and the column that it predicts.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    target : str
        The column that the estimator predicts.
    """

    estimator: Any
    target: str

    def save(self, path: str) -> None:
        """Write the model to a file; raises UserError if that fails."""
        import skops.io

        content = {"format": FORMAT, "target": self.target, "estimator": self.estimator}
        data = skops.io.dumps(content, compression=zipfile.ZIP_DEFLATED)
        write_whole(path, lambda stream: stream.write(data))

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a model from a file; raises UserError unless the file is a model that `train` has written."""
        import skops.io

        try:
            file = pathlib.Path(path)
            size = file.stat().st_size
            data = file.read_bytes() if size <= MOST_BYTES else b""
        except OSError as error:
            raise UserError(f"cannot read {path}: {reason(error)}") from error
        try:
            if size > MOST_BYTES:
                raise ValueError(f"it has {size} bytes, at most {MOST_BYTES} are read")
            _check_file(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                content = skops.io.loads(data, trusted=sorted(TRUSTED))
                return cls(*_checked(content))
        except UserError as error:
            raise UserError(f"{path} {error}") from error
        except Exception as error:  # skops and scikit-learn raise many kinds of errors for files that are no models
            raise UserError(f"{path} is not a model of python -m fastbp train: {reason(error):.300}") from error


# ---------------------------------------------------------------- before a file is loaded


def _check_file(data: bytes) -> None:
    """Check the size and the types of a file's contents; raises ValueError, or another error if the file is broken."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        most = min(MOST_BYTES, max(SMALL_BYTES, MOST_TIMES * len(data)))
        if len(sizes) < len(archive.infolist()):
            raise ValueError("it has several members of one name")
        _refuse_large(sum(sizes.values()), most)
        if any(m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in archive.infolist()):
            raise ValueError("it is compressed by another method than deflate")
        schema = json.loads(archive.read("schema.json"))
    _check_format(schema)
    read = 0
    for node in _nodes(schema):
        loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
        if name not in LOADED.get(str(loader), ()):
            raise ValueError(f"it holds objects of {name} ({loader}), which no model has")
        if "file" in node:  # skops reads a member again for each node that names it
            read += sizes[node["file"]]
    _refuse_large(read, most)


def _check_format(schema: Any) -> None:
    """Raise UserError for a model of an older fastbp, and ValueError if the format is not that of a model."""
    found = json.loads(schema["content"]["format"]["content"])
    if found in OLD_FORMATS:
        raise UserError("is a model of an older fastbp: train it again")
    if found != FORMAT:
        raise ValueError(f"its format is {found!r:.50}, not {FORMAT!r}")


def _refuse_large(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"its contents have {size} bytes, at most {most} are read from a file of this size")


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """All nodes of skops' schema, which describes a stored object."""
    rest = [schema]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if "__class__" in value or "__loader__" in value:
                yield value
            rest += value.values()
        elif isinstance(value, list):
            rest += value


# ---------------------------------------------------------------- after it is loaded


def _checked(content: Any) -> tuple[TabularClassifier | TabularRegressor, str]:
    """The fields of a model; raises an error of any kind if they are not as `train` writes them."""
    if type(content) is not dict or content.keys() != {"format", "target", "estimator"}:
        raise ValueError("it does not hold a format, a target and an estimator")
    if type(content["target"]) is not str:
        raise ValueError("its target is not a text")
    check_estimator(content["estimator"])
    if content["target"] in content["estimator"].column_kinds_:
        raise ValueError("its target is one of the columns that it reads")
    return content["estimator"], content["target"]
