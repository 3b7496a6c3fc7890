"""From the user's X, y and weights to the arrays that the kernels read.

`examples` makes the arrays. `targets` encodes y, scales the weights, and turns outputs into predictions and scores.
"""
