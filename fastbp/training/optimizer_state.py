"""The optimiser's state, with which partial_fit goes on, and its hyperparameters, which every fit sets anew."""

import dataclasses
from typing import Any, Self

import numpy as np

from ..network.architecture import Network
from ..typing import Array
from .solver import AnyTrainer


@dataclasses.dataclass
class OptimizerState:
    """The state with which partial_fit goes on: moments, steps taken and rate.

    The moments keep the trainer's layout until another layout is needed, because most fits are never continued.
    """

    solver: str
    moment_1: Array
    moment_2: Array
    t: int
    rate: float
    learning_rate_init: float  # the user's parameter when this state was made
    network: Network | None = None  # the moments have the layout of this network's theta; None: no padding

    @classmethod
    def of(cls, solver: str, learning_rate_init: float, trainer: AnyTrainer, *, copy: bool) -> Self:
        """The state of a trainer. A trainer that goes on would overwrite the moments, unless `copy`."""
        moment_1, moment_2 = (v.copy() if copy else v for v in (trainer.moment_1, trainer.moment_2))
        t, rate = int(trainer.t[0]), float(trainer.rates.eta)
        return cls(solver, moment_1, moment_2, t, rate, learning_rate_init, trainer.network)

    def unpadded(self) -> Self:
        """The same state without padding. Any CPU can use it, whereas the padding depends on the CPU."""
        if self.network is None:
            return self
        moment_1, moment_2 = (self.network.layout.flatten(v) if v.size else v for v in (self.moment_1, self.moment_2))
        return dataclasses.replace(self, moment_1=moment_1, moment_2=moment_2, network=None)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self.unpadded())

    def fits(self, solver: str, trainer: AnyTrainer) -> bool:
        """Whether this is a state of the same solver, for as many parameters as the trainer has."""
        n = len(self.moment_1) if self.network is None else self.network.layout.n_parameters
        return solver == self.solver and n == trainer.network.layout.n_parameters

    def restore(self, trainer: AnyTrainer) -> None:
        """Put the state into a trainer. On entry, the trainer's rate is the user's present learning_rate_init."""
        as_theta = self.network == trainer.network
        state = self if as_theta else self.unpadded()
        for vector, target in ((state.moment_1, trainer.moment_1), (state.moment_2, trainer.moment_2)):
            if vector.size:
                target[:] = vector if as_theta else trainer.network.layout.unflatten(vector)
        trainer.t[0] = self.t
        trainer.rates.eta = self.rate_after(trainer.rates.eta)

    def rate_after(self, learning_rate_init: float) -> float:
        """The rate to go on with: the last rate, or learning_rate_init if the user has changed this parameter since."""
        return self.rate if learning_rate_init == self.learning_rate_init else learning_rate_init


def set_rates(
    trainer: AnyTrainer, *, learning_rate_init: float, momentum: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """Give the kernels the optimiser's hyperparameters."""
    # The kernels would count a smaller epsilon as 0. Then a weight without a gradient would move by 0 / 0.
    epsilon = max(epsilon, np.finfo(trainer.network.dtype).tiny)
    rates = trainer.rates
    rates.eta, rates.mu, rates.beta_1, rates.beta_2, rates.epsilon = (
        learning_rate_init,
        momentum,
        beta_1,
        beta_2,
        epsilon,
    )
