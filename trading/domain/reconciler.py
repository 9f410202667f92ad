"""The reconciler: merges what the venue says into the books and judges whether both agree."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from trading.domain.clerk import Clerk
from trading.domain.core import Core
from trading.domain.events import (
    AdoptionAsked,
    Cancel,
    PersistAdoption,
    PersistOrder,
    PersistReconcile,
    Severity,
    VenueOrder,
    VenueRead,
)
from trading.domain.flows import Flow, Word
from trading.domain.guard import ANSWER_WITHIN_NS, Guard
from trading.domain.ledger import Contradiction
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import TERMINAL, Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.places import Role
from trading.domain.reconciliation import (
    Fate,
    Finding,
    ForeignOrder,
    Ghost,
    LocalBooks,
    MissingFill,
    NeverArrived,
    Orphan,
    StillUnknown,
    announced,
    compare,
    compare_balances,
    describe,
)
from trading.domain.turn import Turn

CANCEL_AGAIN_AFTER_NS: Final = 5_000_000_000
REPORT_ARRIVES_WITHIN_NS: Final = 1_000_000_000  # a fill younger than this is still on its way, not lost
MISMATCH_CONFIRMED_AFTER_NS: Final = 3_000_000_000  # a balance may be read between two executions


class Reconciler:
    """Acts on every finding of a venue read; until the first clean one nothing is traded."""

    def __init__(self, core: Core, turn: Turn, clerk: Clerk, guard: Guard) -> None:
        self._core = core
        self._turn = turn
        self._clerk = clerk
        self._guard = guard
        self._adopting = set(core.register.open)  # restored orders nobody has judged yet
        self._is_first = True  # reading of this process

    def on_read(self, read: VenueRead, now_ns: int) -> None:
        core = self._core
        local_open = len(core.register.open)
        findings = compare(LocalBooks(core.register.known, self._knows), read)
        discrepancies = [describe(f) for f in findings if not _is_routine(f, read)]
        others: list[VenueOrder] = []
        for finding in findings:
            match finding:
                case MissingFill(fill):
                    self._clerk.book_fill(fill, now_ns, in_order=True)
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
        for flow in read.flows:
            if flow.word is Word.VENUE or (flow.word is Word.PERSON and self._shows(read, flow)):
                self._clerk.book_flow(flow, now_ns)
        balanced = self._judge_balances(read, discrepancies, now_ns)
        severe = any(isinstance(f, Orphan | Ghost) for f in findings)
        core.agrees = balanced and not severe
        core.clean = core.agrees and not core.register.unknown() and not core.register.owed
        core.read_at_ns, core.discrepancies = now_ns, tuple(discrepancies)
        core.local_open = local_open
        core.venue_open = sum(order.status not in TERMINAL for order in read.orders)
        self._turn.persist(PersistReconcile(core.clean, core.discrepancies, local_open, core.venue_open, now_ns))
        core.note_read(read)
        self._adopt(now_ns)
        core.started = core.started or core.agrees
        if self._is_first and not core.clean:
            self._turn.ask("first reading was not clean")
        self._is_first = False
        self._guard.prove(read, now_ns)
        self._turn.look_at(*self._core.books.values())

    def on_adoption(self, event: AdoptionAsked, now_ns: int) -> None:
        """Take an order of others into our books, or say why not; what was adopted before stays so."""
        core, name = self._core, event.client_order_id
        there = next((order for order in core.foreign if order.client_order_id == name), None)
        refusal = "" if name in core.register.open else self._why_not_ours(there, name)
        if there is not None and not refusal and there.side is not None and there.price_ticks is not None:
            order = Order(
                client_order_id=name,
                symbol=there.symbol,
                side=there.side,
                type=OrderType.LIMIT_MAKER,
                quantity_lots=there.quantity_lots,
                price_ticks=there.price_ticks,
                slot=None,
                purpose=Purpose.ADOPTED,
                decided_at_ns=now_ns,
                reference_ticks=there.price_ticks,
                status=OrderStatus.ACCEPTED,
                venue_order_id=there.venue_order_id,
                lap=core.lap,
                updated_at_ns=now_ns,
            )
            core.register.add(order)
            core.foreign = tuple(other for other in core.foreign if other is not there)
            self._turn.persist(PersistOrder(replace(order)))
        self._turn.persist(PersistAdoption(name, refusal, now_ns))
        self._turn.ask("adopted")

    def _why_not_ours(self, order: VenueOrder | None, name: str) -> str:
        """Return why an order of others cannot become ours, "" when it can."""
        core = self._core
        if order is None or order.price_ticks is None or name in core.register.known:
            return "it no longer works at the venue, or its id was used before"
        if order.side is not Side.BUY:
            return "it would sell what the grid holds; cancel it instead"
        if order.filled_lots:
            return "it has fills already, which our books cannot explain"
        if order.symbol not in core.books or core.is_halted(order.symbol):
            return "nothing of its symbol may start now"
        worst, capital = core.worst_quotes(), core.limits.capital_quote  # orders of others count in it already
        if worst[order.symbol] > capital * core.limits.max_symbol_exposure_fraction:
            return "with it the symbol could exceed its limit"
        if sum(worst.values()) > capital * core.limits.max_total_exposure_fraction:
            return "with it the account could exceed its limit"
        return ""

    def _knows(self, fill: Fill) -> bool:
        """Return whether a fill needs no booking; one that contradicts the books must be looked at."""
        if fill.symbol not in self._core.ledger.positions:
            return True
        try:
            # A reading asked for before the last one was merged brings again what has been forgotten since.
            return self._core.ledger.knows(fill) or fill.trade_id <= self._core.read_from.get(fill.symbol, 0)
        except Contradiction:
            return False

    def _learn_fate(self, order: Order, venue: VenueOrder, now_ns: int) -> None:
        order.venue_order_id = order.venue_order_id or venue.venue_order_id
        if order.status in TERMINAL:
            return  # a fill of this very read has ended it
        if venue.status is OrderStatus.REJECTED and not order.filled_lots:
            order.reason = "the venue rejected it"
            self._clerk.store(order, OrderStatus.REJECTED, now_ns)
            self._clerk.back_off(order, now_ns)
        elif venue.status in TERMINAL:
            self._clerk.end(order, venue.status, venue.filled_lots, now_ns)
        elif order.status in (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            self._clerk.store(order, OrderStatus.ACCEPTED, now_ns)
            self._clerk.welcome(order, now_ns)
        elif order.status is OrderStatus.PENDING_CANCEL and now_ns - order.updated_at_ns > CANCEL_AGAIN_AFTER_NS:
            order.updated_at_ns = now_ns
            self._turn.act(Cancel(order.client_order_id, order.symbol))

    def _never_arrived(self, order: Order, now_ns: int) -> None:
        order.reason = "never arrived at the venue"
        self._clerk.store(order, OrderStatus.REJECTED, now_ns)
        self._clerk.back_off(order, now_ns)
        self._turn.alert(
            Severity.INFO, "ORDER_RESOLVED", f"{order.client_order_id} never arrived", order.symbol, now_ns
        )

    def _still_unknown(self, order: Order, now_ns: int) -> None:
        if order.status is OrderStatus.SUBMITTED and now_ns - order.decided_at_ns > ANSWER_WITHIN_NS:
            self._clerk.doubt(order, "no answer, and the venue does not know it yet", now_ns)

    def _bury(self, order: Order, now_ns: int) -> None:
        """The venue no longer knows an order that worked: close it, tell people, pause its symbol."""
        order.reason = "ghost: the venue does not know it"
        self._clerk.store(order, OrderStatus.EXPIRED, now_ns)
        book = self._core.books.get(order.symbol)
        if book is not None:
            self._clerk.release(book, book.slot_of(order))
            self._guard.pause(book, "the venue lost an order of ours", now_ns)
        self._turn.alert(
            Severity.CRIT, "GHOST_ORDER", f"{order.client_order_id}: the venue does not know it", order.symbol, now_ns
        )

    def _cancel_orphan(self, order: VenueOrder, now_ns: int) -> None:
        self._turn.act(Cancel(order.client_order_id, order.symbol))
        self._turn.alert(
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
                self._turn.alert(
                    Severity.WARN,
                    "FOREIGN_ORDER",
                    f"{order.client_order_id} is not ours; it counts in the worst case and is left alone",
                    order.symbol,
                    now_ns,
                )

    def _judge_balances(self, read: VenueRead, discrepancies: list[str], now_ns: int) -> bool:
        """Return whether the venue holds what our fills explain; a difference that stays halts the account."""
        core = self._core
        if self._clerk.booked_at_ns > read.read_at_ns and core.started:
            return core.agrees  # fills came while the venue was read: the balances may be of before or after them
        mismatch = compare_balances(core.ledger.balances(), read)
        over = announced(mismatch, core.settings.quote, self._asked(read))
        told, core.announced_quote = core.announced_quote, over
        if over:
            core.mismatch = ()  # nothing new is sent meanwhile, and nothing is wrong
            deed = "came in while a deposit" if over > 0 else "went out while a withdrawal"
            text = f"{abs(over).normalize():f} {core.settings.quote} {deed} is asked for"
            discrepancies.append(f"transfer: {text}: confirm the amount on the page Going live")
            if over != told:
                message = f"{text}: no new order leaves until the amount is confirmed on the page Going live"
                self._turn.alert(Severity.INFO, "TRANSFER", message, "", now_ns)
            return False
        discrepancies += [describe(m) for m in mismatch]
        if not mismatch:
            core.mismatch = ()
            return True
        if mismatch != core.mismatch:
            core.mismatch, core.mismatch_since_ns = mismatch, now_ns
        elif now_ns - core.mismatch_since_ns >= MISMATCH_CONFIRMED_AFTER_NS:
            text = "; ".join(describe(m) for m in mismatch)
            if core.halt is None:
                self._turn.alert(Severity.CRIT, "POSITION_MISMATCH", text, "", now_ns)
                self._guard.latch(f"position mismatch: {text}", flatten=False, now_ns=now_ns)
        return False

    def _asked(self, read: VenueRead) -> Decimal:
        """Return what people are asked to move and have not been booked for."""
        open_ = (flow for flow in read.flows if flow.word is Word.NOBODY and flow.flow_id not in self._core.flow_ids)
        return sum((flow.amount_quote for flow in open_), Decimal(0))

    def _shows(self, read: VenueRead, flow: Flow) -> bool:
        """Return whether the venue holds exactly what our books would with this transfer."""
        core, balances = self._core, self._core.ledger.balances()
        balances[core.settings.quote] += flow.amount_quote
        return flow.flow_id not in core.flow_ids and not compare_balances(balances, read)

    def _adopt(self, now_ns: int) -> None:
        """Judge the orders a restart found open: those that still fit their slot go on, the others are cancelled."""
        if not self._adopting or not self._core.agrees:
            return
        adopted = cancelled = unknown = 0
        for name in sorted(self._adopting):  # the same order on every machine
            order = self._core.register.open.get(name)
            if order is None:
                continue
            if order.status is OrderStatus.UNKNOWN:
                unknown += 1
            elif self._fits(order):
                adopted += 1
            else:
                cancelled += 1
                self._clerk.cancel(order, now_ns)
        resolved = len(self._adopting) - adopted - cancelled - unknown
        self._adopting = set()
        self._turn.alert(
            Severity.INFO,
            "ORDERS_ADOPTED",
            f"orders found open after the restart: {adopted} adopted, {cancelled} cancelled, {resolved} had ended, "
            f"{unknown} still unknown",
            "",
            now_ns,
        )

    def _fits(self, order: Order) -> bool:
        book = self._core.books.get(order.symbol)
        if order.purpose is Purpose.ADOPTED:
            return not self._core.is_halted(order.symbol)
        slot = book.slot_of(order) if book is not None else None
        if book is None or slot is None or order.type is not OrderType.LIMIT_MAKER or order.price_ticks is None:
            return False
        if book.settings.style is not ExecutionStyle.MAKER or self._core.is_halted(order.symbol):
            return False
        if order.side is Side.BUY:
            return order.price_ticks == slot.buy_ticks and slot.role is Role.LADDER
        return order.price_ticks >= slot.sell_ticks and slot.role is not Role.CLOSING


def _is_routine(finding: Finding, read: VenueRead) -> bool:
    """Return whether a finding is no discrepancy: the fate that was asked for, or a fill whose report is on its way."""
    if isinstance(finding, MissingFill):
        return read.read_at_ns - finding.fill.at_ns < REPORT_ARRIVES_WITHIN_NS
    return isinstance(finding, Fate)
