"""A fit that can wait between two epochs.

`fit` begins a run, advances it to its end and finishes it. Searches and ensembles begin many runs, and advance them
side by side. Each run has the bits of a fit alone, because the code is the same.
"""

import contextlib
import inspect
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

# The checks of X and y set these attributes. If a fit starts anew on an X without names, the checks remove the
# feature_names_in_ of the previous fit.
FROM_DATA = ("n_features_in_", "feature_names_in_", "classes_")

Attributes = dict[str, Any]


class Run:
    """A fit under way, which ends when the solver stops.

    Parameters
    ----------
    estimator : Perceptron
        `show`, `settle` and `finish` give it the fitted attributes.
    draft : Perceptron
        A copy of the estimator, on which the checks of X and y have set attributes.
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
        """The target: classes or numbers."""
        return self._fit.target

    def footprint(self) -> Footprint:
        """An estimate of the memory of the run."""
        return self._draft._footprint(self._fit)

    @property
    def ended(self) -> bool:
        """Whether the solver has stopped."""
        return self._attributes is not None

    def interrupt_by(self, event: threading.Event) -> None:
        """If the event is set, end the run as Ctrl-C would. Ctrl-C itself reaches only the main thread."""
        self._fit.observer.interrupted = event

    def advance(self, n_epochs: int | None = None) -> None:
        """Train for n_epochs more epochs, or to the end. A run that has ended stays as it is.

        'lbfgs' cannot wait between two iterations, so it always trains to the end. Raises ValueError if the training
        diverges, and any exception of a callback or of a user's loss.
        """
        if self.ended:
            return
        with notice.of_fit(self._draft.verbose):
            try:
                self._train(n_epochs)
            except StopIteration as end:
                if not np.isfinite(self._fit.theta).all():
                    rate = self._draft.learning_rate_init
                    what = "a weight is not finite"
                    raise ValueError(diverged(self.n_iter, what, self._fit.network, rate)) from None
                self._attributes = end.value
            except RuntimeError as error:
                if isinstance(error.__cause__, StopIteration):  # a generator turns a callback's StopIteration into this
                    raise error.__cause__ from None
                raise

    def _train(self, n_epochs: int | None) -> None:
        """Run the solver for n_epochs epochs, or to its end. Raises StopIteration with the attributes at the end."""
        try:
            for _ in itertools.count() if n_epochs is None else range(n_epochs):
                next(self._training)
        except KeyboardInterrupt as interrupt:
            if inspect.getgeneratorstate(self._training) == inspect.GEN_CLOSED:  # the solver has raised it, and ended
                raise
            # The interrupt came between two epochs. The solver is told, and ends with the weights that it has.
            self._training.throw(interrupt)

    def show(self) -> None:
        """Let the estimator predict as if the fit ended now. Training can go on."""
        attributes = self._attributes or self._draft._from_data() | self._fit.attributes(None)
        kept = {k: v for k, v in self.estimator.__dict__.items() if k not in FROM_DATA or k in attributes}
        # One assignment, because another thread may be predicting.
        self.estimator.__dict__ = kept | attributes

    def finish(self, stacklevel: int) -> None:
        """Give the estimator the fitted attributes of the run, which has ended, and emit the collected warnings.

        stacklevel: of the user's code, for the warnings; 1 is the caller of this method.
        """
        for message, category in self.settle():
            warnings.warn(message, category, stacklevel=stacklevel + 1)
        self._fit.observer.fit_ends()

    def settle(self) -> list[tuple[str, type[Warning]]]:
        """Give the estimator the fitted attributes of the run, which has ended. Returns the collected warnings."""
        self.show()
        return self._fit.history.warnings


class Shared:
    """Results that are computed once, even if several threads ask for the same one at once."""

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, threading.Lock] = {}

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
    """The state of a `beginning`: the runs that fits have begun, their shared data, and the rows that are held out."""

    def __init__(self, estimator: Any, shared: Shared, held_out: NDArray[np.int64] | None):
        self.runs: list[Run] = []
        self.estimator, self.shared, self.held_out = estimator, shared, held_out


_beginning: ContextVar[_Beginning | None] = ContextVar("fastbp_beginning", default=None)


@contextlib.contextmanager
def beginning(
    estimator: Any, shared: Shared | None = None, held_out: NDArray[np.int64] | None = None
) -> Iterator[list[Run]]:
    """Within this context, `estimator.fit` checks everything, and adds a run to the list instead of training.

    So a Pipeline fits its transformers, and then the run of its last step waits for the caller. The estimator stays as
    it was until the caller calls `Run.show`, `Run.settle` or `Run.finish`.

    Parameters
    ----------
    estimator : Perceptron
        Other networks train as always, for instance the network of a transformer that selects features.
    shared : Shared, optional
        Fits keep the data here that they have checked and laid out. A later fit takes these data if it has the same
        `shared`, the same objects X, y, sample_weight, validation set and `held_out`, and equal parameters
        `base.OF_DATA`. The caller does not change these objects.
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
    """Whether the caller is within `beginning`. If so, the run is added to its list."""
    if (context := _beginning.get()) is None:
        return False
    context.runs.append(run)
    return True


def held_out() -> NDArray[np.int64] | None:
    """The rows that `beginning` holds out; None outside of `beginning`, or if it holds out none."""
    return None if (context := _beginning.get()) is None else context.held_out


def shared(objects: Sequence[Any], key: Hashable, make: Callable[[], Any]) -> Any:
    """The result of make(). Within `beginning`, the result is kept, and returned again for the same objects and key."""
    context = _beginning.get()
    return make() if context is None else context.shared.get(objects, key, make)
