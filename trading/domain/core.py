"""The state of one account's core, and the facts every decision reads from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite
from typing import Final

from trading.domain.advice import GridAdvice
from trading.domain.desk import DeskSettings
from trading.domain.events import PersistDay, PersistGrid, SeamReached, VenueOrder, VenueRead
from trading.domain.flows import UNFUNDED, Funding
from trading.domain.grid import GridPlan, GridSettings, Infeasible, break_even_step_fraction
from trading.domain.halting import HaltProcess
from trading.domain.instruments import Instrument
from trading.domain.ledger import Ledger
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.market import MarketState
from trading.domain.metrics import MINUTE_NS, HighWater, Pace, TakerRate, TouchRate, drawdown_fraction
from trading.domain.moving import Mover
from trading.domain.orders import Fill, Order, Purpose, Side
from trading.domain.range_meter import RangeMeter
from trading.domain.reconciliation import PROOF_AFTER_NS, BalanceMismatch
from trading.domain.register import Register
from trading.domain.risk import Exposure
from trading.domain.strategy import CLOSED, NEVER_ABOVE, NEVER_BELOW, Slot, Thresholds, must_go
from trading.domain.throttle import NO_THROTTLE, Throttle

RECONCILE_STALE_AFTER_NS: Final = 60_000_000_000  # no new orders when the venue could not be read for so long (ours)
NEVER_NS: Final = 2**63 - 1
SECOND_NS: Final = 1_000_000_000
SEAMS_KEPT: Final = 8
KEPT_FOR_NS: Final = 20_000_000_000  # what ended so long before a whole reading can be spoken of no more
FORECAST_STALE_AFTER_NS: Final = 60_000_000_000  # an older forecast is no forecast; the break-even step still holds
_ZERO: Final = Decimal(0)


NOT_TRADED: Final = "the venue does not trade it now"


@dataclass(slots=True)
class SymbolBook:
    """One symbol: its market, its ladder, and the prices at which there is something to decide."""

    settings: GridSettings
    instrument: Instrument
    market: MarketState
    mover: Mover | None = None  # None: the ladder stays where it is laid
    plan: GridPlan | None = None
    slots: list[Slot] = field(default_factory=list)
    fall_at: int = NEVER_BELOW  # a best bid at or below it: the ladder may move, or end
    buy_at: int = CLOSED.buy_at
    rearm_above: int = CLOSED.rearm_above
    sell_at: int = CLOSED.sell_at
    previous_ask: int | None = None
    pause: str = ""  # by rule or by a person; released by people only
    infeasible: Infeasible | None = None
    smallest_step: float = 0.0  # of the ladder, fraction
    volatility: float | None = None
    floor: float | None = None
    forecast_at_ns: int = 0
    advice: GridAdvice | None = None  # what a model asks of it; `Core.advice_on` says whether it is heeded
    wants_more: bool = False  # the ladder is not complete: look again at the next second
    touches: TouchRate = field(default_factory=TouchRate)
    taken: TakerRate = field(default_factory=TakerRate)
    touch_buy: int = NEVER_BELOW  # a print below it went through a resting buy
    touch_sell: int = NEVER_ABOVE  # a print above it went through a resting sell
    crossed_since: dict[str, int] = field(default_factory=dict)  # resting order -> since when it should have filled
    silent_since_ns: int | None = None  # last sound message before the market was forgotten
    last_fill_at_ns: int | None = None
    bought_at_ns: int = 0  # when the ladder last decided to buy

    @property
    def symbol(self) -> str:
        """Venue notation."""
        return self.settings.symbol

    @property
    def meter(self) -> RangeMeter | None:
        """What measures the step of the ladder; None where it is chosen."""
        return None if self.mover is None else self.mover.meter

    def as_stored(self, lap: int, now_ns: int) -> PersistGrid:
        """Return where the ladder stands as a restart finds it; () levels: none is laid."""
        footing = None if self.mover is None else self.mover.footing(self.slots)
        return PersistGrid(self.symbol, () if self.plan is None else self.plan.levels, lap, now_ns, footing)

    def set_thresholds(self, thresholds: Thresholds) -> None:
        """Decide at these prices from now on, and where the ladder may move or end."""
        self.buy_at, self.rearm_above, self.sell_at = thresholds
        if self.mover is not None:
            self.fall_at, self.sell_at = self.mover.fall_at, min(self.sell_at, self.mover.rise_at)

    def forecast_is_fresh(self, now_ns: int) -> bool:
        """Return whether the forecast may be used."""
        return self.floor is not None and now_ns - self.forecast_at_ns <= FORECAST_STALE_AFTER_NS

    def forget_market(self) -> None:
        """Start anew after a break of the stream or a seam: nothing seen before may trigger anything."""
        self.silent_since_ns = self.market.good_at_ns or self.silent_since_ns
        self.market.restart()
        self.previous_ask = None
        if self.meter is not None:
            self.meter.broke()

    def slot_of(self, order: Order) -> Slot | None:
        """Return the slot an order works for; None when it works for none (any more)."""
        slot = self.slot(order.slot)
        return slot if slot is not None and slot.order is order else None

    def slot(self, number: int | None) -> Slot | None:
        """Return the slot of this number; of a ladder that never moved it is the place in the row as well."""
        if number is None or number < 0:
            return None
        if number < len(self.slots) and self.slots[number].index == number:
            return self.slots[number]
        return next((slot for slot in self.slots if slot.index == number), None)


@dataclass(slots=True)
class Core:
    """Everything the trader knows; only the trader changes it."""

    settings: DeskSettings
    limits: Limits
    instruments: Mapping[str, Instrument]
    epoch: int
    ledger: Ledger
    opening: PersistDay  # newest day that began with everything in cash
    day: PersistDay
    high_water: HighWater
    books: dict[str, SymbolBook]
    funding: Funding = UNFUNDED
    day_funding: Funding = UNFUNDED  # when the day began
    flow_ids: set[str] = field(default_factory=set)  # transfers that are booked
    announced_quote: Decimal = Decimal(0)  # what the newest reading may show of one that people move
    throttle: Throttle = NO_THROTTLE
    lap: int = 0
    counter: int = 0
    register: Register = field(default_factory=Register)
    pace: Pace = field(default_factory=Pace)
    marks: dict[str, int] = field(default_factory=dict)  # symbol -> last sound best bid, ticks
    halts: dict[str, HaltProcess] = field(default_factory=dict)  # symbol, or "" for the whole account
    foreign: tuple[VenueOrder, ...] = ()  # open at the venue, not in our books
    read_from: dict[str, int] = field(default_factory=dict)  # symbol -> every fill up to this trade id is booked
    at_rest: set[str] = field(default_factory=set)  # symbols read whole since the venue does not trade them
    seams: list[SeamReached] = field(default_factory=list)  # the newest few, oldest first

    # what the last venue read said
    started: bool = False  # a first clean read has been merged
    agrees: bool = False  # the last read left nothing unexplained
    clean: bool | None = None  # agrees, and no fate is open; None: never read
    read_at_ns: int | None = None  # when its answer came
    read_began_ns: int = 0
    local_open: int = 0
    watched_at_ns: int = 0  # when every watch looked last
    measured_at_ns: int | None = None  # when what was seen was kept last; None: nobody keeps it (backtest)
    venue_open: int = 0
    discrepancies: tuple[str, ...] = ()
    mismatch: tuple[BalanceMismatch, ...] = ()
    mismatch_since_ns: int = 0

    # flatten
    flattened_on: dict[str, int] = field(default_factory=dict)  # symbol -> update id of the price last sold on
    flatten_retry_ns: dict[str, int] = field(default_factory=dict)

    proof_due_ns: int = NEVER_NS  # when "not found" becomes proof for an order of unknown fate

    # circuit breakers
    throttled_until_ns: int = 0
    errors_until_ns: int = 0
    error_pauses_ns: tuple[int, ...] = ()  # when orders were paused for venue errors, oldest first
    slipped: dict[str, Decimal] = field(default_factory=dict)  # MARKET order -> lost against its reference, until seen

    @property
    def halt(self) -> HaltProcess | None:
        """The halt of the whole account, while one is in force."""
        return self.halts.get("")

    @property
    def state(self) -> TradingState:
        """Of the whole account."""
        return TradingState.ACTIVE if self.halt is None else TradingState.HALTED

    def halts_on(self, symbol: str) -> list[HaltProcess]:
        """Return the halts in force that stop `symbol`: its own, the account's."""
        return [halt for scope, halt in self.halts.items() if scope in ("", symbol)]

    def is_halted(self, symbol: str) -> bool:
        """Return whether nothing new of `symbol` may leave."""
        return bool(self.halts) and bool(self.halts_on(symbol))

    def plan_proof(self, now_ns: int) -> None:
        """Set when the next order of unknown fate can be proven."""
        dues = (order.decided_at_ns + PROOF_AFTER_NS for order in self.register.unknown())
        self.proof_due_ns = min((due for due in dues if due > now_ns), default=NEVER_NS)

    def remember_seam(self, seam: SeamReached) -> None:
        """Keep when a lap ended and at which prices: a fill of it may still come."""
        if all(known.lap != seam.lap for known in self.seams):
            self.seams = sorted([*self.seams, seam], key=lambda known: known.lap)[-SEAMS_KEPT:]

    def seam_after(self, fill: Fill) -> SeamReached | None:
        """Return the seam that ended the lap in which `fill` was executed; None: it is of this lap, or too old."""
        return next((seam for seam in self.seams if fill.at_ns <= seam.at_ns and seam.lap <= self.lap), None)

    def has_marks(self) -> bool:
        """Return whether everything that is held has a price."""
        return all(symbol in self.marks or not p.base for symbol, p in self.ledger.positions.items())

    def equity(self) -> Decimal:
        """Return cash plus inventory at the best bid."""
        return self.ledger.equity(self.marks)

    def daily_pnl(self) -> Decimal:
        """Return what the account earned or lost since the day began; what was paid in or out is neither."""
        paid_in = self.funding.paid_in_quote - self.day_funding.paid_in_quote
        return self.equity() - self.day.opening_equity_quote - paid_in

    def daily_drawdown(self) -> Decimal:
        """Return the loss since the day began as a fraction of its opening equity, >= 0."""
        opening = self.funding.reference(self.day.opening_equity_quote, self.day_funding)
        return drawdown_fraction(opening, self.equity())

    def high_water_drawdown(self) -> Decimal:
        """Return how far the account stands below its highest equity, a fraction >= 0."""
        return drawdown_fraction(self.high_water.mark_quote, self.funding.unscaled(self.equity()))

    def mark_high_water(self) -> None:
        """Take the equity of now into the high-water mark."""
        self.high_water.observe(self.funding.unscaled(self.equity()))

    def symbol_drawdown(self, symbol: str) -> Decimal:
        """Return the day's loss of one symbol as a fraction of the capital, >= 0."""
        loss = -self.ledger.day_pnl(symbol, self.marks.get(symbol))
        return max(loss / self.limits.capital_quote, _ZERO)

    def worst_quotes(self) -> dict[str, Decimal]:
        """Return the worst-case exposure per symbol: what is held, and every buy that may still fill."""
        buys = self.register.open_buys_lots_ticks()
        return {symbol: self._worst(symbol, buys.get(symbol, 0)) for symbol in self.ledger.positions}

    def _worst(self, symbol: str, buys_lots_ticks: int) -> Decimal:
        instrument, position = self.instruments[symbol], self.ledger.positions[symbol]
        worst = instrument.notional(buys_lots_ticks, 1) if buys_lots_ticks else _ZERO
        if position.lots or position.dust.base:
            mark = self.marks.get(symbol)
            worst += position.cost if mark is None else max(position.cost, self.ledger.value(symbol, mark))
        return worst + self._foreign_buys(symbol) if self.foreign else worst

    def open_orders(self) -> int:
        """Return how many orders work, are in flight or of unknown fate, others' on this account included."""
        return len(self.register.open) + len(self.foreign)

    def trades_pending(self) -> int:
        """Return how many open orders would count as a trade of today if they filled."""
        return sum(name not in self.register.today for name in self.register.open)

    def exits_owed(self) -> int:
        """Return how many lots, held or on their way, still need a sell of their own."""
        owed = 0
        for book in self.books.values():
            for slot in book.slots:
                owed += slot.held_lots > 0 if slot.order is None else slot.order.side is Side.BUY
        return owed

    def reconciled(self, now_ns: int) -> bool:
        """Return whether our books agreed with the venue's at the last read, and the read is young enough."""
        limit_ns = max(RECONCILE_STALE_AFTER_NS, 2 * self.limits.position_sync_every_s * SECOND_NS)
        return self.agrees and self.read_at_ns is not None and now_ns - self.read_at_ns <= limit_ns

    def watched(self, now_ns: int) -> bool:
        """Return whether every watch looked as lately as the mandate asks."""
        return now_ns - self.watched_at_ns <= self.limits.health_every_s * SECOND_NS

    def measured(self, now_ns: int) -> bool:
        """Return whether what was seen was kept as lately as the mandate asks, where it is kept at all."""
        kept_ns = self.measured_at_ns
        return kept_ns is None or now_ns - kept_ns <= self.limits.metrics_every_s * SECOND_NS

    def losers(self, book: SymbolBook) -> list[Slot]:
        """Return the slots whose lot has lost, at the best bid, as much as the mandate lets one trade lose."""
        limit, bid = self.limits.max_trade_loss_quote, self.marks.get(book.symbol)
        if limit is None or bid is None:
            return []
        price, lots = book.instrument.price(bid), self.ledger.positions[book.symbol].lots
        lost = {slot: lot.cost - lot.base * price for slot, lot in lots.items()}
        return [slot for slot in book.slots if slot.held_lots and lost.get(slot.index, _ZERO) >= limit]

    def to_close(self, book: SymbolBook) -> list[Slot]:
        """Return the slots whose lot is to be sold at the market: it has lost too much, or fell out of the ladder."""
        losers = self.losers(book)
        return losers + [slot for slot in book.slots if must_go(slot) and slot not in losers]

    def block(self, book: SymbolBook, now_ns: int) -> str:
        """Return why a symbol takes no new buys now; "" when it does."""
        if book.pause:
            return book.pause
        if book.infeasible is not None:
            return book.infeasible.reason
        if not book.instrument.trading:
            return NOT_TRADED
        if book.symbol not in self.limits.symbols:
            return f"not in the mandate of phase {self.limits.phase}"
        if now_ns < self.throttled_until_ns:
            return "the venue asked us to wait"
        if now_ns < self.errors_until_ns:
            return "the venue failed twice within a minute"
        if now_ns - book.bought_at_ns < self.throttle.decision_interval_ns:
            return "a playbook asks for longer intervals between decisions"
        return self._costs_of_market_only(book) or self._step_too_narrow(book, now_ns) or self._advised(book, now_ns)

    def advice_on(self, book: SymbolBook, now_ns: int) -> GridAdvice | None:
        """Return what a model asks of the grid now; what is too old, or speaks of a halted symbol, is nothing."""
        advice = book.advice
        return None if advice is None or not advice.holds(now_ns) or self.is_halted(book.symbol) else advice

    def entry_lots(self, book: SymbolBook, slot: Slot, now_ns: int) -> int:
        """Return the size of a new buy of `slot`: its whole lot less what overrides and a model take; 0: none.

        A slot is the unit: what a model leaves of its lot is bought if the venue takes that, and its sell; else none.
        """
        lots, advice = self.throttle.lots(slot.lots), self.advice_on(book, now_ns)
        if advice is None:
            return lots
        smallest = max(slot.smallest_lots, book.instrument.smallest_lots(slot.buy_ticks))
        advised = advice.lots(lots)
        return advised if advised >= min(smallest, lots) else 0

    def style_of(self, book: SymbolBook) -> ExecutionStyle:
        """Return how the ladder trades: as it is set, or at market where a playbook asks and the mandate allows it."""
        if self.throttle.market_only and ExecutionStyle.TAKER in self.limits.execution_styles:
            return ExecutionStyle.TAKER
        return book.settings.style

    def exposure(self, order: Order, now_ns: int) -> Exposure:
        """Return the facts the risk rules judge `order` by."""
        book = self.books.get(order.symbol)
        top = book.market.top if book is not None else None
        worst = self.worst_quotes()
        return Exposure(
            state=TradingState.HALTED if self.is_halted(order.symbol) else TradingState.ACTIVE,
            flatten=any(halt.state.flatten for halt in self.halts_on(order.symbol)),
            pause=self.block(book, now_ns) if book is not None else "no grid of ours",
            fresh=book is not None and book.market.is_fresh(now_ns),
            reconciled=self.reconciled(now_ns),
            symbol_worst_quote=worst[order.symbol],
            total_worst_quote=sum(worst.values(), _ZERO),
            slot_worst_quote=self._slot_worst(order),
            open_orders=self.open_orders(),
            trades_today=self.register.trades_today,
            trades_pending=self.trades_pending(),
            exits_owed=self.exits_owed(),
            daily_drawdown_fraction=self.daily_drawdown(),
            high_water_drawdown_fraction=self.high_water_drawdown(),
            symbol_drawdown_fraction=self.symbol_drawdown(order.symbol),
            free_lots=self.free_lots(order),
            bid_ticks=top.bid_ticks if top else None,
            ask_ticks=top.ask_ticks if top else None,
            throttled=now_ns < self.throttled_until_ns,
            bid_lots=top.bid_lots if top else 0,
            ask_lots=top.ask_lots if top else 0,
            watched=self.watched(now_ns),
            measured=self.measured(now_ns),
            pace_left=self._pace_left(now_ns),
            cash_left_quote=self.cash_left(),
        )

    def cash_left(self) -> Decimal:
        """Return the cash that no buy, ours or of others, may still take."""
        buys = self.register.open_buys_lots_ticks().items()
        promised = (self.instruments[symbol].notional(lots_ticks, 1) for symbol, lots_ticks in buys)
        others = (self._foreign_buys(symbol) for symbol in self.ledger.positions) if self.foreign else ()
        return self.ledger.cash - sum(promised, _ZERO) - sum(others, _ZERO)

    def free_lots(self, order: Order) -> int:
        """Return what a sell may take: from its slot, or for a flatten from everything no other sell has offered."""
        if order.purpose is Purpose.FLATTEN:
            everything = self.ledger.sellable_lots(order.symbol, None)
            return everything - self.register.offered_lots(order.symbol)
        return self.ledger.sellable_lots(order.symbol, order.slot) if order.slot is not None else 0

    def read_request(self) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]:
        """Return (symbol, id) of every open order of ours, and (symbol, trade id) from which fills are wanted."""
        local_open = tuple((order.symbol, name) for name, order in self.register.open.items())
        working = {order.symbol for order in self.register.open.values()}
        since = ((symbol, self.read_from.get(symbol, 0)) for symbol in self.ledger.positions)
        # Nothing can fill where the venue does not trade: such fills cost the most weight and are read once.
        return local_open, tuple(each for each in since if each[0] not in self.at_rest or each[0] in working)

    def note_read(self, read: VenueRead) -> None:
        """Remember what a read that is merged makes unnecessary to read again, or to keep."""
        for fill in read.fills:
            self.read_from[fill.symbol] = max(self.read_from.get(fill.symbol, 0), fill.trade_id)
        self.at_rest |= {book.symbol for book in self.books.values() if not book.instrument.trading}
        self.read_began_ns = read.read_at_ns
        before_ns = read.read_at_ns - KEPT_FOR_NS
        self.register.forget(before_ns)
        self.ledger.forget(self.read_from, before_ns)
        for book in self.books.values():
            book.touches.forget(self.register.known)

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol with a grid or an open order."""
        working = {order.symbol for order in self.register.open.values()}
        foreign = {order.symbol for order in self.foreign}
        return tuple(sorted(working | foreign | set(self.books)))

    def _pace_left(self, now_ns: int) -> int | None:
        most = self.throttle.max_orders_per_minute
        return None if most is None else most - self.pace.within(MINUTE_NS, now_ns)

    def _slot_worst(self, order: Order) -> Decimal:
        if order.slot is None:
            return _ZERO
        lot = self.ledger.positions[order.symbol].lots.get(order.slot)
        return _ZERO if lot is None else lot.cost

    def _foreign_buys(self, symbol: str) -> Decimal:
        instrument, total = self.instruments[symbol], _ZERO
        for order in self.foreign:
            if order.symbol == symbol and order.side is not Side.SELL:
                ticks = order.price_ticks or self.marks.get(symbol, 0)
                total += instrument.notional(ticks, max(order.quantity_lots - order.filled_lots, 0))
        return total

    def _costs_of_market_only(self, book: SymbolBook) -> str:
        """Return why a ladder that was laid for resting orders buys nothing at market: it would earn less than fees."""
        style, top = self.style_of(book), book.market.top
        if style is book.settings.style or top is None:
            return ""
        spread = Decimal(top.ask_ticks - top.bid_ticks) / top.bid_ticks
        floor = break_even_step_fraction(replace(book.settings, style=style), self.settings.fees, spread)
        if book.plan is None or floor <= book.smallest_step:
            return ""
        return f"at market a step of {book.smallest_step:.4%} earns less than fees and spread ({floor:.4%})"

    def _step_too_narrow(self, book: SymbolBook, now_ns: int) -> str:
        if book.plan is None or not book.forecast_is_fresh(now_ns) or book.floor is None:
            return ""
        if isfinite(book.floor) and book.floor <= book.smallest_step:
            return ""
        return f"forecast asks for a step of {book.floor:.4%}, the grid has {book.smallest_step:.4%}"

    def _advised(self, book: SymbolBook, now_ns: int) -> str:
        """Return why a model lets nothing new be bought."""
        advice = self.advice_on(book, now_ns)
        if advice is None:
            return ""
        if advice.pause_buys:
            return "a model asks to buy nothing"
        if book.plan is None or advice.floor_fraction <= book.smallest_step:
            return ""
        return f"a model asks for a step of {advice.floor_fraction:.4%}, the grid has {book.smallest_step:.4%}"
