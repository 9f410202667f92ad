"""Convolutions that look back only: a learnable wavelet transform and dilated stacks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trading.ml.networks.blocks import Trunk

# Scaling filter of the Daubechies wavelet with 4 vanishing moments ("db4"), newest value first.
# Source: I. Daubechies (1992), "Ten Lectures on Wavelets", SIAM, table 6.1 (N = 4); a test holds it to its conditions.
DB4 = (
    0.23037781330885523,
    0.7148465705525415,
    0.6308807679295904,
    -0.02798376941698385,
    -0.18703481171888114,
    0.030841381835986965,
    0.032883011666982945,
    -0.010597401784997278,
)


class Wavelet(nn.Module):
    """Each feature split into details of 2, 4, 8 ... bars and what is left, by filters that begin as Daubechies'.

    Undecimated ("a trous"), so that each bar has its own; zeros stand before the first bar. The filters of a level are
    shared by all features and learned.

    Shapes: (B, T, F) -> (B, T, F * (levels + 1)).

    Source:
        S. Mallat (2009), "A Wavelet Tour of Signal Processing", 3rd ed., Academic Press, 5.2.2: a trous algorithm.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        low = torch.tensor(DB4) * 2**-0.5
        signs = torch.tensor([1.0, -1.0]).repeat(len(DB4) // 2)
        # A convolution of torch multiplies the last weight with the newest value.
        first = torch.stack((low, low.flip(0) * signs)).flip(1).unsqueeze(1)
        self.filters = nn.ParameterList(nn.Parameter(first.clone()) for _ in range(levels))

    def forward(self, z: Tensor) -> Tensor:
        count, length, features = z.shape
        rest = z.transpose(1, 2).reshape(count * features, 1, length)
        found = []
        for level, weight in enumerate(self.filters):
            split = functional.conv1d(past(rest, len(DB4), 2**level), weight, dilation=2**level)
            rest, detail = split.chunk(2, dim=1)
            found.append(detail)
        scales = torch.cat((*found, rest), dim=1).reshape(count, -1, length)
        return scales.transpose(1, 2)


class DilatedBlock(nn.Module):
    """Two causal convolutions added to what came in.

    Shapes: (B, C, T) -> (B, D, T).
    """

    def __init__(self, before: int, after: int, taps: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.taps, self.dilation = taps, dilation
        self.first = nn.Conv1d(before, after, taps, dilation=dilation)
        self.second = nn.Conv1d(after, after, taps, dilation=dilation)
        self.across = nn.Conv1d(before, after, 1) if before != after else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(functional.gelu(self.first(past(x, self.taps, self.dilation))))
        y = self.dropout(functional.gelu(self.second(past(y, self.taps, self.dilation))))
        return y + self.across(x)  # type: ignore[no-any-return]  # modules answer Any


class Tcn(Trunk):
    """Dilated causal convolutions, each block looking twice as far back as the one before.

    Shapes: (B, T, F) -> (B, T, channels[-1]).

    Source:
        S. Bai, J. Kolter and V. Koltun (2018), "An Empirical Evaluation of Generic Convolutional and Recurrent
        Networks for Sequence Modeling", arXiv 1803.01271.
    """

    def __init__(self, features: int, channels: tuple[int, ...], *, taps: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = channels[-1]
        widths = (features, *channels)
        self.blocks = nn.Sequential(
            *(DilatedBlock(widths[k], widths[k + 1], taps, 2**k, dropout) for k in range(len(channels)))
        )

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.blocks(z.transpose(1, 2))
        return y.transpose(1, 2)


def past(x: Tensor, taps: int, dilation: int) -> Tensor:
    """Return (..., T) with as many zeros before it as a filter of `taps` looks back."""
    return functional.pad(x, ((taps - 1) * dilation, 0))
