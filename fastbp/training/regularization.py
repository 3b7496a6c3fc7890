"""Dropout and label smoothing of a fit."""

import dataclasses
from typing import Any

from numpy.typing import NDArray

from ..kernels.dropout import HASHES
from ..network.architecture import Network

# If a fit has the seed s, its epoch that begins after t steps has the seed (s + t OF_STEP) modulo SEEDS. OF_STEP is an
# odd number without a pattern.
OF_STEP, OF_FIT = 0xD6E8FEB86659FD93, 0xA0761D6478BD642F  # odd numbers without a pattern
SEEDS = 1 << 63


@dataclasses.dataclass(frozen=True)
class Regularization:
    """Dropout and label smoothing of a fit. With the defaults there is neither.

    Parameters
    ----------
    dropout : tuple of float
        The probability that a unit is dropped: for the inputs, then for each hidden layer. Empty means no dropout.
    smoothing : float
        epsilon. Targets y become (1 - epsilon) y + epsilon u, where u is the uniform distribution.
    seed : int
        Decides which units are dropped.
    """

    dropout: tuple[float, ...] = ()
    smoothing: float = 0.0
    seed: int = 0

    def after(self, n_epochs: int) -> "Regularization":
        """The same for a fit that continues fits of n_epochs epochs, so that it drops other units than these did."""
        return dataclasses.replace(self, seed=(self.seed + n_epochs * OF_FIT) % SEEDS) if self.dropout else self

    def at(self, t: int) -> "Regularization":
        """The same with the seed for an epoch that begins after t steps, so that each epoch drops other units."""
        return dataclasses.replace(self, seed=(self.seed + t * OF_STEP) % SEEDS) if self.dropout else self

    def set_layers(self, layers: NDArray) -> None:
        """Write the thresholds of dropout into the table of layers."""
        for l, p in enumerate(self.dropout):
            layers["threshold"][l] = min(round(p * HASHES), HASHES - 1)

    def set_rates(self, rates: Any, network: Network) -> None:
        """Write the numbers of label smoothing into a record of `kernels.optimizers.RATES`."""
        rates.smoothing = self.smoothing
        # The outputs of softmax are one distribution. Without softmax, each output is the probability of one of two
        # labels.
        rates.uniform = 1 / network.widths[-1] if network.activations[-1] == "softmax" else 0.5


NOTHING = Regularization()
