"""An interrupted fit gives a model. A fit that fails leaves the estimator as it was, to the bit."""

import contextlib
import copy
import itertools
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastbp import BackpropClassifier
from fastbp.data import examples
from fastbp.kernels import step
from fastbp.network import costs
from fastbp.network.layout import Layout
from fastbp.training import workspace
from fastbp.training.observer import watch
from fastbp.training.optimizer_state import OptimizerState
from support.entries import ENTRIES, entry
from support.fits import both

interrupted = pytest.warns(UserWarning, match=r"^Training interrupted by user\.$")
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "gd": {"solver": "gd"},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.fixture(autouse=True)
def _ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def problem(estimator, seed=0, n_features=6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, n_features))
    y = X[:, 0] - X[:, 1] ** 2 + 0.1 * rng.normal(size=120)
    return X, (y > 0).astype(int) if estimator is BackpropClassifier else y


def small(estimator, **params) -> Any:
    defaults = {"hidden_layer_sizes": (5,), "batch_size": 40, "max_iter": 4, "random_state": 0, "n_jobs": 1}
    return estimator(**{**defaults, **params})


def output(model, X) -> np.ndarray:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        one, other = (
            vars(given.unpadded()) if isinstance(given, OptimizerState) else given for given in (found[name], value)
        )
        np.testing.assert_equal(one, other, err_msg=name)


# ---------------------------------------------------------------- failures


class Failure(Exception):
    pass


@contextlib.contextmanager
def raising_at_call(monkeypatch, owner: Any, name: str, number: int, error: BaseException) -> Iterator[None]:
    """The function raises in its call of this number, from 0."""
    function, calls = getattr(owner, name), []

    def wrapped(*args, **kwargs):
        calls.append(name)
        if len(calls) == number + 1:
            raise error
        return function(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrapped)
        yield
    assert len(calls) > number, f"{name} was not called often enough"


@contextlib.contextmanager
def raising_callback(error: BaseException) -> Iterator[None]:
    def callback(*args):
        raise error

    with watch(callback):
        yield


# {name: (error, context in which to call, change of the arguments)}
Arguments = dict[str, Any]
FAILURES: dict[str, tuple[type[BaseException], Callable[[Any], Any], Callable[[Arguments], Arguments]]] = {}


def fails(name, error, context=lambda monkeypatch: contextlib.nullcontext(), change=lambda given: given) -> None:
    FAILURES[name] = error, context, change


def at(owner, name, number, error):
    return lambda monkeypatch: raising_at_call(monkeypatch, owner, name, number, error)


fails("divergence", ValueError, change=lambda given: given | {"X": np.sign(given["X"]) * 1e308})
fails("no memory for the examples", MemoryError, at(examples, "_read_only", 0, MemoryError()))
fails("no memory for the buffers", MemoryError, at(workspace, "aligned_zeros", 1, MemoryError()))
fails("no memory in the first step", MemoryError, at(step, "train", 0, MemoryError()))
fails("no memory for the result", MemoryError, at(Layout, "unpack", 0, MemoryError()))
fails("a callback that raises", Failure, lambda _: raising_callback(Failure()))
fails("a callback that raises StopIteration", StopIteration, lambda _: raising_callback(StopIteration()))
fails("an interrupt before the solver", KeyboardInterrupt, at(examples, "_read_only", 0, KeyboardInterrupt()))
fails("an interrupt after the solver", KeyboardInterrupt, at(Layout, "unpack", 0, KeyboardInterrupt()))
fails("NaN in X", ValueError, change=lambda given: given | {"X": given["X"] * np.nan})
fails("NaN in y", ValueError, change=lambda given: given | {"y": given["y"] * np.nan})
fails("y too short", ValueError, change=lambda given: given | {"y": given["y"][1:]})
fails("weights of zero", ValueError, change=lambda given: given | {"sample_weight": np.zeros(len(given["y"]))})
fails("a validation set of other features", ValueError,
      change=lambda given: given | {"X_val": np.ones((3, 5)), "y_val": given["y"][:3]})  # fmt: skip


def first_fit(model, X, y):
    return "fit"


def refit(model, X, y):
    model.fit(X, y)
    return "fit"


def warm_refit(model, X, y):
    model.set_params(warm_start=True).fit(X, y)
    return "fit"


def first_partial_fit(model, X, y):
    return "partial_fit"


def later_partial_fit(model, X, y):
    classes = {"classes": [0, 1]} if isinstance(model, BackpropClassifier) else {}
    model.partial_fit(X, y, **classes).partial_fit(X, y)
    return "partial_fit"


def partial_fit_with_a_validation_set(model, X, y):
    classes = {"classes": [0, 1]} if isinstance(model, BackpropClassifier) else {}
    model.set_params(early_stopping=True)
    for _ in range(2):
        model.partial_fit(X, y, X_val=X[:20], y_val=y[:20], **classes)
    return "partial_fit"


MOMENTS = [first_fit, refit, warm_refit, first_partial_fit, later_partial_fit, partial_fit_with_a_validation_set]


def cases() -> Iterator[Any]:
    """All (solver, failure, moment) that exist."""
    for solver, failure, moment in itertools.product(SOLVERS, FAILURES, MOMENTS):
        incremental = "partial_fit" in moment.__name__
        if (incremental and solver not in ("adam", "sgd")) or (solver in ("gd", "lbfgs") and "validation" in failure):
            continue  # partial_fit refuses the solver, or the solver refuses a validation set
        goes_back = moment is partial_fit_with_a_validation_set or (solver, moment) == ("early stopping", warm_refit)
        if failure != "divergence" or not goes_back:  # these do not fail on divergence: they restore the best weights
            yield pytest.param(solver, failure, moment, id=f"{solver}, {failure}, {moment.__name__}")


@pytest.mark.parametrize(("solver", "failure", "moment"), list(cases()))
@both
def test_a_failed_fit_leaves_the_estimator_as_it_was(estimator, solver, failure, moment, monkeypatch):
    X, y = problem(estimator)
    model = small(estimator, **SOLVERS[solver])
    method = moment(model, X, y)
    incremental = method == "partial_fit"
    before, kept = dict(vars(model)), copy.deepcopy(vars(model))

    # Other data than before, of another width if the fit may have another one
    X_new, y_new = problem(estimator, seed=1, n_features=6 if moment is warm_refit or incremental else 4)
    given: Arguments = {"X": X_new, "y": y_new}
    if incremental and estimator is BackpropClassifier:
        given["classes"] = [0, 1]
    if moment is partial_fit_with_a_validation_set:
        given |= {"X_val": X_new[:20], "y_val": y_new[:20]}
    error, context, change = FAILURES[failure]
    with context(monkeypatch), pytest.raises(error), np.errstate(all="ignore"):
        getattr(model, method)(**change(given))

    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert_same(vars(model), kept)  # nothing was changed in place
    if "first" in moment.__name__:
        with pytest.raises(NotFittedError):
            model.predict(X)
        return
    twin = small(estimator)
    vars(twin).update(kept)
    np.testing.assert_array_equal(output(model, X), output(twin, X))
    if incremental:  # the optimiser, too, goes on as if nothing had happened
        for one in (model, twin):
            getattr(one, method)(**given)
        assert_same(vars(model), vars(twin))


@pytest.mark.parametrize("solver", ["adam", "sgd", "gd", "lbfgs"])
@both
def test_a_warning_that_is_turned_into_an_error_leaves_the_estimator_as_it_was(estimator, solver):
    X, y = problem(estimator)
    model = small(estimator, **SOLVERS[solver], tol=0.0, gtol=0.0).fit(X, y)
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(X[:, :3], y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


# ---------------------------------------------------------------- interrupts


class Interrupting:
    """Kernels that send the process SIGINT, as Ctrl-C does, in their call of this number, from 1."""

    def __init__(self, monkeypatch, number: int, *names: str):
        self.calls, self._number = 0, number
        for name in names or ("train", "predict"):
            monkeypatch.setattr(ENTRIES[name], name, self._wrapped(entry(name)))

    def _wrapped(self, kernel):
        def call(*args):
            self.calls += 1
            kernel(*args)
            if self.calls == self._number:
                signal.raise_signal(signal.SIGINT)

        return call


@pytest.fixture
def many_calls(monkeypatch):
    """Kernels take a call for every 8 rows, or for every 16 rows of a full batch."""
    for name, value in {"CALL_WORK": 1, "MIN_CHUNK": 16, "MAX_CHUNK": 16}.items():
        monkeypatch.setattr(costs, name, value)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("many_calls")
class TestInterrupt:
    @pytest.mark.parametrize("number", [1, 3, 12])
    @pytest.mark.parametrize("solver", SOLVERS)
    @both
    def test_within_an_epoch_ends_it_at_once_with_a_model_that_trains_on(self, estimator, solver, number, monkeypatch):
        X, y = problem(estimator)
        model = small(estimator, **SOLVERS[solver], batch_size=8, max_iter=1000, tol=0, warm_start=True)
        with monkeypatch.context() as patch:
            kernels = Interrupting(patch, number)
            with interrupted:
                model.fit(X, y)
        assert kernels.calls == number
        assert model.n_iter_ == len(model.loss_curve_) <= number // 8  # an epoch has at least 8 calls
        assert np.isfinite(output(model, X)).all()
        model.set_params(max_iter=60).fit(X, y)
        assert model.loss_ < small(estimator, **SOLVERS[solver], max_iter=1).fit(X, y).loss_

    @both
    def test_within_the_validation_leaves_no_record_of_half_an_epoch(self, estimator, monkeypatch):
        X, y = problem(estimator)
        model = small(estimator, early_stopping=True, validation_fraction=0.3, max_iter=50)
        with monkeypatch.context() as patch:
            Interrupting(patch, 7, "predict")  # the second of five calls in the second epoch
            with interrupted:
                model.fit(X, y)
        shorter = small(estimator, early_stopping=True, validation_fraction=0.3, max_iter=1).fit(X, y)
        for name in ("n_iter_", "t_", "loss_curve_", "validation_scores_", "validation_loss_curve_"):
            assert getattr(model, name) == getattr(shorter, name), name
        np.testing.assert_array_equal(output(model, X), output(shorter, X))

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @both
    def test_of_partial_fit_leaves_a_model_that_goes_on(self, estimator, solver, monkeypatch):
        X, y = problem(estimator)
        classes = {"classes": [0, 1]} if estimator is BackpropClassifier else {}
        model = small(estimator, **SOLVERS[solver], batch_size=8)
        with monkeypatch.context() as patch:
            kernels = Interrupting(patch, 5)
            with interrupted:
                model.partial_fit(X, y, **classes)
        assert kernels.calls == 5
        assert model._optimizer_state.t == 5  # as many steps as were taken
        for _ in range(50):
            model.partial_fit(X, y)
        assert model.loss_ < model.loss_curve_[0]

    @both
    def test_of_a_prediction_leaves_the_model(self, estimator, monkeypatch):
        X, y = problem(estimator)
        model = small(estimator).fit(X, y)
        before, expected = dict(vars(model)), output(model, X)
        with monkeypatch.context() as patch:
            kernels = Interrupting(patch, 2)
            with pytest.raises(KeyboardInterrupt):
                model.predict(X)
        assert kernels.calls == 2
        assert vars(model) == before
        np.testing.assert_array_equal(output(model, X), expected)

    def test_within_a_step_of_several_calls_leaves_every_parameter_before_or_after_it(self, monkeypatch):
        X, y = problem(BackpropClassifier)
        monkeypatch.setattr(costs, "BLOCK_BYTES", 1)
        monkeypatch.setattr(costs, "MIN_CHUNK", 120)
        monkeypatch.setattr(costs, "MAX_CHUNK", 120)
        params = {"hidden_layer_sizes": (40, 40), "batch_size": 120, "max_iter": 1}
        start = small(BackpropClassifier, **params, learning_rate_init=1e-300).fit(X, y).coefs_
        after = small(BackpropClassifier, **params).fit(X, y).coefs_
        with monkeypatch.context() as patch:
            Interrupting(patch, 12, "train")  # the fourth call of the second phase
            with interrupted:
                model = small(BackpropClassifier, **params).fit(X, y)
        moved = [found == new for found, new in zip(model.coefs_, after, strict=True)]
        kept = [found == old for found, old in zip(model.coefs_, start, strict=True)]
        assert all((new | old).all() for new, old in zip(moved, kept, strict=True))
        assert any((~old).any() for old in kept)
        assert any((~new).any() for new in moved)


def test_an_interrupt_of_a_long_shuffle_leaves_an_order_of_all_rows(monkeypatch):
    from fastbp.kernels import shuffle
    from fastbp.training import shuffling

    kernel, calls = shuffle.shuffle, []

    def interrupting(*args):
        calls.append(args)
        kernel(*args)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(shuffling, "CALL_EXCHANGES", 100)
    shuffling.shuffle(np.arange(2000), np.random.RandomState(0))  # compiles
    monkeypatch.setattr(shuffle, "shuffle", interrupting)
    order = np.arange(2000)
    with pytest.raises(KeyboardInterrupt):
        shuffling.shuffle(order, np.random.RandomState(0))
    assert len(calls) == 3
    np.testing.assert_array_equal(np.sort(order), np.arange(2000))
