"""The delta recursion: delta^(l) = dC/dz^(l), from the output to the first hidden layer; C: cost of one example."""

from .activations import differentiate
from .compiling.jit import inlined, runtime
from .elementary import constant
from .gather import gather_targets
from .losses import output_delta
from .machine.simd import part
from .panels import panel_at
from .products import affine
from .records import a_of, z_of


@inlined
def delta_of_outputs(layer, activations, scratch, targets, rows, plan, rates, extras):
    """Compute the cost and delta^(L) of these rows of the chunk, both times the weight of the example.

    delta^(L) overwrites z^(L). layer: the output layer, which has one panel.
    """
    n, padded, i = rows.n, layer.padded, rows.first * layer.padded
    a, z = part(activations.a, layer.a + i, n * padded), part(activations.z, layer.z + i, n * padded)
    y, cost = part(scratch.y, i, n * padded), part(scratch.cost, rows.first, n)
    start = rows.start + rows.first
    gather_targets(targets.codes, targets.Y, rows.order, start, n, layer.width, y)
    if extras is not None and rates.smoothing > 0.0:
        _smooth(part(y, 0, n * layer.width), rates.smoothing, rates.uniform)
    options = part(scratch.cost, plan.chunk, scratch.cost.size - plan.chunk)
    output_delta(plan.output_delta, z, a, y, n, layer.width, padded, cost, layer.g, layer.slope, options)
    if targets.weights.size:
        _weigh(targets.weights, rows.order, start, n, padded, z, cost)


@inlined
def _smooth(y, epsilon, uniform):
    """Label smoothing (Szegedy et al. 2016): y = (1 - epsilon) y + epsilon uniform, see `optimizers.RATES`."""
    keep, add = constant(1.0 - epsilon, y[0]), constant(epsilon * uniform, y[0])
    for j in range(y.size):
        y[j] = y[j] * keep + add


@inlined
def _weigh(weights, order, start, rows, padded, delta, cost):
    """Multiply each example's cost and delta^(L) by its weight. Weight 0 gives 0, even for inf and NaN."""
    for i in range(rows):
        w = weights[order[start + i]]
        delta_i = part(delta, i * padded, padded)
        cost[i] = w * cost[i] if w > 0.0 else 0.0
        for k in range(padded):
            delta_i[k] = constant(w, delta_i[k]) * delta_i[k] if w > 0.0 else constant(0, delta_i[k])


@inlined
def backward(layers, theta, theta_t, activations, first, n, plan, extras):
    """delta^(l) = (delta^(l+1) Theta^(l)[1:]^T) * g'(z^(l)) for l = L - 1 ... 2, on n rows of the chunk from `first`.

    Reads delta^(L) and overwrites z^(l) of the hidden layers. There is no delta^(1). In a layer with dropout, the
    forward pass has already put g'(z^(l)) into z^(l).
    """
    for l in range(layers.size - 2, 0, -1):
        layer, following = layers[l], layers[l + 1]
        a, z = a_of(layer, activations, plan), z_of(layer, activations, plan)
        has_slope = False
        if extras is not None:
            has_slope = layer.threshold > 0
        if not has_slope:
            for column in range(0, z.padded, z.panel):
                i_z, step = panel_at(z, first, column)
                i_a, _ = panel_at(a, first, column)
                differentiate(layer.slope, part(a.data, i_a, n * step), part(z.data, i_z, n * step))
        delta = z_of(following, activations, plan)
        weights, i = theta_t, layer.theta_t
        if following.dots:  # theta itself is transposed, after the biases
            weights, i = theta, layer.theta + following.padded
        affine(layer, first, n, delta, weights, i, z, runtime(True))
