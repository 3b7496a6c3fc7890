"""All kernels, in parts: for each part a function that compiles it."""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from ..data.examples import Examples, as_examples
from ..kernels.compiling.jit import DEFERRED
from ..kernels.optimizers import ADAM, RATES, SWEEPS, step_all
from ..network.architecture import Network
from ..parallel.crew import prepare
from ..parallel.team import Team
from ..training import shuffling
from ..training.evaluation import predict, predict_row
from ..training.trainer import Trainer
from ..typing import Array


def parts(dtype: np.dtype) -> Iterator[tuple[str, Callable[[], None]]]:
    """For each part of the kernels for a dtype, a pair: the part's name, and a function that compiles it."""
    yield "all building blocks", functools.partial(_compile_deferred, dtype)
    for job, compile_entries in JOBS.items():
        yield job, functools.partial(compile_entries, dtype)


def _compile_deferred(dtype: np.dtype) -> None:
    """Compile the kernels that only some networks need."""
    for kernel in DEFERRED:
        kernel.address(dtype)


def _network_of_one_weight(dtype: np.dtype) -> tuple[Network, Array, Examples]:
    """(network, theta, examples) to call an entry with.

    This call compiles the entry for every network of the dtype and for all data, because the types of the arguments are
    always the same.
    """
    network = Network((1, 1), ("logistic",), "binary_cross_entropy", dtype)
    theta = network.layout.pack([np.zeros((1, 1))], [np.zeros(1)])
    return network, theta, as_examples(np.zeros((1, 1), dtype), dtype, codes=np.zeros(1, np.int64))


def _train(dtype: np.dtype) -> None:
    """Compile the code of the workers, and of a training without extras."""
    prepare()
    network, theta, examples = _network_of_one_weight(dtype)
    shuffling.shuffle(np.arange(shuffling.FEWEST, dtype=np.int64), np.random.RandomState())
    trainer = Trainer(network, theta, examples, batch=1, team=Team(1), optimizer=ADAM)
    trainer.epoch(np.arange(1))
    sweep, units, rates = SWEEPS[ADAM].address(dtype), network.layout.units, np.zeros(1, RATES)
    moments, squares = (trainer.moment_1, trainer.moment_2), np.zeros(len(units))
    step_all(ADAM, sweep, units, rates, 1.0, 1, theta, trainer.grad, *moments, squares)


def _train_with_extras(dtype: np.dtype) -> None:
    """Compile the entry of a training with dropout, weight decay and so on."""
    network, theta, examples = _network_of_one_weight(dtype)
    Trainer(network, theta, examples, batch=1, team=Team(1), optimizer=ADAM, planned=True).epoch(np.arange(1))


def _predict(dtype: np.dtype) -> None:
    """Compile the entries of a prediction."""
    network, theta, examples = _network_of_one_weight(dtype)
    predict(network, theta, examples, np.arange(1), Team(1))
    predict_row(network, *network.layout.unpack(theta), np.zeros(1, dtype))


JOBS = {"training": _train, "training with extras": _train_with_extras, "prediction": _predict}
