"""The parameters of both estimators: legal values, and how the fit reads them."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import copy
import functools
import math
import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_parameter_constraints
from sklearn.utils.metaestimators import available_if

from ..data.targets import Target
from ..kernels import optimizers
from ..kernels.activations import HIDDEN
from ..kernels.user_loss import UserLoss, compiled, is_function
from ..network import architecture
from ..network.architecture import Loss, Network, network_of
from ..network.initialization import VARIANCES
from ..training.regularization import Regularization
from ..training.schedules import PLANS, Schedule
from ..training.stochastic import Epochs

STOCHASTIC = ("sgd", "adam")  # the solvers that step after every minibatch
MOST_PARAMETERS = sys.maxsize // 8  # a larger network in float64 has more bytes than an array can have
PLAIN = frozenset((int, float, bool, str, type(None), np.float64, np.int64))  # types of values that cannot change
AUTO_BATCH = 200  # the largest batch with batch_size='auto', as in scikit-learn

Hidden = tuple[tuple[int, ...], tuple[str, ...]]  # widths and activations of the hidden layers
Method = TypeVar("Method", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator that keeps the type of a method. scikit-learn's decorators have no annotations and would lose it."""

    def __call__(self, method: Method, /) -> Method: ...


class Range(Interval):
    """An interval that also rejects infinity, NaN, a Fraction and an integer above the largest float.

    For these values Interval may return True or raise an error.
    """

    def is_satisfied_by(self, val: Any) -> bool:
        if isinstance(val, np.timedelta64):  # NumPy registers timedelta64 as an integer
            return False
        try:
            return super().is_satisfied_by(val) and math.isfinite(val)
        except (TypeError, OverflowError):  # a Fraction, or an int above the largest float
            return False


SHARE = Range(Real, 0, 1, closed="left")


class ScorerOptions(StrOptions):
    """The given strings, or the name of one of scikit-learn's scorers."""

    def is_satisfied_by(self, val: Any) -> bool:
        if super().is_satisfied_by(val):
            return True
        from sklearn.metrics import get_scorer_names  # imported here, because most fits do not need it

        return isinstance(val, str) and val in get_scorer_names()

    def __str__(self) -> str:
        return f"{super().__str__()} or the name of a scorer of scikit-learn"


class _NoSeed(ISeedSequence):
    """A seed for a generator that is seeded again before its first draw."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return np.zeros(n_words, dtype)


def random_state_of(value: Any) -> np.random.RandomState:
    """scikit-learn's `check_random_state`, but faster for an integer.

    NumPy first seeds each RandomState from the operating system, which takes as long as setting up a small network.
    """
    if type(value) is not int:
        return check_random_state(value)
    no_seed: Any = _NoSeed()  # NumPy's annotations do not know that MT19937 takes it
    random_state = np.random.RandomState(np.random.MT19937(no_seed))
    random_state.seed(value)
    return random_state


class Parameters(BaseEstimator):
    """Base class of the estimators: their parameters, and the methods that read them."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Range(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN)), "array-like"],
        "solver": [StrOptions({"adam", "sgd", "lbfgs", "gd"})],
        "alpha": [Range(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Range(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", *PLANS}), callable],
        "learning_rate_init": [Range(Real, 0, None, closed="neither")],
        "power_t": [Range(Real, 0, None, closed="left")],
        "max_iter": [Range(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Range(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Range(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Range(Real, 0, 1, closed="left")],
        "beta_1": [Range(Real, 0, 1, closed="left")],
        "beta_2": [Range(Real, 0, 1, closed="left")],
        "epsilon": [Range(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Range(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Range(Integral, 1, None, closed="left")],
        "fit_intercept": ["boolean"],
        "gtol": [Range(Real, 0, None, closed="left")],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "monitor": [ScorerOptions({"score", "loss"}), callable],
        "weight_decay": [Range(Real, 0, None, closed="left")],
        "warmup": [Range(Real, 0, 1, closed="both")],
        "dropout": [SHARE, "array-like"],
        "input_dropout": [SHARE],
        "max_grad_norm": [Range(Real, 0, None, closed="neither"), None],
        "init": [StrOptions({"auto", *VARIANCES})],
        "n_jobs": [Range(Integral, 1, None, closed="left"), Range(Integral, None, -1, closed="right"), None],
    }

    hidden_layer_sizes: int | ArrayLike
    activation: str | ArrayLike
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str | Callable[[float], float]
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    loss: str | tuple[Callable[..., Any], Callable[..., Any]]
    out_activation: str
    fit_intercept: bool
    gtol: float
    dtype: str
    n_jobs: int | None
    monitor: str | Callable[..., float]
    # The defaults of these are also here, because models that an earlier version stored do not have them.
    weight_decay: float = 0.0
    warmup: float = 0.0
    dropout: float | ArrayLike = 0.0
    input_dropout: float = 0.0
    max_grad_norm: float | None = None
    init: str = "auto"
    label_smoothing: float = 0.0  # only the classifier has this parameter
    class_weight: dict[Any, float] | list[dict[Any, float]] | str | None  # only the classifier has this parameter

    def __init__(self, parameters: dict[str, Any]):
        """Store the parameters: `locals()` of the estimator's own __init__, whose signature names all of them."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        """The names of the parameters. scikit-learn would read the signature for each copy of an estimator."""
        return list(super()._get_param_names())

    def _validate_params(self) -> None:
        """Check each parameter on its own, as scikit-learn does; raises InvalidParameterError.

        Values that were legal before are not checked again, because a search fits many estimators with equal values.
        """
        parameters = self.get_params(deep=False)
        values = tuple(parameters.values())
        kinds = tuple(tuple(map(type, value)) if type(value) is tuple else type(value) for value in values)
        if all(PLAIN.issuperset(kind if type(kind) is tuple else (kind,)) for kind in kinds):
            of: Any = type(self)
            _check_each(of, tuple(parameters), kinds, values)
        else:  # another value may change, or may not be hashable
            super()._validate_params()

    # ---------------------------------------------------------------- of the network

    def _hidden_layers(self) -> Hidden:
        """The widths and the activations of the hidden layers."""
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.ndim != 1 or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
            raise ValueError(
                "hidden_layer_sizes must be > 0: whole numbers, one per hidden layer, or one number; "
                f"got {self.hidden_layer_sizes!r}."
            )
        widths = tuple(int(size) for size in sizes)
        return widths, architecture.hidden_activations(self.activation, len(widths))

    def _output_for(self, target: Target) -> str:
        """The output activation that out_activation='auto' stands for. Both estimators override this."""
        raise NotImplementedError

    def _output_activation(self, target: Target) -> str:
        """Activation of the output layer."""
        natural = self._output_for(target)
        if self.out_activation == "auto":
            return natural
        legal = (natural,) if self.loss == "log_loss" else architecture.legal_outputs(self._loss())
        if self.out_activation not in legal:
            of_target = f" and a {target.kind} target" if self.loss == "log_loss" else ""
            raise ValueError(
                f"out_activation={self.out_activation!r} does not go with loss={self.loss!r}{of_target}; "
                f"legal are: {', '.join(legal)}."
            )
        return self.out_activation

    def _network(self, n_features: int, hidden: Hidden, target: Target, dtype: np.dtype) -> Network:
        """The network to train; raises ValueError if no memory can hold it."""
        widths, activations = hidden
        network = network_of(
            (n_features, *widths, target.n_outputs),
            (*activations, self._output_activation(target)),
            self._loss(),
            dtype,
            bool(self.fit_intercept),
            self._loss_options(target),
        )
        architecture.compile_loss(network)
        if network.layout.n_parameters > MOST_PARAMETERS:
            raise ValueError(
                f"hidden_layer_sizes must make a network that fits into memory, got {self.hidden_layer_sizes!r}, which "
                f"makes {network.layout.n_parameters} parameters."
            )
        return network

    def _loss(self) -> Loss:
        """The loss of the network; raises ValueError if `loss` is neither a name nor a tuple of two functions."""
        if isinstance(self.loss, str):
            return self.loss
        functions = self.loss if isinstance(self.loss, tuple) else ()
        if len(functions) != 2 or not all(map(is_function, functions)):
            numbers = functions and all(isinstance(width, Integral) for width in functions)
            sizes = f" Did you mean hidden_layer_sizes={self.loss!r}?" if numbers else ""
            raise ValueError(
                f"loss must be a name or a tuple of two functions, (cost, gradient), got {self.loss!r}.{sizes}"
            )
        cost, gradient = map(compiled, functions)
        return UserLoss(cost, gradient)

    def _loss_options(self, target: Target) -> tuple[float, ...]:
        """The numbers that the loss needs. The regressor overrides this."""
        return ()

    def _checked_jobs(self) -> int | None:
        """n_jobs of a prediction. A fit has checked it, but the user may have changed it since."""
        if self.n_jobs is None:
            return None
        if not (isinstance(self.n_jobs, Integral) and self.n_jobs != 0):
            raise ValueError(f"n_jobs must be None or a whole number other than 0, got {self.n_jobs!r}.")
        return int(self.n_jobs)

    # ---------------------------------------------------------------- of the solver

    def _batch_size(self, n_samples: int) -> int:
        """Examples of a minibatch, at most n_samples."""
        return min(AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), n_samples)

    def _optimizer_code(self) -> int:
        """The step that the kernels make with a gradient: a code of `kernels.optimizers`."""
        if self.solver == "adam":
            return optimizers.ADAM
        if self.solver == "sgd":
            return optimizers.NESTEROV if self.nesterovs_momentum else optimizers.SGD
        return optimizers.NONE

    def _schedule(self, first_epoch: int) -> Schedule:
        """The schedule of the learning rate. 'invscaling' and 'adaptive' are for 'sgd' only.

        first_epoch: number of epochs before this training.
        """
        name = self.learning_rate
        if self.solver != "sgd" and name in ("invscaling", "adaptive"):
            name = "constant"
        return Schedule(
            name,
            float(self.learning_rate_init),
            float(self.power_t),
            warmup=float(self.warmup),
            epochs=int(self.max_iter),
            first_epoch=first_epoch,
        )

    def _regularization(self, n_hidden: int, random_state: np.random.RandomState, n_epochs: int) -> Regularization:
        """Dropout and label smoothing.

        The seed is drawn from a copy of `random_state`. So a fit with dropout starts from the same weights as one
        without. n_epochs: the epochs of earlier fits that this fit continues. It drops other units than these did.
        """
        if self.label_smoothing and self.loss not in ("log_loss", "binary_cross_entropy"):
            raise ValueError(
                f"label_smoothing must be 0 unless loss is 'log_loss' or 'binary_cross_entropy', got "
                f"{self.label_smoothing!r} with loss={self.loss!r}."
            )
        dropout = self._dropout(n_hidden)
        seed = int(copy.deepcopy(random_state).randint(np.iinfo(np.int64).max, dtype=np.int64)) if dropout else 0
        return Regularization(dropout, float(self.label_smoothing), seed).after(n_epochs)

    def _dropout(self, n_hidden: int) -> tuple[float, ...]:
        """The probability of dropout for the inputs and for each hidden layer; empty if all are 0."""
        values = np.asarray(self.dropout, dtype=object)
        given, listed = values.ravel().tolist(), values.ndim > 0
        if not all(map(SHARE.is_satisfied_by, given)) or (listed and len(given) != n_hidden):
            raise ValueError(
                f"dropout must be a number in [0, 1), or one for each of the {n_hidden} hidden layers, got "
                f"{self.dropout!r}."
            )
        hidden = tuple(map(float, given)) if listed else (float(given[0]),) * n_hidden
        every = (float(self.input_dropout), *hidden)
        return every if any(every) else ()

    def _check_solver(self) -> None:
        """Raise ValueError if the solver is 'lbfgs' or 'gd' and a parameter of `used` is set.

        Parameters of scikit-learn, such as momentum, are ignored instead, as in scikit-learn.
        """
        if self.solver in STOCHASTIC:
            return
        used = {
            "learning_rate": self._schedule(0).ends_at_last_epoch,
            "weight_decay": self.weight_decay > 0,
            "warmup": self.warmup > 0,
            "dropout": np.any(np.asarray(self.dropout, dtype=object) != 0),
            "input_dropout": self.input_dropout > 0,
            "max_grad_norm": self.max_grad_norm is not None,
        }
        for name, is_used in used.items():
            if is_used:
                raise ValueError(
                    f"solver must be {' or '.join(STOCHASTIC)} for {name}={getattr(self, name)!r}, got {self.solver!r}."
                )

    def _epochs(self, random_state: np.random.RandomState, *, only_one: bool, first_epoch: int) -> Epochs:
        """The rules for the epochs of 'sgd' and 'adam'."""
        return Epochs(
            max_iter=int(self.max_iter),
            schedule=self._schedule(first_epoch),
            n_iter_no_change=self.n_iter_no_change,
            shuffled_by=random_state if self.shuffle else None,
            only_one=only_one,
        )


@functools.lru_cache(maxsize=256)
def _check_each(of: Any, names: tuple[str, ...], kinds: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    """Check parameters of a class. kinds: the types of the values, because the cache takes 1, 1.0 and True as one.

    The cache does not keep errors, so values that are not legal are checked every time.
    """
    parameters = dict(zip(names, values, strict=True))
    validate_parameter_constraints(of._parameter_constraints, parameters, caller_name=of.__name__)


def is_stochastic(estimator: Parameters) -> bool:
    """True if partial_fit is available; otherwise raises the AttributeError that `available_if` expects."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers, {' and '.join(STOCHASTIC)}. "
            f"solver={estimator.solver!r} is not stochastic."
        )
    return True


fits: Decorator = _fit_context(prefer_skip_nested_validation=True)  # checks the parameters before the fit
if_stochastic: Decorator = available_if(is_stochastic)
