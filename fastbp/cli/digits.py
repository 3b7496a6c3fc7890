"""The job without a command: train on scikit-learn's handwritten digits, beside scikit-learn's own MLPClassifier."""

import argparse
import functools
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from ..estimators.classifier import BackpropClassifier
from ..live_line import LiveLine
from ..parallel.team import upper_bound
from ..training.observer import watch
from ..version import __version__
from . import cache_folders, machine
from .contest import Data, Entrant, Result, blas_threads, cold_start, in_turns
from .progress import Compiling, Progress, interrupts_raised

ROUNDS = 3
LONGEST = 15.0  # no further round begins after LONGEST seconds
# Short fits decide whether MLPClassifier gets one BLAS thread or all. On a busy machine, all threads can take 40 times
# as long as one: a waiting BLAS thread loops, and may occupy the core that another BLAS thread needs. A short fit has
# at most TRIAL_EPOCHS. After TRIAL_LONGEST seconds no further round of short fits begins.
TRIAL_EPOCHS = 20
TRIAL_LONGEST = 2.0
NOT_KEPT = "No folder takes compiled code, so the next run compiles again (python -m fastbp info says why)."


def run(options: argparse.Namespace) -> None:
    """Train both estimators with the same settings and the same seed, and print how they did."""
    load = machine.load()
    data = digits(options.dtype, options.seed)
    n_train = len(data.y_train)
    if options.batch_size > n_train:
        raise argparse.ArgumentTypeError(
            f"argument --batch-size: {options.batch_size} is more than the {n_train} images to train on"
        )
    print(heading(options, data))
    print(f"machine: {machine.described(load)}\n")
    ours, theirs = entrants(options)
    line = LiveLine()
    with interrupts_raised():
        with Compiling(line) as compiling:
            start_up = cold_start(ours, data)
        theirs = with_better_threads(theirs, data, options.epochs, line)
        results = in_turns(
            [ours, theirs], data, options.epochs, rounds=ROUNDS, longest=LONGEST, shown=shown_on(line, "Round")
        )
        line.clear()
    print(f"\n{table(results, data)}\n\n{ratio(*results)}")
    print(start_up_sentence(start_up, compiled=compiling.kernels > 0))
    if busy := machine.busy(load):
        print(f"{busy} The times then differ from run to run.")


def digits(dtype: str, seed: int) -> Data:
    """scikit-learn's 1797 digits: a fifth to test on, the others to train on. The training set decides the scale."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    scaler = StandardScaler().fit(X_train)
    return Data(scaler.transform(X_train).astype(dtype), scaler.transform(X_test).astype(dtype), y_train, y_test)


def heading(options: argparse.Namespace, data: Data) -> str:
    """The libraries, the data and the settings in two lines."""
    layers = "-".join(map(str, (data.X_train.shape[1], *options.hidden, len(np.unique(data.y_train)))))
    return (
        f"fastbp {__version__} and scikit-learn {sklearn.__version__} on handwritten digits: "
        f"{len(data.y_train)} images to train on, {len(data.y_test)} to test on\n"
        f"network {layers}, relu, Adam, {options.epochs} epochs in batches of {options.batch_size}, {options.dtype}, "
        f"seed {options.seed}; fastbp uses at most {upper_bound(None)} threads"
    )


def entrants(options: argparse.Namespace) -> tuple[Entrant, Entrant]:
    """Our estimator and scikit-learn's, with the same settings."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": options.hidden,
        "batch_size": options.batch_size,
        "random_state": options.seed,
        # With these two settings no fit stops early, so both estimators do the same work.
        "tol": 0.0,
        "n_iter_no_change": np.inf,
    }
    ours = functools.partial(BackpropClassifier, **settings, dtype=options.dtype)
    return Entrant("BackpropClassifier", ours), Entrant("MLPClassifier", functools.partial(MLPClassifier, **settings))


def with_better_threads(theirs: Entrant, data: Data, epochs: int, line: LiveLine) -> Entrant:
    """scikit-learn's entrant with one BLAS thread or with all of them, whichever is faster in short fits.

    If threadpoolctl does not know the BLAS library, the entrant stays as it is.
    """
    most = blas_threads()
    if not most:
        line.done("MLPClassifier gets the threads that BLAS takes: threadpoolctl does not know this BLAS.")
        return theirs
    entrants = [theirs._replace(blas_threads=threads) for threads in sorted({1, most})]
    for entrant in entrants:
        entrant.fit(data, 1)  # The first fit also starts the threads, so it is not timed.
    if most == 1:
        line.done("MLPClassifier gets 1 BLAS thread, because BLAS has no other.")
        return entrants[0]
    epochs = min(epochs, TRIAL_EPOCHS)
    results = in_turns(entrants, data, epochs, rounds=ROUNDS, longest=TRIAL_LONGEST, shown=shown_on(line, "Trial"))
    better, worse = sorted(results, key=lambda result: result.median)
    line.done(
        f"MLPClassifier gets {better.entrant.threads}: {epochs} epochs took {better.median:.3f} s, "
        f"and {worse.median:.3f} s with {worse.entrant.threads} ({over_rounds(better)})."
    )
    return better.entrant


def shown_on(line: LiveLine, kind: str) -> Callable[[int, Entrant], AbstractContextManager[None]]:
    """A function for the argument `shown` of `in_turns`. Within its contexts, the line shows how far a fit has come."""

    @contextmanager
    def shown(number: int, entrant: Entrant) -> Iterator[None]:
        text = f"{kind} {number}/{ROUNDS}: {entrant.label}"
        line.show(f"{text} ...")
        with watch(Progress(text, line)):
            yield

    return shown


def over_rounds(result: Result) -> str:
    """The number of rounds behind the medians, in words."""
    return f"medians of {len(result.seconds)} rounds" if len(result.seconds) > 1 else "in one round"


def table(results: Sequence[Result], data: Data) -> str:
    """A heading, and below it a line for each result. Names are aligned left and numbers right."""
    cells: list[tuple[str, ...]] = [("", "test accuracy", "final loss", "training seconds", "fastest", "slowest")]
    for entrant, model, seconds in results:
        times = [f"{time:.3f}" for time in (statistics.median(seconds), min(seconds), max(seconds))]
        accuracy = model.score(data.X_test, data.y_test)
        cells.append((entrant.label, f"{accuracy:.4f}", f"{model.loss_:.6g}", *times))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([name.ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)])
        for name, *rest in cells
    )


def ratio(ours: Result, theirs: Result) -> str:
    """The sentence that compares the training times."""
    peer = theirs.entrant.name + (f" with {theirs.entrant.threads}" if theirs.entrant.threads else "")
    times = theirs.median / ours.median
    return f"{ours.entrant.name} trained {times:.1f} times as fast as {peer} ({over_rounds(ours)})."


def start_up_sentence(seconds: float, *, compiled: bool) -> str:
    """A sentence about the seconds that `cold_start` measures."""
    if not compiled:
        return f"The kernels were on disk. Loading them took {seconds:.2f} s, not counted above."
    again = "The next run loads the kernels from disk." if cache_folders.all_kept() else NOT_KEPT
    return f"Compiling the kernels took {seconds:.2f} s, not counted above. {again}"
