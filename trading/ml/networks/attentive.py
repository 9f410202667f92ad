"""Stage 1: stacked multi-head attention, residual blocks and products of features."""

import torch
from torch import Tensor, nn

from trading.ml.networks.blocks import Attention, ResidualBlock, Trunk


class Interaction(nn.Module):
    """Adds products of pairs of learned mixtures of the features, so that what only matters together is seen.

    Shapes: (..., D) -> (..., D).

    Source:
        S. Rendle (2010), "Factorization Machines", IEEE ICDM, 995-1000: interactions through low rank.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(width, rank), nn.Linear(width, rank)
        self.out = nn.Linear(rank, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.left(x) * self.right(x))  # type: ignore[no-any-return]  # modules answer Any


class Attentive(Trunk):
    """Features projected to a width that heads divide, stacks of causal attention, blocks, interaction.

    Shapes: (B, T, F) -> (B, T, width), T up to `window`.
    """

    def __init__(
        self,
        features: int,
        window: int,
        *,
        width: int = 32,
        heads: int = 4,
        stacks: int = 3,
        blocks: int = 4,
        hidden: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(features, width)
        self.places = nn.Parameter(torch.zeros(window, width))
        self.stacks = nn.ModuleList(Attention(width, heads, window) for _ in range(stacks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(stacks))
        self.blocks = nn.ModuleList(ResidualBlock(width, hidden, dropout) for _ in range(blocks))
        self.interaction = Interaction(width, width)
        self.last = nn.LayerNorm(width)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.project(z) + self.places[-z.shape[1] :]
        for norm, stack in zip(self.norms, self.stacks, strict=True):
            x = x + stack(norm(x))
        for block in self.blocks:
            x = block(x)
        said: Tensor = self.last(self.interaction(x))
        return said
