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
    max_trade_loss_quote: Decimal | None = None  # of one lot; None: not set by this phase
    max_slippage_loss_quote: Decimal | None = None  # of one MARKET order; None: not set by this phase
    max_retries: int | None = None  # of what the venue surely did not execute, in a row; None: as often as it takes
    order_timeout_ms: int = 5_000  # how long an answer is waited for
    position_sync_every_s: int = 5  # the venue is read at least so often
    health_every_s: int = 300  # every watch of the core looks at least so often, or nothing is sent
    metrics_every_s: int = 3_600  # what was seen is kept at least so often, or nothing is sent

    @property
    def unsound(self) -> str:
        """Name of the first limit that is no positive, finite number; "" when every one is."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decimal) and not (value.is_finite() and value > 0):
                return field.name
        return ""

    @property
    def max_position_quote(self) -> Decimal:
        """Largest value of one open lot by its fraction of capital, quote currency."""
        return self.capital_quote * self.max_position_fraction

    @property
    def stop_fraction(self) -> Decimal:
        """How far everything held has fallen when the account, as fully invested as it may be, reaches its hard stop.

        The grids have no stop of their own: this is the fall at which every lot is sold (ours).
        """
        return min(self.max_daily_drawdown_hard_fraction / self.max_total_exposure_fraction, Decimal(1))

    @property
    def max_lot_quote(self) -> Decimal:
        """Largest value of one open lot that its fraction of capital and its loss at the hard stop allow."""
        if self.max_trade_loss_quote is None:
            return self.max_position_quote
        return min(self.max_position_quote, self.max_trade_loss_quote / self.stop_fraction)
