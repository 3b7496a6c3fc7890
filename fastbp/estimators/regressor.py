"""BackpropRegressor: the multilayer perceptron that predicts numbers."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

from collections.abc import Callable
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import StrOptions

from ..data.targets import Target, Values
from ..kernels.activations import HIDDEN
from ..typing import Array
from .base import Perceptron
from .checking import checked_numbers
from .parameters import Range, fits, if_stochastic
from .quantiles import QuantileScoreMixin, warn_of_crossing
from .validation_set import GivenValidation

if TYPE_CHECKING:  # at run time only a conversion needs MLPRegressor, and `convert` imports it
    from sklearn.neural_network import MLPRegressor

LOSSES = (
    "squared_error", "poisson", "mean_squared_error", "euclidean", "absolute_error", "huber", "quantile", "gamma",
)  # fmt: skip
QUANTILE = Range(Real, 0, 1, closed="neither")
CONSTRAINTS = {
    **Perceptron._parameter_constraints,
    "loss": [StrOptions(set(LOSSES)), tuple],
    "out_activation": [StrOptions({"auto", *HIDDEN, "exp"})],
    "quantile": [QUANTILE, "array-like"],
    "huber_delta": [Range(Real, 0, None, closed="neither")],
}


class BackpropRegressor(QuantileScoreMixin, Perceptron):
    """Multilayer perceptron regressor, trained by backpropagation in compiled loops.

    A drop-in replacement for `sklearn.neural_network.MLPRegressor`: it has the same parameters in the same order and
    gives the same model from the same `random_state`. It has more activations, losses and solvers. J below is the
    objective; fastbp/README.md has the formulas, the symbols and their sources.

    Parameters
    ----------
    loss : str or tuple of two functions, default='squared_error'
        Cost of one example, summed over outputs. As in MLPRegressor: 'squared_error' (half the squared norm of a - y)
        and 'poisson' (half the Poisson deviance, for y >= 0, with the output activation exp). Also:
        'mean_squared_error' (the squared norm), 'euclidean' (the norm, which outliers change less), 'absolute_error'
        (of each output; the best prediction is the median), 'huber' (half the square of a residual up to
        `huber_delta`, linear beyond), 'quantile' (the pinball loss, see `quantile`) and 'gamma' (half the Gamma
        deviance, for y > 0, with the output activation exp). A tuple of two functions (cost, gradient) is a loss of
        your own, which Numba compiles. cost(z, y) returns C, and gradient(z, y, out) puts dC/dz into out. Here z, y and
        out are vectors: z^(L) of one example, its targets and its gradient. `textbook.check_gradient` checks the
        gradient.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer, S_2 ... S_{L-1}. An empty list means no hidden layer.
    activation : str or array-like of str, default='relu'
        Activation g of the hidden layers, one name for all or one per layer: 'identity', 'logistic', 'tanh', 'relu',
        'leaky_relu', 'elu', 'selu', 'softplus', 'silu', 'gelu' (in its tanh form), 'mish' or 'hard_swish'.
    solver : {'adam', 'sgd', 'lbfgs', 'gd'}, default='adam'
        'adam' and 'sgd' step after every minibatch. 'lbfgs' is SciPy's L-BFGS-B. 'gd' is gradient descent on all
        examples until the norm of the gradient is at most `gtol`.
    alpha : float, default=0.0001
        L2 strength lambda. J has the term lambda / (2 m) sum Theta^2. The sum leaves out the biases, and m is the sum
        of the weights of a step's examples.
    batch_size : int or 'auto', default='auto'
        Examples of a minibatch of 'sgd' and 'adam'. 'auto' is min(200, n_samples).
    learning_rate : str or callable, default='constant'
        Schedule of the learning rate of 'sgd' and 'adam'. 'constant' keeps the rate. 'invscaling' and 'adaptive' are
        for 'sgd', as in scikit-learn, and 'adam' treats them as 'constant'. After each epoch, 'invscaling' sets the
        rate to learning_rate_init / (t_ + 1) ** power_t. Where training would stop, 'adaptive' divides the rate by 5
        instead, and stops only if the rate is already at most 1e-6.
        The other schedules multiply `learning_rate_init` by a factor that changes from step to step. With 'cosine' the
        factor falls from 1 to 0. With 'flat_cosine' it is 1 for half of the steps, then falls to 0. With 'one_cycle' it
        rises from 1/25 to 1 for 30 % of the steps, then falls to 1/250000. With 'coslog' it has four cycles from 0 to 1
        and back, each twice as long as the one before. A callable takes the progress, from 0 to 1, and returns the
        factor. The progress is the number of steps so far, divided by the number of steps of `max_iter` epochs. If
        `early_stopping` or `tol` ends training earlier, the rest of the schedule is not used. In `partial_fit` each
        call is an epoch, and after `max_iter` epochs the progress stays 1. Then the factor of 'cosine', 'flat_cosine'
        and 'coslog' is 0, and the fit warns.
    learning_rate_init : float, default=0.001
        Learning rate eta of 'gd', 'sgd' and 'adam'.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs ('sgd', 'adam'), iterations ('lbfgs') or updates ('gd').
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' draw a new order of the examples before each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the validation split, the order of the examples and the units that are dropped.
    tol : float, default=1e-4
        'sgd' and 'adam': the least improvement of the loss (for 'squared_error' per output) or validation score that
        counts. 'lbfgs': SciPy's `gtol`.
    verbose : bool, default=False
        Whether to print the loss after each epoch, iteration or update.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous fit. With `early_stopping`, `fit` goes on from the last
        weights of the previous fit, not from the best ones. It measures both on the new validation set, and keeps the
        best of all weights.
    momentum : float, default=0.9
        Momentum mu of 'sgd', between 0 and 1. As in scikit-learn, each step sets the velocity v to mu v - eta g, with
        the present learning rate eta and the gradient g. So v keeps each gradient at the rate of its own step, even
        after a schedule has changed the rate.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' has Nesterov's momentum.
    early_stopping : bool, default=False
        'sgd' and 'adam': whether to set `validation_fraction` of the examples aside, to stop when the R^2 on them (or
        another `monitor`) no longer improves, and to keep the best weights.
    validation_fraction : float, default=0.1
        Share of the examples that `early_stopping` sets aside.
    beta_1 : float, default=0.9
        Decay rate of Adam's mean of the gradient, in [0, 1).
    beta_2 : float, default=0.999
        Decay rate of Adam's mean of the squared gradient, in [0, 1).
    epsilon : float, default=1e-8
        Added to Adam's denominator.
    n_iter_no_change : int or inf, default=10
        After more than this number of epochs in a row without improvement, 'sgd' and 'adam' stop, or
        learning_rate='adaptive' divides the rate.
    max_fun : int, default=15000
        'lbfgs' stops after the iteration in which its number of evaluations of J exceeds `max_fun`.
    out_activation : str, default='auto'
        Activation of the output layer. 'auto' is exp for 'poisson' and 'gamma', otherwise identity. 'poisson' and
        'gamma' take only exp. The other losses take any hidden activation. A loss of your own takes any hidden
        activation or exp.
    fit_intercept : bool, default=True
        Whether the layers have biases.
    gtol : float, default=1e-5
        'gd' stops without another update when the Euclidean norm of the gradient over all parameters is at most `gtol`.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        The dtype of weights and arithmetic. 'auto' is float32 if X is float32, otherwise float64.
    n_jobs : int or None, default=None
        Upper bound on threads. -1 means as many as Numba may use (by default one for each core), -2 all but one. None
        means the same as -1, but one thread in a joblib worker or a Dask task, because other workers use the other
        cores. Whatever the bound, small work runs on one thread. So does any work while another fit or prediction has
        the other threads. The number of threads changes no bit of the result.
    monitor : str or callable, default='score'
        The measure of progress of `early_stopping`. 'score' is the R^2. 'loss' is the mean cost in
        `validation_loss_curve_`, and less is better. A scorer of scikit-learn is given by its name or as a callable
        scorer(estimator, X, y). Then `validation_scores_` has the scores of the scorer. If the examples have weights,
        the scorer gets the weights as sample_weight.
    weight_decay : float, default=0.0
        Decoupled weight decay of 'sgd' and 'adam' (AdamW): before each step, the weights are multiplied by
        1 - eta * weight_decay, with the present learning rate eta. Biases do not decay.
    warmup : float, default=0.0
        Share of the steps of `max_iter` epochs. In these first steps, the learning rate of 'sgd' and 'adam' rises
        linearly, from almost 0 to the rate of the schedule.
    dropout : float or array-like of float, default=0.0
        Probability p, in [0, 1), that a hidden unit is dropped in a step of 'sgd' or 'adam': one number for all hidden
        layers, or one per hidden layer. A dropped unit is 0, and the other units are divided by 1 - p. Each row drops
        its own units, so a weight of 2 is not the same as the row twice. Which units are dropped depends on
        `random_state`, but not on `n_jobs`. Predictions and validation drop nothing.
    input_dropout : float, default=0.0
        Probability, in [0, 1), that a feature of an example is dropped in a step, as described under `dropout`.
    max_grad_norm : float or None, default=None
        Largest Euclidean norm, over all parameters, of the gradient of a step of 'sgd' or 'adam'. The gradient includes
        the L2 term. A gradient with a larger norm is scaled down to this norm. None means that there is no bound.
    init : {'auto', 'he', 'lecun'}, default='auto'
        Distribution of the initial weights. 'auto' is scikit-learn's: weights and biases are uniform within Glorot's
        bounds. With 'he' and 'lecun', weights are normal with mean 0, and biases are 0. The weights of Theta^(l) have
        the variance 2 / S_l with 'he', for deep networks of relu, and 1 / S_l with 'lecun', for selu.
    quantile : float or array-like of float, default=0.5
        For loss='quantile', the quantile of y to predict, in (0, 1). Several quantiles, in increasing order, give one
        output each. Then y must have one column, and the score is the mean D^2 of the quantiles.
    huber_delta : float, default=1.0
        For loss='huber', the size of a residual, in the unit of y, up to which the cost is quadratic. Beyond it the
        cost is linear.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (S_l, S_{l+1})
        Weights between layers. You may edit them: predict and partial_fit read them.
    intercepts_ : list of ndarray of shape (S_{l+1},)
        Biases. They are zeros without `fit_intercept`.
    loss_ : float
        J of the last epoch, iteration or update, with the L2 term. For 'sgd' and 'adam' it is the mean over the
        minibatches of the epoch, weighted by their numbers of examples.
    loss_curve_ : list of float
        J of each epoch or iteration. For 'gd', J at each evaluation of the gradient.
    best_loss_ : float or None
        The least loss of `loss_curve_`. None with early stopping.
    validation_scores_ : list of float or None
        R^2 on the validation examples after each epoch. If `monitor` is a scorer, these are its scores. None without
        validation examples.
    best_validation_score_ : float or None
        The best of the validation scores. With early stopping it is the score of the best weights on the validation set
        of the last call, even if these weights are from an earlier call.
    validation_loss_curve_ : list of float or None
        Mean cost of the validation examples after each epoch, without the L2 term.
    converged_ : bool
        Whether training ended by its own criterion, and not by `max_iter`, an interrupt, a callback or divergence.
    n_iter_ : int
        Number of epochs ('sgd', 'adam'), iterations ('lbfgs') or updates ('gd') of the last `fit` or `partial_fit`.
    t_ : int
        Number of training examples that 'gd', 'sgd' and 'adam' have seen.
    n_layers_ : int
        Number of layers L, input and output included.
    n_outputs_ : int
        Number of outputs S_L.
    out_activation_ : str
        Activation of the output layer.
    n_features_in_ : int
        Number of features S_1.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names.

    See Also
    --------
    BackpropClassifier : The estimator for classes.
    fastbp.textbook : The same mathematics as plain functions.

    Notes
    -----
    If there are several outputs, scikit-learn reports the mean of their squared errors, but follows the gradient of the
    sum. J is the sum. So `loss_` is larger than in MLPRegressor, by a factor that is the number of outputs. `tol` is
    multiplied by the same factor. So the weights and the stopping are those of MLPRegressor. With 'lbfgs' the models
    differ, because scikit-learn gives SciPy the mean together with the gradient of the sum. If the L2 term is large,
    training may stop some epochs before or after MLPRegressor's, because the L2 term is not multiplied.

    Scale targets like features. scikit-learn's `TransformedTargetRegressor(BackpropRegressor(),
    transformer=StandardScaler())` does it, and predicts in the unit of y.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from fastbp import BackpropRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BackpropRegressor(solver="lbfgs", hidden_layer_sizes=(5,), alpha=10, max_iter=500, random_state=0)
    >>> reg.fit(scale(X), scale(y)).score(scale(X), scale(y)) > 0.5
    True
    """

    _parameter_constraints = CONSTRAINTS
    # The defaults are also here, because models that an earlier version stored do not have these parameters.
    quantile: float | ArrayLike = 0.5
    huber_delta: float = 1.0

    def __init__(
        self,
        loss: str | tuple[Callable[..., Any], Callable[..., Any]] = "squared_error",
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: str | ArrayLike = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
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
        out_activation: str = "auto",
        fit_intercept: bool = True,
        gtol: float = 1e-5,
        dtype: str = "auto",
        n_jobs: int | None = None,
        monitor: str | Callable[..., float] = "score",
        weight_decay: float = 0.0,
        warmup: float = 0.0,
        dropout: float | ArrayLike = 0.0,
        input_dropout: float = 0.0,
        max_grad_norm: float | None = None,
        init: str = "auto",
        quantile: float | ArrayLike = 0.5,
        huber_delta: float = 1.0,
    ):
        super().__init__(locals())

    @fits
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples. A sparse matrix is never made dense as a whole, and a memory map is never read as a whole.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        X_val, y_val : array-like of shape (n_val, n_features), (n_val,) or (n_val, n_outputs), default=None
            A validation set for 'sgd' and 'adam'. Its score and loss are recorded after every epoch. With
            `early_stopping` it replaces the examples that `validation_fraction` would set aside.
            TransformedTargetRegressor transforms y but not y_val, so pass it a y_val on the transformed scale.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : BackpropRegressor

        Raises
        ------
        ValueError
            A parameter or the data is not valid, or training diverged.
        """
        return self._fit(X, y, sample_weight, GivenValidation(X_val, y_val, sample_weight_val), incremental=False)

    @if_stochastic
    @fits
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on X and y, from the present weights and the present state of the optimiser.

        Parameters that `set_params` has changed since the last call take effect. A new `learning_rate_init` is the rate
        of the next call.

        `early_stopping` with a validation set keeps the best weights aside. After more than `n_iter_no_change` calls in
        a row in which the R^2 (or another `monitor`) did not improve, training stops: the last of these calls restores
        the best weights and sets `converged_`. With learning_rate='adaptive', 'sgd' divides the rate instead, and stops
        only once the rate is too small. The call after a stop goes on from the weights that training had reached, and
        begins to count at 0 again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        X_val, y_val, sample_weight_val
            As in `fit`. Pass the same validation set in every call.

        Returns
        -------
        self : BackpropRegressor

        Raises
        ------
        AttributeError
            The solver is not stochastic.
        ValueError
            As `fit`; or `early_stopping` has no validation set.
        """
        return self._fit(X, y, sample_weight, GivenValidation(X_val, y_val, sample_weight_val), incremental=True)

    @classmethod
    def from_sklearn(cls, mlp: MLPRegressor) -> Self:
        """Make the same model from scikit-learn's estimator, fitted or not.

        The copy has the same bits in its parameters, weights, optimiser state and other fitted attributes. Predictions
        agree up to rounding, and partial_fit goes on like scikit-learn's.

        Parameters
        ----------
        mlp : MLPRegressor
            The estimator to convert. If it is of a subclass, the parameters and methods of the subclass are lost.

        Returns
        -------
        estimator : BackpropRegressor
            A copy that shares nothing with `mlp`. scikit-learn does not record everything. So
            `validation_loss_curve_` is NaN for each epoch of early stopping, `loss_curve_` of 'lbfgs' has only the last
            loss, and `converged_` follows from the epochs without improvement or, for 'lbfgs', from `max_iter`.
            With 'squared_error' and several outputs, the losses and their L2 term are multiplied by the number of
            outputs; see the Notes of the class.

        Raises
        ------
        TypeError
            `mlp` is not an MLPRegressor.

        Examples
        --------
        >>> from sklearn.neural_network import MLPRegressor
        >>> from fastbp import BackpropRegressor
        >>> BackpropRegressor.from_sklearn(MLPRegressor(alpha=0.5))
        BackpropRegressor(alpha=0.5)
        """
        from . import convert

        return convert.from_sklearn(mlp, cls)

    def to_sklearn(self) -> MLPRegressor:
        """Make the same model as scikit-learn's MLPRegressor, fitted or not, for tools that need one.

        Returns
        -------
        mlp : MLPRegressor
            A copy that shares nothing with this estimator. Weights keep their dtype. `dtype`, `gtol`, `n_jobs`,
            `converged_`, `validation_loss_curve_`, callbacks and metadata requests are lost.
            With 'squared_error' and several outputs, the losses and their L2 term are divided by the number of outputs;
            see the Notes of the class.

        Raises
        ------
        ValueError
            scikit-learn cannot express the model. It lacks the activation, the loss, the output activation or the
            schedule of the learning rate. Or the model has several different activations, solver 'gd', no biases or
            another `monitor` than 'score'. Or one of these is not at its default: `weight_decay`, `warmup`, `dropout`,
            `input_dropout`, `max_grad_norm`, `init`.
        """
        from . import convert

        return convert.to_sklearn(self)

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        return checked_numbers(self, X, y, reset=reset)

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        quantiles = self._quantiles()
        if len(quantiles) > 1 and y.ndim > 1:
            raise ValueError(f"y must have one column for several quantiles, {self.quantile!r}, got {y.shape[1]}.")
        if len(quantiles) > 1 and isinstance(self.monitor, str) and self.monitor not in ("score", "loss"):
            raise ValueError(
                f"monitor must be 'score', 'loss' or a callable for several quantiles, got {self.monitor!r}."
            )
        target = Values(len(quantiles), quantiles) if len(quantiles) > 1 else Values.of(y)
        if continues and quantiles and target.n_outputs != self.n_outputs_:
            raise ValueError(
                f"quantile must stay as long as in the previous fit, which has {self.n_outputs_} outputs, got "
                f"{self.quantile!r} for a y of shape {y.shape}."
            )
        return target

    def _fitted_target(self) -> Values:
        return Values(self.n_outputs_, self._quantiles() if self.n_outputs_ == len(self._quantiles()) > 1 else ())

    def _output_for(self, target: Target) -> str:
        return "exp" if self.loss in ("poisson", "gamma") else "identity"

    def _quantiles(self) -> tuple[float, ...]:
        """The quantiles to predict, if the loss is 'quantile'; otherwise empty."""
        if self.loss != "quantile":
            return ()
        given: list[Any] = np.asarray(self.quantile, dtype=object).ravel().tolist()
        if not (given and all(map(QUANTILE.is_satisfied_by, given)) and all(a < b for a, b in pairwise(given))):
            raise ValueError(
                f"quantile must be a number between 0 and 1, or several in increasing order, got {self.quantile!r}."
            )
        return tuple(map(float, given))

    def _loss_options(self, target: Target) -> tuple[float, ...]:
        quantiles = self._quantiles()
        if len(quantiles) == 1:
            quantiles *= target.n_outputs
        return (float(self.huber_delta),) if self.loss == "huber" else quantiles

    def _values(self, outputs: Array) -> Array:
        """The outputs in the dtype of a prediction."""
        in_float64 = getattr(self, "_predicts_float64", False)  # old pickles do not have it
        return outputs.astype(np.float64, copy=False) if in_float64 else outputs

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Outputs a^(L) of the network. They are float64 if neither X nor y of the fit was float32, even if the
            network is float32. Otherwise they have the dtype of the network.

        Raises
        ------
        NotFittedError
            There was no fit.
        ValueError
            X is not valid, or edited coefs_, intercepts_ or activation do not make a network.

        Warns
        -----
        UserWarning
            With several quantiles: the predictions of some examples cross, that is, a larger quantile has a smaller
            prediction.
        """
        now = self._as_now()
        values = now._values(now._outputs(X))
        target = now._fitted_target()
        if target.quantiles:
            warn_of_crossing(values, stacklevel=3)
        return target.predict(values)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss in ("poisson", "gamma")
        return tags


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
BackpropRegressor.__module__ = "fastbp"
