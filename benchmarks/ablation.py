"""What each part of the recipe of fastbp's estimators for tables is worth.

python benchmarks/ablation.py [FOLDER] [--tables NAME ...] [--seeds 0 1 2] [--variants NAME ...] [--json results.jsonl]

FOLDER has tables in the form that accuracy.py reads. Without FOLDER, the tables are those of accuracy.py. A seed splits
a table (a quarter is the test part) and is the random_state of the fit.

Each variant changes one part of the recipe. The script prints a table in Markdown. The row "recipe" has the log loss
for classes and 1 - R2 for numbers. The other rows have the difference from it in units of 0.001: the mean over the
seeds, and its standard error. If the difference is positive, the variant is worse than the recipe. Then follow the
numbers of tables where the variant is worse and better by more than the standard error, and the CPU time of its fits
relative to the recipe's (the geometric mean over tables and seeds). CPU time changes little if the machine does other
work. With --json, another run goes on where the first one ended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from accuracy_scores import standard_error
from accuracy_tables import Table, load, names, split
from sklearn.metrics import log_loss, r2_score

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tabular import base, race, recipe

Patch = tuple[Any, str, Any]  # an object, the name of an attribute, and its value in the variant


def only(encoding: str) -> Patch:
    return recipe, "ENCODINGS", {encoding: recipe.ENCODINGS[encoding]}


VARIANTS: dict[str, list[Patch]] = {
    "recipe": [],
    "one encoding: 16 quantiles": [only("16 quantiles")],
    "one encoding: 48 quantiles": [only("48 quantiles")],
    "no 128 quantiles": [(recipe, "ENCODINGS", {k: v for k, v in recipe.ENCODINGS.items() if "128" not in k})],
    "no exact few numbers": [(recipe, "ENCODINGS", {k: v for k, v in recipe.ENCODINGS.items() if "few" not in k})],
    "no piecewise linear encoding": [(recipe, "ENCODINGS", {"scaled": {"numbers": "robust+scores"}})],
    "no race: all candidates stay": [(base, "CANDIDATES", 1)],
    "no trial: the first round has all candidates": [(race, "_after_trial", lambda n, n_kept: n)],
    "six candidates for each that stays": [(base, "CANDIDATES", 6)],
    "no Huber loss": [(recipe, "HUBER", (False,))],
    "no dropout": [(recipe, "DROPOUTS", (0.0,))],
    "weak weight decay": [(recipe, "WEIGHT_DECAYS", (1e-6, 1e-5))],
    "one activation: relu": [(recipe, "ACTIVATIONS", ("relu",))],
    "one schedule: constant": [(recipe, "SCHEDULES", ("constant",))],
    "one schedule: flat_cosine": [(recipe, "SCHEDULES", ("flat_cosine",))],
    "half of the steps": [(recipe, "STEPS", tuple(steps // 2 for steps in recipe.STEPS))],
}
N_NETWORKS = {"4 networks": 4, "8 networks": 8, "32 networks": 32}


@contextlib.contextmanager
def patched(variant: str) -> Iterator[None]:
    """Within this context, the recipe is that of the variant."""
    with contextlib.ExitStack() as stack:
        for thing, name, value in VARIANTS.get(variant, []):
            stack.enter_context(mock.patch.object(thing, name, value))
        yield


def measured(table: Table, seed: int, variant: str) -> tuple[float, float]:
    """The error on the test part, and the CPU seconds of all threads of the fit."""
    train, test = split(table, seed)
    kind: Callable[..., Any] = TabularClassifier if table.has_classes else TabularRegressor
    model = kind(N_NETWORKS.get(variant, 16), random_state=seed)
    with patched(variant):
        start = time.process_time()
        model.fit(train.X, train.y)
        seconds = time.process_time() - start
    if table.has_classes:
        return log_loss(test.y, model.predict_proba(test.X), labels=model.classes_), seconds
    return 1 - r2_score(test.y, model.predict(test.X)), seconds


def row(variant: str, found: dict[tuple[str, int, str], tuple[float, float]], tables: list[str]) -> str:
    """A row of the table that the script prints."""
    seeds = sorted({seed for _, seed, _ in found})
    cells, worse, better, ratios = [], 0, 0, []
    for table in tables:
        pairs = [(found[table, seed, variant], found[table, seed, "recipe"]) for seed in seeds]
        ratios += [own[1] / recipe_[1] for own, recipe_ in pairs]
        if variant == "recipe":
            cells.append(f"{statistics.fmean(own[0] for own, _ in pairs):.4f}")
            continue
        differences = [1000 * (own[0] - recipe_[0]) for own, recipe_ in pairs]
        mean, error = statistics.fmean(differences), standard_error(differences)
        worse, better = worse + (mean > error), better + (mean < -error)
        cells.append(f"{mean:+.1f} ± {error:.1f}")
    share = "" if variant == "recipe" else f"{worse} / {better}"
    return f"| {variant} | {' | '.join(cells)} | {share} | {statistics.geometric_mean(ratios):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where the tables are")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="names of tables (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="splits of each table")
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS, *N_NETWORKS], help="default: all")
    parser.add_argument("--json", type=Path, metavar="OUT", help="a file of results, one a line")
    options = parser.parse_args()
    tables = options.tables or names(options.folder)
    variants = list(dict.fromkeys(["recipe", *(options.variants or [*VARIANTS, *N_NETWORKS])]))
    TabularClassifier(4, random_state=0).fit(np.arange(64.0)[:, np.newaxis], np.arange(64) % 2)  # compiles kernels
    found: dict[tuple[str, int, str], tuple[float, float]] = {}
    if options.json and options.json.exists():
        found = {(t, s, v): (e, seconds) for t, s, v, e, seconds in map(json.loads, options.json.open())}
    for name in tables:
        table = load(options.folder, name)
        for seed in options.seeds:
            for variant in variants:
                if (name, seed, variant) in found:
                    continue
                found[name, seed, variant] = measured(table, seed, variant)
                line = json.dumps([name, seed, variant, *found[name, seed, variant]])
                print(line, file=sys.stderr, flush=True)
                if options.json:
                    with options.json.open("a") as file:
                        file.write(line + "\n")
    print(f"| | {' | '.join(tables)} | worse / better | time |\n| --- |{' --- |' * (len(tables) + 2)}")
    found = {key: value for key, value in found.items() if key[0] in tables and key[1] in options.seeds}
    for variant in variants:
        print(row(variant, found, tables))


if __name__ == "__main__":
    main()
