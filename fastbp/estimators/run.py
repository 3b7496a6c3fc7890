"""A fit that can wait between two epochs.

`fit` begins a run, advances it to its end and finishes it. Searches and ensembles begin many runs, and advance them
side by side. Each run computes the bits of a fit on its own, because it is the same code.
"""

import contextlib
import itertools
import threading
import warnings
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.targets import Target
from ..network.architecture import Network
from ..training.footprint import Footprint
from ..training.solver import diverged
from . import notice
from .fit import Fit

# These attributes are set while X and y are checked. If a fit starts anew on an X without names, the check removes
# feature_names_in_ instead.
FROM_DATA = ("n_features_in_", "feature_names_in_", "classes_")

Attributes = dict[str, Any]


class Run:
    """A fit under way, which ends when the solver stops.

    Parameters
    ----------
    estimator : Perceptron
        It gets its fitted attributes when the run is finished.
    draft : Perceptron
        A copy of the estimator. The checks of X and y have set attributes on it.
    fit : Fit
    training : generator
        Trains; yields after each epoch, and returns the fitted attributes.
    """

    def __init__(self, estimator: Any, draft: Any, fit: Fit, training: Generator[None, None, Attributes]):
        self.estimator, self._draft, self._fit, self._training = estimator, draft, fit, training
        self._attributes: Attributes | None = None

    @property
    def n_iter(self) -> int:
        """Number of epochs so far."""
        return self._fit.history.n_iter

    @property
    def network(self) -> Network:
        """The network in training."""
        return self._fit.network

    @property
    def target(self) -> Target:
        """Classes or numbers."""
        return self._fit.target

    def footprint(self) -> Footprint:
        """An estimate of the memory of the run."""
        return self._draft._footprint(self._fit)

    @property
    def ended(self) -> bool:
        """Whether the solver has stopped."""
        return self._attributes is not None

    def interrupt_by(self, event: threading.Event) -> None:
        """Let the run end as after Ctrl-C once the event is set. Only the main thread gets Ctrl-C itself."""
        self._fit.observer.interrupted = event

    def advance(self, n_epochs: int | None = None) -> None:
        """Train for n_epochs more epochs, or to the end. A run that has ended stays as it is.

        An iteration of 'lbfgs' cannot be waited for, so 'lbfgs' trains to the end at once. Raises ValueError if the
        training diverges, and whatever a callback or a loss of the user raises.
        """
        if self.ended:
            return
        with notice.of_fit(self._draft.verbose):
            try:
                for _ in itertools.count() if n_epochs is None else range(n_epochs):
                    next(self._training)
            except StopIteration as end:
                if not np.isfinite(self._fit.theta).all():
                    rate = self._draft.learning_rate_init
                    what = "a weight is not finite"
                    raise ValueError(diverged(self.n_iter, what, self._fit.network, rate)) from None
                self._attributes = end.value
            except RuntimeError as error:
                if isinstance(error.__cause__, StopIteration):  # a callback raised it, and a generator may not
                    raise error.__cause__ from None
                raise

    def model(self) -> Any:
        """An estimator that predicts as the estimator would if the fit ended now. It shares nothing that changes."""
        return self._with(self._draft, self._now())

    def show(self) -> None:
        """Let the estimator predict as if the fit ended now. Training can go on."""
        self.estimator.__dict__ = self._with(self.estimator, self._now()).__dict__

    def finish(self, stacklevel: int) -> None:
        """Let the estimator have the fitted attributes of a run that has ended, and emit the collected warnings.

        stacklevel: of the user's code, for the warnings; 1 is the caller of this method.
        """
        for message, category in self.settle():
            warnings.warn(message, category, stacklevel=stacklevel + 1)
        self._fit.observer.fit_ends()

    def settle(self) -> list[tuple[str, type[Warning]]]:
        """Let the estimator have the fitted attributes of a run that has ended. Returns the collected warnings."""
        # Another thread may predict meanwhile. So the estimator gets all new attributes at once.
        self.show()
        return self._fit.history.warnings

    def _now(self) -> Attributes:
        """The fitted attributes that the estimator has if the fit ends now."""
        return self._attributes or self._draft._from_data() | self._fit.attributes(None)

    @staticmethod
    def _with(estimator: Any, attributes: Attributes) -> Any:
        """A copy of the estimator that has these fitted attributes."""
        kept = {k: value for k, value in estimator.__dict__.items() if k not in FROM_DATA or k in attributes}
        model = object.__new__(type(estimator))
        model.__dict__ = kept | attributes
        return model


class Shared:
    """Results that are computed once, even if several threads ask for the same one at once."""

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._results)

    def get(self, objects: Sequence[Any], key: Hashable, make: Callable[[], Any]) -> Any:
        """The result of the first make() for the same objects and an equal key.

        The objects are kept, so that no later object gets the address of one of them.
        """
        place = (*map(id, objects), key)
        with self._locks.setdefault(place, threading.Lock()):
            if place not in self._results:
                self._results[place] = make(), objects
            return self._results[place][0]


class _Beginning:
    """What fits of an estimator do while `beginning` holds: they begin runs, and share the data that they lay out."""

    def __init__(self, estimator: Any, shared: Shared, held_out: NDArray[np.int64] | None):
        self.runs: list[Run] = []
        self.estimator, self.shared, self.held_out = estimator, shared, held_out


_beginning: ContextVar[_Beginning | None] = ContextVar("fastbp_beginning", default=None)


@contextlib.contextmanager
def beginning(
    estimator: Any, shared: Shared | None = None, held_out: NDArray[np.int64] | None = None
) -> Iterator[list[Run]]:
    """Within this context, `estimator.fit` checks everything, and adds a run to the list instead of training.

    So a Pipeline fits its transformers, and then the run of its last step waits for the caller. The estimator itself
    stays as it was until the run is finished.

    Parameters
    ----------
    estimator : Perceptron
        Other networks train as always, for instance the network of a transformer that selects features.
    shared : Shared, optional
        Here fits keep the data that they have checked and laid out. Fits of later contexts with the same object use
        them again if they are for the same objects X, y and sample_weight, and hold out the same rows. The caller does
        not change these objects.
    held_out : ndarray of int64, optional
        The rows of X that are the validation set, in ascending order. No fit trains on them, and fits with early
        stopping are judged by them. The bits are those of a fit on the other rows of X, with these rows as X_val.
    """
    context = _Beginning(estimator, Shared() if shared is None else shared, held_out)
    token = _beginning.set(context)
    try:
        yield context.runs
    finally:
        _beginning.reset(token)


@contextlib.contextmanager
def fit_of(estimator: Any) -> Iterator[None]:
    """Within this context, `beginning` holds only if it is for this estimator."""
    context = _beginning.get()
    token = _beginning.set(context if context is not None and context.estimator is estimator else None)
    try:
        yield
    finally:
        _beginning.reset(token)


def only_begins(run: Run) -> bool:
    """Whether `beginning` holds. If so, the run is added to its list."""
    if (context := _beginning.get()) is None:
        return False
    context.runs.append(run)
    return True


def held_out() -> NDArray[np.int64] | None:
    """The rows that `beginning` holds out; None if it does not hold, or holds out none."""
    return None if (context := _beginning.get()) is None else context.held_out


def shared(objects: Sequence[Any], key: Hashable, make: Callable[[], Any]) -> Any:
    """The result of make(). While `beginning` holds, it is kept, and returned again for the same objects and key."""
    context = _beginning.get()
    return make() if context is None else context.shared.get(objects, key, make)
