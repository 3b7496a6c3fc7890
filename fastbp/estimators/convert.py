"""Conversion of scikit-learn's MLPClassifier and MLPRegressor to the estimators of this package, and back."""

import copy
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from ..data.targets import Values
from ..training.optimizer_state import OptimizerState
from ..typing import Array
from .base import Perceptron
from .parameters import STOCHASTIC

# ACTIVATIONS are scikit-learn's hidden activations. The other two constants have, for each of scikit-learn's losses,
# the values of out_activation that give scikit-learn's output layer.
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
CLASSIFIER_OUTPUTS = {"log_loss": ("auto", "logistic", "softmax")}
REGRESSOR_OUTPUTS = {"squared_error": ("auto", "identity"), "poisson": ("auto", "exp")}

# The fitted attributes in SHARED have the same meaning in scikit-learn. Those in LOSSES may differ by the factor that
# `_loss_unit` returns.
SHARED = (
    "classes_",
    "coefs_",
    "intercepts_",
    "n_features_in_",
    "feature_names_in_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
    "t_",
    "validation_scores_",
    "best_validation_score_",
)
LOSSES = ("loss_", "loss_curve_", "best_loss_")


def _theirs(ours: type[Perceptron]) -> type[Any]:
    """scikit-learn's counterpart of one of our classes."""
    return MLPClassifier if issubclass(ours, ClassifierMixin) else MLPRegressor


def from_sklearn(mlp: Any, ours: type[Perceptron]) -> Any:
    """The estimator of class `ours` that equals `mlp`; raises TypeError if `mlp` is not an MLP of the same kind."""
    theirs = _theirs(ours)
    if not isinstance(mlp, theirs):
        raise TypeError(f"mlp must be an instance of {theirs.__name__}, got {mlp!r:.100} of {type(mlp)}.")
    # The names come from `theirs`, because `mlp` may be of a subclass with other parameters.
    estimator: Any = ours(**{name: copy.deepcopy(getattr(mlp, name)) for name in theirs().get_params()})
    if not hasattr(mlp, "coefs_"):
        return estimator

    # scikit-learn leaves some attributes unset, so they are set here. 'lbfgs' sets only loss_ of these. A fit that is
    # interrupted in its first epoch does not even set loss_.
    loss = getattr(mlp, "loss_", np.nan)
    unset = {"loss_": loss, "loss_curve_": [loss], "best_loss_": loss}
    unset |= {"validation_scores_": None, "best_validation_score_": None}
    _copy_attributes(unset | vars(mlp), estimator, times=_loss_unit(mlp))
    scores = estimator.validation_scores_
    estimator.validation_loss_curve_ = None if scores is None else [np.nan] * len(scores)

    estimator._target_kind = mlp._label_binarizer.y_type_ if is_classifier(mlp) else Values.kind
    estimator._predicts_float64 = estimator.coefs_[0].dtype == np.float64
    estimator._n_without_improvement = getattr(mlp, "_no_improvement_count", 0)
    out_of_patience = estimator._n_without_improvement > mlp.n_iter_no_change
    estimator.converged_ = out_of_patience if mlp.solver in STOCHASTIC else mlp.n_iter_ < mlp.max_iter
    estimator._best_theta = _flat(mlp._best_coefs + mlp._best_intercepts) if mlp.early_stopping else None
    estimator._best_epoch = int(np.nanargmax(scores)) + 1 if mlp.early_stopping and np.isfinite(scores).any() else None
    estimator._last_theta = None  # scikit-learn's MLP always goes on from its best weights
    estimator._optimizer_state = _state_of(getattr(mlp, "_optimizer", None))
    return estimator


def to_sklearn(estimator: Any) -> Any:
    """scikit-learn's estimator that equals this one; raises ValueError if scikit-learn cannot express it."""
    theirs = _theirs(type(estimator))
    activation = _expressible_activation(estimator, theirs)
    _check_parameters(estimator, theirs)
    params = {name: copy.deepcopy(getattr(estimator, name)) for name in theirs().get_params()}
    mlp = theirs(**{**params, "activation": activation})
    if not hasattr(estimator, "coefs_"):
        return mlp

    _check_outputs(estimator, theirs)
    _copy_attributes(vars(estimator), mlp, over=_loss_unit(estimator))
    mlp._random_state = check_random_state(mlp.random_state)
    mlp._no_improvement_count = estimator._n_without_improvement
    parts, n = mlp.coefs_ + mlp.intercepts_, len(mlp.coefs_)
    best = _parts(estimator._best_theta, parts) or copy.deepcopy(parts)
    mlp._best_coefs, mlp._best_intercepts = best[:n], best[n:]
    _set_optimizer(mlp, estimator._optimizer_state, parts)
    if is_classifier(mlp):
        # The attributes are set without `fit`, because fit(classes_) would warn that every example has its own class.
        mlp._label_binarizer = LabelBinarizer()
        mlp._label_binarizer.y_type_ = estimator._target_kind
        mlp._label_binarizer.classes_ = mlp.classes_
        mlp._label_binarizer.sparse_input_ = False
    return mlp


# ---------------------------------------------------------------- attributes


def _loss_unit(estimator: Any) -> int:
    """Our loss divided by scikit-learn's, which averages squared errors over the outputs. Ours adds them up."""
    return int(estimator.n_outputs_) if estimator.loss == "squared_error" else 1


def _copy_attributes(source: dict[str, Any], target: Any, *, times: int = 1, over: int = 1) -> None:
    """Copy the SHARED attributes and the LOSSES. Multiply the LOSSES by `times` and divide them by `over`."""
    for name in SHARED:
        if name in source:
            setattr(target, name, copy.deepcopy(source[name]))
    for name in LOSSES:
        loss = source[name]
        if isinstance(loss, list):
            loss = [value * times / over for value in loss]
        elif loss is not None:
            loss = loss * times / over
        setattr(target, name, loss)


# ---------------------------------------------------------------- optimisers


def _flat(parts: list[Array]) -> Array:
    """Coefs, then intercepts, as one vector in the order of `Layout.flatten`."""
    return np.concatenate([part.ravel() for part in parts])


def _parts(vector: Array | None, like: list[Array]) -> list[Array]:
    """Inverse of `_flat`: copies in the shapes of `like`. An empty list if the vector is None or has another size."""
    if vector is None or len(vector) != sum(part.size for part in like):
        return []
    cuts = np.cumsum([part.size for part in like])[:-1]
    return [part.reshape(shaped.shape).copy() for part, shaped in zip(np.split(vector, cuts), like, strict=True)]


def _state_of(optimizer: Any) -> OptimizerState | None:
    """The state of scikit-learn's optimiser, so that our partial_fit can go on from it."""
    if isinstance(optimizer, AdamOptimizer):
        first, second = _flat(optimizer.ms), _flat(optimizer.vs)
        return OptimizerState(
            "adam", first, second, optimizer.t, optimizer.learning_rate_init, optimizer.learning_rate_init
        )
    if isinstance(optimizer, SGDOptimizer):
        first = _flat(optimizer.velocities)
        return OptimizerState("sgd", first, first[:0], 0, optimizer.learning_rate, optimizer.learning_rate_init)
    return None


def _set_optimizer(mlp: Any, state: OptimizerState | None, parts: list[Array]) -> None:
    """Give `mlp` an optimiser with this state, if our own partial_fit would use the state."""
    if state is None or state.solver != mlp.solver:
        return
    state = state.unpadded()
    if not (first := _parts(state.moment_1, parts)):
        return
    rate = state.rate_after(mlp.learning_rate_init)
    if state.solver == "adam":
        optimizer = AdamOptimizer(parts, rate, mlp.beta_1, mlp.beta_2, mlp.epsilon)
        optimizer.ms, optimizer.vs, optimizer.t = first, _parts(state.moment_2, parts), state.t
    else:
        optimizer = SGDOptimizer(
            parts, mlp.learning_rate_init, mlp.learning_rate, mlp.momentum, mlp.nesterovs_momentum, mlp.power_t
        )
        optimizer.velocities, optimizer.learning_rate = first, rate
    mlp._optimizer = optimizer


# ---------------------------------------------------------------- checks: can scikit-learn express the model?


def _expressible_activation(estimator: Any, theirs: type[Any]) -> str:
    """The one activation of all hidden layers; raises ValueError if scikit-learn lacks it or there are several."""
    names = {str(name) for name in np.ravel(estimator.activation)} or {"relu"}  # without hidden layers, any will do
    if len(names) > 1 or not names <= set(ACTIVATIONS):
        raise ValueError(
            f"activation={estimator.activation!r} is not in {theirs.__name__}, which has one of "
            f"{', '.join(ACTIVATIONS)} for all hidden layers."
        )
    return names.pop()


def _check_parameters(estimator: Any, theirs: type[Any]) -> None:
    """Check that scikit-learn has the values of all parameters; raises ValueError."""
    outputs = CLASSIFIER_OUTPUTS if theirs is MLPClassifier else REGRESSOR_OUTPUTS
    legal: dict[str, tuple[Any, ...]] = {
        "solver": ("lbfgs", *STOCHASTIC),
        "loss": tuple(outputs),
        "out_activation": outputs.get(estimator.loss, ()),
        "fit_intercept": (True,),
        "class_weight": (None,),
        "monitor": ("score",),
        "learning_rate": ("constant", "invscaling", "adaptive"),
        "weight_decay": (0.0,),
        "warmup": (0.0,),
        "dropout": (0.0,),
        "input_dropout": (0.0,),
        "max_grad_norm": (None,),
        "init": ("auto",),
        "label_smoothing": (0.0,),
    }
    for name, values in legal.items():
        value = getattr(estimator, name, values[0])
        if name == "dropout" and not np.any(value):  # one zero for each layer is no dropout
            continue
        if np.ndim(value) or value not in values:
            raise ValueError(
                f"{name}={value!r} is not in {theirs.__name__}, which can express {name}="
                f"{' or '.join(map(repr, values))} only."
            )


def _check_outputs(estimator: Any, theirs: type[Any]) -> None:
    """Raise ValueError if scikit-learn lacks the fitted output layer.

    The check of the parameters does not show this, because the parameters may have changed since the fit.
    """
    kind = estimator._target_kind
    if kind == Values.kind:
        expected = REGRESSOR_OUTPUTS[estimator.loss][-1]
    else:
        expected = "softmax" if kind == "multiclass" else "logistic"
    n_outputs = 1 if kind == "binary" else estimator.n_outputs_
    if (estimator.out_activation_, estimator.n_outputs_) != (expected, n_outputs):
        raise ValueError(
            f"The fit gave out_activation_={estimator.out_activation_!r} and n_outputs_={estimator.n_outputs_}, but "
            f"{theirs.__name__} has {expected!r} and {n_outputs} for a {kind} target and loss={estimator.loss!r}. "
            "Fit anew with the present parameters."
        )
