"""The numbers of a mandate that bound the runtime."""

from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum


class ExecutionStyle(StrEnum):
    """TAKER: a level crossing triggers a MARKET order. MAKER: resting post-only LIMIT orders."""

    TAKER = "TAKER"
    MAKER = "MAKER"


class TradingState(StrEnum):
    """ACTIVE trades, REDUCING only lowers positions, HALTED sends nothing new."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the mandate in force allows one account."""

    phase: str  # "4.0"
    version: int
    capital_quote: Decimal
    symbols: frozenset[str]
    execution_styles: frozenset[ExecutionStyle]
    max_position_fraction: Decimal  # of capital, per open lot (one grid level)
    max_symbol_exposure_fraction: Decimal  # of capital, worst case, per symbol (ours)
    max_total_exposure_fraction: Decimal  # of capital, worst case, all symbols (ours)
    max_daily_drawdown_fraction: Decimal  # halt at this
    max_daily_drawdown_hard_fraction: Decimal  # halt and flatten at this
    max_symbol_drawdown_fraction: Decimal | None  # pause the symbol at this; None: not set by this phase
    max_daily_trades: int
    max_open_orders: int

    @property
    def unsound(self) -> str:
        """Name of the first limit that is no positive, finite number; "" when every one is."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
                return field.name
        return ""

    @property
    def max_lot_quote(self) -> Decimal:
        """Largest value of one open lot, quote currency."""
        return self.capital_quote * self.max_position_fraction
