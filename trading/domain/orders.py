"""Orders: their words, their life-cycle, their ids."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Which way an order changes the position."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """What is sent to the venue; LIMIT_MAKER is a post-only LIMIT."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"


class Purpose(StrEnum):
    """Why an order exists."""

    GRID = "grid"
    FLATTEN = "flatten"  # only after a halt that asked for it
    ADOPTED = "adopted"  # placed by others; a person has made it ours


class OrderStatus(StrEnum):
    """Where an order stands; UNKNOWN means the outcome is ambiguous and counts as exposure."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


S = OrderStatus
TERMINAL: Final = frozenset({S.DENIED, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED})
IN_FLIGHT: Final = frozenset({S.INITIALIZED, S.SUBMITTED, S.UNKNOWN})
WORKING: Final = frozenset({S.ACCEPTED, S.PARTIALLY_FILLED, S.PENDING_CANCEL})
OPEN: Final = IN_FLIGHT | WORKING

_ANY_OUTCOME: Final = frozenset(
    {S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.UNKNOWN}
)
TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    S.INITIALIZED: _ANY_OUTCOME | {S.SUBMITTED, S.DENIED},
    S.SUBMITTED: _ANY_OUTCOME | {S.PENDING_CANCEL},
    # What we could not prove may turn out to be anything, also never to have arrived (REJECTED).
    S.UNKNOWN: _ANY_OUTCOME | {S.PENDING_CANCEL},
    S.ACCEPTED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED, S.UNKNOWN}),
    S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.PENDING_CANCEL, S.CANCELED, S.EXPIRED, S.UNKNOWN}),
    S.PENDING_CANCEL: frozenset({S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.UNKNOWN}),
    # A fill that crosses our cancel on the wire is still ours.
    S.CANCELED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.EXPIRED: frozenset({S.PARTIALLY_FILLED, S.FILLED}),
    S.FILLED: frozenset(),
    S.REJECTED: frozenset(),
    S.DENIED: frozenset(),
}

WITHDRAWN: Final = "withdrawn: the halt came in the same turn"  # reason of a REJECTED order that never left
MARKET_CLOSED: Final = "-1013: Market is closed"  # begins Binance's answer to an order during a trading break


class IllegalTransition(Exception):
    """An order was told to move where no order can; nothing was changed."""


def advance(current: OrderStatus, reported: OrderStatus) -> OrderStatus:
    """Return `reported` if the order may move there from `current`.

    Raises:
        IllegalTransition: the life-cycle has no such step.
    """
    if reported not in TRANSITIONS[current]:
        raise IllegalTransition(f"{current} -> {reported}")
    return reported


@dataclass(slots=True)
class Order:
    """One order of ours from the intent to its end; mutated only by the trader."""

    client_order_id: str  # ours, unique for life
    symbol: str
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int | None  # None for MARKET
    slot: int | None  # grid slot it works for, None for flatten
    purpose: Purpose
    decided_at_ns: int
    reference_ticks: int  # price the decision was made on (worst-case notional of a MARKET order)
    status: OrderStatus = OrderStatus.INITIALIZED
    filled_lots: int = 0
    venue_order_id: str | None = None
    reason: str = ""  # denial reason code, venue refusal or cause of UNKNOWN
    lap: int = 0
    updated_at_ns: int = 0

    @property
    def remaining_lots(self) -> int:
        """Quantity that may still fill."""
        return 0 if self.status in TERMINAL else self.quantity_lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """True while the order may still fill, ambiguity included."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one order, exactly as the venue reported it."""

    trade_id: int  # unique per symbol at the venue
    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    price_ticks: int
    quantity_lots: int
    fee: Decimal  # in fee_asset, never negative here
    fee_asset: str
    maker: bool
    at_ns: int  # venue time


CLIENT_ORDER_ID_LENGTH: Final = 36  # Binance: ^[\.A-Z\:/a-z0-9_-]{1,36}$


def client_order_id(account: str, epoch: int, counter: int, mark: str = "gc") -> str:
    """Return an id that is unique for life: `epoch` is the fencing number of the lease and never comes back.

    `mark` tells paper from real money in every list of the venue (`modes.ID_MARKS`).

    Raises:
        ValueError: the account's name makes the id longer than the venue allows.
    """
    text = f"{mark}-{account}-{epoch}-{counter}"
    if len(text) > CLIENT_ORDER_ID_LENGTH:
        raise ValueError(
            f"client order id {text!r} is longer than {CLIENT_ORDER_ID_LENGTH}: shorten the account's slug."
        )
    return text
