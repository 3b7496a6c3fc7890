"""The solvers: full-batch gradient descent, epochs of stochastic steps, and SciPy's L-BFGS.

All run the same kernels through a trainer, write what they did into a `History` and tell an `Observer`, who may ask
them to stop. On KeyboardInterrupt they warn and keep what they have.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.optimize import _check_optimize_result

from . import shuffling
from .kernels.optimizers import ADAM, BETA_1, BETA_2, EPSILON, ETA, MU
from .monitor import History, Observer
from .network import Array, Network
from .threads import Team, one_blas_thread

# adaptive: below this rate, stop in place of dividing it once more (scikit-learn's rule)
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0


def diverged(epoch: int, what: str, rate: float | None = None) -> str:
    """The message for a fit that diverged: what happened and what to change.

    Its first two sentences are scikit-learn's, whose users' code may look for them.
    """
    lower = "" if rate is None else f", or lower learning_rate_init, which is {rate:g}"
    return (
        "Solver produced non-finite parameter weights. "
        "The input data may contain large values and need to be preprocessed. "
        f"Training diverged in epoch {epoch}: {what}. Scale the features (for instance with StandardScaler){lower}."
    )


class AnyTrainer(Protocol):
    """What the solvers need of a trainer: a `network.Trainer`, which says what it is, or one that asks a cluster."""

    network: Network
    theta: Array
    grad: Array
    first: Array
    second: Array
    t: NDArray[np.int64]
    rates: NDArray[np.float64]
    batch: int
    optimizer: int
    team: Team

    def calls(self, n: int) -> int: ...

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float: ...

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float: ...


@dataclasses.dataclass
class OptimizerState:
    """What partial_fit continues with; most fits are not continued, so vectors stay as the trainer had them."""

    solver: str
    first: Array
    second: Array
    t: int
    rate: float
    learning_rate_init: float  # what `rate` began with
    network: Network | None = None  # as whose theta the vectors lie; None: unpadded

    @classmethod
    def of(cls, solver: str, learning_rate_init: float, trainer: AnyTrainer, *, copy: bool) -> Self:
        """copy: for a trainer that goes on, and overwrites its vectors."""
        first, second = (v.copy() if copy else v for v in (trainer.first, trainer.second))
        t, rate = int(trainer.t[0]), float(trainer.rates[ETA])
        return cls(solver, first, second, t, rate, learning_rate_init, trainer.network)

    def unpadded(self) -> Self:
        """The same for any CPU, each of which pads otherwise."""
        if self.network is None:
            return self
        first, second = (self.network.flatten(v) if v.size else v for v in (self.first, self.second))
        return dataclasses.replace(self, first=first, second=second, network=None)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self.unpadded())

    def fits(self, solver: str, trainer: AnyTrainer) -> bool:
        """Whether it is the state of this solver on parameters as many as these."""
        n = len(self.first) if self.network is None else self.network.n_parameters
        return solver == self.solver and n == trainer.network.n_parameters

    def restore(self, trainer: AnyTrainer) -> None:
        """Go on where it was, in a trainer whose rate is the user's present learning_rate_init."""
        as_theta = self.network == trainer.network
        state = self if as_theta else self.unpadded()
        for vector, target in ((state.first, trainer.first), (state.second, trainer.second)):
            if vector.size:
                target[:] = vector if as_theta else trainer.network.unflatten(vector)
        trainer.t[0] = self.t
        trainer.rates[ETA] = self.rate_after(trainer.rates[ETA])

    def rate_after(self, learning_rate_init: float) -> float:
        """The rate to go on with: where the schedule was, or the user's own, set since."""
        return self.rate if learning_rate_init == self.learning_rate_init else learning_rate_init


def _warn_interrupted() -> None:
    warnings.warn("Training interrupted by user.", stacklevel=8)


def _norm(vector: Array) -> float:
    """Euclidean norm, in float64, also where squares would overflow. No BLAS: see `lbfgs`."""
    largest = float(np.abs(vector).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(np.sum(np.square(vector.astype(np.float64) / largest)))


def gradient_descent(
    trainer: AnyTrainer, history: History, observer: Observer, *, learning_rate_init: float, gtol: float, max_iter: int
) -> None:
    """Theta -= eta D until ||D|| <= gtol (the README's fourth description); the norm is taken before the update.

    `history.n_iter` counts updates; `history.loss_curve` has J wherever the gradient was taken.
    """
    theta = trainer.theta
    try:
        while True:
            observer.epoch_begins(trainer.calls(trainer.batch))
            loss = trainer.loss_and_gradient(theta, observer.part_ends)
            norm = _norm(trainer.grad)
            if not (np.isfinite(loss) and np.isfinite(norm)):
                what = f"the loss is {loss:g}, the norm of its gradient {norm:g}"
                raise ValueError(diverged(history.n_iter + 1, what, learning_rate_init))
            history.add_loss(loss)
            if norm <= gtol:
                history.say(f"Norm of the gradient {norm:g} <= gtol={gtol:g}. Stopping.")
                history.converged = True
                return
            if history.n_iter == max_iter:
                warnings.warn(
                    f"Gradient descent: Maximum iterations ({max_iter}) reached and the norm of the gradient, "
                    f"{norm:g}, is still above gtol={gtol:g}.",
                    ConvergenceWarning,
                    stacklevel=7,
                )
                return
            theta -= learning_rate_init * trainer.grad
            history.n_iter += 1
            history.t += trainer.batch
            if observer.epoch_ends(history.n_iter, max_iter, loss):
                return
    except KeyboardInterrupt:
        _warn_interrupted()


def lbfgs(
    trainer: AnyTrainer, history: History, observer: Observer, *, tol: float, max_iter: int, max_fun: int
) -> None:
    """SciPy's L-BFGS on the real parameters, unpadded, in float64."""
    network = trainer.network
    start = network.flatten(trainer.theta).astype(np.float64)
    last, loss, stopped = start, np.inf, False
    raised: StopIteration | None = None  # by a watcher, to whom it does not mean what it means to SciPy
    n_parts = trainer.calls(trainer.batch)  # of one evaluation, which is what most iterations take

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal loss
        loss = trainer.loss_and_gradient(network.unflatten(vector), observer.part_ends)
        return loss, network.flatten(trainer.grad).astype(np.float64)

    def after_iteration(vector: NDArray[np.float64]) -> None:
        nonlocal last, stopped, raised
        last = vector.copy()
        history.n_iter += 1
        history.add_loss(loss)  # of the line search's last evaluation, which is the point it accepted
        try:
            stopped = observer.epoch_ends(history.n_iter, max_iter, loss)
        except StopIteration as error:
            raised = error
        if stopped or raised:
            raise StopIteration  # SciPy ends there
        observer.epoch_begins(n_parts)

    try:
        # SciPy's few BLAS calls on short vectors would wake a second pool of spinning threads, which fights Numba's:
        # 50 times slower, measured.
        observer.epoch_begins(n_parts)
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
            raise ValueError(diverged(history.n_iter + 1, f"the loss is {result.fun:g}"))
        if not stopped:
            history.n_iter = int(_check_optimize_result("lbfgs", result, max_iter))
            history.converged = bool(result.success)
        last = result.x
        if not history.loss_curve or history.loss != result.fun:
            history.add_loss(float(result.fun))
    except KeyboardInterrupt:
        _warn_interrupted()
    trainer.theta[:] = network.unflatten(last)


def set_rates(
    trainer: AnyTrainer, *, learning_rate_init: float, momentum: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """Give the kernels the optimiser's hyperparameters."""
    # A smaller one is 0 to the kernels, and 0 / 0 is what weights without a gradient would be moved by.
    epsilon = max(epsilon, np.finfo(trainer.network.dtype).tiny)
    trainer.rates[[ETA, MU, BETA_1, BETA_2, EPSILON]] = learning_rate_init, momentum, beta_1, beta_2, epsilon


def stochastic(
    trainer: AnyTrainer,
    history: History,
    observer: Observer,
    order: NDArray[np.int64],
    *,
    learning_rate: str,
    learning_rate_init: float,
    power_t: float,
    max_iter: int,
    shuffle: bool,
    random_state: np.random.RandomState,
    n_iter_no_change: float,
    validate: Callable[[Array], tuple[float, float]] | None,
    one_epoch: bool,
) -> None:
    """Epochs of sgd or Adam over the examples of `order`, by the rules of scikit-learn's MLP.

    Parameters
    ----------
    trainer, history, observer
        What trains, what records it and who is told.
    order : ndarray of int64
        The training examples; shuffled in place before each epoch, which draws what scikit-learn's `shuffle` draws.
    learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, n_iter_no_change
        As in `BackpropClassifier`.
    validate : callable or None
        Validation score and loss of a theta. With `history.scored` the score decides when to stop, and the best theta
        is restored then.
    one_epoch : bool
        partial_fit: a single epoch and no warning that it did not converge; the best theta is restored only when the
        score has not improved for too long.
    """
    if history.scored and history.best_theta is None:
        history.best_theta = trainer.theta.copy()
    adapts = trainer.optimizer != ADAM and learning_rate == "adaptive"
    try:
        for epoch in range(1, max_iter + 1):
            if shuffle:
                shuffling.shuffle(order, random_state)
            observer.epoch_begins(trainer.calls(len(order)))
            loss = trainer.epoch(order, observer.part_ends)
            problem = "" if math.isfinite(loss) else diverged(epoch, f"the loss is {loss:g}", trainer.rates[ETA])
            if problem and not (history.scored and math.isfinite(history.best_score)):  # no weights to go back to
                raise ValueError(problem)
            measured = validate(trainer.theta) if validate else None
            history.n_iter = epoch  # with all that is known of the epoch: the validation may be interrupted
            history.t += len(order)
            history.add_loss(loss)
            if measured:
                history.add_validation(*measured, trainer.theta)
            if problem:
                warnings.warn(f"{problem} The best weights so far are kept.", ConvergenceWarning, stacklevel=7)
                history.diverged = True
                for vector in (trainer.first, trainer.second, trainer.t):  # they led away from those weights
                    vector[:] = 0
            elif trainer.optimizer != ADAM and learning_rate == "invscaling":
                trainer.rates[ETA] = learning_rate_init / (history.t + 1) ** power_t
            if not problem and history.n_without_improvement > n_iter_no_change:
                history.converged = _stops(trainer, history, adapts, n_iter_no_change)
                if not history.converged:
                    history.n_without_improvement = 0
            asked_to_stop = observer.epoch_ends(epoch, max_iter, loss)
            if history.converged or history.diverged or one_epoch or asked_to_stop:
                break
        else:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged "
                "yet.",
                ConvergenceWarning,
                stacklevel=7,
            )
    except KeyboardInterrupt:
        _warn_interrupted()
    if history.scored and history.validation_scores and not (one_epoch or math.isfinite(history.best_score)):
        raise ValueError(
            "early_stopping=True, but no validation score was finite, so no weights are the best. Scale the validation "
            "set as the training set, and look for outliers in it."
        )
    trainer.theta[:] = history.kept(trainer.theta, one_epoch=one_epoch)


def _stops(trainer: AnyTrainer, history: History, adapts: bool, n_iter_no_change: float) -> bool:
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
