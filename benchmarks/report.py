"""Make tables and a picture from the JSON of a benchmark run.

python benchmarks/report.py speed.json                                   prints the tables
python benchmarks/report.py speed.json --readme benchmarks/README.md     also puts them between the file's markers
python benchmarks/report.py speed.json --picture benchmarks/speed.png

A ratio is a peer's time divided by fastbp's, or a peer's memory divided by fastbp's. Above 1, fastbp is better. All
times are medians. scikit-learn and PyTorch count with the better of one thread and all threads. fastbp and JAX use all
threads.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Iterator
from statistics import geometric_mean, median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

DTYPES = ("float32", "float64")
FASTBP, SKLEARN = "fastbp", "scikit-learn"
PEERS = (SKLEARN, "PyTorch", "JAX")
COLOURS = {SKLEARN: "tab:orange", "PyTorch": "tab:red", "JAX": "tab:green", FASTBP: "tab:blue"}
STYLES = {"float32": "-", "float64": "--"}
FACTORS = {
    "width": "units in each of two hidden layers",
    "batch": "examples in a batch",
    "depth": "hidden layers",
    "rows": "examples",
    "density": "density of CSR input, 1000 features",
}
MARKERS = "<!-- speed: begin -->\n", "<!-- speed: end -->\n"


class Race:
    """One test of the run: the time of each contender."""

    def __init__(self, benchmark: dict[str, Any]):
        self.group: str = benchmark["group"]
        self.info: dict[str, Any] = benchmark["extra_info"]
        self.seconds = {name: median(times) for name, times in self.info.get("seconds", {}).items()}

    def best(self, library: str) -> float:
        """Seconds of a library, infinite if it did not run. A peer counts with its better number of threads."""
        if library == FASTBP:
            return self.seconds.get("fastbp/all", self.seconds.get(FASTBP, float("inf")))
        return min((t for name, t in self.seconds.items() if name.split("/")[0] == library), default=float("inf"))

    @property
    def peers(self) -> list[str]:
        return [peer for peer in PEERS if self.best(peer) < float("inf")]

    def ratio(self, peer: str) -> float:
        return self.best(peer) / self.best(FASTBP)

    @property
    def worst_ratio(self) -> float:
        """The ratio to the best peer."""
        return min(map(self.ratio, self.peers))

    @property
    def scaling(self) -> float:
        """How many times as fast all threads are as one thread."""
        return self.seconds["fastbp/1"] / self.seconds["fastbp/all"]

    def rate(self, library: str) -> float:
        """Useful floating-point operations per second."""
        return float(self.info["operations"] / self.best(library))

    @property
    def peak_rate(self) -> float:
        return float(self.info["peak_operations"]["FMA peak/all"] / self.seconds["FMA peak/all"])


class Report:
    def __init__(self, document: dict[str, Any]):
        self._machine = document["machine_info"]
        races = [Race(benchmark) for benchmark in document["benchmarks"]]
        self._races = [race for race in races if race.seconds or "MiB" in race.info]  # without interrupted ones

    def races(self, group: str, **info: Any) -> list[Race]:
        return [r for r in self._races if r.group == group and all(r.info.get(key) == info[key] for key in info)]

    def peak(self, dtype: str) -> float:
        """The machine's peak rate: the median over all workloads, because one measurement may have been disturbed."""
        return median(race.peak_rate for race in self.races("workloads", dtype=dtype))

    def machine(self) -> Iterator[str]:
        machine = self._machine
        versions = ", ".join(f"{library} {version}" for library, version in machine["versions"].items())
        yield f"{machine['host_cpu']}, {machine['threads']} threads; {versions}."
        if machine["missing"]:
            yield f"Not installed and left out: {', '.join(machine['missing'])}."
        if self.races("workloads"):
            peaks = (
                f"{self.peak(dtype) / 1e9:.0f} in {dtype}" for dtype in DTYPES if self.races("workloads", dtype=dtype)
            )
            yield f"The peak of fused multiply-adds, measured beside the workloads, in GFLOP/s: {', '.join(peaks)}."

    def training(self) -> Iterator[str]:
        """A line for each workload and dtype."""
        races = self.races("workloads") + self.races("real data")
        if not races:
            return
        peers = races[0].peers
        yield from heading(
            ["workload: rows x features (hidden) classes, batch", "dtype"],
            [*peers, FASTBP, "ratio to the best", "of the FMA peak", "all threads over one"],
        )
        for race in races:
            times = [1e3 * race.best(library) / race.info["epochs"] for library in (*peers, FASTBP)]
            share = f"{race.rate(FASTBP) / self.peak(race.info['dtype']):.0%}" if "peak_operations" in race.info else ""
            yield row(
                race.info["workload"],
                race.info["dtype"],
                *map(figures, times),
                ratio(race.worst_ratio),
                share,
                figures(race.scaling),
            )

    def means(self) -> Iterator[str]:
        for dtype in DTYPES:
            races = self.races("workloads", dtype=dtype)
            if not races:
                continue
            means = [f"{geometric_mean(r.ratio(peer) for r in races):.1f} over {peer}" for peer in races[0].peers]
            worst = min(races, key=lambda race: race.worst_ratio)
            yield (
                f"Geometric mean of the {len(races)} workloads in {dtype}: {', '.join(means)}. "
                f"The smallest ratio to the best peer: {worst.worst_ratio:.2f}, {worst.info['workload']}."
            )

    def losses(self) -> Iterator[str]:
        """The points of the sweep where a peer is faster."""
        races = self.races("sweep")
        if not races:
            return
        slower = [race for race in races if race.worst_ratio < 1]
        yield f"Slower than the best peer in {len(slower)} of {len(races)} points of the sweep{':' if slower else '.'}"
        if slower:
            yield ""
        for race in slower:
            winner = min(race.peers, key=race.best)
            where = f"{race.info['factor']} {race.info['value']:g}, {race.info['dtype']}"
            yield f"- {where}: {race.worst_ratio:.2f} times as fast as {winner}"

    def other(self) -> Iterator[str]:
        """Everything except trainings of a given number of epochs."""
        lines = list(self._other())
        if lines:
            yield from heading(["what"], [*PEERS, FASTBP, "ratio to the best"])
            yield from lines

    def _other(self) -> Iterator[str]:
        for race in self.races("predict_proba"):
            unit, name = (1e6 / race.info["calls"], "us") if race.info["rows"] == 1 else (1e3, "ms")
            plural = "" if race.info["rows"] == 1 else "s"
            yield comparison(
                f"predict_proba of {race.info['rows']:,} row{plural}, {race.info['dtype']}, {name}", race, unit
            )
        for race in self.races("GridSearchCV"):
            yield comparison(f"GridSearchCV, {race.info['candidates']} candidates, {race.info['workload']}, s", race, 1)
        for group, what in (
            ("cold start", "import to the end of a first fit (iris), no cache, s"),
            ("cached start", "the same, with cached code, s"),
            ("import", "import alone, s"),
        ):
            for race in self.races(group):
                yield comparison(what, race, 1)
        races = self.races("memory")
        for what in ("fit", "predict") if races else ():
            peaks = {race.info["library"]: race.info["MiB"][what] for race in races}
            ours = peaks.pop(FASTBP)
            cells = [figures(peaks[peer]) if peer in peaks else "" for peer in PEERS]
            yield row(
                f"peak memory of {what}, {races[0].info['rows']:,} x 50 float32, MiB",
                *cells,
                figures(ours),
                ratio(min(peaks.values()) / ours),
            )

    def lines(self) -> Iterator[str]:
        for paragraph in (self.machine, self.training, self.means, self.losses, self.other):
            lines = list(paragraph())
            if lines:
                yield from lines
                yield ""

    def draw(self, path: pathlib.Path) -> None:
        """Draw ratios over each factor of the sweep, and rates of arithmetic, beside the peak, over the width."""
        figure, axes = plt.subplots(2, 3, figsize=(12, 7.2), layout="constrained")
        *panels, last = axes.flat
        for axis, factor in zip(panels, FACTORS, strict=True):
            self._draw_ratios(axis, factor)
        highest = max(axis.get_ylim()[1] for axis in panels)
        lowest = min(0.7, *(axis.get_ylim()[0] for axis in panels))
        for axis in panels:
            axis.set_ylim(lowest, highest)
            axis.axhspan(lowest, 1, color="0.9", zorder=0)
        self._draw_rates(last)
        panels[0].set_ylabel("time of the peer / time of fastbp")
        panels[3].set_ylabel("time of the peer / time of fastbp")
        handles, labels = last.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
        figure.suptitle(
            "Training, one factor varied around 4096 examples of 64 features, hidden layers (128, 128), batch 256. "
            "Grey: fastbp is slower.",
            fontsize=10,
        )
        figure.savefig(path, dpi=110)

    def _draw_ratios(self, axis: Axes, factor: str) -> None:
        for dtype in DTYPES:
            races = self.races("sweep", factor=factor, dtype=dtype)
            values = [race.info["value"] for race in races]
            for peer in races[0].peers if races else ():
                ratios = [race.ratio(peer) for race in races]
                axis.plot(values, ratios, STYLES[dtype], color=COLOURS[peer], marker=".")
        set_log_axes(axis, FACTORS[factor], log_x=factor != "depth")

    def _draw_rates(self, axis: Axes) -> None:
        for dtype in DTYPES:
            races = self.races("sweep", factor="width", dtype=dtype)
            widths = [race.info["value"] for race in races]
            for library in [FASTBP, *races[0].peers] if races else ():
                rates = [race.rate(library) / 1e9 for race in races]
                label = f"{library}, {dtype}"
                axis.plot(widths, rates, STYLES[dtype], color=COLOURS[library], marker=".", label=label)
            axis.axhline(self.peak(dtype) / 1e9, color="black", linestyle=STYLES[dtype], label=f"FMA peak, {dtype}")
        set_log_axes(axis, FACTORS["width"])
        axis.set_ylabel("useful GFLOP/s")


def set_log_axes(axis: Axes, label: str, *, log_x: bool = True) -> None:
    """Make the axes logarithmic, with plain numbers."""
    axis.set_yscale("log")
    if log_x:
        axis.set_xscale("log")
    for each in (axis.xaxis, axis.yaxis) if log_x else (axis.yaxis,):
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        each.set_minor_formatter(NullFormatter())
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)


def figures(value: float) -> str:
    """A number in three significant digits, or as a whole number from 100 on. Nothing if it is infinite."""
    if value == float("inf"):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"**{value:.2f}, slower**"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def heading(texts: list[str], numbers: list[str]) -> Iterator[str]:
    yield row(*texts, *numbers)
    yield row(*["---"] * len(texts), *["---:"] * len(numbers))


def comparison(what: str, race: Race, unit: float) -> str:
    times = [figures(unit * race.best(library)) for library in (*PEERS, FASTBP)]
    return row(what, *times, ratio(race.worst_ratio) if race.peers else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=pathlib.Path, help="written by pytest benchmarks --benchmark-json")
    parser.add_argument("--readme", type=pathlib.Path, help="a file with markers for the tables")
    parser.add_argument("--picture", type=pathlib.Path, help="where to draw the sweep")
    arguments = parser.parse_args()
    report = Report(json.loads(arguments.json.read_text()))
    text = "\n".join(report.lines())
    print(text)
    if arguments.readme:
        begin, end = MARKERS
        old = arguments.readme.read_text()
        before, rest = old.split(begin)
        _, after = rest.split(end)
        arguments.readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    if arguments.picture:
        report.draw(arguments.picture)


if __name__ == "__main__":
    main()
