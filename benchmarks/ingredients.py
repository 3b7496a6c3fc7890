"""What each ingredient of modern training does to a network's predictions on tables.

python benchmarks/ingredients.py [FOLDER] [--tables NAME,NAME] [--seeds N] [--jobs N]

FOLDER has tables as NAME.parquet, each with a column "target", and a file tables.json. This file has an object
{"task": "binary", "multiclass" or "regression"} for each name. Without FOLDER, the tables are four that come with
scikit-learn. pandas must be installed, and for FOLDER also pyarrow.

A seed splits a table (a quarter is the test part) and is the random_state of all fits on it. Numbers are scaled, and
missing ones are the median. Other columns are one-hot. The targets of a regression are standardised. All is float32.

    drop-in     the estimator with its default parameters
    base        two hidden layers of 128 units, batches of 256, at most 100 epochs; a tenth of the training part is set
                aside, training stops after 20 epochs without a better loss on it, and the best weights are kept
    the others  base with one change, which VARIANTS shows

A fit with a schedule takes all 100 epochs, so that the schedule comes to its end, and keeps the best weights too.
"100 epochs" does so at the constant rate, and "rate 0.003" has the rate of "coslog": compare the schedules with these.
"all" changes several things at once.

The script prints tables in Markdown. The row of base has its log loss for classes, its R2 for numbers and its accuracy.
The other rows have the difference to base in units of 0.001, where positive is better: the mean over the seeds, and its
standard error. A difference is bold if it is worse by more than the standard error. Then follow the numbers of tables
where a row is better and worse by more than the standard error, and the time of its fits as a multiple of base (the
geometric mean over tables and seeds).
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn.datasets
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp import BackpropClassifier, BackpropRegressor

EARLY_STOPPING = {"early_stopping": True, "monitor": "loss", "n_iter_no_change": 20, "max_iter": 100}
BASE: dict[str, Any] = {"hidden_layer_sizes": (128, 128), "batch_size": 256, **EARLY_STOPPING}
WHOLE = {"n_iter_no_change": math.inf}  # no early end
COSLOG = {"learning_rate": "coslog", "learning_rate_init": 0.003}
REGULARISED = {"weight_decay": 0.02, "dropout": 0.15, "max_grad_norm": 1.0, **WHOLE}
VARIANTS: dict[str, dict[str, Any]] = {
    "100 epochs": WHOLE,
    "cosine": {"learning_rate": "cosine", **WHOLE},
    "flat_cosine": {"learning_rate": "flat_cosine", **WHOLE},
    "one_cycle": {"learning_rate": "one_cycle", **WHOLE},
    "coslog, rate 0.003": {**COSLOG, **WHOLE},
    "rate 0.003": {"learning_rate_init": 0.003},
    "warmup 0.1": {"warmup": 0.1},
    "weight_decay 0.1": {"weight_decay": 0.1},
    "dropout 0.15": {"dropout": 0.15},
    "input_dropout 0.05": {"input_dropout": 0.05},
    "label_smoothing 0.1": {"label_smoothing": 0.1},
    "max_grad_norm 1": {"max_grad_norm": 1.0},
    "mish": {"activation": "mish"},
    "mish, rate 0.003": {"activation": "mish", "learning_rate_init": 0.003},
    "selu, init lecun": {"activation": "selu", "init": "lecun"},
    "init he": {"init": "he"},
    "huber": {"loss": "huber"},
    "all": {"learning_rate": "flat_cosine", "activation": "mish", **REGULARISED},
    "all, but relu and coslog": {**COSLOG, **REGULARISED},
}
RECIPES: dict[str, dict[str, Any]] = {"base": BASE, "drop-in": {}, **{k: BASE | v for k, v in VARIANTS.items()}}
MEASURES = {"binary": "log loss", "multiclass": "log loss", "regression": "R2"}
FOR_CLASSES, FOR_NUMBERS = {"label_smoothing 0.1"}, {"huber"}
BUNDLED = {
    "breast_cancer": ("binary", sklearn.datasets.load_breast_cancer),
    "digits": ("multiclass", sklearn.datasets.load_digits),
    "wine": ("multiclass", sklearn.datasets.load_wine),
    "diabetes": ("regression", sklearn.datasets.load_diabetes),
}


class Job(NamedTuple):
    """A split of a table. A process makes all fits on it, so that their times compare."""

    folder: Path | None
    table: str
    seed: int


class Outcome(NamedTuple):
    """The test part's value of the loss or R2, and for classes the accuracy; the seconds of the fit."""

    value: float
    accuracy: float | None
    seconds: float


class Split(NamedTuple):
    """A table, split and encoded."""

    X_train: Any
    X_test: Any
    y_train: Any
    y_test: Any
    has_classes: bool


# ---------------------------------------------------------------- data


def tasks(folder: Path | None) -> dict[str, str]:
    """The task of each table that there is."""
    if folder is None:
        return {name: task for name, (task, _) in BUNDLED.items()}
    described = json.loads((folder / "tables.json").read_text())
    return {name: table["task"] for name, table in described.items()}


def features_and_target(folder: Path | None, name: str) -> tuple[Any, Any]:
    import pandas

    frame = BUNDLED[name][1](as_frame=True).frame if folder is None else pandas.read_parquet(folder / f"{name}.parquet")
    return frame.drop(columns="target"), frame["target"].to_numpy()


def split(job: Job) -> Split:
    X, y = features_and_target(job.folder, job.table)
    has_classes = tasks(job.folder)[job.table] != "regression"
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, random_state=job.seed, stratify=y if has_classes else None
    )
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_exclude="number")),
    )
    X_train = encoder.fit_transform(X_train).astype(np.float32)
    return Split(X_train, encoder.transform(X_test).astype(np.float32), y_train, y_test, has_classes)


# ---------------------------------------------------------------- fits


def outcome(data: Split, seed: int, parameters: dict[str, Any]) -> Outcome:
    """Fit a model and judge it on the test part."""

    def fitted(**changes: Any) -> Any:
        make = BackpropClassifier if data.has_classes else BackpropRegressor
        model = make(**(parameters | changes), random_state=seed, n_jobs=1)
        if not data.has_classes:
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
        return model.fit(data.X_train, data.y_train)

    fitted(max_iter=1)  # compiles
    start = time.perf_counter()
    model = fitted()
    seconds = time.perf_counter() - start
    if not data.has_classes:
        return Outcome(float(r2_score(data.y_test, model.predict(data.X_test))), None, seconds)
    loss = log_loss(data.y_test, model.predict_proba(data.X_test), labels=model.classes_)
    return Outcome(float(loss), float(accuracy_score(data.y_test, model.predict(data.X_test))), seconds)


def outcomes(job: Job) -> dict[str, Outcome]:
    """The outcome of each recipe on a split."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "Got `batch_size`")  # of tables with fewer rows
    data = split(job)
    left_out = FOR_NUMBERS if data.has_classes else FOR_CLASSES
    found = {name: outcome(data, job.seed, recipe) for name, recipe in RECIPES.items() if name not in left_out}
    print(f"{job.table}, seed {job.seed}: {sum(one.seconds for one in found.values()):.0f} s", file=sys.stderr)
    return found


# ---------------------------------------------------------------- tables


Found = dict[Job, dict[str, Outcome]]


def measure(one: Outcome, field: str) -> float:
    """A value of which more is better."""
    value = getattr(one, field)
    return -value if field == "value" and one.accuracy is not None else value


def cells(found: Found, recipe: str, tables: Iterable[str], field: str) -> list[str]:
    """Compare a recipe with base, seed by seed. The cell of a table that the recipe does not fit is empty."""
    texts, ratios, better, worse = [], [], 0, 0
    for table in tables:
        pairs = [(each[recipe], each["base"]) for job, each in found.items() if job.table == table and recipe in each]
        if pairs:
            differences = [measure(one, field) - measure(base, field) for one, base in pairs]
            mean, error = statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(pairs))
            better, worse = better + (mean > error), worse + (mean < -error)
            bold = "**" if mean < -error else ""
        texts.append(f"{bold}{1e3 * mean:+.1f} ± {1e3 * error:.1f}{bold}" if pairs else "")
        ratios += [one.seconds / base.seconds for one, base in pairs]
    return [*texts, str(better), str(worse), f"{statistics.geometric_mean(ratios):.2f}"] if ratios else []


def print_table(found: Found, tables: dict[str, str], field: str) -> None:
    """Print a table in Markdown: a row per recipe, a column per table."""
    measures = ["accuracy" if field == "accuracy" else MEASURES[task] for task in tables.values()]
    titles = [f"{name}, {of_table}" for name, of_table in zip(tables, measures, strict=True)]
    print(f"\n| recipe | {' | '.join(titles)} | better | worse | time |\n| --- |{' ---: |' * (len(titles) + 3)}")
    bases = [[getattr(each["base"], field) for job, each in found.items() if job.table == name] for name in tables]
    print(f"| base | {' | '.join(f'{statistics.mean(values):.4f}' for values in bases)} | | | 1.00 |")
    for recipe in [*RECIPES][1:]:
        if row := cells(found, recipe, tables, field):
            print(f"| {recipe} | {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the tables are")
    parser.add_argument("--tables", help="names with commas between them (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="splits of each table, at least 2")
    parser.add_argument("--jobs", type=int, default=1, help="processes; each fit has one thread")
    options = parser.parse_args()
    known = tasks(options.folder)
    names = options.tables.split(",") if options.tables else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"--tables: no table {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options.seeds < 2:
        parser.error("--seeds: a standard error needs at least 2")
    jobs = [Job(options.folder, name, seed) for name in names for seed in range(options.seeds)]
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(jobs, pool.map(outcomes, jobs), strict=True))
    tables = {name: known[name] for name in names}
    print_table(found, tables, "value")
    with_classes = {name: task for name, task in tables.items() if task != "regression"}
    if with_classes:
        print_table(found, with_classes, "accuracy")


if __name__ == "__main__":
    main()
