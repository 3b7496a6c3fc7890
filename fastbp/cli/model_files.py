"""Reading and writing files of models. This needs skops, from the extra `cli`.

skops stores the same objects as pickle, but a file that it loads cannot run code. That is not enough: some of the
estimators that skops trusts crash if their arrays do not fit together. So `Model.load` accepts only what `train`
writes, and checks a file in three steps. Before it loads the file, it checks the size and the types. Then it checks
that the pipeline has the steps that `train` makes, and that their arrays fit together. Last, the model must predict
with every category.
"""

import dataclasses
import io
import json
import pathlib
import warnings
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..training import OptimizerState
from .dates import PARTS
from .errors import UserError, reason
from .output_files import write_whole
from .pipeline import preprocessor
from .tables import Columns

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT = "fastbp model 1"
# skops itself trusts NumPy's arrays and scikit-learn's estimators. A model also holds objects of the types in TRUSTED.
TRUSTED = {
    "fastbp.BackpropClassifier",
    "fastbp.BackpropRegressor",
    "fastbp.training.OptimizerState",
    "numpy.dtype",
}
# Neither a file nor its decompressed contents may have more than MOST_BYTES. Contents of more than SMALL_BYTES may have
# at most MOST_TIMES as many bytes as the file: weights hardly compress, so larger contents are suspicious.
MOST_BYTES, SMALL_BYTES, MOST_TIMES = 1 << 32, 1 << 26, 30
# skops stores an object as a tree of nodes, and has a loader for each kind of node. LOADED maps the name of each loader
# to the names of the types that it may load.
STEPS = (Pipeline, ColumnTransformer, SimpleImputer, StandardScaler, OneHotEncoder, TransformedTargetRegressor)
NETWORKS = (BackpropClassifier, BackpropRegressor)
LOADED = {
    "ObjectNode": {f"{kind.__module__}.{kind.__name__}" for kind in (*STEPS, *NETWORKS, OptimizerState)},
    "DictNode": {"builtins.dict"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "SliceNode": {"builtins.slice"},
    "JsonNode": {"builtins.str"},
    "TypeNode": {"builtins.str", "numpy.float64"},
    "DTypeNode": {"numpy.dtype"},
    "NdArrayNode": {"numpy.ndarray", "numpy.float64", "numpy.float32", "numpy.int64"},
}
PLAIN = (type(None), bool, int, float, str, list, tuple)  # a parameter of a network has one of these types


@dataclasses.dataclass(frozen=True)
class Model:
    """A fitted pipeline, and the columns of the table that it was trained on.

    Parameters
    ----------
    pipeline : Pipeline
        Predicts the target from the columns.
    columns : Columns
        The columns that the pipeline reads.
    target : str
        The column that the pipeline predicts.
    """

    pipeline: Any
    columns: Columns
    target: str

    def save(self, path: str) -> None:
        """Write the model to a file; raises UserError if that fails."""
        import skops.io

        content = {"format": FORMAT, "target": self.target, "columns": dataclasses.asdict(self.columns)}
        content["pipeline"] = self.pipeline
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
            unknown = set(skops.io.get_untrusted_types(data=data)) - TRUSTED
            if unknown:
                raise ValueError(f"it holds objects of {', '.join(sorted(unknown))}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                content = skops.io.loads(data, trusted=sorted(TRUSTED))
                if type(content) is dict and content.get("format") != FORMAT:
                    raise ValueError(f"its format is {content.get('format')!r:.50}, not {FORMAT!r}")
                return cls(*_checked(content))
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
    read = 0
    for node in _nodes(schema):
        loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
        if name not in LOADED.get(str(loader), ()):
            raise ValueError(f"it holds objects of {name} ({loader}), which no model has")
        if "file" in node:  # skops reads a member again for each node that names it
            read += sizes[node["file"]]
    _refuse_large(read, most)


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


def _checked(content: Any) -> tuple[Pipeline, Columns, str]:
    """The fields of a model; raises an error of any kind if they are not as `train` writes them."""
    if type(content) is not dict or content.keys() != {"format", "target", "columns", "pipeline"}:
        raise ValueError("it does not hold a format, a target, columns and a pipeline")
    columns, target, pipeline = Columns(**content["columns"]), content["target"], content["pipeline"]
    if not type(columns.numeric) is type(columns.categorical) is list:
        raise ValueError("its columns must be lists")
    _check_dates(columns)
    names = [target, *columns.numeric_inputs, *columns.categorical_inputs]
    if not all(type(name) is str for name in names) or len(set(names)) < len(names):
        raise ValueError("its columns must have different names")
    _check_alike(pipeline, _template(pipeline, columns), "pipeline")
    fitted = {name: step for name, step, _ in pipeline[0].transformers_}
    _check_alike(pipeline[0].transformers_, pipeline[0].transformers, "pipeline")
    if columns.numeric_inputs:
        _check_numeric(fitted["numeric"], len(columns.numeric_inputs))
    if columns.categorical_inputs:
        _check_categorical(fitted["categorical"], len(columns.categorical_inputs))
    if isinstance(pipeline[-1], TransformedTargetRegressor):
        last = pipeline[-1]
        _check_alike([last.regressor_, last.transformer_], [last.regressor, last.transformer], "pipeline")
        _check_floats(last.transformer_, ("mean_", "var_", "scale_"), 1)
    _predict_all(pipeline, columns, fitted)
    return pipeline, columns, target


def _check_dates(columns: Columns) -> None:
    kinds = {type(columns.dates), type(columns.parts)}
    if kinds != {dict} or columns.dates.keys() != columns.parts.keys():
        raise ValueError("its dates and their parts must be dictionaries with the same columns")
    if not all(type(form) is str for form in columns.dates.values()):
        raise ValueError("its formats of dates must be texts")
    if not all(type(parts) is dict and parts.keys() <= PARTS.keys() for parts in columns.parts.values()):
        raise ValueError(f"its parts of dates must be among {', '.join(PARTS)}")


def _template(pipeline: Any, columns: Columns) -> Pipeline:
    """The unfitted pipeline that `train` would make for these columns, with the kind of network that `pipeline` has."""
    if type(pipeline) is not Pipeline or type(pipeline.steps) is not list or len(pipeline.steps) != 2:
        raise ValueError(f"its pipeline is {type(pipeline).__name__}, not a Pipeline of two steps")
    name, last = pipeline.steps[1]
    template: Any = BackpropClassifier()
    if type(last) is TransformedTargetRegressor:
        template = TransformedTargetRegressor(BackpropRegressor(), transformer=StandardScaler())
    return Pipeline([("columntransformer", preprocessor(columns)), (name, template)])


def _check_alike(found: Any, template: Any, where: str) -> None:
    """Check that `found` equals `template`, except that a parameter of a network may have any value of a PLAIN type."""
    if type(found) is not type(template):
        raise ValueError(f"{where} is {type(found).__name__}, not {type(template).__name__}")
    if isinstance(template, BaseEstimator):
        parameters = found.get_params(deep=False)
        for name, value in template.get_params(deep=False).items():
            if not isinstance(template, NETWORKS):
                _check_alike(parameters[name], value, f"{where}.{name}")
            elif type(parameters[name]) not in PLAIN:
                raise ValueError(f"{where}.{name} is {type(parameters[name]).__name__}")
    elif isinstance(template, list | tuple):
        if len(found) != len(template):
            raise ValueError(f"{where} has {len(found)} parts, not {len(template)}")
        for i, pair in enumerate(zip(found, template, strict=True)):
            _check_alike(*pair, f"{where}[{i}]")
    elif found is not template and found != template and not (found != found and template != template):
        raise ValueError(f"{where} is {found!r:.100}, not {template!r:.100}")


def _check_floats(step: Any, names: tuple[str, ...], n: int) -> None:
    for name in names:
        value = getattr(step, name)
        if not (type(value) is np.ndarray and value.shape == (n,) and value.dtype == np.float64):
            raise ValueError(f"{type(step).__name__}.{name} is not {n} numbers")


def _check_numeric(steps: Pipeline, n: int) -> None:
    imputer, centering, scaler = (step for _, step in steps.steps)
    _check_floats(imputer, ("statistics_",), n)
    _check_floats(centering, ("mean_",), n)
    _check_floats(scaler, ("mean_", "var_", "scale_"), n)


def _check_categorical(steps: Pipeline, n: int) -> None:
    """Check the categories, and check that the encoder's output columns are those that follow from the categories.

    The encoder makes a sparse matrix, and SciPy does not check that the columns of its entries are in range.
    """
    imputer, encoder = (step for _, step in steps.steps)
    if type(imputer.statistics_) is not np.ndarray or imputer.statistics_.tolist() != n * [imputer.fill_value]:
        raise ValueError("SimpleImputer.statistics_ is not its fill_value")
    if encoder.drop_idx_ is not None or encoder._drop_idx_after_grouping is not None:
        raise ValueError("OneHotEncoder drops a category")
    if type(encoder.categories_) is not list or len(encoder.categories_) != n:
        raise ValueError(f"OneHotEncoder.categories_ is not a list of {n} columns")
    rare, numbers = encoder._infrequent_indices, encoder._default_to_infrequent_mappings
    if encoder._infrequent_enabled is not True or not len(rare) == len(numbers) == len(encoder._n_features_outs) == n:
        raise ValueError("OneHotEncoder has other columns than categories")
    for column, categories in enumerate(encoder.categories_):
        labels = categories.tolist()
        if (
            categories.dtype != object
            or categories.ndim != 1
            or not labels
            or not all(type(label) is str for label in labels)
        ):
            raise ValueError("OneHotEncoder.categories_ are not texts")
        if len(set(labels)) < len(labels):
            raise ValueError("OneHotEncoder.categories_ are not different")
        n_frequent, expected, found = len(labels), None, numbers[column]
        if rare[column] is not None:
            is_rare = np.zeros(len(labels), bool)
            if rare[column].dtype.kind != "i" or rare[column].ndim != 1:
                raise ValueError("OneHotEncoder has rare categories that are not a vector of integers")
            is_rare[rare[column]] = True  # raises IndexError for an index that is out of range
            if is_rare.sum() != len(rare[column]) or not is_rare.any():
                raise ValueError("OneHotEncoder has a rare category twice")
            n_frequent = int((~is_rare).sum())
            expected = np.where(is_rare, n_frequent, np.cumsum(~is_rare) - 1)
        if (found is None) != (expected is None) or (expected is not None and not _equal_integers(found, expected)):
            raise ValueError("OneHotEncoder puts a category into a wrong column")
        n_columns = encoder._n_features_outs[column]
        if type(n_columns) is not int or n_columns != n_frequent + (expected is not None):
            raise ValueError("OneHotEncoder._n_features_outs does not follow from the categories")


def _equal_integers(found: Any, expected: Any) -> bool:
    return type(found) is np.ndarray and found.dtype.kind == "i" and np.array_equal(found, expected)


def _predict_all(pipeline: Pipeline, columns: Columns, fitted: dict[str, Any]) -> None:
    """Predict rows that have all categories; raises an error of any kind if the model cannot do this."""
    rows = _all_categories(columns, fitted)
    predicted = pipeline.predict(rows)
    if predicted.shape != (len(rows),):
        raise ValueError("it does not predict one value per row")
    if isinstance(pipeline[-1], BackpropClassifier):
        found = pipeline.predict_proba(rows).shape
        if found != (len(rows), len(pipeline.classes_)):
            raise ValueError(f"it predicts probabilities of shape {found} for {len(pipeline.classes_)} classes")
    elif predicted.dtype.kind != "f":
        raise ValueError(f"it predicts {predicted.dtype}, not numbers")


def _all_categories(columns: Columns, fitted: dict[str, Any]) -> "DataFrame":
    """A table in which each category occurs.

    All its numbers are missing, because any number may be too large for the model.
    """
    import pandas as pd

    categories = fitted["categorical"][-1].categories_ if columns.categorical_inputs else []
    n = 2 + max(map(len, categories), default=0)
    table: dict[str, Any] = {name: np.full(n, np.nan) for name in columns.numeric_inputs}
    for name, labels in zip(columns.categorical_inputs, categories, strict=True):
        values = [np.nan, *labels]
        table[name] = pd.Series(values + [np.nan] * (n - len(values)), dtype=object)
    return pd.DataFrame(table, index=range(n))
