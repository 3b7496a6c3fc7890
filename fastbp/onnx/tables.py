"""The converter of TableEncoder. Numbers are encoded in double precision, as TableEncoder does."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..encoding import Feature, NumberEncoder, OneHotEncoder, TargetMeanEncoder
from ..encoding.columns import Kind
from ..encoding.encoder import TableEncoder
from ..encoding.numbers import ABOVE, BELOW, FARTHEST
from .activations import plus, times
from .columns import Columns, names_of
from .graph import DOUBLE, FLOAT, INT64, Graph


class _Numbers(NamedTuple):
    """A column of numbers, its encoder, and the index of its first output."""

    column: str
    encoder: NumberEncoder
    place: int

    @property
    def first_bin(self) -> int:
        """The index of the first output of the piecewise linear encoding."""
        return self.place + self.encoder.is_scaled + (len(self.encoder.knots) > 0)


_Block = tuple[str, list[int]]  # a matrix, and the index of the output that each of its columns is


def encoded(graph: Graph, encoder: TableEncoder, columns: Columns) -> str:
    """The outputs of an encoder, in its dtype. graph: in double precision."""
    blocks: list[_Block] = []
    numbers: list[_Numbers] = []
    place = 0
    for feature in encoder._features:
        for part in feature.encoders.values():
            if isinstance(part, NumberEncoder):
                numbers.append(_Numbers(columns.numbers(feature, part.offset), part, place))
            else:
                blocks.append((_categories(graph, feature, part, columns), [*range(place, place + part.n_outputs)]))
            place += part.n_outputs
        if feature.indicates_missing:
            blocks.append((columns.is_missing(feature), [place]))
            place += 1
    if numbers:
        blocks += _number_blocks(graph, numbers)
    order = np.argsort(np.concatenate([places for _, places in blocks]))
    together = graph.node("Concat", *(name for name, _ in blocks), axis=1)
    return graph.node("Cast", graph.columns(together, order), to=proto_dtype(encoder.dtype))


def refuse_dates(encoder: TableEncoder) -> None:
    """Raise ValueError if the encoder has a column of dates."""
    names = names_of(encoder)
    for feature in encoder._features:
        if feature.kind == Kind.DATE:
            raise ValueError(
                f"column {names[feature.source]!r} holds dates, and ONNX has no operator that encodes dates. Before "
                "the fit, replace the column by numbers and categories, such as the year and the month, or leave it "
                "out."
            )


def proto_dtype(dtype: Any) -> int:
    """The type of a tensor of this dtype of NumPy, float32 or float64."""
    return DOUBLE if np.dtype(dtype) == np.float64 else FLOAT


# ---------------------------------------------------------------- categories


def _categories(graph: Graph, feature: Feature, encoder: OneHotEncoder | TargetMeanEncoder, columns: Columns) -> str:
    if isinstance(encoder, TargetMeanEncoder):
        n = len(encoder.places)
        places = columns.positions(feature, encoder.places, n + 1, n)
        return graph.node("Gather", graph.constant(encoder.table), places, axis=0)
    places = columns.positions(feature, encoder.places, encoder.n_outputs - 1 if encoder.has_rare else -1, -1)
    in_column = graph.node("Reshape", places, graph.constant([-1, 1], INT64))
    is_equal = graph.node("Equal", in_column, graph.constant(np.arange(encoder.n_outputs)[np.newaxis], INT64))
    return graph.node("Cast", is_equal, to=DOUBLE)


# ---------------------------------------------------------------- numbers


def _number_blocks(graph: Graph, numbers: list[_Numbers]) -> Iterator[_Block]:
    """The outputs of all columns of numbers."""
    x = graph.node("Concat", *(each.column for each in numbers), axis=1)
    fills = graph.constant([[each.encoder.fill for each in numbers]])
    x = graph.node("Where", graph.node("Equal", x, x), x, fills)
    scaled = [i for i, each in enumerate(numbers) if each.encoder.is_scaled]
    if scaled:
        chosen = [numbers[i] for i in scaled]
        t = graph.node("Sub", graph.columns(x, scaled), graph.constant([each.encoder.fill for each in chosen]))
        t = graph.node("Div", t, graph.constant([each.encoder.scale for each in chosen]))
        yield _smooth_clip(graph, t), [each.place for each in chosen]
    for i, each in enumerate(numbers):
        if len(each.encoder.knots):
            yield _interpolated(graph, graph.columns(x, [i]), each.encoder), [each.place + each.encoder.is_scaled]
    if any(len(each.encoder.edges) for each in numbers):
        yield _piecewise_linear(graph, x, numbers)


def _smooth_clip(graph: Graph, t: str) -> str:
    """t / sqrt(1 + (t / 3)^2)."""
    t = graph.clipped(t, -FARTHEST, FARTHEST)
    third = times(graph, 1 / 3, t)
    return graph.node("Div", t, graph.node("Sqrt", plus(graph, graph.node("Mul", third, third), 1)))


def _interpolated(graph: Graph, x: str, encoder: NumberEncoder) -> str:
    """The normal score of each number: the first score, plus the rise over each interval as far as x goes into it."""
    lows, highs = encoder.knots[:-1], encoder.knots[1:]
    # Knots may be equal because of rounding. The score jumps there, between the knot and the float below it.
    lows = np.where(lows < highs, lows, np.nextafter(highs, -np.inf))
    rises = np.diff(encoder.scores)[:, np.newaxis]
    share = graph.clipped(_share(graph, x, lows, highs), 0, 1)
    return plus(graph, graph.node("MatMul", share, graph.constant(rises)), encoder.scores[0])


def _piecewise_linear(graph: Graph, x: str, numbers: list[_Numbers]) -> _Block:
    """The piecewise linear encoding of all columns side by side."""
    sources: list[int] = []
    places: list[int] = []
    bounds: list[NDArray] = []  # for each column: the ends of the bins, and the least and largest outputs
    for i, each in enumerate(numbers):
        edges, n_bins = each.encoder.edges, max(len(each.encoder.edges) - 1, 0)
        if n_bins:
            least, largest = np.zeros(n_bins), np.ones(n_bins)
            least[0], largest[-1] = BELOW, ABOVE
            sources += n_bins * [i]
            places += range(each.first_bin, each.first_bin + n_bins)
            bounds.append(np.stack([edges[:-1], edges[1:], least, largest]))
    lows, highs, least, largest = np.concatenate(bounds, axis=1)
    return graph.clipped(_share(graph, graph.columns(x, sources), lows, highs), least, largest), places


def _share(graph: Graph, x: str, lows: NDArray, highs: NDArray) -> str:
    """(x - low) / (high - low)."""
    return graph.node("Div", graph.node("Sub", x, graph.constant(lows)), graph.constant(highs - lows))


# ---------------------------------------------------------------- for skl2onnx


def convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a TableEncoder."""
    encoder = operator.raw_operator
    refuse_dates(encoder)
    graph = Graph(scope, container, DOUBLE)
    out = encoded(graph, encoder, Columns(graph, operator, encoder._features))
    graph.node("Identity", out, output=operator.outputs[0].full_name)


def parse_encoder(scope: Any, encoder: Any, inputs: list[Any], custom_parsers: Any = None) -> list[Any]:
    """Declare the output of a TableEncoder with its dtype. skl2onnx would take the type of the first input."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    operator = scope.declare_local_operator(f"Fastbp{TableEncoder.__name__}", encoder)
    operator.inputs = inputs
    kind = DoubleTensorType if proto_dtype(encoder.dtype) == DOUBLE else FloatTensorType
    operator.outputs.append(scope.declare_local_variable("variable", kind()))
    return operator.outputs


def encoder_shapes(operator: Any) -> None:
    """Set the shape of the output of a TableEncoder."""
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n, len(operator.raw_operator.source_indices_)]
