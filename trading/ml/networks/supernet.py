"""The space of nets that a search chooses from, a net that holds all of them at once, and what chooses.

Source:
    H. Pham, M. Guan, B. Zoph, Q. Le, J. Dean (2018), "Efficient Neural Architecture Search via Parameter Sharing",
    ICML: one set of weights for all paths, a recurrent controller taught by REINFORCE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trading.ml.networks.blocks import Attention, ResidualBlock
from trading.ml.networks.convolution import past

MOST_LAYERS = 20  # the roadmap's
CONTROLLER = 64  # hidden size of the controller's LSTM, the roadmap's
OPERATIONS = ("skip", "dense", "conv3", "conv5", "dilated3", "average", "attention")
HEADS = 2
AVERAGED = 4  # bars

Path = tuple[int, ...]  # the number of an operation for each layer


@dataclass(frozen=True, slots=True)
class TradingModelSpace:
    """Every way to stack `layers` of `operations`; "skip" makes a net shallower.

    Raises:
        ValueError: there are no layers, or more than 20.
    """

    layers: int
    operations: tuple[str, ...] = OPERATIONS

    def __post_init__(self) -> None:
        """Refuse what is no space."""
        if not 1 <= self.layers <= MOST_LAYERS:
            raise ValueError(f"layers: {self.layers} is outside 1..{MOST_LAYERS}; choose a number inside.")

    @property
    def size(self) -> int:
        """How many paths there are."""
        count: int = len(self.operations) ** self.layers
        return count

    def words(self, path: Path) -> tuple[str, ...]:
        """Return the operations of `path` by name."""
        return tuple(self.operations[number] for number in path)


class Convolution(nn.Module):
    """A causal convolution added to what came in. Shapes: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int, taps: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.taps, self.dilation = taps, dilation
        self.before, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.layer = nn.Conv1d(width, width, taps, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(past(self.before(x).transpose(1, 2), self.taps, self.dilation)).transpose(1, 2)
        found: Tensor = x + self.dropout(functional.gelu(y))
        return found


class Average(nn.Module):
    """The mean of the last bars of each number. Shapes: (B, T, W) -> (B, T, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool1d(past(x.transpose(1, 2), AVERAGED, 1), AVERAGED, 1).transpose(1, 2)


class Attending(nn.Module):
    """Attention to what came before, added to what came in. Shapes: (B, T, W) -> (B, T, W)."""

    def __init__(self, width: int, window: int, dropout: float) -> None:
        super().__init__()
        self.before, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.attention = Attention(width, HEADS, window)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.dropout(self.attention(self.before(x)))
        return found


def operation(name: str, width: int, window: int, dropout: float) -> nn.Module:
    """Return the operation of this name, (B, T, W) -> (B, T, W), each bar from itself and what came before it."""
    makers: dict[str, Callable[[], nn.Module]] = {
        "skip": nn.Identity,
        "dense": lambda: ResidualBlock(width, 2 * width, dropout),
        "conv3": lambda: Convolution(width, 3, 1, dropout),
        "conv5": lambda: Convolution(width, 5, 1, dropout),
        "dilated3": lambda: Convolution(width, 3, 4, dropout),
        "average": Average,
        "attention": lambda: Attending(width, window, dropout),
    }
    return makers[name]()


class Supernet(nn.Module):
    """All paths of a space at once; `path` says which one is walked. Shapes: (B, T, W) -> (B, T, W)."""

    def __init__(self, space: TradingModelSpace, width: int, window: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(operation(name, width, window, dropout) for name in space.operations)
            for _ in range(space.layers)
        )
        self.path: Path = (0,) * space.layers

    def forward(self, x: Tensor) -> Tensor:
        for layer, chosen in zip(self.layers, self.path, strict=True):
            x = layer[chosen](x)  # type: ignore[index]  # a list of modules
        return x


class Proposal(NamedTuple):
    """A path, with the logarithm of its chance and the entropy of all choices on the way, which have gradients."""

    path: Path
    chance: Tensor
    entropy: Tensor


class Controller(nn.Module):
    """Proposes a path, operation by operation, each in sight of those before it."""

    def __init__(self, space: TradingModelSpace, hidden: int = CONTROLLER) -> None:
        super().__init__()
        self.layers = space.layers
        self.words = nn.Embedding(len(space.operations) + 1, hidden)  # the last one: nothing chosen yet
        self.cell = nn.LSTMCell(hidden, hidden)
        self.choice = nn.Linear(hidden, len(space.operations))

    def propose(self, draw: torch.Generator | None) -> Proposal:
        """Return one path drawn by `draw`; without it the likeliest choice each time."""
        word = torch.tensor([self.words.num_embeddings - 1])
        state: tuple[Tensor, Tensor] | None = None
        path, chance, entropy = [], torch.zeros(()), torch.zeros(())
        for _ in range(self.layers):
            state = self.cell(self.words(word), state)
            logs = self.choice(state[0]).log_softmax(dim=1)
            word = torch.multinomial(logs.exp().detach(), 1, generator=draw)[0] if draw else logs.argmax(dim=1)
            path.append(int(word))
            chance = chance + logs[0, word[0]]
            entropy = entropy - (logs.exp() * logs).sum()
        return Proposal(tuple(path), chance, entropy)
