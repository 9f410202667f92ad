"""What a trader is given when it starts, and what it shows of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading.domain.advice import GridAdvice
from trading.domain.events import PersistDay, PersistFill, PersistFlow, PersistGrid
from trading.domain.fees import Fees
from trading.domain.flows import UNFUNDED, Funding
from trading.domain.grids import Chosen as Chosen
from trading.domain.halting import HaltState
from trading.domain.limits import TradingState
from trading.domain.orders import Order, OrderStatus, Side
from trading.domain.strategy import SlotState

__all__ = ["Chosen", "DeskSettings", "HaltState", "SlotView", "SymbolView", "TraderState", "TraderView"]


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """What one account runs."""

    account: str  # slug, part of every client_order_id
    quote: str  # "USDT"
    grids: tuple[Chosen, ...]  # at most one per symbol
    fees: Fees
    opening_cash_quote: Decimal  # only for the first start ever: what the account was funded with
    mark: str = "gc"  # begins every client_order_id: `modes.ID_MARKS`


@dataclass(frozen=True, slots=True)
class NeverRan:
    """What holds for an account before its first day: people may have paused or halted it already."""

    paused: Mapping[str, str] = field(default_factory=dict)  # symbol -> reason
    halts: tuple[HaltState, ...] = ()


@dataclass(frozen=True, slots=True)
class TraderState:
    """What the journal kept, in the words of the effects that wrote it; the trader works the rest out itself."""

    opening: PersistDay  # newest day with reason "start" or "seam": everything was cash
    day: PersistDay  # newest day of any reason; may be the same one
    grids: tuple[PersistGrid, ...] = ()  # newest per symbol, of the opening's lap
    orders: tuple[Order, ...] = ()  # every order that is not terminal, any lap, and those that ended lately (REREAD_NS)
    fills: tuple[PersistFill, ...] = ()  # every fill booked since `opening`, in the order they were booked
    paused: Mapping[str, str] = field(default_factory=dict)  # symbol -> reason
    halts: tuple[HaltState, ...] = ()
    high_water_quote: Decimal | None = None  # highest equity ever seen, as without any flow; None: not known
    settled: tuple[PersistFill, ...] = ()  # fills of earlier laps that are young enough to be read again (REREAD_NS)
    last_trade_ids: Mapping[str, int] = field(default_factory=dict)  # symbol -> highest trade id of those that are not
    flows: tuple[PersistFlow, ...] = ()  # every transfer ever booked, in the order they were booked
    advised: tuple[str, ...] = ()  # symbols of which a model's advice is in force by the trail


@dataclass(frozen=True, slots=True)
class SlotView:
    """One rung of the ladder as the page shows it."""

    index: int
    buy_ticks: int
    sell_ticks: int
    state: SlotState
    held_base: Decimal
    order_id: str | None  # the order working for it, if any
    order_side: Side | None
    order_status: OrderStatus | None
    order_price_ticks: int | None
    order_filled_lots: int
    note: str  # last denial or refusal, "" when none


@dataclass(frozen=True, slots=True)
class SymbolView:
    """One symbol of one desk; None is unknown, never zero."""

    symbol: str
    state: str  # "Running" | "Paused" | "Halted" | "Waiting" | "Idle"
    why: str  # "" while Running
    bid_ticks: int | None
    ask_ticks: int | None
    mark_ticks: int | None  # best bid that marks the inventory
    base: Decimal  # position, dust included
    dust_base: Decimal  # too small to sell
    cost_quote: Decimal
    position_quote: Decimal | None  # at the mark
    pnl_day_quote: Decimal | None
    drawdown_fraction: Decimal | None  # day loss of the symbol / capital
    grid_profit_day_quote: Decimal
    floating_quote: Decimal | None  # unrealized
    fees_day_quote: Decimal
    fills_today: int
    round_trips_today: int
    fill_rate: float | None  # taker: filled / marketable quantity; maker: touch-to-fill; 0..1
    fill_rate_of: int  # denominator: orders counted
    levels: tuple[int, ...]  # ticks, () before the first price
    step_fraction: Decimal
    slots: tuple[SlotView, ...]
    held: int
    working: int
    volatility_per_second: float | None
    regime: str | None  # "quiet" | "normal" | "wild"
    floor_fraction: float | None  # forecast floor of the step
    is_fed: bool  # its book is fresh, or the venue does not trade it now
    touched_ever: int  # resting orders whose price was traded through, since the loop started
    touch_filled_ever: int  # resting orders that filled, since the loop started
    advice: GridAdvice | None = None  # what a model asks of it and is heeded; None: the rule grid goes on alone


@dataclass(frozen=True, slots=True)
class TraderView:
    """A snapshot of one desk for publishing."""

    account: str
    state: TradingState
    halt: HaltState | None  # of the whole account
    lap: int
    started: bool  # a first clean reconcile has happened
    cash_quote: Decimal
    equity_quote: Decimal
    opening_equity_quote: Decimal
    pnl_day_quote: Decimal  # what was paid in or out is none
    grid_profit_day_quote: Decimal
    inventory_pnl_day_quote: Decimal  # pnl_day - grid_profit_day
    fees_day_quote: Decimal
    daily_drawdown_fraction: Decimal  # >= 0
    high_water_drawdown_fraction: Decimal  # >= 0
    exposure_quote: Decimal  # worst case, all symbols
    open_orders: int  # working + in flight + UNKNOWN
    unknown_orders: int
    trades_today: int
    fills_today: int
    round_trips_today: int
    orders_per_minute: int
    fill_rate: float | None
    fill_rate_of: int
    reconcile_clean: bool | None  # None: never read
    reconcile_agrees: bool  # the last reading left nothing unexplained; an order's fate may be open
    reconcile_at_ns: int | None
    reconcile_local_open: int
    reconcile_venue_open: int
    discrepancies: tuple[str, ...]
    symbols: tuple[SymbolView, ...]
    funding: Funding = UNFUNDED
