"""The trader: events in, effects out; every decision of an account is made here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from trading.domain import recovery, risk, strategy, viewing
from trading.domain.core import Core, SymbolBook
from trading.domain.desk import DeskSettings, TraderState, TraderView
from trading.domain.events import (
    Cancel,
    CancelEverything,
    CancelRefused,
    Effect,
    Event,
    FeedLost,
    FeedRestored,
    ForecastChanged,
    HaltRequested,
    LatchHalt,
    MandateChanged,
    OrderAccepted,
    OrderAmbiguous,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    PersistDay,
    PersistFill,
    PersistGrid,
    PersistHaltStage,
    PersistOrder,
    PersistPause,
    PersistReconcile,
    PersistSettlement,
    RaiseAlert,
    ReadVenue,
    Resumed,
    SeamReached,
    Severity,
    Submit,
    SymbolPaused,
    SymbolResumed,
    TimerFired,
    VenueOrder,
    VenueRead,
)
from trading.domain.grid import GridPlan, Infeasible, UnableToBuild, build, feasibility
from trading.domain.halting import FLAT, LATCHED, PROOF_IS_LATE_AFTER_NS, PROVEN_CLEAR, STOPPED, HaltProcess, HaltState
from trading.domain.instruments import Instrument
from trading.domain.ledger import Contradiction
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.market import BookTop, Trade
from trading.domain.orders import (
    TERMINAL,
    WORKING,
    Fill,
    IllegalTransition,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    client_order_id,
)
from trading.domain.reconciliation import (
    PROOF_AFTER_NS,
    Fate,
    ForeignOrder,
    Ghost,
    LocalBooks,
    MissingFill,
    NeverArrived,
    Orphan,
    StillUnknown,
    compare,
    compare_balances,
    describe,
)
from trading.domain.strategy import CLOSED, OPEN, Slot, Want

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
READ_EVERY_NS: Final = 5 * SECOND_NS
READ_AGAIN_NS: Final = SECOND_NS  # while a fate is open or a halt is not proven
ANSWER_WITHIN_NS: Final = 12 * SECOND_NS  # recvWindow 2 s + the venue's own time-out 10 s
MISMATCH_CONFIRMED_AFTER_NS: Final = 3 * SECOND_NS  # a balance may be read between two executions
STUCK_AFTER_NS: Final = 300 * SECOND_NS  # an order that should have filled (decisions: alert rules)
SILENT_AFTER_NS: Final = 60 * SECOND_NS  # no market data at all: halt (decisions: alert rules)
ERRORS_WINDOW_NS: Final = 60 * SECOND_NS  # two venue errors within it pause new orders (decisions: alert rules)
THROTTLED_DEFAULT_NS: Final = 60 * SECOND_NS  # when the venue does not say how long
PACE_WINDOW_NS: Final = 10 * SECOND_NS
PACE_LIMIT: Final = 45  # new ladder orders per window; Binance spot allows 50 (exchangeInfo ORDERS, 10 s)
RETRY_FIRST_NS: Final = SECOND_NS
RETRY_LONGEST_NS: Final = 60 * SECOND_NS
ID_DIGITS: Final = 7  # room for ten million orders of one process in a client_order_id
EXPECTED_REFUSALS: Final = frozenset({"-2010", "-1013", "THROTTLED", "STALE"})  # ours to handle, no venue error


class Trader:
    """One account's core; pure: no clock, no I/O. Feed it events in order, execute its effects in order."""

    def __init__(
        self,
        *,
        settings: DeskSettings,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        epoch: int,
        now_ns: int,
        lap: int = 0,
        state: TraderState | None = None,
    ) -> None:
        """Prepare an account that never ran (`state` None), or go on where `state` ends.

        Raises:
            ValueError: the account's slug makes ids too long, two grids on one symbol, or an instrument is missing.
            Contradiction: the stored fills cannot all be true.
        """
        client_order_id(settings.account, epoch, 10**ID_DIGITS)
        if state is None:
            self._core = recovery.first_core(settings, limits, instruments, epoch=epoch, lap=lap, now_ns=now_ns)
        else:
            self._core = recovery.restored_core(settings, limits, instruments, state, epoch=epoch)
        self._is_first_start = state is None
        self._adopting = set(self._core.register.open)  # restored orders nobody has judged yet
        self._books = self._core.books
        self._marks = self._core.marks
        self._persists: list[Effect] = []
        self._actions: list[Effect] = []
        self._dirty: dict[str, SymbolBook] = {}  # symbols whose ladder must be looked at before the turn ends
        self._asked_at_ns: int | None = None  # newest ReadVenue
        self._ask_reason = ""
        self._booked_at_ns = 0  # newest fill that a stream brought
        self._last_error_ns: int | None = None
        self._silence_reported = False
        self._disputed: set[tuple[str, int]] = set()  # executions that cannot be true, reported once
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            OrderAccepted: self._on_accepted,
            OrderFilled: self._on_filled,
            OrderEnded: self._on_ended,
            OrderRefused: self._on_refused,
            OrderAmbiguous: self._on_ambiguous,
            CancelRefused: self._on_cancel_refused,
            VenueRead: self._on_read,
            MandateChanged: self._on_mandate,
            ForecastChanged: self._on_forecast,
            TimerFired: self._on_timer,
            HaltRequested: self._on_halt,
            Resumed: self._on_resumed,
            SymbolPaused: self._on_paused,
            SymbolResumed: self._on_symbol_resumed,
            FeedLost: self._on_feed_lost,
            FeedRestored: self._on_feed_restored,
            SeamReached: self._on_seam,
        }

    def start(self, now_ns: int) -> list[Effect]:
        """Return what to do first: open the day on a first start, cancel what a halt left, ask for the first read."""
        core = self._core
        if self._is_first_start:
            self._persist(core.day)
            self._alert(Severity.INFO, "STARTED", f"{core.settings.account} starts with {core.ledger.cash}", "", now_ns)
        else:
            text = f"{core.settings.account} goes on with {len(core.register.open)} orders open"
            self._alert(Severity.INFO, "RESTARTED", text, "", now_ns)
        if core.halt is not None and not core.halt.is_proven:
            self._actions.append(CancelEverything(core.symbols()))
        self._ask("start", now_ns)
        return self._turn(now_ns)

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Return the effects of `event`, every persist effect before the first that leaves."""
        kind = type(event)
        if kind is BookTop:
            return self._on_top(event, now_ns)  # type: ignore[arg-type]  # compared by type: isinstance costs more
        if kind is Trade:
            return self._on_trade(event, now_ns)  # type: ignore[arg-type]  # as above
        self._handlers[kind](event, now_ns)
        return self._turn(now_ns)

    def view(self, now_ns: int) -> TraderView:
        """Return a snapshot for publishing; reads only."""
        return viewing.view(self._core, now_ns)

    @property
    def equity_quote(self) -> Decimal:
        """Cash plus inventory at the best bid."""
        return self._core.equity()

    # --- market -------------------------------------------------------------------------------------------

    def _on_top(self, top: BookTop, now_ns: int) -> list[Effect]:
        book = self._books.get(top.symbol)
        if book is None or book.market.accept(top, now_ns) is not None:
            return []
        ask = top.ask_ticks
        self._marks[top.symbol] = top.bid_ticks
        if book.buy_at < ask <= book.rearm_above and top.bid_ticks < book.sell_at:
            book.previous_ask = ask
            return []
        self._look(book, now_ns)
        return self._turn(now_ns)

    def _on_trade(self, trade: Trade, now_ns: int) -> list[Effect]:
        book = self._books.get(trade.symbol)
        if book is None or book.market.accept(trade, now_ns) is not None:
            return []
        if trade.price_ticks < book.touch_buy or trade.price_ticks > book.touch_sell:
            for slot in book.slots:
                if slot.order is not None and _is_through(slot.order, trade.price_ticks):
                    book.touches.touch(slot.order.client_order_id)
            _watch_touches(book)
        return []

    def _look(self, book: SymbolBook, now_ns: int) -> None:
        """Decide what the ladder wants at the current price, then set the prices of the next decision."""
        top = book.market.top
        if not self._may_trade(now_ns) or top is None or not book.market.is_fresh(now_ns):
            self._close(book)
            return
        if book.plan is None and not self._centre(book, top, now_ns):
            book.previous_ask = top.ask_ticks
            return
        self._work(book, top, now_ns)
        book.previous_ask = top.ask_ticks
        book.set_thresholds(strategy.thresholds(book.settings.style, book.slots, top.ask_ticks, now_ns))
        _watch_touches(book)

    def _close(self, book: SymbolBook) -> None:
        """Wait for the next price where one may be traded on, else for the event that allows it."""
        waits_for_price = self._core.state is TradingState.ACTIVE and self._core.agrees
        book.set_thresholds(OPEN if waits_for_price else CLOSED)

    def _may_trade(self, now_ns: int) -> bool:
        core = self._core
        return core.state is not TradingState.HALTED and core.started and core.reconciled(now_ns)

    def _centre(self, book: SymbolBook, top: BookTop, now_ns: int) -> bool:
        """Lay the ladder around the price; return whether there is one to trade on now."""
        if book.infeasible is not None or self._core.block(book, now_ns):
            book.set_thresholds(CLOSED)
            book.wants_more = book.infeasible is None
            return False
        try:
            plan = build(book.settings, book.instrument, (top.bid_ticks + top.ask_ticks) // 2)
        except UnableToBuild as e:
            self._refuse_grid(book, Infeasible("step_fraction", str(e), None), now_ns)
            return False
        spread = Decimal(top.ask_ticks - top.bid_ticks) / top.bid_ticks
        verdict = feasibility(plan, book.instrument, self._core.limits, self._core.settings.fees, spread)
        if isinstance(verdict, Infeasible):
            return self._postpone_or_refuse(book, plan, verdict, now_ns)
        book.plan, book.slots = plan, strategy.lay_out(plan, book.instrument)
        book.smallest_step = float(plan.smallest_step_fraction())
        self._core.ledger.sweep_all(book.symbol)
        self._persist(PersistGrid(book.symbol, plan.levels, self._core.lap, now_ns))
        return True

    def _postpone_or_refuse(self, book: SymbolBook, plan: GridPlan, verdict: Infeasible, now_ns: int) -> bool:
        without_spread = feasibility(plan, book.instrument, self._core.limits, self._core.settings.fees)
        if isinstance(without_spread, Infeasible):
            self._refuse_grid(book, without_spread, now_ns)
        else:
            book.set_thresholds(OPEN)  # only the spread of this moment is too wide: the next price may do
        return False

    def _refuse_grid(self, book: SymbolBook, verdict: Infeasible, now_ns: int) -> None:
        book.infeasible = verdict
        book.set_thresholds(CLOSED)
        self._alert(Severity.CRIT, "GRID_INFEASIBLE", verdict.reason, book.symbol, now_ns)

    def _work(self, book: SymbolBook, top: BookTop, now_ns: int) -> None:
        """Send what the ladder wants; buys only where nothing speaks against them."""
        blocked = bool(self._core.block(book, now_ns)) or self._core.state is not TradingState.ACTIVE
        cancels: list[Order] = []
        if book.settings.style is ExecutionStyle.TAKER:
            wants = strategy.taker_wants(book.slots, top, book.previous_ask, now_ns)
        else:
            quota = max(self._core.limits.max_open_orders // len(self._books), 1)
            wants, cancels = strategy.maker_wants(book.slots, top, quota, now_ns)
        book.wants_more = blocked
        for order in cancels:
            self._cancel(order, now_ns)
        for want in wants:
            if want.side is Side.SELL or not blocked:
                self._send_or_wait(book, want, now_ns)
        book.wants_more = book.wants_more or any(slot.retry_at_ns > now_ns for slot in book.slots)

    def _send_or_wait(self, book: SymbolBook, want: Want, now_ns: int) -> None:
        resting_buy = want.side is Side.BUY and want.type is not OrderType.MARKET
        if resting_buy and self._core.pace.within(PACE_WINDOW_NS, now_ns) >= PACE_LIMIT:
            book.wants_more = True
            return
        self._place(book, want, now_ns)

    # --- orders out ---------------------------------------------------------------------------------------

    def _place(self, book: SymbolBook, want: Want, now_ns: int) -> None:
        slot = want.slot
        order = self._new_order(book.symbol, want, slot.index, Purpose.GRID, now_ns)
        denials = risk.check(order, self._core.exposure(order, now_ns), self._core.limits, book.instrument)
        if denials:
            self._deny(slot, order, denials[0], now_ns)
            return
        slot.denied = slot.note = ""
        if book.market.top is not None:
            slot.tried_update_id = book.market.top.update_id
        slot.order = order
        self._submit(order, now_ns)

    def _new_order(self, symbol: str, want: Want, slot: int | None, purpose: Purpose, now_ns: int) -> Order:
        core = self._core
        return Order(
            client_order_id=client_order_id(core.settings.account, core.epoch, core.counter + 1),
            symbol=symbol,
            side=want.side,
            type=want.type,
            quantity_lots=want.quantity_lots,
            price_ticks=want.price_ticks,
            slot=slot,
            purpose=purpose,
            decided_at_ns=now_ns,
            reference_ticks=want.reference_ticks,
            lap=core.lap,
            updated_at_ns=now_ns,
        )

    def _deny(self, slot: Slot, order: Order, denial: risk.Denial, now_ns: int) -> None:
        """Keep the denial, once for a slot and a reason: the same answer every second is no news."""
        slot.note = denial.message
        slot.retry_at_ns = now_ns + RETRY_FIRST_NS
        if slot.denied == denial.code:
            return
        slot.denied = denial.code
        self._core.counter += 1
        order.status, order.reason = OrderStatus.DENIED, f"{denial.code}: {denial.message}"
        self._persist(PersistOrder(order))

    def _submit(self, order: Order, now_ns: int) -> None:
        self._core.counter += 1
        intent = replace(order)
        self._persist(PersistOrder(intent))
        self._actions.append(Submit(intent))
        order.status = OrderStatus.SUBMITTED
        self._core.register.add(order)
        self._core.pace.record(now_ns)

    def _cancel(self, order: Order, now_ns: int) -> None:
        if order.status in WORKING and order.status is not OrderStatus.PENDING_CANCEL:
            self._store(order, OrderStatus.PENDING_CANCEL, now_ns)
        self._actions.append(Cancel(order.client_order_id, order.symbol))

    # --- order reports in ---------------------------------------------------------------------------------

    def _on_accepted(self, event: OrderAccepted, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None:
            self._ask("accepted an order we do not know", now_ns)
            return
        fresh_id = order.venue_order_id is None
        order.venue_order_id = order.venue_order_id or event.venue_order_id
        if order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            self._store(order, OrderStatus.ACCEPTED, now_ns)
            if self._core.halt is not None and order.purpose is Purpose.GRID:
                self._cancel(order, now_ns)
        elif order.status is OrderStatus.REJECTED:
            self._contradict(f"{order.client_order_id} was {order.status}, now the venue accepted it", now_ns)
        elif fresh_id:
            self._persist(PersistOrder(replace(order)))

    def _on_filled(self, event: OrderFilled, now_ns: int) -> None:
        if self._book_fill(event.fill, now_ns):
            self._booked_at_ns = now_ns

    def _book_fill(self, fill: Fill, now_ns: int) -> bool:
        """Book one execution if it is new; return whether it was. What cannot be true halts the account."""
        order = self._core.register.known.get(fill.client_order_id)
        try:
            if fill.symbol in self._core.ledger.positions and self._core.ledger.knows(fill):
                return False
            if order is None:
                self._fill_of_nobody(fill, now_ns)
                return False
            self._check_fill(order, fill)
            if order.lap < self._core.lap and fill.at_ns <= self._core.seam_at_ns:
                self._book_late(order, fill, now_ns)
            else:
                self._book_known(order, fill, now_ns)
        except Contradiction as e:
            if (fill.symbol, fill.trade_id) not in self._disputed:
                self._disputed.add((fill.symbol, fill.trade_id))
                self._contradict(str(e), now_ns)
            return False
        return True

    def _check_fill(self, order: Order, fill: Fill) -> None:
        name = order.client_order_id
        if (fill.symbol, fill.side) != (order.symbol, order.side):
            raise Contradiction(f"fill {fill.trade_id} of {name} is {fill.side} {fill.symbol}")
        if order.filled_lots + fill.quantity_lots > order.quantity_lots:
            raise Contradiction(f"fill {fill.trade_id} fills {name} beyond its quantity")
        if order.status in (OrderStatus.REJECTED, OrderStatus.DENIED):
            raise Contradiction(f"fill {fill.trade_id} of {name}, which was {order.status}")

    def _fill_of_nobody(self, fill: Fill, now_ns: int) -> None:
        """A fill without an order of ours: a person traded on the account, or we lost an order."""
        if fill.trade_id <= self._core.read_from.get(fill.symbol, 0):
            return  # booked long ago, in a day we no longer keep
        if fill.client_order_id.startswith(self._prefix()):
            raise Contradiction(f"fill {fill.trade_id} of {fill.client_order_id}, which is in no book of ours")
        self._alert(
            Severity.WARN, "FOREIGN_FILL", f"{fill.client_order_id} is not ours and filled", fill.symbol, now_ns
        )
        self._ask("foreign fill", now_ns)

    def _book_known(self, order: Order, fill: Fill, now_ns: int) -> None:
        core, book = self._core, self._books.get(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        index = slot.index if slot is not None else None
        booking = core.ledger.apply(fill, index, grid=order.purpose is Purpose.GRID)
        core.register.today.add(order.client_order_id)
        self._persist(
            PersistFill(fill, index, booking.realized_quote, booking.grid_profit_quote, core.lap)
        )
        self._count_fill(order, fill, now_ns)
        if book is None:
            return
        book.last_fill_at_ns = now_ns
        self._dirty[book.symbol] = book
        if slot is not None:
            slot.held_lots = core.ledger.sellable_lots(order.symbol, slot.index)
            slot.failures = 0
        else:
            self._recount(book)
        if order.type is OrderType.LIMIT_MAKER and order.status is OrderStatus.FILLED:
            book.touches.fill(order.client_order_id)
        if order.status in TERMINAL:
            self._release(book, slot)

    def _count_fill(self, order: Order, fill: Fill, now_ns: int) -> None:
        """Advance the order by one execution."""
        order.filled_lots += fill.quantity_lots
        order.venue_order_id = order.venue_order_id or fill.venue_order_id
        owed = self._core.register.owed.get(order.client_order_id)
        if order.filled_lots == order.quantity_lots:
            self._store(order, OrderStatus.FILLED, now_ns)
        elif owed is not None and order.filled_lots >= owed[0]:
            self._store(order, owed[1], now_ns)
        elif order.status in (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED, OrderStatus.EXPIRED):
            self._persist(PersistOrder(replace(order)))
        else:
            self._store(order, OrderStatus.PARTIALLY_FILLED, now_ns)

    def _book_late(self, order: Order, fill: Fill, now_ns: int) -> None:
        """Book a fill of the lap that ended: the venue has settled it at the seam, so it changes cash only."""
        core = self._core
        price = core.seam_prices.get(fill.symbol)
        if price is None or core.day.reason != "seam":
            raise Contradiction(f"fill {fill.trade_id} of an ended lap on {fill.symbol}: too late to settle it")
        gained = core.ledger.apply_settled(fill, price)
        self._persist(PersistFill(fill, None, gained, None, order.lap))
        self._count_fill(order, fill, now_ns)
        core.day = replace(
            core.day,
            opening_equity_quote=core.day.opening_equity_quote + gained,
            opening_cash_quote=core.day.opening_cash_quote + gained,
        )
        self._persist(core.day)

    def _on_ended(self, event: OrderEnded, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None:
            self._ask("an order ended that we do not know", now_ns)
        elif order.status is OrderStatus.REJECTED:
            if event.filled_lots:
                self._contradict(f"{order.client_order_id} was {order.status}, now the venue filled it", now_ns)
        elif order.status not in TERMINAL:
            self._end(order, event.status, event.filled_lots, now_ns)

    def _end(self, order: Order, status: OrderStatus, filled_lots: int, now_ns: int) -> None:
        """Close an order the venue has ended, or wait for the fills it speaks of."""
        if filled_lots > order.filled_lots:
            if order.client_order_id not in self._core.register.owed:
                self._store(order, OrderStatus.PENDING_CANCEL, now_ns)
                self._core.register.owed[order.client_order_id] = (filled_lots, status)
                self._ask("fills are missing", now_ns)
            return
        if filled_lots < order.filled_lots:
            self._ask("the venue counts less than it reported", now_ns)
        self._store(order, status, now_ns)
        if order.type is OrderType.MARKET and not order.filled_lots:
            order.reason = "nothing was offered at the top of the book"
            self._back_off(order, now_ns)
        book = self._books.get(order.symbol)
        if book is not None:
            self._release(book, book.slot_of(order))

    def _on_refused(self, event: OrderRefused, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None or order.status in TERMINAL:
            return
        if order.status not in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN) or order.filled_lots:
            self._ask("refused an order that works", now_ns)
            return
        if event.code == "THROTTLED":
            wait_ns = event.retry_after_ms * 1_000_000 if event.retry_after_ms > 0 else THROTTLED_DEFAULT_NS
            self._core.throttled_until_ns = max(self._core.throttled_until_ns, now_ns + wait_ns)
            self._alert(Severity.WARN, "THROTTLED", f"the venue asks us to wait {wait_ns / 1e9:g} s", "", now_ns)
        if event.code not in EXPECTED_REFUSALS:
            self._venue_error(f"{event.code} {event.message}", now_ns)
        order.reason = f"{event.code}: {event.message}"
        self._store(order, OrderStatus.REJECTED, now_ns)
        self._back_off(order, now_ns)

    def _back_off(self, order: Order, now_ns: int) -> None:
        if order.purpose is Purpose.FLATTEN:
            self._core.flatten_retry_ns[order.symbol] = now_ns + RETRY_FIRST_NS
        book = self._books.get(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        if book is None or slot is None:
            return
        slot.note = order.reason
        slot.retry_at_ns = now_ns + min(RETRY_FIRST_NS << min(slot.failures, 6), RETRY_LONGEST_NS)
        slot.failures += 1
        self._release(book, slot)

    def _on_ambiguous(self, event: OrderAmbiguous, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None or order.status is not OrderStatus.SUBMITTED:
            return  # something definite was heard already
        self._doubt(order, event.message, now_ns)
        self._venue_error(event.message, now_ns)

    def _doubt(self, order: Order, reason: str, now_ns: int) -> None:
        order.reason = reason
        self._store(order, OrderStatus.UNKNOWN, now_ns)
        self._alert(
            Severity.WARN, "ORDER_UNKNOWN", f"{order.client_order_id}: {reason}; its slot is locked", order.symbol, now_ns
        )
        self._ask("unknown fate", now_ns)

    def _on_cancel_refused(self, event: CancelRefused, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is not None and order.is_open:
            self._ask("cancel refused", now_ns)

    def _venue_error(self, message: str, now_ns: int) -> None:
        """Two errors within a minute pause new orders for a minute."""
        last, self._last_error_ns = self._last_error_ns, now_ns
        if last is None or now_ns - last > ERRORS_WINDOW_NS or now_ns < self._core.errors_until_ns:
            return
        self._core.errors_until_ns = now_ns + ERRORS_WINDOW_NS
        self._alert(Severity.CRIT, "VENUE_ERRORS", f"two venue errors within a minute: {message}", "", now_ns)

    def _release(self, book: SymbolBook, slot: Slot | None) -> None:
        """Free a slot whose order has ended; what it holds is kept, what cannot be sold is dust."""
        self._dirty[book.symbol] = book
        if slot is None:
            return
        slot.order = None
        slot.held_lots = self._core.ledger.sellable_lots(book.symbol, slot.index)
        if slot.held_lots < slot.smallest_lots:
            self._core.ledger.sweep(book.symbol, slot.index)
            slot.held_lots = 0

    def _recount(self, book: SymbolBook) -> None:
        """Look at every lot again after an execution that belonged to no slot."""
        for slot in book.slots:
            slot.held_lots = self._core.ledger.sellable_lots(book.symbol, slot.index)
            if slot.order is None and slot.held_lots < slot.smallest_lots:
                self._core.ledger.sweep(book.symbol, slot.index)
                slot.held_lots = 0

    def _store(self, order: Order, status: OrderStatus, now_ns: int) -> None:
        """Move an order on and keep its new state; a step that cannot be is a contradiction."""
        try:
            self._persist(PersistOrder(self._core.register.move(order, status, now_ns)))
        except IllegalTransition as e:
            self._contradict(f"{order.client_order_id}: {e}", now_ns)

    # --- reconcile ----------------------------------------------------------------------------------------

    def _on_read(self, read: VenueRead, now_ns: int) -> None:
        core = self._core
        local_open = len(core.register.open)
        findings = compare(LocalBooks(core.register.known, self._knows), read)
        discrepancies = [describe(f) for f in findings if not isinstance(f, Fate)]
        others: list[VenueOrder] = []
        for finding in findings:
            match finding:
                case MissingFill(fill):
                    self._book_fill(fill, now_ns)
                case Fate(name, order):
                    self._learn_fate(core.register.known[name], order, now_ns)
                case NeverArrived(name):
                    self._never_arrived(core.register.known[name], now_ns)
                case StillUnknown(name):
                    self._still_unknown(core.register.known[name], now_ns)
                case Ghost(name):
                    self._bury(core.register.known[name], now_ns)
                case Orphan(order):
                    others.append(order)
                    self._cancel_orphan(order, now_ns)
                case ForeignOrder(order):
                    others.append(order)
        self._report_foreign(others, now_ns)
        core.foreign = tuple(others)
        self._advance_read_from(read)
        balanced = self._judge_balances(read, discrepancies, now_ns)
        severe = any(isinstance(f, Orphan | Ghost) for f in findings)
        core.agrees = balanced and not severe
        core.clean = core.agrees and not core.register.unknown() and not core.register.owed
        core.read_at_ns, core.discrepancies = now_ns, tuple(discrepancies)
        core.local_open = local_open
        core.venue_open = sum(order.status not in TERMINAL for order in read.orders)
        self._persist(PersistReconcile(core.clean, core.discrepancies, local_open, core.venue_open, now_ns))
        self._adopt(now_ns)
        core.started = core.started or core.agrees
        self._prove(read, len(others), now_ns)
        self._dirty.update(self._books)

    def _knows(self, fill: Fill) -> bool:
        """Return whether a fill needs no booking; one that contradicts the books must be looked at."""
        if fill.symbol not in self._core.ledger.positions:
            return True
        try:
            return self._core.ledger.knows(fill)
        except Contradiction:
            return False

    def _learn_fate(self, order: Order, venue: VenueOrder, now_ns: int) -> None:
        order.venue_order_id = order.venue_order_id or venue.venue_order_id
        if order.status in TERMINAL:
            return  # a fill of this very read has ended it
        if venue.status is OrderStatus.REJECTED and not order.filled_lots:
            order.reason = "the venue rejected it"
            self._store(order, OrderStatus.REJECTED, now_ns)
            self._back_off(order, now_ns)
        elif venue.status in TERMINAL:
            self._end(order, venue.status, venue.filled_lots, now_ns)
        elif order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            self._store(order, OrderStatus.ACCEPTED, now_ns)
            if self._core.halt is not None and order.purpose is Purpose.GRID:
                self._cancel(order, now_ns)
        elif order.status is OrderStatus.PENDING_CANCEL and now_ns - order.updated_at_ns > READ_EVERY_NS:
            order.updated_at_ns = now_ns
            self._actions.append(Cancel(order.client_order_id, order.symbol))

    def _never_arrived(self, order: Order, now_ns: int) -> None:
        order.reason = "never arrived at the venue"
        self._store(order, OrderStatus.REJECTED, now_ns)
        self._back_off(order, now_ns)
        self._alert(
            Severity.INFO, "ORDER_RESOLVED", f"{order.client_order_id} never arrived", order.symbol, now_ns
        )

    def _still_unknown(self, order: Order, now_ns: int) -> None:
        if order.status is OrderStatus.SUBMITTED and now_ns - order.decided_at_ns > ANSWER_WITHIN_NS:
            self._doubt(order, "no answer, and the venue does not know it yet", now_ns)

    def _bury(self, order: Order, now_ns: int) -> None:
        """The venue no longer knows an order that worked: close it, tell people, pause its symbol."""
        order.reason = "ghost: the venue does not know it"
        self._store(order, OrderStatus.EXPIRED, now_ns)
        book = self._books.get(order.symbol)
        if book is not None:
            self._release(book, book.slot_of(order))
            self._pause(book, "the venue lost an order of ours", now_ns)
        self._alert(
            Severity.CRIT, "GHOST_ORDER", f"{order.client_order_id}: the venue does not know it", order.symbol, now_ns
        )

    def _cancel_orphan(self, order: VenueOrder, now_ns: int) -> None:
        self._actions.append(Cancel(order.client_order_id, order.symbol))
        self._alert(
            Severity.WARN,
            "ORPHAN_ORDER",
            f"{order.client_order_id} works at the venue, not in our books; cancelling it",
            order.symbol,
            now_ns,
        )

    def _report_foreign(self, others: list[VenueOrder], now_ns: int) -> None:
        before = {order.client_order_id for order in self._core.foreign}
        for order in others:
            if not order.ours and order.client_order_id not in before:
                self._alert(
                    Severity.WARN,
                    "FOREIGN_ORDER",
                    f"{order.client_order_id} is not ours; it counts in the worst case and is left alone",
                    order.symbol,
                    now_ns,
                )

    def _advance_read_from(self, read: VenueRead) -> None:
        """Every fill up to the newest one of a complete read is booked."""
        read_from = self._core.read_from
        for fill in read.fills:
            read_from[fill.symbol] = max(read_from.get(fill.symbol, 0), fill.trade_id)

    def _judge_balances(self, read: VenueRead, discrepancies: list[str], now_ns: int) -> bool:
        """Return whether the venue holds what our fills explain; a difference that stays halts the account."""
        core = self._core
        if self._booked_at_ns > read.read_at_ns and core.started:
            return core.agrees  # fills came while the venue was read: the balances may be of before or after them
        mismatch = compare_balances(core.ledger.balances(), read)
        discrepancies += [describe(m) for m in mismatch]
        if not mismatch:
            core.mismatch = ()
            return True
        if mismatch != core.mismatch:
            core.mismatch, core.mismatch_since_ns = mismatch, now_ns
        elif now_ns - core.mismatch_since_ns >= MISMATCH_CONFIRMED_AFTER_NS:
            text = "; ".join(describe(m) for m in mismatch)
            if core.halt is None:
                self._alert(Severity.CRIT, "POSITION_MISMATCH", text, "", now_ns)
                self._latch(f"position mismatch: {text}", flatten=False, now_ns=now_ns)
        return False

    def _adopt(self, now_ns: int) -> None:
        """Judge the orders a restart found open: those that still fit their slot go on, the others are cancelled."""
        if not self._adopting or not self._core.agrees:
            return
        adopted = cancelled = unknown = 0
        for name in self._adopting:
            order = self._core.register.open.get(name)
            if order is None:
                continue
            if order.status is OrderStatus.UNKNOWN:
                unknown += 1
            elif self._fits(order):
                adopted += 1
            else:
                cancelled += 1
                self._cancel(order, now_ns)
        resolved = len(self._adopting) - adopted - cancelled - unknown
        self._adopting = set()
        self._alert(
            Severity.INFO,
            "ORDERS_ADOPTED",
            f"orders found open after the restart: {adopted} adopted, {cancelled} cancelled, {resolved} had ended, "
            f"{unknown} still unknown",
            "",
            now_ns,
        )

    def _fits(self, order: Order) -> bool:
        book = self._books.get(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        if book is None or slot is None or order.type is not OrderType.LIMIT_MAKER or order.price_ticks is None:
            return False
        if book.settings.style is not ExecutionStyle.MAKER or self._core.halt is not None:
            return False
        return order.price_ticks == slot.buy_ticks if order.side is Side.BUY else order.price_ticks >= slot.sell_ticks

    def _ask(self, reason: str, now_ns: int) -> None:
        """Read the venue at the end of this turn."""
        self._ask_reason = self._ask_reason or reason

    # --- time ---------------------------------------------------------------------------------------------

    def _on_timer(self, event: TimerFired, now_ns: int) -> None:
        core = self._core
        if event.at_ns // DAY_NS > core.day.at_ns // DAY_NS:
            self._open_day("midnight UTC", now_ns)
        core.high_water.observe(core.equity())
        self._watch_drawdown(now_ns)
        self._watch_silence(now_ns)
        self._watch_orders(now_ns)
        self._watch_reads(now_ns)
        self._watch_halt(now_ns)
        for book in self._books.values():
            if book.wants_more or not book.market.is_fresh(now_ns):
                self._dirty[book.symbol] = book

    def _open_day(self, reason: str, now_ns: int) -> None:
        core = self._core
        core.ledger.open_day(self._marks)
        core.register.open_day()
        for book in self._books.values():
            book.touches.clear()
        core.day = PersistDay(core.lap, core.equity(), core.ledger.cash, reason, now_ns)
        self._persist(core.day)

    def _watch_drawdown(self, now_ns: int) -> None:
        core, limits = self._core, self._core.limits
        drawdown = core.daily_drawdown()
        if drawdown >= limits.max_daily_drawdown_hard_fraction:
            self._stop_for(drawdown, limits.max_daily_drawdown_hard_fraction, "HARD_DRAWDOWN", now_ns)
        elif drawdown >= limits.max_daily_drawdown_fraction:
            self._stop_for(drawdown, limits.max_daily_drawdown_fraction, "DAILY_DRAWDOWN", now_ns)
        if limits.max_symbol_drawdown_fraction is None:
            return
        for book in self._books.values():
            lost = core.symbol_drawdown(book.symbol)
            if lost >= limits.max_symbol_drawdown_fraction and not book.pause:
                reason = f"symbol drawdown {lost:.2%}, limit {limits.max_symbol_drawdown_fraction:.2%}"
                self._alert(Severity.CRIT, "SYMBOL_DRAWDOWN", reason, book.symbol, now_ns)
                self._pause(book, reason, now_ns)

    def _stop_for(self, drawdown: Decimal, limit: Decimal, code: str, now_ns: int) -> None:
        flatten = code == "HARD_DRAWDOWN"
        halt = self._core.halt
        if halt is not None and (halt.state.flatten or not flatten):
            return
        text = f"{'hard' if flatten else 'daily'} drawdown {drawdown:.2%}, limit {limit:.2%}"
        self._alert(Severity.CRIT, code, text, "", now_ns)
        self._latch(text, flatten=flatten, now_ns=now_ns)

    def _watch_silence(self, now_ns: int) -> None:
        heard = [b.market.good_at_ns or b.silent_since_ns for b in self._books.values()]
        newest = max((at for at in heard if at is not None), default=None)
        if newest is None or now_ns - newest <= SILENT_AFTER_NS:
            self._silence_reported = False
            return
        if self._silence_reported or self._core.halt is not None:
            return
        self._silence_reported = True
        text = f"no market data for {SILENT_AFTER_NS // SECOND_NS} s"
        self._alert(Severity.CRIT, "MARKET_DATA_SILENT", text, "", now_ns)
        self._latch(text, flatten=False, now_ns=now_ns)

    def _watch_orders(self, now_ns: int) -> None:
        for order in list(self._core.register.open.values()):
            if order.client_order_id in self._core.register.owed:
                self._watch_owed(order, now_ns)
            elif order.status is OrderStatus.SUBMITTED and now_ns - order.decided_at_ns > ANSWER_WITHIN_NS:
                self._doubt(order, "no answer", now_ns)
            elif order.type is OrderType.MARKET and now_ns - order.updated_at_ns > READ_EVERY_NS:
                self._ask("a market order did not end", now_ns)
            elif order.type is OrderType.LIMIT_MAKER:
                self._watch_stuck(order, now_ns)

    def _watch_owed(self, order: Order, now_ns: int) -> None:
        """Fills the venue speaks of and never shows cannot be explained: halt."""
        if self._core.halt is None and now_ns - order.updated_at_ns > PROOF_AFTER_NS:
            lots, _ = self._core.register.owed[order.client_order_id]
            self._contradict(f"{order.client_order_id}: venue says {lots} lots filled, shows {order.filled_lots}", now_ns)

    def _watch_stuck(self, order: Order, now_ns: int) -> None:
        """Cancel a resting order that the market has crossed for five minutes without filling it."""
        book = self._books.get(order.symbol)
        top = book.market.top if book is not None else None
        if book is None or top is None or order.price_ticks is None:
            return
        crossed = top.ask_ticks <= order.price_ticks if order.side is Side.BUY else top.bid_ticks >= order.price_ticks
        if not crossed:
            book.crossed_since.pop(order.client_order_id, None)
            return
        since = book.crossed_since.setdefault(order.client_order_id, now_ns)
        if now_ns - since > STUCK_AFTER_NS and order.status is not OrderStatus.PENDING_CANCEL:
            self._alert(
                Severity.CRIT,
                "STUCK_ORDER",
                f"{order.client_order_id} should have filled for five minutes; cancelling it",
                order.symbol,
                now_ns,
            )
            self._cancel(order, now_ns)

    def _watch_reads(self, now_ns: int) -> None:
        core = self._core
        urgent = bool(core.register.unknown() or core.register.owed) or not core.agrees
        every_ns = READ_AGAIN_NS if urgent else READ_EVERY_NS
        if self._asked_at_ns is None or now_ns - self._asked_at_ns >= every_ns:
            self._ask("periodic", now_ns)

    def _watch_halt(self, now_ns: int) -> None:
        halt = self._core.halt
        if halt is None:
            return
        if not halt.is_proven:
            self._actions.append(CancelEverything(self._core.symbols()))
            self._ask("halt not proven yet", now_ns)
            if now_ns - halt.state.latched_at_ns > PROOF_IS_LATE_AFTER_NS and not halt.alerted:
                halt.alerted = True
                self._alert(
                    Severity.CRIT, "HALT_NOT_PROVEN", "the halt is not proven clear yet; look at the venue", "", now_ns
                )

    # --- halt and resume ----------------------------------------------------------------------------------

    def _on_halt(self, event: HaltRequested, now_ns: int) -> None:
        self._halt(event.reason, flatten=event.flatten, now_ns=now_ns)

    def _latch(self, reason: str, *, flatten: bool, now_ns: int) -> None:
        """Halt by rule: the journal keeps the latch, whatever happens next."""
        self._persist(LatchHalt(reason, flatten, now_ns))
        self._halt(reason, flatten=flatten, now_ns=now_ns)

    def _halt(self, reason: str, *, flatten: bool, now_ns: int) -> None:
        core = self._core
        if core.halt is None:
            core.halt = HaltProcess(HaltState(reason, flatten, LATCHED, now_ns), set(core.register.open))
        else:
            core.halt.upgrade(flatten=flatten)
        core.state = TradingState.HALTED
        # No order of this turn may still leave: what was decided before the stop is withdrawn.
        self._withdraw(now_ns)
        for order in core.register.grid_orders():
            if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                order.status = OrderStatus.PENDING_CANCEL
        for book in self._books.values():
            book.set_thresholds(CLOSED)
        if not core.halt.is_proven or core.foreign:
            self._actions.insert(0, CancelEverything(core.symbols()))
        self._ask("halt", now_ns)

    def _withdraw(self, now_ns: int) -> None:
        for effect in [e for e in self._actions if isinstance(e, Submit)]:
            order = self._core.register.known[effect.order.client_order_id]
            if order.purpose is Purpose.GRID and order.status is OrderStatus.SUBMITTED:
                self._actions.remove(effect)
                order.reason = "withdrawn: the halt came in the same turn"
                self._store(order, OrderStatus.REJECTED, now_ns)
                self._back_off(order, now_ns)

    def _prove(self, read: VenueRead, others_open: int, now_ns: int) -> None:
        halt = self._core.halt
        if halt is None:
            return
        self._reach_stopped(now_ns)
        if halt.proves_clear(self._core.register, read_at_ns=read.read_at_ns, others_open=others_open):
            self._stage(PROVEN_CLEAR, others_open, now_ns)

    def _reach_stopped(self, now_ns: int) -> None:
        halt = self._core.halt
        if halt is not None and halt.stops(self._core.register):
            self._stage(STOPPED, len(self._core.register.grid_orders()), now_ns)
            self._ask("prove clear", now_ns)

    def _stage(self, stage: str, remaining: int, now_ns: int) -> None:
        if self._core.halt is not None:
            canceled = self._core.halt.canceled(self._core.register)
            self._persist(PersistHaltStage(stage, canceled, remaining, now_ns))

    def _drive_halt(self, now_ns: int) -> None:
        """Bring the halt as far as it can come in this turn."""
        halt = self._core.halt
        if halt is None:
            return
        self._reach_stopped(now_ns)
        if halt.state.flatten and halt.state.stage in (STOPPED, PROVEN_CLEAR):
            waiting = [self._flatten(symbol, now_ns) for symbol in self._core.ledger.positions]
            if halt.becomes_flat(nothing_to_sell=not any(waiting)):
                self._stage(FLAT, 0, now_ns)

    def _flatten(self, symbol: str, now_ns: int) -> bool:
        """Sell what is held of a symbol at market, again until it is gone; return whether something is left to do."""
        core, book = self._core, self._books.get(symbol)
        instrument, mark = core.instruments[symbol], self._marks.get(symbol)
        held = core.ledger.sellable_lots(symbol, None)
        if any(order.purpose is Purpose.FLATTEN for order in core.register.of(symbol)):
            return True
        if not held or (mark is not None and held < instrument.smallest_lots(mark)):
            return False
        lots = min(held - core.register.offered_lots(symbol), instrument.lots_down(instrument.market_max_quantity))
        top = book.market.top if book is not None else None
        if book is None or top is None or not book.market.is_fresh(now_ns):
            return True  # wait for a price
        if lots < instrument.smallest_lots(top.bid_ticks):
            return True  # the rest is still offered by an order of unknown fate
        book.set_thresholds(OPEN)  # the next price may let the rest go
        if core.flattened_on.get(symbol) == top.update_id or now_ns < core.flatten_retry_ns.get(symbol, 0):
            return True  # what this price offered is taken
        core.flattened_on[symbol] = top.update_id
        order = self._new_order(symbol, _market_sell(lots, top.bid_ticks), None, Purpose.FLATTEN, now_ns)
        denials = risk.check(order, core.exposure(order, now_ns), core.limits, instrument)
        if denials:
            core.flatten_retry_ns[symbol] = now_ns + RETRY_FIRST_NS
        else:
            self._submit(order, now_ns)
        return True

    def _on_resumed(self, event: Resumed, now_ns: int) -> None:
        core = self._core
        if core.halt is None:
            return
        core.halt, core.state = None, TradingState.ACTIVE
        for book in self._books.values():
            book.previous_ask = None
            for slot in book.slots:
                slot.retry_at_ns, slot.failures, slot.denied, slot.note = 0, 0, "", ""
        self._alert(Severity.INFO, "RESUMED", event.note, "", now_ns)
        self._ask("resumed", now_ns)
        self._dirty.update(self._books)

    def _contradict(self, reason: str, now_ns: int) -> None:
        """Something cannot be true: stop, read the venue, let people look."""
        self._alert(Severity.CRIT, "CONTRADICTION", reason, "", now_ns)
        if self._core.halt is None:
            self._latch(f"contradiction: {reason}", flatten=False, now_ns=now_ns)
        self._ask("contradiction", now_ns)

    # --- mandate, model, pauses, feed, seam ---------------------------------------------------------------

    def _on_mandate(self, event: MandateChanged, now_ns: int) -> None:
        self._core.limits = event.limits
        for book in self._books.values():
            book.infeasible = None
        self._dirty.update(self._books)

    def _on_forecast(self, event: ForecastChanged, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is None or not (isfinite(event.volatility_per_second) and isfinite(event.spacing_floor_fraction)):
            return
        was_blocked = self._core.block(book, now_ns)
        book.volatility, book.floor = event.volatility_per_second, event.spacing_floor_fraction
        book.forecast_at_ns = now_ns
        if self._core.block(book, now_ns) != was_blocked:
            self._dirty[book.symbol] = book

    def _on_paused(self, event: SymbolPaused, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is not None:
            book.pause = event.reason or "paused"
            self._cancel_buys(book, now_ns)

    def _pause(self, book: SymbolBook, reason: str, now_ns: int) -> None:
        """Pause by rule."""
        book.pause = book.pause or reason
        self._persist(PersistPause(book.symbol, reason, now_ns))
        self._cancel_buys(book, now_ns)

    def _cancel_buys(self, book: SymbolBook, now_ns: int) -> None:
        for order in list(self._core.register.of(book.symbol)):
            if order.side is Side.BUY and order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                self._cancel(order, now_ns)

    def _on_symbol_resumed(self, event: SymbolResumed, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is not None:
            book.pause = ""
            self._dirty[book.symbol] = book

    def _on_feed_lost(self, event: FeedLost, now_ns: int) -> None:
        for book in self._books.values():
            book.forget_market()
            self._dirty[book.symbol] = book
        self._alert(Severity.WARN, "FEED_LOST", event.reason, "", now_ns)

    def _on_feed_restored(self, event: FeedRestored, now_ns: int) -> None:
        self._dirty.update(self._books)

    def _on_seam(self, event: SeamReached, now_ns: int) -> None:
        """Begin the next lap: orders have expired, positions become cash, ladders and caps start anew."""
        core = self._core
        if event.lap <= core.lap:
            return
        for order in list(core.register.open.values()):
            if order.status in WORKING and order.client_order_id not in core.register.owed:
                self._store(order, OrderStatus.EXPIRED, now_ns)
            elif order.status is OrderStatus.SUBMITTED:
                order.reason = "the lap ended before its answer came"
                self._store(order, OrderStatus.UNKNOWN, now_ns)
        for symbol in core.ledger.positions:
            self._settle(symbol, event, now_ns)
        for book in self._books.values():
            book.plan, book.slots = None, []
            book.crossed_since.clear()
            book.forget_market()
        core.seam_at_ns, core.seam_prices = event.at_ns, {**self._marks, **event.prices}
        self._marks.clear()
        core.mismatch = ()
        core.lap = event.lap
        self._open_day("seam", now_ns)
        self._ask("seam", now_ns)
        self._dirty.update(self._books)

    def _settle(self, symbol: str, event: SeamReached, now_ns: int) -> None:
        core = self._core
        price = event.prices.get(symbol, self._marks.get(symbol))
        if not core.ledger.positions[symbol].base:
            return
        if price is None:
            self._contradict(f"lap {event.lap} began and {symbol}, which we hold, has no settlement price", now_ns)
            return
        base = core.ledger.settle(symbol, price)
        self._persist(PersistSettlement(symbol, base, price, core.lap, now_ns))

    # --- the turn -----------------------------------------------------------------------------------------

    def _turn(self, now_ns: int) -> list[Effect]:
        """End a turn: look at every ladder that changed, drive the halt, hand out the effects in their order."""
        while self._dirty:
            self._look(self._dirty.pop(next(iter(self._dirty))), now_ns)
        self._drive_halt(now_ns)
        if self._ask_reason:
            local_open, since = self._core.read_request()
            self._actions.append(ReadVenue(self._ask_reason, local_open, since))
            self._asked_at_ns, self._ask_reason = now_ns, ""
        effects = self._persists + self._actions
        self._persists, self._actions = [], []
        return effects

    def _persist(self, effect: Effect) -> None:
        self._persists.append(effect)

    def _alert(self, severity: Severity, code: str, message: str, symbol: str, now_ns: int) -> None:
        self._persists.append(RaiseAlert(severity, code, message, symbol, now_ns))

    def _prefix(self) -> str:
        return f"gc-{self._core.settings.account}-"


def _is_through(order: Order, price_ticks: int) -> bool:
    if order.price_ticks is None or order.status not in WORKING:
        return False
    return price_ticks < order.price_ticks if order.side is Side.BUY else price_ticks > order.price_ticks


def _watch_touches(book: SymbolBook) -> None:
    """Set the prices beyond which a print goes through a resting order that was not touched yet."""
    book.touch_buy, book.touch_sell = strategy.NEVER_BELOW, strategy.NEVER_ABOVE
    for slot in book.slots:
        order = slot.order
        if order is None or order.price_ticks is None or book.touches.is_touched(order.client_order_id):
            continue
        if order.side is Side.BUY:
            book.touch_buy = max(book.touch_buy, order.price_ticks)
        else:
            book.touch_sell = min(book.touch_sell, order.price_ticks)


def _market_sell(lots: int, reference_ticks: int) -> Want:
    """Return what a flatten sends; it works for no slot."""
    return Want(Slot(-1, 0, 0, 0, 0), Side.SELL, OrderType.MARKET, lots, None, reference_ticks)
