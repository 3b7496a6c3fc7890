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

from ..encoding.encoder import NoColumnError, TableEncoder
from ..encoding.readings import readings
from ..extras import require
from ..live_line import LiveLine
from ..tabular.classifier import TabularClassifier
from ..tabular.regressor import TabularRegressor
from . import metrics, remarks, report
from .answers import answers, errors_name
from .errors import UserError, listed, reason, warn
from .model_files import Model
from .output_files import check_output
from .progress import Compiling, interrupts_raised
from .reading import Format, read
from .tables import cells, not_numbers, prepared
from .target import classes, is_measured, measured, same_numbers

if TYPE_CHECKING:
    from pandas import DataFrame

FEWEST_ROWS = 10


def run(options: argparse.Namespace) -> None:
    """Train on a file, print a report and the metrics on the rows held out, and write the model if asked to."""
    require("pandas", "skops", extra="cli", by="python -m fastbp train")
    if options.output:
        check_output(options.output, options.data)
    metrics.check_scorers(options.metric)
    frame, y, dropped = _read(options)
    train, test = _split(y, options)
    X = _reported(frame, y, train, dropped, options)
    X_train, X_test, y_train, y_test = X.iloc[train], X.iloc[test], y[train], y[test]
    task = "regression" if y.dtype.kind == "f" else f"classification, {len(np.unique(y))} classes"
    print(f"target {options.target!r}: {task}; {len(train)} rows to train on, {len(test)} held out", flush=True)

    name, guess = _guess(y_train)
    rows = np.arange(len(test))
    scores_of_guess = metrics.scores(guess, rows, y_test, options.metric)  # a bad --metric fails before the training
    if y.dtype.kind != "f" and (strangers := ~np.isin(y_test, y_train)).any():
        warn(f"{strangers.sum()} of the rows held out have classes that no other row has: log loss and AUC omit them")
    estimator = _estimator(y_train, options)
    _fit(estimator, X_train, y_train)
    with Compiling():  # The kernels of a prediction compile in a second, so no line shows their number.
        scores = metrics.scores(answers(estimator, X_test, options.data), rows, y_test, options.metric)
    print("\n" + metrics.table("on the rows held out", {"networks": scores, name: scores_of_guess}))
    if options.output:
        Model(estimator, options.target).save(options.output)
        print(f"model: {options.output}")


def _read(options: argparse.Namespace) -> tuple["DataFrame", NDArray, list[str]]:
    """Read the file; returns a table of the rows that have a target, the targets of these rows, and remarks.

    The table lacks the target's column and dropped columns. The remarks say which rows are left out. Raises UserError
    if the file or an option is not valid.
    """
    path, target = options.data, options.target
    frame = read(path, Format.of(options))
    words = frame.attrs.pop("missing", {}).get(target, ())
    if absent := [name for name in (target, *options.drop, *options.category) if name not in frame]:
        hint = " (perhaps its columns are separated otherwise: see --sep)" if frame.shape[1] == 1 else ""
        raise UserError(f"{path} has no column {absent[0]!r}; it has {listed(frame.columns)}{hint}")
    for option, names in (("--drop", options.drop), ("--category", options.category)):
        if target in names:
            raise UserError(f"{option} {target}: this is the target")
    if both := set(options.drop) & set(options.category):
        raise UserError(f"--category {min(both)}: --drop leaves out this column")
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
            warn(f"the target {target!r} has {example}; should it hold numbers?")
        return frame.loc[column.index], y, dropped
    y = measured(column)
    if np.isnan(y).any():
        strange = not_numbers(column)
        dropped.append(f"{len(strange)} rows whose {target!r} is not a number: {cells(strange)}")
    known = ~np.isnan(y)
    if np.ptp(y[known]) == 0:
        raise UserError(f"column {target!r}, the target, has one value throughout: {y[known][0]:g}")
    return frame.loc[column.index[known]], y[known], dropped


def _reported(
    frame: "DataFrame", y: NDArray, train: NDArray[np.intp], dropped: list[str], options: argparse.Namespace
) -> "DataFrame":
    """Print the report about the table. Returns the table, where values that are not understood are missing.

    Only the rows to train on decide the kind of each column, because the fit sees only these rows. dropped: remarks on
    rows that are left out. Raises UserError if no column can help, or if a number is infinite.
    """
    path, nothing = options.data, f"{options.data} has no column to predict {options.target!r} from"
    if not frame.shape[1]:
        raise UserError(nothing)
    X, encoder = prepared(frame, path), TableEncoder(categorical_features=options.category or "from_dtype")
    with errors_name(path):
        try:
            encoder.fit(X.iloc[train], y[train])
        except NoColumnError as error:
            raise UserError(f"{nothing}; {'; '.join(report.of_left_out(encoder))}") from error
        found = readings(encoder, X)
    print(f"{path}: {len(frame):,} rows with a {options.target!r}, {frame.shape[1]} other columns")
    for line in (
        *report.of_columns(found, X),
        *report.of_left_out(encoder),
        *(f"left out: {rows}" for rows in dropped),
    ):
        print(f"  {line}")
    X, said = remarks.without_junk(found, X)
    for remark in (*said, *report.of_suspicious(found, X, options.category)):
        print(f"  note: {remark}")
    return X


def _split(y: NDArray, options: argparse.Namespace) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows to train on and the rows held out; raises UserError.

    Both parts have about the same shares of the classes if each class has at least two rows, and if each part has at
    least as many rows as there are classes.
    """
    held_out = options.held_out
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
    train, test = train_test_split(np.arange(len(y)), test_size=n_test, random_state=options.seed, stratify=stratify)
    if len(np.unique(y[train])) < 2:
        what = "value" if y.dtype.kind == "f" else "class"
        others = "values are too rare" if y.dtype.kind == "f" else "classes are too small"
        raise UserError(f"the rows to train on have one {what}, {str(y[train][0])!r}: the other {others}")
    return train, test


def _estimator(y: NDArray, options: argparse.Namespace) -> TabularClassifier | TabularRegressor:
    """The unfitted estimator that the options ask for."""
    return (TabularRegressor if y.dtype.kind == "f" else TabularClassifier)(
        options.networks,
        categorical_features=options.category or "from_dtype",
        max_seconds=options.time_limit,
        n_jobs=options.jobs,
        random_state=options.seed,
        verbose=True,
    )


def _fit(estimator: TabularClassifier | TabularRegressor, X: "DataFrame", y: NDArray) -> None:
    """Fit, show how far the fit has come, and print how long it took."""
    line, start = LiveLine(), time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with interrupts_raised(), Compiling(line) as compiling:
                estimator.fit(X, y)
    except ValueError as error:
        line.clear()
        raise UserError(f"training failed: {reason(error)}") from error
    for each in said:
        message = reason(Warning(each.message))
        is_late = message.startswith("max_seconds")
        warn("--time-limit was over before all networks were trained: the best so far are kept" if is_late else message)
    n_trained = sum(len(candidate["losses"]) for candidate in estimator.candidates_)
    compiled = " with compiling" if compiling.kernels else ""
    n_kept = sum(map(len, estimator.networks_))
    trained = f"{n_trained} network{'s' if n_trained > 1 else ''} trained"
    line.done(f"{trained}, {n_kept} kept, {time.perf_counter() - start:.1f} s{compiled}")


def _guess(y: NDArray) -> tuple[str, Any]:
    """(name, estimator) of the guess that ignores X: the mean of the numbers, or the shares of the classes."""
    rows = np.zeros((len(y), 1))
    if y.dtype.kind == "f":
        return "mean", DummyRegressor().fit(rows, y)
    majority = DummyClassifier(strategy="prior").fit(rows, y)  # it predicts the most frequent class
    return f"majority, {str(majority.predict(rows[:1])[0])!r}", majority
