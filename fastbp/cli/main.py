"""``python -m fastbp``: train on scikit-learn's handwritten digits, beside scikit-learn's own MLPClassifier.

Its other jobs are in `tabular` and `diagnostics`.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from .. import BackpropClassifier, __version__
from ..extras import MissingExtra
from ..training import observer as monitor
from . import diagnostics, tabular
from .progress import LiveLine, Progress
from .tables import UserError

Estimator: TypeAlias = BackpropClassifier | MLPClassifier
MakeEstimator: TypeAlias = Callable[..., Estimator]


class Data(NamedTuple):
    """Images and labels, standardised by the training images, in the dtype to train in."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Result(NamedTuple):
    """One row of the final table."""

    name: str
    accuracy: float
    seconds: float
    loss: float


def digits(dtype: str, seed: int) -> Data:
    """The 1797 digits that come with scikit-learn, a fifth of them held out."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    scaler = StandardScaler().fit(X_train)
    return Data(scaler.transform(X_train).astype(dtype), scaler.transform(X_test).astype(dtype), y_train, y_test)


def fit(model: Estimator, data: Data) -> float:
    """Train on the training images and return the seconds it took."""
    start = time.perf_counter()
    model.fit(data.X_train, data.y_train)
    seconds = time.perf_counter() - start
    if model.n_iter_ < model.max_iter:
        # Both estimators turn Ctrl-C into a warning and keep the epochs done so far: no basis for a comparison.
        raise KeyboardInterrupt
    return seconds


def cold_start(make: MakeEstimator, data: Data) -> float:
    """Seconds by which the first fit and predict of this process exceed the second, one epoch each.

    One epoch of the real job rather than a toy: small work runs serially, which is other machine code.
    """

    def once() -> float:
        start = time.perf_counter()
        model = make(max_iter=1)
        fit(model, data)
        model.predict(data.X_test)
        return time.perf_counter() - start

    first = once()
    return max(0.0, first - once())


def table(rows: Sequence[Result]) -> str:
    """The results below a heading, names to the left and numbers to the right."""
    cells = [("", "test accuracy", "training seconds", "final loss")]
    cells += [(row.name, f"{row.accuracy:.4f}", f"{row.seconds:.3f}", f"{row.loss:.6g}") for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([name.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)])
        for name, *rest in cells
    )


def compare_on_digits(options: argparse.Namespace) -> None:
    """Train both estimators with the same settings and seed, and print how they did."""
    data = digits(options.dtype, options.seed)
    n_train = len(data.y_train)
    if options.batch_size > n_train:
        raise argparse.ArgumentTypeError(
            f"argument --batch-size: {options.batch_size} is more than the {n_train} images there are to train on"
        )
    # tol and n_iter_no_change: every epoch is trained, so that both do the same work.
    settings: dict[str, Any] = {
        "hidden_layer_sizes": options.hidden,
        "batch_size": options.batch_size,
        "max_iter": options.epochs,
        "random_state": options.seed,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
    }
    make_ours = functools.partial(BackpropClassifier, **{**settings, "dtype": options.dtype})
    make_theirs = functools.partial(MLPClassifier, **settings)

    layers = "-".join(map(str, (data.X_train.shape[1], *options.hidden, len(np.unique(data.y_train)))))
    print(f"fastbp {__version__} on handwritten digits: {n_train} images to train on, {len(data.y_test)} to test on")
    print(
        f"network {layers}, relu, Adam, {options.epochs} epochs in batches of {options.batch_size}, {options.dtype}, "
        f"seed {options.seed}, threads: at most {numba.get_num_threads()}\n"
    )

    line = LiveLine()
    results = []
    with warnings.catch_warnings():
        # Stopping at --epochs is the point here; an interrupt is reported by `fit`.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Training interrupted")

        line.show("Compiling (on the first run, up to a minute) ...")
        compiling = cold_start(make_ours, data)
        line.done("Compiling (on the first run, up to a minute) ... done")
        model = make_ours()
        with monitor.watch(Progress("BackpropClassifier", line)):
            seconds = fit(model, data)
        results.append(Result("BackpropClassifier", model.score(data.X_test, data.y_test), seconds, model.loss_))

        line.show("Training scikit-learn's MLPClassifier ...")
        cold_start(make_theirs, data)  # its first fit starts the BLAS threads
        model = make_theirs()
        seconds = fit(model, data)
        line.done("Training scikit-learn's MLPClassifier ... done")
        results.append(Result("MLPClassifier", model.score(data.X_test, data.y_test), seconds, model.loss_))

    ours, theirs = results
    print(f"\n{table(results)}\n")
    print(f"BackpropClassifier trained {theirs.seconds / ours.seconds:.1f} times as fast as MLPClassifier.")
    print(
        f"Compiling took {compiling:.2f} s, not counted above: the first fit and predict of one epoch, less the same "
        "again.\nThe compiled code is kept on disk, so that the next run only loads it."
    )


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def seed(text: str) -> int:
    """A seed that NumPy's RandomState takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def fraction(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def layer_sizes(text: str) -> tuple[int, ...]:
    """Widths of the hidden layers, separated by commas."""
    try:
        return tuple(positive(size.strip()) for size in text.split(","))
    except argparse.ArgumentTypeError:
        message = f"{text!r} is not a list of whole numbers above 0 such as 100 or 64,32"
        raise argparse.ArgumentTypeError(message) from None


def build_parser() -> argparse.ArgumentParser:
    """The command line: what to run is in ``run``, so that a subcommand only has to set its own."""
    parser = argparse.ArgumentParser(
        prog="python -m fastbp",
        description="Train fastbp's BackpropClassifier and scikit-learn's MLPClassifier on the handwritten digits that "
        "come with scikit-learn, with the same settings and seed, and print test accuracy and training time side by "
        "side. Compiling, which the first run on a machine has to do, is timed separately.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    parser.add_argument("--epochs", type=positive, default=500, help="passes over the training images")
    parser.add_argument("--hidden", type=layer_sizes, default="100", help="units in each hidden layer, as in 64,32")
    parser.add_argument("--batch-size", type=positive, default=200, help="images in each step of Adam")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="precision of the training")
    parser.add_argument("--seed", type=seed, default=0, help="for the split, the initial weights and the order of rows")
    parser.set_defaults(run=compare_on_digits)

    commands = parser.add_subparsers(title="other jobs", metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train on a CSV or Parquet file",
        description="Train a network to predict one column of a table from the others, and print its score on rows "
        "held out, beside that of a guess that ignores them. Numbers are standardised, their missing values are the "
        "median; anything else is a category, a missing value too.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.add_argument("data", metavar="DATA", help="a CSV file with a line of names, .tsv, or .parquet")
    train.add_argument("--target", metavar="COLUMN", required=True, help="the column to predict")
    train.add_argument("--output", metavar="MODEL", help="file to write the model to, for predict")
    train.add_argument("--plot", metavar="FILE", help="file to draw the loss curves to, such as loss.png")
    train.add_argument(
        "--task",
        choices=["auto", *tabular.TASKS],
        default="auto",
        help=f"auto: regression for numbers, unless they are whole and at most {tabular.MOST_INTEGER_CLASSES}",
    )
    train.add_argument("--hidden", type=layer_sizes, default="100", help="units in each hidden layer, as in 64,32")
    train.add_argument("--epochs", type=positive, default=200, help="most passes over the rows")
    train.add_argument("--held-out", type=fraction, default=0.2, help="share of the rows to score on")
    train.add_argument("--seed", type=seed, default=0, help="for the split, the initial weights and the order of rows")
    train.set_defaults(run=tabular.train)
    predict = commands.add_parser(
        "predict",
        help="predict with a model of train",
        description="Predict the target for each row of a table, as CSV.",
    )
    predict.add_argument("model", metavar="MODEL", help="a file that train has written")
    predict.add_argument("data", metavar="DATA", help="a table with the columns that the model was trained on")
    predict.add_argument("--output", metavar="FILE", help="file to write to; default: the standard output")
    predict.add_argument("--proba", action="store_true", help="add a column with the probability of each class")
    predict.set_defaults(run=tabular.predict)
    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels now",
        description="Compile all kernels and keep them on disk, so that no fit has to: for container images. "
        "The exit code is 1 if they cannot be kept.",
    )
    warmup.add_argument("--dtype", choices=["float32", "float64", "both"], default="both", help="default: both")
    warmup.set_defaults(run=diagnostics.warmup)
    info = commands.add_parser(
        "info",
        help="print versions, CPU, threads and the state of the cache",
        description="Print versions, CPU, threads and the state of the cache of compiled kernels: for a bug report.",
    )
    info.set_defaults(run=diagnostics.info)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    except (UserError, MissingExtra) as error:
        print(f"fastbp: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    except BrokenPipeError:  # as in `python -m fastbp | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit raises again
        return 141  # 128 + SIGPIPE
