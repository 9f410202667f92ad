"""Orders in queues once more, slowly: a book of two dictionaries, an object an order, every one asked every time."""

from dataclasses import dataclass, field
from fractions import Fraction

from trading.domain.depth import ASK, BID, BOUGHT, Flow
from trading.domain.kernel import Ladder, Mode, Terms


@dataclass
class Waiting:
    """One order of ours, on its way (`arrives_ns`) or in its queue."""

    slot: int
    is_buy: bool
    limit: int
    left: int
    arrives_ns: int | None
    ahead: int = 0


@dataclass
class PlainQueue:
    flow: Flow
    ladder: Ladder
    terms: Terms
    partial: bool
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    best_bid: int | None = None
    best_ask: int | None = None
    orders: list[Waiting] = field(default_factory=list)
    fills: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # event, slot, side, ticks, lots
    virtual: set[tuple[int, bool]] = field(default_factory=set)
    paid: dict[int, Fraction] = field(default_factory=dict)
    grid_profit: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)
    lots: int = 0
    is_open: bool = False
    mark: int = 0
    refused: int = 0
    equities: list[Fraction] = field(default_factory=list)

    def run(self) -> "PlainQueue":
        flow = self.flow
        times = [int(t) for t in flow.at_ns]
        for event, now in enumerate(times):
            self.arrive(now)
            kind, tick, lots = int(flow.kind[event]), int(flow.ticks[event]), int(flow.lots[event])
            hits = self.change(kind, tick, lots) if kind < BOUGHT else self.trade(kind == BOUGHT, tick, lots)
            in_snapshot = event + 1 < len(times) and times[event + 1] == times[0]
            if not self.is_open and self.best_bid is not None and self.best_ask is not None and not in_snapshot:
                self.open()
            for order, part in hits:
                self.execute(order, part, event, now)
            if self.is_open:
                self.first_orders(now)
                self.mark = self.mark if self.best_bid is None or self.best_ask is None else self.best_bid
                self.equities.append(self.cash + self.lots * self.mark)
        return self

    def change(self, side: int, tick: int, lots: int) -> list[tuple[Waiting, int]]:
        book = self.bids if side == BID else self.asks
        book[tick] = lots
        for order in self.queued(side == BID):
            if order.limit == tick:
                order.ahead = min(order.ahead, lots)
        self.show(side, tick, lots)
        crossed = [
            order
            for order in self.queued(side == ASK)
            if (self.best_ask is not None and side == ASK and order.limit >= self.best_ask)
            or (self.best_bid is not None and side == BID and order.limit <= self.best_bid)
        ]
        return [(order, order.left) for order in sorted(crossed, key=lambda o: -o.limit if o.is_buy else o.limit)]

    def show(self, side: int, tick: int, lots: int) -> None:
        bids = [t for t, q in self.bids.items() if q]
        asks = [t for t, q in self.asks.items() if q]
        if side == BID and not lots and tick == self.best_bid:
            self.best_bid = max((t for t in bids if t < tick), default=None)
        elif side == BID and lots and (self.best_bid is None or tick > self.best_bid):
            self.best_bid = tick
            if self.best_ask is not None and tick >= self.best_ask:
                self.best_ask = min((t for t in asks if t > tick), default=None)
        elif side == ASK and not lots and tick == self.best_ask:
            self.best_ask = min((t for t in asks if t > tick), default=None)
        elif side == ASK and lots and (self.best_ask is None or tick < self.best_ask):
            self.best_ask = tick
            if self.best_bid is not None and tick <= self.best_bid:
                self.best_bid = max((t for t in bids if t < tick), default=None)

    def trade(self, bought: bool, tick: int, lots: int) -> list[tuple[Waiting, int]]:
        hits = []
        for order in sorted(self.queued(not bought), key=lambda o: -o.limit if o.is_buy else o.limit):
            if order.limit != tick:
                if (order.limit > tick) == order.is_buy:
                    hits.append((order, order.left))
                continue
            order.ahead -= lots
            if order.ahead < 0:
                hits.append((order, min(order.left, -order.ahead) if self.partial else order.left))
                order.ahead = 0
        return hits

    def queued(self, is_buy: bool) -> list[Waiting]:
        return [order for order in self.orders if order.arrives_ns is None and order.is_buy == is_buy]

    def arrive(self, now: int) -> None:
        due = [order for order in self.orders if order.arrives_ns is not None and order.arrives_ns < now]
        for order in due:
            order.arrives_ns = None
            ask, bid = self.best_ask, self.best_bid
            crosses = (ask is not None and order.limit >= ask) if order.is_buy else (
                bid is not None and order.limit <= bid
            )  # fmt: skip
            if crosses:
                self.refused += 1
                self.orders.remove(order)
                self.virtual.add((order.slot, order.is_buy))
            else:
                order.ahead = (self.bids if order.is_buy else self.asks).get(order.limit, 0)

    def open(self) -> None:
        assert self.best_bid is not None
        assert self.best_ask is not None
        self.is_open, self.mark = True, self.best_bid
        self.cash, self.lots = Fraction(self.terms.opening_cash), self.terms.opening_lots
        self.equities.append(self.cash + self.lots * self.mark)
        holding = set(range(len(self.ladder.lots))) if self.ladder.mode is Mode.SHORT else set()
        if self.ladder.mode is Mode.NEUTRAL:
            distances = [abs(level - self.mark) for level in self.ladder.levels]
            holding = set(range(distances.index(min(distances)), len(self.ladder.lots)))
            for slot in holding:
                self.pay(slot, 1, self.best_ask, self.ladder.lots[slot], Fraction(*self.terms.taker_fee))
        self.virtual = {(slot, slot not in holding) for slot in range(len(self.ladder.lots))}

    def pay(self, slot: int, sign: int, ticks: int, lots: int, rate: Fraction) -> None:
        paid = ticks * lots * (sign + rate)
        self.cash -= paid
        self.lots += sign * lots
        self.paid[slot] = self.paid.get(slot, Fraction(0)) + paid

    def execute(self, order: Waiting, part: int, event: int, now: int) -> None:
        sign = 1 if order.is_buy else -1
        self.pay(order.slot, sign, order.limit, part, Fraction(*self.terms.maker_fee))
        self.fills.append((event, order.slot, sign, order.limit, part))
        order.left -= part
        if order.left:
            return
        self.orders.remove(order)
        if order.is_buy == (self.ladder.mode is Mode.SHORT):
            self.grid_profit -= self.paid.pop(order.slot)
        delay = self.terms.report_ns + max(self.terms.submit_ns, 1)
        self.send(order.slot, not order.is_buy, now + delay)

    def first_orders(self, now: int) -> None:
        if self.best_bid is None or self.best_ask is None:
            return
        bid, ask, levels = self.best_bid, self.best_ask, self.ladder.levels
        ready = [(s, b) for s, b in self.virtual if (levels[s] < ask if b else levels[s + 1] > bid)]
        for slot, is_buy in sorted(ready, key=lambda want: (not want[1], -want[0])):
            self.virtual.remove((slot, is_buy))
            self.send(slot, is_buy, now + max(self.terms.submit_ns, 1))

    def send(self, slot: int, is_buy: bool, arrives_ns: int) -> None:
        limit = self.ladder.levels[slot if is_buy else slot + 1]
        self.orders.append(Waiting(slot, is_buy, limit, self.ladder.lots[slot], arrives_ns))
