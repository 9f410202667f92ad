"""Stage 2: two transformers on two scales of time, beside wavelets and dilated convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trading.ml.networks.blocks import TransformerBlock, Trunk
from trading.ml.networks.convolution import Tcn, Wavelet


class Tower(nn.Module):
    """A causal transformer with learned places.

    Shapes: (B, N, F) -> (B, N, width), N up to `longest`.
    """

    def __init__(self, features: int, width: int, heads: int, layers: int, longest: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(features, width)
        self.places = nn.Parameter(torch.zeros(longest, width))
        self.layers = nn.ModuleList(TransformerBlock(width, heads, longest, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.project(z) + self.places[-z.shape[1] :]
        for layer in self.layers:
            x = layer(x)
        said: Tensor = self.last(x)
        return said


class MultiScale(Trunk):
    """Micro: wavelets of the last `recent` bars, bar by bar. Macro: means of `pooled` bars over the whole window.

    A bar is told what the last whole piece of `pooled` bars says, never one it is itself inside of and that goes on.

    Shapes: (B, T, F) -> (B, recent, width); T is `window`.

    Raises:
        ValueError: the window is no multiple of `pooled`, or `recent` is longer than it.
    """

    def __init__(
        self,
        features: int,
        window: int,
        *,
        micro: int = 32,
        micro_layers: int = 2,
        macro: int = 48,
        macro_layers: int = 2,
        heads: int = 4,
        channels: tuple[int, ...] = (32, 32, 32),
        levels: int = 3,
        recent: int = 32,
        pooled: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if window % pooled or not 0 < recent <= window:
            raise ValueError(f"window: {window} is no multiple of {pooled} bars of at least {recent}; choose one.")
        self.recent, self.pooled = recent, pooled
        self.width = micro + macro + channels[-1]
        self.wavelet = Wavelet(levels)
        self.micro = Tower(features * (levels + 1), micro, heads, micro_layers, recent, dropout)
        self.macro = Tower(features, macro, heads, macro_layers, window // pooled, dropout)
        self.tcn = Tcn(features, channels, dropout=dropout)
        self.mix = nn.LayerNorm(self.width)

    def forward(self, z: Tensor) -> Tensor:
        micro = self.micro(self.wavelet(z)[:, -self.recent :])
        pieces = z.reshape(z.shape[0], -1, self.pooled, z.shape[2]).mean(dim=2)
        told = self._told(self.macro(pieces))[:, -self.recent :]
        out: Tensor = self.mix(torch.cat((micro, told, self.tcn(z)[:, -self.recent :]), dim=2))
        return out

    def _told(self, macro: Tensor) -> Tensor:
        """Return (B, T, width) from (B, pieces, width): at each bar its last whole piece, zeros before the first."""
        each = macro.repeat_interleave(self.pooled, dim=1)
        back = self.pooled - 1  # the piece is whole at its last bar
        return functional.pad(each, (0, 0, back, 0))[:, : each.shape[1]]
