"""Orders out, reports in: every order moves along its life-cycle here, every execution is booked here once."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from trading.domain import flows
from trading.domain.core import Core, SymbolBook
from trading.domain.events import (
    Cancel,
    CancelRefused,
    OrderAccepted,
    OrderAmbiguous,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    PersistDay,
    PersistFill,
    PersistFlow,
    PersistOrder,
    SeamReached,
    Severity,
    Submit,
)
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.ledger import Contradiction, Oversold
from trading.domain.modes import id_prefix
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
from trading.domain.places import Role
from trading.domain.strategy import Slot, Want
from trading.domain.turn import Turn

ERRORS_WINDOW_NS: Final = 60_000_000_000  # two venue errors within it pause new orders (decisions: alert rules)
THROTTLED_DEFAULT_NS: Final = 60_000_000_000  # when the venue does not say how long
RETRY_FIRST_NS: Final = 1_000_000_000
RETRY_LONGEST_NS: Final = 60_000_000_000
RETRIES_REST_NS: Final = 300_000_000_000  # of a slot whose retries are used up (ours)
EXPECTED_REFUSALS: Final = frozenset({"-2010", "-1013", "THROTTLED", "STALE"})  # ours to handle, no venue error


class Clerk:
    """Writes orders and executions into the books; decides nothing but what the books demand."""

    def __init__(self, core: Core, turn: Turn) -> None:
        self._core = core
        self._turn = turn
        self.booked_at_ns = 0  # newest fill that a stream brought
        self._last_error_ns: int | None = None
        self._disputed: set[tuple[str, int]] = set()  # executions that cannot be true, reported once

    def new_order(self, symbol: str, want: Want, slot: int | None, purpose: Purpose, now_ns: int) -> Order:
        core = self._core
        return Order(
            client_order_id=client_order_id(core.settings.account, core.epoch, core.counter + 1, core.settings.mark),
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

    def submit(self, order: Order, now_ns: int) -> None:
        self._core.counter += 1
        intent = replace(order)
        self._turn.persist(PersistOrder(intent))
        self._turn.act(Submit(intent))
        order.status = OrderStatus.SUBMITTED
        self._core.register.add(order)
        self._core.pace.record(now_ns)

    def cancel(self, order: Order, now_ns: int) -> None:
        if order.status in WORKING and order.status is not OrderStatus.PENDING_CANCEL:
            self.store(order, OrderStatus.PENDING_CANCEL, now_ns)
        self._turn.act(Cancel(order.client_order_id, order.symbol))

    def on_accepted(self, event: OrderAccepted, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None:
            self._turn.ask("accepted an order we do not know")
            return
        fresh_id = order.venue_order_id is None
        order.venue_order_id = order.venue_order_id or event.venue_order_id
        if order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            self.store(order, OrderStatus.ACCEPTED, now_ns)
            self.welcome(order, now_ns)
        elif order.status is OrderStatus.REJECTED:
            self._turn.contradict(f"{order.client_order_id} was {order.status}, now the venue accepted it")
        elif fresh_id:
            self._turn.persist(PersistOrder(replace(order)))

    def welcome(self, order: Order, now_ns: int) -> None:
        """Decide whether an order that has reached the venue may stay there."""
        book = self._core.books.get(order.symbol)
        if self._core.is_halted(order.symbol) and order.purpose is not Purpose.FLATTEN:
            self.cancel(order, now_ns)
        elif book is not None and order.type is not OrderType.MARKET:
            self._turn.look_at(book)

    def on_filled(self, event: OrderFilled, now_ns: int) -> None:
        if self.book_fill(event.fill, now_ns, in_order=False):
            self.booked_at_ns = now_ns

    def book_fill(self, fill: Fill, now_ns: int, *, in_order: bool) -> bool:
        """Book one execution if it is new; return whether it was. What cannot be true halts the account.

        A stream may bring a sell before the buy it sells (`in_order` False): then the venue is read, which knows both.
        """
        order = self._core.register.known.get(fill.client_order_id)
        try:
            if fill.symbol in self._core.ledger.positions and self._core.ledger.knows(fill):
                return False
            if fill.trade_id <= self._core.read_from.get(fill.symbol, 0):
                return False  # booked, and forgotten since
            if order is None:
                self._fill_of_nobody(fill, now_ns)
                return False
            self._check_fill(order, fill)
            seam = self._core.seam_after(fill) if order.lap < self._core.lap else None
            if seam is not None:
                self._book_late(order, fill, seam, now_ns)
            else:
                self._book_known(order, fill, now_ns)
        except Contradiction as e:
            if isinstance(e, Oversold) and not in_order:
                self._turn.ask("fills are missing")
            elif (fill.symbol, fill.trade_id) not in self._disputed:
                self._disputed.add((fill.symbol, fill.trade_id))
                self._turn.contradict(str(e))
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
        if fill.client_order_id.startswith(self._prefix()):
            raise Contradiction(f"fill {fill.trade_id} of {fill.client_order_id}, which is in no book of ours")
        self._turn.alert(
            Severity.WARN, "FOREIGN_FILL", f"{fill.client_order_id} is not ours and filled", fill.symbol, now_ns
        )
        self._turn.ask("foreign fill")

    def _book_known(self, order: Order, fill: Fill, now_ns: int) -> None:
        core, book = self._core, self._core.books.get(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        index = slot.index if slot is not None else None
        booking = core.ledger.apply(fill, index, grid=order.purpose is Purpose.GRID)
        core.register.today[order.client_order_id] = fill.at_ns
        self._turn.persist(PersistFill(fill, index, booking.realized_quote, booking.grid_profit_quote, core.lap))
        self._count_fill(order, fill, now_ns)
        if order.type is OrderType.MARKET:
            core.slipped[order.client_order_id] = core.slipped.get(order.client_order_id, Decimal(0)) + _lost(
                order, fill, core.instruments[fill.symbol]
            )
        if book is None:
            return
        book.last_fill_at_ns = now_ns
        self._turn.look_at(book)
        if slot is not None:
            slot.failures = slot.tries = 0
            if slot.role is Role.OPENING:
                self._has_opened(book, slot, now_ns)
        self._recount(book)
        if order.type is OrderType.LIMIT_MAKER and order.status is OrderStatus.FILLED:
            book.touches.fill(order.client_order_id)
        if order.status in TERMINAL:
            self.release(book, slot)

    def _has_opened(self, book: SymbolBook, slot: Slot, now_ns: int) -> None:
        """Store with its first fill that a slot has opened: nothing may buy it at the market again."""
        slot.role = Role.LADDER
        self._turn.persist(book.as_stored(self._core.lap, now_ns))

    def _count_fill(self, order: Order, fill: Fill, now_ns: int) -> None:
        """Advance the order by one execution."""
        order.filled_lots += fill.quantity_lots
        order.venue_order_id = order.venue_order_id or fill.venue_order_id
        owed = self._core.register.owed.get(order.client_order_id)
        if order.filled_lots == order.quantity_lots:
            self.store(order, OrderStatus.FILLED, now_ns)
        elif owed is not None and order.filled_lots >= owed[0]:
            self.store(order, owed[1], now_ns)
        elif order.status in (OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED, OrderStatus.EXPIRED):
            self._turn.persist(PersistOrder(replace(order)))
        else:
            self.store(order, OrderStatus.PARTIALLY_FILLED, now_ns)

    def _book_late(self, order: Order, fill: Fill, seam: SeamReached, now_ns: int) -> None:
        """Book a fill of the lap that ended: the venue has settled it at the seam, so it changes cash only."""
        core = self._core
        price = seam.prices.get(fill.symbol)
        if price is None:
            raise Contradiction(f"fill {fill.trade_id} of an ended lap on {fill.symbol}: too late to settle it")
        gained = core.ledger.apply_settled(fill, price)
        self._turn.persist(PersistFill(fill, None, gained, None, order.lap))
        self._count_fill(order, fill, now_ns)
        same_day, core.opening = core.day is core.opening, _opened_with(core.opening, gained)
        core.day = core.opening if same_day else _opened_with(core.day, gained)
        self._turn.persist(core.opening)
        if not same_day:
            self._turn.persist(core.day)

    def book_flow(self, flow: Flow, now_ns: int) -> None:
        """Book one transfer of ours if it is new: cash, and no profit.

        What pays out more than we know of waits for the fills that explain it; a balance that stays another than ours
        halts the account.
        """
        core = self._core
        if flow.flow_id in core.flow_ids or not flow.flow_id.startswith(flows.id_prefix(core.settings.account)):
            return
        if not flow.amount_quote:
            self._note_flow(flow, core.equity(), now_ns)  # nothing was free: it is over all the same
            return
        core.mark_high_water()
        before = core.equity()
        try:
            core.ledger.pay(flow.amount_quote)
        except Contradiction:
            self._turn.ask("fills are missing")
            return
        core.funding = core.funding.after(flow.amount_quote, before)
        self._note_flow(flow, before, now_ns)
        self._turn.look_at(*core.books.values())

    def _note_flow(self, flow: Flow, equity_before_quote: Decimal, now_ns: int) -> None:
        core, paid_in = self._core, flow.amount_quote > 0
        core.flow_ids.add(flow.flow_id)
        self.booked_at_ns = now_ns  # balances that were read before may not hold it
        self._turn.persist(
            PersistFlow(
                flow=flow,
                equity_before_quote=equity_before_quote,
                paid_in_quote=core.funding.paid_in_quote,
                scale=core.funding.scale,
                high_water_quote=core.high_water.mark_quote,
                lap=core.lap,
                day_at_ns=core.day.at_ns,
                at_ns=now_ns,
            )
        )
        amount = f"{abs(flow.amount_quote).normalize():f} {core.settings.quote} {'paid in' if paid_in else 'paid out'}"
        self._turn.alert(Severity.INFO, "TRANSFER", f"{flow.flow_id}: {amount}, no profit and no loss", "", now_ns)

    def on_ended(self, event: OrderEnded, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None:
            self._turn.ask("an order ended that we do not know")
        elif order.status is OrderStatus.REJECTED:
            if event.filled_lots:
                self._turn.contradict(f"{order.client_order_id} was {order.status}, now the venue filled it")
        elif order.status not in TERMINAL:
            self.end(order, event.status, event.filled_lots, now_ns)

    def end(self, order: Order, status: OrderStatus, filled_lots: int, now_ns: int) -> None:
        """Close an order the venue has ended, or wait for the fills it speaks of."""
        if filled_lots > order.filled_lots:
            if order.client_order_id not in self._core.register.owed:
                self.store(order, OrderStatus.PENDING_CANCEL, now_ns)
                self._core.register.owed[order.client_order_id] = (filled_lots, status)
                self._turn.ask("fills are missing")
            return
        if filled_lots < order.filled_lots:
            self._turn.ask("the venue counts less than it reported")
        self.store(order, status, now_ns)
        if order.type is OrderType.MARKET and not order.filled_lots:
            order.reason = "nothing was offered at the top of the book"
            self.back_off(order, now_ns)
        book = self._core.books.get(order.symbol)
        if book is not None:
            self.release(book, book.slot_of(order))

    def on_refused(self, event: OrderRefused, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None or order.status in TERMINAL:
            return
        if order.status not in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN) or order.filled_lots:
            self._turn.ask("refused an order that works")
            return
        if event.code == "THROTTLED":
            wait_ns = event.retry_after_ms * 1_000_000 if event.retry_after_ms > 0 else THROTTLED_DEFAULT_NS
            self._core.throttled_until_ns = max(self._core.throttled_until_ns, now_ns + wait_ns)
            self._turn.alert(Severity.WARN, "THROTTLED", f"the venue asks us to wait {wait_ns / 1e9:g} s", "", now_ns)
        if event.code not in EXPECTED_REFUSALS:
            self._venue_error(f"{event.code} {event.message}", now_ns)
        order.reason = f"{event.code}: {event.message}"
        self.store(order, OrderStatus.REJECTED, now_ns)
        self.back_off(order, now_ns, was_tried=event.code != "STALE")

    def back_off(self, order: Order, now_ns: int, *, was_tried: bool = True) -> None:
        """Let the slot wait, longer each time; `was_tried` is False where nothing left."""
        if order.purpose is Purpose.FLATTEN:
            self._core.flatten_retry_ns[order.symbol] = now_ns + RETRY_FIRST_NS
        book = self._core.books.get(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        if book is None or slot is None:
            return
        slot.note = order.reason
        slot.retry_at_ns = now_ns + min(RETRY_FIRST_NS << min(slot.failures, 6), RETRY_LONGEST_NS)
        slot.failures += 1
        slot.tries += was_tried
        if self._core.limits.max_retries is not None and slot.tries > self._core.limits.max_retries:
            self._rest(book, slot, now_ns)
        self.release(book, slot)

    def _rest(self, book: SymbolBook, slot: Slot, now_ns: int) -> None:
        """Let a slot rest whose order and every retry of it came to nothing; a person looks meanwhile."""
        text = f"slot {slot.index}: {slot.tries} tries came to nothing ({slot.note}); it rests for five minutes"
        self._turn.alert(Severity.WARN, "RETRIES_USED", text, book.symbol, now_ns)
        slot.failures = slot.tries = 0
        slot.note, slot.retry_at_ns = text, now_ns + RETRIES_REST_NS

    def on_ambiguous(self, event: OrderAmbiguous, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is None or order.status is not OrderStatus.SUBMITTED:
            return  # something definite was heard already
        self.doubt(order, event.message, now_ns)
        self._venue_error(event.message, now_ns)

    def doubt(self, order: Order, reason: str, now_ns: int) -> None:
        order.reason = reason
        self.store(order, OrderStatus.UNKNOWN, now_ns)
        self._turn.alert(
            Severity.WARN,
            "ORDER_UNKNOWN",
            f"{order.client_order_id}: {reason}; its slot is locked",
            order.symbol,
            now_ns,
        )
        self._turn.ask("unknown fate")
        self._core.plan_proof(now_ns)

    def on_cancel_refused(self, event: CancelRefused, now_ns: int) -> None:
        order = self._core.register.known.get(event.client_order_id)
        if order is not None and order.is_open:
            self._turn.ask("cancel refused")

    def _venue_error(self, message: str, now_ns: int) -> None:
        """Two errors within a minute pause new orders for a minute."""
        last, self._last_error_ns = self._last_error_ns, now_ns
        if last is None or now_ns - last > ERRORS_WINDOW_NS or now_ns < self._core.errors_until_ns:
            return
        self._core.errors_until_ns = now_ns + ERRORS_WINDOW_NS
        self._core.error_pauses_ns += (now_ns,)
        self._turn.alert(Severity.CRIT, "VENUE_ERRORS", f"two venue errors within a minute: {message}", "", now_ns)

    def release(self, book: SymbolBook, slot: Slot | None) -> None:
        """Free a slot whose order has ended; what it holds is kept, what cannot be sold is dust."""
        self._turn.look_at(book)
        if slot is None:
            return
        slot.order = None
        slot.held_lots = self._core.ledger.sellable_lots(book.symbol, slot.index)
        if slot.held_lots < slot.smallest_lots:
            self._core.ledger.sweep(book.symbol, slot.index)
            slot.held_lots = 0

    def _recount(self, book: SymbolBook) -> None:
        """Look at every lot again: an execution may have taken from more than one."""
        for slot in book.slots:
            slot.held_lots = self._core.ledger.sellable_lots(book.symbol, slot.index)
            if slot.order is None and slot.held_lots < slot.smallest_lots:
                self._core.ledger.sweep(book.symbol, slot.index)
                slot.held_lots = 0

    def store(self, order: Order, status: OrderStatus, now_ns: int) -> None:
        """Move an order on and keep its new state; a step that cannot be is a contradiction."""
        try:
            self._turn.persist(PersistOrder(self._core.register.move(order, status, now_ns)))
            self._count_end(order)
        except IllegalTransition as e:
            self._turn.contradict(f"{order.client_order_id}: {e}")

    def _count_end(self, order: Order) -> None:
        book = self._core.books.get(order.symbol)
        if book is not None and order.status in TERMINAL and order.decided_at_ns >= self._core.day.at_ns:
            book.taken.end(order)

    def _prefix(self) -> str:
        return id_prefix(self._core.settings.account, self._core.settings.mark)


def _lost(order: Order, fill: Fill, instrument: Instrument) -> Decimal:
    """Return what an execution cost against the price it was decided on; a better price is below zero."""
    worse = fill.price_ticks - order.reference_ticks
    return instrument.notional(worse if fill.side is Side.BUY else -worse, fill.quantity_lots)


def _opened_with(day: PersistDay, more_quote: Decimal) -> PersistDay:
    """Return `day` as if it had begun with `more_quote` more cash."""
    return replace(
        day,
        opening_equity_quote=day.opening_equity_quote + more_quote,
        opening_cash_quote=day.opening_cash_quote + more_quote,
    )
