"""Tables in Markdown and a picture of what accuracy.py measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from accuracy_methods import CATBOOST, FASTBP, HIST, LIGHTGBM
from accuracy_scores import Result, Scores, standard_error

COLOURS = {
    FASTBP: "tab:blue", CATBOOST: "tab:red", LIGHTGBM: "tab:green", HIST: "tab:orange", "RealMLP": "tab:purple",
    "MLP": "tab:brown",
}  # fmt: skip
ALL_SECONDS = "fit_seconds", "predict_seconds"


class Measure(NamedTuple):
    """A column of the results."""

    title: str
    field: str
    sign: int  # 1 if more is better, -1 if less is better
    form: str  # how a number is written


MEASURES = (
    Measure("log loss", "log_loss", -1, ".4f"),
    Measure("R2", "r2", 1, ".4f"),
    Measure("accuracy", "accuracy", 1, ".4f"),
    Measure("calibration error", "calibration_error", -1, ".4f"),
    Measure("seconds of fit", "fit_seconds", -1, ".2f"),
    Measure("seconds of predict", "predict_seconds", -1, ".3f"),
)


def lines(scores: Scores) -> Iterator[str]:
    """The whole report."""
    for measure in MEASURES:
        yield from _measured(scores, measure)
    yield from _summary(scores)
    if FASTBP in scores.methods and len(scores.methods) > 1:
        yield from _sentences(scores)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(first: str, others: list[str]) -> Iterator[str]:
    yield _row(first, *others)
    yield _row("---", *["---:"] * len(others))


def _measured(scores: Scores, measure: Measure) -> Iterator[str]:
    """A row for each table that has this measure, with the best number in bold."""
    tables = [name for name in scores.tables if _values(scores.of(name, scores.methods[0]), measure)]
    if tables:
        yield from _heading(measure.title, scores.methods)
    for name in tables:
        values = [_values(scores.of(name, method), measure) for method in scores.methods]
        best = max(measure.sign * statistics.mean(each) for each in values)
        cells = []
        for each in values:
            mean = statistics.mean(each)
            text = f"{mean:{measure.form}}"
            if len(each) > 1:
                text += f" ± {standard_error(each):{measure.form}}"
            cells.append(f"**{text}**" if measure.sign * mean == best else text)
        yield _row(name, *cells)
    if tables:
        yield ""


def _values(results: list[Result], measure: Measure) -> list[float]:
    """The values of a measure, seed by seed. Empty if the table does not have it."""
    return [value for result in results if (value := getattr(result, measure.field)) is not None]


def _summary(scores: Scores) -> Iterator[str]:
    """A row for each method, over all tables."""
    ours, ranks = FASTBP in scores.methods, scores.mean_ranks()
    titles = ["mean rank", *([f"{FASTBP} won, tied, lost"] if ours else []), "mean accuracy", "mean calibration error"]
    titles += ["seconds of fits", "seconds of predictions", f"all seconds over {CATBOOST}'s"]
    yield from _heading(f"{len(scores.tables)} tables", titles)
    for method in scores.methods:
        means = [scores.mean(method, field) for field in ("accuracy", "calibration_error")]
        cells = [f"{ranks[method]:.2f}"]
        if ours:
            cells.append("" if method == FASTBP else ", ".join(map(str, scores.record(FASTBP, [method]))))
        cells += ["" if mean is None else f"{mean:.4f}" for mean in means]
        cells += [f"{scores.seconds(method, field):,.1f}" for field in ALL_SECONDS]
        cells.append(f"{_times_catboost(scores, method):.2f}" if CATBOOST in scores.methods else "")
        yield _row(method, *cells)
    yield ""


def _times_catboost(scores: Scores, method: str) -> float:
    return scores.seconds(method, *ALL_SECONDS) / scores.seconds(CATBOOST, *ALL_SECONDS)


def _sentences(scores: Scores) -> Iterator[str]:
    """The sentences below the table of the methods."""
    if {HIST, LIGHTGBM} <= {*scores.methods}:
        won, tied, _ = scores.record(FASTBP, [HIST, LIGHTGBM])
        yield (
            f"{FASTBP} won {won} of {len(scores.tables)} tables against both {HIST} and {LIGHTGBM}, and won or tied "
            f"{won + tied}."
        )
    gap = scores.worst(FASTBP)
    yield (
        f"Worst table of {FASTBP}: {gap.table}. The error is larger than that of {gap.best} by {gap.share:.1%} of the "
        "error of a constant prediction."
        if gap.share
        else f"{FASTBP} was the best on every table."
    )


def draw(scores: Scores, path: Path) -> None:
    """Draw the error of each method, relative to the best one of each table, over its seconds."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    points = {
        method: (scores.seconds(method, *ALL_SECONDS), scores.relative_error(method)) for method in scores.methods
    }
    for method, (seconds, error) in points.items():
        is_ours, colour = method == FASTBP, COLOURS[method]
        # The label is on the side where the nearest neighbour is not.
        distances = {abs(math.log(x / seconds)): y for peer, (x, y) in points.items() if peer != method}
        is_above = not distances or error >= distances[min(distances)]
        axis.plot(*points[method], "o", color=colour, markersize=8 if is_ours else 6)
        axis.annotate(
            method,
            points[method],
            (0, 8 if is_above else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if is_above else "top",
            color=colour,
            weight="bold" if is_ours else "normal",
        )
    axis.set_xscale("log")
    axis.margins(0.15)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    axis.set_xlabel("seconds of all fits and predictions")
    axis.set_ylabel("error over the best method's, mean over tables")
    axis.set_title(f"{len(scores.tables)} tables; left and down is better", fontsize=10)
    figure.savefig(path, dpi=110)
