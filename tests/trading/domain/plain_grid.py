"""The same grid once more, slowly: an object an order, fractions for money, every order looked at for every event.

It shares no rule with the kernel but the words of docs/backtesting.md.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from trading.domain.kernel import Bounds, Ended, Ladder, Mode, Terms
from trading.domain.limits import ExecutionStyle
from trading.domain.tapes import Tape

DAY_NS = 24 * 3600 * 10**9


@dataclass
class PlainOrder:
    slot: int
    is_buy: bool
    limit: int
    lots: int
    rests_after_ns: int | None  # None: it rests already
    number: int


@dataclass(frozen=True)
class PlainFill:
    event: int
    at_ns: int
    slot: int
    side: int
    ticks: int
    lots: int


@dataclass
class PlainGrid:
    """One ladder at one venue."""

    tape: Tape
    ladder: Ladder
    terms: Terms
    orders: list[PlainOrder] = field(default_factory=list)
    fills: list[PlainFill] = field(default_factory=list)
    postponed: list[tuple[int, bool]] = field(default_factory=list)
    never_ordered: set[int] = field(default_factory=set)
    denied: set[int] = field(default_factory=set)
    opened_for: dict[int, Fraction] = field(default_factory=dict)
    cash: Fraction = Fraction(0)
    lots: int = 0
    fees: Fraction = Fraction(0)
    grid_profit: Fraction = Fraction(0)
    round_trips: int = 0
    equities: list[Fraction] = field(default_factory=list)
    peak: Fraction = Fraction(0)
    day: int = 0
    trades_today: int = 0
    committed: int = 0
    number: int = 0
    last: int = 0
    why: Ended = Ended.TAPE

    def run(self, start: int, bounds: Bounds) -> "PlainGrid":
        self.open(start)
        for event in range(start, len(self.tape)):
            self.last = event
            self.step(event)
            ended = self.end(event, bounds)
            if ended is not None:
                self.why = ended
                break
        return self

    def open(self, start: int) -> None:
        terms, mark, ask = self.terms, int(self.tape.mark[start]), int(self.tape.down[start])
        self.cash, self.lots = Fraction(terms.opening_cash), terms.opening_lots
        self.equities.append(self.cash + self.lots * mark)
        self.day = int(self.tape.at_ns[start]) // DAY_NS
        slots = range(len(self.ladder.lots))
        holding = list(slots) if self.ladder.mode is Mode.SHORT else []
        if self.ladder.mode is Mode.NEUTRAL:
            distances = [abs(level - mark) for level in self.ladder.levels]
            holding = [slot for slot in slots if slot >= distances.index(min(distances))]
            for slot in holding:
                price = Fraction(ask * self.ladder.lots[slot])
                fee = price * Fraction(*terms.taker_fee)
                self.cash -= price + fee
                self.fees += fee
                self.lots += self.ladder.lots[slot]
                self.opened_for[slot] = price + fee
        self.holding = set(holding)
        self.never_ordered = set(slots)
        self.committed = self.lots

    def step(self, event: int) -> None:
        now = int(self.tape.at_ns[event])
        down, up, mark = (int(a[event]) for a in (self.tape.down, self.tape.up, self.tape.mark))
        self.begin_day(now)
        for order in self.orders:
            if order.rests_after_ns is not None and order.rests_after_ns < now:
                order.rests_after_ns = None
        resting = [order for order in self.orders if order.rests_after_ns is None]
        buys = [order for order in resting if order.is_buy and order.limit >= down]
        sells = [order for order in resting if not order.is_buy and order.limit <= up]
        for order in sorted(buys, key=lambda o: -o.limit) + sorted(sells, key=lambda o: o.limit):
            self.execute(order, event, now, down if order.is_buy else up)
        self.first_orders(now, down, up)
        self.equities.append(self.cash + self.lots * mark)

    def begin_day(self, now: int) -> None:
        """Send in the morning what the evening before had no trades left for."""
        if not self.postponed or now < (self.day + 1) * DAY_NS:
            return
        self.day += 1
        self.trades_today = 0
        morning = self.day * DAY_NS + self.terms.report_ns + self.terms.submit_ns
        for slot, is_buy in self.postponed:
            self.orders.append(self.order(slot, is_buy, morning))
        self.postponed.clear()

    def execute(self, order: PlainOrder, event: int, now: int, touch: int) -> None:
        self.orders.remove(order)
        taker = self.terms.style is ExecutionStyle.TAKER
        ticks = touch if taker else order.limit
        value = Fraction(ticks * order.lots)
        fee = value * Fraction(*(self.terms.taker_fee if taker else self.terms.maker_fee))
        sign = 1 if order.is_buy else -1
        self.cash -= sign * value + fee
        self.lots += sign * order.lots
        self.fees += fee
        opens = order.is_buy != (self.ladder.mode is Mode.SHORT)
        if opens:
            self.opened_for[order.slot] = sign * value + fee
        else:
            self.grid_profit -= sign * value + fee + self.opened_for.pop(order.slot, Fraction(0))
            self.round_trips += 1
        self.turn_day(now)
        self.trades_today += 1
        self.fills.append(PlainFill(event, now, order.slot, sign, ticks, order.lots))
        self.want(order.slot, not order.is_buy, now, self.terms.report_ns + self.terms.submit_ns)

    def first_orders(self, now: int, down: int, up: int) -> None:
        levels = self.ladder.levels
        buys = [s for s in self.never_ordered if s not in self.holding and levels[s] < down]
        for slot in sorted(buys, reverse=True):
            room = self.terms.max_inventory_lots
            if room is not None and self.committed + self.ladder.lots[slot] > room:
                self.denied.add(slot)
                continue
            self.committed += self.ladder.lots[slot]
            self.want(slot, True, now, self.terms.submit_ns)
        sells = [s for s in self.never_ordered if s in self.holding and levels[s + 1] > up]
        for slot in sorted(sells, reverse=True):
            self.want(slot, False, now, self.terms.submit_ns)
        self.never_ordered -= {*buys, *sells}

    def want(self, slot: int, is_buy: bool, now: int, delay: int) -> None:
        self.turn_day(now)
        limit = self.terms.max_trades_per_day
        if limit is not None and self.trades_today >= limit:
            self.postponed.append((slot, is_buy))
        else:
            self.orders.append(self.order(slot, is_buy, now + delay if delay else None))

    def order(self, slot: int, is_buy: bool, rests_after_ns: int | None) -> PlainOrder:
        self.number += 1
        limit = self.ladder.levels[slot if is_buy else slot + 1]
        return PlainOrder(slot, is_buy, limit, self.ladder.lots[slot], rests_after_ns, self.number)

    def turn_day(self, now: int) -> None:
        if now // DAY_NS > self.day:
            self.day, self.trades_today = now // DAY_NS, 0

    def end(self, event: int, bounds: Bounds) -> Ended | None:
        mark = int(self.tape.mark[event])
        self.peak = max(self.peak, self.equities[0], self.equities[-1])
        peak, equity, limit = self.peak, self.equities[-1], self.terms.max_drawdown
        if limit is not None and peak > 0 and peak - equity >= peak * Fraction(*limit):
            return Ended.DRAWDOWN
        if bounds.low_ticks is not None and mark <= bounds.low_ticks:
            return Ended.LOW
        if bounds.high_ticks is not None and mark >= bounds.high_ticks:
            return Ended.HIGH
        if bounds.until_ns is not None and int(self.tape.at_ns[event]) >= bounds.until_ns:
            return Ended.TIME
        return None

    def falls(self) -> tuple[Fraction, Fraction]:
        """Return the deepest fall from a peak, and the deepest as a fraction of its peak."""
        peak, deepest, relative = self.equities[0], Fraction(0), Fraction(0)
        for equity in self.equities:
            peak = max(peak, equity)
            deepest = max(deepest, peak - equity)
            relative = max(relative, (peak - equity) / peak) if peak > 0 else relative
        return deepest, relative
