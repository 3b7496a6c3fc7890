"""``python -m fastbp train`` and ``python -m fastbp predict``: from data files to a model and its predictions."""

import argparse
import pathlib
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ..displays import LossCurveDisplay, network_in
from ..estimators.classifier import BackpropClassifier
from ..estimators.regressor import BackpropRegressor
from ..extras import require
from ..training import observer as monitor
from . import tables
from .model_files import Model, check_output, write_whole
from .progress import LiveLine, Progress
from .tables import Columns, UserError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

TASKS = ("classification", "regression")
MOST_INTEGER_CLASSES = 20  # of more whole numbers a target is a quantity, unless the user says otherwise
FEWEST_ROWS = 10
# A category of fewer rows, or beyond the most frequent ones, is one with all others of its kind.
FEWEST_OF_CATEGORY, MOST_CATEGORIES = 5, 100
# With fewer rows to stop by, early stopping would obey chance.
FEWEST_TO_STOP_BY = 100
MISSING = "(missing)"


def train(options: argparse.Namespace) -> None:
    """Train on a file, print the score on rows held out, and write model and picture if asked to."""
    require("pandas", "skops", extra="cli", by="python -m fastbp train")
    if options.plot:
        _check_picture(options.plot)
        check_output(options.plot, options.data, options.output)
    if options.output:
        check_output(options.output, options.data)
    frame = tables.read(options.data)
    if options.target not in frame:
        raise UserError(f"{options.data} has no column {options.target!r}; it has {tables.listed(frame.columns)}")
    known = frame[options.target].notna()
    n_unknown = int((~known).sum())
    frame = frame[known].reset_index(drop=True)
    if len(frame) < FEWEST_ROWS:
        raise UserError(
            f"{options.data} has {len(frame)} rows with a {options.target!r}, at least {FEWEST_ROWS} are needed"
        )
    y = _target(frame.pop(options.target), options.task)
    columns, left_out = Columns.of(frame)
    X = columns.taken_from(frame, options.data)
    if not X.shape[1]:
        raise UserError(f"{options.data} has no column to predict {options.target!r} from")

    classes = np.unique(y) if y.dtype.kind != "f" else None
    print(f"{options.data}: {len(columns.numeric)} numeric and {len(columns.categorical)} categorical columns")
    for name, why in left_out.items():
        print(f"  left out: {name!r} ({why})")
    if n_unknown:
        print(f"  left out: {n_unknown} rows without a {options.target!r}")
    what = "regression" if classes is None else f"classification, {len(classes)} classes"
    X_train, X_test, y_train, y_test = _split(X, y, options)
    print(f"target {options.target!r}: {what}; {len(y_train)} rows to train on, {len(y_test)} held out")

    pipeline = make_pipeline(_preprocessor(columns), _network(y_train, options))
    _fit(pipeline, X_train, y_train)
    baseline = DummyRegressor() if classes is None else DummyClassifier(strategy="most_frequent")
    baseline.fit(X_train, y_train)
    guess = "mean" if classes is None else f"majority, {str(baseline.predict(X_test)[0])!r}"
    measure = "R^2" if classes is None else "accuracy"
    rows = {"network": pipeline.score(X_test, y_test), guess: baseline.score(X_test, y_test)}
    width = max(map(len, rows))
    print(f"\n{measure} on the rows held out")
    print("\n".join(f"  {name:{width}}  {score:.4f}" for name, score in rows.items()))

    if options.plot:
        _draw(pipeline, options.plot)
        print(f"loss curves: {options.plot}")
    if options.output:
        Model(pipeline, columns, options.target).save(options.output)
        print(f"model: {options.output}")


def predict(options: argparse.Namespace) -> None:
    """Predict for the rows of a file, to another one or the standard output."""
    require("pandas", "skops", extra="cli", by="python -m fastbp predict")
    import pandas as pd

    if options.output:
        check_output(options.output, options.data, options.model)
    model = Model.load(options.model)
    if options.proba and not hasattr(model.pipeline, "predict_proba"):
        raise UserError(f"--proba: {options.model} predicts numbers, which have no probabilities")
    X = model.columns.taken_from(tables.read(options.data), options.data)
    predictions: dict[str, Any] = {model.target: model.pipeline.predict(X)}
    if options.proba:
        by_class = zip(model.pipeline.classes_, model.pipeline.predict_proba(X).T, strict=True)
        predictions |= {f"probability of {label}": column for label, column in by_class}
    content = pd.DataFrame(predictions).to_csv(index=False)
    if options.output:
        write_whole(options.output, lambda stream: stream.write(content.encode()))
    else:
        sys.stdout.write(content)


def _target(column: "Series", task: str) -> NDArray:
    """The target: whole numbers or strings for classes, float64 for regression; raises UserError."""
    values, name = tables.numbers(column), column.name
    whole = values is not None and bool((np.isfinite(values) & (values == np.floor(values))).all())
    few = values is not None and len(np.unique(values)) <= MOST_INTEGER_CLASSES
    if task == "auto":
        task = "classification" if values is None or (whole and few) else "regression"
    if task == "regression":
        if values is None:
            raise UserError(f"column {name!r} is not numbers, as --task regression needs")
        if np.isinf(values).any():
            raise UserError(f"column {name!r}, the target, has an infinite value")
        if np.ptp(values) == 0:
            raise UserError(f"column {name!r}, the target, has one value throughout: {values[0]:g}")
        return values
    # beyond 2^53 a float does not tell whole numbers apart
    y = values.astype(np.int64) if values is not None and whole and abs(values).max() < 2**53 else tables.text(column)
    y = y if y.dtype != object else y.astype(str)
    if len(np.unique(y)) < 2:
        raise UserError(f"column {name!r}, the target, has one class: {str(y[0])!r}")
    return y


def _split(X: "DataFrame", y: NDArray, options: argparse.Namespace) -> list[Any]:
    """Rows to train on and rows held out, with the same shares of the classes where there are enough of each."""
    n_test = int(np.ceil(options.held_out * len(y)))
    n_train = len(y) - n_test
    if n_train < FEWEST_ROWS // 2:
        raise UserError(f"--held-out {options.held_out:g} of {len(y)} rows leaves {n_train} of them to train on")
    if n_test < 2:
        raise UserError(f"--held-out {options.held_out:g} of {len(y)} rows holds {n_test} of them out, too few")
    stratify = None
    if y.dtype.kind != "f":
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() > 1 and len(classes) <= min(n_test, n_train):
            stratify = y
    parts = train_test_split(X, y, test_size=n_test, random_state=options.seed, stratify=stratify)
    if stratify is None and y.dtype.kind != "f" and len(np.unique(parts[2])) < 2:
        raise UserError(f"the rows to train on have one class, {str(parts[2][0])!r}: the others are too few")
    return list(parts)


def _preprocessor(columns: Columns) -> ColumnTransformer:
    """From columns as `Columns.taken_from` gives them to standardised numbers."""
    numeric = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categorical = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=MISSING),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=FEWEST_OF_CATEGORY, max_categories=MOST_CATEGORIES
        ),
    )
    return ColumnTransformer(
        [("numeric", numeric, columns.numeric), ("categorical", categorical, columns.categorical)],
    )


def _network(y: NDArray, options: argparse.Namespace) -> Any:
    """The network for a target, with early stopping where a tenth of the rows can tell anything."""
    n_validation, classifies = len(y) // 10, y.dtype.kind != "f"
    counts = np.unique(y, return_counts=True)[1] if classifies else np.array([len(y)])
    parameters: dict[str, Any] = {
        "hidden_layer_sizes": options.hidden,
        "max_iter": options.epochs,
        "random_state": options.seed,
        "early_stopping": bool(n_validation >= max(FEWEST_TO_STOP_BY, len(counts)) and counts.min() > 1),
        "dtype": "float32",
    }
    if classifies:
        return BackpropClassifier(**parameters)
    return TransformedTargetRegressor(BackpropRegressor(**parameters), transformer=StandardScaler())


def _fit(pipeline: Pipeline, X: "DataFrame", y: NDArray) -> None:
    """Fit, show progress, and say why it ended."""
    line, start = LiveLine(), time.perf_counter()
    line.show("Compiling (on the first run, up to a minute) ...")
    try:
        with warnings.catch_warnings(), monitor.watch(Progress("network", line)):
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below
            # The estimators keep the epochs done so far: no model to replace a finished one with.
            warnings.filterwarnings("error", "Training interrupted")
            pipeline.fit(X, y)
    except ValueError as error:
        raise UserError(f"training failed: {tables.reason(error)}") from error
    except UserWarning:
        raise KeyboardInterrupt from None
    network = network_in(pipeline)
    measure = "validation score" if network.early_stopping else "training loss"
    ended = f"the {measure} no longer improved" if network.converged_ else "--epochs is reached, more may help"
    line.done(f"{network.n_iter_} epochs, {time.perf_counter() - start:.1f} s: {ended}")


def _check_picture(path: str) -> None:
    """That matplotlib is there and can draw to files of that kind; raises UserError."""
    require("matplotlib", extra="plot", by="--plot")
    from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    if pathlib.Path(path).suffix.lower().removeprefix(".") not in kinds:
        raise UserError(f"--plot {path}: its name must end in one of {', '.join('.' + kind for kind in kinds)}")


def _draw(pipeline: Pipeline, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")  # of no window, whatever the backend
    LossCurveDisplay.from_estimator(pipeline, ax=figure.subplots(), log_scale=True)
    kind = pathlib.Path(path).suffix.lower().removeprefix(".")

    def write(stream: BinaryIO) -> None:
        figure.savefig(stream, format=kind)

    write_whole(path, write)
