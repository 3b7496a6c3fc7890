"""A matrix in panels: the layout of a layer's a^(l) or z^(l) for the rows of a chunk.

A panel holds all rows of some neighbouring units, contiguously. The panels lie one after the other; the last panel may
be narrower. In a plain matrix, the rows would often lie a power of two apart, and would compete for the same few places
of the caches.
"""

from typing import NamedTuple

from numpy.typing import NDArray

from .compiling.jit import inlined
from .compiling.kinds import INT, VECTOR, named


class Panels(NamedTuple):
    """A (chunk, padded) matrix in panels, within a larger vector."""

    data: NDArray  # flat
    offset: int  # position of the first element in `data`
    width: int  # units, without padding
    padded: int  # units, padding included: a multiple of a vector
    panel: int  # units of a full panel
    chunk: int  # rows


class Strided(NamedTuple):
    """Some neighbouring units of several rows, within a larger vector. The rows begin `step` elements apart."""

    data: NDArray  # flat
    offset: int  # position of the first element in `data`
    step: int  # elements from one row to the next; 0 repeats one row


PANELS = named(Panels, VECTOR, INT, INT, INT, INT, INT)
STRIDED = named(Strided, VECTOR, INT, INT)


@inlined
def panel_at(x, row, left):
    """(offset of a row, distance between rows) in the panel of x that begins with unit `left`."""
    width = min(x.panel, x.padded - left)
    return x.offset + left * x.chunk + row * width, width


@inlined
def place(x, row, column):
    """(offset, distance between rows) of unit `column` in a row of x."""
    left = column // x.panel * x.panel
    offset, width = panel_at(x, row, left)
    return offset + column - left, width
