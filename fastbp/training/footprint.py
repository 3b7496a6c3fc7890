"""The memory of a fit, estimated before it is taken."""

import os
from typing import NamedTuple

from ..data.examples import Examples
from ..kernels import optimizers, records
from ..kernels.machine.registers import ROWS
from ..network import costs
from ..network.architecture import Network
from ..network.memory import round_up

# SciPy's L-BFGS-B keeps 10 pairs of vectors of float64, and 5 more vectors. J, its gradient and the layout of theta
# need about 12 more (measured).
LBFGS_VECTORS = 2 * 10 + 5 + 12

MIB = 1 << 20


class Footprint(NamedTuple):
    """Bytes of a fit, without its data."""

    training: int  # the most at any time of the fit
    fitted: int  # of the fitted attributes, after the fit


def footprint(
    network: Network,
    examples: Examples,
    *,
    n: int,
    batch: int,
    optimizer: int,
    n_validation: int = 0,
    keeps_best: bool = False,
    lbfgs: bool = False,
) -> Footprint:
    """The memory of a fit on one thread.

    Parameters
    ----------
    network : Network
    examples : Examples
    n : int
        Number of examples to train on.
    batch : int
        Rows of a step.
    optimizer : int
        A code of `kernels.optimizers`.
    n_validation : int
        Number of examples of the validation set.
    keeps_best : bool
        Whether the fit keeps the best parameters, by the validation set.
    lbfgs : bool
        Whether the solver is 'lbfgs'.
    """
    layout, size = network.layout, network.dtype.itemsize
    theta, theta_t = layout.size * size, sum(layout.transposed_sizes) * size
    coefs = layout.n_parameters * size
    chunk = round_up(min(costs.even_chunk_rows(network, batch), batch), ROWS)
    n_grads = costs.n_groups(network, min(chunk, batch))
    n_moments = {optimizers.NONE: 0, optimizers.ADAM: 2}.get(optimizer, 1)
    kept = coefs * 2 if keeps_best else 0  # the best parameters, and those where the training stopped

    training = theta * (1 + n_grads + n_moments) + theta_t + coefs + 8 * n + _space(network, examples, chunk)
    training += n_grads * records.UNIT_BYTES
    if lbfgs:
        training += LBFGS_VECTORS * 8 * layout.n_parameters + 8 * n
    if n_validation:
        rows = round_up(min(costs.chunk_rows(network), n_validation), ROWS)
        output = min(costs.output_rows(network), n_validation) * network.widths[-1] * size
        training += theta + _space(network, examples, rows) + 2 * output + 8 * n_validation
    if keeps_best:
        training += theta + kept
    return Footprint(training, coefs + n_moments * theta + kept)


def _space(network: Network, examples: Examples, chunk: int) -> int:
    """The memory of a workspace: a and z of all layers, Y, costs, and the rows of X, dense or as entries."""
    layout, size = network.layout, network.dtype.itemsize
    units = sum(layout.padded[1:]) * 2 + layout.padded[-1]
    if examples.sparse and examples.entries_per_row < costs.DENSE * network.widths[0]:
        # an entry has its value, its row and its place in its column
        inputs = examples.most_entries(min(chunk, examples.n)) * (size + 8 + 8) + 8 * network.widths[0]
    else:
        inputs = chunk * layout.padded[0] * size
    return chunk * (units * size + 8) + inputs


def physical_memory() -> int | None:
    """The bytes of memory of this machine; None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, and other systems may not know the names
        return None


def refuse_too_much(needed: int, what: str, when: str, advice: str) -> None:
    """Raise MemoryError if the machine has fewer bytes than are needed. what, when, advice: for the message."""
    there = physical_memory()
    if there is not None and needed > there:
        raise MemoryError(
            f"{what} need about {needed / MIB:,.0f} MiB{when}, but the machine has {there / MIB:,.0f} MiB. {advice}"
        )
