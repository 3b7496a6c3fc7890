"""``python -m fastbp evaluate``: the metrics of a model on a data file that has the target."""

import argparse
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from . import metrics
from .answers import answers_of_model
from .errors import UserError, listed
from .model_files import Model
from .reading import Format, read
from .tables import cells, not_numbers
from .target import labels_of, measured

if TYPE_CHECKING:
    from pandas import Series


def run(options: argparse.Namespace) -> None:
    """Predict those rows of a file that have a target, and print how good the predictions are."""
    require("pandas", "skops", extra="cli", by="python -m fastbp evaluate")
    metrics.check_scorers(options.metric)
    model = Model.load(options.model)
    frame = read(options.data, Format.of(options))
    frame.attrs.clear()
    if model.target not in frame:
        raise UserError(f"{options.data} has no column {model.target!r}, the target; it has {listed(frame.columns)}")
    target = frame[model.target].dropna()
    if len(target) < len(frame):
        print(f"left out: {len(frame) - len(target)} rows without a {model.target!r}")
    y = _labels(target, model) if hasattr(model.estimator, "classes_") else _numbers(target)
    frame = frame.loc[y.index]
    if not len(frame):
        raise UserError(f"{options.data} has no row to evaluate with")
    found = answers_of_model(model, frame, options.data)
    row = metrics.scores(found, np.arange(len(frame)), y.to_numpy(), options.metric)
    print(metrics.table(f"on {len(frame):,} rows", {"networks": row}))


def _labels(target: "Series", model: Model) -> "Series":
    """The labels that are classes of the model, with their rows as the index. Print how many rows have other labels."""
    import pandas as pd

    written: NDArray = model.estimator.classes_
    labels = pd.Series(labels_of(target), index=target.index)
    known = labels.isin(written.astype(str))
    if not known.all():
        kinds = listed(labels[~known].unique())
        print(f"left out: {(~known).sum()} rows with a {model.target!r} that the model does not know: {kinds}")
    return labels[known].astype(written.dtype if written.dtype.kind == "i" else object)


def _numbers(target: "Series") -> "Series":
    """The targets that are numbers, with their rows as the index. Print how many rows have other targets."""
    import pandas as pd

    y = pd.Series(measured(target), index=target.index)
    if y.isna().any():
        print(f"left out: {y.isna().sum()} rows whose {target.name!r} is not a number: {cells(not_numbers(target))}")
    return y.dropna()
