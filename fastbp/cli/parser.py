"""The arguments of ``python -m fastbp``. `options.job` names the job; `main` imports its module."""

import argparse
import math
from typing import Any

from ..kernels.compiling.levels import LEVELS
from ..version import __version__
from .limits import ENOUGH, MOST_INTEGER_CLASSES

TASKS = ("classification", "regression")
DEFAULT = " (default: %(default)s)"
# The help text of an argument that several jobs have.
DATA_HELP = (
    "a Parquet, CSV or TSV file; text may be compressed (.gz, .bz2, .xz, .zst, .zip), and its first line names the "
    "columns; - is the standard input"
)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def seed(text: str) -> int:
    """A seed that NumPy's RandomState takes."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def layer_sizes(text: str) -> tuple[int, ...]:
    """The widths of the hidden layers, from a text such as 64,32."""
    try:
        return tuple(positive(size.strip()) for size in text.split(","))
    except argparse.ArgumentTypeError:
        message = f"{text!r} is not a list of whole numbers above 0 such as 100 or 64,32"
        raise argparse.ArgumentTypeError(message) from None


def separator(text: str) -> str:
    """The character between columns. \\t and tab stand for a tab, because a tab itself is hard to type in a shell."""
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1 or text in '\n\r"':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character that can separate columns")
    return text


def encoding(text: str) -> str:
    try:
        "".encode(text)
    except (LookupError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is not an encoding, such as utf-8 or latin-1") from None
    return text


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastbp",
        description="Train fastbp's BackpropClassifier and scikit-learn's MLPClassifier on the handwritten digits that "
        "come with scikit-learn, and print test accuracy and training time side by side. Both get the same settings "
        "and the same seed. They train in turns. MLPClassifier gets one BLAS thread or all of them, whichever is "
        "faster here. The first run on a machine compiles the kernels. The time for this is printed separately.",
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    parser.add_argument(
        "--epochs", type=positive, default=500, help=f"number of passes over the training images{DEFAULT}"
    )
    parser.add_argument(
        "--hidden",
        type=layer_sizes,
        default="100",
        help=f"number of units in each hidden layer, such as 64,32{DEFAULT}",
    )
    parser.add_argument(
        "--batch-size", type=positive, default=200, help=f"number of images in each step of Adam{DEFAULT}"
    )
    parser.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32", help=f"precision of the training{DEFAULT}"
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        help=f"seed of the split, of the initial weights and of the order of the rows{DEFAULT}",
    )
    parser.set_defaults(job="digits")
    commands = parser.add_subparsers(title="other jobs", metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_warmup(commands)
    _add_info(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train on a CSV or Parquet file",
        description="Train networks to predict one column of a table from the others. First print a report about the "
        "table: the columns by kind, missing and suspicious values, and the columns that are left out. Then hold out "
        "some rows, train on the others, and print metrics on the rows held out, beside those of a guess that ignores "
        "the other columns. Many networks are trained, and the best predict together: the model is a "
        "fastbp.TabularClassifier or TabularRegressor. Numbers, dates and categories need no preparation, and values "
        f"may be missing. If at least {ENOUGH:.0%} of the values of a column are numbers, or dates of one format, its "
        "other values count as missing. In any other column, each value is a category.",
    )
    train.add_argument("data", metavar="DATA", help=DATA_HELP)
    train.add_argument("--target", metavar="COLUMN", required=True, help="the column to predict")
    for option, what in (
        ("--drop", "leave out this column"),
        ("--category", "this column holds categories, even if they look like numbers"),
    ):
        train.add_argument(option, metavar="COLUMN", action="append", default=[], help=f"{what}; may be repeated")
    train.add_argument("--output", metavar="MODEL", help="write the model to this file, to predict with it")
    train.add_argument(
        "--task",
        choices=["auto", *TASKS],
        default="auto",
        help="auto: regression if the target holds numbers that are not all whole, or more than "
        f"{MOST_INTEGER_CLASSES} different ones; otherwise classification{DEFAULT}",
    )
    train.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help="end the training after this time, with the best networks so far (default: no limit)",
    )
    train.add_argument(
        "--networks",
        type=positive,
        metavar="N",
        default=16,
        help=f"number of networks in the model; fewer train faster{DEFAULT}",
    )
    train.add_argument(
        "--held-out", type=fraction, default=0.2, help=f"share of the rows to hold out for the metrics{DEFAULT}"
    )
    train.add_argument("--seed", type=seed, default=0, help=f"seed of the split and of the training{DEFAULT}")
    train.add_argument("--jobs", type=positive, metavar="N", help="most threads to train with (default: all)")
    _add_metric(train)
    _add_format(train)
    for option in ("--hidden", "--epochs"):  # options of the comparison on the digits
        train.add_argument(option, action=_NotForTrain, help=argparse.SUPPRESS)
    train.set_defaults(job="train")


class _NotForTrain(argparse.Action):
    """An option that `train` does not have. argparse's own error would show the options of the comparison instead."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        options = "--networks and --time-limit bound the work"
        parser.error(f"train has no {self.option_strings[0]}: it finds good networks itself; {options}")


def _add_format(command: Any) -> None:
    """Add the options that say how a text file is written."""
    form = command.add_argument_group("how the file is written, if it is text (default: guessed from the file)")
    form.add_argument(
        "--sep", type=separator, metavar="SIGN", help=r"the character between two columns, such as ';' or '\t'"
    )
    form.add_argument("--decimal", choices=[".", ","], metavar="SIGN", help="the sign before decimals, . or ,")
    form.add_argument("--encoding", type=encoding, metavar="NAME", help="such as utf-8, latin-1 or cp1252")


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict with a model that train has written",
        description="Predict the target of each row of a table, and write the predictions as CSV. Labels are written "
        "as they are in the training file, also those that a spreadsheet would run as a formula (they begin with =, +, "
        "- or @). Values that the training did not know are reported on the standard error.",
    )
    predict.add_argument("model", metavar="MODEL", help="a file that train has written")
    predict.add_argument("data", metavar="DATA", help=f"a table with the columns that the model reads: {DATA_HELP}")
    predict.add_argument("--output", metavar="FILE", help="write to this file instead of the standard output")
    predict.add_argument(
        "--id", metavar="COLUMN", action="append", default=[], help="write this column too, first; may be repeated"
    )
    predict.add_argument("--proba", action="store_true", help="add a column with the probability of each class")
    _add_format(predict)
    predict.set_defaults(job="predict")


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="print metrics of a model that train has written",
        description="Predict the rows of a table that has the target, and print how good the predictions are: "
        "accuracy, log loss, area under the ROC curve and F1, or R^2, root mean squared error and mean absolute error.",
    )
    evaluate.add_argument("model", metavar="MODEL", help="a file that train has written")
    evaluate.add_argument("data", metavar="DATA", help=f"a table with the target and the model's columns: {DATA_HELP}")
    _add_metric(evaluate)
    _add_format(evaluate)
    evaluate.set_defaults(job="evaluate")


def _add_metric(command: Any) -> None:
    command.add_argument(
        "--metric",
        metavar="SCORER",
        action="append",
        default=[],
        help="print this scorer of scikit-learn too, such as balanced_accuracy or neg_median_absolute_error; may be "
        "repeated. If there are two classes, the last is the positive one",
    )


def _add_warmup(commands: Any) -> None:
    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels now",
        description="Compile all kernels and keep them on disk, so that no fit has to compile. Run this when you build "
        "a container image. If the image will run on other CPUs, name their level by --cpu. The exit code is 1 if the "
        "kernels cannot be kept.",
    )
    warmup.add_argument(
        "--dtype", choices=["float32", "float64", "both"], default="both", help=f"precision of the kernels{DEFAULT}"
    )
    warmup.add_argument(
        "--cpu",
        choices=LEVELS,
        help="compile for all CPUs of this level, on any machine: x86-64-v3 has AVX2, x86-64-v4 has AVX-512, aarch64 "
        "has NEON (default: for the CPU of this machine only)",
    )
    warmup.add_argument(
        "--into",
        metavar="DIR",
        help="with --cpu: the folder for the kernels (default: the folder fastbp/kernels/prebuilt of this installation,"
        " where a fit finds them; a copy of DIR may take the place of that folder in another installation)",
    )
    warmup.set_defaults(job="warmup")


def _add_info(commands: Any) -> None:
    info = commands.add_parser(
        "info",
        help="print versions, CPU, threads and the state of the cache",
        description="Print versions, CPU, threads and the state of the cache of compiled kernels. A bug report should "
        "contain this.",
    )
    info.set_defaults(job="info")
