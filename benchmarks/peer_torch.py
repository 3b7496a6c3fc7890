"""Training in PyTorch, eager: a loop over slices of a permutation, with fused Adam and without a DataLoader."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from streams import initial, orders
from workloads import ALPHA, BETA_1, BETA_2, EPSILON, LEARNING_RATE, Parameters, Workload


def limit_threads(threads: int) -> None:
    torch.set_num_threads(threads)


def _tensors(parameters: Parameters) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """(weights, biases). The weights are transposed, because PyTorch has them so."""
    return [torch.from_numpy(coef.T.copy()) for coef in parameters.coefs], [
        torch.from_numpy(intercept.copy()) for intercept in parameters.intercepts
    ]


def _forward(a: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor]) -> torch.Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        a = F.relu(F.linear(a, weight, bias))
    return F.linear(a, weights[-1], biases[-1])


def trainer(workload: Workload, X: NDArray[Any], y: NDArray[Any]) -> Any:
    """A function that trains for a number of epochs; see `libraries.trainer`."""
    binary = workload.classes == 2
    features = torch.from_numpy(X)
    targets = torch.from_numpy(y.astype(X.dtype)[:, None] if binary else y.astype(np.int64))
    mean_loss = F.binary_cross_entropy_with_logits if binary else F.cross_entropy

    def train(epochs: int) -> Parameters:
        rng = np.random.RandomState(0)
        weights, biases = _tensors(initial(workload, X.dtype, rng))
        for parameter in (*weights, *biases):
            parameter.requires_grad_()
        # The L2 term is weight decay, because that costs nothing.
        groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases}]
        adam = torch.optim.Adam(groups, LEARNING_RATE, (BETA_1, BETA_2), fused=True)
        curve, step = [], 0
        for order in orders(len(X), epochs, rng):
            total = torch.zeros((), dtype=features.dtype)
            for batch in torch.from_numpy(order).split(workload.batch):
                # scikit-learn divides the L2 term by the size of the batch. It adds epsilon before the bias correction,
                # not after it.
                step += 1
                adam.param_groups[0]["weight_decay"] = ALPHA / len(batch)
                for group in adam.param_groups:
                    group["eps"] = EPSILON / math.sqrt(1 - BETA_2**step)
                loss = mean_loss(_forward(features[batch], weights, biases), targets[batch])
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                total += loss.detach() * len(batch)
            curve.append(total.item() / len(X))
        return Parameters([w.detach().numpy().T for w in weights], [b.detach().numpy() for b in biases])

    return train


def predictor(parameters: Parameters) -> Any:
    """A function that gives class probabilities; see `libraries.predictor`."""
    weights, biases = _tensors(parameters)

    def predict(X: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            return F.softmax(_forward(torch.from_numpy(X), weights, biases), dim=1).numpy()

    return predict
