"""Pieces that every net is put together from: what goes in standardised, what comes out, and blocks between."""

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_SPREADS = 8.0  # a feature further out says no more than this many standard deviations


class Trunk(nn.Module):
    """Reads standardised bars (B, T, F) and says (B, R, `width`) for the last R of them, each from the past alone."""

    width: int


class Standardize(nn.Module):
    """Features over their spread in training, 0 where a bar is not known, whatever stands there.

    Shapes: x (..., F), known (...) -> (..., F); `mean` and `spread` (F,) are buffers, set once from the training rows.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        z = ((x - self.mean) / self.spread).clamp(-MOST_SPREADS, MOST_SPREADS)
        return torch.where(known.unsqueeze(-1) > 0, z, torch.zeros_like(z))


class Heads(nn.Module):
    """What a trunk has found, said as volatility, its quantiles and trend.

    A line straight from the features of the bar itself carries what is linear, so a trunk learns only the rest: it is
    set to ridge regression before training, and the trunk's part begins at 0. The quantiles stand on both sides of the
    forecast by a softplus each, so they cannot cross.

    Shapes:
        z (..., F) standardised features of the bar, h (..., C) of the trunk.
        log_rv (..., H), log_rv_q (..., H, 2), trend (...).
    """

    target_mean: Tensor
    target_spread: Tensor

    def __init__(self, features: int, width: int, horizons: int) -> None:
        super().__init__()
        self.straight = nn.Linear(features, horizons)
        self.level = nn.Linear(width, horizons)
        self.below = nn.Linear(width, horizons)
        self.above = nn.Linear(width, horizons)
        self.trend = nn.Linear(width, 1)
        self.register_buffer("target_mean", torch.zeros(horizons))
        self.register_buffer("target_spread", torch.ones(horizons))
        for layer in (self.straight, self.level, self.trend):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        at = self.straight(z) + self.level(h)
        # Quantiles learn around the forecast; they do not pull it.
        low = at.detach() - functional.softplus(self.below(h))
        high = at.detach() + functional.softplus(self.above(h))
        mean, spread = self.target_mean, self.target_spread
        quantiles = torch.stack((low * spread + mean, high * spread + mean), dim=-1)
        return at * spread + mean, quantiles, self.trend(h).squeeze(-1)


class Attention(nn.Module):
    """Multi-head self-attention in which a place sees itself and what came before it, and nothing after.

    Shapes: (B, T, D) -> (B, T, D), T up to `longest`.

    Raises:
        ValueError: `width` is no multiple of `heads`.

    Source:
        A. Vaswani et al. (2017), "Attention Is All You Need", arXiv 1706.03762, 3.2.
    """

    hidden: Tensor

    def __init__(self, width: int, heads: int, longest: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width: {width} is no multiple of {heads} heads; project to one that is.")
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        later = torch.ones(longest, longest).triu(1)
        self.register_buffer("hidden", later * -1e9, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, width = x.shape[1], x.shape[2]
        each = width // self.heads
        q, k, v = (part.unflatten(2, (self.heads, each)).transpose(1, 2) for part in self.into(x).split(width, dim=2))
        score = q @ k.transpose(2, 3) * each**-0.5 + self.hidden[:count, :count]
        said: Tensor = self.out((score.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
        return said


class TransformerBlock(nn.Module):
    """Attention and a feed-forward of four times its width, each normalised before and added to what came in.

    Shapes: (B, T, D) -> (B, T, D).

    Source:
        R. Xiong et al. (2020), "On Layer Normalization in the Transformer Architecture", arXiv 2002.04745.
    """

    def __init__(self, width: int, heads: int, longest: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, longest)
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.before_attention(x)))
        return x + self.dropout(self.feed(self.before_feed(x)))  # type: ignore[no-any-return]  # modules answer Any


class ResidualBlock(nn.Module):
    """Two layers whose answer is added to what came in, place by place.

    Shapes: (..., D) -> (..., D).
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]  # modules answer Any


def parameters_of(net: nn.Module) -> int:
    """Return how many numbers training may change: the true parameter count."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
