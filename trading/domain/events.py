"""What goes into the trader (events) and what comes out (effects)."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trading.domain.advice import GridAdvice
from trading.domain.drills import Drill
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Fill, Order, OrderStatus, Side
from trading.domain.places import Footing
from trading.domain.throttle import Throttle

DAY_NS: Final = 86_400_000_000_000


class Severity(StrEnum):
    """How grave an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    CRIT = "CRIT"


def is_told(severity: Severity, level: Severity) -> bool:
    """Return whether people are told of an alert wherever they are, or find it on the page: `level` and graver are."""
    gravity = list(Severity)
    return gravity.index(severity) >= gravity.index(level)


# --- events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The venue has the order."""

    client_order_id: str
    venue_order_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """One execution; may arrive twice, before the acknowledgement, or after a cancel."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """The venue ended the order: CANCELED or EXPIRED, with what it had filled by then."""

    client_order_id: str
    status: OrderStatus
    filled_lots: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """Definitive: the venue understood and said no (or throttled it): the order does not exist there."""

    client_order_id: str
    code: str  # the venue's own ("-2010"), or THROTTLED, or STALE (ours: waited too long, was never sent)
    message: str
    at_ns: int
    retry_after_ms: int = 0  # THROTTLED: how long the venue told us to wait; 0: it did not say


@dataclass(frozen=True, slots=True)
class OrderAmbiguous:
    """The fate of the order is not known: it may be live; reconcile before sending more for this slot."""

    client_order_id: str
    message: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue does not know the order we cancelled (already ended), or refused: ask for its fate."""

    client_order_id: str
    message: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """One order as the venue reports it."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    status: OrderStatus
    filled_lots: int
    ours: bool  # False: placed by a human or another program
    side: Side | None = None  # filled in for orders that are not ours: they count in the worst case
    quantity_lots: int = 0
    price_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class VenueRead:
    """One reading of the venue for reconciliation.

    `local_open` is the set of our open and ambiguous orders taken *before* the first request left. `orders` holds every
    order the venue has open plus the answer for every id of `local_open` that is not open there. `missing` holds ids
    the venue did not know. `fills` are all executions since the trade ids asked for. Balances are totals (free +
    locked), read after the fills. `flows` are the transfers the venue has made, where any is awaited, read after the
    balances: whatever they hold of a transfer is among them.
    """

    read_at_ns: int  # our clock when the reading began, before the first request left
    local_open: frozenset[str]
    orders: tuple[VenueOrder, ...]
    missing: frozenset[str]
    fills: tuple[Fill, ...]
    balances: dict[str, Decimal]
    flows: tuple[Flow, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferMade:
    """The venue may have made a transfer that was asked of it: a reading will tell."""

    flow_id: str


@dataclass(frozen=True, slots=True)
class MandateChanged:
    """Governance put other limits in force."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class MetricsKept:
    """What was seen of the desk by now is stored; once this was heard, it must be heard again in time."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class ConductChanged:
    """A playbook tightened what the account may do, or this was undone."""

    throttle: Throttle


@dataclass(frozen=True, slots=True)
class InstrumentListed:
    """The venue's listing of one symbol was read again and differs: its status, its filters or its steps."""

    instrument: Instrument


@dataclass(frozen=True, slots=True)
class ForecastChanged:
    """The model loop's view of one instrument."""

    symbol: str
    volatility_per_second: float  # EWMA standard deviation of the log return, 1/sqrt(s); NaN never enters
    spacing_floor_fraction: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class AdviceChanged:
    """What a model asks of one grid from now on; None: nothing any more, the rule grid goes on alone."""

    symbol: str
    advice: GridAdvice | None


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A second of the account's clock has passed."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class HaltRequested:
    """Stop: nothing new leaves, everything resting is cancelled; positions go only if `flatten`."""

    reason: str
    flatten: bool
    symbol: str = ""  # this symbol alone; "": the whole account


@dataclass(frozen=True, slots=True)
class DrillRequested:
    """On paper only: let this rule find what it watches for beyond its limit, once."""

    drill: Drill


@dataclass(frozen=True, slots=True)
class AdoptionAsked:
    """A person makes an open order of others ours: our books take its fills, a halt cancels it as any of ours."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Two people released the halt."""

    note: str
    symbol: str = ""  # the halt of this symbol; "": of the whole account


@dataclass(frozen=True, slots=True)
class SymbolPaused:
    """No new buys on this symbol; its working buys are cancelled, exits of held lots stay."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class SymbolResumed:
    """The symbol trades again."""

    symbol: str


@dataclass(frozen=True, slots=True)
class FeedLost:
    """The market-data stream broke or fell silent."""

    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class FeedRestored:
    """The stream is back; sequence numbers start anew."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class SeamReached:
    """A replay lap ended: orders have expired at the venue, positions settle at these prices, the day starts anew."""

    lap: int  # the lap that starts
    prices: dict[str, int]  # symbol -> settlement price, ticks (last bid of the old lap)
    at_ns: int


Event = (
    BookTop
    | Trade
    | OrderAccepted
    | OrderFilled
    | OrderEnded
    | OrderRefused
    | OrderAmbiguous
    | CancelRefused
    | VenueRead
    | TransferMade
    | MandateChanged
    | MetricsKept
    | ConductChanged
    | InstrumentListed
    | ForecastChanged
    | AdviceChanged
    | TimerFired
    | HaltRequested
    | DrillRequested
    | AdoptionAsked
    | Resumed
    | SymbolPaused
    | SymbolResumed
    | FeedLost
    | FeedRestored
    | SeamReached
)


# --- effects ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PersistOrder:
    """Store this state of the order (a copy); INITIALIZED is the approved intent, DENIED the refused one."""

    order: Order


@dataclass(frozen=True, slots=True)
class PersistFill:
    """Store one execution with what it did to the books."""

    fill: Fill
    slot: int | None
    realized_quote: Decimal  # realized P&L of this execution after its fee; 0 for a buy's price, minus its fee
    grid_profit_quote: Decimal | None  # set on every sell of a slot: its part of the round trip after both fees
    lap: int


@dataclass(frozen=True, slots=True)
class PersistSettlement:
    """Store that a position was settled at a seam: equity unchanged, no fill, no P&L."""

    symbol: str
    quantity_base: Decimal
    price_ticks: int
    lap: int  # the lap that ended
    at_ns: int


@dataclass(frozen=True, slots=True)
class PersistFlow:
    """Store one transfer with what it did to the books."""

    flow: Flow
    equity_before_quote: Decimal
    paid_in_quote: Decimal  # since the account began, this one included
    scale: Decimal  # `Funding.scale` after it
    high_water_quote: Decimal  # highest equity so far, as without any flow
    lap: int
    day_at_ns: int  # when the day began that it belongs to
    at_ns: int  # booked


@dataclass(frozen=True, slots=True)
class PersistGrid:
    """The ladder of one symbol was laid or has moved: store its levels, a restart goes on with exactly these."""

    symbol: str
    levels_ticks: tuple[int, ...]  # () while it waits for its start price
    lap: int
    at_ns: int
    footing: Footing | None = None  # of a ladder that moves; None: it stays where it was laid


@dataclass(frozen=True, slots=True)
class PersistDay:
    """A trading day begins: opening equity is the reference of the daily drawdown."""

    lap: int
    opening_equity_quote: Decimal
    opening_cash_quote: Decimal
    reason: str  # "start" | "seam" (both: everything is cash) | "midnight UTC"
    at_ns: int

    @property
    def since_ns(self) -> int:
        """From when on a fill is one of this day; the day itself may have been opened later, after a restart."""
        if self.reason == "midnight UTC":
            return self.at_ns - self.at_ns % DAY_NS
        return self.at_ns + 1  # a fill at the moment of the seam is one of the lap that ends


@dataclass(frozen=True, slots=True)
class PersistReconcile:
    """The outcome of one reconciliation."""

    clean: bool
    discrepancies: tuple[str, ...]
    local_open: int
    venue_open: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class PersistHaltStage:
    """The halt reached STOPPED, PROVEN_CLEAR or FLAT."""

    stage: str
    canceled: int
    remaining: int
    at_ns: int
    symbol: str = ""  # of the halt of this symbol; "": of the whole account


@dataclass(frozen=True, slots=True)
class LatchHalt:
    """The core asks for a latched halt (daily drawdown, hard drawdown, contradiction)."""

    reason: str
    flatten: bool
    at_ns: int
    symbol: str = ""  # this symbol alone; "": the whole account


@dataclass(frozen=True, slots=True)
class PersistPause:
    """A symbol was paused by rule; stays paused over restarts."""

    symbol: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class PersistAdvice:
    """Another advice is heeded, or none any more; one that asks for the same again is no other."""

    symbol: str
    advice: GridAdvice | None  # None: the rule grid goes on alone
    at_ns: int


@dataclass(frozen=True, slots=True)
class PersistAdoption:
    """What came of a person's wish to adopt an order of others."""

    client_order_id: str
    refusal: str  # "" when it is ours now
    at_ns: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Send this order to the venue, after everything of the turn is committed."""

    order: Order


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the venue to cancel one order."""

    client_order_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class CancelEverything:
    """Ask the venue to cancel every order of the account on these symbols."""

    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadVenue:
    """Read open orders, fates, fills and balances and feed them back as `VenueRead`.

    `local_open` (symbol, client_order_id) goes back in `VenueRead.local_open` as it stands here, whatever has happened
    since; `since_trade_ids` (symbol, trade id) is where to read fills from: later ids only, complete.
    """

    reason: str
    local_open: tuple[tuple[str, str], ...] = ()
    since_trade_ids: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RaiseAlert:
    """Tell the operators."""

    severity: Severity
    code: str  # "DAILY_DRAWDOWN"
    message: str
    symbol: str
    at_ns: int


Persist = (
    PersistOrder
    | PersistFill
    | PersistSettlement
    | PersistFlow
    | PersistGrid
    | PersistDay
    | PersistReconcile
    | PersistHaltStage
    | PersistPause
    | PersistAdvice
    | PersistAdoption
    | LatchHalt
    | RaiseAlert
)
Effect = Persist | Submit | Cancel | CancelEverything | ReadVenue
