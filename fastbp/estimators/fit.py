"""A fit under way: the network that it trains, the examples, and the attributes that it leaves."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.examples import Examples
from ..data.targets import Labels, Target
from ..network.architecture import Network
from ..training.history import History
from ..training.observer import Observer
from ..training.optimizer_state import OptimizerState
from ..training.regularization import Regularization
from ..typing import Array
from .validation_set import ValidationSet


@dataclasses.dataclass
class Fit:
    """A fit under way: its data, its network and its record.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (network.layout.size,)
        The parameters. Training overwrites them.
    target : Target
        Classes or numbers.
    examples : Examples
        All examples that were passed to `fit`.
    order : ndarray of int64
        The rows to train on, in the order of the first epoch. Shuffling overwrites it.
    validation : ValidationSet or None
        Measures progress after every epoch.
    history : History
    observer : Observer
    random_state : RandomState
        Shuffles `order`.
    incremental : bool
        Whether this is a partial_fit. It trains for one epoch.
    predicts_float64 : bool
        Whether a regressor returns its predictions in float64, whatever the dtype of the network.
    alpha : float
        L2 strength, divided by the same power of 2 as the weights of `examples`.
    regularization : Regularization
        Dropout and label smoothing.
    """

    network: Network
    theta: Array
    target: Target
    examples: Examples
    order: NDArray[np.int64]
    validation: ValidationSet | None
    history: History
    observer: Observer
    random_state: np.random.RandomState
    incremental: bool
    predicts_float64: bool
    alpha: float
    regularization: Regularization

    @property
    def rows(self) -> NDArray[np.int64] | None:
        """The rows to train on; None means all."""
        return self.order if len(self.order) < self.examples.n else None

    def attributes_at(self, theta: Array) -> dict[str, Any]:
        """The attributes of an estimator that predicts with the weights theta."""
        coefs, intercepts = self.network.layout.unpack(theta)
        classes = {"classes_": self.target.classes} if isinstance(self.target, Labels) else {}
        width = {"n_features_in_": self.network.widths[0]}
        return {**self.attributes(None), "coefs_": coefs, "intercepts_": intercepts, **classes, **width}

    def attributes(self, state: OptimizerState | None) -> dict[str, Any]:
        """Copies of the attributes that the fit would leave if it ended now.

        `state` is the optimiser's state for a later partial_fit. It is None if the solver is not stochastic, or if the
        attributes only serve predictions.
        """
        network, history, validated = self.network, self.history, self.validation is not None
        kept = history.kept(self.theta, one_epoch=self.incremental)
        coefs, intercepts = network.layout.unpack(kept)
        last = history.left(self.theta, kept)
        return {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "n_layers_": network.n_layers,
            "n_outputs_": self.target.n_outputs,
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
            "_target_kind": self.target.kind,
            "_predicts_float64": self.predicts_float64,
            # only the stochastic solvers stop by this count
            "_n_without_improvement": 0 if state is None else history.n_without_improvement,
            "_best_theta": None if history.best_theta is None else network.layout.flatten(history.best_theta),
            "_best_epoch": history.best_epoch,
            "_last_theta": None if last is None else network.layout.flatten(last),
            "_optimizer_state": state,
        }
