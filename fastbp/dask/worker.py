"""What a worker of a Dask cluster does: sums of costs and gradients over its partitions of X.

A gradient is a sum over examples, so the partial sums, one per partition, add up to that of one machine. Real
parameters are sent to and fro, never their layout, which depends on the CPU.
"""

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
from ..training.trainer import Evaluator, Trainer
from ..typing import Array

Result = TypeVar("Result")


class Sums(NamedTuple):
    """Sums over some examples."""

    cost: float  # of w_i C_i
    weight: float  # of w_i
    grad: NDArray[np.float64]  # of w_i times the gradient of C_i, by the real parameters; empty where nobody asked


def architecture(network: Network) -> tuple[Any, ...]:
    """What `network_of` makes the same network of on a worker, whose vectors may have another width."""
    return network.widths, network.activations, network.loss, network.dtype, network.fit_intercept


def checked(block: Any, n_features: int, name: str) -> Any:
    """Some rows of X as the kernels can read them; raises ValueError as scikit-learn does.

    Parameters
    ----------
    block : {ndarray, sparse matrix, DataFrame} of shape (m, S_1)
        m may be 0.
    n_features : int
        S_1 as it was announced.
    name : str
        Of the estimator.
    """
    X = check_array(block, accept_sparse="csr", dtype=data.FLOATS, ensure_min_samples=0, estimator=name, input_name="X")
    if X.shape[1] != n_features:
        raise ValueError(
            f"A partition of X has {X.shape[1]} features, where the others, or its meta, have {n_features}."
        )
    return np.array(X) if data.is_file(X) else X


def size_and_dtype(X: Any) -> tuple[int, np.dtype]:
    return X.shape[0], X.dtype


def joined(pieces: list[NDArray]) -> NDArray:
    return np.concatenate(pieces)


def these(values: Result) -> Result:
    return values


def examples_of(X: Any, targets: list[NDArray | None], dtype: np.dtype, rows: NDArray[np.int64] | None) -> Examples:
    """These rows of a partition, or all, as the kernels read them."""
    n = next(len(part) for part in targets if part is not None)
    if X.shape[0] != n:
        raise ValueError(f"A partition of X has {X.shape[0]} rows, where it had {n} before: X must not be drawn anew.")
    if rows is not None:
        X, targets = X[rows], [None if part is None else part[rows] for part in targets]
    codes, Y, weights = targets
    return as_examples(X, dtype, codes=codes, Y=Y, weights=weights)


def scaled_weights(examples: Examples) -> tuple[Examples, float, int]:
    """Examples with weights of up to 1, their sum, and the power of 2 that they have to be multiplied by.

    The kernels divide by the sum, and a partition's may be too small for that.
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
) -> Sums:
    """Costs and gradients of these rows of a partition, or of all; theta: the real parameters."""
    here = network_of(*architecture)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, here.dtype, rows))
    if weight == 0:
        return Sums(0.0, 0.0, np.zeros(here.layout.n_parameters))
    with team_for(n_jobs, costs.step_work(here, examples.n, examples.entries)) as team:
        trainer = Trainer(here, here.layout.unflatten(theta), examples, batch=examples.n, team=team)
        cost = trainer.epoch(np.arange(examples.n)) * weight
    with np.errstate(over="ignore", invalid="ignore"):  # a fit that diverges, which the solver says
        grad = here.layout.flatten(trainer.grad).astype(np.float64) * weight
        return Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.ldexp(grad, exponent))


def total(parts: list[Sums]) -> Sums:
    """Their sum, in their order."""
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
    """What `target.score` needs of these rows of a partition, and their costs."""
    here = network_of(*architecture)
    examples, weight, exponent = scaled_weights(examples_of(X, targets, here.dtype, rows))
    with team_for(n_jobs, costs.prediction_work(here, examples.n, examples.entries)) as team:
        evaluator = Evaluator(here, examples, batch=examples.n, team=team)
        judged, loss = evaluate(evaluator, here.layout.unflatten(theta), np.arange(examples.n), target)
    cost = loss * weight if weight else 0.0
    return judged, Sums(float(np.ldexp(cost, exponent)), float(np.ldexp(weight, exponent)), np.empty(0))
