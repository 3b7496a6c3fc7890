"""The interface between solvers and trainers, and the message for a fit that diverged.

All solvers run the same kernels through a trainer, keep a record in a `History` and tell an `Observer` of each epoch.
The observer may ask the solver to stop. On KeyboardInterrupt a solver adds a warning to the record and ends. The
trainer keeps the parameters so far.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..kernels.user_loss import UserLoss
from ..network.architecture import Network
from ..parallel.team import Team
from ..typing import Array


class AnyTrainer(Protocol):
    """The interface of `trainer.Trainer` and of `dask.trainer.DistributedTrainer`."""

    network: Network
    theta: Array
    grad: Array
    moment_1: Array
    moment_2: Array
    t: NDArray[np.int64]
    rates: Any  # a record of `kernels.optimizers.RATES`
    factors: NDArray[np.float64]  # factors[i] multiplies the rate in batch i of an epoch; empty means a factor of 1
    batch: int
    optimizer: int
    team: Team

    def calls(self, n: int) -> int: ...

    def epoch(self, order: NDArray[np.int64], after_call: Callable[[], None] | None = None) -> float: ...

    def loss_and_gradient(self, theta: Array, after_call: Callable[[], None] | None = None) -> float: ...


def diverged(epoch: int, what: str, network: Network, rate: float | None = None) -> str:
    """The message for a fit that diverged: what happened and what to change.

    The first two sentences of the message are scikit-learn's, because users' code may look for them.
    """
    lower = "" if rate is None else f", or lower learning_rate_init, which is {rate:g}"
    own = ""
    if isinstance(network.loss, UserLoss):
        own = " Or a function of your loss raised an error or returned NaN, or the gradient left elements of out unset."
    return (
        "Solver produced non-finite parameter weights. "
        "The input data may contain large values and need to be preprocessed. "
        f"Training diverged in epoch {epoch}: {what}. "
        f"Scale the features (for instance with StandardScaler){lower}.{own}"
    )
