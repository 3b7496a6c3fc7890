"""The converters of TabularClassifier and TabularRegressor."""

from typing import Any

from ..tabular.classifier import TabularClassifier
from ..tabular.regressor import TabularRegressor
from .columns import Columns
from .graph import DOUBLE, INT64, Graph
from .networks import Votes, forward, label_type, labels_of, votes_of, winning_label
from .tables import encoded, proto_dtype, refuse_dates


def _average(graph: Graph, operator: Any, votes: Votes) -> str:
    """The average of the votes of all networks, in double precision."""
    model, terms = operator.raw_operator, []
    for encoder in model.encoders_:
        refuse_dates(encoder)
    if not model.networks_:
        return _constant(graph, operator.inputs[0].full_name, model._prior)
    columns = Columns(graph, operator, [feature for encoder in model.encoders_ for feature in encoder._features])
    for encoder, networks in zip(model.encoders_, model.networks_, strict=True):
        x = encoded(graph, encoder, columns)
        for network in networks:
            dtype = proto_dtype(network.coefs_[0].dtype)
            own = graph.in_dtype(dtype)
            terms.append(graph.node("Cast", votes(own, network, own.node("Cast", x, to=dtype)), to=DOUBLE))
    total = graph.node("Sum", *terms)
    return graph.node("Mul", total, graph.constant(1 / len(terms)))


def _constant(graph: Graph, given: str, row: Any) -> str:
    """A matrix with this row for each row of the input."""
    n_rows = graph.node("Gather", graph.node("Shape", given), graph.constant([0], INT64), axis=0)
    shape = graph.node("Concat", n_rows, graph.constant([1], INT64), axis=0)
    return graph.node("Expand", graph.constant(row), shape)


def _output(graph: Graph, values: str, output: Any) -> None:
    """Give the values the name and the type of an output."""
    from skl2onnx.common.data_types import guess_proto_type

    graph.node("Cast", values, output=output.full_name, to=guess_proto_type(output.type))


def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a TabularClassifier."""
    graph, (label, probabilities) = Graph(scope, container, DOUBLE), operator.outputs[:2]
    average = _average(graph, operator, votes_of)
    _output(graph, average, probabilities)
    winning_label(graph, labels_of(scope, operator.raw_operator), average, label.full_name)


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a TabularRegressor."""
    model: TabularRegressor = operator.raw_operator
    graph, unit = Graph(scope, container, DOUBLE), model._unit
    values = graph.node("Mul", _average(graph, operator, forward), graph.constant(unit["scale"]))
    values = graph.node("Add", values, graph.constant(unit["center"]))
    if model.clip:
        values = graph.clipped(values, unit["low"], unit["high"])
    values = graph.node("Mul", values, graph.constant(unit["factor"]))
    if model._fitted_target().quantiles:
        values = graph.ascending(values, model.n_outputs_)
    _output(graph, values, operator.outputs[0])


def classifier_shapes(operator: Any) -> None:
    """Set the types and shapes of the outputs of a TabularClassifier.

    Probabilities are float32, because onnxruntime makes dicts of float32 only. With the option ``zipmap="columns"``,
    skl2onnx has already chosen their type.
    """
    from skl2onnx.common.data_types import FloatTensorType

    model: TabularClassifier = operator.raw_operator
    shape = [operator.inputs[0].get_first_dimension(), len(model.classes_)]
    label, probabilities = operator.outputs[:2]
    label.set_type(label_type(operator, shape[0]))
    if operator.scope_inst.get_options(model, {"zipmap": True})["zipmap"] == "columns":
        probabilities.type.shape = shape
    else:
        probabilities.set_type(FloatTensorType(shape))


def parse_regressor(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> list[Any]:
    """Declare the output of a TabularRegressor: float64 if an input is float64, otherwise float32."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    operator = scope.declare_local_operator(f"Fastbp{TabularRegressor.__name__}", model)
    operator.inputs = inputs
    is_double = any(isinstance(given.type, DoubleTensorType) for given in inputs)
    kind = DoubleTensorType if is_double else FloatTensorType
    operator.outputs.append(scope.declare_local_variable("variable", kind()))
    return operator.outputs


def regressor_shapes(operator: Any) -> None:
    """Set the shape of the output of a TabularRegressor."""
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [n, operator.raw_operator.n_outputs_]
