"""A fit from start to end, the same for classes and for numbers. Start reading at `Perceptron._fit`.

`parameters` has the parameters, `validation_set` the split, `fit` the parts of a fit under way, and `predicting` the
predictions. The differences between classes and numbers are in `data.targets`.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from ..data import examples as data
from ..data.examples import Examples, as_examples
from ..data.targets import Labels, Target, Values
from ..network import costs
from ..network.architecture import Network
from ..network.initialization import glorot
from ..parallel.team import team_for
from ..training import evaluation
from ..training.gradient_descent import gradient_descent
from ..training.history import History
from ..training.lbfgs import lbfgs
from ..training.observer import Observer
from ..training.optimizer_state import OptimizerState, set_rates
from ..training.solver import AnyTrainer, diverged
from ..training.stochastic import stochastic
from ..training.trainer import Evaluator, Trainer
from ..typing import Array
from . import callbacks, notice
from .fit import Fit
from .parameters import STOCHASTIC
from .predicting import Predictor
from .validation_set import GivenValidation, ValidationSet, refuse_too_few, split

# USER_LEVEL is the stack level of a warning: 1 is _fit, 2 fit, 3 scikit-learn's wrapper of fit, 4 the user's code.
USER_LEVEL = 4
# The attributes that the checks of the data set; a fit without names of features has no feature_names_in_.
FROM_DATA = ("n_features_in_", "feature_names_in_", "classes_")


class Perceptron(callbacks.CallbackSupportMixin, Predictor):
    """Base class of the estimators; not for use on its own."""

    # ---------------------------------------------------------------- overridden by both estimators

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        """The target of this fit; `classes` is the argument of partial_fit."""
        raise NotImplementedError

    # ---------------------------------------------------------------- a fit

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: GivenValidation,
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Self:
        """Fit from start to end. If anything raises, the estimator stays as it was.

        Another thread may predict meanwhile. So a draft is fitted, and the estimator gets all new attributes at once.
        """
        observer = callbacks.observer(
            self,
            X,
            y,
            sample_weight,
            method="partial_fit" if incremental else "fit",
            # One more than max_iter: 'gd' takes the gradient once more after the last update. 'lbfgs' begins one more
            # iteration, because SciPy does not say which one is the last.
            max_subtasks=1 if incremental else int(self.max_iter) + (self.solver not in STOCHASTIC),
        )
        before = self.__dict__.copy()  # with the callbacks, because scikit-learn tears them down after a failure too
        draft = self._as_now(copied=True)
        try:
            with notice.of_fit(self.verbose):
                fit = draft._prepared(X, y, sample_weight, given, classes, observer, incremental)
                attributes = draft._train(fit)
            if not np.isfinite(fit.theta).all():
                raise ValueError(diverged(fit.history.n_iter, "a weight is not finite", self.learning_rate_init))
            kept = {name: value for name, value in self.__dict__.items() if name not in FROM_DATA or name in attributes}
            self.__dict__ = kept | attributes
            for message, category in fit.history.warnings:
                warnings.warn(message, category, stacklevel=USER_LEVEL)
            observer.fit_ends()
            return self
        except BaseException:
            self.__dict__ = before  # one assignment, because another thread may be predicting
            raise

    def _prepared(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: GivenValidation,
        classes: Any,
        observer: Observer,
        incremental: bool,
    ) -> Fit:
        """Check parameters and data, then make everything that the training needs."""
        hidden = self._hidden_layers()
        continues = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=not continues)
        dtype = self._dtype_for(X, continues=continues)
        target = self._target_of(y, classes, continues=continues, incremental=incremental)
        if continues and target.kind != self._target_kind:
            raise ValueError(
                f"y is a {target.kind} target, but the previous fit had a {self._target_kind} one. Fit anew."
            )
        network = self._network(X.shape[1], hidden, target, dtype)
        examples = self._examples(X, y, sample_weight, target, dtype)
        validation = self._given_validation(given, target, dtype, incremental)
        random_state = check_random_state(self.random_state)
        theta = self._fitted_theta(network) if continues else self._initial_theta(network, random_state)
        history = self._history(network, target, continues=continues)
        order = np.arange(examples.n)
        if history.scored and validation is None:
            stratify = isinstance(target, Labels) and target.n_outputs == 1 and examples.codes.size > 0
            order, validation = split(examples, random_state, self.validation_fraction, stratify=stratify)
        return Fit(network, theta, target, examples, order, validation, history, observer, random_state, incremental)

    def _train(self, fit: Fit) -> dict[str, Any]:
        """Train fit.theta in place; returns the fitted attributes."""
        is_stochastic = self.solver in STOCHASTIC
        batch = self._batch_size(len(fit.order), fit.history) if is_stochastic else fit.examples.n
        with self._trainer(fit.network, fit.theta, fit.examples, batch, self._optimizer_code()) as trainer:
            self._set_optimizer(trainer, fit.incremental)

            def fitted(*, ended: bool = False) -> dict[str, Any]:
                state = None
                if is_stochastic:
                    state = OptimizerState.of(self.solver, float(self.learning_rate_init), trainer, copy=not ended)
                # A callback gets a copy of the estimator with these. None hides the names of a previous fit.
                unnamed = {} if ended else {"feature_names_in_": None}
                return unnamed | self._from_data() | fit.attributes(state)

            fit.observer.training_begins(fit.rows, fitted)
            self._solve(fit, trainer)
            return fitted(ended=True)

    def _solve(self, fit: Fit, trainer: AnyTrainer) -> None:
        """Run the solver that the user chose, until it stops."""
        if self.solver == "gd":
            gradient_descent(
                trainer,
                fit.history,
                fit.observer,
                learning_rate_init=float(self.learning_rate_init),
                gtol=float(self.gtol),
                max_iter=int(self.max_iter),
            )
        elif self.solver == "lbfgs":
            lbfgs(
                trainer,
                fit.history,
                fit.observer,
                tol=float(self.tol),
                max_iter=int(self.max_iter),
                max_fun=int(self.max_fun),
            )
        else:
            validate = self._validator(trainer, fit.validation, fit.target) if fit.validation else None
            epochs = self._epochs(fit.random_state, only_one=fit.incremental)
            stochastic(trainer, fit.history, fit.observer, fit.order, epochs, validate)

    def _from_data(self) -> dict[str, Any]:
        """The attributes that the checks of the data have set."""
        return {name: getattr(self, name) for name in FROM_DATA if hasattr(self, name)}

    # ---------------------------------------------------------------- before the training

    def _dtype_for(self, X: Any, *, continues: bool) -> np.dtype:
        """The dtype of this fit: float32 or float64."""
        natural = self._weights_dtype() if continues else data.dtype_of(X)
        return np.dtype(natural if self.dtype == "auto" else self.dtype)

    def _examples(self, X: Any, y: NDArray, sample_weight: Any, target: Target, dtype: np.dtype) -> Examples:
        """Validated X and y, and the weights after their checks, as the kernels read them."""
        weights = self._example_weights(X, y, sample_weight, target)
        codes, Y = target.encode(y, self.loss)
        with np.errstate(over="ignore"):
            examples = self._laid_out(X, dtype, codes, Y, weights)
        if not np.isfinite(examples.Y).all():
            raise ValueError(f"Input y contains a value too large for {dtype!r}, the dtype of this model.")
        return examples

    def _example_weights(self, X: Any, y: NDArray, sample_weight: Any, target: Target) -> NDArray[np.float64] | None:
        """sample_weight times the weights of the classes; None means that every weight is 1."""
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
        tiny = np.finfo(np.float64).tiny  # training counts a smaller weight as 0
        if weights is not None and weights.max() < tiny:
            raise ValueError(f"sample_weight must not all be below {tiny}, got {weights.max()!r}.")
        return weights

    def _laid_out(
        self, X: Any, dtype: np.dtype, codes: NDArray | None, Y: NDArray | None, weights: NDArray | None
    ) -> Examples:
        """The rows of validated X, with their targets and weights; arguments as in `data.examples.as_examples`."""
        return as_examples(X, dtype, codes=codes, Y=Y, weights=weights)

    def _given_validation(
        self, given: GivenValidation, target: Target, dtype: np.dtype, incremental: bool
    ) -> ValidationSet | None:
        """The user's own validation set after its checks; None if the user passed none."""
        if not given.is_there:
            if incremental and self.early_stopping:
                raise ValueError(
                    "partial_fit does not support early_stopping=True without a validation set: a chunk of the data "
                    "cannot serve as a validation set. Pass X_val and y_val, set early_stopping=False, or use fit."
                )
            return None
        if self.solver not in STOCHASTIC:
            raise ValueError(
                f"X_val and y_val are used by the solvers {' and '.join(STOCHASTIC)} only, got solver={self.solver!r}."
            )
        try:
            X, y = self._validated(given.X, given.y, reset=False)
            target.check_held_out(y)
            refuse_too_few(len(y), f"X_val has {len(y)} rows, and needs at least 2.")
            examples = self._examples(X, y, given.sample_weight, target, dtype)
        except ValueError as error:  # the message names X, y or sample_weight and means the validation set
            raise ValueError(f"In the validation set X_val, y_val, sample_weight_val: {error}") from error
        return ValidationSet(examples, np.arange(examples.n))

    def _fitted_theta(self, network: Network) -> Array:
        """The weights of the previous fit, if they have the shapes of this network; raises ValueError."""
        self._check_weights(network, f"hidden_layer_sizes={self.hidden_layer_sizes!r} and the data need")
        return self._theta(network)

    def _initial_theta(self, network: Network, random_state: np.random.RandomState) -> Array:
        """Random weights."""
        hidden = network.activations[:-1]
        # The last hidden activation also decides the range of the weights into the output layer. Without a hidden
        # layer, scikit-learn takes the parameter `activation`.
        last = hidden[-1] if hidden else str(self.activation)
        return network.layout.pack(*glorot(network, (*hidden, last), random_state))

    def _history(self, network: Network, target: Target, *, continues: bool) -> History:
        """The record of this fit. If the fit continues another one, the record begins with the other's record."""
        scored = bool(self.early_stopping) and self.solver in STOCHASTIC
        # scikit-learn averages squared errors over the outputs, and J adds them up. With this scale, the same tol stops
        # both in the same epoch.
        scale = target.n_outputs if isinstance(target, Values) and self.loss == "squared_error" else 1
        history = History(float(self.tol), bool(self.verbose), scored, scale)
        if continues:
            history.t = self.t_
            if scored == (self.best_loss_ is None):  # both fits measure progress by the same quantity
                history.n_without_improvement = self._n_without_improvement
            history.loss_curve = list(self.loss_curve_)
            history.validation_scores = list(self.validation_scores_ or [])
            history.validation_loss_curve = list(self.validation_loss_curve_ or [])
            history.best_loss = np.inf if self.best_loss_ is None else self.best_loss_
            history.best_score = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
            if scored and self._best_theta is not None and len(self._best_theta) == network.layout.n_parameters:
                history.best_theta = network.layout.unflatten(self._best_theta)
            elif scored:
                history.best_score = -np.inf  # the previous fit did not keep the weights of its best score
        return history

    # ---------------------------------------------------------------- during the training

    @contextmanager
    def _trainer(
        self, network: Network, theta: Array, examples: Examples, batch: int, optimizer: int
    ) -> Iterator[AnyTrainer]:
        """The trainer that the solvers use, with its threads. The trainer overwrites theta."""
        with team_for(self.n_jobs, costs.step_work(network, batch, examples.entries)) as team:
            yield Trainer(
                network, theta, examples, batch=batch, team=team, optimizer=optimizer, alpha=float(self.alpha)
            )

    def _set_optimizer(self, trainer: AnyTrainer, incremental: bool) -> None:
        """Set the optimiser's hyperparameters; partial_fit also restores the state that the previous call left."""
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

    def _validator(
        self, trainer: AnyTrainer, validation: ValidationSet, target: Target
    ) -> Callable[[Array], tuple[float, float]]:
        """A function from theta to (score, mean cost without the L2 term) on the validation set."""
        examples, rows = validation
        evaluator = Evaluator(trainer.network, examples, batch=len(rows), team=trainer.team)

        def validate(theta: Array) -> tuple[float, float]:
            judged, loss = evaluation.evaluate(evaluator, theta, rows, target)
            return target.score(judged, examples, rows), loss

        return validate
