"""How the learning rate of 'sgd' and 'adam' changes during training.

'constant' keeps the rate. 'invscaling' and 'adaptive' are the rules of scikit-learn's MLP, and change the rate after
an epoch. The rules in PLANS and callables plan the whole training: in each step they multiply the rate by a factor,
which depends on the progress of training.
"""

import dataclasses
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

# After too many epochs without improvement, 'adaptive' divides the rate by RATE_DIVISOR. If the rate is already
# SMALLEST_RATE or less, training stops instead.
SMALLEST_RATE, RATE_DIVISOR = 1e-6, 5.0
# The factor of 'one_cycle' rises from 1 / FIRST_DIVISOR to 1 until the progress is RISE. Then it falls to
# 1 / (FIRST_DIVISOR * LAST_DIVISOR).
RISE, FIRST_DIVISOR, LAST_DIVISOR = 0.3, 25.0, 1e4

# Takes the progress p of training, 0 to 1, and returns the factor that multiplies the rate.
Factor = Callable[[float], float]


def cosine(p: float) -> float:
    """The factor falls from 1 to 0 along half a period of a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * p))


def flat_cosine(p: float) -> float:
    """The factor is 1 for half of the training, then falls to 0 along a cosine."""
    return cosine(max(0.0, 2 * p - 1))


def one_cycle(p: float) -> float:
    """The factor rises for 30 % of the training, then falls to almost 0, both along a cosine (Smith and Topin 2018)."""
    if p < RISE:
        return _between(1 / FIRST_DIVISOR, 1.0, p / RISE)
    return _between(1.0, 1 / (FIRST_DIVISOR * LAST_DIVISOR), (p - RISE) / (1 - RISE))


def _between(first: float, last: float, p: float) -> float:
    return last + (first - last) * cosine(p)


def coslog(p: float) -> float:
    """The factor has four cycles, each twice as long as the one before (Holzmueller et al. 2024).

    In each cycle the factor rises from 0 to 1 and falls back to 0.
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * p)))


PLANS: dict[str, Factor] = {"cosine": cosine, "flat_cosine": flat_cosine, "one_cycle": one_cycle, "coslog": coslog}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A learning rate over time.

    Parameters
    ----------
    name : {'constant', 'invscaling', 'adaptive', 'cosine', 'flat_cosine', 'one_cycle', 'coslog'} or callable
        The rule. A callable takes the progress, from 0 to 1, and returns the factor that multiplies the rate.
    learning_rate_init : float
        The rate eta at the beginning, without the factor.
    power_t : float
        Exponent of 'invscaling'.
    warmup : float
        The warm-up, as a share of the plan's steps. In these first steps, the factor of the rule is multiplied by a
        number that rises to 1.
    epochs : int
        Epochs that the plan covers.
    first_epoch : int
        Epochs of the plan that have passed before this training, in earlier calls of partial_fit.
    """

    name: str | Factor
    learning_rate_init: float
    power_t: float = 0.5
    warmup: float = 0.0
    epochs: int = 1
    first_epoch: int = 0

    @property
    def is_planned(self) -> bool:
        """Whether a factor multiplies the rate in each step."""
        return self.ends_at_last_epoch or self.warmup > 0

    @property
    def ends_at_last_epoch(self) -> bool:
        """Whether the training is meant to take all of its epochs."""
        return callable(self.name) or self.name in PLANS

    def factors(self, epoch: int, n: int) -> NDArray[np.float64]:
        """The factors of the n steps of an epoch. epoch: counted from 1 in this training.

        The plan has S steps. Step s, counted from 0, has the progress s / S. After the last epoch of the plan, the
        progress is 1. If the warm-up has w steps, the factor of each of them is multiplied by (s + 1) / w. Raises
        ValueError if a callable does not return a finite number >= 0.
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
            is_factor = isinstance(factor, Real) and math.isfinite(factor) and factor >= 0
        except Exception as error:
            raise ValueError(_no_factor(self.name, p, f"{type(error).__name__}: {error}")) from error
        if is_factor:
            return float(factor)
        raise ValueError(_no_factor(self.name, p, repr(factor)))

    def after_epoch(self, rates: Any, t: int) -> None:
        """Set the rate after an epoch; t counts the training examples seen so far.

        'invscaling': eta = learning_rate_init / (t + 1) ** power_t. The other rules leave eta as it is.
        """
        if self.name == "invscaling":
            rates.eta = self.learning_rate_init / (t + 1) ** self.power_t

    def after_plateau(self, rates: Any) -> tuple[bool, str]:
        """Set the rate after too many epochs without improvement. Returns whether training goes on, and a message.

        'adaptive' divides the rate by RATE_DIVISOR and goes on, unless the rate is at most SMALLEST_RATE. The other
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
