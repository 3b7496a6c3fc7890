"""SciPy's L-BFGS on all examples."""

import math

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.utils.optimize import _check_optimize_result

from ..parallel.blas import one_blas_thread
from .history import History
from .observer import Observer
from .solver import AnyTrainer, diverged


def lbfgs(
    trainer: AnyTrainer, history: History, observer: Observer, *, tol: float, max_iter: int, max_fun: int
) -> None:
    """Minimise J over a float64 vector of all parameters without padding."""
    layout = trainer.network.layout
    start = layout.flatten(trainer.theta).astype(np.float64)
    last, loss, stopped = start, np.inf, False
    raised: StopIteration | None = None  # from the observer; SciPy would take it for a signal to stop
    n_parts = trainer.calls(trainer.batch)  # kernel calls of an evaluation of J; most iterations evaluate J once

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal loss
        loss = trainer.loss_and_gradient(layout.unflatten(vector), observer.part_ends)
        return loss, layout.flatten(trainer.grad).astype(np.float64)

    def after_iteration(vector: NDArray[np.float64]) -> None:
        nonlocal last, stopped, raised
        last = vector.copy()
        history.n_iter += 1
        history.add_loss(loss)  # J at this vector: the line search accepts the point that it evaluated last
        try:
            stopped = observer.epoch_ends(history.n_iter, max_iter, loss)
            if not stopped:
                observer.epoch_begins(n_parts)
        except StopIteration as error:
            raised = error
        if stopped or raised:
            raise StopIteration  # this stops SciPy

    try:
        observer.epoch_begins(n_parts)
        # With several BLAS threads, SciPy's few BLAS calls would wake a second pool of spinning threads. The two pools
        # would compete for the cores, and a fit would take 50 times as long (measured).
        with one_blas_thread():
            result = scipy.optimize.minimize(
                objective,
                start,
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
            )
        if raised:
            raise raised
        if not math.isfinite(result.fun):
            raise ValueError(diverged(history.n_iter + 1, f"the loss is {result.fun:g}", trainer.network))
        if not stopped:
            history.n_iter = int(_check_optimize_result("lbfgs", result, max_iter))
            history.converged = bool(result.success)
        last = result.x
        if not history.loss_curve or history.loss != result.fun:
            history.add_loss(float(result.fun))
    except KeyboardInterrupt:
        history.warn_interrupted()
    trainer.theta[:] = layout.unflatten(last)
