"""The optimiser: its state, with which partial_fit goes on, and its hyperparameters, which every fit sets anew."""

import dataclasses
import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from ..network.architecture import Network, network_of
from ..typing import Array
from .solver import AnyTrainer

MOST_STEPS = 1 << 62  # the kernels count steps in 64 bits


@dataclasses.dataclass
class OptimizerState:
    """The state with which partial_fit goes on: moments, steps taken and rate.

    The moments keep the trainer's layout until another layout is needed. Most fits are never continued, so an earlier
    conversion would be wasted.
    """

    solver: str
    moment_1: Array
    moment_2: Array
    t: int
    rate: float
    learning_rate_init: float  # the user's parameter when this state was made
    network: Network | None = None  # the moments have the layout of the network's theta; None: no padding

    @classmethod
    def of(cls, solver: str, learning_rate_init: float, trainer: AnyTrainer, *, copy: bool) -> Self:
        """The state of a trainer. Without `copy` it shares the trainer's moments, and later steps overwrite them."""
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

    def check(self) -> None:
        """Check the fields, because the user may have edited them or read them from a file; raises ValueError."""
        network = self.network
        if network is not None and not isinstance(network, Network):
            raise ValueError(f"_optimizer_state.network must be a Network or None, got {network!r:.100}.")
        vectors = {"moment_1": self.moment_1, "moment_2": self.moment_2}
        for name, vector in vectors.items():
            if not (isinstance(vector, np.ndarray) and vector.ndim == 1 and vector.dtype.kind == "f"):
                raise ValueError(f"_optimizer_state.{name} must be a vector of floats, got {vector!r:.100}.")
        if network is None:
            n = len(self.moment_1)
        else:
            n = network_of(*(getattr(network, field.name) for field in dataclasses.fields(Network))).layout.size
        sizes = [len(vector) for vector in vectors.values()]
        if sizes != [n, n if self.solver == "adam" else 0]:
            raise ValueError(f"The vectors of _optimizer_state do not fit {self.solver!r}: got {sizes} numbers.")
        if not (isinstance(self.t, Integral) and 0 <= int(self.t) < MOST_STEPS):
            raise ValueError(f"_optimizer_state.t must be a whole number of steps >= 0, got {self.t!r}.")
        for name in ("rate", "learning_rate_init"):
            rate = getattr(self, name)
            if not (isinstance(rate, Real) and math.isfinite(rate) and rate >= 0):
                raise ValueError(f"_optimizer_state.{name} must be a finite number >= 0, got {rate!r}.")

    def fits(self, solver: str, trainer: AnyTrainer) -> bool:
        """Whether this is a state of this solver, with as many parameters as the trainer has."""
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
    trainer: AnyTrainer,
    *,
    learning_rate_init: float,
    momentum: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Give the kernels the optimiser's hyperparameters."""
    # The kernels count an epsilon below the smallest normal number as 0. Then a weight without a gradient would move by
    # 0 / 0.
    epsilon = max(epsilon, np.finfo(trainer.network.dtype).tiny)
    rates = trainer.rates
    rates.eta, rates.mu = learning_rate_init, momentum
    rates.beta_1, rates.beta_2, rates.epsilon = beta_1, beta_2, epsilon
