"""Export to ONNX: converters of the estimators for skl2onnx, alone and in pipelines. Needs the extra `onnx`.

The converters use only operators that onnxruntime has both in float32 and in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data.targets import MULTILABEL
from .ensemble.classifier import BackpropEnsembleClassifier
from .ensemble.regressor import BackpropEnsembleRegressor
from .estimators.classifier import PROBABILITIES, BackpropClassifier
from .estimators.regressor import BackpropRegressor
from .extras import require
from .kernels.activations import GELU_CUBE, GELU_SCALE, LEAK, SELU_ALPHA, SELU_SCALE
from .network.architecture import hidden_activations

__all__ = ["register_onnx_converters"]


def register_onnx_converters() -> None:
    """Let skl2onnx convert the estimators and the ensembles of fastbp, from now on in this process.

    A classifier has the outputs and options of scikit-learn's classifiers: `label`, and `probabilities` as a list of
    dicts or, with the option ``zipmap=False``, as a matrix. If the classifier has no `predict_proba`, `probabilities`
    has the outputs a^(L) of the network instead. For two classes with a single output, these are 1 - a^(L) and a^(L).
    A regressor has one output `variable` of shape (n_samples, n_outputs). An ensemble is one model, with the outputs of
    its members' class. Members of weight 0 are left out.
    Arithmetic is float64 for float64 input, otherwise float32. In float64, onnxruntime supports neither dicts (ZipMap)
    nor scikit-learn's SimpleImputer. An estimator takes one input, a matrix.

    Raises
    ------
    ImportError
        skl2onnx or onnx is not installed.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BackpropClassifier
    >>> from fastbp.onnx import register_onnx_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = BackpropClassifier(solver="lbfgs", hidden_layer_sizes=(5,), random_state=0).fit(X, y)
    >>> register_onnx_converters()
    >>> model = skl2onnx.to_onnx(clf, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    require("skl2onnx", "onnx", extra="onnx", by="register_onnx_converters")
    from skl2onnx import update_registered_converter

    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
    for classifier in (BackpropClassifier, BackpropEnsembleClassifier):
        name = f"Fastbp{classifier.__name__}"
        update_registered_converter(classifier, name, _classifier_shapes, _convert_classifier, options=options)
    for regressor in (BackpropRegressor, BackpropEnsembleRegressor):
        name = f"Fastbp{regressor.__name__}"
        update_registered_converter(regressor, name, _regressor_shapes, _convert_regressor)


class _Graph:
    """The nodes of one estimator in an ONNX graph. The name of a node's output stands for the node."""

    def __init__(self, scope: Any, container: Any, dtype: int):
        self._scope, self._container, self._dtype = scope, container, dtype

    def node(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or self._scope.get_unique_variable_name(operator.lower())
        name = self._scope.get_unique_operator_name(operator)
        self._container.add_node(operator, list(inputs), output, op_domain=domain, name=name, **attributes)
        return output

    def constant(self, values: Any, dtype: int | None = None) -> str:
        """Add a constant and return its name. By default its dtype is that of the arithmetic."""
        name, values = self._scope.get_unique_variable_name("constant"), np.asarray(values)
        self._container.add_initializer(name, dtype or self._dtype, values.shape, values.ravel().tolist())
        return name


def _times(graph: _Graph, factor: float, z: str) -> str:
    return graph.node("Mul", z, graph.constant(factor))


def _plus(graph: _Graph, z: str, summand: float) -> str:
    return graph.node("Add", z, graph.constant(summand))


def _leaky_relu(graph: _Graph, z: str) -> str:
    return graph.node("Max", z, _times(graph, LEAK, z))


def _elu(graph: _Graph, z: str, alpha: float = 1.0) -> str:  # max(z, 0) + alpha (e^min(z, 0) - 1)
    below = _plus(graph, graph.node("Exp", graph.node("Min", z, graph.constant(0))), -1)
    return graph.node("Add", graph.node("Relu", z), below if alpha == 1 else _times(graph, alpha, below))


def _softplus(graph: _Graph, z: str) -> str:  # max(z, 0) + log(1 + e^-|z|)
    small = graph.node("Exp", graph.node("Neg", graph.node("Abs", z)))
    return graph.node("Add", graph.node("Relu", z), graph.node("Log", _plus(graph, small, 1)))


def _silu(graph: _Graph, z: str) -> str:  # z / (1 + e^-z)
    # Not z * logistic(z), because onnxruntime 1.20 fuses this product into an operator that exists in float32 only.
    return graph.node("Div", z, _plus(graph, graph.node("Exp", graph.node("Neg", z)), 1))


def _gelu(graph: _Graph, z: str) -> str:  # z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2
    cube = graph.node("Mul", z, graph.node("Mul", z, z))
    inner = graph.node("Add", z, _times(graph, GELU_CUBE, cube))
    outer = _plus(graph, graph.node("Tanh", _times(graph, GELU_SCALE, inner)), 1)
    return graph.node("Mul", _times(graph, 0.5, z), outer)


def _mish(graph: _Graph, z: str) -> str:  # z tanh(softplus(z))
    return graph.node("Mul", z, graph.node("Tanh", _softplus(graph, z)))


def _hard_swish(graph: _Graph, z: str) -> str:  # z min(max(z + 3, 0), 6) / 6
    gate = graph.node("Min", graph.node("Relu", _plus(graph, z, 3)), graph.constant(6))
    return graph.node("Mul", z, _times(graph, 1 / 6, gate))


ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "logistic": lambda graph, z: graph.node("Sigmoid", z),
    "tanh": lambda graph, z: graph.node("Tanh", z),
    "relu": lambda graph, z: graph.node("Relu", z),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "selu": lambda graph, z: _times(graph, SELU_SCALE, _elu(graph, z, SELU_ALPHA)),
    "mish": _mish,
    "hard_swish": _hard_swish,
    "exp": lambda graph, z: graph.node("Exp", z),
    "softmax": lambda graph, z: graph.node("Softmax", z, axis=1),
}


def _begun(scope: Any, operator: Any, container: Any) -> tuple[_Graph, str]:
    """A graph, and the name of X in this graph, in the dtype of the arithmetic."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_proto_type

    given = operator.inputs[0]  # `_only_input` has checked that there is no other
    dtype = TensorProto.DOUBLE if guess_proto_type(given.type) == TensorProto.DOUBLE else TensorProto.FLOAT
    graph = _Graph(scope, container, dtype)
    return graph, graph.node("Cast", given.full_name, to=dtype)


def _forward(graph: _Graph, net: Any, a: str) -> str:
    """a^(L) of a network, from the name of X.

    z^(l+1) = a^(l) Theta^(l)[1:] + Theta^(l)[0], a^(l+1) = g(z^(l+1)).
    """
    activations = (*hidden_activations(net.activation, len(net.coefs_) - 1), net.out_activation_)
    for coef, intercept, activation in zip(net.coefs_, net.intercepts_, activations, strict=True):
        z = graph.node("Add", graph.node("MatMul", a, graph.constant(coef)), graph.constant(intercept))
        a = ACTIVATIONS[activation](graph, z)
    return a


def _average(graph: _Graph, ensemble: Any, votes: Callable[[_Graph, Any, str], str], x: str) -> str:
    """The weighted average of the votes of the members."""
    members = zip(ensemble.members_, ensemble.weights_, strict=True)
    terms = [_times(graph, weight, votes(graph, member, x)) for member, weight in members if weight]
    return graph.node("Sum", *terms)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    net = operator.raw_operator
    graph, x = _begun(scope, operator, container)
    ensemble = isinstance(net, BackpropEnsembleRegressor)
    a = _average(graph, net, _forward, x) if ensemble else _forward(graph, net, x)
    graph.node("Identity", a, output=operator.outputs[0].full_name)


def _by_class(graph: _Graph, net: Any, a: str) -> str:
    """An output for each class or label, from a^(L). For two classes with a single output, these are 1 - a and a."""
    if net._target_kind == MULTILABEL:
        return a
    if len(net.classes_) == 1:
        return _plus(graph, _times(graph, 0, a), 1)
    return graph.node("Concat", graph.node("Sub", graph.constant(1), a), a, axis=1) if net.n_outputs_ == 1 else a


def _probabilities(graph: _Graph, net: Any, a: str) -> str:
    """The probabilities of the classes, from outputs by class; outputs that are not probabilities stay as they are."""
    is_logistic = net.out_activation_ in PROBABILITIES and net.out_activation_ != "softmax"
    single_label = net._target_kind != MULTILABEL and net.n_outputs_ > 1
    return _normalised(graph, a, net.n_outputs_) if is_logistic and single_label else a


def _votes(graph: _Graph, net: Any, x: str) -> str:
    """The votes of a classifier in an ensemble."""
    return _probabilities(graph, net, _by_class(graph, net, _forward(graph, net, x)))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    net = operator.raw_operator
    label, probabilities = (output.full_name for output in operator.outputs[:2])
    graph, x = _begun(scope, operator, container)
    if isinstance(net, BackpropEnsembleClassifier):
        a = normalised = _average(graph, net, _votes, x)
    else:
        a = _by_class(graph, net, _forward(graph, net, x))
        normalised = _probabilities(graph, net, a)
    graph.node("Identity", normalised, output=probabilities)
    if net._target_kind == MULTILABEL:
        below = graph.node("Less", a, graph.constant(0.5))
        graph.node("Cast", graph.node("Not", below), output=label, to=TensorProto.INT64)
        return

    classes = _labels(scope, net)
    if classes.dtype.kind == "i":
        labels = graph.constant(classes, TensorProto.INT64)
    else:
        labels = graph.constant([name.encode() for name in classes], TensorProto.STRING)
    winners = graph.node("ArgMax", a, axis=1)
    winning = graph.node("ArrayFeatureExtractor", labels, winners, domain="ai.onnx.ml")
    graph.node("Reshape", winning, graph.constant([-1], TensorProto.INT64), output=label)


def _normalised(graph: _Graph, a: str, n: int) -> str:
    """The outputs divided by their sum. If the sum is 0, all results are 1 / n."""
    sums = graph.node("MatMul", a, graph.constant(np.ones((n, 1))))
    positive = graph.node("Greater", sums, graph.constant(0))
    shares = graph.node("Div", a, graph.node("Where", positive, sums, graph.constant(1)))
    return graph.node("Where", positive, shares, graph.constant(np.full((1, n), 1 / n)))


def _labels(scope: Any, net: Any) -> NDArray:
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
            f"column. Pass X.to_numpy() instead of the frame X, or convert a Pipeline whose ColumnTransformer joins "
            "the columns."
        )
    return operator.inputs[0]


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    net, n = operator.raw_operator, _only_input(operator).get_first_dimension()
    label, probabilities = operator.outputs[:2]
    probabilities.type.shape = [n, len(net.classes_)]
    if net._target_kind == MULTILABEL:
        label.set_type(Int64TensorType([n, net.n_outputs_]))
    else:
        kind = Int64TensorType if _labels(operator.scope_inst, net).dtype.kind == "i" else StringTensorType
        label.set_type(kind([n]))


def _regressor_shapes(operator: Any) -> None:
    operator.outputs[0].type.shape = [_only_input(operator).get_first_dimension(), operator.raw_operator.n_outputs_]
