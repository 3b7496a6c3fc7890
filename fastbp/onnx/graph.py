"""The nodes of one estimator in an ONNX graph."""

from collections.abc import Hashable
from typing import Any, Self

import numpy as np

# The types of tensors, by their numbers in TensorProto of the package onnx. The format fixes these numbers.
FLOAT, INT64, STRING, BOOL, FLOAT16, DOUBLE = 1, 7, 8, 9, 10, 11


class Graph:
    """The nodes of one estimator in an ONNX graph. The name of a node's output stands for the node.

    Parameters
    ----------
    scope, container : objects of skl2onnx
        They give new names, and hold all nodes.
    dtype : int
        The type of the arithmetic, FLOAT or DOUBLE.
    """

    def __init__(self, scope: Any, container: Any, dtype: int, known: dict[Hashable, str] | None = None):
        self._scope, self._container, self._dtype = scope, container, dtype
        # The nodes so far. skl2onnx takes a time that is quadratic in their number, so no node is added twice.
        self._known = {} if known is None else known

    def in_dtype(self, dtype: int) -> Self:
        """The same graph with arithmetic of another type."""
        return type(self)(self._scope, self._container, dtype, self._known)

    def node(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """The name of the output of a node, which is added unless the graph has the same node already."""
        key = operator, inputs, output, domain, repr(sorted(attributes.items()))
        if key not in self._known:
            self._known[key] = output or self._scope.get_unique_variable_name(operator.lower())
            name = self._scope.get_unique_operator_name(operator)
            self._container.add_node(
                operator, list(inputs), self._known[key], op_domain=domain, name=name, **attributes
            )
        return self._known[key]

    def constant(self, values: Any, dtype: int | None = None) -> str:
        """The name of a constant, which is added if it is new. By default its dtype is that of the arithmetic."""
        values, dtype = np.asarray(values), dtype or self._dtype
        key = dtype, values.shape, values.dtype.str, values.tobytes()
        if key not in self._known:
            self._known[key] = self._scope.get_unique_variable_name("constant")
            self._container.add_initializer(self._known[key], dtype, values.shape, values.ravel().tolist())
        return self._known[key]

    def clipped(self, x: str, low: Any, high: Any) -> str:
        """The values of x, not below low and not above high. The bounds are broadcast."""
        return self.node("Max", self.node("Min", x, self.constant(high)), self.constant(low))

    def columns(self, x: str, chosen: Any) -> str:
        """Some columns of the matrix x, by their indices."""
        return self.node("Gather", x, self.constant(chosen, INT64), axis=1)

    def ascending(self, x: str, n: int) -> str:
        """The matrix x of n columns with each row sorted."""
        values, places = (self._scope.get_unique_variable_name(name) for name in ("sorted", "places"))
        name, inputs = self._scope.get_unique_operator_name("TopK"), [x, self.constant([n], INT64)]
        self._container.add_node("TopK", inputs, [values, places], name=name, axis=1, largest=0, sorted=1)
        return values
