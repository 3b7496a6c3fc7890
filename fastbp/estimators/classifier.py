"""BackpropClassifier: the multilayer perceptron that predicts classes."""

from __future__ import annotations  # help() then shows ArrayLike, not what it stands for

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call

from ..data.targets import MULTILABEL, Labels, Target, dense_labels
from ..kernels.activations import HIDDEN
from ..typing import Array
from .base import Perceptron
from .class_weights import class_weights
from .parameters import Decorator, fits, if_stochastic
from .validation_set import GivenValidation

if TYPE_CHECKING:  # what a fit does not need, the converters import
    from sklearn.neural_network import MLPClassifier

PROBABILITIES = ("softmax", "logistic")  # outputs that are probabilities
LOSSES = ("log_loss", "binary_cross_entropy", "squared_error", "mean_squared_error", "euclidean")
CONSTRAINTS = {
    **Perceptron._parameter_constraints,
    "loss": [StrOptions(set(LOSSES))],
    "out_activation": [StrOptions({"auto", *HIDDEN, "softmax"})],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}


def _can_predict_proba(estimator: BackpropClassifier) -> bool:
    output = getattr(estimator, "out_activation_", estimator.out_activation)
    if output not in (*PROBABILITIES, "auto"):
        raise AttributeError(
            f"predict_proba is not available with out_activation={output!r}: its outputs are not probabilities. "
            f"Use one of {', '.join(PROBABILITIES)}."
        )
    return True


if_probabilities: Decorator = available_if(_can_predict_proba)


class BackpropClassifier(ClassifierMixin, Perceptron):
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
    beta_1 : float, default=0.9
        Decay rate of Adam's mean of the gradient, in [0, 1).
    beta_2 : float, default=0.999
        Decay rate of Adam's mean of the squared gradient, in [0, 1).
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
        it, but one in a worker of joblib and in a task of Dask, whose siblings use the other cores. A fit or predict
        that finds them in use, or in a process made by fork(), runs serially. The result has the same bits in every
        case.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Factor of each class on the weights of its examples, those of a validation set included. 'balanced' is
        n_samples / (n_classes * count of the class), counted in y. For a multilabel target a list, one dict per output.

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
        Validation accuracy per epoch, with early stopping or a validation set.
    best_validation_score_ : float or None
        Their best.
    validation_loss_curve_ : list of float or None
        Mean cost of the validation examples per epoch, without the L2 term.
    converged_ : bool
        Whether training ended by its own criterion, not at `max_iter`, by an interrupt, a callback or divergence.
    n_iter_ : int
        Epochs, iterations, or updates ('gd') that were run.
    t_ : int
        Training examples seen by 'gd', 'sgd' and 'adam'.
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
        class_weight: dict[Any, float] | list[dict[Any, float]] | str | None = None,
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
            Examples. Sparse matrices are never made dense as a whole, nor memory maps read as a whole.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or the indicator matrix of a multilabel target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each example's cost, not negative and not all zero.
        X_val, y_val : array-like of shape (n_val, n_features), (n_val,) or (n_val, n_outputs), default=None
            A validation set, for 'sgd' and 'adam': its accuracy and loss are recorded after every epoch, and with
            `early_stopping` it takes the place of `validation_fraction`.
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
        """Train for one epoch on X and y, going on from the present weights and optimiser.

        Parameters that `set_params` has changed since the last call take effect; the schedule of a learning rate begins
        anew with it.

        With `early_stopping` and a validation set, the best weights are kept aside; the call in which the accuracy has
        not improved for more than `n_iter_no_change` calls puts them back and sets `converged_`.

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
        X_val, y_val, sample_weight_val
            As in `fit`; the same in every call.

        Returns
        -------
        self : BackpropClassifier

        Raises
        ------
        AttributeError
            The solver is not stochastic.
        ValueError
            As `fit`; or `early_stopping` is set without a validation set; or class_weight is 'balanced'.
        """
        given = GivenValidation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, given, incremental=True, classes=classes)

    @classmethod
    def from_sklearn(cls, mlp: MLPClassifier) -> Self:
        """The same model as scikit-learn's, fitted or not.

        Parameters, weights, the optimiser's state and the rest of what was learned are copied, to the bit: predictions
        agree to rounding, and partial_fit goes on as it would have there.

        Parameters
        ----------
        mlp : MLPClassifier
            Or an instance of a subclass, whose own parameters and methods are left behind.

        Returns
        -------
        estimator : BackpropClassifier
            A copy, which shares nothing with mlp. What scikit-learn does not record is as good as can be told:
            `validation_loss_curve_` is NaN per epoch of early stopping, `loss_curve_` of 'lbfgs' has its end only, and
            `converged_` follows from the patience that was left or, for 'lbfgs', from `max_iter`.

        Raises
        ------
        TypeError
            mlp is none.

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
        """The same model as scikit-learn's MLPClassifier, fitted or not, for tools that read one.

        Returns
        -------
        mlp : MLPClassifier
            A copy, which shares nothing with this estimator. Weights keep their dtype; `dtype` and `n_jobs` are left
            behind, as are callbacks and metadata requests.

        Raises
        ------
        ValueError
            scikit-learn cannot express the model: an activation that it lacks or several different ones, a loss or
            output activation other than its own, solver 'gd', no biases, or class weights.
        """
        from . import convert

        return convert.to_sklearn(self)

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray]:
        X, y = self._validate_data(X, y, multi_output=True, reset=reset)
        return X, dense_labels(y)

    def _target_of(self, y: NDArray, classes: Any, *, continues: bool, incremental: bool) -> Target:
        if incremental:
            _check_partial_fit_first_call(self, classes)  # sets classes_
        known = self.classes_ if incremental or continues else None
        target = Labels.of(y, self.loss, known, subset=incremental)
        self.classes_ = target.classes
        weights = class_weights(self.class_weight, target, y, incremental=incremental)
        return dataclasses.replace(target, class_weights=weights)

    def _fitted_target(self) -> Labels:
        return Labels(self._target_kind, self.classes_, self.n_outputs_)

    def _output_for(self, target: Target) -> str:
        return "softmax" if self.loss == "log_loss" and target.kind == "multiclass" else "logistic"

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
        return self._decisions(X, lambda output: self._fitted_target().predict(output))

    @if_probabilities
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
        if self._target_kind == MULTILABEL or self.out_activation_ == "softmax":
            return output
        if len(self.classes_) == 1:
            return np.ones_like(output)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        sums = output.sum(axis=1, keepdims=True)
        return np.divide(output, sums, out=np.full_like(output, 1 / output.shape[1]), where=sums > 0)

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
        return tags
