"""A fit from start to end, the same for classes and for numbers. Start reading at `Perceptron._fit`.

The parameters are in `parameters`, the data in `intake`, the split in `validation_set`, a fit under way in `fit`
and `run`, and the predictions in `predicting`. `data.targets` has the differences between classes and numbers.
"""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from ..data.examples import dtype_of
from ..data.targets import Labels, Target, Values, strength_in_unit
from ..network import costs
from ..network.architecture import Network
from ..network.initialization import VARIANCES, glorot, normal
from ..parallel.team import team_for
from ..training import evaluation
from ..training.footprint import Footprint, footprint
from ..training.gradient_descent import gradient_descent
from ..training.history import History
from ..training.lbfgs import lbfgs
from ..training.observer import Observer
from ..training.optimizer_state import OptimizerState, set_rates
from ..training.solver import AnyTrainer
from ..training.stochastic import Validate, stochastic
from ..training.trainer import Evaluator, Trainer
from ..typing import Array
from . import callbacks, notice
from .fit import Fit
from .intake import Data, Intake
from .parameters import STOCHASTIC, random_state_of
from .run import Run, fit_of, held_out, only_begins, shared
from .validation_set import GivenValidation, ValidationSet, split

# USER_LEVEL is the stack level of a warning: 1 is _fit, 2 fit, 3 scikit-learn's wrapper of fit, 4 the user's code.
USER_LEVEL = 4
# The parameters that an intake depends on. Fits share an intake only if these are equal, see `run.beginning`.
OF_DATA = ("class_weight", "dtype", "early_stopping", "loss", "monitor", "quantile", "solver")


class Perceptron(callbacks.CallbackSupportMixin, Intake):
    """Base class of the estimators; not for use on its own."""

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
        """Fit from start to end; within `run.beginning`, only begin. If anything raises, the estimator stays as it was.

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
        # `before` is taken after the callbacks are set up, because scikit-learn tears them down even after a failure.
        before = self.__dict__.copy()
        draft = self._as_now(copied=True)
        try:
            with fit_of(self):
                with notice.of_fit(self.verbose):
                    fit = draft._prepared(X, y, sample_weight, given, classes, observer, incremental)
                run = Run(self, draft, fit, draft._train(fit))
                if not only_begins(run):
                    run.advance()
                    run.finish(USER_LEVEL)
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
        self._check_solver()
        continues = hasattr(self, "coefs_") and (self.warm_start or incremental)
        if continues:
            self._check_fitted()

        def intake() -> Data:
            return self._intake(X, y, sample_weight, given, classes, continues=continues, incremental=incremental)

        if continues:
            data = intake()
        else:
            parameters = [repr(getattr(self, name, None)) for name in OF_DATA]
            data = shared((X, y, sample_weight, *given, held_out()), (type(self), *parameters), intake)
            self.__dict__ |= data.attributes
        target, dtype, examples = data.target, data.dtype, data.examples
        network = self._network(data.X.shape[1], hidden, target, dtype)
        validation, random_state = data.validation, random_state_of(self.random_state)
        # partial_fit counts steps on, but fit begins at step 0. So a fit that continues another needs other units.
        n_epochs = len(self.loss_curve_) if continues and not incremental else 0
        regularization = self._regularization(len(hidden[0]), random_state, n_epochs)
        theta = self._fitted_theta(network) if continues else self._initial_theta(network, random_state)
        history = self._history(network, target, theta, continues=continues, incremental=incremental)
        order, rows = np.arange(examples.n, dtype=np.int64), held_out()
        if rows is not None:
            order = np.delete(order, rows)
        if history.scored and validation is None:
            stratify = isinstance(target, Labels) and target.n_outputs == 1 and examples.codes.size > 0
            order, validation = split(examples, random_state, self.validation_fraction, stratify=stratify)
            validation = self._with_data(validation, data.X, data.y)
        # If neither X nor y is float32, predictions are float64, even those of a float32 network. From float32
        # predictions, a transformer that restores the unit of y would compute in float32 and round large numbers.
        in_float64 = dtype_of(data.X) == dtype_of(data.y) == np.float64
        return Fit(
            network,
            theta,
            target,
            examples,
            order,
            validation,
            history,
            observer,
            random_state,
            incremental,
            in_float64,
            strength_in_unit(float(self.alpha), data.unit),
            regularization,
        )

    def _train(self, fit: Fit) -> Generator[None, None, dict[str, Any]]:
        """Train fit.theta in place; yields after each epoch, and returns the fitted attributes."""
        is_stochastic = self.solver in STOCHASTIC
        batch = self._batch_size(len(fit.order)) if is_stochastic else len(fit.order)
        if is_stochastic and self.batch_size != "auto" and batch < int(self.batch_size):
            # scikit-learn's words, because users may filter this warning by them
            fit.history.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
        with self._trainer(fit, batch, self._optimizer_code()) as trainer:
            self._set_optimizer(trainer, fit.incremental)

            def fitted(*, ended: bool = False) -> dict[str, Any]:
                state = None
                if is_stochastic:
                    state = OptimizerState.of(self.solver, float(self.learning_rate_init), trainer, copy=not ended)
                # A callback gets a copy of the estimator with these attributes. None replaces the feature names of a
                # previous fit.
                unnamed = {} if ended else {"feature_names_in_": None}
                return unnamed | self._from_data() | fit.attributes(state)

            fit.observer.training_begins(fit.rows, fitted)
            yield from self._solve(fit, trainer)
            return fitted(ended=True)

    def _solve(self, fit: Fit, trainer: AnyTrainer) -> Iterator[None]:
        """Run the solver that the user chose, until it stops; yields after each epoch. 'lbfgs' does not yield."""
        if self.solver == "gd":
            yield from gradient_descent(
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
            validate = self._validator(trainer, fit, fit.validation) if fit.validation else None
            first_epoch = len(fit.history.loss_curve) if fit.incremental else 0
            epochs = self._epochs(fit.random_state, only_one=fit.incremental, first_epoch=first_epoch)
            yield from stochastic(trainer, fit.history, fit.observer, fit.order, epochs, validate)

    # ---------------------------------------------------------------- before the training

    def _fitted_theta(self, network: Network) -> Array:
        """The weights of the previous fit; raises ValueError if their shapes are not those of this network."""
        self._check_weights(network, f"hidden_layer_sizes={self.hidden_layer_sizes!r} and the data need")
        return self._theta(network)

    def _initial_theta(self, network: Network, random_state: np.random.RandomState) -> Array:
        """Random weights."""
        if self.init != "auto":
            return network.layout.pack(*normal(network, VARIANCES[self.init], random_state))
        hidden = network.activations[:-1]
        # The last hidden activation also decides the range of the weights into the output layer. Without a hidden
        # layer, the parameter `activation` decides this range, as in scikit-learn.
        last = hidden[-1] if hidden else str(self.activation)
        return network.layout.pack(*glorot(network, (*hidden, last), random_state))

    def _history(
        self, network: Network, target: Target, theta: Array, *, continues: bool, incremental: bool
    ) -> History:
        """The record of this fit. If the fit continues a previous fit, the record begins with that fit's record.

        theta: the weights from which this fit starts. With early stopping, they may be the best weights of the previous
        fit. Then this method overwrites theta with the last weights of that fit, because training goes on from the
        last weights. The record keeps the best weights.
        """
        scored = bool(self.early_stopping) and self.solver in STOCHASTIC
        # scikit-learn averages squared errors over the outputs, and J adds them up. With this scale, the same tol stops
        # MLPRegressor and BackpropRegressor in the same epoch, unless the L2 term is large.
        scale = target.n_outputs if isinstance(target, Values) and self.loss == "squared_error" else 1
        history = History(float(self.tol), bool(self.verbose), scored, scale, by_loss=self.monitor == "loss")
        if continues:
            history.t = self.t_
            same_measure = scored == (self.best_loss_ is None)
            # With early stopping, the number of epochs without improvement begins with 0 in each fit, and in a
            # partial_fit after training has stopped.
            if same_measure and not (scored and (self.converged_ or not incremental)):
                history.n_without_improvement = self._n_without_improvement
            history.loss_curve = list(self.loss_curve_)
            history.validation_scores = list(self.validation_scores_ or [])
            history.validation_loss_curve = list(self.validation_loss_curve_ or [])
            history.best_loss = np.inf if self.best_loss_ is None else self.best_loss_
            if self.best_validation_score_ is not None and (scored or incremental):
                history.best_value = history.best_score = self.best_validation_score_
            if scored:
                self._set_aside(network, theta, history)
        return history

    def _set_aside(self, network: Network, theta: Array, history: History) -> None:
        """Keep the best weights so far in the record, and let theta be the weights where training stopped."""
        best, last = self._kept_vector("_best_theta", network), self._kept_vector("_last_theta", network)
        if best is None:
            history.best_theta = theta.copy()
            history.best_value = history.best_score = -np.inf
            return
        history.best_theta, history.best_epoch = best, getattr(self, "_best_epoch", None)
        # A fit that kept `last` left `best` in coefs_. If coefs_ differ from `best` now, the user has edited them.
        if last is not None and np.array_equal(best, theta):
            theta[:] = last

    def _kept_vector(self, name: str, network: Network) -> Array | None:
        """The theta that a fit has kept in this attribute; None if there is none of the size of this network."""
        vector = getattr(self, name, None)
        if isinstance(vector, np.ndarray) and vector.shape == (network.layout.n_parameters,):
            return network.layout.unflatten(vector)
        return None

    # ---------------------------------------------------------------- during the training

    @contextmanager
    def _trainer(self, fit: Fit, batch: int, optimizer: int) -> Iterator[AnyTrainer]:
        """The trainer that the solvers use, with its threads. The trainer overwrites fit.theta."""
        network, examples = fit.network, fit.examples
        yield Trainer(
            network,
            fit.theta,
            examples,
            batch=batch,
            team=team_for(self.n_jobs, costs.step_work(network, batch, examples.entries)),
            optimizer=optimizer,
            rows=fit.rows,
            **self._of_training(fit),
        )

    def _footprint(self, fit: Fit) -> Footprint:
        """An estimate of the memory of a fit on one thread."""
        n, stochastic = len(fit.order), self.solver in STOCHASTIC
        return footprint(
            fit.network,
            fit.examples,
            n=n,
            batch=self._batch_size(n) if stochastic else n,
            optimizer=self._optimizer_code(),
            n_validation=len(fit.validation.rows) if fit.validation and stochastic else 0,
            keeps_best=fit.history.scored,
            lbfgs=self.solver == "lbfgs",
        )

    def _of_training(self, fit: Fit) -> dict[str, Any]:
        """Arguments that every trainer takes."""
        return {
            "alpha": fit.alpha,
            "weight_decay": float(self.weight_decay),
            "max_norm": self.max_grad_norm,
            "regularization": fit.regularization,
            "planned": self._schedule(0).is_planned,
        }

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

    def _validator(self, trainer: AnyTrainer, fit: Fit, validation: ValidationSet) -> Validate:
        """A function that returns the score of a theta on the validation set, and the mean cost without the L2 term."""
        examples, rows, data = validation
        evaluator = Evaluator(trainer.network, examples, batch=len(rows), team=trainer.team)

        def validate(theta: Array) -> tuple[float, float]:
            judged, loss = evaluation.evaluate(evaluator, theta, rows, fit.target)
            return fit.target.score(judged, examples, rows), loss

        if data is None:
            return validate
        from sklearn.metrics import check_scoring  # imported here, because most fits do not need it

        scorer, (X, y, metadata) = check_scoring(self, scoring=self.monitor), data

        def validate_by_scorer(theta: Array) -> tuple[float, float]:
            loss = evaluator.loss(theta, rows)
            # A scorer would raise an error for outputs that are not finite. With the score NaN instead, the fit can go
            # back to good weights.
            return float(scorer(self._fitted_at(fit, theta), X, y, **metadata)) if np.isfinite(loss) else np.nan, loss

        return validate_by_scorer

    def _fitted_at(self, fit: Fit, theta: Array) -> Self:
        """An estimator for a scorer, with the weights theta of a fit under way. It has no feature_names_in_."""
        model = type(self).__new__(type(self))
        model.__dict__ = {**self.__dict__, **fit.attributes_at(theta)}
        model.__dict__.pop("feature_names_in_", None)
        return model
