"""The guard: halts, their proof, and the watches that ask for them."""

from decimal import Decimal
from typing import Final

from trading.domain import risk
from trading.domain.carrying import Why
from trading.domain.clerk import RETRY_FIRST_NS, Clerk
from trading.domain.core import Core, SymbolBook
from trading.domain.drills import PREFIX, Drill
from trading.domain.events import (
    CancelEverything,
    LatchHalt,
    PersistDay,
    PersistHaltStage,
    PersistPause,
    Severity,
    Submit,
    VenueRead,
)
from trading.domain.grid import UnableToBuild
from trading.domain.halting import LATCHED, PROOF_IS_LATE_AFTER_NS, PROVEN_CLEAR, STOPPED, HaltProcess, HaltState
from trading.domain.orders import WITHDRAWN, WORKING, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.reconciliation import PROOF_AFTER_NS
from trading.domain.relaying import end
from trading.domain.strategy import CLOSED, OPEN, Slot, Want
from trading.domain.turn import Turn

SECOND_NS: Final = 1_000_000_000
ANSWER_WITHIN_NS: Final = 12 * SECOND_NS  # recvWindow 2 s + the venue's own time-out 10 s
MARKET_ENDS_WITHIN_NS: Final = 5 * SECOND_NS  # a MARKET order that works for longer lost its report
STUCK_LOOKED_AT_EVERY_S: Final = 10
STUCK_AFTER_NS: Final = 300 * SECOND_NS  # an order that should have filled (decisions: alert rules)
ERRORS_HALT_WITHIN_NS: Final = 600 * SECOND_NS  # the third pause for venue errors within ten minutes halts (ours)
ERROR_PAUSES_HALT: Final = 3
SILENT_AFTER_NS: Final = 60 * SECOND_NS  # no market data at all: halt (decisions: alert rules)

_WAITING: Final = frozenset({OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL})  # for an answer, or for their fills


class Guard:
    """Stops the account when a person or a rule says so, and proves that it stands."""

    def __init__(self, core: Core, turn: Turn, clerk: Clerk) -> None:
        self._core = core
        self._turn = turn
        self._clerk = clerk
        self._silence_reported = False
        self._half_used_told: PersistDay | None = None  # the day for which it was said
        self._drill: Drill | None = None

    def begin_drill(self, drill: Drill) -> None:
        """Let the rule fire at its next look as if what it watches were beyond its limit."""
        if self._core.halt is None:
            self._drill = drill

    def _is_drill(self, drill: Drill) -> bool:
        """Return whether this rule is to be fired now, once."""
        if self._drill is not drill:
            return False
        self._drill = None
        return True

    def _fire(self, code: str, text: str, now_ns: int, *, flatten: bool = False, is_drill: bool = False) -> None:
        """Halt by rule and say so; a drill halts as well, and is no alarm."""
        if is_drill:
            self._turn.alert(Severity.INFO, "DRILL", text, "", now_ns)
        else:
            self._turn.alert(Severity.CRIT, code, text, "", now_ns)
        self.latch(f"{PREFIX}{text}" if is_drill else text, flatten=flatten, now_ns=now_ns)

    def watch_drawdown(self, now_ns: int) -> None:
        core, limits = self._core, self._core.limits
        core.mark_high_water()
        drawdown = core.daily_drawdown()
        if drawdown >= limits.max_daily_drawdown_hard_fraction:
            self._stop_for(drawdown, limits.max_daily_drawdown_hard_fraction, "HARD_DRAWDOWN", now_ns)
        elif drawdown >= limits.max_daily_drawdown_fraction:
            self._stop_for(drawdown, limits.max_daily_drawdown_fraction, "DAILY_DRAWDOWN", now_ns)
        elif self._is_drill(Drill.DRAWDOWN):
            text = f"as if the daily drawdown were {limits.max_daily_drawdown_fraction:.2%}, its limit"
            self._fire("DAILY_DRAWDOWN", text, now_ns, is_drill=True)
        if limits.max_symbol_drawdown_fraction is None:
            return
        for book in self._core.books.values():
            lost = core.symbol_drawdown(book.symbol)
            if lost >= limits.max_symbol_drawdown_fraction and not book.pause:
                reason = f"symbol drawdown {lost:.2%}, limit {limits.max_symbol_drawdown_fraction:.2%}"
                self._turn.alert(Severity.CRIT, "SYMBOL_DRAWDOWN", reason, book.symbol, now_ns)
                self.pause(book, reason, now_ns)

    def _stop_for(self, drawdown: Decimal, limit: Decimal, code: str, now_ns: int) -> None:
        flatten = code == "HARD_DRAWDOWN"
        halt = self._core.halt
        if halt is not None and (halt.state.flatten or not flatten):
            return
        text = f"{'hard' if flatten else 'daily'} drawdown {drawdown:.2%}, limit {limit:.2%}"
        self._fire(code, text, now_ns, flatten=flatten)

    def watch_trades(self, now_ns: int) -> None:
        """Say once a day that more than half of its trades are used."""
        used, cap = self._core.register.trades_today, self._core.limits.max_daily_trades
        if used * 2 <= cap or self._half_used_told == self._core.day:
            return
        self._half_used_told = self._core.day
        self._turn.alert(Severity.WARN, "TRADES_HALF_USED", f"{used} of {cap} trades of the day are used", "", now_ns)

    def watch_silence(self, now_ns: int) -> None:
        heard = [b.market.good_at_ns or b.silent_since_ns for b in self._core.books.values()]
        newest = max((at for at in heard if at is not None), default=None)
        text = f"no market data for {SILENT_AFTER_NS // SECOND_NS} s"
        if newest is None or now_ns - newest <= SILENT_AFTER_NS:
            self._silence_reported = False
            if self._is_drill(Drill.SILENT_DATA):
                self._fire("MARKET_DATA_SILENT", f"as if {text}", now_ns, is_drill=True)
            return
        if self._silence_reported or self._core.halt is not None:
            return
        self._silence_reported = True
        self._fire("MARKET_DATA_SILENT", text, now_ns)

    def watch_errors(self, now_ns: int) -> None:
        """Halt where pausing for venue errors has not helped."""
        core = self._core
        core.error_pauses_ns = tuple(at for at in core.error_pauses_ns if now_ns - at <= ERRORS_HALT_WITHIN_NS)
        text = (
            f"paused for venue errors {ERROR_PAUSES_HALT} times within {ERRORS_HALT_WITHIN_NS // SECOND_NS // 60} min"
        )
        if len(core.error_pauses_ns) >= ERROR_PAUSES_HALT and core.halt is None:
            self._fire("VENUE_ERRORS", text, now_ns)
        elif self._is_drill(Drill.VENUE_ERRORS):
            self._fire("VENUE_ERRORS", f"as if {text}", now_ns, is_drill=True)

    def watch_orders(self, now_ns: int) -> None:
        """Follow up orders that wait too long for an answer, an end or their fills; every ten seconds stuck ones."""
        register = self._core.register
        if now_ns // SECOND_NS % STUCK_LOOKED_AT_EVERY_S == 0:
            for order in list(register.open.values()):
                self._watch_stuck(order, now_ns)
        for order in [o for o in register.open.values() if o.status in _WAITING or _should_have_ended(o)]:
            if order.client_order_id in register.owed:
                self._watch_owed(order, now_ns)
            elif order.status is OrderStatus.SUBMITTED and now_ns - order.decided_at_ns > ANSWER_WITHIN_NS:
                self._clerk.doubt(order, "no answer", now_ns)
            elif _should_have_ended(order) and now_ns - order.updated_at_ns > MARKET_ENDS_WITHIN_NS:
                self._turn.ask("a market order did not end")

    def watch_losses(self, now_ns: int) -> None:
        """Look again at every ladder of which a lot has lost as much as one may: it is sold there."""
        limit = self._core.limits.max_trade_loss_quote
        for book in self._core.books.values() if limit is not None else ():
            if self._core.losers(book):
                self._turn.look_at(book)

    def watch_slippage(self, now_ns: int) -> None:
        """Pause a symbol of which one MARKET order was filled worse than decided by more than its limit."""
        core, limit = self._core, self._core.limits.max_slippage_loss_quote
        slipped, core.slipped = core.slipped, {}
        for name, lost in slipped.items():
            if limit is None or lost <= limit:
                continue
            order = core.register.known.get(name)
            book = core.books.get(order.symbol) if order is not None else None
            if book is not None and not book.pause:
                reason = f"{name} lost {lost:.2f} to slippage, limit {limit}"
                self._turn.alert(Severity.WARN, "SLIPPAGE", reason, book.symbol, now_ns)
                self.pause(book, reason, now_ns)

    def _watch_owed(self, order: Order, now_ns: int) -> None:
        """Fills the venue speaks of and never shows cannot be explained: halt."""
        if self._core.halt is None and now_ns - order.updated_at_ns > PROOF_AFTER_NS:
            lots, _ = self._core.register.owed[order.client_order_id]
            self._turn.contradict(f"{order.client_order_id}: venue says {lots} lots filled, shows {order.filled_lots}")

    def _watch_stuck(self, order: Order, now_ns: int) -> None:
        """Cancel a resting order that the market has crossed for five minutes without filling it."""
        book = self._core.books.get(order.symbol)
        top = book.market.top if book is not None else None
        if book is None or top is None or order.price_ticks is None or order.status not in WORKING:
            return
        crossed = top.ask_ticks <= order.price_ticks if order.side is Side.BUY else top.bid_ticks >= order.price_ticks
        if not crossed:
            book.crossed_since.pop(order.client_order_id, None)
            return
        since = book.crossed_since.setdefault(order.client_order_id, now_ns)
        if now_ns - since > STUCK_AFTER_NS and order.status is not OrderStatus.PENDING_CANCEL:
            self._turn.alert(
                Severity.CRIT,
                "STUCK_ORDER",
                f"{order.client_order_id} should have filled for five minutes; cancelling it",
                order.symbol,
                now_ns,
            )
            self._clerk.cancel(order, now_ns)

    def watch_halts(self, now_ns: int) -> None:
        """Every second until it is proven: cancel again, read again; say when the proof is late."""
        self.cancel_unproven()
        for halt in self._core.halts.values():
            if halt.is_proven:
                continue
            self._turn.ask("halt not proven yet")
            if now_ns - halt.state.latched_at_ns > PROOF_IS_LATE_AFTER_NS and not halt.alerted:
                halt.alerted = True
                text = "the halt is not proven clear yet; look at the venue"
                self._turn.alert(Severity.CRIT, "HALT_NOT_PROVEN", text, halt.state.symbol, now_ns)

    def cancel_unproven(self) -> None:
        """Cancel everything that a halt without its proof stops."""
        symbols = {symbol for halt in self._core.halts.values() if not halt.is_proven for symbol in self._stops(halt)}
        if symbols:
            self._turn.act(CancelEverything(tuple(sorted(symbols))))

    def _stops(self, halt: HaltProcess) -> tuple[str, ...]:
        return (halt.state.symbol,) if halt.state.symbol else self._core.symbols()

    def watch_end(self, book: SymbolBook, now_ns: int) -> None:
        """Halt one grid whose price has reached its stop or its take-profit bound, and sell where it asks for that."""
        top, mover = book.market.top, book.mover
        if mover is None or top is None or not book.slots or self._core.is_halted(book.symbol):
            return
        if not book.market.is_fresh(now_ns):
            return
        try:
            why = end(mover.spec, book.instrument, top.bid_ticks)
        except UnableToBuild:
            return  # off the tick: such a grid is refused when it is laid, and never bought
        if why is None:
            return
        text = f"{why} reached at {book.instrument.price(top.bid_ticks)}"
        if why is Why.STOP:
            self._turn.alert(Severity.WARN, "GRID_STOPPED", text, book.symbol, now_ns)
        else:
            self._turn.alert(Severity.INFO, "GRID_TOOK_PROFIT", text, book.symbol, now_ns)
        self.latch(text, flatten=mover.spec.flatten, now_ns=now_ns, symbol=book.symbol)

    def latch(self, reason: str, *, flatten: bool, now_ns: int, symbol: str = "") -> None:
        """Halt by rule: the journal keeps the latch, whatever happens next."""
        self._turn.persist(LatchHalt(reason, flatten, now_ns, symbol))
        self.halt(reason, flatten=flatten, now_ns=now_ns, symbol=symbol)

    def halt(self, reason: str, *, flatten: bool, now_ns: int, symbol: str = "") -> None:
        """Stop the account, or one symbol of it."""
        self._drill = None
        core, halt = self._core, self._core.halts.get(symbol)
        if halt is None:
            stopped = {order.client_order_id for order in core.register.on(symbol)}
            halt = core.halts[symbol] = HaltProcess(HaltState(reason, flatten, LATCHED, now_ns, symbol), stopped)
        else:
            halt.upgrade(flatten=flatten)
        # No order of this turn may still leave: what was decided before the stop is withdrawn.
        self._withdraw(symbol, now_ns)
        for order in core.register.grid_orders(symbol):
            if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                order.status = OrderStatus.PENDING_CANCEL
        for book in core.books.values():
            if symbol in ("", book.symbol):
                book.set_thresholds(CLOSED)
        if not halt.is_proven or self._others_open(halt):
            self._turn.actions.insert(0, CancelEverything(self._stops(halt)))
        self._turn.ask("halt")

    def _withdraw(self, symbol: str, now_ns: int) -> None:
        for effect in [e for e in self._turn.actions if isinstance(e, Submit)]:
            order = self._core.register.known[effect.order.client_order_id]
            is_stopped = order.purpose is Purpose.GRID and symbol in ("", order.symbol)
            if is_stopped and order.status is OrderStatus.SUBMITTED:
                self._turn.actions.remove(effect)
                order.reason = WITHDRAWN
                self._clerk.store(order, OrderStatus.REJECTED, now_ns)
                self._clerk.back_off(order, now_ns, was_tried=False)

    def _others_open(self, halt: HaltProcess) -> int:
        """Return how many orders that are not in our books the last read showed where `halt` holds."""
        return sum(halt.state.symbol in ("", order.symbol) for order in self._core.foreign)

    def prove(self, read: VenueRead, now_ns: int) -> None:
        """Take a read that is merged as proof of what it proves."""
        for halt in self._core.halts.values():
            self._reach_stopped(halt, now_ns)
            others = self._others_open(halt)
            if halt.proves_clear(self._core.register, read_at_ns=read.read_at_ns, others_open=others):
                self._stage(halt, others, now_ns)

    def _reach_stopped(self, halt: HaltProcess, now_ns: int) -> None:
        if halt.stops(self._core.register):
            self._stage(halt, len(self._core.register.grid_orders(halt.state.symbol)), now_ns)
            self._turn.ask("prove clear")

    def _stage(self, halt: HaltProcess, remaining: int, now_ns: int) -> None:
        canceled = halt.canceled(self._core.register)
        self._turn.persist(PersistHaltStage(halt.state.stage, canceled, remaining, now_ns, halt.state.symbol))

    def drive_halts(self, now_ns: int) -> None:
        """Bring every halt as far as it can come in this turn."""
        for halt in self._core.halts.values():
            self._reach_stopped(halt, now_ns)
            if halt.state.flatten and halt.state.stage in (STOPPED, PROVEN_CLEAR):
                held = [symbol for symbol in self._core.ledger.positions if halt.state.symbol in ("", symbol)]
                waiting = [self._flatten(symbol, now_ns) for symbol in held]
                if halt.becomes_flat(nothing_to_sell=not any(waiting)):
                    self._stage(halt, 0, now_ns)

    def _flatten(self, symbol: str, now_ns: int) -> bool:
        """Sell what is held of a symbol at market, again until it is gone; return whether something is left to do."""
        core, book = self._core, self._core.books.get(symbol)
        instrument, mark = core.instruments[symbol], self._core.marks.get(symbol)
        held = core.ledger.sellable_lots(symbol, None)
        if any(order.purpose is Purpose.FLATTEN for order in core.register.of(symbol)):
            return True
        if not held or (mark is not None and held < instrument.smallest_lots(mark)):
            return False
        lots = min(held - core.register.offered_lots(symbol), instrument.lots_down(instrument.market_max_quantity))
        top = book.market.top if book is not None else None
        if book is not None:
            book.set_thresholds(OPEN)  # the next price may let it go
        if book is None or top is None or not book.market.is_fresh(now_ns):
            return True  # wait for a price
        if lots < instrument.smallest_lots(top.bid_ticks):
            return True  # the rest is still offered by an order of unknown fate
        if core.flattened_on.get(symbol) == top.update_id or now_ns < core.flatten_retry_ns.get(symbol, 0):
            return True  # what this price offered is taken
        core.flattened_on[symbol] = top.update_id
        order = self._clerk.new_order(symbol, _market_sell(lots, top.bid_ticks), None, Purpose.FLATTEN, now_ns)
        denials = risk.check(order, core.exposure(order, now_ns), core.limits, instrument)
        if denials:
            core.flatten_retry_ns[symbol] = now_ns + RETRY_FIRST_NS
        else:
            self._clerk.submit(order, now_ns)
        return True

    def contradict(self, reason: str, now_ns: int) -> None:
        """Something cannot be true: stop, read the venue, let people look."""
        self._turn.alert(Severity.CRIT, "CONTRADICTION", reason, "", now_ns)
        if self._core.halt is None:
            self.latch(f"contradiction: {reason}", flatten=False, now_ns=now_ns)
        self._turn.ask("contradiction")

    def pause(self, book: SymbolBook, reason: str, now_ns: int) -> None:
        """Pause by rule."""
        book.pause = book.pause or reason
        self._turn.persist(PersistPause(book.symbol, reason, now_ns))
        self.cancel_buys(book, now_ns)

    def cancel_buys(self, book: SymbolBook, now_ns: int) -> None:
        for order in list(self._core.register.of(book.symbol)):
            if order.side is Side.BUY and order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                self._clerk.cancel(order, now_ns)


def _should_have_ended(order: Order) -> bool:
    """Return whether an order works at the venue that fills at once or never; an open fate is asked after anyway."""
    return order.type is OrderType.MARKET and order.status is not OrderStatus.UNKNOWN


def _market_sell(lots: int, reference_ticks: int) -> Want:
    """Return what a flatten sends; it works for no slot."""
    return Want(Slot(-1, 0, 0, 0, 0), Side.SELL, OrderType.MARKET, lots, None, reference_ticks)
