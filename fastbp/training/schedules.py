"""How the learning rate changes while the solver 'sgd' trains: the rules of scikit-learn's MLP."""

import dataclasses
from typing import Any

# On a plateau, 'adaptive' divides the rate by RATE_DIVISOR. If the rate is already SMALLEST_RATE or less, training
# stops instead.
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate over time.

    Parameters
    ----------
    name : {'constant', 'invscaling', 'adaptive'}
        The rule.
    learning_rate_init : float
        eta of the first step.
    power_t : float
        Exponent of 'invscaling'.
    """

    name: str
    learning_rate_init: float
    power_t: float = 0.5

    def after_epoch(self, rates: Any, t: int) -> None:
        """Set the rate after an epoch; t counts the training examples seen so far.

        'invscaling': eta = learning_rate_init / (t + 1) ** power_t. The other rules leave the rate as it is.
        """
        if self.name == "invscaling":
            rates.eta = self.learning_rate_init / (t + 1) ** self.power_t

    def after_plateau(self, rates: Any) -> tuple[bool, str]:
        """After too many epochs without improvement: (whether training goes on, a message).

        'adaptive' divides the rate by RATE_DIVISOR and goes on, until the rate is at most SMALLEST_RATE. The other
        rules stop training.
        """
        if self.name != "adaptive":
            return False, "Stopping."
        if rates.eta <= SMALLEST_RATE:
            return False, "Learning rate too small. Stopping."
        rates.eta /= RATE_DIVISOR
        return True, f"Setting learning rate to {rates.eta:f}"
