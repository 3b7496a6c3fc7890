"""The columns of a table as inputs of an ONNX graph: numbers, and the places of categories."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..encoding import Feature
from ..encoding.columns import Kind, key_of
from ..encoding.outputs import made_different
from .activations import plus, times
from .graph import BOOL, DOUBLE, FLOAT, FLOAT16, INT64, STRING, Graph

# onnxruntime turns the missing values of an array of objects into these strings. Each of them stands for a missing
# category, unless it is itself a category of the fit.
MISSING = ("None", "nan", "<NA>", "NaT")
# The names of outputs. skl2onnx renames an input that has one of these names.
OUTPUTS = ("label", "probabilities", "variable", "output_label", "output_probability", "class_labels")
# If two integers differ by less than NEAR, the arithmetic of int64 gives their true difference, see NumberEncoder.
NEAR = 2.0**62


class Given(NamedTuple):
    """An input with the values of one column, of shape (n, 1)."""

    tensor: str
    type: int  # as in TensorProto
    column: str  # the name of the column, for messages


def names_of(estimator: Any) -> list[str]:
    """The names of the columns of the fit: 'x0', 'x1' and so on if there were none."""
    named = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if named is None else named.tolist()


def input_names(estimator: Any) -> list[str]:
    """For each column of the fit, a name that skl2onnx keeps. It would replace some characters, and equal names."""
    words = [re.sub(r"[^\w+]", "_", name) or "_" for name in names_of(estimator)]
    words = [f"_{word}" if word[0] in "0123456789" else word for word in words]
    return made_different([*OUTPUTS, *words])[len(OUTPUTS) :]


def missing_marks(keys: Iterable[str]) -> list[str]:
    """The strings that stand for a missing category in a column of these categories."""
    known = set(keys)
    return [mark for mark in MISSING if mark not in known]


def keys_of(feature: Feature) -> set[str]:
    """The categories of a feature, as far as its encoders know them."""
    return {key for encoder in feature.encoders.values() for key in getattr(encoder, "places", ())}


class Columns:
    """The columns of the table of one operator, by their indices in the fit.

    Parameters
    ----------
    graph : Graph
        In double precision.
    operator : object of skl2onnx
        Its inputs have the columns of the fit in their order, and each input has one column or more. Or each input has
        one column and the name of this column. Then columns that the fit has left out may be missing.
    used : sequence of Feature
        The features whose columns are needed.
    """

    def __init__(self, graph: Graph, operator: Any, used: Iterable[Feature]):
        self._graph = graph
        self._given = self._by_place(operator, [feature.source for feature in used])

    def _by_place(self, operator: Any, used: list[int]) -> dict[int, Given]:
        from skl2onnx.common.data_types import guess_proto_type

        estimator, inputs = operator.raw_operator, operator.inputs
        names = names_of(estimator)
        widths = [_width(given, len(names) if len(inputs) == 1 else 1) for given in inputs]
        types = [guess_proto_type(given.type) for given in inputs]
        by_name = dict(zip((given.raw_name for given in inputs), range(len(inputs)), strict=True))
        for known in (names, input_names(estimator)):
            if max(widths) == 1 and all(known[source] in by_name for source in used):
                places = {source: by_name[known[source]] for source in used}
                return {i: Given(inputs[place].full_name, types[place], names[i]) for i, place in places.items()}
        one_each = max(widths) == 1 and len(inputs) > 1
        if sum(widths) != len(names) or (one_each and hasattr(estimator, "feature_names_in_")):
            needed = ", ".join(repr(names[source]) for source in used)
            raise ValueError(
                f"{type(estimator).__name__} takes an input of one column for each of these columns of the fit, under "
                f"its name: {needed}; or one matrix of {len(names)} columns. But it got {sum(widths)} columns: "
                f"{', '.join(repr(given.raw_name) for given in inputs)}. fastbp.onnx.initial_types lists the inputs."
            )
        given: dict[int, Given] = {}
        for each, width, kind in zip(inputs, widths, types, strict=True):
            for j in range(width):
                tensor = each.full_name if width == 1 else self._graph.columns(each.full_name, [j])
                given[len(given)] = Given(tensor, kind, names[len(given)])
        return given

    def numbers(self, feature: Feature, offset: int = 0) -> str:
        """The numbers of a feature minus the offset, of shape (n, 1), in double precision. NaN if they are missing."""
        given, graph = self._given[feature.source], self._graph
        if given.type == STRING:
            raise ValueError(
                f"column {given.column!r} is encoded as numbers, but its input has strings, which no operator turns "
                "into numbers. Its input must be DoubleTensorType([None, 1]), as in fastbp.onnx.initial_types, and "
                "fastbp.onnx.input_feed reads the numbers. If a ColumnTransformer passes numbers and text to one "
                "encoder, skl2onnx turns all into strings: use two encoders."
            )
        x = graph.node("Cast", given.tensor, to=DOUBLE)
        if not offset:
            return x
        far = plus(graph, x, -float(offset))
        if given.type != INT64:
            return far
        exact = graph.node("Cast", graph.node("Sub", given.tensor, graph.constant([[offset]], INT64)), to=DOUBLE)
        is_near = graph.node("Less", graph.node("Abs", far), graph.constant(NEAR))
        return graph.node("Where", is_near, exact, far)

    def is_missing(self, feature: Feature) -> str:
        """1 where the value of a feature is missing, otherwise 0, of shape (n, 1), in double precision."""
        if feature.kind == Kind.NUMBER:
            offsets = [getattr(encoder, "offset", 0) for encoder in feature.encoders.values()]
            return self._is_nan(self.numbers(feature, *offsets))
        marks = self.positions(feature, dict.fromkeys(keys_of(feature), 0), 0, 1)
        in_column = self._graph.node("Reshape", marks, self._graph.constant([-1, 1], INT64))
        return self._graph.node("Cast", in_column, to=DOUBLE)

    def positions(self, feature: Feature, places: Mapping[str, int], unseen: int, missing: int) -> str:
        """For each value of a feature of categories, its place, or `unseen` or `missing`, of shape (n,)."""
        given, graph = self._given[feature.source], self._graph
        if given.type == STRING:
            table = dict(places) | dict.fromkeys(missing_marks(places), missing)
            codes = graph.node(
                "LabelEncoder",
                given.tensor,
                domain="ai.onnx.ml",
                op_version=2,  # without a version, skl2onnx would take the newest one, and then refuse it
                keys_strings=list(table),
                values_int64s=list(table.values()),
                default_int64=unseen,
            )
        else:
            codes = self._positions_of_numbers(given, places, unseen, missing)
        return graph.node("Reshape", codes, graph.constant([-1], INT64))

    def _positions_of_numbers(self, given: Given, places: Mapping[str, int], unseen: int, missing: int) -> str:
        """The places of numbers or booleans that are categories, of shape (n, 1)."""
        graph, is_float = self._graph, given.type in (FLOAT16, FLOAT, DOUBLE)
        found = {_number_of(key, given.type): place for key, place in places.items()}
        numbers = {number: place for number, place in found.items() if number is not None} or {0: unseen}
        dtype = DOUBLE if is_float else INT64
        x = graph.node("Cast", given.tensor, to=dtype)
        is_equal = graph.node("Equal", x, graph.constant([list(numbers)], dtype))
        shifts = np.array([[place - unseen] for place in numbers.values()])
        shift = graph.node("MatMul", graph.node("Cast", is_equal, to=DOUBLE), graph.constant(shifts))
        if is_float:
            shift = graph.node("Add", shift, times(graph, missing - unseen, self._is_nan(x)))
        return graph.node("Cast", plus(graph, shift, unseen), to=INT64)

    def _is_nan(self, x: str) -> str:
        return self._graph.node("Cast", self._graph.node("Not", self._graph.node("Equal", x, x)), to=DOUBLE)


def _width(given: Any, default: int) -> int:
    """The number of columns of an input."""
    shape = given.type.shape
    return int(shape[1]) if len(shape) == 2 and shape[1] is not None else default


def _number_of(key: str, kind: int) -> int | float | None:
    """The number of this type whose category is `key`, if there is one."""
    if kind == BOOL:
        return {"False": 0, "True": 1}.get(key)
    try:
        number = float(key) if kind in (FLOAT16, FLOAT, DOUBLE) else int(key)
    except ValueError:
        return None
    in_range = isinstance(number, float) or -(2**63) <= number < 2**63
    return number if in_range and key_of(number) == key else None
