"""The recipe: the encodings and the networks that are tried on every table.

benchmarks/ablation.py measures what each part is worth.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..encoding.encoder import TableEncoder

# The encodings by name. They differ in the edges of the piecewise linear encoding, because no edges are the best for
# all tables. Few edges suit small and noisy tables, and many edges suit large ones. Few different numbers in a
# column may be like categories, and an edge at each of them suits these. The edges of trees are left out, because the
# trees would see y of the rows held out, and the losses on these rows would be too small.
ENCODINGS: dict[str, dict[str, Any]] = {
    "8 quantiles": {"n_bins": 8},
    "16 quantiles": {"n_bins": 16},
    "48 quantiles": {"n_bins": 48},
    "128 quantiles": {"n_bins": 128},
    "8 quantiles or few numbers": {"n_bins": 8, "max_distinct": 128},
}
# The candidates take turns with the three best encodings: TURNS has places in the ranking, and 0 is the best encoding.
TURNS = (0, 1, 0, 2, 0, 1)
LAYERS = ((256,), (128, 128), (256, 128), (256, 256))
ACTIVATIONS = ("silu", "mish", "relu")
HUBER = (False, True)  # with True, networks for 'squared_error' learn by the Huber loss, so outliers count less
DROPOUTS = (0.0, 0.1, 0.2, 0.4)
RATES = (8e-4, 4e-3)
WEIGHT_DECAYS = (3e-3, 0.2)
SCHEDULES = ("flat_cosine", "flat_cosine", "constant")
# The number of optimiser steps of a network is drawn from STEPS, and its epochs stay within the limits of EPOCHS. On a
# large table it has fewer epochs, so that it sees at most MOST_EXAMPLES examples. But it has LEAST_EPOCHS or more.
STEPS, EPOCHS = (2000, 6000), (10, 100)
MOST_EXAMPLES, LEAST_EPOCHS = 2_000_000, 4
# A batch is a SHARE-th of the examples, within the limits of BATCHES. So a small table has enough steps in an epoch.
SHARE, BATCHES = 16, (16, 256)
# A training ends early if the loss on the rows held out does not fall for a PATIENCE-th of the epochs, but for at least
# LEAST_EPOCHS epochs.
PATIENCE = 4
# All scouts train networks with these parameters, which are small and train briefly.
SCOUT = {
    "hidden_layer_sizes": (256,),
    "activation": "relu",
    "dropout": 0.1,
    "learning_rate_init": 2e-3,
    "weight_decay": 0.02,
}
SCOUT_STEPS, SCOUT_EPOCHS = 2000, (10, 60)
# The inputs of a network: at most MOST_INPUTS of them, and at most MOST_ELEMENTS in the whole encoded table.
MOST_INPUTS, MOST_ELEMENTS = 6_000, 150_000_000
# A column of more categories than MOST_ONEHOT is not one-hot.
MOST_ONEHOT = 50


class Candidate(NamedTuple):
    """An encoding of the table, and parameters of a network."""

    encoding: str  # a key of ENCODINGS
    network: dict[str, Any]


def scouts(n_examples: int) -> list[Candidate]:
    """One candidate for each encoding. The scouts differ in nothing else, so their losses compare the encodings."""
    training = _training(n_examples, SCOUT_STEPS, SCOUT_EPOCHS, "flat_cosine")
    return [Candidate(name, {**SCOUT, **training}) for name in ENCODINGS]


def candidates(
    n: int, encodings: Sequence[str], n_examples: int, random_state: np.random.RandomState
) -> list[Candidate]:
    """n candidates for a table of n_examples rows. They take turns with the encodings, and all else is drawn.

    encodings: the best one first.
    """

    def one_of(values: tuple[Any, ...]) -> Any:
        return values[random_state.randint(len(values))]

    def log_uniform(low: float, high: float) -> float:
        return math.exp(random_state.uniform(math.log(low), math.log(high)))

    def network() -> dict[str, Any]:
        return {
            "hidden_layer_sizes": one_of(LAYERS),
            "activation": one_of(ACTIVATIONS),
            "huber": one_of(HUBER),
            "dropout": one_of(DROPOUTS),
            "learning_rate_init": log_uniform(*RATES),
            "weight_decay": log_uniform(*WEIGHT_DECAYS),
            **_training(n_examples, one_of(STEPS), EPOCHS, one_of(SCHEDULES)),
        }

    turns = [encodings[min(turn, len(encodings) - 1)] for turn in TURNS]
    return [Candidate(turns[i % len(turns)], network()) for i in range(n)]


def _training(n_examples: int, steps: int, limits: tuple[int, int], schedule: str) -> dict[str, Any]:
    """The parameters that say how long a network trains, and in which steps."""
    batch = min(max(n_examples // SHARE, BATCHES[0]), BATCHES[1])
    epochs = min(max(round(steps * batch / n_examples), limits[0]), limits[1])
    epochs = min(epochs, max(MOST_EXAMPLES // n_examples, LEAST_EPOCHS))
    return {
        "batch_size": batch,
        "learning_rate": schedule,
        "max_iter": epochs,
        "n_iter_no_change": max(epochs // PATIENCE, LEAST_EPOCHS),
    }


def encoder(name: str, shape: tuple[int, int], options: dict[str, Any]) -> TableEncoder:
    """The encoder of this name for a table of this shape.

    If the encoded table would be too large, numbers have fewer bins, and only columns of fewer categories are one-hot.

    options: other parameters of the encoder.
    """
    n_rows, n_columns = shape
    most = max(1, min(MOST_INPUTS, MOST_ELEMENTS // n_rows) // n_columns)  # outputs of a column
    own = {**ENCODINGS[name], "max_onehot": min(MOST_ONEHOT, most)}
    bins = most - 2  # 'robust' and 'scores' take two outputs
    if bins < 2:
        numbers = "robust+scores" if most > 1 else "robust"
        return TableEncoder(numbers=numbers, max_onehot=own["max_onehot"], **options)
    for parameter, largest in (("n_bins", bins), ("max_distinct", bins + 1)):
        if parameter in own:
            own[parameter] = min(own[parameter], largest)
    return TableEncoder(**own, **options)
