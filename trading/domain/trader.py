"""The trader: events in, effects out; every decision of an account is made here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from trading.domain import recovery, viewing
from trading.domain.clerk import Clerk
from trading.domain.core import SymbolBook
from trading.domain.desk import DeskSettings, NeverRan, TraderState, TraderView
from trading.domain.events import (
    DAY_NS,
    AdoptionAsked,
    AdviceChanged,
    CancelRefused,
    ConductChanged,
    DrillRequested,
    Effect,
    Event,
    FeedLost,
    FeedRestored,
    ForecastChanged,
    HaltRequested,
    InstrumentListed,
    MandateChanged,
    MetricsKept,
    OrderAccepted,
    OrderAmbiguous,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    PersistAdvice,
    PersistDay,
    PersistSettlement,
    ReadVenue,
    Resumed,
    SeamReached,
    Severity,
    SymbolPaused,
    SymbolResumed,
    TimerFired,
    TransferMade,
    VenueRead,
)
from trading.domain.guard import Guard
from trading.domain.heeding import Heed
from trading.domain.instruments import Instrument
from trading.domain.ladder import Ladder, watch_touches
from trading.domain.limits import Limits
from trading.domain.market import BookTop, Trade
from trading.domain.orders import WORKING, Order, OrderStatus, Side, client_order_id
from trading.domain.reconciler import Reconciler
from trading.domain.throttle import NO_THROTTLE, Throttle
from trading.domain.turn import Turn

SECOND_NS: Final = 1_000_000_000
NEVER_RAN: Final = NeverRan()
MARKS_COME_WITHIN_NS: Final = 60 * SECOND_NS  # a day opens at prices where they can be had; after that at cost
READ_AGAIN_NS: Final = SECOND_NS  # while a fate is open or our books and the venue's disagree
READS_SPREAD: Final = 3  # 1, 2, 4 s and then as ever
READ_SPACING_NS: Final = 200_000_000
READ_AT_ONCE: Final = frozenset(  # reasons that come once, not as the answer to an answer
    {
        "start",
        "first reading was not clean",
        "halt",
        "prove clear",
        "unknown fate",
        "fills are missing",
        "foreign fill",
        "seam",
        "resumed",
        "contradiction",
        "proof is due",
    }
)
ID_DIGITS: Final = 7  # room for ten million orders of one process in a client_order_id


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
        state: TraderState | NeverRan = NEVER_RAN,
        throttle: Throttle = NO_THROTTLE,
    ) -> None:
        """Prepare an account that never ran, or go on where `state` ends.

        Raises:
            ValueError: the account's slug makes ids too long, two grids on one symbol, an instrument is missing, or a
                limit is no number.
            Contradiction: the stored fills cannot all be true.
        """
        client_order_id(settings.account, epoch, 10**ID_DIGITS, settings.mark)
        if limits.unsound:
            raise ValueError(f"{settings.account}: the mandate's {limits.unsound} is no positive number.")
        self._instruments = instruments = dict(instruments)  # shared by every part of the core; see `_on_listed`
        if isinstance(state, NeverRan):
            self._core = recovery.first_core(settings, limits, instruments, epoch=epoch, lap=lap, now_ns=now_ns)
            recovery.hold(self._core, state)
        else:
            self._core = recovery.restored_core(settings, limits, instruments, state, epoch=epoch)
        self._core.plan_proof(now_ns)
        self._core.watched_at_ns, self._core.throttle = now_ns, throttle
        self._is_first_start = isinstance(state, NeverRan)
        self._advised = () if isinstance(state, NeverRan) else state.advised
        self._books = self._core.books
        self._marks = self._core.marks
        self._started_at_ns = now_ns
        self._asked_at_ns: int | None = None  # newest ReadVenue
        self._unknown_reads = 0  # while an order's fate is open: each further read waits twice as long
        self._postponed = ""  # why the venue is read at the next second
        self._turn = Turn()
        self._clerk = Clerk(self._core, self._turn)
        self._guard = Guard(self._core, self._turn, self._clerk)
        self._ladder = Ladder(self._core, self._turn, self._clerk)
        self._heed = Heed(self._core, self._turn, self._clerk)
        self._reconciler = Reconciler(self._core, self._turn, self._clerk, self._guard)
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            OrderAccepted: self._clerk.on_accepted,
            OrderFilled: self._clerk.on_filled,
            OrderEnded: self._clerk.on_ended,
            OrderRefused: self._clerk.on_refused,
            OrderAmbiguous: self._clerk.on_ambiguous,
            CancelRefused: self._clerk.on_cancel_refused,
            VenueRead: self._reconciler.on_read,
            TransferMade: self._on_transfer,
            MandateChanged: self._on_mandate,
            MetricsKept: self._on_metrics,
            ConductChanged: self._on_conduct,
            InstrumentListed: self._on_listed,
            ForecastChanged: self._on_forecast,
            AdviceChanged: self._heed.on_changed,
            TimerFired: self._on_timer,
            HaltRequested: self._on_halt,
            DrillRequested: self._on_drill,
            AdoptionAsked: self._reconciler.on_adoption,
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
            self._turn.persist(core.day)
            text = f"{core.settings.account} starts with {core.ledger.cash.normalize():f} {core.settings.quote}"
            self._turn.alert(Severity.INFO, "STARTED", text, "", now_ns)
        else:
            count = len(core.register.open)
            text = f"{core.settings.account} goes on with {count} order{'' if count == 1 else 's'} open"
            self._turn.alert(Severity.INFO, "RESTARTED", text, "", now_ns)
            for symbol in self._advised:  # a restart begins without a model, and the trail says so
                self._turn.persist(PersistAdvice(symbol, None, now_ns))
        self._guard.cancel_unproven()
        self._turn.ask("start")
        return self._end_turn(now_ns)

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Return the effects of `event`, every persist effect before the first that leaves."""
        kind = type(event)
        if kind is BookTop:
            return self._on_top(event, now_ns)  # type: ignore[arg-type]  # compared by type: isinstance costs more
        if kind is Trade:
            return self._on_trade(event, now_ns)  # type: ignore[arg-type]  # as above
        self._handlers[kind](event, now_ns)
        return self._end_turn(now_ns)

    def view(self, now_ns: int) -> TraderView:
        """Return a snapshot for publishing; reads only."""
        return viewing.view(self._core, now_ns)

    @property
    def equity_quote(self) -> Decimal:
        """Cash plus inventory at the best bid."""
        return self._core.equity()

    @property
    def round_trips_today(self) -> int:
        """Lots bought and sold again since the day began."""
        return sum(position.round_trips for position in self._core.ledger.positions.values())

    def balances(self) -> dict[str, Decimal]:
        """Return what the venue must hold for this account by our books: asset -> total."""
        return self._core.ledger.balances()

    # --- market -----------------------------------------------------------------------------------------

    def _on_top(self, top: BookTop, now_ns: int) -> list[Effect]:
        symbol, bid, _, ask, _, _, _, received_at_ns = top  # at once: faster than by name
        book = self._books.get(symbol)
        is_due = now_ns >= self._core.proof_due_ns
        if is_due:
            self._proof_is_due(now_ns)
        if book is None or book.market.accept(top, now_ns) is not None:
            return self._end_turn(now_ns) if is_due else []
        self._marks[symbol] = bid
        if book.mover is not None and (meter := book.mover.meter) is not None and meter.observe(received_at_ns, bid):
            self._ladder.bar_is_over(book, meter, now_ns)
            is_due = True
        if book.buy_at < ask <= book.rearm_above and book.fall_at < bid < book.sell_at:
            book.previous_ask = ask
            return self._end_turn(now_ns) if is_due else []
        self._look(book, now_ns)
        return self._end_turn(now_ns)

    def _look(self, book: SymbolBook, now_ns: int) -> None:
        self._guard.watch_end(book, now_ns)
        self._ladder.look(book, now_ns)

    def _proof_is_due(self, now_ns: int) -> None:
        """Read the venue now: what it does not know by now can no longer appear."""
        self._turn.ask("proof is due")
        self._core.plan_proof(now_ns)

    def _on_trade(self, trade: Trade, now_ns: int) -> list[Effect]:
        book = self._books.get(trade.symbol)
        if book is None or book.market.accept(trade, now_ns) is not None:
            return []
        if trade.price_ticks < book.touch_buy or trade.price_ticks > book.touch_sell:
            for slot in book.slots:
                if slot.order is not None and _is_through(slot.order, trade.price_ticks):
                    book.touches.touch(slot.order.client_order_id)
            watch_touches(book)
        return []

    # --- time -------------------------------------------------------------------------------------------

    def _on_timer(self, event: TimerFired, now_ns: int) -> None:
        core = self._core
        is_due = event.at_ns // DAY_NS > core.day.at_ns // DAY_NS
        if is_due and (core.has_marks() or now_ns - self._started_at_ns > MARKS_COME_WITHIN_NS):
            self._open_day("midnight UTC", now_ns)
        self._guard.watch_drawdown(now_ns)
        self._guard.watch_trades(now_ns)
        self._guard.watch_silence(now_ns)
        self._guard.watch_errors(now_ns)
        self._guard.watch_orders(now_ns)
        self._guard.watch_losses(now_ns)
        self._guard.watch_slippage(now_ns)
        self._watch_reads(now_ns)
        self._guard.watch_halts(now_ns)
        self._heed.watch(now_ns)
        core.watched_at_ns = now_ns
        for book in self._books.values():
            if book.wants_more or not book.market.is_fresh(now_ns):
                self._turn.look_at(book)

    def _open_day(self, reason: str, now_ns: int) -> None:
        core = self._core
        core.ledger.open_day(self._marks)
        day = PersistDay(core.lap, core.equity(), core.ledger.cash, reason, now_ns)
        core.register.open_day(day.since_ns)
        for book in self._books.values():
            book.touches.clear()
            book.taken.clear()
        core.day, core.day_funding = day, core.funding
        if reason == "seam":
            core.opening = day
        self._turn.persist(day)

    def _watch_reads(self, now_ns: int) -> None:
        core = self._core
        read_every_ns = core.limits.position_sync_every_s * SECOND_NS
        if core.register.owed or not core.agrees:
            every_ns = READ_AGAIN_NS
        elif core.register.unknown():  # an answer may come at any time, the proof of its absence when it is due
            every_ns = min(READ_AGAIN_NS << self._unknown_reads, read_every_ns)
        else:
            every_ns = read_every_ns
        if self._postponed:
            self._turn.ask(self._postponed)
        elif self._asked_at_ns is None or now_ns - self._asked_at_ns >= every_ns:
            self._unknown_reads = min(self._unknown_reads + 1, READS_SPREAD) if core.register.unknown() else 0
            self._turn.ask("periodic")

    # --- people -----------------------------------------------------------------------------------------

    def _on_halt(self, event: HaltRequested, now_ns: int) -> None:
        self._guard.halt(event.reason, flatten=event.flatten, now_ns=now_ns, symbol=event.symbol)

    def _on_drill(self, event: DrillRequested, now_ns: int) -> None:
        self._guard.begin_drill(event.drill)

    def _on_resumed(self, event: Resumed, now_ns: int) -> None:
        core = self._core
        if core.halts.pop(event.symbol, None) is None:
            return
        core.error_pauses_ns = ()
        released = [book for book in self._books.values() if event.symbol in ("", book.symbol)]
        for book in released:
            book.previous_ask = None
            for slot in book.slots:
                slot.retry_at_ns, slot.failures, slot.tries, slot.denied, slot.note = 0, 0, 0, "", ""
        self._turn.alert(Severity.INFO, "RESUMED", event.note, event.symbol, now_ns)
        self._turn.ask("resumed")
        self._turn.look_at(*released)

    def _on_transfer(self, event: TransferMade, now_ns: int) -> None:
        """Read the venue: what it has made is among what it answers, and only that is booked."""
        if event.flow_id not in self._core.flow_ids:
            self._turn.ask("transfer")

    def _on_mandate(self, event: MandateChanged, now_ns: int) -> None:
        if event.limits.unsound:
            # The limits before it stay in force: under one that is no number nothing could be compared.
            self._turn.contradict(f"the mandate's {event.limits.unsound} is no positive number")
            return
        self._core.limits = event.limits
        for book in self._books.values():
            book.infeasible = None
        self._turn.look_at(*self._books.values())

    def _on_metrics(self, event: MetricsKept, now_ns: int) -> None:
        self._core.measured_at_ns = event.at_ns

    def _on_conduct(self, event: ConductChanged, now_ns: int) -> None:
        self._core.throttle = event.throttle
        self._turn.look_at(*self._books.values())

    def _on_listed(self, event: InstrumentListed, now_ns: int) -> None:
        """Take status and filters at once; new steps would give every stored integer another meaning, so stop there."""
        new = event.instrument
        old, book = self._instruments.get(new.symbol), self._books.get(new.symbol)
        if old is None or book is None or new == old:
            return
        if (new.tick_size, new.lot_size) != (old.tick_size, old.lot_size):
            book.pause = "the venue changed its price or quantity steps: restart the trading loops"
            self._guard.cancel_buys(book, now_ns)
            self._turn.alert(Severity.CRIT, "STEPS_CHANGED", f"{new.symbol} paused: {book.pause}", new.symbol, now_ns)
            return
        self._instruments[new.symbol] = book.instrument = new
        self._core.at_rest.discard(new.symbol)
        book.infeasible = None
        self._turn.look_at(book)

    def _on_forecast(self, event: ForecastChanged, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is None or not (isfinite(event.volatility_per_second) and isfinite(event.spacing_floor_fraction)):
            return
        was_blocked = self._core.block(book, now_ns)
        book.volatility, book.floor = event.volatility_per_second, event.spacing_floor_fraction
        book.forecast_at_ns = now_ns
        if self._core.block(book, now_ns) != was_blocked:
            self._turn.look_at(book)

    def _on_paused(self, event: SymbolPaused, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is not None:
            book.pause = event.reason or "paused"
            self._guard.cancel_buys(book, now_ns)

    def _on_symbol_resumed(self, event: SymbolResumed, now_ns: int) -> None:
        book = self._books.get(event.symbol)
        if book is not None:
            book.pause = ""
            self._turn.look_at(book)

    # --- feed and seam ----------------------------------------------------------------------------------

    def _on_feed_lost(self, event: FeedLost, now_ns: int) -> None:
        for book in self._books.values():
            book.forget_market()
            self._turn.look_at(book)
        self._turn.alert(Severity.WARN, "FEED_LOST", event.reason, "", now_ns)

    def _on_feed_restored(self, event: FeedRestored, now_ns: int) -> None:
        self._turn.look_at(*self._books.values())

    def _on_seam(self, event: SeamReached, now_ns: int) -> None:
        """Begin the next lap: orders have expired, positions become cash, ladders and caps start anew."""
        core = self._core
        core.remember_seam(replace(event, prices={**self._marks, **event.prices}) if event.lap > core.lap else event)
        if event.lap <= core.lap:
            return
        for order in list(core.register.open.values()):
            if order.client_order_id in core.register.owed:
                continue
            if order.status in WORKING and order.updated_at_ns <= event.at_ns:
                self._clerk.store(order, OrderStatus.EXPIRED, now_ns)
            elif order.status in WORKING:
                # It was heard of after the seam: it may have come to the venue when the new lap had begun.
                self._clerk.cancel(order, now_ns)
            elif order.status is OrderStatus.SUBMITTED:
                order.reason = "the lap ended before its answer came"
                self._clerk.store(order, OrderStatus.UNKNOWN, now_ns)
        for symbol in core.ledger.positions:
            self._settle(symbol, event, now_ns)
        for book in self._books.values():
            book.plan, book.slots = None, []
            if book.mover is not None:
                book.mover.leave()
                book.mover.measure_anew()  # the lap is a market of its own, as in the backtest it is held against
            book.crossed_since.clear()
            book.forget_market()
        self._marks.clear()
        core.mismatch = ()
        core.lap = event.lap
        self._open_day("seam", now_ns)
        self._turn.ask("seam")
        self._turn.look_at(*self._books.values())

    def _settle(self, symbol: str, event: SeamReached, now_ns: int) -> None:
        core = self._core
        price = event.prices.get(symbol, self._marks.get(symbol))
        if not core.ledger.positions[symbol].base:
            return
        if price is None:
            self._turn.contradict(f"lap {event.lap} began and {symbol}, which we hold, has no settlement price")
            return
        base = core.ledger.settle(symbol, price)
        self._turn.persist(PersistSettlement(symbol, base, price, core.lap, now_ns))

    # --- the turn ---------------------------------------------------------------------------------------

    def _end_turn(self, now_ns: int) -> list[Effect]:
        """Halt for contradictions, look at every ladder that changed, drive the halt, hand out the effects in order."""
        turn = self._turn
        while turn.contradictions:
            self._guard.contradict(turn.contradictions.pop(0), now_ns)
        while (book := turn.next_book()) is not None:
            self._look(book, now_ns)
        self._guard.drive_halts(now_ns)
        if turn.read_reason and self._may_ask(turn.read_reason, now_ns):
            local_open, since = self._core.read_request()
            turn.act(ReadVenue(turn.read_reason, local_open, since))
            self._asked_at_ns, self._postponed = now_ns, ""
        return turn.take()

    def _may_ask(self, reason: str, now_ns: int) -> bool:
        """Return whether the venue may be read now; else at the next second, so that no answer chases another."""
        spaced = self._asked_at_ns is None or now_ns - self._asked_at_ns >= READ_SPACING_NS
        if not spaced and reason not in READ_AT_ONCE:
            self._postponed = reason
            return False
        return True


def _is_through(order: Order, price_ticks: int) -> bool:
    if order.price_ticks is None or order.status not in WORKING:
        return False
    return price_ticks < order.price_ticks if order.side is Side.BUY else price_ticks > order.price_ticks
