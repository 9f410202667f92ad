"""Stage 0: attention over features and one LSTM; the same net one bar at a time."""

from typing import cast

import torch
from torch import Tensor, nn

from trading.ml.networks.blocks import Trunk
from trading.ml.networks.forecaster import Forecaster


class FeatureAttention(nn.Module):
    """Weighs the features of a bar by a net of two layers that reads them; the weights of a bar average 1.

    Shapes: (..., F) -> (..., F).
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.into = nn.Linear(features, 2 * features)
        self.out = nn.Linear(2 * features, features)

    def forward(self, z: Tensor) -> Tensor:
        weights: Tensor = self.out(self.into(z).relu()).softmax(dim=-1)
        return z * weights * z.shape[-1]


class Recurrent(Trunk):
    """Feature attention, then an LSTM from an empty state.

    Shapes: (B, T, F) -> (B, T, hidden).

    Source:
        S. Hochreiter and J. Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8), 1735-1780.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.width = hidden
        self.attention = FeatureAttention(features)
        self.lstm = nn.LSTM(features, hidden, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = self.lstm(self.attention(z))[0]
        return h

    def cell(self, z: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next h and c (S, hidden) from one bar (S, F): the same weights, written out."""
        into, over, bias, another = cast(list[Tensor], self.lstm.all_weights[0])
        gates = self.attention(z) @ into.T + h @ over.T + (bias + another)
        admit, forget, fresh, show = gates.chunk(4, dim=-1)
        c = forget.sigmoid() * c + admit.sigmoid() * fresh.tanh()
        return show.sigmoid() * c.tanh(), c


class Step(nn.Module):
    """A recurrent forecaster that reads one bar and the state it left; an empty state is all zeros.

    Fed the bars of a window one after the other from an empty state, it says what the net says of that window.

    Shapes: x (S, F), known (S,), state (S, 2 * hidden) -> the outputs of the net, and the next state.
    """

    def __init__(self, net: Forecaster) -> None:
        super().__init__()
        if not isinstance(net.trunk, Recurrent):
            raise TypeError("Only a recurrent net has a state to carry.")
        self.net, self.trunk = net, net.trunk

    @property
    def state_width(self) -> int:
        """How many numbers the state of one symbol has."""
        return 2 * self.trunk.width

    def forward(self, x: Tensor, known: Tensor, state: Tensor) -> tuple[Tensor, ...]:
        z = self.net.standardize(x, known)
        h, c = self.trunk.cell(z, *state.chunk(2, dim=-1))
        return (*self.net.said(z, h), torch.cat((h, c), dim=-1))
