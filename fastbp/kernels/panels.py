"""From scikit-learn's arrays to panels of parameters (products.py), and back."""

from .jit import entry


@entry
def copy_panels(theta, start, panel, coef, intercept, packs):
    """Copy coef (S_l, S_{l+1}) and intercept into the panels from theta[start] on; with packs False, copy them back.

    panel: columns of a full one; of the last one, padded columns are neither read nor written.
    """
    rows, width = coef.shape
    padded = (theta.size - start) // (1 + rows)
    for left in range(0, width, panel):
        stride, columns = min(panel, padded - left), min(panel, width - left)
        for k in range(columns):
            if packs:
                theta[start + k] = intercept[left + k]
            else:
                intercept[left + k] = theta[start + k]
        for j in range(rows):
            start += stride
            for k in range(columns):
                if packs:
                    theta[start + k] = coef[j, left + k]
                else:
                    coef[j, left + k] = theta[start + k]
        start += stride
