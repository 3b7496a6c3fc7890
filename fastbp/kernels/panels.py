"""From scikit-learn's arrays to panels of parameters (products.py), and back."""

from .jit import entry
from .simd import copy


@entry
def copy_panels(theta, start, panel, coef, intercept, packs):
    """Copy coef (S_l, S_{l+1}), flat, and intercept into the panels from theta[start] on; packs False: copy them back.

    panel: columns of a full one; of the last one, padded columns are neither read nor written.
    """
    width = intercept.size
    rows = coef.size // width
    padded = (theta.size - start) // (1 + rows)
    for left in range(0, width, panel):
        stride, columns = min(panel, padded - left), min(panel, width - left)
        if packs:
            copy(intercept, left, theta, start, columns)
        else:
            copy(theta, start, intercept, left, columns)
        for j in range(rows):
            start += stride
            if packs:
                copy(coef, j * width + left, theta, start, columns)
            else:
                copy(theta, start, coef, j * width + left, columns)
        start += stride
