"""The forward pass of one example.

The kernel reads the weights as scikit-learn stores them. Packing them into panels would take longer than the pass.

The bits are those of `forward.forward`, because both add the terms of every sum in the same order.
"""

from .activations import activate
from .compiling.jit import entry
from .elementary import constant, fma
from .losses import outputs
from .machine.simd import check_multiple, lanes_of, load, multiply_add, splat, store, tile
from .machine.vectors import store_sums

# A sum stays in a register while the products of STEPS inputs are added to it.
STEPS = 4


@entry
def forward_row(x, coef, intercept, is_narrow, g, output, z, a):
    """a = g([1, x] Theta) of one layer; overwrites a and z.

    x: (n,). coef: (n, m), flat. intercept: (m,). z, a: m elements, rounded up to whole vectors. is_narrow: whether sums
    have the order of `products.dots`. g: address of the activation. output: for the last layer the address of its
    function in losses.py, otherwise 0.
    """
    m, lanes = intercept.size, lanes_of(z)
    n = coef.size // m
    check_multiple(z.size, lanes)
    if is_narrow:
        for k in range(m):
            for j in range(lanes):
                a[j] = constant(0, a[0])
            for p in range(n):
                a[p % lanes] = fma(x[p], coef[p * m + k], a[p % lanes])
            store_sums(load(tile(1, 1), a, 0, 0), intercept[k], z, k, 0)
    else:
        whole = m // lanes * lanes
        for k in range(m):
            z[k] = intercept[k]
        p = 0
        while p < n:
            steps = min(STEPS, n - p)
            for k in range(0, whole, lanes):
                acc = load(tile(1, 1), z, k, 0)
                for q in range(p, p + steps):
                    acc = multiply_add(acc, splat(tile(1, 1), z, x[q]), load(tile(1, 1), coef, q * m + k, 0))
                store(acc, z, k, 0)
            for q in range(p, p + steps):
                for k in range(whole, m):
                    z[k] = fma(x[q], coef[q * m + k], z[k])
            p += steps
    if output:
        outputs(output, g, z, a, 1, m, z.size)
    else:
        activate(g, z, a)
