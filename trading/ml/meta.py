"""Learning to adapt: first weights from which a few steps on a new task go far.

Source:
    C. Finn, P. Abbeel, S. Levine (2017), "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML,
    algorithm 1; second order, all tasks at once.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

Weights = dict[str, Tensor]


class Tasks(NamedTuple):
    """Tasks to classify: adapt on the support, be judged on the query.

    Shapes: inputs (N, n, D) float, labels (N, n) int64.
    """

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor


def cost(net: nn.Module, weights: Weights, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of `net` with `weights`."""
    return functional.cross_entropy(functional_call(net, weights, (inputs,)), labels)


def adapted(net: nn.Module, weights: Weights, inputs: Tensor, labels: Tensor, steps: int, rate: float) -> Weights:
    """Return `weights` after `steps` of gradient descent on one task; differentiable, through every step."""

    def cost_of(each: Weights) -> Tensor:
        return cost(net, each, inputs, labels)

    for _ in range(steps):
        slope = grad(cost_of)(weights)
        weights = {name: each - rate * slope[name] for name, each in weights.items()}
    return weights


def query_costs(net: nn.Module, weights: Weights, tasks: Tasks, steps: int, rate: float) -> Tensor:
    """Return (N,) what each task's query costs after adapting on its support."""

    def one(support: Tensor, support_labels: Tensor, query: Tensor, query_labels: Tensor) -> Tensor:
        return cost(net, adapted(net, weights, support, support_labels, steps, rate), query, query_labels)

    found: Tensor = vmap(one)(*tasks)
    return found


def meta_train(
    net: nn.Module, tasks: Tasks, *, rounds: int, batch: int, steps: int, rate: float, outer_rate: float, seed: int
) -> list[float]:
    """Change the weights of `net` so that they adapt well; return the mean query cost of each round."""
    draw = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), outer_rate)
    found = []
    for _ in range(rounds):
        chosen = torch.from_numpy(draw.choice(len(tasks.support), min(batch, len(tasks.support)), replace=False))
        some = Tasks(*(part[chosen] for part in tasks))
        mean = query_costs(net, dict(net.named_parameters()), some, steps, rate).mean()
        optimizer.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        found.append(float(mean.detach()))
    return found


def adapt(net: nn.Module, inputs: Tensor, labels: Tensor, *, steps: int, rate: float) -> None:
    """Adapt the weights of `net` itself to one task."""
    weights = {name: each.detach() for name, each in net.named_parameters()}
    with torch.no_grad():
        for name, each in adapted(net, weights, inputs, labels, steps, rate).items():
            net.get_parameter(name).copy_(each)
