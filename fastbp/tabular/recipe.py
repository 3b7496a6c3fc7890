"""The recipe: the encodings and the networks that are tried on every table.

All numbers here were chosen by measurement, see benchmarks/README.md.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..encoding.encoder import TableEncoder

# The encodings by name, in the order in which candidates take turns. They differ in the edges of the piecewise linear
# encoding, because no number of edges is the best for all tables. Few edges suit small and noisy tables, many edges
# suit large ones, and edges at all of few different numbers suit numbers that are like categories.
ENCODINGS: dict[str, dict[str, Any]] = {
    "16 quantiles": {"n_bins": 16},
    "8 quantiles, few values exact": {"n_bins": 8, "max_distinct": 128},
    "48 quantiles": {"n_bins": 48},
    "8 quantiles": {"n_bins": 8},
    "tree of 48 leaves": {"n_bins": 48, "edges": "tree"},
    "16 quantiles, few values exact": {"n_bins": 16, "max_distinct": 128},
}
LAYERS = ((256,), (128, 128), (256, 128), (256, 256))
ACTIVATIONS = ("silu", "mish", "relu")
DROPOUTS = (0.0, 0.1, 0.2, 0.4)
RATES = (8e-4, 4e-3)
WEIGHT_DECAYS = (3e-3, 0.2)
EPOCHS = (16, 40)
# A batch is a STEPS-th of the examples, within the limits of BATCHES. So a small table has enough steps in an epoch.
STEPS, BATCHES = 32, (16, 256)
# A network sees at most about MOST_EXAMPLES examples in its training, but it trains for LEAST_EPOCHS epochs at least.
MOST_EXAMPLES, LEAST_EPOCHS = 4_000_000, 6
# The inputs of a network: at most MOST_INPUTS of them, and at most MOST_ELEMENTS in the whole encoded table.
MOST_INPUTS, MOST_ELEMENTS = 6_000, 250_000_000


class Candidate(NamedTuple):
    """An encoding of the table, and parameters of a network."""

    encoding: str  # a key of ENCODINGS
    network: dict[str, Any]


def candidates(n: int, n_examples: int, random_state: np.random.RandomState) -> list[Candidate]:
    """n candidates for a table of n_examples rows. They take turns with the encodings; all else is drawn."""
    names = list(ENCODINGS)
    return [Candidate(names[i % len(names)], _network(n_examples, random_state)) for i in range(n)]


def _network(n_examples: int, random_state: np.random.RandomState) -> dict[str, Any]:
    def one_of(values: tuple[Any, ...]) -> Any:
        return values[random_state.randint(len(values))]

    def log_uniform(low: float, high: float) -> float:
        return math.exp(random_state.uniform(math.log(low), math.log(high)))

    epochs = min(one_of(EPOCHS), max(LEAST_EPOCHS, MOST_EXAMPLES // n_examples))
    return {
        "hidden_layer_sizes": one_of(LAYERS),
        "activation": one_of(ACTIVATIONS),
        "dropout": one_of(DROPOUTS),
        "learning_rate_init": log_uniform(*RATES),
        "weight_decay": log_uniform(*WEIGHT_DECAYS),
        "learning_rate": "flat_cosine",
        "max_iter": epochs,
        "batch_size": min(max(n_examples // STEPS, BATCHES[0]), BATCHES[1]),
    }


def encoder(name: str, shape: tuple[int, int], options: dict[str, Any]) -> TableEncoder:
    """The encoder of this name for a table of this shape. It has fewer bins if the encoded table would be too large.

    options: other parameters of the encoder.
    """
    n_rows, n_columns = shape
    most = max(1, min(MOST_INPUTS, MOST_ELEMENTS // n_rows) // n_columns)  # outputs of a column
    own = dict(ENCODINGS[name])
    bins = most - 2  # robust and score take two outputs
    if bins < 2:
        return TableEncoder(numbers="robust+scores" if most > 1 else "robust", **options)
    own["n_bins"] = min(own["n_bins"], bins)
    if own.get("max_distinct", 0) > bins:
        own["max_distinct"] = bins + 1
    return TableEncoder(**own, **options)
