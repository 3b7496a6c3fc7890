"""Training a network: the solvers, and all that they need besides the kernels.

`workspace` has what the kernels write to, `trainer` the parameters and the steps, `evaluation` the predictions. The
solvers are `gradient_descent`, `stochastic` and `lbfgs`.
"""

from .optimizer_state import OptimizerState

# Its path in stored models.
OptimizerState.__module__ = __name__

__all__ = ["OptimizerState"]
