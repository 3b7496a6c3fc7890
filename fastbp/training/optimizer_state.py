"""The optimiser's hyperparameters and memory. partial_fit goes on with them."""

import dataclasses
from typing import Any, Self

import numpy as np

from ..network.architecture import Network
from ..typing import Array
from .solver import AnyTrainer


@dataclasses.dataclass
class OptimizerState:
    """The state that partial_fit goes on with. Most fits do not go on, so the vectors keep the trainer's layout."""

    solver: str
    moment_1: Array
    moment_2: Array
    t: int
    rate: float
    learning_rate_init: float  # the first value of `rate`
    network: Network | None = None  # the vectors have the layout of its theta; None: they are unpadded

    @classmethod
    def of(cls, solver: str, learning_rate_init: float, trainer: AnyTrainer, *, copy: bool) -> Self:
        """The state of a trainer; copy: needed if the trainer goes on and overwrites its vectors."""
        moment_1, moment_2 = (v.copy() if copy else v for v in (trainer.moment_1, trainer.moment_2))
        t, rate = int(trainer.t[0]), float(trainer.rates.eta)
        return cls(solver, moment_1, moment_2, t, rate, learning_rate_init, trainer.network)

    def unpadded(self) -> Self:
        """The same state for any CPU, without padding, because each CPU pads differently."""
        if self.network is None:
            return self
        moment_1, moment_2 = (self.network.layout.flatten(v) if v.size else v for v in (self.moment_1, self.moment_2))
        return dataclasses.replace(self, moment_1=moment_1, moment_2=moment_2, network=None)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self.unpadded())

    def fits(self, solver: str, trainer: AnyTrainer) -> bool:
        """Whether this is the state of the same solver, with as many parameters as the trainer has."""
        n = len(self.moment_1) if self.network is None else self.network.layout.n_parameters
        return solver == self.solver and n == trainer.network.layout.n_parameters

    def restore(self, trainer: AnyTrainer) -> None:
        """Put the state into a trainer. On entry the trainer's rate is the user's present learning_rate_init."""
        as_theta = self.network == trainer.network
        state = self if as_theta else self.unpadded()
        for vector, target in ((state.moment_1, trainer.moment_1), (state.moment_2, trainer.moment_2)):
            if vector.size:
                target[:] = vector if as_theta else trainer.network.layout.unflatten(vector)
        trainer.t[0] = self.t
        trainer.rates.eta = self.rate_after(trainer.rates.eta)

    def rate_after(self, learning_rate_init: float) -> float:
        """The rate to go on with: the schedule's last rate, or learning_rate_init if the user has changed it since."""
        return self.rate if learning_rate_init == self.learning_rate_init else learning_rate_init


def set_rates(
    trainer: AnyTrainer, *, learning_rate_init: float, momentum: float, beta_1: float, beta_2: float, epsilon: float
) -> None:
    """Give the kernels the optimiser's hyperparameters."""
    # A smaller epsilon counts as 0 in the kernels. Then weights without a gradient would move by 0 / 0.
    epsilon = max(epsilon, np.finfo(trainer.network.dtype).tiny)
    rates = trainer.rates
    rates.eta, rates.mu, rates.beta_1, rates.beta_2, rates.epsilon = (
        learning_rate_init,
        momentum,
        beta_1,
        beta_2,
        epsilon,
    )
