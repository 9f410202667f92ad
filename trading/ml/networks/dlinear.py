"""Straight lines through a window, and a small net over its last bar: they cost little and are hard to beat."""

import torch
from torch import Tensor, nn

from trading.ml.networks.blocks import Trunk
from trading.ml.networks.convolution import Tcn

SMOOTHED = 25  # bars of the moving average, as its authors have it


class DLinear(Trunk):
    """Each feature split into its moving average and the rest, a straight line through each, shared by all features.

    The average looks back only; before the first bar stands the first bar.

    Shapes: (B, T, F) -> (B, 1, F).

    Source:
        A. Zeng, M. Chen, L. Zhang, Q. Xu (2023), "Are Transformers Effective for Time Series Forecasting?", AAAI 37.
    """

    averages: Tensor  # (T, T): one product is a third of the cost of pooling

    def __init__(self, features: int, window: int) -> None:
        super().__init__()
        self.width = features
        self.smooth, self.rest = nn.Linear(window, 1), nn.Linear(window, 1)
        self.register_buffer("averages", _averages(window), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        lines = z.transpose(1, 2)
        average = lines @ self.averages
        found: Tensor = self.smooth(average) + self.rest(lines - average)
        return found.transpose(1, 2)


def _averages(window: int) -> Tensor:
    """Return (T, T): column t holds what each bar weighs in the average at t."""
    bars = torch.arange(window)
    seen = bars[None, :] - bars[:, None]  # how long before t a bar lies
    weights = ((seen >= 0) & (seen < SMOOTHED)).float()
    weights[0] += (SMOOTHED - 1 - bars).clamp(min=0)
    return weights / SMOOTHED


class Pointwise(Trunk):
    """Two hidden layers over the newest bar, beside the straight lines of `DLinear` through the window.

    Shapes: (B, T, F) -> (B, 1, hidden + F).
    """

    def __init__(self, features: int, window: int, *, hidden: int = 64) -> None:
        super().__init__()
        self.lines = DLinear(features, window)
        self.width = hidden + self.lines.width
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat((self.layers(z[:, -1:]), self.lines(z)), dim=2)


class Dilated(Trunk):
    """Convolutions that look back only, nothing else.

    Shapes: (B, T, F) -> (B, T, channels[-1]).
    """

    def __init__(self, features: int, window: int, *, channels: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.convolutions = Tcn(features, channels, dropout=dropout)
        self.width = self.convolutions.width

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = self.convolutions(z)
        return h
