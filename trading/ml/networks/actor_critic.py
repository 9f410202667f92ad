"""An actor that steers a grid and the critics that judge it while it learns."""

import torch
from torch import Tensor, nn

from trading.domain.grid_worlds import ACTIONS, PORTFOLIO
from trading.domain.learned import Output
from trading.ml.networks.blocks import Heads, ResidualBlock, Standardize, Trunk

OUTPUTS = (Output.LOG_RV, Output.LOG_RV_Q, Output.TREND, Output.ACTION)


def layered(before: int, hidden: tuple[int, ...], after: int, *, gain: float) -> nn.Sequential:
    """Return linear layers with tanh between them; the last one begins `gain` times as large as usual."""
    widths = (before, *hidden)
    layers: list[nn.Module] = []
    for k, width in enumerate(hidden):
        layers += [nn.Linear(widths[k], width), nn.Tanh()]
    last = nn.Linear(widths[-1], after)
    nn.init.orthogonal_(last.weight, gain)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


class StateEncoder(Trunk):
    """What a bar's own features say of the market, in `latent` numbers.

    Shapes: (..., F) -> (..., latent), each in -1..1.
    """

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.width = latent
        self.into = nn.Linear(features, latent)
        self.block = ResidualBlock(latent, latent, 0.0)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.block(torch.nn.functional.gelu(self.into(z))))


class GridActor(nn.Module):
    """What is served: forecasts, and an action from the state of the market alone.

    The actor does not see the books of a grid: a model is asked about a symbol, not about an account. So what was
    trained and judged is exactly what is served; the critics, which only training has, see both.

    Shapes: x (B, T, F), known (B, T) -> log_rv (B, H), log_rv_q (B, H, 2), trend (B,), action (B, 4) in -1..1.
    """

    def __init__(self, features: int, horizons: int, *, latent: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.standardize = Standardize(features)
        self.trunk = StateEncoder(features, latent)
        self.heads = Heads(features, latent, horizons)
        self.policy = layered(latent, hidden, len(ACTIONS), gain=0.01)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        z = self.standardize(x[:, -1], known[:, -1])
        h = self.trunk(z)
        return (*self.heads(z, h), torch.tanh(self.policy(h)))


class ValueNetwork(nn.Module):
    """What is still to come from a state, as the policy acts.

    Shapes: market (B, latent), portfolio (B, P) -> (B,).
    """

    def __init__(self, latent: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layered(latent + len(PORTFOLIO), hidden, 1, gain=1.0)

    def forward(self, market: Tensor, portfolio: Tensor) -> Tensor:
        said: Tensor = self.layers(torch.cat((market, portfolio), dim=-1)).squeeze(-1)
        return said


class ActionValueNetwork(nn.Module):
    """What is still to come from a state after an action; it learns from what anybody did.

    Shapes: market (B, latent), portfolio (B, P), action (B, 4) -> (B,).
    """

    def __init__(self, latent: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layered(latent + len(PORTFOLIO) + len(ACTIONS), hidden, 1, gain=1.0)

    def forward(self, market: Tensor, portfolio: Tensor, action: Tensor) -> Tensor:
        said: Tensor = self.layers(torch.cat((market, portfolio, action), dim=-1)).squeeze(-1)
        return said
