"""What the classifier and the regressor share: parameters and their validation, the fit as a whole, fitted attributes.

The numbers are made elsewhere; what differs between classes and numbers is in `targets`.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_is_fitted, validate_data

from ..data import examples as data
from ..data.examples import Examples, as_examples
from ..data.targets import Labels, Target, Values
from ..kernels import optimizers
from ..kernels.activations import HIDDEN
from ..kernels.losses import LEGAL_OUTPUTS
from ..network import costs
from ..network.architecture import Network, hidden_activations, network_of
from ..network.initialization import glorot
from ..parallel.team import team_for
from ..training import evaluation
from ..training.gradient_descent import gradient_descent
from ..training.history import History
from ..training.lbfgs import lbfgs
from ..training.observer import Observer
from ..training.optimizer_state import OptimizerState, set_rates
from ..training.schedules import Schedule
from ..training.solver import AnyTrainer, diverged
from ..training.stochastic import Epochs, stochastic
from ..training.trainer import Evaluator, Trainer
from ..typing import Array
from ..version import stamped, unstamped
from . import callbacks, notice

STOCHASTIC = ("sgd", "adam")
# Elements of X above which scikit-learn checks it as fast, and without a vector of truth values.
LARGE = 1 << 20
MOST_PARAMETERS = sys.maxsize // 8  # that memory has addresses for, in float64
# Calls from `_fit` up to the user's code, for warnings: _fit itself, fit, scikit-learn's wrapper of fit, the user.
USER_LEVEL = 4
Method = TypeVar("Method", bound=Callable[..., Any])


class Decorator(Protocol):
    """What leaves a method's type as it is: scikit-learn's are not annotated, and would make it Any."""

    def __call__(self, method: Method, /) -> Method: ...


class Range(Interval):
    """An interval of numbers that fit a float; anything else is outside, where scikit-learn's own may fail on it."""

    def is_satisfied_by(self, val: Any) -> bool:
        if isinstance(val, np.timedelta64):  # to NumPy an integer
            return False
        try:
            return super().is_satisfied_by(val) and math.isfinite(val)
        except (TypeError, OverflowError):  # a Fraction, an int beyond all floats
            return False


class HeldOut(NamedTuple):
    """The validation set that a user passes to `fit`."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    @property
    def given(self) -> bool:
        """Whether there is one; raises ValueError for half of one."""
        if (self.X is None) != (self.y is None):
            given, missing = ("y_val", "X_val") if self.X is None else ("X_val", "y_val")
            raise ValueError(f"{given} is provided, but {missing} was not provided.")
        if self.X is None and self.sample_weight is not None:
            raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
        return self.X is not None


class Validation(NamedTuple):
    """What progress is measured on: some rows of some examples."""

    examples: Examples
    rows: NDArray[np.int64]


def is_stochastic(estimator: Perceptron) -> bool:
    """For `available_if`: raises AttributeError where partial_fit makes no sense."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers, {' and '.join(STOCHASTIC)}. "
            f"solver={estimator.solver!r} is not stochastic."
        )
    return True


fits: Decorator = _fit_context(prefer_skip_nested_validation=True)
if_stochastic: Decorator = available_if(is_stochastic)


class Perceptron(callbacks.CallbackSupportMixin, BaseEstimator):
    """Base class of the estimators; not for use on its own."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Range(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN)), "array-like"],
        "solver": [StrOptions({"adam", "sgd", "lbfgs", "gd"})],
        "alpha": [Range(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Range(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
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
        "n_jobs": [Range(Integral, 1, None, closed="left"), Range(Integral, None, -1, closed="right"), None],
    }

    hidden_layer_sizes: int | ArrayLike
    activation: str | ArrayLike
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str
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
    loss: str
    out_activation: str
    fit_intercept: bool
    gtol: float
    dtype: str
    n_jobs: int | None

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float] | None
    converged_: bool
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    _target_kind: str

    def __init__(self, parameters: dict[str, Any]):
        """Store the parameters, `locals()` of the estimator's own __init__, which has them all in its signature."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # ---------------------------------------------------------------- what differs between classes and numbers

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        """X and y, validated and y dense."""
        raise NotImplementedError

    def _validate_data(self, X: Any, y: Any = "no_validation", *, reset: bool, **check_params: Any) -> Any:
        """X, or X and y, validated by scikit-learn, X as `data.examples` takes it.

        A file it would convert and check as a whole, which may take more than the memory, and leave Ctrl-C waiting.
        """
        in_file = data.is_file(X)
        dtype = None if in_file else data.FLOATS
        result = validate_data(
            self, X, y, accept_sparse="csr", dtype=dtype, ensure_all_finite=not in_file, reset=reset, **check_params
        )
        if in_file:
            checked = result if isinstance(y, str) else result[0]
            rows = data.converted_rows(checked)
            for start in range(0, len(checked), rows):
                part = data.converted(checked[start : start + rows])
                assert_all_finite(part, estimator_name=type(self).__name__, input_name="X")
        return result

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        """What the network is to give; classes: those that partial_fit was told."""
        raise NotImplementedError

    def _fitted_target(self) -> Target:
        """What the fitted network gives."""
        raise NotImplementedError

    def _output_for(self, target: Target) -> str:
        """Output activation that out_activation='auto' stands for."""
        raise NotImplementedError

    # ---------------------------------------------------------------- fitting

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: HeldOut,
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Self:
        """Fit, or leave the estimator as it was."""
        observer = callbacks.observer(
            self,
            X,
            y,
            sample_weight,
            method="partial_fit" if incremental else "fit",
            # 'gd' looks once more at the gradient, SciPy does not say which iteration is the last
            max_subtasks=1 if incremental else int(self.max_iter) + (self.solver not in STOCHASTIC),
        )
        before = self.__dict__.copy()  # with the set-up callbacks, which are told of the end in any case
        try:
            with notice.of_fit(self.verbose):
                history = self._fit_or_fail(X, y, sample_weight, held_out, classes, observer, incremental)
            for message, category in history.warnings:
                warnings.warn(message, category, stacklevel=USER_LEVEL)
            observer.fit_ends()
            return self
        except BaseException:
            self.__dict__ = before  # in one step: another thread may be predicting
            raise

    def _fit_or_fail(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: HeldOut,
        classes: Any,
        observer: Observer,
        incremental: bool,
    ) -> History:
        hidden = self._hidden_layers()
        activations = hidden_activations(self.activation, len(hidden))
        continues = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=not continues)
        natural = self._weights_dtype() if continues else data.dtype_of(X)
        dtype = np.dtype(natural if self.dtype == "auto" else self.dtype)
        target = self._target_of(y, classes, continues=continues, incremental=incremental)
        if continues and target.kind != self._target_kind:
            raise ValueError(
                f"y is a {target.kind} target, but the previous fit had a {self._target_kind} one. Fit anew."
            )
        network = network_of(
            (X.shape[1], *hidden, target.n_outputs),
            (*activations, self._output_activation(target)),
            self.loss,
            dtype,
            bool(self.fit_intercept),
        )
        if network.layout.n_parameters > MOST_PARAMETERS:
            raise ValueError(
                f"hidden_layer_sizes must make a network that fits into memory, got {self.hidden_layer_sizes!r}, which "
                f"makes {network.layout.n_parameters} parameters."
            )
        examples = self._examples(X, y, sample_weight, target, dtype)
        given = self._given_validation(held_out, target, dtype, incremental)
        random_state = check_random_state(self.random_state)
        if continues:
            self._check_weights(network, f"hidden_layer_sizes={self.hidden_layer_sizes!r} and the data need")
            theta = network.layout.pack(self.coefs_, self.intercepts_)
        else:
            # With no hidden layer scikit-learn still looks at `activation`.
            last = activations[-1] if activations else str(self.activation)
            theta = network.layout.pack(*glorot(network, (*activations, last), random_state))
        history = self._history(network, target, continues, incremental)
        attributes = self._run_solver(
            network, theta, examples, given, history, observer, random_state, target, incremental
        )
        if not np.isfinite(theta).all():
            raise ValueError(diverged(history.n_iter, "a weight is not finite", self.learning_rate_init))
        self.__dict__.update(attributes)
        return history

    def _hidden_layers(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.ndim != 1 or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
            raise ValueError(
                "hidden_layer_sizes must be > 0: whole numbers, one per hidden layer, or one number; "
                f"got {self.hidden_layer_sizes!r}."
            )
        return tuple(int(size) for size in sizes)

    def _output_activation(self, target: Target) -> str:
        fitting = self._output_for(target)
        if self.out_activation == "auto":
            return fitting
        legal = (fitting,) if self.loss == "log_loss" else LEGAL_OUTPUTS[self.loss]
        if self.out_activation not in legal:
            of_target = f" and a {target.kind} target" if self.loss == "log_loss" else ""
            raise ValueError(
                f"out_activation={self.out_activation!r} does not go with loss={self.loss!r}{of_target}; "
                f"legal are: {', '.join(legal)}."
            )
        return self.out_activation

    def _examples(self, X: Any, y: NDArray, sample_weight: Any, target: Target, dtype: np.dtype) -> Examples:
        """The data as the kernels read it; weights are checked, y is one of the target."""
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if (weights < 0).any():
                raise ValueError(
                    f"Negative values in data passed to `sample_weight`: the least is {weights.min()!r}, must be >= 0."
                )
        by_target = target.weights(y)
        if by_target is not None:
            weights = by_target if weights is None else weights * by_target
        if weights is not None and not weights.any():
            times = "" if by_target is None else f", times class_weight={self.get_params()['class_weight']!r},"
            raise ValueError(f"sample_weight{times} must have at least one positive value: all of them are zero.")
        if weights is not None and weights.max() < np.finfo(np.float64).tiny:  # which counts as 0 in training
            raise ValueError(f"sample_weight must not all be below {np.finfo(np.float64).tiny}, got {weights.max()!r}.")
        codes, Y = target.encode(y, self.loss)
        with np.errstate(over="ignore"):
            examples = self._laid_out(X, dtype, codes, Y, weights)
        if not np.isfinite(examples.Y).all():
            raise ValueError(f"Input y contains a value too large for {dtype!r}, in which this model is trained.")
        return examples

    def _laid_out(
        self, X: Any, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Examples:
        """Validated X and what belongs to its rows, see `data.examples`."""
        return as_examples(X, dtype, codes=codes, Y=Y, weights=weights)

    def _given_validation(
        self, held_out: HeldOut, target: Target, dtype: np.dtype, incremental: bool
    ) -> Validation | None:
        """The user's own validation set, as the kernels read it."""
        if not held_out.given:
            if incremental and self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True without a validation set: a part of the data is "
                    "none. Pass X_val and y_val, set early_stopping=False, or use fit."
                )
            return None
        if self.solver not in STOCHASTIC:
            raise ValueError(
                f"X_val and y_val are used by the solvers {' and '.join(STOCHASTIC)} only, got solver={self.solver!r}."
            )
        try:
            X, y = self._validated(held_out.X, held_out.y, reset=False)
            target.check_held_out(y)
            _refuse_too_few(len(y), f"X_val has {len(y)} rows, and needs at least 2.")
            examples = self._examples(X, y, held_out.sample_weight, target, dtype)
        except ValueError as error:  # which names X, y or sample_weight
            raise ValueError(f"In the validation set X_val, y_val, sample_weight_val: {error}") from error
        return Validation(examples, np.arange(examples.n))

    def _check_weights(self, network: Network, who: str) -> None:
        """That coefs_ and intercepts_, which the user may have edited, have the shapes that this network needs."""
        coefs, intercepts = list(pairwise(network.widths)), [(width,) for width in network.widths[1:]]
        found = [np.shape(coef) for coef in self.coefs_], [np.shape(intercept) for intercept in self.intercepts_]
        if found != (coefs, intercepts):
            raise ValueError(
                f"coefs_ and intercepts_ have shapes {found[0]} and {found[1]}, but {who} {coefs} and {intercepts}."
            )
        if not network.fit_intercept and any(np.any(intercept) for intercept in self.intercepts_):
            raise ValueError(
                "fit_intercept=False, but intercepts_ of the previous fit are not zero. Set them to 0, or fit anew "
                "with warm_start=False."
            )

    def _history(self, network: Network, target: Target, continues: bool, incremental: bool) -> History:
        scored = bool(self.early_stopping) and self.solver in STOCHASTIC
        # scikit-learn averages squared errors over the outputs, where J adds them up: the same tol, the same epoch.
        scale = target.n_outputs if isinstance(target, Values) and self.loss == "squared_error" else 1
        history = History(float(self.tol), bool(self.verbose), scored, scale)
        if continues:
            history.t = self.t_
            if scored == (self.best_loss_ is None):  # the same measure
                history.n_without_improvement = self._n_without_improvement
            history.loss_curve = list(self.loss_curve_)
            history.validation_scores = list(self.validation_scores_ or [])
            history.validation_loss_curve = list(self.validation_loss_curve_ or [])
            history.best_loss = np.inf if self.best_loss_ is None else self.best_loss_
            history.best_score = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
            if scored and self._best_theta is not None and len(self._best_theta) == network.layout.n_parameters:
                history.best_theta = network.layout.unflatten(self._best_theta)
            elif scored:
                history.best_score = -np.inf  # the weights that had it were not kept
        return history

    def _run_solver(
        self,
        network: Network,
        theta: Array,
        examples: Examples,
        given: Validation | None,
        history: History,
        observer: Observer,
        random_state: np.random.RandomState,
        target: Target,
        incremental: bool,
    ) -> dict[str, Any]:
        """Train theta in place; returns the fitted attributes."""
        order, validation = np.arange(examples.n), given
        if history.scored and given is None:
            stratify = isinstance(target, Labels) and target.n_outputs == 1 and examples.codes.size > 0
            order, rows = self._split(examples, random_state, stratify=stratify)
            validation = Validation(examples, rows)
        batch = self._batch_size(len(order), history) if self.solver in STOCHASTIC else examples.n

        def fitted(*, ended: bool = False) -> dict[str, Any]:
            kept, state = history.kept(theta, one_epoch=incremental), None
            if self.solver in STOCHASTIC:
                state = OptimizerState.of(self.solver, float(self.learning_rate_init), trainer, copy=not ended)
            return _fitted_attributes(network, kept, target, history, state, validated=validation is not None)

        with self._trainer(network, theta, examples, batch, self._optimizer_code()) as trainer:
            self._set_optimizer(trainer, incremental)
            observer.training_begins(order if len(order) < examples.n else None, fitted)
            if self.solver == "gd":
                gradient_descent(
                    trainer,
                    history,
                    observer,
                    learning_rate_init=float(self.learning_rate_init),
                    gtol=float(self.gtol),
                    max_iter=int(self.max_iter),
                )
            elif self.solver == "lbfgs":
                lbfgs(
                    trainer,
                    history,
                    observer,
                    tol=float(self.tol),
                    max_iter=int(self.max_iter),
                    max_fun=int(self.max_fun),
                )
            else:
                validate = self._validator(trainer, validation, target) if validation else None
                epochs = self._epochs(random_state, only_one=incremental)
                stochastic(trainer, history, observer, order, epochs, validate)
            return fitted(ended=True)

    def _optimizer_code(self) -> int:
        """What the kernels do with a gradient."""
        if self.solver == "adam":
            return optimizers.ADAM
        if self.solver == "sgd":
            return optimizers.NESTEROV if self.nesterovs_momentum else optimizers.SGD
        return optimizers.NONE

    def _epochs(self, random_state: np.random.RandomState, *, only_one: bool) -> Epochs:
        """How the epochs of 'sgd' and 'adam' go; the schedules are for 'sgd' alone."""
        name = self.learning_rate if self.solver == "sgd" else "constant"
        return Epochs(
            max_iter=int(self.max_iter),
            schedule=Schedule(name, float(self.learning_rate_init), float(self.power_t)),
            n_iter_no_change=self.n_iter_no_change,
            shuffled_by=random_state if self.shuffle else None,
            only_one=only_one,
        )

    @contextmanager
    def _trainer(
        self, network: Network, theta: Array, examples: Examples, batch: int, optimizer: int
    ) -> Iterator[AnyTrainer]:
        """What the solvers train with; theta is overwritten."""
        with team_for(self.n_jobs, costs.step_work(network, batch, examples.entries)) as team:
            yield Trainer(
                network, theta, examples, batch=batch, team=team, optimizer=optimizer, alpha=float(self.alpha)
            )

    def _validator(
        self, trainer: AnyTrainer, validation: Validation, target: Target
    ) -> Callable[[Array], tuple[float, float]]:
        """A function of theta: (score, mean cost without the L2 term) on the validation set."""
        examples, rows = validation
        evaluator = Evaluator(trainer.network, examples, batch=len(rows), team=trainer.team)

        def validate(theta: Array) -> tuple[float, float]:
            judged, loss = evaluation.evaluate(evaluator, theta, rows, target)
            return target.score(judged, examples, rows), loss

        return validate

    def _set_optimizer(self, trainer: AnyTrainer, incremental: bool) -> None:
        """Hyperparameters of the optimiser, and the state in which the previous partial_fit left it."""
        set_rates(
            trainer,
            learning_rate_init=float(self.learning_rate_init),
            momentum=self.momentum,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        state = getattr(self, "_optimizer_state", None)
        if incremental and state is not None and state.fits(self.solver, trainer):
            state.restore(trainer)

    def _batch_size(self, n_samples: int, history: History) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if int(self.batch_size) > n_samples:
            # scikit-learn's words, which users may filter
            history.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        return min(int(self.batch_size), n_samples)

    def _split(
        self, examples: Examples, random_state: np.random.RandomState, *, stratify: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of training and validation examples, drawn as scikit-learn's MLP draws them."""
        from sklearn.model_selection import train_test_split  # which most fits do not need

        train, validation = train_test_split(
            np.arange(examples.n),
            random_state=random_state,
            test_size=self.validation_fraction,
            # by name, as scikit-learn's MLP does: the error about a class of a single example shows them
            stratify=np.array(["False", "True"])[examples.codes] if stratify else None,
        )
        _refuse_too_few(
            len(validation),
            f"Increase 'validation_fraction' or the size of your dataset. "
            f"validation_fraction={self.validation_fraction!r} of {examples.n} examples leaves {len(validation)}.",
        )
        for part, name in ((train, "training"), (validation, "validation")):
            if examples.weights.size and not examples.weights[part].any():
                raise ValueError(
                    f"early_stopping=True: all sample_weight of the {name} examples are zero in this split. "
                    "Use another random_state or validation_fraction, or leave out examples of weight zero."
                )
        return train, validation

    # ---------------------------------------------------------------- predicting

    def _outputs(self, X: Any) -> Array:
        """a^(L) of X: (n_samples, S_L)."""
        return self._outputs_of(*self._validated_for_prediction(X))

    def _decisions(self, X: Any, decide: Callable[[Array], NDArray]) -> NDArray:
        """decide(a^(L)) of X, by rows, without all of a^(L) at once."""
        X, network = self._validated_for_prediction(X)
        n, rows = X.shape[0], costs.output_rows(network)
        if n <= rows:
            return decide(self._outputs_of(X, network))
        starts = range(0, n, rows)
        return np.concatenate([decide(self._outputs_of(X[start : start + rows], network)) for start in starts])

    def _outputs_of(self, X: Any, network: Network) -> Array:
        if X.shape[0] == 1 and not scipy.sparse.issparse(X):
            with np.errstate(over="ignore"):  # which is told below
                row = np.asarray(X[0]).astype(network.dtype)
            output = evaluation.predict_row(network, self.coefs_, self.intercepts_, row)
        else:
            examples = as_examples(X, network.dtype)
            with team_for(self.n_jobs, costs.prediction_work(network, examples.n, examples.entries)) as team:
                order = np.arange(examples.n)
                output = evaluation.predict(
                    network, network.layout.pack(self.coefs_, self.intercepts_), examples, order, team
                )
        _refuse_overflow(X, output)
        return output

    def _validated_for_prediction(self, X: Any) -> tuple[Any, Network]:
        """X, and the network that the fitted attributes, which may have been edited, make on it."""
        if not self._is_valid(X):
            check_is_fitted(self)
            X = self._validate_data(X, reset=False)
        network = network_of(
            (X.shape[1], *(np.shape(coef)[-1] for coef in self.coefs_[:-1]), self.n_outputs_),
            (*hidden_activations(self.activation, len(self.coefs_) - 1), self.out_activation_),
            self.loss,
            self._weights_dtype(),
        )
        self._check_weights(network, "layers that compose, on this X, have")
        return X, network

    def _is_valid(self, X: Any) -> bool:
        """Whether there was a fit and validate_data would return X itself, without a warning.

        Asking scikit-learn, who has every kind of container to consider, takes longer than to predict a few rows.
        """
        return (
            type(X) is np.ndarray
            and X.dtype in data.FLOATS
            and X.ndim == 2
            and 0 < X.size < LARGE
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X).all())
        )

    def hidden_activations(self, X: ArrayLike) -> list[Array]:
        """Activations a^(l) of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, S_l)
            One array per hidden layer, from the first to the last.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        X, network = self._validated_for_prediction(X)
        examples = as_examples(X, network.dtype)
        with team_for(self.n_jobs, costs.prediction_work(network, examples.n, examples.entries)) as team:
            layers = evaluation.hidden_layers(
                network, network.layout.pack(self.coefs_, self.intercepts_), examples, team
            )
        for layer in layers:
            _refuse_overflow(X, layer)
        return layers

    def _weights_dtype(self) -> np.dtype:
        """dtype of the fitted weights, as edited: float32, or else float64."""
        return np.dtype(np.float32 if np.asarray(self.coefs_[0]).dtype == np.float32 else np.float64)

    # ---------------------------------------------------------------- storing and loading

    def __getstate__(self) -> dict[str, Any]:
        return stamped(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(state, type(self).__name__))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _fitted_attributes(
    network: Network, theta: Array, target: Target, history: History, state: OptimizerState | None, *, validated: bool
) -> dict[str, Any]:
    """Attributes of an estimator whose fit ends with theta, copies all of them; state: for a later partial_fit."""
    coefs, intercepts = network.layout.unpack(theta)
    return {
        "coefs_": coefs,
        "intercepts_": intercepts,
        "n_layers_": network.n_layers,
        "n_outputs_": target.n_outputs,
        "out_activation_": network.activations[-1],
        "n_iter_": history.n_iter,
        "t_": history.t,
        "loss_": history.loss,
        "loss_curve_": list(history.loss_curve),
        "best_loss_": None if history.scored else history.best_loss,
        "validation_scores_": list(history.validation_scores) if validated else None,
        "validation_loss_curve_": list(history.validation_loss_curve) if validated else None,
        "best_validation_score_": history.best_score if validated else None,
        "converged_": history.converged,
        "_target_kind": target.kind,
        # patience is of the stochastic solvers only
        "_n_without_improvement": 0 if state is None else history.n_without_improvement,
        "_best_theta": None if history.best_theta is None else network.layout.flatten(history.best_theta),
        "_optimizer_state": state,
    }


def _refuse_overflow(X: Any, activations: Array) -> None:
    """Raise ValueError where activations are not finite: a NaN would become some class, or be passed on unseen."""
    if np.isfinite(activations).all():
        return
    values = X.data if scipy.sparse.issparse(X) else X
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if activations.dtype == np.float32 and largest > float(np.finfo(np.float32).max):
        raise ValueError("Input X contains a value too large for dtype('float32'), which this model has.")
    raise ValueError(
        f"The network's outputs are not finite: its coefs_ and intercepts_ are too large, or not finite, for this X, "
        f"whose largest value is {largest:g}. Scale X as the training data."
    )


def _refuse_too_few(n: int, advice: str) -> None:
    if n < 2:
        raise ValueError(f"The validation set is too small. {advice}")
