"""The solvers: full-batch gradient descent, epochs of stochastic steps, and SciPy's L-BFGS.

All run the same kernels through a `Trainer` and write what they did into a `History`. On KeyboardInterrupt they warn
and keep what they have.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.optimize import _check_optimize_result
from threadpoolctl import threadpool_limits

from .kernels.optimizers import ADAM, BETA_1, BETA_2, EPSILON, ETA, MU
from .monitor import History, notify
from .network import Array, Trainer

# adaptive: below this rate, stop in place of dividing it once more (scikit-learn's rule)
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0

# The first two sentences are scikit-learn's, whose users' code may look for them.
DIVERGED = (
    "Solver produced non-finite parameter weights. "
    "The input data may contain large values and need to be preprocessed. "
    "Training diverged in epoch {epoch}: {what}. Scale the features (for instance with StandardScaler), or lower "
    "learning_rate_init, which is {rate:g}."
)


def _warn_interrupted() -> None:
    warnings.warn("Training interrupted by user.", stacklevel=4)


def _norm(vector: Array) -> float:
    """Euclidean norm in float64; of what it would overflow on too. No BLAS: see `lbfgs`."""
    largest = float(np.abs(vector).max())
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.sum(np.square(vector / largest), dtype=np.float64)))


def gradient_descent(
    trainer: Trainer, history: History, *, learning_rate_init: float, gtol: float, max_iter: int
) -> None:
    """Theta -= eta D until ||D|| <= gtol (formulas.md, row 4); the norm is taken before the update.

    `history.n_iter` counts updates; `history.loss_curve` has J wherever the gradient was taken.
    """
    theta = trainer.theta
    try:
        while True:
            loss = trainer.loss_and_gradient(theta)
            norm = _norm(trainer.grad)
            if not (np.isfinite(loss) and np.isfinite(norm)):
                what = f"the loss is {loss:g}, the norm of its gradient {norm:g}"
                raise ValueError(DIVERGED.format(epoch=history.n_iter + 1, what=what, rate=learning_rate_init))
            history.add_loss(loss)
            if norm <= gtol:
                history.say(f"Norm of the gradient {norm:g} <= gtol={gtol:g}. Stopping.")
                return
            if history.n_iter == max_iter:
                warnings.warn(
                    f"Gradient descent: Maximum iterations ({max_iter}) reached and the norm of the gradient, "
                    f"{norm:g}, is still above gtol={gtol:g}.",
                    ConvergenceWarning,
                    stacklevel=3,
                )
                return
            theta -= learning_rate_init * trainer.grad
            history.n_iter += 1
            history.t += trainer.batch
            notify(history.n_iter, max_iter, loss)
    except KeyboardInterrupt:
        _warn_interrupted()


def lbfgs(trainer: Trainer, history: History, *, tol: float, max_iter: int, max_fun: int) -> None:
    """SciPy's L-BFGS on the real parameters, unpadded, in float64."""
    network = trainer.network
    start = network.flatten(trainer.theta).astype(np.float64)
    last, loss = start, np.inf

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal loss
        loss = trainer.loss_and_gradient(network.unflatten(vector))
        return loss, network.flatten(trainer.grad).astype(np.float64)

    def after_iteration(vector: NDArray[np.float64]) -> None:
        nonlocal last
        last = vector.copy()
        history.n_iter += 1
        history.add_loss(loss)  # of the line search's last evaluation, which is the point it accepted
        notify(history.n_iter, max_iter, loss)

    try:
        # SciPy's few BLAS calls on short vectors would wake a second pool of spinning threads, which fights Numba's:
        # 50 times slower, measured.
        with threadpool_limits(limits=1, user_api="blas"):
            result = scipy.optimize.minimize(
                objective,
                start,
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
            )
        history.n_iter = int(_check_optimize_result("lbfgs", result, max_iter))
        last = result.x
        if not history.loss_curve or history.loss != result.fun:
            history.add_loss(float(result.fun))
    except KeyboardInterrupt:
        _warn_interrupted()
    trainer.theta[:] = network.unflatten(last)


def set_rates(
    trainer: Trainer, *, learning_rate_init: float, momentum: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """Give the kernels the optimiser's hyperparameters."""
    trainer.rates[[ETA, MU, BETA_1, BETA_2, EPSILON]] = learning_rate_init, momentum, beta_1, beta_2, epsilon


def stochastic(
    trainer: Trainer,
    history: History,
    order: NDArray[np.int64],
    *,
    learning_rate: str,
    learning_rate_init: float,
    power_t: float,
    max_iter: int,
    shuffle: bool,
    random_state: np.random.RandomState,
    n_iter_no_change: float,
    score: Callable[[Array], float] | None,
    one_epoch: bool,
) -> None:
    """Epochs of sgd or Adam over the examples of `order`, by the rules of scikit-learn's MLP.

    Parameters
    ----------
    order : ndarray of int64
        The training examples; shuffled in place before each epoch, which draws what scikit-learn's `shuffle` draws.
    score : callable or None
        Validation score of a theta, with early stopping; the best theta is restored at the end.
    one_epoch : bool
        partial_fit: a single epoch and no warning that it did not converge.
    """
    best_theta = trainer.theta.copy() if score else None
    adapts = trainer.optimizer != ADAM and learning_rate == "adaptive"
    try:
        for epoch in range(1, max_iter + 1):
            if shuffle:
                random_state.shuffle(order)
            loss = trainer.epoch(order)
            history.n_iter = epoch
            history.t += len(order)
            diverged = not math.isfinite(loss)
            if diverged and score is None:
                raise ValueError(DIVERGED.format(epoch=epoch, what=f"the loss is {loss:g}", rate=trainer.rates[ETA]))
            history.add_loss(loss)
            if score is not None and history.add_score(score(trainer.theta)):
                best_theta = trainer.theta.copy()
            notify(epoch, max_iter, loss)
            if diverged:
                message = DIVERGED.format(epoch=epoch, what=f"the loss is {loss:g}", rate=trainer.rates[ETA])
                warnings.warn(f"{message} The best weights so far are kept.", ConvergenceWarning, stacklevel=3)
                break
            if trainer.optimizer != ADAM and learning_rate == "invscaling":
                trainer.rates[ETA] = learning_rate_init / (history.t + 1) ** power_t
            if history.n_without_improvement > n_iter_no_change:
                if _stops(trainer, history, adapts, n_iter_no_change):
                    break
                history.n_without_improvement = 0
            if one_epoch:
                break
        else:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged "
                "yet.",
                ConvergenceWarning,
                stacklevel=3,
            )
    except KeyboardInterrupt:
        _warn_interrupted()
    if best_theta is not None:
        trainer.theta[:] = best_theta


def _stops(trainer: Trainer, history: History, adapts: bool, n_iter_no_change: float) -> bool:
    """Whether to stop after too many epochs without improvement; otherwise divides the rate."""
    what = "Validation score" if history.scored else "Training loss"
    message = f"{what} did not improve more than tol={history.tol:f} for {n_iter_no_change} consecutive epochs."
    if not adapts:
        history.say(f"{message} Stopping.")
        return True
    if trainer.rates[ETA] <= SMALLEST_RATE:
        history.say(f"{message} Learning rate too small. Stopping.")
        return True
    trainer.rates[ETA] /= RATE_DIVISOR
    history.say(f"{message} Setting learning rate to {trainer.rates[ETA]:f}")
    return False
