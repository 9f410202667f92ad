"""One net for four tasks: shared layers that a search chose, and layers of each task's own."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trading.domain.learned import Output
from trading.ml.losses import Batch, ForecastLoss
from trading.ml.networks.blocks import Heads, ResidualBlock, Standardize
from trading.ml.networks.regime import RegimeTeacher, divergence
from trading.ml.networks.supernet import operation

OUTPUTS = (Output.LOG_RV, Output.LOG_RV_Q, Output.TREND, Output.REGIME, Output.VOLUME)
CLASSES, VOLUME = 0.2, 0.1  # weights beside the volatility (ours)


class MultiTask(nn.Module):
    """Volatility, price, regime and volume from one reading of the window.

    Shapes: x (B, T, F), known (B, T) -> log_rv (B, H), log_rv_q (B, H, 2), trend (B,), regime (B, K), volume (B,).

    Source:
        R. Caruana (1997), "Multitask Learning", Machine Learning 28, 41-75.
    """

    def __init__(
        self, shared: nn.Module, features: int, horizons: int, *, width: int, specific: int, regimes: int,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.standardize = Standardize(features)
        self.into = nn.Linear(features, width)
        self.shared = shared
        self.volatility, self.price, self.regime, self.volume = (
            nn.Sequential(nn.LayerNorm(width), *(ResidualBlock(width, width, dropout) for _ in range(specific)))
            for _ in range(4)
        )
        self.heads = Heads(features, width, horizons)
        self.regimes = nn.Linear(width, regimes)
        self.turnover = nn.Linear(width, 1)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        z = self.standardize(x, known)
        h = self.shared(self.into(z))[:, -1]
        log_rv, quantiles, _ = self.heads(z[:, -1], self.volatility(h))
        trend = self.heads.trend(self.price(h)).squeeze(-1)
        regime = self.regimes(self.regime(h)).softmax(dim=-1)
        return log_rv, quantiles, trend, regime, self.turnover(self.volume(h)).squeeze(-1)


def along(words: Sequence[str], width: int, window: int, dropout: float) -> nn.Module:
    """Return the shared layers of one path alone."""
    return nn.Sequential(*(operation(name, width, window, dropout) for name in words if name != "skip"))


class MultiTaskLoss(ForecastLoss):
    """What a forecast costs, a wrong regime, and a wrong volume where one is known."""

    def __init__(self, spread: Tensor, first_horizon_s: int, teacher: RegimeTeacher) -> None:
        super().__init__(OUTPUTS, spread, first_horizon_s)
        self.teacher = teacher

    def forward(self, said: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return (B,) what `said` costs, in the order of the outputs."""
        by_name = dict(zip(self.outputs, said, strict=True))
        total = super().forward(said, batch)
        total = total + CLASSES * divergence(by_name[Output.REGIME], self.teacher(batch.log_rv, batch.returns))
        known = torch.isfinite(batch.volume)
        wrong = by_name[Output.VOLUME] - torch.where(known, batch.volume, 0.0)
        return total + VOLUME * nn.functional.huber_loss(wrong, torch.zeros_like(wrong), reduction="none") * known
