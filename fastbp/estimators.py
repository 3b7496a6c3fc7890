"""The scikit-learn estimators: parameters, validation, tags and fitted attributes. The numbers are made elsewhere."""

import warnings
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from . import data, network, threads, training
from .data import Examples
from .kernels import optimizers
from .kernels.activations import HIDDEN, OUTPUT
from .kernels.losses import LEGAL_OUTPUTS, LOSSES
from .monitor import History
from .network import Array, Network, Trainer
from .targets import MULTILABEL, accuracy, classes_of, dense_target, encode, target_kind, winners
from .training import OptimizerState

STOCHASTIC = ("sgd", "adam")
PROBABILITIES = ("softmax", "logistic")  # outputs that are probabilities


def _can_predict_proba(estimator: "BackpropClassifier") -> bool:
    output = getattr(estimator, "out_activation_", estimator.out_activation)
    if output not in (*PROBABILITIES, "auto"):
        raise AttributeError(
            f"predict_proba is not available with out_activation={output!r}: its outputs are not probabilities. "
            f"Use one of {', '.join(PROBABILITIES)}."
        )
    return True


def _is_stochastic(estimator: "BackpropClassifier") -> bool:
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers, {' and '.join(STOCHASTIC)}. "
            f"solver={estimator.solver!r} is not stochastic."
        )
    return True


class BackpropClassifier(ClassifierMixin, BaseEstimator):
    """Multilayer perceptron classifier, trained by backpropagation in compiled loops.

    A drop-in for `sklearn.neural_network.MLPClassifier`: the same parameters in the same order, the same model from the
    same `random_state`; then more activations, losses and solvers. J below is the objective; the README has the
    formulas, the symbols and where they come from.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer, S_2 ... S_{L-1}. Empty: no hidden layer.
    activation : str or array-like of str, default='relu'
        Activation g of the hidden layers, one for all or one per layer: 'identity', 'logistic', 'tanh', 'relu',
        'leaky_relu', 'elu', 'softplus', 'silu' or 'gelu' (its tanh form).
    solver : {'adam', 'sgd', 'lbfgs', 'gd'}, default='adam'
        'adam' and 'sgd' step after every minibatch, 'lbfgs' is SciPy's L-BFGS-B, 'gd' is gradient descent on all
        examples until the norm of the gradient is at most `gtol`.
    alpha : float, default=0.0001
        L2 strength lambda: J has the term lambda / (2 m) sum Theta^2, biases excluded, m the examples of the step.
    batch_size : int or 'auto', default='auto'
        Examples of a minibatch, for 'sgd' and 'adam'. 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the rate, for 'sgd': 'invscaling' divides by (t_ + 1) ** power_t after each epoch, 'adaptive'
        divides by 5 in place of stopping.
    learning_rate_init : float, default=0.001
        Learning rate eta, for 'gd', 'sgd' and 'adam'.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs ('sgd', 'adam') or iterations ('lbfgs', 'gd').
    shuffle : bool, default=True
        Whether each epoch draws a new order of the examples, for 'sgd' and 'adam'.
    random_state : int, RandomState instance or None, default=None
        Of initial weights, validation split and order of the examples.
    tol : float, default=1e-4
        'sgd' and 'adam': least improvement of loss or validation score that counts. 'lbfgs': SciPy's `gtol`.
    verbose : bool, default=False
        Whether to print a line per iteration.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous fit.
    momentum : float, default=0.9
        Momentum mu of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default=False
        'sgd' and 'adam': set `validation_fraction` of the examples aside, stop when their accuracy no longer improves,
        and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the examples that is set aside.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of Adam's means of the gradient and of its square, in [0, 1).
    epsilon : float, default=1e-8
        Added to Adam's denominator.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement after which 'sgd' and 'adam' stop.
    max_fun : int, default=15000
        Most evaluations of J, for 'lbfgs'.
    loss : str, default='log_loss'
        Cost of one example, summed over outputs: 'log_loss' (softmax or logistic cross-entropy, as MLPClassifier),
        'binary_cross_entropy' (of one logistic output per class), 'squared_error' (half the squared norm),
        'mean_squared_error' (the squared norm), 'euclidean' (the norm).
    out_activation : str, default='auto'
        Activation of the output layer. 'auto' is softmax or logistic for 'log_loss', as the target needs, else
        logistic. The squared and Euclidean losses take any hidden activation.
    fit_intercept : bool, default=True
        Whether the layers have biases.
    gtol : float, default=1e-5
        'gd' stops, without updating, when the Euclidean norm of the gradient over all parameters is at most this.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Of weights and arithmetic; 'auto' is float32 for float32 input, else float64.
    n_jobs : int or None, default=None
        Upper bound on threads; -1 is all of Numba's, -2 all but one. None uses all of them where the work is worth
        it. A fit or predict that finds them in use runs serially. The result has the same bits in every case.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coefs_ : list of ndarray of shape (S_l, S_{l+1})
        Weights between layers. predict and partial_fit read them, so they may be edited.
    intercepts_ : list of ndarray of shape (S_{l+1},)
        Biases; zeros without `fit_intercept`.
    loss_ : float
        J of the last iteration, L2 term included; for 'sgd' and 'adam' the mean over the epoch's batches.
    loss_curve_ : list of float
        J per iteration; for 'gd', wherever the gradient was taken.
    best_loss_ : float or None
        Least of `loss_curve_`; None with early stopping.
    validation_scores_ : list of float or None
        Validation accuracy per epoch, with early stopping.
    best_validation_score_ : float or None
        Their best.
    n_iter_ : int
        Epochs, iterations, or updates ('gd') that were run.
    t_ : int
        Training examples seen.
    n_layers_ : int
        Number of layers L, input and output included.
    n_outputs_ : int
        Number of outputs S_L.
    out_activation_ : str
        Activation of the output layer.
    n_features_in_ : int
        Number of features S_1.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where X has them.

    See Also
    --------
    fastbp.textbook : The same mathematics as plain functions.

    Notes
    -----
    The loss is exact where scikit-learn clips probabilities, so on data with saturated outputs the reported loss is
    larger; the gradients are the same.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=1).fit(X, y)
    >>> clf.predict(X[:2])
    array([0, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN)), "array-like"],
        "solver": [StrOptions({"adam", "sgd", "lbfgs", "gd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(LOSSES))],
        "out_activation": [StrOptions({"auto", *OUTPUT})],
        "fit_intercept": ["boolean"],
        "gtol": [Interval(Real, 0, None, closed="left")],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right"), None],
    }

    _target: str
    classes_: NDArray
    coefs_: list[Array]
    intercepts_: list[Array]

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str | ArrayLike = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str = "log_loss",
        out_activation: str = "auto",
        fit_intercept: bool = True,
        gtol: float = 1e-5,
        dtype: str = "auto",
        n_jobs: int | None = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.out_activation = out_activation
        self.fit_intercept = fit_intercept
        self.gtol = gtol
        self.dtype = dtype
        self.n_jobs = n_jobs

    # ---------------------------------------------------------------- fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples. Sparse matrices are never made dense as a whole.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example's cost, not negative and not all zero.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        ValueError
            A parameter or the data is not valid, or training diverged.
        """
        return self._fit(X, y, sample_weight, None, incremental=False)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on X and y, going on from the present weights and optimiser.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example's cost, not negative and not all zero.
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls; needed in the first one.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        AttributeError
            The solver is not stochastic.
        ValueError
            As `fit`; or `early_stopping` is set, for which a part of the data says too little.
        """
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: a part of the data is no validation set. "
                "Set early_stopping=False, or use fit."
            )
        return self._fit(X, y, sample_weight, classes, incremental=True)

    def _fit(self, X: Any, y: Any, sample_weight: Any, classes: Any, *, incremental: bool) -> Self:
        """Fit, or leave the estimator as it was."""
        before = self.__dict__.copy()
        try:
            if incremental:
                _check_partial_fit_first_call(self, classes)
            return self._fit_or_fail(X, y, sample_weight, incremental)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fit_or_fail(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Self:
        hidden = self._hidden_layers()
        activations = network.hidden_activations(self.activation, len(hidden))
        continues = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = validate_data(
            self, X, y, accept_sparse="csr", multi_output=True, dtype=(np.float64, np.float32), reset=not continues
        )
        natural = self._weights_dtype() if continues else X.dtype
        dtype = np.dtype(natural if self.dtype == "auto" else self.dtype)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
            _refuse_useless(weights)
        y = dense_target(y)
        classes = classes_of(y, self.classes_ if incremental or continues else None, subset=incremental)
        target = target_kind(y, classes)
        if continues and target != self._target:
            raise ValueError(f"y is a {target} target, but the previous fit had a {self._target} one. Fit anew.")
        codes, Y, n_outputs = encode(y, target, classes, self.loss)
        shape = Network(
            widths=(X.shape[1], *hidden, n_outputs),
            activations=(*activations, self._output_activation(target)),
            loss=self.loss,
            dtype=dtype,
            fit_intercept=bool(self.fit_intercept),
        )
        random_state = check_random_state(self.random_state)
        if continues:
            self._check_weights(shape, f"hidden_layer_sizes={self.hidden_layer_sizes!r} and the data need")
            theta = shape.pack(self.coefs_, self.intercepts_)
        else:
            # With no hidden layer scikit-learn still looks at `activation`.
            last = activations[-1] if activations else str(self.activation)
            theta = shape.pack(*network.glorot(shape, (*activations, last), random_state))
        history = self._history(continues)
        examples = data.examples(X, dtype, codes=codes, Y=Y, weights=weights)
        state = self._run_solver(shape, theta, examples, history, random_state, incremental, target, len(classes))
        if not np.isfinite(theta).all():
            raise ValueError(training.diverged(history.n_iter, "a weight is not finite", self.learning_rate_init))

        self.classes_, self._target = classes, target
        self.coefs_, self.intercepts_ = shape.unpack(theta)
        self.n_layers_, self.n_outputs_ = shape.n_layers, n_outputs
        self.out_activation_ = shape.activations[-1]
        self.n_iter_, self.t_ = history.n_iter, history.t
        self.loss_, self.loss_curve_ = history.loss, history.loss_curve
        self.best_loss_ = None if history.scored else history.best_loss
        self.validation_scores_ = history.validation_scores if history.scored else None
        self.best_validation_score_ = history.best_score if history.scored else None
        self._n_without_improvement = history.n_without_improvement
        self._optimizer_state = state
        return self

    def _hidden_layers(self) -> tuple[int, ...]:
        """Sizes of the hidden layers."""
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.ndim != 1 or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
            raise ValueError(
                "hidden_layer_sizes must be > 0: whole numbers, one per hidden layer, or one number; "
                f"got {self.hidden_layer_sizes!r}."
            )
        return tuple(int(size) for size in sizes)

    def _output_activation(self, target: str) -> str:
        fitting = "logistic" if self.loss != "log_loss" or target != "multiclass" else "softmax"
        if self.out_activation == "auto":
            return fitting
        legal = (fitting,) if self.loss == "log_loss" else LEGAL_OUTPUTS[self.loss]
        if self.out_activation not in legal:
            of_target = f" and a {target} target" if self.loss == "log_loss" else ""
            raise ValueError(
                f"out_activation={self.out_activation!r} does not go with loss={self.loss!r}{of_target}; "
                f"legal are: {', '.join(legal)}."
            )
        return self.out_activation

    def _check_weights(self, shape: Network, who: str) -> None:
        """That coefs_ and intercepts_, which the user may have edited, are those of a network of this shape."""
        coefs, intercepts = list(pairwise(shape.widths)), [(width,) for width in shape.widths[1:]]
        found = [np.shape(coef) for coef in self.coefs_], [np.shape(intercept) for intercept in self.intercepts_]
        if found != (coefs, intercepts):
            raise ValueError(
                f"coefs_ and intercepts_ have shapes {found[0]} and {found[1]}, but {who} {coefs} and {intercepts}."
            )
        if not shape.fit_intercept and any(np.any(intercept) for intercept in self.intercepts_):
            raise ValueError(
                "fit_intercept=False, but intercepts_ of the previous fit are not zero. Set them to 0, or fit anew "
                "with warm_start=False."
            )

    def _history(self, continues: bool) -> History:
        scored = bool(self.early_stopping) and self.solver in STOCHASTIC
        history = History(float(self.tol), bool(self.verbose), scored)
        if continues:
            history.t, history.n_without_improvement = self.t_, self._n_without_improvement
            history.loss_curve = list(self.loss_curve_)
            history.validation_scores = list(self.validation_scores_ or [])
            history.best_loss = np.inf if self.best_loss_ is None else self.best_loss_
            history.best_score = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
        return history

    def _run_solver(
        self,
        shape: Network,
        theta: Array,
        examples: Examples,
        history: History,
        random_state: np.random.RandomState,
        incremental: bool,
        target: str,
        n_classes: int,
    ) -> OptimizerState | None:
        """Train theta in place; returns what a later partial_fit continues with."""
        order = validation = np.arange(examples.n)
        if history.scored:
            order, validation = self._split(
                examples, random_state, stratify=shape.widths[-1] == 1 and examples.codes.size > 0
            )
        batch = self._batch_size(len(order)) if self.solver in STOCHASTIC else examples.n
        code = optimizers.NONE
        if self.solver == "adam":
            code = optimizers.ADAM
        elif self.solver == "sgd":
            code = optimizers.NESTEROV if self.nesterovs_momentum else optimizers.SGD
        with threads.team(self.n_jobs, shape.row_work * min(batch, shape.chunk)) as team:
            trainer = Trainer(shape, theta, examples, batch=batch, team=team, optimizer=code, alpha=float(self.alpha))
            if self.solver == "gd":
                training.gradient_descent(
                    trainer, history, learning_rate_init=self.learning_rate_init, gtol=self.gtol, max_iter=self.max_iter
                )
                return None
            if self.solver == "lbfgs":
                training.lbfgs(trainer, history, tol=self.tol, max_iter=self.max_iter, max_fun=self.max_fun)
                return None
            training.set_rates(
                trainer,
                learning_rate_init=self.learning_rate_init,
                momentum=self.momentum,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
            state = getattr(self, "_optimizer_state", None)
            if incremental and state is not None and state.fits(self.solver, trainer):
                state.restore(trainer)

            def score(theta: Array) -> float:
                output = network.predict(shape, theta, examples, validation, team)
                return accuracy(output, examples, validation, target, n_classes)

            training.stochastic(
                trainer,
                history,
                order,
                learning_rate=self.learning_rate,
                learning_rate_init=self.learning_rate_init,
                power_t=self.power_t,
                max_iter=self.max_iter,
                shuffle=bool(self.shuffle),
                random_state=random_state,
                n_iter_no_change=self.n_iter_no_change,
                score=score if history.scored else None,
                one_epoch=incremental,
            )
            return OptimizerState.of(self.solver, trainer)

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if int(self.batch_size) > n_samples:
            # scikit-learn's words, which users may filter
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=7
            )
        return min(int(self.batch_size), n_samples)

    def _split(
        self, examples: Examples, random_state: np.random.RandomState, *, stratify: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of training and validation examples, drawn as scikit-learn's MLP draws them."""
        train, validation = train_test_split(
            np.arange(examples.n),
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=examples.codes if stratify else None,
        )
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset. "
                f"validation_fraction={self.validation_fraction!r} of {examples.n} examples leaves {len(validation)}."
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
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        dtype = self._weights_dtype()
        shape = Network(
            widths=(X.shape[1], *(np.shape(coef)[-1] for coef in self.coefs_[:-1]), self.n_outputs_),
            activations=(*network.hidden_activations(self.activation, len(self.coefs_) - 1), self.out_activation_),
            loss=self.loss,
            dtype=dtype,
        )
        self._check_weights(shape, "layers that compose, on this X, have")
        examples = data.examples(X, dtype)
        with threads.team(self.n_jobs, shape.row_work / 3 * min(examples.n, shape.chunk)) as team:
            order = np.arange(examples.n)
            output = network.predict(shape, shape.pack(self.coefs_, self.intercepts_), examples, order, team)
        if dtype == np.float32 and X.dtype == np.float64 and not np.isfinite(output).all():
            values = X.data if scipy.sparse.issparse(X) else X
            if np.abs(values).max() > np.finfo(np.float32).max:
                raise ValueError("Input X contains a value too large for dtype('float32'), which this model has.")
        return output

    def _weights_dtype(self) -> np.dtype:
        """dtype of the fitted weights, as edited: float32, or else float64."""
        return np.dtype(np.float32 if np.asarray(self.coefs_[0]).dtype == np.float32 else np.float64)

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict classes: the largest output, or for a multilabel target every output of at least 1/2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels, or the indicator matrix of a multilabel target.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or coefs_ or activation were edited into something that is not a network.
        """
        output = self._outputs(X)
        if self._target == MULTILABEL:
            return (output >= 0.5).astype(np.int64)
        return self.classes_[winners(output, len(self.classes_))]

    @available_if(_can_predict_proba)
    def predict_proba(self, X: ArrayLike) -> Array:
        """Predict probabilities of the classes.

        Outputs of one class each are normalised to sum to 1, and are uniform where they sum to 0; those of a multilabel
        target are left as they are. Not available with outputs that are not probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.

        Raises
        ------
        AttributeError
            The outputs are not probabilities.
        NotFittedError, ValueError
            As `predict`.
        """
        output = self._outputs(X)
        if self._target == MULTILABEL or self.out_activation_ == "softmax":
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        sums = output.sum(axis=1, keepdims=True)
        return np.divide(output, sums, out=np.full_like(output, 1 / output.shape[1]), where=sums > 0)

    @available_if(_can_predict_proba)
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`; -inf where a probability is 0.

        Raises
        ------
        AttributeError, NotFittedError, ValueError
            As `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags


def _refuse_useless(weights: NDArray[np.float64]) -> None:
    if (weights < 0).any():
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: the least is {weights.min()!r}, must be >= 0."
        )
    if not weights.any():
        raise ValueError("sample_weight must have at least one positive value: all of them are zero.")
