"""Initial parameters: scikit-learn's uniform distribution, or the normal distributions of He and LeCun."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..typing import Array
from .architecture import Network


def glorot(
    shape: Network, deciding: Sequence[str], random_state: np.random.RandomState
) -> tuple[list[Array], list[Array]]:
    """Initial coefs and intercepts, both drawn from Glorot's uniform distribution, in scikit-learn's order.

    The bound of Theta^(l) is sqrt(2 / (S_l + S_{l+1})) for 'logistic', and sqrt(6 / (S_l + S_{l+1})) otherwise.

    deciding: for each Theta^(l), the activation that decides its bound. If Theta^(l) leads to a hidden layer, this is
    the activation of that layer. If Theta^(l) leads to the output, this is the activation of the last hidden layer, as
    in scikit-learn.
    """
    coefs: list[Array] = []
    intercepts: list[Array] = []
    for (n, m), activation in zip(pairwise(shape.widths), deciding, strict=True):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n + m))
        coefs.append(random_state.uniform(-bound, bound, (n, m)))
        intercepts.append(random_state.uniform(-bound, bound, m) * shape.fit_intercept)
    return coefs, intercepts


# A weight of Theta^(l) has the variance VARIANCES[init] / S_l. Then z^(l+1) has about the same variance in all layers:
# with "he" for activations such as relu, which set half of the units to 0 (He et al. 2015), and with "lecun" for
# activations such as selu, which set none to 0 (LeCun et al. 1998).
VARIANCES = {"he": 2.0, "lecun": 1.0}


def normal(network: Network, variance: float, random_state: np.random.RandomState) -> tuple[list[Array], list[Array]]:
    """Initial coefs from the normal distribution with mean 0 and variance `variance` / S_l, and intercepts of 0."""
    shapes = list(pairwise(network.widths))
    coefs: list[Array] = [random_state.normal(0.0, np.sqrt(variance / n), (n, m)) for n, m in shapes]
    return coefs, [np.zeros(m) for _, m in shapes]
