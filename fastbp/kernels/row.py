"""The forward pass of one example.

The kernel reads the weights as scikit-learn stores them. Packing them into panels would take longer than the pass.

The bits are those of `forward.forward`, because both add the terms of every sum in the same order.
"""

from typing import NamedTuple

from .activations import activate
from .compiling.jit import entry, inlined
from .elementary import constant, fma
from .losses import outputs
from .machine.registers import VECTOR_BYTES
from .machine.simd import lanes_of, load, multiply_add, part, splat, store, tile
from .machine.vectors import store_sums

# A sum stays in a register while the products of STEPS inputs are added to it.
STEPS = 4


class Layer(NamedTuple):
    """What `forward_row` knows of a layer.

    x, z, a: the places of these vectors in the scratch memory. padded: the size of z and of a, a multiple of the vector
    width. is_narrow: whether sums have the order of `products.dots`. g: address of the activation. output: for the last
    layer the address of its function in losses.py, otherwise 0.
    """

    x: int
    z: int
    a: int
    padded: int
    is_narrow: int
    g: int
    output: int


@inlined
def _are_finite(x):
    wrong = 0
    for p in range(x.size):
        wrong += x[p] - x[p] != 0  # infinity minus infinity is NaN
    return wrong == 0


@entry
def forward_row(coef, intercept, row, scratch, layer, out):
    """a = g([1, x] Theta) of one layer, where x is the row if the layer is the first one; copies the last a to `out`.

    Returns False if x of the first layer, or a of the last one, is not finite.

    coef: (n, m). intercept: (m,). row: (S_1,). scratch: memory of all z and a, and a cache line more. layer: the fields
    of `Layer`. out: (1, S_L).
    """
    layer = Layer(*layer)
    n, m = coef.shape
    # Vectors that lie on two cache lines would take up to twice the time.
    start = -scratch.ctypes.data % VECTOR_BYTES // scratch.itemsize
    x = part(scratch, start + layer.x, n) if layer.x >= 0 else part(row, 0, n)
    z, a = part(scratch, start + layer.z, layer.padded), part(scratch, start + layer.a, layer.padded)
    if layer.is_narrow:
        _narrow_sums(x, coef.reshape(-1), intercept, z, a)
    else:
        _sums(x, coef.reshape(-1), intercept, z)
    finite = layer.x >= 0 or _are_finite(x)
    if layer.output:
        outputs(layer.output, layer.g, z, a, 1, m, layer.padded)
        for k in range(m):
            out[0, k] = a[k]
        return finite and _are_finite(part(a, 0, m))
    activate(layer.g, z, a)
    return finite


@inlined
def _narrow_sums(x, weights, intercept, z, scratch):
    """z = [1, x] Theta, in the order of `products.dots`; overwrites `scratch`."""
    m, lanes = intercept.size, lanes_of(z)
    for k in range(m):
        for j in range(lanes):
            scratch[j] = constant(0, scratch[0])
        for p in range(x.size):
            scratch[p % lanes] = fma(x[p], weights[p * m + k], scratch[p % lanes])
        store_sums(load(tile(1, 1), scratch, 0, 0), intercept[k], z, k, 0)


@inlined
def _sums(x, weights, intercept, z):
    """z = [1, x] Theta, in the order of `products.affine`."""
    n, m, lanes = x.size, intercept.size, lanes_of(z)
    whole = m // lanes * lanes
    for k in range(m):
        z[k] = intercept[k]
    p = 0
    while p < n:
        steps = min(STEPS, n - p)
        for k in range(0, whole, lanes):
            acc = load(tile(1, 1), z, k, 0)
            for q in range(p, p + steps):
                acc = multiply_add(acc, splat(tile(1, 1), z, x[q]), load(tile(1, 1), weights, q * m + k, 0))
            store(acc, z, k, 0)
        for q in range(p, p + steps):
            for k in range(whole, m):
                z[k] = fma(x[q], weights[q * m + k], z[k])
        p += steps
