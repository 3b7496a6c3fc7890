"""Training a network: the solvers, and everything that the solvers need besides the kernels.

`workspace` has the memory that kernels write to, `trainer` the parameters and the steps, `evaluation` the predictions.
The solvers are `gradient_descent`, `stochastic` and `lbfgs`.
"""

from .optimizer_state import OptimizerState

# Stored models name OptimizerState by the path of this module.
OptimizerState.__module__ = __name__

__all__ = ["OptimizerState"]
