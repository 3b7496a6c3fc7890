"""``python -m fastbp train``: from a data file to a model."""

import argparse
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from ..displays import network_in
from ..extras import require
from ..live_line import LiveLine
from ..training.observer import watch
from . import metrics, remarks
from .errors import UserError, listed, reason, warn
from .model_files import Model
from .output_files import check_output
from .picture import check_picture, draw
from .pipeline import network, preprocessor
from .progress import Compiling, Progress, interrupts_raised
from .reading import Format, read
from .scaling import scaled
from .tables import Columns, cells, not_numbers
from .target import classes, is_measured, measured, same_numbers

if TYPE_CHECKING:
    from pandas import DataFrame

FEWEST_ROWS = 10


def run(options: argparse.Namespace) -> None:
    """Train on a file, print the score on the rows held out, and write the model and the picture if asked to."""
    require("pandas", "skops", extra="cli", by="python -m fastbp train")
    _check_outputs(options)
    metrics.check_scorers(options.metric)
    frame, y, dropped = _read(options)
    columns, left_out = Columns.of(frame)
    X = columns.taken_from(frame, options.data)
    if not X.shape[1]:
        raise UserError(f"{options.data} has no column to predict {options.target!r} from")
    kinds = [f"{len(columns.numeric)} numeric", f"{len(columns.categorical)} categorical"]
    print(f"{options.data}: {' and '.join(kinds)} columns{f', {len(columns.dates)} of dates' if columns.dates else ''}")
    for name, why in left_out.items():
        print(f"  left out: {name!r} ({why})")
    for rows in dropped:
        print(f"  left out: {rows}")
    for remark in (*remarks.of_values(columns, frame), *remarks.of_columns(columns, frame)):
        print(f"  note: {remark}")
    X_train, X_test, y_train, y_test = _split(X, y, options.held_out, options.seed)
    task = "regression" if y.dtype.kind == "f" else f"classification, {len(np.unique(y))} classes"
    print(f"target {options.target!r}: {task}; {len(y_train)} rows to train on, {len(y_test)} held out")

    name, guess = _guess(y_train)
    scores_of_guess = metrics.scores(guess, X_test, y_test, options.metric)  # a bad --metric fails before the training
    if y.dtype.kind != "f" and (strangers := ~np.isin(y_test, y_train)).any():
        warn(f"{strangers.sum()} of the rows held out have classes that no other row has: log loss and AUC omit them")
    last_step = network(y_train, hidden=options.hidden, epochs=options.epochs, seed=options.seed)
    pipeline = make_pipeline(preprocessor(columns), last_step)
    _fit(pipeline, X_train, y_train)
    with Compiling():  # The kernels of a prediction compile in a second, so no line shows their number.
        Z_test = scaled(pipeline, columns, X_test, options.data)
        scores = metrics.scores(pipeline[-1], Z_test, y_test, options.metric)
    print("\n" + metrics.table("on the rows held out", {"network": scores, name: scores_of_guess}))
    _write(pipeline, columns, options)


def _check_outputs(options: argparse.Namespace) -> None:
    """Raise an error before the training if its results could not be written."""
    if options.plot:
        check_picture(options.plot)
        check_output(options.plot, options.data, options.output)
    if options.output:
        check_output(options.output, options.data)


def _read(options: argparse.Namespace) -> tuple["DataFrame", NDArray, list[str]]:
    """Read the file; returns a table of the rows that have a target, the targets of these rows, and remarks.

    The table lacks the target's column and dropped columns. The remarks say which rows are left out. Raises UserError
    if the file or an option is not valid.
    """
    path, target = options.data, options.target
    frame = read(path, Format.of(options))
    words = frame.attrs.pop("missing", {}).get(target, ())
    if absent := [name for name in (target, *options.drop) if name not in frame]:
        hint = " (perhaps its columns are separated otherwise: see --sep)" if frame.shape[1] == 1 else ""
        raise UserError(f"{path} has no column {absent[0]!r}; it has {listed(frame.columns)}{hint}")
    if target in options.drop:
        raise UserError(f"--drop {target}: this is the target")
    frame = frame.drop(columns=options.drop)
    column, dropped = frame.pop(target), []
    if n_missing := column.isna().sum():
        counts = ", ".join(f"{count} {word!r}" for word, count in Counter(words).most_common())
        dropped.append(f"{n_missing} rows without a {target!r}{f' (of them {counts})' if counts else ''}")
    column = column.dropna()
    if len(column) < FEWEST_ROWS:
        raise UserError(f"{path} has {len(column)} rows with a {target!r}, at least {FEWEST_ROWS} are needed")
    if options.task == "classification" or (options.task == "auto" and not is_measured(column)):
        if same_numbers(column):
            warn(f"the target {target!r} writes a number in several ways; each of them is a class")
        y = classes(column)
        if (n_classes := len(np.unique(y))) > len(y) // 2:
            example = f"{n_classes} classes in {len(y)} rows, such as {str(column.iloc[0])!r:.50}"
            warn(f"the target {target!r} has {example}; is it to be numbers?")
        return frame.loc[column.index], y, dropped
    y = measured(column)
    if np.isnan(y).any():
        strange = not_numbers(column)
        dropped.append(f"{len(strange)} rows whose {target!r} is not a number: {cells(strange)}")
    known = ~np.isnan(y)
    if np.ptp(y[known]) == 0:
        raise UserError(f"column {target!r}, the target, has one value throughout: {y[known][0]:g}")
    return frame.loc[column.index[known]], y[known], dropped


def _split(X: "DataFrame", y: NDArray, held_out: float, seed: int) -> list[Any]:
    """X and y divided into rows to train on and rows held out: X_train, X_test, y_train, y_test; raises UserError.

    Both parts have about the same shares of the classes if each class has at least two rows, and if each part has at
    least as many rows as there are classes.
    """
    n_test = int(np.ceil(held_out * len(y)))
    n_train = len(y) - n_test
    if n_train < FEWEST_ROWS // 2:
        raise UserError(f"--held-out {held_out:g} of {len(y)} rows leaves {n_train} of them to train on")
    if n_test < 2:
        raise UserError(f"--held-out {held_out:g} of {len(y)} rows holds {n_test} of them out, too few")
    stratify = None
    if y.dtype.kind != "f":
        counts = np.unique(y, return_counts=True)[1]
        if counts.min() > 1 and len(counts) <= min(n_test, n_train):
            stratify = y
    parts = train_test_split(X, y, test_size=n_test, random_state=seed, stratify=stratify)
    if stratify is None and y.dtype.kind != "f" and len(np.unique(parts[2])) < 2:
        raise UserError(f"the rows to train on have one class, {str(parts[2][0])!r}: the other classes are too small")
    return list(parts)


def _fit(pipeline: Pipeline, X: "DataFrame", y: NDArray) -> None:
    """Fit, show how far the fit has come, and say why it ended."""
    line, start = LiveLine(), time.perf_counter()
    try:
        with interrupts_raised(), Compiling(line) as compiling, watch(Progress("network", line)):
            warnings.filterwarnings("ignore", "The number of unique classes")  # `_read` warns in its own words
            pipeline.fit(X, y)
    except ValueError as error:
        line.clear()
        raise UserError(f"training failed: {reason(error)}") from error
    fitted = network_in(pipeline)
    measure = "validation score" if fitted.early_stopping else "training loss"
    ended = f"the {measure} no longer improved" if fitted.converged_ else "--epochs is reached, more may help"
    compiled = " with compiling" if compiling.kernels else ""
    line.done(f"{fitted.n_iter_} epochs, {time.perf_counter() - start:.1f} s{compiled}: {ended}")


def _guess(y: NDArray) -> tuple[str, Any]:
    """(name, estimator) of the guess that ignores X: the mean of the numbers, or the shares of the classes."""
    rows = np.zeros((len(y), 1))
    if y.dtype.kind == "f":
        return "mean", DummyRegressor().fit(rows, y)
    majority = DummyClassifier(strategy="prior").fit(rows, y)  # it predicts the most frequent class
    return f"majority, {str(majority.predict(rows[:1])[0])!r}", majority


def _write(pipeline: Pipeline, columns: Columns, options: argparse.Namespace) -> None:
    """Write the picture and the model if asked to; raises UserError."""
    if options.plot:
        draw(pipeline, options.plot)
        print(f"loss curves: {options.plot}")
    if options.output:
        Model(pipeline, columns, options.target).save(options.output)
        print(f"model: {options.output}")
