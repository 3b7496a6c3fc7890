"""The place of each parameter in `theta`: panels, units, and conversion from and to scikit-learn's arrays."""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..kernels.machine.registers import VECTOR_BYTES
from ..kernels.products import PANEL_BYTES, UNIT_ROWS
from ..kernels.records import UNIT
from ..typing import Array
from .memory import aligned_zeros, kept, round_up

# A layer is narrow if three conditions hold: a vector has room for NARROW times its width, the layer before has at
# least NARROW_INPUTS times its width, and the layer before is not the input. In other layers, a vector holds the sums
# of several units. In a narrow layer most of such a vector would be padding, so a vector holds terms of a single sum
# instead, and the weights that lead to the layer lie transposed in theta.
NARROW, NARROW_INPUTS = 4, 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of the parameters of a network.

    Parameters
    ----------
    widths : tuple of int
        Units per layer, input and output included: S_1 ... S_L.
    dtype : numpy.dtype
        float32 or float64.
    fit_intercept : bool
        Whether row 0 of each Theta^(l) is learned; otherwise it stays 0.
    """

    widths: tuple[int, ...]
    dtype: np.dtype
    fit_intercept: bool

    @property
    def n_layers(self) -> int:
        """Number of layers L."""
        return len(self.widths)

    @kept
    def shapes(self) -> list[tuple[int, int]]:
        """The shape (S_l, S_{l+1}) of each matrix of coefs."""
        return list(pairwise(self.widths))

    @kept
    def padded(self) -> tuple[int, ...]:
        """Widths rounded up to whole vectors."""
        return tuple(round_up(width, VECTOR_BYTES // self.dtype.itemsize) for width in self.widths)

    @kept
    def padded_units(self) -> int:
        """Units of all layers, padding included."""
        return sum(self.padded)

    @kept
    def theta_offsets(self) -> tuple[int, ...]:
        """The offset of each Theta^(l) in theta, then the size of theta."""
        sizes = [
            m + (1 + self.widths[l + 1]) * n if self.is_narrow(l + 1) else (1 + self.widths[l]) * m
            for l, (n, m) in enumerate(pairwise(self.padded))
        ]
        return tuple(accumulate(sizes, initial=0))

    @kept
    def transposed_sizes(self) -> tuple[int, ...]:
        """The number of elements of each layer's copy of Theta^(l) in theta_t.

        The output has none, nor has the input, because there is no delta^(1). A layer before a narrow one has none,
        because theta itself is transposed there.
        """
        inner = range(1, self.n_layers - 1)
        sizes = (0 if self.is_narrow(l + 1) else (1 + self.widths[l + 1]) * self.padded[l] for l in inner)
        return (0, *sizes, 0)

    @property
    def n_parameters(self) -> int:
        """Number of parameters without padding: the length of a result of `flatten`."""
        return sum((n + self.fit_intercept) * m for n, m in pairwise(self.widths))

    @property
    def size(self) -> int:
        """Elements of theta, padding included."""
        return self.theta_offsets[-1]

    @property
    def panel(self) -> int:
        """Columns of a full panel of parameters."""
        return PANEL_BYTES // self.dtype.itemsize

    def is_narrow(self, l: int) -> bool:
        """Whether layer l is narrow, see NARROW; l counts from 0 for the input.

        Layer 1 is never narrow, because its sums must have the same bits for a dense and a sparse X.
        """
        few = NARROW * self.widths[l] <= VECTOR_BYTES // self.dtype.itemsize
        return few and l > 1 and self.widths[l - 1] >= NARROW_INPUTS * self.widths[l]

    @kept
    def units(self) -> NDArray:
        """The units of parameters, as records of `kernels.records.UNIT`, in the order of their updates."""
        return np.concatenate([self._units_of(l) for l in range(self.n_layers - 1)])

    def _units_of(self, l: int) -> NDArray:
        if self.is_narrow(l + 1):
            return self._narrow_units_of(l)
        rows = np.arange(1, 1 + self.widths[l], UNIT_ROWS, dtype=np.int64)
        if self.fit_intercept:
            rows = np.concatenate([[0], rows])
        columns = np.arange(0, self.padded[l + 1], self.panel, dtype=np.int64)
        # The outer loop is over the longer side of Theta. For a gradient, a unit reads the activations of its rows and
        # the deltas of its columns. So the longer operand is read once, and the shorter one comes from a cache.
        indexing: Literal["ij", "xy"] = "xy" if self.widths[l] >= self.widths[l + 1] else "ij"
        column, row = (grid.ravel() for grid in np.meshgrid(columns, rows, indexing=indexing))
        units = np.zeros(row.size, UNIT)
        units["layer"], units["row"], units["column"] = l, row, column
        units["n_columns"] = np.minimum(self.panel, self.padded[l + 1] - column)
        units["n_rows"] = np.where(row == 0, 1, np.minimum(UNIT_ROWS, 1 + self.widths[l] - row))
        units["offset"] = self.theta_offsets[l] + column * (1 + self.widths[l]) + row * units["n_columns"]
        return units

    def _narrow_units_of(self, l: int) -> NDArray:
        """The units from layer l to a narrow layer: a vector of biases, then each panel of the transposed weights."""
        lefts, width = np.arange(0, self.padded[l], self.panel, dtype=np.int64), self.widths[l + 1]
        units = np.zeros(1 + lefts.size, UNIT)
        units["layer"], units["n_rows"][0], units["n_columns"][0] = l, 1, self.padded[l + 1]
        units["row"][1:], units["n_columns"][1:] = 1 + lefts, width
        units["n_rows"][1:] = n_rows = np.minimum(self.panel, self.padded[l] - lefts)
        units["offset"][0] = self.theta_offsets[l]
        # the first row of each panel is not learned, because it is 0
        units["offset"][1:] = self.theta_offsets[l] + self.padded[l + 1] + lefts * (1 + width) + n_rows
        return units if self.fit_intercept else units[1:]

    def _panels(self, parameters: Array, rows: int, l: int) -> Iterator[tuple[slice, Array]]:
        """The panels of a matrix whose columns are the units of layer l.

        For each panel a pair: the slice of its columns, and a view of them without padding. The view has the shape
        (rows, columns).
        """
        start = 0
        for left in range(0, self.widths[l], self.panel):
            stop = min(left + self.panel, self.padded[l])
            end = start + rows * (stop - left)
            yield slice(left, stop), parameters[start:end].reshape(rows, -1)[:, : self.widths[l] - left]
            start = end

    def _biases(self, theta: Array, l: int) -> Iterator[tuple[slice, Array]]:
        """Pairs of a slice of the intercepts from layer l to l + 1, and a view of them in theta."""
        start, end = self.theta_offsets[l : l + 2]
        if self.is_narrow(l + 1):
            yield slice(None), theta[start : start + self.widths[l + 1]]
        else:
            for units, panel in self._panels(theta[start:end], 1 + self.widths[l], l + 1):
                yield units, panel[0]

    def _weights(self, theta: Array, l: int) -> Iterator[tuple[tuple[slice, slice], Array]]:
        """Pairs of the slices of a part of the coefs from layer l to l + 1, and a view of this part in theta."""
        start, end = self.theta_offsets[l : l + 2]
        if self.is_narrow(l + 1):
            for units, panel in self._panels(theta[start + self.padded[l + 1] : end], 1 + self.widths[l + 1], l):
                yield (units, slice(None)), panel[1:].T
        else:
            for units, panel in self._panels(theta[start:end], 1 + self.widths[l], l + 1):
                yield (slice(None), units), panel[1:]

    def pack(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Array:
        """theta from scikit-learn's arrays; raises ValueError for wrong shapes.

        coefs[l - 1] has the shape (S_l, S_{l+1}), and intercepts[l - 1] has the shape (S_{l+1},).
        """
        theta = aligned_zeros(self.size, self.dtype)
        for l, (coef, intercept) in enumerate(self.as_kernels_read(coefs, intercepts)):
            for units, biases in self._biases(theta, l):
                biases[:] = intercept[units]
            for place, weights in self._weights(theta, l):
                weights[:] = coef[place]
        return theta

    def as_kernels_read(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
        """Pairs of coefs and intercepts, contiguous and of the network's dtype; raises ValueError for wrong shapes."""
        for l, (coef, intercept, shape) in enumerate(zip(coefs, intercepts, self.shapes, strict=True)):
            if not self._can_be_read(coef):
                coef = self._as_kernels_read(coef)
            if not self._can_be_read(intercept):
                intercept = self._as_kernels_read(intercept)
            # The estimator has checked the shapes, but a fit in another thread may have replaced the arrays since.
            if coef.shape != shape or intercept.shape != shape[1:]:
                found = f"{coef.shape} and {intercept.shape}"
                raise ValueError(f"Weights from layer {l} to {l + 1} have shapes {found}, not {shape} and {shape[1:]}.")
            yield coef, intercept

    def _can_be_read(self, values: Any) -> bool:
        return type(values) is np.ndarray and values.dtype == self.dtype and values.flags.carray

    def _as_kernels_read(self, values: Any) -> Array:
        """A copy of the values as a contiguous array of the network's dtype."""
        if np.asarray(values).dtype.kind not in "biuf":  # NumPy would convert text too
            raise ValueError(f"coefs_ and intercepts_ must hold numbers, got dtype {np.asarray(values).dtype}.")
        return np.array(values, self.dtype, order="C", subok=False)

    def unpack(self, theta: Array) -> tuple[list[Array], list[Array]]:
        """The inverse of `pack`. The arrays are copies."""
        coefs, intercepts = [], []
        for l in range(self.n_layers - 1):
            coef = np.empty((self.widths[l], self.widths[l + 1]), self.dtype)
            intercept = np.empty(self.widths[l + 1], self.dtype)
            for units, biases in self._biases(theta, l):
                intercept[units] = biases
            for place, weights in self._weights(theta, l):
                coef[place] = weights
            coefs.append(coef)
            intercepts.append(intercept)
        return coefs, intercepts

    def flatten(self, theta: Array) -> Array:
        """The parameters without padding, in scikit-learn's order: coefs, then intercepts if they are learned."""
        coefs, intercepts = self.unpack(theta)
        return np.concatenate([part.ravel() for part in coefs + (intercepts if self.fit_intercept else [])])

    def unflatten(self, vector: Array) -> Array:
        """Inverse of `flatten`."""
        sizes = [n * m for n, m in pairwise(self.widths)] + list(self.widths[1:])
        parts = np.split(vector, np.cumsum(sizes[: len(sizes) if self.fit_intercept else self.n_layers - 1])[:-1])
        shapes = pairwise(self.widths)
        coefs = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
        intercepts = parts[self.n_layers - 1 :] or [np.zeros(width, self.dtype) for width in self.widths[1:]]
        return self.pack(coefs, intercepts)
