"""Initial parameters."""

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
    the activation of that layer. If it leads to the output, this is the activation of the last hidden layer, as in
    scikit-learn.
    """
    coefs: list[Array] = []
    intercepts: list[Array] = []
    for (n, m), activation in zip(pairwise(shape.widths), deciding, strict=True):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n + m))
        coefs.append(random_state.uniform(-bound, bound, (n, m)))
        intercepts.append(random_state.uniform(-bound, bound, m) * shape.fit_intercept)
    return coefs, intercepts
