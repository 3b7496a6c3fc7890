"""How the learning rate of 'sgd' and 'adam' changes during training.

The rules 'invscaling' and 'adaptive' are those of scikit-learn's MLP, and change the rate after an epoch. The others
plan the whole training: the rate of a step is learning_rate_init times a factor that depends on the step's progress.
"""

import dataclasses
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

# On a plateau, 'adaptive' divides the rate by RATE_DIVISOR. If the rate is already SMALLEST_RATE or less, training
# stops instead.
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0
# 'one_cycle' rises for the share RISE of the steps, from 1 / FIRST_DIVISOR to 1, and falls to
# 1 / (FIRST_DIVISOR * LAST_DIVISOR).
RISE, FIRST_DIVISOR, LAST_DIVISOR = 0.3, 25.0, 1e4

Factor = Callable[[float], float]


def cosine(p: float) -> float:
    """From 1 to 0 along half a period (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * p))


def flat_cosine(p: float) -> float:
    """1 for half of the training, then a cosine to 0."""
    return cosine(max(0.0, 2 * p - 1))


def one_cycle(p: float) -> float:
    """Up for 30 % of the training and down to almost 0, both along a cosine (Smith and Topin 2018)."""
    if p < RISE:
        return _between(1 / FIRST_DIVISOR, 1.0, p / RISE)
    return _between(1.0, 1 / (FIRST_DIVISOR * LAST_DIVISOR), (p - RISE) / (1 - RISE))


def _between(first: float, last: float, p: float) -> float:
    return last + (first - last) * cosine(p)


def coslog(p: float) -> float:
    """Four cycles from 0 to 1 and back, each twice as long as the one before (Holzmueller et al. 2024)."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * p)))


PLANS: dict[str, Factor] = {"cosine": cosine, "flat_cosine": flat_cosine, "one_cycle": one_cycle, "coslog": coslog}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate over time.

    Parameters
    ----------
    name : {'constant', 'invscaling', 'adaptive', 'cosine', 'flat_cosine', 'one_cycle', 'coslog'} or callable
        The rule. A callable takes the progress, from 0 to 1, and returns the factor of learning_rate_init.
    learning_rate_init : float
        eta of the first step, or the eta that factors multiply.
    power_t : float
        Exponent of 'invscaling'.
    warmup : float
        Share of the steps in which the rate first rises to its full value.
    epochs : int
        Epochs that the plan covers.
    first_epoch : int
        Epochs that have passed before this training, for partial_fit.
    """

    name: str | Factor
    learning_rate_init: float
    power_t: float = 0.5
    warmup: float = 0.0
    epochs: int = 1
    first_epoch: int = 0

    @property
    def is_planned(self) -> bool:
        """Whether the rate changes from step to step by a plan for the whole training."""
        return callable(self.name) or self.name in PLANS or self.warmup > 0

    @property
    def ends_at_last_epoch(self) -> bool:
        """Whether the training is meant to take all of its epochs."""
        return callable(self.name) or self.name in PLANS

    def factors(self, epoch: int, n: int) -> NDArray[np.float64]:
        """The factors of the n steps of an epoch, which is counted from 1 in this training.

        Step s of S, both counted over all epochs of the plan, has the progress s / S. After the last epoch of the plan
        the progress is 1. In the W steps of the warm-up, the factor is multiplied by (s + 1) / W. Raises ValueError if
        a callable does not return a factor.
        """
        total, first = n * self.epochs, n * (self.first_epoch + epoch - 1)
        steps = np.arange(first, first + n)
        values = np.array([self._factor(p) for p in np.minimum(steps / total, 1.0).tolist()])
        warm = round(self.warmup * total)
        return values * np.minimum((steps + 1) / warm, 1.0) if warm else values

    def _factor(self, p: float) -> float:
        if not callable(self.name):
            return PLANS[self.name](p) if self.name in PLANS else 1.0
        try:
            factor = self.name(p)
        except Exception as error:
            raise ValueError(_no_factor(self.name, p, f"{type(error).__name__}: {error}")) from error
        if isinstance(factor, Real) and math.isfinite(factor) and factor >= 0:
            return float(factor)
        raise ValueError(_no_factor(self.name, p, repr(factor)))

    def after_epoch(self, rates: Any, t: int) -> None:
        """Set the rate after an epoch; t counts the training examples seen so far.

        'invscaling': eta = learning_rate_init / (t + 1) ** power_t. The other rules leave eta as it is.
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


def _no_factor(rule: Factor, p: float, result: str) -> str:
    return f"learning_rate={rule!r} must return a finite number >= 0 for a progress in [0, 1], got {result} for {p:g}."
