"""The activations as nodes of ONNX."""

from collections.abc import Callable

from ..kernels.activations import GELU_CUBE, GELU_SCALE, LEAK, SELU_ALPHA, SELU_SCALE
from .graph import Graph


def times(graph: Graph, factor: float, z: str) -> str:
    return graph.node("Mul", z, graph.constant(factor))


def plus(graph: Graph, z: str, summand: float) -> str:
    return graph.node("Add", z, graph.constant(summand))


def _leaky_relu(graph: Graph, z: str) -> str:
    return graph.node("Max", z, times(graph, LEAK, z))


def _elu(graph: Graph, z: str, alpha: float = 1.0) -> str:  # max(z, 0) + alpha (e^min(z, 0) - 1)
    below = plus(graph, graph.node("Exp", graph.node("Min", z, graph.constant(0))), -1)
    return graph.node("Add", graph.node("Relu", z), below if alpha == 1 else times(graph, alpha, below))


def _softplus(graph: Graph, z: str) -> str:  # max(z, 0) + log(1 + e^-|z|)
    small = graph.node("Exp", graph.node("Neg", graph.node("Abs", z)))
    return graph.node("Add", graph.node("Relu", z), graph.node("Log", plus(graph, small, 1)))


def _silu(graph: Graph, z: str) -> str:  # z / (1 + e^-z)
    # Not z * logistic(z), because onnxruntime 1.20 fuses this product into an operator that exists in float32 only.
    return graph.node("Div", z, plus(graph, graph.node("Exp", graph.node("Neg", z)), 1))


def _gelu(graph: Graph, z: str) -> str:  # z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2
    cube = graph.node("Mul", z, graph.node("Mul", z, z))
    inner = graph.node("Add", z, times(graph, GELU_CUBE, cube))
    outer = plus(graph, graph.node("Tanh", times(graph, GELU_SCALE, inner)), 1)
    return graph.node("Mul", times(graph, 0.5, z), outer)


def _mish(graph: Graph, z: str) -> str:  # z tanh(softplus(z))
    return graph.node("Mul", z, graph.node("Tanh", _softplus(graph, z)))


def _hard_swish(graph: Graph, z: str) -> str:  # z min(max(z + 3, 0), 6) / 6
    gate = graph.node("Min", graph.node("Relu", plus(graph, z, 3)), graph.constant(6))
    return graph.node("Mul", z, times(graph, 1 / 6, gate))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "identity": lambda graph, z: z,
    "logistic": lambda graph, z: graph.node("Sigmoid", z),
    "tanh": lambda graph, z: graph.node("Tanh", z),
    "relu": lambda graph, z: graph.node("Relu", z),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
    "selu": lambda graph, z: times(graph, SELU_SCALE, _elu(graph, z, SELU_ALPHA)),
    "mish": _mish,
    "hard_swish": _hard_swish,
    "exp": lambda graph, z: graph.node("Exp", z),
    "softmax": lambda graph, z: graph.node("Softmax", z, axis=1),
}
