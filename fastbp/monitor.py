"""What a fit remembers and tells: loss curve, best loss and score, when to stop, and who watches."""

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterator

Callback = Callable[[int, int, float], None]

_watchers: contextvars.ContextVar[tuple[Callback, ...]] = contextvars.ContextVar("fastbp_watchers", default=())


@contextlib.contextmanager
def watch(callback: Callback) -> Iterator[None]:
    """Tell `callback` of each epoch of every fit in this thread.

    Parameters
    ----------
    callback : callable
        Called as callback(epoch, max_iter, loss) after each epoch ('sgd', 'adam'), iteration ('lbfgs') or update
        ('gd'). An exception that it raises ends the fit; KeyboardInterrupt ends it as Ctrl-C does.
    """
    token = _watchers.set((*_watchers.get(), callback))
    try:
        yield
    finally:
        _watchers.reset(token)


def notify(epoch: int, max_iter: int, loss: float) -> None:
    """Tell the watchers of this thread about an epoch."""
    for callback in _watchers.get():
        callback(epoch, max_iter, loss)


@dataclasses.dataclass
class History:
    """A fit's record, the rules of scikit-learn's MLP for what counts as an improvement, and its messages."""

    tol: float
    verbose: bool
    scored: bool  # whether progress is the validation score, or else the training loss
    n_iter: int = 0
    t: int = 0
    loss_curve: list[float] = dataclasses.field(default_factory=list)
    validation_scores: list[float] = dataclasses.field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    n_without_improvement: int = 0

    @property
    def loss(self) -> float:
        return self.loss_curve[-1] if self.loss_curve else math.nan  # interrupted in the first epoch

    def add_loss(self, loss: float) -> None:
        self.loss_curve.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter}, loss = {loss:.8f}")
        if not self.scored:
            self._count(loss > self.best_loss - self.tol)
            self.best_loss = min(self.best_loss, loss)

    def add_score(self, score: float) -> bool:
        """Whether the score is the best so far."""
        self.validation_scores.append(score)
        self.say(f"Validation score: {score:f}")
        self._count(score < self.best_score + self.tol)
        is_best = score > self.best_score
        if is_best:
            self.best_score = score
        return is_best

    def _count(self, stagnates: bool) -> None:
        self.n_without_improvement = self.n_without_improvement + 1 if stagnates else 0

    def say(self, message: str) -> None:
        if self.verbose:
            print(message)
