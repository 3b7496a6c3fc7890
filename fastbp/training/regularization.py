"""What a fit does against overfitting besides the L2 term: dropout and label smoothing."""

import dataclasses
from typing import Any

from numpy.typing import NDArray

from ..kernels.dropout import HASHES
from ..network.architecture import Network

OF_STEP = 0xD6E8FEB86659FD93  # an odd number without a pattern
SEEDS = 1 << 63


@dataclasses.dataclass(frozen=True)
class Regularization:
    """Dropout and label smoothing of a training; the defaults change nothing.

    Parameters
    ----------
    dropout : tuple of float
        For the inputs and for each hidden layer, the probability that a unit is dropped. Empty: no dropout.
    smoothing : float
        epsilon: targets become (1 - epsilon) y + epsilon u, with the uniform distribution u of a label.
    seed : int
        Decides which units are dropped.
    """

    dropout: tuple[float, ...] = ()
    smoothing: float = 0.0
    seed: int = 0

    def at(self, t: int) -> "Regularization":
        """The same for an epoch that begins after t steps. Every epoch drops other units."""
        return dataclasses.replace(self, seed=(self.seed + t * OF_STEP) % SEEDS) if self.dropout else self

    def set_layers(self, layers: NDArray) -> None:
        """Write the thresholds of the kernels into the table of layers."""
        for l, p in enumerate(self.dropout):
            layers["threshold"][l] = min(round(p * HASHES), HASHES - 1)

    def set_rates(self, rates: Any, network: Network) -> None:
        """Write the numbers of label smoothing into a record of `kernels.optimizers.RATES`."""
        rates.smoothing = self.smoothing
        # The outputs of softmax are one distribution. Every other output is the probability of one of two labels.
        rates.uniform = 1 / network.widths[-1] if network.activations[-1] == "softmax" else 0.5


NOTHING = Regularization()
