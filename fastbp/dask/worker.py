"""The tasks that run on the workers of a Dask cluster: sums of costs and gradients over a partition of X.

A gradient is a sum over examples, so the sums of the partitions add up to the gradient that one machine would compute.
Parameters travel without padding, because the padded layout depends on the CPU.
"""

import dataclasses
from collections import Counter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from ..data import examples as data
from ..data.examples import Examples, as_examples
from ..data.targets import Target
from ..network import costs
from ..network.architecture import Network, network_of
from ..parallel.team import team_for
from ..training.evaluation import evaluate
from ..training.regularization import NOTHING, Regularization
from ..training.trainer import NO_PLACES, Evaluator, Trainer
from ..typing import Array

Result = TypeVar("Result")


class Sums(NamedTuple):
    """Sums over some examples."""

    cost: float  # sum of w_i C_i
    weight: float  # sum of w_i
    grad: NDArray[np.float64]  # sum of w_i times the gradient of C_i, without padding; empty if only the cost is needed


def architecture_of(network: Network) -> tuple[Any, ...]:
    """The arguments with which `network_of` makes this network on a worker. On another CPU its layout may differ."""
    return tuple(getattr(network, field.name) for field in dataclasses.fields(network))


def in_order(block: Any, columns: list[Any] | None) -> Any:
    """A block with its columns in the order of the collection; raises ValueError if the block has other columns.

    columns: the names of the collection's columns. None means that the collection is not a dataframe.
    """
    if columns is None or list(block.columns) == columns:
        return block
    if not len(block):  # a filter may leave a frame with neither rows nor columns
        return block.reindex(columns=columns)
    found = Counter(block.columns)
    if found != Counter(columns) or len(found) < len(columns):
        raise ValueError(
            f"A partition of X has the columns {list(block.columns)}, but the collection has {columns}. All partitions "
            "must have the same columns; only their order may differ."
        )
    return block[columns]


def checked(block: Any, n_features: int, name: str, columns: list[Any] | None) -> Any:
    """A block of X in a form that the kernels read; raises scikit-learn's ValueError for values that are not valid.

    Parameters
    ----------
    block : {ndarray, sparse matrix, DataFrame} of shape (m, S_1)
        m may be 0.
    n_features : int
        S_1 according to the Dask collection.
    name : str
        Name of the estimator, for error messages.
    columns : list or None
        See `in_order`.
    """
    block = in_order(block, columns)
    X = check_array(block, accept_sparse="csr", dtype=data.FLOATS, ensure_min_samples=0, estimator=name, input_name="X")
    if X.shape[1] != n_features:
        raise ValueError(
            f"A partition of X has {X.shape[1]} features, but the others, or the collection's meta, have {n_features}."
        )
    return np.array(X) if data.is_file(X) else X  # a block is held in memory even if it comes from a file


def size_and_dtype(X: Any) -> tuple[int, np.dtype]:
    """Rows and dtype of a block."""
    return X.shape[0], X.dtype


def joined(pieces: list[NDArray]) -> NDArray:
    """The array that was sent in these pieces."""
    return np.concatenate(pieces)


def these(values: Result) -> Result:
    """The values, unchanged. As a task, this function makes them a result that a worker holds."""
    return values


def examples_of(X: Any, targets: list[NDArray | None], dtype: np.dtype, rows: NDArray[np.int64] | None) -> Examples:
    """These rows of a partition, as the kernels read them. rows: None means all rows."""
    n = next(len(part) for part in targets if part is not None)
    if X.shape[0] != n:
        raise ValueError(f"A partition of X has {X.shape[0]} rows, where it had {n} before: X must not be random.")
    if rows is not None:
        X, targets = X[rows], [None if part is None else part[rows] for part in targets]
    codes, Y, weights = targets
    return as_examples(X, dtype, codes=codes, Y=Y, weights=weights)


def scaled_weights(examples: Examples) -> tuple[Examples, float, int]:
    """The examples with weights divided by 2^e, the sum of the new weights, and e. The new weights are at most 1.

    The kernels divide by the sum of the weights. In a single partition this sum may be too small to divide by.
    """
    if not examples.weights.size:
        return examples, float(examples.n), 0
    exponent = int(np.frexp(examples.weights.max())[1])
    weights = np.ldexp(examples.weights, -exponent)
    return examples._replace(weights=weights), float(weights.sum()), exponent


def partial_sums(
    X: Any,
    targets: list[NDArray | None],
    theta: Array,
    architecture: tuple[Any, ...],
    rows: NDArray[np.int64] | None,
    n_jobs: int | None,
    regularization: Regularization = NOTHING,
    places: NDArray[np.int64] | None = None,
) -> Sums:
    """Sums over these rows of a partition.

    theta: without padding. rows: None means all rows. places: for dropout, the places of these rows in the epoch.
    """
    network = network_of(*architecture)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, network.dtype, rows))
    if weight == 0:
        return Sums(0.0, 0.0, np.zeros(network.layout.n_parameters))
    trainer = Trainer(
        network,
        network.layout.unflatten(theta),
        examples,
        batch=examples.n,
        team=team_for(n_jobs, costs.step_work(network, examples.n, examples.entries)),
        regularization=regularization,
        places=NO_PLACES if places is None else places,
    )
    cost = trainer.epoch(np.arange(examples.n)) * weight
    with np.errstate(over="ignore", invalid="ignore"):  # if the fit diverges, the solver raises the error
        grad = network.layout.flatten(trainer.grad).astype(np.float64) * weight
        return Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.ldexp(grad, exponent))


def total(parts: list[Sums]) -> Sums:
    """The sum of the parts, added in their order."""
    first, *others = parts
    cost, weight, grad = first.cost, first.weight, first.grad.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in others:
            cost, weight = cost + part.cost, weight + part.weight
            grad += part.grad
    return Sums(cost, weight, grad)


def judge(
    X: Any,
    targets: list[NDArray | None],
    theta: Array,
    architecture: tuple[Any, ...],
    rows: NDArray[np.int64],
    target: Target,
    n_jobs: int | None,
) -> tuple[NDArray, Sums]:
    """The array that `target.score` takes for these rows of a partition, and the sums of their costs and weights."""
    network = network_of(*architecture)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, network.dtype, rows))
    team = team_for(n_jobs, costs.prediction_work(network, examples.n, examples.entries))
    evaluator = Evaluator(network, examples, batch=examples.n, team=team)
    judged, loss = evaluate(evaluator, network.layout.unflatten(theta), np.arange(examples.n), target)
    cost = loss * weight if weight else 0.0
    return judged, Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.empty(0))
