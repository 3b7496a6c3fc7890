"""The forward pass: z^(l+1) = [1, a^(l)] Theta^(l), a^(l+1) = g(z^(l+1)), for a block of examples."""

from .activations import activate, differentiate
from .compiling.jit import call, inlined, runtime
from .machine.simd import part
from .panels import panel_at
from .products import affine
from .records import a_of, z_of


@inlined
def forward(layers, theta, activations, inputs, rows, plan, extras):
    """Copy these rows of X into a^(1), and compute z^(l) and a^(l) up to z^(L); overwrites these rows of a and z.

    In a hidden layer with dropout, g'(z^(l)) overwrites z^(l), and then `drop_units` changes a^(l) and g'(z^(l)).
    """
    first, n, last = rows.first, rows.n, layers.size - 1
    _copy_inputs(layers[0], a_of(layers[0], activations, plan), activations.starts, inputs, rows, plan, extras)
    for l in range(last):
        layer, following = layers[l], layers[l + 1]
        a, z = a_of(layer, activations, plan), z_of(following, activations, plan)
        if l == 0 and plan.first_affine:
            call(
                plan.first_affine,
                (inputs, rows, activations.starts, a.data, a.offset, theta, layer.theta, layer.width, z),
            )
        elif following.dots:
            call(following.dots, (first, n, a, theta, layer.theta, z))
        else:
            affine(following, first, n, a, theta, layer.theta, z, runtime(False))
        if l + 1 < last:
            a = a_of(following, activations, plan)
            for column in range(0, z.padded, z.panel):
                i_z, step = panel_at(z, first, column)
                i_a, _ = panel_at(a, first, column)
                z_c, a_c = part(z.data, i_z, n * step), part(a.data, i_a, n * step)
                activate(following.g, z_c, a_c)
                if extras is not None and following.threshold:  # g' is computed before units of a^(l) are dropped
                    differentiate(following.slope, a_c, z_c)
            if extras is not None and following.threshold:
                call(plan.drop_units, (following.threshold, l + 1, extras.masks, rows, a, z))


@inlined
def _copy_inputs(layer, a, starts, inputs, rows, plan, extras):
    """Copy these rows of X into a^(1). If the layer has dropout, then drop inputs."""
    if plan.copy_entries:
        call(plan.copy_entries, (inputs, rows, starts, a.data, a.offset))
        if extras is not None and layer.threshold:
            call(
                plan.drop_inputs,
                (layer.threshold, runtime(0), extras.masks, inputs, rows, starts, a.data, a.offset),
            )
    else:
        call(plan.gather, (inputs, rows, a))
        if extras is not None and layer.threshold:
            call(plan.drop_inputs, (layer.threshold, runtime(0), extras.masks, rows, a))
