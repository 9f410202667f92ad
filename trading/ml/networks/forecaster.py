"""A net that forecasts: standardised features, a trunk that reads a window, and heads."""

import torch
from torch import Tensor, nn

from trading.domain.learned import Output
from trading.ml.networks.blocks import Heads, Standardize, Trunk
from trading.ml.networks.mixture import Mixture

OUTPUTS = (Output.LOG_RV, Output.LOG_RV_Q, Output.TREND, Output.REGIME)


class Forecaster(nn.Module):
    """What every forecasting stage is: only the trunk differs.

    Shapes: x (B, T, F), known (B, T) -> log_rv (B, H), log_rv_q (B, H, 2), trend (B,), regime (B, K).
    """

    def __init__(self, trunk: Trunk, features: int, horizons: int, regimes: int) -> None:
        super().__init__()
        self.standardize = Standardize(features)
        self.trunk = trunk
        self.heads = Heads(features, trunk.width, horizons)
        self.mixture = Mixture(features, regimes)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        z = self.standardize(x, known)
        return self.said(z[:, -1], self.trunk(z)[:, -1])

    def sequence(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        """Return what is said at each of the last R bars: (B, R, ...) instead of (B, ...)."""
        z = self.standardize(x, known)
        h = self.trunk(z)
        return self.said(z[:, -h.shape[1] :], h)

    def said(self, z: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs from a bar's own features (..., F) and what the trunk found (..., C)."""
        return (*self.heads(z, h), self.mixture(z))

    @torch.no_grad()
    def set_scales(self, mean: Tensor, spread: Tensor, target_mean: Tensor, target_spread: Tensor) -> None:
        """Set what is known of the training rows: features (F,), targets (H,)."""
        self.standardize.mean.copy_(mean)
        self.standardize.spread.copy_(spread)
        self.heads.target_mean.copy_(target_mean)
        self.heads.target_spread.copy_(target_spread)
