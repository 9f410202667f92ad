"""The pre-trade check: facts in, denials out; nothing reaches a venue without it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.market import COLLAR_FRACTION
from trading.domain.orders import Order, OrderType, Purpose, Side

_COLLAR: Final = Decimal(str(COLLAR_FRACTION))
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Everything a rule may ask about the account, taken at the moment of the decision.

    "Worst case" is the position at the higher of cost and mark, plus every buy that may still fill: working, in flight,
    UNKNOWN, and orders of others on the same account.
    """

    state: TradingState
    flatten: bool  # the halt in force asks for it
    pause: str  # why this symbol takes no new buys; "" when it does
    fresh: bool  # book top of the symbol young enough to decide on
    reconciled: bool  # the last venue read agreed with our books and is young enough
    symbol_worst_quote: Decimal
    total_worst_quote: Decimal
    slot_worst_quote: Decimal  # what the slot holds or may still buy
    open_orders: int  # working + in flight + UNKNOWN, ours and others'
    trades_today: int  # orders with at least one fill since the day began
    trades_pending: int  # open orders without a fill yet
    exits_owed: int  # lots, held or on their way, that still need a sell of their own
    daily_drawdown_fraction: Decimal
    high_water_drawdown_fraction: Decimal
    symbol_drawdown_fraction: Decimal
    free_lots: int  # of the order's source (slot, or everything for a flatten) not yet offered by another sell
    bid_ticks: int | None
    ask_ticks: int | None
    throttled: bool = False  # the venue asked us to wait, and the time is not over
    bid_lots: int = 0  # offered at the best bid
    ask_lots: int = 0
    watched: bool = True  # the watches of the core looked lately enough for the mandate
    measured: bool = True  # what was seen was kept lately enough for the mandate
    cash_left_quote: Decimal | None = None  # held at the venue and not promised to a buy; None: not asked
    pace_left: int | None = None  # orders of this minute that a playbook leaves; None: none is in force


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an order may not go; `code` is stable, the message is for people."""

    code: str
    message: str


Rule = Callable[[Order, Exposure, Limits, Instrument], Denial | None]


def notional_quote(order: Order, instrument: Instrument) -> Decimal:
    """Return the most an order is expected to move: its limit, or the price a MARKET order was decided on."""
    ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
    return instrument.notional(ticks, order.quantity_lots)


def finite(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Every number must be a number: NaN compares as 'not above the limit'."""
    numbers = (
        facts.symbol_worst_quote,
        facts.total_worst_quote,
        facts.slot_worst_quote,
        facts.daily_drawdown_fraction,
        facts.high_water_drawdown_fraction,
        facts.symbol_drawdown_fraction,
        limits.capital_quote,
        limits.max_position_fraction,
        limits.max_symbol_exposure_fraction,
        limits.max_total_exposure_fraction,
        limits.max_daily_drawdown_fraction,
        limits.max_daily_drawdown_hard_fraction,
        limits.max_symbol_drawdown_fraction or _ZERO,
        limits.max_trade_loss_quote or _ZERO,
        limits.max_slippage_loss_quote or _ZERO,
        facts.cash_left_quote or _ZERO,
    )
    if all(number.is_finite() for number in numbers):
        return None
    return Denial("NOT_FINITE", "a limit or a measurement is not a finite number")


def trading_state(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """HALTED sends nothing but a flatten that was asked for; REDUCING sends no buy."""
    if facts.state is TradingState.ACTIVE:
        return None
    if facts.state is TradingState.REDUCING and order.side is Side.SELL:
        return None
    if facts.flatten and _is_flatten(order):
        return None
    return Denial("TRADING_STATE", f"the account is {facts.state}")


def not_throttled(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Where the venue asked us to wait, nothing is sent until then; a flatten may try."""
    if facts.throttled and not _is_flatten(order):
        return Denial("THROTTLED", "the venue asked us to wait")
    return None


def flatten_only_when_asked(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """A flatten order needs a halt that asked for it."""
    if order.purpose is Purpose.FLATTEN and not (facts.flatten and facts.state is TradingState.HALTED):
        return Denial("FLATTEN_NOT_ASKED", "no halt with flatten is in force")
    return None


def symbol_in_mandate(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Only symbols of the mandate are bought; what is held may always be sold."""
    if order.side is Side.BUY and order.symbol not in limits.symbols:
        return Denial("SYMBOL", f"{order.symbol} is not in the mandate of phase {limits.phase}")
    return None


def execution_style(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """MARKET needs TAKER, LIMIT and LIMIT_MAKER need MAKER."""
    style = ExecutionStyle.TAKER if order.type is OrderType.MARKET else ExecutionStyle.MAKER
    if style in limits.execution_styles or _is_flatten(order):
        return None
    return Denial("EXECUTION_STYLE", f"{style} is not allowed in phase {limits.phase}")


def symbol_pause(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """A paused symbol takes no new buy."""
    if order.side is Side.BUY and facts.pause:
        return Denial("PAUSED", facts.pause)
    return None


def fresh_data(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """No decision on old prices."""
    if facts.fresh and facts.bid_ticks is not None and facts.ask_ticks is not None:
        return None
    return Denial("STALE_DATA", f"no fresh book top of {order.symbol}")


def reconciled(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Our books must agree with the venue's before more is sent; a flatten need not wait for that."""
    if facts.reconciled or _is_flatten(order):
        return None
    return Denial("RECONCILE", "our books and the venue's do not agree yet")


def watched(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Nothing is sent while nobody looks: the mandate says how old the last look of the watches may be."""
    if facts.watched or _is_flatten(order):
        return None
    return Denial("NOT_WATCHED", f"the watches have not looked for {limits.health_every_s} s")


def measured(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Nothing is sent that leaves no evidence: the mandate says how long nothing may have been kept."""
    if facts.measured or _is_flatten(order):
        return None
    return Denial("NOT_MEASURED", f"no measurement was kept for {limits.metrics_every_s} s")


def filters(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """The venue's own filters: whole positive lots, min notional, smallest and largest quantity, trading."""
    if order.quantity_lots <= 0 or order.reference_ticks <= 0 or (order.price_ticks or 1) <= 0:
        return Denial("FILTERS", "price and quantity must be positive")
    ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
    if order.quantity_lots < instrument.smallest_lots(ticks):
        return Denial("MIN_NOTIONAL", f"{notional_quote(order, instrument)} is below the venue's smallest order")
    quantity = instrument.quantity(order.quantity_lots)
    largest = instrument.market_max_quantity if order.type is OrderType.MARKET else instrument.max_quantity
    if quantity > largest:
        return Denial("LOT_SIZE", f"{quantity} {instrument.base} is above the venue's largest order {largest}")
    if not instrument.trading:
        return Denial("SYMBOL_BREAK", f"{order.symbol} is not trading at the venue")
    return None


def price_collar(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """No price further from the market than the collar."""
    if facts.bid_ticks is None or facts.ask_ticks is None:
        return None  # fresh_data denies
    ticks = order.reference_ticks if order.price_ticks is None else order.price_ticks
    market = facts.bid_ticks if order.side is Side.SELL else facts.ask_ticks
    if abs(ticks - market) > market * _COLLAR:
        return Denial("PRICE_COLLAR", f"{instrument.price(ticks)} is more than {_COLLAR:%} from the market")
    return None


def lot_size(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """One open lot may not be worth more than its fraction of capital."""
    after = facts.slot_worst_quote + notional_quote(order, instrument)
    if order.side is Side.BUY and after > limits.max_position_quote:
        return Denial("MAX_POSITION", f"the lot would be {after}, limit {limits.max_position_quote}")
    return None


def trade_loss(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """One lot may not lose more than its limit should the account fall to its hard stop."""
    if limits.max_trade_loss_quote is None or order.side is not Side.BUY:
        return None
    loss = (facts.slot_worst_quote + notional_quote(order, instrument)) * limits.stop_fraction
    if loss > limits.max_trade_loss_quote:
        return Denial("TRADE_LOSS", f"at the hard stop the lot loses {loss:.2f}, limit {limits.max_trade_loss_quote}")
    return None


def slippage(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """A MARKET order may not be expected to cost more against the middle of the book than its limit.

    What the best price does not offer is not known: that part counts at the collar.
    """
    limit = limits.max_slippage_loss_quote
    if limit is None or order.type is not OrderType.MARKET or _is_flatten(order):
        return None
    if facts.bid_ticks is None or facts.ask_ticks is None:
        return None  # fresh_data denies
    is_buy = order.side is Side.BUY
    price, offered = (facts.ask_ticks, facts.ask_lots) if is_buy else (facts.bid_ticks, facts.bid_lots)
    taken = min(order.quantity_lots, offered)
    beyond = instrument.notional(price, order.quantity_lots - taken) * _COLLAR
    expected = instrument.notional(facts.ask_ticks - facts.bid_ticks, taken) / 2 + beyond
    if expected > limit:
        return Denial("SLIPPAGE", f"{expected:.4f} would be lost against the middle of the book, limit {limit}")
    return None


def symbol_exposure(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """The worst case of one symbol stays within its fraction of capital."""
    limit = limits.capital_quote * limits.max_symbol_exposure_fraction
    after = facts.symbol_worst_quote + notional_quote(order, instrument)
    if order.side is Side.BUY and after > limit:
        return Denial("SYMBOL_EXPOSURE", f"worst case of {order.symbol} would be {after}, limit {limit}")
    return None


def total_exposure(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """The worst case of all symbols stays within its fraction of capital."""
    limit = limits.capital_quote * limits.max_total_exposure_fraction
    after = facts.total_worst_quote + notional_quote(order, instrument)
    if order.side is Side.BUY and after > limit:
        return Denial("TOTAL_EXPOSURE", f"worst case of all symbols would be {after}, limit {limit}")
    return None


def cash(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Capital in force is what may be used, cash is what is there: a buy uses no more than that."""
    needed, left = notional_quote(order, instrument), facts.cash_left_quote
    if order.side is Side.BUY and left is not None and needed > left:
        return Denial("CASH", f"{needed} is needed and {left} is left at the venue")
    return None


def open_orders(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Orders that work, are in flight or of unknown fate are counted together."""
    if facts.open_orders + 1 > limits.max_open_orders and not _is_flatten(order):
        return Denial("MAX_OPEN_ORDERS", f"{facts.open_orders} orders are open, limit {limits.max_open_orders}")
    return None


def orders_per_minute(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """A playbook holds buys back, never the way out."""
    if order.side is Side.BUY and facts.pace_left is not None and facts.pace_left <= 0:
        return Denial("PACE", "the orders a minute that a playbook leaves are used")
    return None


def daily_trades(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """A buy needs room for itself and every exit, so that the cap traps no inventory; a sell needs room for itself."""
    if _is_flatten(order):
        return None
    used = facts.trades_today + facts.trades_pending
    if order.side is Side.BUY and used + facts.exits_owed + 2 > limits.max_daily_trades:
        return Denial(
            "DAILY_TRADES",
            f"{used} trades used or pending and {facts.exits_owed} exits owed, limit {limits.max_daily_trades}",
        )
    if order.side is Side.SELL and used + 1 > limits.max_daily_trades:
        return Denial("DAILY_TRADES", f"{used} trades used or pending, limit {limits.max_daily_trades}")
    return None


def daily_drawdown(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """From exactly the daily limit on nothing but a flatten goes."""
    if facts.daily_drawdown_fraction >= limits.max_daily_drawdown_fraction and not _is_flatten(order):
        return Denial("DAILY_DRAWDOWN", _drawdown(facts.daily_drawdown_fraction, limits.max_daily_drawdown_fraction))
    return None


def hard_drawdown(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """From exactly the hard limit on nothing but a flatten goes."""
    limit = limits.max_daily_drawdown_hard_fraction
    if facts.daily_drawdown_fraction >= limit and not _is_flatten(order):
        return Denial("HARD_DRAWDOWN", _drawdown(facts.daily_drawdown_fraction, limit))
    return None


def symbol_drawdown(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """From exactly the symbol's limit on it is not bought any more."""
    limit = limits.max_symbol_drawdown_fraction
    if limit is not None and order.side is Side.BUY and facts.symbol_drawdown_fraction >= limit:
        return Denial("SYMBOL_DRAWDOWN", _drawdown(facts.symbol_drawdown_fraction, limit))
    return None


def no_short(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> Denial | None:
    """Spot: nothing is sold that is not held and free."""
    if order.side is Side.SELL and order.quantity_lots > facts.free_lots:
        return Denial("NOT_HELD", f"sells {order.quantity_lots} lots, {facts.free_lots} are held and free")
    return None


RULES: Final[tuple[Rule, ...]] = (
    finite,
    trading_state,
    not_throttled,
    flatten_only_when_asked,
    symbol_in_mandate,
    execution_style,
    symbol_pause,
    fresh_data,
    reconciled,
    watched,
    measured,
    filters,
    price_collar,
    no_short,
    lot_size,
    trade_loss,
    slippage,
    symbol_exposure,
    total_exposure,
    cash,
    open_orders,
    orders_per_minute,
    daily_trades,
    hard_drawdown,
    daily_drawdown,
    symbol_drawdown,
)


def check(order: Order, facts: Exposure, limits: Limits, instrument: Instrument) -> tuple[Denial, ...]:
    """Return every denial; an empty tuple means the order may go to the venue."""
    if not_finite := finite(order, facts, limits, instrument):
        return (not_finite,)  # no other rule can be trusted with it
    return tuple(denial for rule in RULES if (denial := rule(order, facts, limits, instrument)))


def _is_flatten(order: Order) -> bool:
    return order.purpose is Purpose.FLATTEN and order.side is Side.SELL


def _drawdown(actual: Decimal, limit: Decimal) -> str:
    return f"drawdown {actual:.4%}, limit {limit:.4%}"
