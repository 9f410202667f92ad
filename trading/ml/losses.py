"""What a forecast costs: distance of the volatility, pinball of its quantiles, distance of the trend."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trading.domain.bars import Ints
from trading.domain.learned import Output
from trading.ml.learnable import Learnable

QUANTILES = (0.1, 0.9)
PINBALL, TREND = 0.5, 0.05  # weights beside the volatility: the trend is nearly all noise (ours)
SQUARE_UP_TO = 3.0  # standard deviations; errors further out cost in proportion
MOST_RETURN = 5.0  # standard deviations that a return counts as


NO_VOLUME = torch.empty(0)


class Batch(NamedTuple):
    """Some rows: x (B, T, F), known (B, T), log_rv (B, H), returns (B,); volume (B,), NaN where it is not known."""

    x: Tensor
    known: Tensor
    log_rv: Tensor
    returns: Tensor
    volume: Tensor = NO_VOLUME

    def to(self, device: str) -> "Batch":
        """Return it on `device`."""
        return Batch(*(part.to(device) for part in self))


def batch_of(data: Learnable, rows: Ints) -> Batch:
    """Return `rows` of `data` as tensors."""
    x, known = data.windows(rows)
    log_rv, returns, volume = (
        torch.from_numpy(data.target(rows, name)).float() for name in ("log_rv", "returns", "volume")
    )
    return Batch(torch.from_numpy(x), torch.from_numpy(known), log_rv, returns, volume)


class ForecastLoss(nn.Module):
    """Of each row alone, in units that do not depend on the horizon.

    Source:
        R. Koenker and G. Bassett (1978), "Regression Quantiles", Econometrica 46(1), 33-50: the pinball.
    """

    spread: Tensor
    quantiles: Tensor

    def __init__(self, outputs: Sequence[str], spread: Tensor, first_horizon_s: int) -> None:
        super().__init__()
        self.outputs = tuple(map(str, outputs))
        self.hours = first_horizon_s / 3600
        self.register_buffer("spread", spread.clone())
        self.register_buffer("quantiles", torch.tensor(QUANTILES))

    def forward(self, said: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return (B,) what `said` costs, in the order of the outputs."""
        by_name = dict(zip(self.outputs, said, strict=True))
        log_rv = by_name[Output.LOG_RV]
        error = (log_rv - batch.log_rv) / self.spread
        cost = functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=SQUARE_UP_TO).mean(dim=-1)
        if Output.LOG_RV_Q in by_name:
            cost = cost + PINBALL * self._pinball(by_name[Output.LOG_RV_Q], batch.log_rv)
        if Output.TREND in by_name:
            cost = cost + TREND * self._trend(by_name[Output.TREND], log_rv, batch.returns)
        return cost

    def _pinball(self, quantiles: Tensor, log_rv: Tensor) -> Tensor:
        short = (log_rv.unsqueeze(-1) - quantiles) / self.spread.unsqueeze(-1)
        return torch.maximum(self.quantiles * short, (self.quantiles - 1) * short).sum(dim=-1).mean(dim=-1)

    def _trend(self, trend: Tensor, log_rv: Tensor, returns: Tensor) -> Tensor:
        """Hold the trend against the return over the volatility that is forecast, which it does not pull."""
        deviation = (0.5 * log_rv[..., 0].detach()).exp() * self.hours**0.5
        ratio = (returns / deviation).clamp(-MOST_RETURN, MOST_RETURN)
        return functional.huber_loss(trend, ratio, reduction="none")
