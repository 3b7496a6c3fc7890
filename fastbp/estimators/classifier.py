"""BackpropClassifier: the multilayer perceptron that predicts classes."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import dataclasses
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call

from ..data.targets import MULTILABEL, Labels, Target, are_integers, exact_labels
from ..kernels.activations import HIDDEN
from ..typing import Array
from .base import Perceptron
from .checking import checked_labels
from .class_weights import class_weights
from .parameters import Decorator, Range, fits, if_stochastic
from .predicting import check_classes
from .validation_set import GivenValidation

if TYPE_CHECKING:  # at run time only a conversion needs MLPClassifier, and `convert` imports it
    from sklearn.neural_network import MLPClassifier

PROBABILITIES = ("softmax", "logistic")  # output activations whose outputs are probabilities
LOSSES = ("log_loss", "binary_cross_entropy", "squared_error", "mean_squared_error", "euclidean")
CONSTRAINTS = {
    **Perceptron._parameter_constraints,
    "loss": [StrOptions(set(LOSSES)), tuple],
    "out_activation": [StrOptions({"auto", *HIDDEN, "softmax"})],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
    "label_smoothing": [Range(Real, 0, 1, closed="left")],
}


def gives_probabilities(estimator: BackpropClassifier) -> bool:
    """Whether the outputs are probabilities, or will be after a fit."""
    return getattr(estimator, "out_activation_", estimator.out_activation) in (*PROBABILITIES, "auto")


def can_predict_proba(estimator: BackpropClassifier) -> bool:
    """True if predict_proba is available; otherwise raises the AttributeError that `available_if` expects."""
    if not gives_probabilities(estimator):
        output = getattr(estimator, "out_activation_", estimator.out_activation)
        raise AttributeError(
            f"predict_proba is not available with out_activation={output!r}: its outputs are not probabilities. "
            f"Use one of {', '.join(PROBABILITIES)}."
        )
    return True


if_probabilities: Decorator = available_if(can_predict_proba)


class BackpropClassifier(ClassifierMixin, Perceptron):
    """Multilayer perceptron classifier, trained by backpropagation in compiled loops.

    A drop-in replacement for `sklearn.neural_network.MLPClassifier`: it has the same parameters in the same order and
    gives the same model from the same `random_state`. It has more activations, losses and solvers. J below is the
    objective; fastbp/README.md has the formulas, the symbols and their sources.

    Parameters
    ----------
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
        'sgd' and 'adam': the least improvement of the loss or validation score that counts. 'lbfgs': SciPy's `gtol`.
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
        'sgd' and 'adam': whether to set `validation_fraction` of the examples aside, to stop when the accuracy on them
        (or another `monitor`) no longer improves, and to keep the best weights.
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
    loss : str or tuple of two functions, default='log_loss'
        Cost of one example, summed over outputs: 'log_loss' (softmax or logistic cross-entropy, as in MLPClassifier),
        'binary_cross_entropy' (of one logistic output per class), 'squared_error' (half the squared norm of a - y),
        'mean_squared_error' (the squared norm), 'euclidean' (the norm). A tuple of two functions (cost, gradient) is a
        loss of your own, which Numba compiles. cost(z, y) returns C, and gradient(z, y, out) puts dC/dz into out. Here
        z, y and out are vectors: z^(L) of one example, its targets and its gradient. `textbook.check_gradient` checks
        the gradient.
    out_activation : str, default='auto'
        Activation of the output layer. 'auto' is softmax for 'log_loss' with more than two classes, unless the target
        is multilabel; otherwise it is logistic. The squared and Euclidean losses take any hidden activation. A loss of
        your own takes any hidden activation or softmax.
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
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Factor of each class. It multiplies the weights of the class's examples, those in a validation set included.
        'balanced' is n_samples / (n_classes * count of the class), counted in y. For a multilabel target, a list
        has one dict per output.
    monitor : str or callable, default='score'
        The measure of progress of `early_stopping`. 'score' is the accuracy. 'loss' is the mean cost in
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
    label_smoothing : float, default=0.0
        Share epsilon, in [0, 1), of the uniform distribution in the targets of 'log_loss' and 'binary_cross_entropy'.
        Training replaces the targets y by (1 - epsilon) y + epsilon / K. K is the number of classes for a softmax
        output, and 2 for logistic outputs. The validation loss is computed with y itself.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
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
        Accuracy on the validation examples after each epoch. If `monitor` is a scorer, these are its scores. None
        without validation examples.
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
    fastbp.textbook : The same mathematics as plain functions.

    Notes
    -----
    scikit-learn clips probabilities in the loss, and this class does not. So the loss here is larger if outputs are
    saturated. The gradients are the same.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y)
    >>> clf.predict(X[::50])
    array([0, 1, 2])
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
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
        loss: str | tuple[Callable[..., Any], Callable[..., Any]] = "log_loss",
        out_activation: str = "auto",
        fit_intercept: bool = True,
        gtol: float = 1e-5,
        dtype: str = "auto",
        n_jobs: int | None = None,
        class_weight: dict[Any, float] | list[dict[Any, float]] | str | None = None,
        monitor: str | Callable[..., float] = "score",
        weight_decay: float = 0.0,
        warmup: float = 0.0,
        dropout: float | ArrayLike = 0.0,
        input_dropout: float = 0.0,
        max_grad_norm: float | None = None,
        init: str = "auto",
        label_smoothing: float = 0.0,
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
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        X_val, y_val : array-like of shape (n_val, n_features), (n_val,) or (n_val, n_outputs), default=None
            A validation set for 'sgd' and 'adam'. Its score and loss are recorded after every epoch. With
            `early_stopping` it replaces the examples that `validation_fraction` would set aside.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation set.

        Returns
        -------
        self : BackpropClassifier

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
        classes: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on X and y, from the present weights and the present state of the optimiser.

        Parameters that `set_params` has changed since the last call take effect. A new `learning_rate_init` is the rate
        of the next call.

        `early_stopping` with a validation set keeps the best weights aside. After more than `n_iter_no_change` calls in
        a row in which the accuracy (or another `monitor`) did not improve, training stops: the last of these calls
        restores the best weights and sets `converged_`. With learning_rate='adaptive', 'sgd' divides the rate instead,
        and stops only once the rate is too small. The call after a stop goes on from the weights that training had
        reached, and begins to count at 0 again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of the cost of each example, not negative and not all zero.
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls. The first call needs them.
        X_val, y_val, sample_weight_val
            As in `fit`. Pass the same validation set in every call.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        AttributeError
            The solver is not stochastic.
        ValueError
            As `fit`; or `early_stopping` has no validation set; or class_weight is 'balanced'.
        """
        given = GivenValidation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given, incremental=True, classes=classes)

    @classmethod
    def from_sklearn(cls, mlp: MLPClassifier) -> Self:
        """Make the same model from scikit-learn's estimator, fitted or not.

        The copy has the same bits in its parameters, weights, optimiser state and other fitted attributes. Predictions
        agree up to rounding, and partial_fit goes on like scikit-learn's.

        Parameters
        ----------
        mlp : MLPClassifier
            The estimator to convert. If it is of a subclass, the parameters and methods of the subclass are lost.

        Returns
        -------
        estimator : BackpropClassifier
            A copy that shares nothing with `mlp`. scikit-learn does not record everything. So
            `validation_loss_curve_` is NaN for each epoch of early stopping, `loss_curve_` of 'lbfgs' has only the last
            loss, and `converged_` follows from the epochs without improvement or, for 'lbfgs', from `max_iter`.

        Raises
        ------
        TypeError
            `mlp` is not an MLPClassifier.

        Examples
        --------
        >>> from sklearn.neural_network import MLPClassifier
        >>> from fastbp import BackpropClassifier
        >>> BackpropClassifier.from_sklearn(MLPClassifier(alpha=0.5))
        BackpropClassifier(alpha=0.5)
        """
        from . import convert

        return convert.from_sklearn(mlp, cls)

    def to_sklearn(self) -> MLPClassifier:
        """Make the same model as scikit-learn's MLPClassifier, fitted or not, for tools that need one.

        Returns
        -------
        mlp : MLPClassifier
            A copy that shares nothing with this estimator. Weights keep their dtype. `dtype`, `gtol`, `n_jobs`,
            `converged_`, `validation_loss_curve_`, callbacks and metadata requests are lost.

        Raises
        ------
        ValueError
            scikit-learn cannot express the model. It lacks the activation, the loss, the output activation or the
            schedule of the learning rate. Or the model has several different activations, solver 'gd', no biases, class
            weights or another `monitor` than 'score'. Or one of these is not at its default: `weight_decay`, `warmup`,
            `dropout`, `input_dropout`, `max_grad_norm`, `init`, `label_smoothing`.
        """
        from . import convert

        return convert.to_sklearn(self)

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        return checked_labels(self, X, y, reset=reset)

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        if incremental:
            _check_partial_fit_first_call(self, exact_labels(classes, "classes"))  # sets classes_ in the first call
        known = self.classes_ if incremental or continues else None
        if known is not None:
            check_classes(known)
        target = Labels.of(y, self.loss, known, subset=incremental)
        self.classes_ = target.classes
        weights = class_weights(self.class_weight, target, y, incremental=incremental)
        return dataclasses.replace(target, class_weights=weights)

    def _fitted_target(self) -> Labels:
        return Labels(self._target_kind, self.classes_, self.n_outputs_)

    def _output_for(self, target: Target) -> str:
        return "softmax" if self.loss == "log_loss" and target.kind == "multiclass" else "logistic"

    def _probabilities(self, output: Array) -> Array:
        """The probabilities of the classes, from outputs of logistic or softmax."""
        if self._target_kind == MULTILABEL or self.out_activation_ == "softmax":
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        sums = output.sum(axis=1, keepdims=True)
        return np.divide(output, sums, out=np.full_like(output, 1 / output.shape[1]), where=sums > 0)

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the class of the largest output or, for a multilabel target, each label whose output is at least 1/2.

        With two classes and a single output, the second class is predicted if the output is above 1/2.

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
            X is not valid, or edited coefs_, intercepts_ or activation do not make a network.
        """
        now = self._as_now()
        return now._decisions(X, lambda output: now._fitted_target().predict(output))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of `predict`; for a multilabel target, the share of rows with all labels right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example.

        Returns
        -------
        score : float
            Share of right predictions, from 0 to 1.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`; or y or sample_weight is not valid.
        """
        predicted = self.predict(X)
        alike = are_integers(y) and are_integers(predicted) and (y.dtype, y.size) == (predicted.dtype, predicted.size)
        if alike and sample_weight is None:
            return float((predicted == y).mean())  # accuracy_score would first sort the labels
        from sklearn.metrics import accuracy_score  # imported here, because most fits do not need it

        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    @if_probabilities
    def predict_proba(self, X: ArrayLike) -> Array:
        """Predict probabilities of the classes.

        If each class has a logistic output, the outputs are divided by their sum; the result is uniform if the sum is
        0. The outputs for a multilabel target are not divided. The output activation has to be softmax or logistic,
        because other outputs are not probabilities.

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
        now = self._as_now()
        return now._probabilities(now._outputs(X))

    @if_probabilities
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities, in the order of `classes_`; -inf for a probability of 0.

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
        return tags


# pickle and skops store the path of a type. The path `fastbp` stays valid when this module moves.
BackpropClassifier.__module__ = "fastbp"
