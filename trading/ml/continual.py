"""Learn what is new without losing what is old: elastic weight consolidation."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from trading.ml.losses import Batch, ForecastLoss


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """What an old task has settled: its parameters, and how much each of them matters to it."""

    weights: dict[str, Tensor]
    fisher: dict[str, Tensor]  # >= 0, like the weights

    def penalty(self, strength: float) -> Callable[[nn.Module], Tensor]:
        """Return what leaving the old parameters costs: strength / 2 * sum of fisher * distance squared."""

        def cost(net: nn.Module) -> Tensor:
            parts = [
                (self.fisher[name] * (each - self.weights[name]).square()).sum()
                for name, each in net.named_parameters()
            ]
            return strength / 2 * torch.stack(parts).sum()

        return cost

    def to(self, device: str) -> "Anchor":
        """Return it on `device`."""
        moved = ({name: each.to(device) for name, each in held.items()} for held in (self.weights, self.fisher))
        return Anchor(*moved)


def anchor(net: nn.Module, loss: ForecastLoss, batch: Batch) -> Anchor:
    """Return the anchor of what `net` has learned, from rows of the old task.

    The diagonal of the empirical Fisher information is the mean of the squared gradients of each row alone; the square
    of their mean would be near 0 wherever a training has converged.

    Source:
        J. Kirkpatrick et al. (2017), "Overcoming catastrophic forgetting in neural networks", PNAS 114(13), 3521-3526.
    """
    held = {name: each.detach().clone() for name, each in net.named_parameters()}
    net.eval()

    def of_one(weights: dict[str, Tensor], x: Tensor, known: Tensor, log_rv: Tensor, returns: Tensor) -> Tensor:
        row = Batch(*(each.unsqueeze(0) for each in (x, known, log_rv, returns)))
        return loss(functional_call(net, weights, (row.x, row.known)), row).sum()  # type: ignore[no-any-return]  # modules answer Any

    with warnings.catch_warnings():
        # An LSTM is taken row by row: a few hundred rows are soon done.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        slopes = vmap(grad(of_one), in_dims=(None, 0, 0, 0, 0))(held, *batch[:4])
    return Anchor(held, {name: each.square().mean(dim=0) for name, each in slopes.items()})
