"""Converters of networks and ensembles. They take one input, a matrix."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.targets import MULTILABEL
from ..ensemble.classifier import BackpropEnsembleClassifier
from ..ensemble.regressor import BackpropEnsembleRegressor
from ..estimators.classifier import PROBABILITIES
from ..network.architecture import hidden_activations
from .activations import ACTIVATIONS, plus, times
from .graph import DOUBLE, FLOAT, INT64, STRING, Graph

Votes = Callable[[Graph, Any, str], str]  # from a network and its input to its votes


def _begun(scope: Any, operator: Any, container: Any) -> tuple[Graph, str]:
    """A graph, and the name of X in this graph, in the dtype of the arithmetic."""
    from skl2onnx.common.data_types import guess_proto_type

    given = operator.inputs[0]  # `_only_input` has checked that there is no other
    dtype = DOUBLE if guess_proto_type(given.type) == DOUBLE else FLOAT
    graph = Graph(scope, container, dtype)
    return graph, graph.node("Cast", given.full_name, to=dtype)


def forward(graph: Graph, net: Any, a: str) -> str:
    """a^(L) of a network, from the name of X.

    z^(l+1) = a^(l) Theta^(l)[1:] + Theta^(l)[0], a^(l+1) = g(z^(l+1)).
    """
    activations = (*hidden_activations(net.activation, len(net.coefs_) - 1), net.out_activation_)
    for coef, intercept, activation in zip(net.coefs_, net.intercepts_, activations, strict=True):
        z = graph.node("Add", graph.node("MatMul", a, graph.constant(coef)), graph.constant(intercept))
        a = ACTIVATIONS[activation](graph, z)
    return a


def _average(graph: Graph, ensemble: Any, votes: Votes, x: str) -> str:
    """The weighted average of the votes of the members."""
    members = zip(ensemble.members_, ensemble.weights_, strict=True)
    terms = [times(graph, weight, votes(graph, member, x)) for member, weight in members if weight]
    return graph.node("Sum", *terms)


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a regressor or of an ensemble of regressors."""
    net = operator.raw_operator
    graph, x = _begun(scope, operator, container)
    ensemble = isinstance(net, BackpropEnsembleRegressor)
    a = _average(graph, net, forward, x) if ensemble else forward(graph, net, x)
    graph.node("Identity", a, output=operator.outputs[0].full_name)


def _by_class(graph: Graph, net: Any, a: str) -> str:
    """An output for each class or label, from a^(L). For two classes with a single output, these are 1 - a and a."""
    if net._target_kind == MULTILABEL:
        return a
    if len(net.classes_) == 1:
        return plus(graph, times(graph, 0, a), 1)
    return graph.node("Concat", graph.node("Sub", graph.constant(1), a), a, axis=1) if net.n_outputs_ == 1 else a


def _probabilities(graph: Graph, net: Any, a: str) -> str:
    """The probabilities of the classes, from outputs by class; outputs that are not probabilities stay as they are."""
    is_logistic = net.out_activation_ in PROBABILITIES and net.out_activation_ != "softmax"
    single_label = net._target_kind != MULTILABEL and net.n_outputs_ > 1
    return _normalised(graph, a, net.n_outputs_) if is_logistic and single_label else a


def votes_of(graph: Graph, net: Any, x: str) -> str:
    """The votes of a classifier in an ensemble."""
    return _probabilities(graph, net, _by_class(graph, net, forward(graph, net, x)))


def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a classifier or of an ensemble of classifiers."""
    net = operator.raw_operator
    label, probabilities = (output.full_name for output in operator.outputs[:2])
    graph, x = _begun(scope, operator, container)
    if isinstance(net, BackpropEnsembleClassifier):
        a = normalised = _average(graph, net, votes_of, x)
    else:
        a = _by_class(graph, net, forward(graph, net, x))
        normalised = _probabilities(graph, net, a)
    graph.node("Identity", normalised, output=probabilities)
    if net._target_kind == MULTILABEL:
        below = graph.node("Less", a, graph.constant(0.5))
        graph.node("Cast", graph.node("Not", below), output=label, to=INT64)
    else:
        winning_label(graph, labels_of(scope, net), a, label)


def winning_label(graph: Graph, classes: NDArray, a: str, output: str) -> None:
    """The class with the largest of the outputs a, under the name `output`."""
    if classes.dtype.kind == "i":
        labels = graph.constant(classes, INT64)
    else:
        labels = graph.constant([name.encode() for name in classes], STRING)
    winners = graph.node("ArgMax", a, axis=1)
    winning = graph.node("ArrayFeatureExtractor", labels, winners, domain="ai.onnx.ml")
    graph.node("Reshape", winning, graph.constant([-1], INT64), output=output)


def _normalised(graph: Graph, a: str, n: int) -> str:
    """The outputs divided by their sum. If the sum is 0, all results are 1 / n."""
    sums = graph.node("MatMul", a, graph.constant(np.ones((n, 1))))
    positive = graph.node("Greater", sums, graph.constant(0))
    shares = graph.node("Div", a, graph.node("Where", positive, sums, graph.constant(1)))
    return graph.node("Where", positive, shares, graph.constant(np.full((1, n), 1 / n)))


def labels_of(scope: Any, net: Any) -> NDArray:
    """The classes: numbers become int64, and strings stay. Classes that are dates cannot be exported."""
    from skl2onnx.common.utils_classifier import get_label_classes

    classes = np.asarray(get_label_classes(scope, net))
    return classes.astype(np.int64) if classes.dtype.kind in "iubf" else classes


def _only_input(operator: Any) -> Any:
    """The input of an estimator, a matrix. Raises ValueError for several inputs, such as the columns of a frame."""
    if len(operator.inputs) != 1:
        name, n = type(operator.raw_operator).__name__, operator.raw_operator.n_features_in_
        raise ValueError(
            f"{name} takes one input, a matrix of {n} columns, but to_onnx got {len(operator.inputs)} inputs: "
            f"{', '.join(given.raw_name for given in operator.inputs)}. Of a frame, to_onnx makes an input for each "
            f"column. Pass X.to_numpy() instead of the frame X, or convert a Pipeline that begins with a "
            "ColumnTransformer or a TableEncoder."
        )
    return operator.inputs[0]


def classifier_shapes(operator: Any) -> None:
    """Set the types of the labels and the shapes of both outputs of a network or ensemble."""
    from skl2onnx.common.data_types import Int64TensorType

    net, n = operator.raw_operator, _only_input(operator).get_first_dimension()
    label, probabilities = operator.outputs[:2]
    probabilities.type.shape = [n, len(net.classes_)]
    if net._target_kind == MULTILABEL:
        label.set_type(Int64TensorType([n, net.n_outputs_]))
    else:
        label.set_type(label_type(operator, n))


def label_type(operator: Any, n: Any) -> Any:
    """The type of n labels."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    is_integer = labels_of(operator.scope_inst, operator.raw_operator).dtype.kind == "i"
    return (Int64TensorType if is_integer else StringTensorType)([n])


def regressor_shapes(operator: Any) -> None:
    """Set the shape of the output of a network or ensemble."""
    operator.outputs[0].type.shape = [_only_input(operator).get_first_dimension(), operator.raw_operator.n_outputs_]
