"""The ladder at work: centred once, then held against every price that matters."""

from decimal import Decimal
from typing import Final

from trading.domain import risk, strategy
from trading.domain.advice import GridAdvice
from trading.domain.carrying import Relay, Why
from trading.domain.clerk import RETRY_FIRST_NS, Clerk
from trading.domain.core import Core, SymbolBook
from trading.domain.events import PersistOrder, Severity
from trading.domain.grid import Feasible, GridPlan, Infeasible, UnableToBuild, build, feasibility
from trading.domain.grids import Carried
from trading.domain.laying import Laid, bound_ticks, lay
from trading.domain.limits import ExecutionStyle
from trading.domain.market import BookTop
from trading.domain.moving import Mover, carry, opens_from, refusal, standing, still_needed, touch_of
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.places import Role
from trading.domain.preview import plan_of
from trading.domain.range_meter import RangeMeter
from trading.domain.relaying import end, has_started, next_step
from trading.domain.strategy import CLOSED, OPEN, Slot, Want, must_go
from trading.domain.terms import Mode
from trading.domain.throttle import NO_THROTTLE
from trading.domain.turn import Turn

OPEN_AT_VENUE: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
PACE_WINDOW_NS: Final = 10_000_000_000
PACE_LIMIT: Final = 45  # new ladder orders per window; Binance spot allows 50 (exchangeInfo ORDERS, 10 s)

KEEP_EVERY_NS: Final = 10_000_000_000  # of shorter bars not each is stored: a restart forgets the newest few
OF_THE_SLOT: Final = frozenset({"MAX_POSITION", "MIN_NOTIONAL", "LOT_SIZE", "FILTERS", "PRICE_COLLAR"})  # denials


class Ladder:
    """Turns prices into orders: what the strategy wants, what the risk check lets pass."""

    def __init__(self, core: Core, turn: Turn, clerk: Clerk) -> None:
        self._core = core
        self._turn = turn
        self._clerk = clerk

    def look(self, book: SymbolBook, now_ns: int) -> None:
        """Decide what the ladder wants at the current price, then set the prices of the next decision."""
        top = book.market.top
        if not self._may_trade(book, now_ns) or top is None or not book.market.is_fresh(now_ns):
            self._close(book)
            return
        if book.plan is None and not self._centre(book, top, now_ns):
            book.previous_ask = top.ask_ticks
            if book.slots:
                self._let_run_off(book, top, now_ns)
            return
        if book.mover is not None and book.mover.is_reached(top.bid_ticks):
            if self._core.style_of(book) is ExecutionStyle.TAKER:  # what this price takes is the old ladder's
                self._work(book, top, now_ns)
                book.previous_ask = top.ask_ticks
            self._follow(book, book.mover, top, now_ns)
        self._work(book, top, now_ns)
        book.previous_ask = top.ask_ticks
        book.set_thresholds(strategy.thresholds(self._core.style_of(book), book.slots, top.ask_ticks, now_ns))
        watch_touches(book)

    def _close(self, book: SymbolBook) -> None:
        """Wait for the next price where one may be traded on, else for the event that allows it."""
        waits_for_price = not self._core.is_halted(book.symbol) and self._core.agrees
        book.set_thresholds(OPEN if waits_for_price else CLOSED)

    def _may_trade(self, book: SymbolBook, now_ns: int) -> bool:
        core = self._core
        return not core.is_halted(book.symbol) and core.started and core.reconciled(now_ns)

    def _centre(self, book: SymbolBook, top: BookTop, now_ns: int) -> bool:
        """Lay the ladder around the price; return whether there is one to trade on now."""
        if book.infeasible is not None or self._core.block(book, now_ns):
            book.set_thresholds(CLOSED)
            book.wants_more = book.infeasible is None
            return False
        if book.mover is not None:
            return self._centre_moving(book, book.mover, top, now_ns)
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
        self._keep(book, now_ns)
        return True

    def _centre_moving(self, book: SymbolBook, mover: Mover, top: BookTop, now_ns: int) -> bool:
        """Lay a ladder that moves, once its start price was reached; what an edit or a restart left is carried over."""
        spec, bid = mover.spec, top.bid_ticks
        book.set_thresholds(OPEN)
        try:
            if not self._may_begin(book, mover, bid, now_ns):
                return False
            laid = lay(spec, book.instrument, bid, atr_ticks=mover.atr_ticks)
            plan = plan_of(spec, book.instrument, laid)
            if (refused := refusal(spec, self._core.limits)) is not None:
                self._refuse_grid(book, refused, now_ns)
                return False
            spread = Decimal(top.ask_ticks - bid) / bid
            verdict = feasibility(plan, book.instrument, self._core.limits, self._core.settings.fees, spread)
            if isinstance(verdict, Infeasible):
                return self._postpone_or_refuse(book, plan, verdict, now_ns)
            self._move_to(book, mover, laid, plan, bid, Why.EDIT, now_ns)
            book.previous_ask = None  # a slot above the price waits until the price has been above it
        except UnableToBuild as e:
            self._refuse_grid(book, Infeasible("levels", str(e), None), now_ns)
            return False
        return True

    def _may_begin(self, book: SymbolBook, mover: Mover, bid: int, now_ns: int) -> bool:
        """Return whether the price lies between the bounds, and has reached the start price if there is one."""
        if end(mover.spec, book.instrument, bid) is not None:
            return False
        start = bound_ticks(mover.spec, book.instrument, "start_at")
        is_known = mover.meter is None or mover.atr_ticks is not None
        if start is None or book.slots:
            return is_known  # a ladder that is edited has begun
        if mover.waits_from_ticks is None:
            mover.waits_from_ticks = bid
            self._keep(book, now_ns)
        return is_known and has_started(start, mover.waits_from_ticks, bid)

    def bar_is_over(self, book: SymbolBook, meter: RangeMeter, now_ns: int) -> None:
        """Store what is measured by now, and ask anew where no ladder stands: its step may fit now."""
        if now_ns - meter.kept_at_ns >= KEEP_EVERY_NS:
            meter.kept_at_ns = now_ns
            self._keep(book, now_ns)
        if book.plan is None:
            book.infeasible = None
            book.set_thresholds(OPEN)

    def _keep(self, book: SymbolBook, now_ns: int) -> None:
        self._turn.persist(book.as_stored(self._core.lap, now_ns))

    def _follow(self, book: SymbolBook, mover: Mover, top: BookTop, now_ns: int) -> None:
        """Lay the ladder anew where the price has left it; one that may not trade, or would not fit, stays."""
        laid = mover.laid
        if laid is None or self._core.block(book, now_ns):
            book.wants_more = True
            return
        if any(slot.order is not None and _is_taking(slot.order) for slot in book.slots):
            return  # its answer comes at once, and brings the next look
        touch = touch_of(top, now_ns)
        step = next_step(mover.spec, book.instrument, standing(laid, book.slots), touch, atr_ticks=mover.atr_ticks)
        if not isinstance(step, Relay):
            return
        laid = step.standing.laid
        plan = plan_of(mover.spec, book.instrument, laid)
        verdict = refusal(mover.spec, self._core.limits) or feasibility(
            plan, book.instrument, self._core.limits, self._core.settings.fees
        )
        if isinstance(verdict, Feasible):
            self._move_to(book, mover, laid, plan, top.bid_ticks, step.why, now_ns)
        elif verdict.binding != mover.stays:
            mover.stays = verdict.binding
            text = f"the ladder stays where it is: {verdict.reason}"
            self._turn.alert(Severity.WARN, "GRID_INFEASIBLE", text, book.symbol, now_ns)

    def _move_to(
        self, book: SymbolBook, mover: Mover, laid: Laid, plan: GridPlan, bid: int, why: Why, now_ns: int
    ) -> None:
        """Stand on `laid`: store it with what its slots become; the next look works on it."""
        is_edit = why is Why.EDIT
        carried = Carried.KEEP if is_edit else mover.spec.carried
        opens = opens_from(mover.spec, laid, why, bid)
        mover.stand(laid, book.instrument)
        book.slots = carry(
            book.slots, laid, book.instrument, carried=carried, is_edit=is_edit, bid_ticks=bid, opens_from=opens
        )
        book.plan, book.smallest_step = plan, float(plan.smallest_step_fraction())
        self._keep(book, now_ns)

    def _let_run_off(self, book: SymbolBook, top: BookTop, now_ns: int) -> None:
        """Sell what slots of the ladder before still hold, and cancel its buys, while no new one can be laid."""
        self._work(book, top, now_ns)
        book.wants_more = True
        book.set_thresholds(OPEN)

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
        if book.mover is not None and book.mover.meter is not None:  # it is asked anew after every bar
            if book.mover.stays == verdict.binding:
                return
            book.mover.stays = verdict.binding
        self._turn.alert(Severity.WARN, "GRID_INFEASIBLE", verdict.reason, book.symbol, now_ns)

    def _work(self, book: SymbolBook, top: BookTop, now_ns: int) -> None:
        """Send what the ladder wants; buys only where nothing speaks against them."""
        blocked = book.plan is None or bool(self._core.block(book, now_ns))
        if book.mover is not None:
            book.slots = still_needed(book.slots, self._core.limits)
        advice = self._core.advice_on(book, now_ns)
        cancels = self._cut_losses(book, top, now_ns) + self._unfit(book, advice, now_ns)
        quota = max(self._core.limits.max_open_orders // len(self._core.books), 1)
        if self._core.style_of(book) is ExecutionStyle.TAKER:
            wants = strategy.taker_wants(book.slots, top, book.previous_ask, now_ns)
        else:
            near = None if book.mover is None else book.mover.spec.resting
            levels = None if advice is None else advice.levels
            wants, surplus = strategy.maker_wants(book.slots, top, quota, now_ns, near, levels)
            cancels += surplus
        book.wants_more = blocked
        for order in cancels:
            self._clerk.cancel(order, now_ns)
        for want in wants:
            if want.side is Side.SELL:
                self._place(book, want, now_ns)
        if book.mover is not None and book.mover.spec.mode is Mode.NEUTRAL:
            self._open(book, top, quota, now_ns, blocked=blocked)
        for want in wants:
            if want.side is Side.BUY and not blocked and self._leaves(book, want.slot, now_ns):
                blocked = not self._try_to_buy(book, want, now_ns)
        book.wants_more = book.wants_more or blocked or any(slot.retry_at_ns > now_ns for slot in book.slots)

    def _open(self, book: SymbolBook, top: BookTop, quota: int, now_ns: int, *, blocked: bool) -> None:
        """Buy at the market what slots open with; one that may not, or whose middle is passed, waits for its level."""
        waits = [slot for slot in book.slots if strategy.opens_no_more(slot, top.bid_ticks)]
        for slot in waits:
            slot.role = Role.LADDER
        for want in [] if blocked else strategy.opening_wants(book.slots, top, quota, now_ns):
            if not self._leaves(book, want.slot, now_ns):
                continue
            denial = self._place(book, want, now_ns)
            if denial is not None and denial.code in OF_THE_SLOT:
                want.slot.role = Role.LADDER
                waits.append(want.slot)
        if waits:
            self._keep(book, now_ns)
        book.wants_more = book.wants_more or bool(waits) or any(slot.role is Role.OPENING for slot in book.slots)

    def _unfit(self, book: SymbolBook, advice: GridAdvice | None, now_ns: int) -> list[Order]:
        """Return what rests and would not be sent under the overrides and the advice in force."""
        throttle = self._core.throttle
        if throttle == NO_THROTTLE and book.mover is None and advice is None:
            return []
        nothing_rests = throttle.market_only and self._core.style_of(book) is ExecutionStyle.TAKER
        return [
            slot.order
            for slot in book.slots
            if slot.order is not None
            and slot.order.price_ticks is not None
            and slot.order.status in OPEN_AT_VENUE
            and (nothing_rests or (slot.order.side is Side.BUY and self._is_unfit(book, slot, slot.order, now_ns)))
        ]

    def _is_unfit(self, book: SymbolBook, slot: Slot, buy: Order, now_ns: int) -> bool:
        """Return whether a resting buy is larger than a new one would be; of a ladder that moves, whether it is another
        or its slot buys no more.
        """
        advice, lots = self._core.advice_on(book, now_ns), self._core.entry_lots(book, slot, now_ns)
        if advice is not None and advice.pause_buys:
            return True
        if book.mover is None or buy.quantity_lots > lots:
            return buy.quantity_lots > lots
        is_smaller = buy.quantity_lots < lots and not buy.filled_lots
        return is_smaller or book.plan is None or slot.role is not Role.LADDER

    def _cut_losses(self, book: SymbolBook, top: BookTop, now_ns: int) -> list[Order]:
        """Sell every lot that has lost as much as one may, or that fell out of the ladder and is to go; return the
        resting orders that are in the way of it.
        """
        in_the_way: list[Order] = []
        for slot in self._core.to_close(book):
            if slot.order is not None and slot.order.price_ticks is not None and slot.order.status in OPEN_AT_VENUE:
                in_the_way.append(slot.order)
            elif slot.order is None and slot.retry_at_ns <= now_ns and slot.tried_update_id != top.update_id:
                want = Want(slot, Side.SELL, OrderType.MARKET, slot.held_lots, None, top.bid_ticks)
                if self._place(book, want, now_ns) is None and not must_go(slot):
                    limit = self._core.limits.max_trade_loss_quote
                    text = f"slot {slot.index} has lost {limit}, the most one trade may; it is sold"
                    self._turn.alert(Severity.WARN, "TRADE_LOSS", text, book.symbol, now_ns)
        return in_the_way

    def _leaves(self, book: SymbolBook, slot: Slot, now_ns: int) -> bool:
        """Return whether a model leaves a slot its entry: one of the levels it asks for, a lot that the venue takes."""
        advice = self._core.advice_on(book, now_ns)
        if advice is None:
            return True
        return strategy.has_room(book.slots, advice.levels) and self._core.entry_lots(book, slot, now_ns) > 0

    def _try_to_buy(self, book: SymbolBook, want: Want, now_ns: int) -> bool:
        """Return whether it makes sense to try the next buy: what denied this resting one may deny every other."""
        is_resting = want.type is not OrderType.MARKET
        if is_resting and self._core.pace.within(PACE_WINDOW_NS, now_ns) >= PACE_LIMIT:
            return False
        denial = self._place(book, want, now_ns)
        return not is_resting or denial is None or denial.code in OF_THE_SLOT

    def _place(self, book: SymbolBook, want: Want, now_ns: int) -> risk.Denial | None:
        slot = want.slot
        if want.side is Side.BUY:
            want = want._replace(quantity_lots=self._core.entry_lots(book, slot, now_ns))
        order = self._clerk.new_order(book.symbol, want, slot.index, Purpose.GRID, now_ns)
        denials = risk.check(order, self._core.exposure(order, now_ns), self._core.limits, book.instrument)
        if denials:
            self._deny(slot, order, denials[0], now_ns)
            return denials[0]
        slot.denied = slot.note = ""
        if book.market.top is not None:
            slot.tried_update_id = book.market.top.update_id
        slot.order = order
        if order.side is Side.BUY:
            book.bought_at_ns = now_ns
        self._clerk.submit(order, now_ns)
        return None

    def _deny(self, slot: Slot, order: Order, denial: risk.Denial, now_ns: int) -> None:
        """Keep the denial, once for a slot and a reason: the same answer every second is no news."""
        slot.note = denial.message
        slot.retry_at_ns = now_ns + RETRY_FIRST_NS
        if slot.denied == denial.code:
            return
        slot.denied = denial.code
        self._core.counter += 1
        order.status, order.reason = OrderStatus.DENIED, f"{denial.code}: {denial.message}"
        self._turn.persist(PersistOrder(order))


def _is_taking(order: Order) -> bool:
    return order.type is OrderType.MARKET and order.status is OrderStatus.SUBMITTED


def watch_touches(book: SymbolBook) -> None:
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
