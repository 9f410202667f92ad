"""What an account asks of the simulated venue, and what the venue keeps and tells of it."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled
from trading.domain.flows import Flow
from trading.domain.orders import WORKING, Fill, OrderStatus, OrderType, Side

Report = tuple[str, OrderAccepted | OrderFilled | OrderEnded]  # (account, what happened to its order)

ZERO: Final = Decimal(0)
MS: Final = 1_000_000


class Rejection(Exception):
    """The venue understood and said no; nothing was changed. `code` is Binance's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What an account asks for; a LIMIT is good till cancelled."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int | None  # None for MARKET


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of one account."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(slots=True)
class BookedOrder:
    """One order as the venue keeps it; read it, do not change it."""

    account: str
    order: NewOrder
    order_id: int
    accepted_at_ns: int
    updated_at_ns: int
    locked: Decimal  # quote for a BUY (value and fee), base for a SELL
    status: OrderStatus = OrderStatus.ACCEPTED
    filled_lots: int = 0
    filled_quote: Decimal = ZERO

    @property
    def limit_ticks(self) -> int:
        """Price of an order that rests; only priced orders do."""
        return self.order.price_ticks or 0

    @property
    def remaining_lots(self) -> int:
        """Quantity that has not filled."""
        return self.order.quantity_lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """True while the order may still fill."""
        return self.status in WORKING


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """What a settlement did to one asset of one account."""

    account: str
    asset: str
    delta: Decimal


@dataclass(frozen=True, slots=True)
class Settlement:
    """One seam: orders expired, base balances turned into quote at the best bid; no fill, no fee, equity unchanged."""

    reports: list[Report]
    prices: dict[str, int]  # symbol -> best bid in ticks, for every symbol with a known top
    changes: list[BalanceChange]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer as it was asked for and as it was made: of what is paid out never more than is free."""

    asset: str
    asked: Decimal
    flow: Flow


@dataclass(frozen=True, slots=True)
class VenueState:
    """Everything a restarted venue needs; prices are not part of it."""

    next_order_id: int
    next_trade_ids: dict[str, int]
    balances: dict[str, dict[str, Balance]]
    orders: dict[str, list[BookedOrder]]  # oldest first
    fills: dict[str, list[Fill]]  # oldest first
    transfers: dict[str, list[Transfer]] = field(default_factory=dict)  # oldest first


def whole_ms(at_ns: int) -> int:
    """Return the time as a venue tells it."""
    return at_ns - at_ns % MS
