"""From the user's X, y and weights to the arrays that the kernels read.

`examples` has X and the weights, `targets` has y and the way back from outputs to predictions.
"""
