"""Which models serve, and what is remembered of what they say; moments are those of our clock."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trading.domain.model_card import Card

SHADOW: Final = "SHADOW"  # states of a model, as its row has them
CANARY: Final = "CANARY"
CHAMPION: Final = "CHAMPION"


@dataclass(frozen=True, slots=True)
class Member:
    """One model that serves."""

    key: int
    digest: str
    name: str
    state: str
    canary_symbol: str
    card: Card

    def speaks_on(self, symbol: str) -> bool:
        """Return whether a grid may hear it: the champion everywhere, a canary on its one symbol."""
        return self.state == CHAMPION or (self.state == CANARY and symbol == self.canary_symbol)


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who serves, and whether all trading is halted."""

    members: tuple[Member, ...] = ()
    is_halted: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What one model said after one bar; times are moments of our clock."""

    version: int
    symbol: str
    at: datetime
    fault: str
    reason: str
    log_rv: float | None
    low: float | None
    high: float | None
    trend: float | None
    rule_log_rv: float | None
    took_us: int
    features_sha256: str
    psi: float | None
    loss_drift: float | None
    bars: int
    fallbacks: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came of an earlier bar."""

    version: int
    symbol: str
    at: datetime
    log_rv: float


@dataclass(slots=True)
class Batch:
    """What is to be remembered, oldest first."""

    heard: list[Heard] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.heard) + len(self.came)
