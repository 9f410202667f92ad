"""A seeded world that treats the trader badly: lost requests, late answers, doubled and reordered reports, crashes.

The trader and the simulated venue are the real ones; what lies between them is bad. Promises are checked at every step.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from random import Random

from trading.domain.backtest import read_venue
from trading.domain.desk import DeskSettings, TraderState
from trading.domain.events import (
    Cancel,
    CancelEverything,
    CancelRefused,
    Effect,
    Event,
    HaltRequested,
    LatchHalt,
    OrderAmbiguous,
    OrderFilled,
    OrderRefused,
    PersistDay,
    PersistFill,
    PersistGrid,
    PersistHaltStage,
    PersistOrder,
    PersistPause,
    ReadVenue,
    Resumed,
    SeamReached,
    Submit,
    TimerFired,
    VenueRead,
)
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.halting import HaltState
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop, Trade
from trading.domain.matching import BookedOrder, NewOrder, Rejection, Report, SimulatedVenue
from trading.domain.orders import TERMINAL, Fill, Order, OrderStatus, Purpose, Side
from trading.domain.trader import Trader

MS = 1_000_000
SECOND = 1_000 * MS
BEGIN = 1_750_000_000 * SECOND
ACCOUNT = "micro"
PRICES = {"BTCUSDT": 6_000_000, "ETHUSDT": 260_000}  # ticks of 0.01
INSTRUMENTS = {
    "BTCUSDT": Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5)),
    "ETHUSDT": Instrument("ETHUSDT", "ETH", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5)),
}
CAPITAL = Decimal(1_000)
SLIPPAGE = Decimal("1.01")  # a MARKET order that arrives late may pay another price than it was decided on


def limits(style: ExecutionStyle, **changes: object) -> Limits:
    values: dict[str, object] = {
        "phase": "4.x",
        "version": 1,
        "capital_quote": CAPITAL,
        "symbols": frozenset(INSTRUMENTS),
        "execution_styles": frozenset({style}),
        "max_position_fraction": Decimal("0.02"),
        "max_symbol_exposure_fraction": Decimal("0.10"),
        "max_total_exposure_fraction": Decimal("0.18"),
        "max_daily_drawdown_fraction": Decimal("0.05"),
        "max_daily_drawdown_hard_fraction": Decimal("0.10"),
        "max_symbol_drawdown_fraction": None,
        "max_daily_trades": 60,
        "max_open_orders": 10,
    }
    return Limits(**(values | changes))  # type: ignore[arg-type]  # a table of named values


def settings(style: ExecutionStyle) -> DeskSettings:
    grids = tuple(GridSettings(symbol, style, Decimal("0.001"), 8, Decimal(20)) for symbol in INSTRUMENTS)
    return DeskSettings(ACCOUNT, "USDT", grids, DEMO_FEES, CAPITAL)


@dataclass(slots=True)
class Faults:
    """How bad the world is; every number is a probability."""

    lost_request: float = 0.04
    lost_answer: float = 0.04
    late_request: float = 0.04
    refused: float = 0.02
    doubled: float = 0.15
    dropped_report: float = 0.05
    failed_read: float = 0.10
    crash_per_second: float = 0.01
    halt_per_second: float = 0.004
    seam_per_second: float = 0.004


NO_FAULTS = Faults(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class Journal:
    """What survives a crash, kept the way the tables keep it."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[PersistFill] = field(default_factory=list)
    days: list[PersistDay] = field(default_factory=list)
    grids: dict[str, PersistGrid] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    halt: HaltState | None = None

    def commit(self, effects: list[Effect], now_ns: int) -> None:
        for effect in effects:
            match effect:
                case PersistOrder(order):
                    self.orders[order.client_order_id] = order
                case PersistFill():
                    self.fills.append(effect)
                case PersistDay():
                    self.days.append(effect)
                case PersistGrid():
                    self.grids[effect.symbol] = effect
                case PersistPause(symbol, reason, _):
                    self.paused[symbol] = reason
                case LatchHalt(reason, flatten, at_ns):
                    self.latch(reason, flatten, at_ns)
                case PersistHaltStage(stage, _, _, _):
                    assert self.halt is not None
                    self.halt = HaltState(self.halt.reason, self.halt.flatten, stage, self.halt.latched_at_ns)
                case _:
                    pass

    def latch(self, reason: str, flatten: bool, at_ns: int) -> None:
        if self.halt is None:
            self.halt = HaltState(reason, flatten, "LATCHED", at_ns)
        else:
            self.halt = HaltState(
                self.halt.reason, self.halt.flatten or flatten, self.halt.stage, self.halt.latched_at_ns
            )

    def state(self) -> TraderState | None:
        if not self.days:
            return None
        opening = next(day for day in reversed(self.days) if day.reason in ("start", "seam"))
        last_ids: dict[str, int] = {}
        for stored in (stored for stored in self.fills if stored.lap < opening.lap):
            last_ids[stored.fill.symbol] = max(last_ids.get(stored.fill.symbol, 0), stored.fill.trade_id)
        return TraderState(
            opening=opening,
            day=self.days[-1],
            grids=tuple(grid for grid in self.grids.values() if grid.lap == opening.lap),
            orders=tuple(order for order in self.orders.values() if order.status not in TERMINAL),
            fills=tuple(stored for stored in self.fills if stored.lap == opening.lap),
            paused=dict(self.paused),
            halt=self.halt,
            last_trade_ids=last_ids,
        )


class BrokenPromise(AssertionError):
    """The trader broke a promise in this world."""


class World:
    """Virtual time, one trader, one venue, and everything that can go wrong between them."""

    def __init__(self, seed: int, style: ExecutionStyle, faults: Faults, **limit_changes: object) -> None:
        self.random = Random(seed)
        self.style = style
        self.faults = faults
        self.limits = limits(style, **limit_changes)
        self.now_ns = BEGIN
        self.venue = SimulatedVenue(INSTRUMENTS, DEMO_FEES)
        self.venue.open_account(ACCOUNT, {"USDT": CAPITAL})
        self.journal = Journal()
        self.epoch = 0
        self.lap = 0
        self.prices = dict(PRICES)
        self.update_ids = dict.fromkeys(PRICES, 0)
        self.trade_ids = dict.fromkeys(PRICES, 0)
        self.filled_today: set[str] = set()
        self.clear_since_ns: int | None = None  # when the last PROVEN_CLEAR was reached
        self.contradictions: list[str] = []
        self.seams: list[SeamReached] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._held_cost = dict.fromkeys(PRICES, Decimal(0))
        self._held_lots = dict.fromkeys(PRICES, 0)
        self.trader = self._new_trader()

    # --- time ---------------------------------------------------------------------------------------------

    def at(self, delay_ns: int, do: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._sequence, do))

    def run(self, seconds: int) -> None:
        """Let `seconds` pass: four prices a second and symbol, one timer a second."""
        for _ in range(seconds):
            for quarter in range(4):
                self.at(quarter * 250 * MS + self.random.randrange(100) * MS, self._tick)
            self.at(SECOND, self._second)
            end = self.now_ns + SECOND
            while self._queue and self._queue[0][0] <= end:
                self.now_ns, _, do = heapq.heappop(self._queue)
                do()
            self.now_ns = end

    def settle(self) -> None:
        """Let everything that is on its way arrive; no price and no timer comes."""
        for _ in range(5_000):
            if not self._queue:
                return
            self.now_ns, _, do = heapq.heappop(self._queue)
            do()
        raise BrokenPromise("the trader does not come to rest")

    def _second(self) -> None:
        self.deliver(TimerFired(self.now_ns - self.now_ns % SECOND))
        if self._chance(self.faults.crash_per_second):
            self.crash()
        if self._chance(self.faults.halt_per_second):
            self.halt(flatten=self._chance(0.5))
        elif (
            self.journal.halt is not None and self.journal.halt.stage in ("PROVEN_CLEAR", "FLAT") and self._chance(0.2)
        ):
            self.resume()
        if self._chance(self.faults.seam_per_second):
            self.seam()

    def _tick(self) -> None:
        for symbol in PRICES:
            self.price(symbol, self._walk(symbol))

    def price(self, symbol: str, bid_ticks: int) -> None:
        """Show a new best price to the venue and, a little later, to the trader; sometimes print a trade."""
        self.prices[symbol] = bid_ticks
        self.update_ids[symbol] += 1
        lots = self.random.choice((40, 400, 4_000, 40_000))
        top = BookTop(symbol, bid_ticks, lots, bid_ticks + 1, lots, self.update_ids[symbol], 0, self.now_ns)
        self._report(self.venue.on_market(top))
        self._soon(top)
        if self._chance(0.5):
            self.trade_ids[symbol] += 1
            print_ticks = bid_ticks + self.random.choice((-60, 0, 1, 60))
            trade = Trade(symbol, print_ticks, lots, True, self.trade_ids[symbol], self.now_ns, self.now_ns)
            self._report(self.venue.on_market(trade))
            self._soon(trade)

    def _walk(self, symbol: str) -> int:
        centre, price = PRICES[symbol], self.prices[symbol]
        step = self.random.gauss(0, 0.0004) - 0.02 * (price / centre - 1)
        return max(int(price * (1 + step)), 100)

    def _soon(self, event: BookTop | Trade) -> None:
        # One stream keeps its order: the delay is the same for all.
        self.at(2 * MS, lambda: self.deliver(event))

    # --- the trader's side --------------------------------------------------------------------------------

    def _new_trader(self) -> Trader:
        self.epoch += 1
        trader = Trader(
            settings=settings(self.style),
            limits=self.limits,
            instruments=INSTRUMENTS,
            epoch=self.epoch,
            now_ns=self.now_ns,
            state=self.journal.state(),
        )
        self._execute(trader.start(self.now_ns))
        for seam in self.seams:
            self.at(20 * MS, self._for_this_life(seam))
        return trader

    def _for_this_life(self, event: Event) -> Callable[[], None]:
        epoch = self.epoch
        return lambda: self.deliver(event) if epoch == self.epoch else None

    def deliver(self, event: Event) -> None:
        self._execute(self.trader.handle(event, self.now_ns))
        self.check()

    def crash(self) -> None:
        """kill -9: what was committed stays, everything on its way to the trader is lost."""
        self.trader = self._new_trader()

    def halt(self, *, flatten: bool) -> None:
        self.journal.latch("a person", flatten, self.now_ns)
        self.clear_since_ns = None
        self.deliver(HaltRequested("a person", flatten))

    def resume(self) -> None:
        self.journal.halt = None
        self.clear_since_ns = None
        self.deliver(Resumed("two people"))

    def seam(self) -> None:
        """End the lap at the venue, tell the trader a little later."""
        reports = self.venue.close_market(self.now_ns)
        self._report(reports)
        self.at(SECOND, self._settle)

    def _settle(self) -> None:
        settlement = self.venue.settle(self.now_ns)
        self._report(settlement.reports)
        self.lap += 1
        seam = SeamReached(self.lap, dict(settlement.prices), self.now_ns)
        self.seams.append(seam)
        self.filled_today.clear()
        self._held_cost = dict.fromkeys(PRICES, Decimal(0))
        self._held_lots = dict.fromkeys(PRICES, 0)
        self.at(self._delay(), self._for_this_life(seam))
        self.at(SECOND, self.venue.open_market)

    def _execute(self, effects: list[Effect]) -> None:
        self.journal.commit(effects, self.now_ns)
        for effect in effects:
            match effect:
                case Submit(order):
                    self._send(order)
                case Cancel(name, symbol):
                    self._cancel(name, symbol)
                case CancelEverything(symbols):
                    for symbol in symbols:
                        self.at(self._delay(), partial(self._cancel_all, symbol))
                case ReadVenue():
                    self._read(effect)
                case PersistHaltStage("PROVEN_CLEAR", _, _, _):
                    self.clear_since_ns = self.now_ns
                    self._promise_clear()
                case LatchHalt(reason, _, _) if "drawdown" not in reason:
                    self.contradictions.append(reason)
                case _:
                    pass

    # --- the bad wire -------------------------------------------------------------------------------------

    def _send(self, order: Order) -> None:
        name = order.client_order_id
        if self._chance(self.faults.refused):
            self.at(self._delay(), self._for_this_life(OrderRefused(name, "-1003", "too many requests", self.now_ns)))
            return
        if self._chance(self.faults.lost_request):
            self.at(self._patience(), self._for_this_life(OrderAmbiguous(name, "time-out", self.now_ns)))
            return
        if self._chance(self.faults.late_request):
            # recvWindow: the venue takes nothing that is older than 2 s, its own queue holds it for 10 s at most
            self.at(self.random.randrange(12 * SECOND), lambda: self._arrive(order, answered=False))
            self.at(self._patience(), self._for_this_life(OrderAmbiguous(name, "time-out", self.now_ns)))
            return
        answered = not self._chance(self.faults.lost_answer)
        self.at(self._delay(), lambda: self._arrive(order, answered=answered))
        if not answered:
            self.at(self._patience(), self._for_this_life(OrderAmbiguous(name, "502", self.now_ns)))

    def _patience(self) -> int:
        """How long the client waits for an answer."""
        return self.random.choice((1, 4, 20)) * SECOND // 2

    def _arrive(self, order: Order, *, answered: bool) -> None:
        request = NewOrder(
            order.client_order_id, order.symbol, order.side, order.type, order.quantity_lots, order.price_ticks
        )
        self._promise_intent(order)
        try:
            reports = self.venue.submit(ACCOUNT, request, self.now_ns)
        except Rejection as e:
            if answered:
                refused = OrderRefused(order.client_order_id, str(e.code), e.message, self.now_ns)
                self.at(self._delay(), self._for_this_life(refused))
            return
        self._promise_not_after_clear(order)
        self._report(reports)
        if answered:
            for _, report in reports:
                self.at(self._delay(), self._for_this_life(report))

    def _cancel(self, name: str, symbol: str) -> None:
        if self._chance(self.faults.lost_request):
            return
        self.at(self._delay(), lambda: self._cancel_arrives(name, symbol))

    def _cancel_all(self, symbol: str) -> None:
        reports = self.venue.cancel_all(ACCOUNT, symbol, self.now_ns)
        self._report(reports)
        if not self._chance(self.faults.lost_answer):  # the answer tells how every order ended
            for _, report in reports:
                self.at(self._delay(), self._for_this_life(report))

    def _cancel_arrives(self, name: str, symbol: str) -> None:
        try:
            self._report(self.venue.cancel(ACCOUNT, symbol, name, self.now_ns))
        except Rejection as e:
            self.at(self._delay(), self._for_this_life(CancelRefused(name, e.message, self.now_ns)))

    def _report(self, reports: list[Report]) -> None:
        """Send reports over the user stream: late, out of order, twice or not at all."""
        for _, report in reports:
            if isinstance(report, OrderFilled):
                self._count(report.fill)
            if self._chance(self.faults.dropped_report):
                continue
            self.at(self._delay(), self._for_this_life(report))
            if self._chance(self.faults.doubled):
                self.at(self._delay(), self._for_this_life(report))

    def _read(self, request: ReadVenue) -> None:
        """Read in parts, as over a real wire: orders, then fills, then balances, each a little later."""
        if self._chance(self.faults.failed_read):
            return
        began_ns, parts = self.now_ns, list[VenueRead]()
        for delay in (20, 40, 60):
            self.at(delay * MS, lambda: parts.append(read_venue(self.venue, ACCOUNT, request, began_ns)))
        epoch = self.epoch

        def answer() -> None:
            if epoch != self.epoch:
                return
            orders, fills, balances = parts
            self.deliver(
                VenueRead(began_ns, orders.local_open, orders.orders, orders.missing, fills.fills, balances.balances)
            )

        self.at(80 * MS, answer)

    def _delay(self) -> int:
        return self.random.choice((1, 2, 5, 20, 120)) * MS if self.faults is not NO_FAULTS else MS

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    # --- promises -----------------------------------------------------------------------------------------

    def _count(self, fill: Fill) -> None:
        order = self.journal.orders.get(fill.client_order_id)
        if order is not None and order.purpose is Purpose.GRID and order.lap == self.lap:
            self.filled_today.add(fill.client_order_id)
        lots, cost = self._held_lots[fill.symbol], self._held_cost[fill.symbol]
        notional = INSTRUMENTS[fill.symbol].notional(fill.price_ticks, fill.quantity_lots)
        if fill.side is Side.BUY:
            self._held_lots[fill.symbol], self._held_cost[fill.symbol] = lots + fill.quantity_lots, cost + notional
        elif lots:
            left = max(lots - fill.quantity_lots, 0)
            self._held_lots[fill.symbol], self._held_cost[fill.symbol] = left, cost * left / lots

    def check(self) -> None:
        """Hold the promises that must hold at every moment."""
        open_orders = self.venue.open_orders(ACCOUNT)
        self._promise(len(open_orders) <= self.limits.max_open_orders, f"{len(open_orders)} open orders at the venue")
        slots = [(o.symbol, o.slot, o.lap) for b in open_orders if (o := self._ours(b)).slot is not None]
        self._promise(len(slots) == len(set(slots)), f"two orders work for one slot: {sorted(map(str, slots))}")
        total = Decimal(0)
        for symbol, instrument in INSTRUMENTS.items():
            worst = self._held_cost[symbol] + sum(
                (
                    instrument.notional(b.order.price_ticks or 0, b.remaining_lots)
                    for b in open_orders
                    if b.order.symbol == symbol and b.order.side is Side.BUY
                ),
                Decimal(0),
            )
            total += worst
            limit = self.limits.capital_quote * self.limits.max_symbol_exposure_fraction * SLIPPAGE
            self._promise(worst <= limit, f"worst case of {symbol} is {worst}, limit {limit}")
        limit = self.limits.capital_quote * self.limits.max_total_exposure_fraction * SLIPPAGE
        self._promise(total <= limit, f"worst case is {total}, limit {limit}")
        cap = self.limits.max_daily_trades
        self._promise(len(self.filled_today) <= cap, f"{len(self.filled_today)} trades today, limit {cap}")

    def _ours(self, booked: BookedOrder) -> Order:
        return self.journal.orders[booked.order.client_order_id]

    def _promise_intent(self, order: Order) -> None:
        self._promise(order.client_order_id in self.journal.orders, f"{order.client_order_id} left without an intent")

    def _promise_not_after_clear(self, order: Order) -> None:
        if self.clear_since_ns is not None and order.purpose is Purpose.GRID:
            self._promise(False, f"{order.client_order_id} was accepted after PROVEN CLEAR")

    def _promise_clear(self) -> None:
        grid = [b for b in self.venue.open_orders(ACCOUNT) if self._ours(b).purpose is Purpose.GRID]
        self._promise(not grid, f"{len(grid)} orders work after PROVEN CLEAR")

    def promise_agreement(self) -> None:
        """Hold what must be true once the faults have ended and time has passed."""
        view = self.trader.view(self.now_ns)
        for asset, balance in self.venue.balances(ACCOUNT).items():
            ours = self.trader.balances().get(asset, Decimal(0))
            self._promise(abs(balance.total - ours) < Decimal("1e-8"), f"{asset}: ours {ours}, venue {balance.total}")
        self._promise(view.unknown_orders == 0, f"{view.unknown_orders} orders are still UNKNOWN")
        ours_open = {name for name, o in self.journal.orders.items() if o.status not in TERMINAL}
        venue_open = {b.order.client_order_id for b in self.venue.open_orders(ACCOUNT)}
        self._promise(ours_open == venue_open, f"open here {ours_open}, open there {venue_open}")
        self._promise(not self.contradictions, f"halted without cause: {self.contradictions}")
        trade_ids = [(stored.fill.symbol, stored.fill.trade_id) for stored in self.journal.fills]
        self._promise(len(trade_ids) == len(set(trade_ids)), "a fill was booked twice")
        booked = len(trade_ids)
        there = sum(len(self.venue.fills(ACCOUNT, symbol)) for symbol in INSTRUMENTS)
        self._promise(booked == there, f"{booked} fills booked, {there} at the venue")
        restored = Trader(
            settings=settings(self.style),
            limits=self.limits,
            instruments=INSTRUMENTS,
            epoch=self.epoch + 1,
            now_ns=self.now_ns,
            state=self.journal.state(),
        )
        self._promise(restored.balances() == self.trader.balances(), "a restart would not know what we hold")

    def _promise(self, kept: bool, what: str) -> None:
        if not kept:
            raise BrokenPromise(f"at +{(self.now_ns - BEGIN) / 1e9:.3f} s: {what}")


def statuses(world: World) -> dict[OrderStatus, int]:
    """Return how many orders stand where; for reading a failure."""
    counts: dict[OrderStatus, int] = {}
    for order in world.journal.orders.values():
        counts[order.status] = counts.get(order.status, 0) + 1
    return counts


def survive(
    seed: int, style: ExecutionStyle, *, seconds: int = 60, faults: Faults | None = None, **limit_changes: object
) -> World:
    """Live through a bad time and a quiet one after it, then hold every promise."""
    world = World(seed, style, faults or Faults(), **limit_changes)
    world.run(seconds)
    world.faults = NO_FAULTS
    world.run(40)
    world.settle()
    world.promise_agreement()
    return world
