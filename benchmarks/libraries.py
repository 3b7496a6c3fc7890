"""fastbp and its peers. All have the same initial weights, order of examples, Adam, L2 term and loss."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from workloads import Parameters, Workload, data

from fastbp import BackpropClassifier

FASTBP, SKLEARN, TORCH, JAX = "fastbp", "scikit-learn", "PyTorch", "JAX"
MODULES = {SKLEARN: "sklearn", TORCH: "torch", JAX: "jax"}
PEERS = tuple(peer for peer, module in MODULES.items() if importlib.util.find_spec(module))
MISSING = tuple(peer for peer in MODULES if peer not in PEERS)

Estimator: TypeAlias = BackpropClassifier | MLPClassifier
Train: TypeAlias = Callable[[int], Parameters]  # trains anew for a number of epochs
Predict: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


class Contender(NamedTuple):
    """A library, and the threads it may use: "1" or "all"."""

    package: str
    threads: str

    @property
    def name(self) -> str:
        return f"{self.package}/{self.threads}"

    @property
    def n_jobs(self) -> int | None:
        return 1 if self.threads == "1" else None

    @property
    def peer(self) -> Any:
        """The module that trains with PyTorch or JAX. It is imported late, because these need not be installed."""
        return importlib.import_module({TORCH: "peer_torch", JAX: "peer_jax"}[self.package])

    def limit_threads(self) -> None:
        """Limit the threads of NumPy's BLAS and of PyTorch. fastbp gets `n_jobs`, and JAX always has all threads."""
        threads = self.n_jobs or int(numba.get_num_threads())
        threadpool_limits(threads, user_api="blas")
        if self.package == TORCH:
            self.peer.limit_threads(threads)


# JAX's threads can be limited only before it starts.
CONTENDERS = {
    contender.name: contender
    for contender in (Contender(library, threads) for library in (FASTBP, *PEERS) for threads in ("all", "1"))
    if contender != (JAX, "1")
}
OURS = Contender(FASTBP, "all").name


def limit_threads(name: str) -> None:
    """Set the threads of a contender. Other functions have no threads to set."""
    if name in CONTENDERS:
        CONTENDERS[name].limit_threads()


def estimator(contender: Contender, workload: Workload, epochs: int) -> Estimator:
    """The estimator of fastbp or scikit-learn. It trains for exactly so many epochs, in the dtype of the data."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": workload.hidden,
        "batch_size": workload.batch,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": 0,
    }
    if contender.package == FASTBP:
        return BackpropClassifier(**settings, n_jobs=contender.n_jobs)
    return MLPClassifier(**settings)


def fit(model: Estimator, X: Any, y: NDArray[Any]) -> Parameters:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the fit is meant to stop at max_iter
        model.fit(X, y)
    return Parameters(model.coefs_, model.intercepts_)


def trainer(contender: Contender, workload: Workload, dtype: str) -> Train:
    """A function that trains on data in the form that the library wants.

    PyTorch and JAX have no minibatches of CSR data, so they get dense data.
    """
    X, y = data(workload, dtype)[0]
    if contender.package in (FASTBP, SKLEARN):
        return lambda epochs: fit(estimator(contender, workload, epochs), X, y)
    train: Train = contender.peer.trainer(workload, X.toarray() if scipy.sparse.issparse(X) else X, y)
    return train


def predictor(contender: Contender, model: BackpropClassifier) -> Predict:
    """A function from X to the probabilities of more than two classes. Both are NumPy arrays."""
    if contender.package == FASTBP:
        predict: Predict = model.set_params(n_jobs=contender.n_jobs).predict_proba
    elif contender.package == SKLEARN:
        predict = model.to_sklearn().predict_proba
    else:
        predict = contender.peer.predictor(Parameters(model.coefs_, model.intercepts_))
    return predict


def warmed_up(workload: Workload, dtype: str) -> dict[str, Callable[[], Parameters]]:
    """For each contender, a function that runs one fit. Data, compiled code and threads are ready."""
    fits: dict[str, Callable[[], Parameters]] = {}
    for name, contender in CONTENDERS.items():
        train = trainer(contender, workload, dtype)
        limit_threads(name)
        train(1)
        fits[name] = functools.partial(train, workload.epochs)
    return fits
