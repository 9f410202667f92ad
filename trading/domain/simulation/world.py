"""Virtual time, one venue, its prices, and everything that can go wrong between it and the traders."""

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from trading.domain.events import FeedLost, FeedRestored, SeamReached
from trading.domain.fees import DEMO_FEES
from trading.domain.limits import Limits
from trading.domain.market import BookTop, Trade
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import OrderType, Side
from trading.domain.simulation.account import MS, SECOND_NS, Account
from trading.domain.simulation.faults import NONE
from trading.domain.simulation.promises import BrokenPromise
from trading.domain.simulation.scenario import (
    CAPITAL_QUOTE,
    INSTRUMENTS,
    MIDNIGHT_NS,
    OPENING_TICKS,
    Scenario,
    other_limits,
)
from trading.domain.venue_orders import NewOrder, Report

QUIET_S: Final = 26  # recvWindow + the venue's time-out + two polls, and a halt on top
JUMPS: Final = 0.02  # share of moves that cross several levels at once
AT_REST_STEPS: Final = 20_000
MARKET_DELAY_NS: Final = 2 * MS  # one stream keeps its order: the delay is the same for all
TICKS_A_SECOND: Final = 4


class World:
    """One seed's world. `run` lets the bad time and the quiet time after it pass and holds every promise."""

    def __init__(self, scenario: Scenario, *, trace: bool = False, crash_at: int = 0) -> None:
        self.scenario = scenario
        self.steps = 0  # passed so far at which a process could end
        self._crash_at = crash_at
        self.crashed_at_ns = 0
        self.random = Random(f"world {scenario.seed}")
        self.purse = Random(f"transfers {scenario.seed}")  # of its own: worlds without transfers stay what they were
        self.editor = Random(f"edits {scenario.seed}")
        self.adviser = Random(f"advice {scenario.seed}")
        self.faults = scenario.faults
        self.now_ns = scenario.begin_ns
        self.venue = SimulatedVenue({symbol: INSTRUMENTS[symbol] for symbol in INSTRUMENTS}, DEMO_FEES)
        self.lap = 0
        self.seams: list[SeamReached] = []
        self.prices = dict(OPENING_TICKS)
        self.quiet_since_ns = 0
        self.is_bad = True  # people and faults are at work
        self.events = self.orders = self.crashes = self.kills = self.humans = 0
        self.trace: list[str] | None = [] if trace else None
        self._update_ids = dict.fromkeys(scenario.symbols, 0)
        self._trade_ids = dict.fromkeys(scenario.symbols, 0)
        self._feed_is_lost = False
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self.accounts = {desk.settings.account: Account(self, desk) for desk in scenario.desks}
        for name in self.accounts:
            self.venue.open_account(name, {"USDT": CAPITAL_QUOTE})

    def is_the_step(self) -> bool:
        """Count one more step at which a process could end; return whether it is the one asked for."""
        self.steps += 1
        return self.steps == self._crash_at

    # --- time -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live through a bad time and a quiet one.

        Raises:
            BrokenPromise: a promise was broken; the message names it.
        """
        for account in self.accounts.values():
            account.begin()
        self._pass(self.scenario.seconds)
        self.is_bad, self.faults, self.quiet_since_ns = False, NONE, self.now_ns
        self.say("the faults end")
        self._restore_feed()
        self._pass(QUIET_S)
        if self.crashed_at_ns > self.quiet_since_ns:  # by the step that was asked for: from here on it is quiet
            self._pass(QUIET_S)
        self._come_to_rest()
        for account in self.accounts.values():
            account.promises.agreement()

    def at(self, delay_ns: int, do: Callable[[], None]) -> None:
        """Do something later; what is due at the same time happens in the order it was asked for."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._sequence, do))

    def _pass(self, seconds: int) -> None:
        for _ in range(seconds):
            for tick in range(TICKS_A_SECOND):
                self.at(tick * SECOND_NS // TICKS_A_SECOND + self.random.randrange(100) * MS, self._tick)
            self.at(SECOND_NS, self._second)
            end = self.now_ns + SECOND_NS
            while self._queue and self._queue[0][0] <= end:
                self.now_ns, _, do = heapq.heappop(self._queue)
                do()
            self.now_ns = end

    def _come_to_rest(self) -> None:
        """Let everything that is on its way arrive; no price and no timer comes."""
        for _ in range(AT_REST_STEPS):
            if not self._queue:
                return
            self.now_ns, _, do = heapq.heappop(self._queue)
            do()
        raise BrokenPromise(f"I8 at {self.clock()}: the traders do not come to rest")

    def _second(self) -> None:
        if self.now_ns % (86_400 * SECOND_NS) < SECOND_NS and self.now_ns >= MIDNIGHT_NS:
            self._midnight()
        for account in self.accounts.values():
            account.second()
        if self.chance(self.faults.feed_lost) and not self._feed_is_lost:
            self._lose_feed()
        if self.chance(self.faults.seam) and self.venue.is_open:
            self._seam()

    def _midnight(self) -> None:
        self.say("midnight UTC")
        for account in self.accounts.values():
            equity = account.promises.equity(account.life.marks) if account.life is not None else None
            account.promises.new_day(equity)

    # --- prices -----------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        for symbol in self.scenario.symbols:
            self._price(symbol, self._walk(symbol))

    def _walk(self, symbol: str) -> int:
        centre, price = OPENING_TICKS[symbol], self.prices[symbol]
        pull = 0.0 if self.scenario.drift else 0.02 * (price / centre - 1)
        step = self.random.gauss(0, 0.003 if self.random.random() < JUMPS else 0.0004)
        step += self.scenario.drift / TICKS_A_SECOND * self.is_bad - pull
        return max(int(price * (1 + step)), 100)

    def _price(self, symbol: str, bid_ticks: int) -> None:
        """Show a new best price to the venue and, a little later, to the traders; sometimes print a trade."""
        self.prices[symbol] = bid_ticks
        self._update_ids[symbol] += 2  # nonsense may come in between
        lots = self.random.choice((40, 400, 4_000, 40_000))
        top = BookTop(symbol, bid_ticks, lots, bid_ticks + 1, lots, self._update_ids[symbol], 0, self.now_ns)
        self.report(self.venue.on_market(top))
        self._show(top)
        if self.chance(self.faults.defect):
            self._show(self._nonsense(top))
        if self.random.random() < 0.5:
            self._trade_ids[symbol] += 1
            ticks = bid_ticks + self.random.choice((-60, 0, 1, 60))
            trade = Trade(symbol, ticks, lots, True, self._trade_ids[symbol], self.now_ns, self.now_ns)
            self.report(self.venue.on_market(trade))
            self._show(trade)

    def _nonsense(self, top: BookTop) -> BookTop:
        """Return a message no decision may rest on: crossed, ten times the price, nothing, or from the future."""
        top = top._replace(update_id=top.update_id + 1)
        kind = self.random.randrange(5)
        if kind == 0:
            return top._replace(ask_ticks=top.bid_ticks - 5)
        if kind == 1:
            return top._replace(bid_ticks=top.bid_ticks * 10, ask_ticks=top.ask_ticks * 10)
        if kind == 2:
            return top._replace(bid_ticks=top.bid_ticks // 10, ask_ticks=top.ask_ticks // 10)
        if kind == 3:
            return top._replace(bid_ticks=0, ask_ticks=1)
        return top._replace(bid_ticks=top.bid_ticks * 9 // 10, venue_at_ns=self.now_ns + 60 * SECOND_NS)

    def is_sound(self, top: BookTop) -> bool:
        """Return whether a message may carry a decision: near the true price, not crossed, of this time."""
        true = self.prices[top.symbol]
        near = abs(top.bid_ticks - true) <= true * 0.08
        return near and 0 < top.bid_ticks < top.ask_ticks and top.venue_at_ns <= self.now_ns + 5 * SECOND_NS

    def _show(self, event: BookTop | Trade) -> None:
        if self._feed_is_lost:
            return
        for account in self.accounts.values():
            self.at(MARKET_DELAY_NS, partial(account.hear, event))

    def _lose_feed(self) -> None:
        self._feed_is_lost = True
        self.say("market data is lost")
        for account in self.accounts.values():
            if self.random.random() < 0.7:  # else it falls silent without a word
                account.hear(FeedLost("the connection broke", self.now_ns))
        self.at(self.random.randrange(1, 8) * SECOND_NS, self._restore_feed)

    def _restore_feed(self) -> None:
        if self._feed_is_lost:
            self._feed_is_lost = False
            for account in self.accounts.values():
                account.hear(FeedRestored(self.now_ns))

    # --- the venue --------------------------------------------------------------------------------------------------

    def report(self, reports: Sequence[Report]) -> None:
        """Pass on what the venue tells its accounts."""
        for name, report in reports:
            self.accounts[name].report(report)

    def _seam(self) -> None:
        """End the lap at the venue, tell the traders a little later."""
        self.say("the lap ends")
        self.report(self.venue.close_market(self.now_ns))
        self.at(SECOND_NS, self._settle)

    def _settle(self) -> None:
        settlement = self.venue.settle(self.now_ns)
        self.report(settlement.reports)
        self.lap += 1
        seam = SeamReached(self.lap, dict(settlement.prices), self.now_ns)
        self.seams.append(seam)
        for account in self.accounts.values():
            account.promises.settled()
            account.promises.new_day(account.promises.equity({}))
            self.at(self.random.choice((1, 20, 120)) * MS, account.for_this_life(seam))
        self.at(SECOND_NS, self.venue.open_market)

    def human_order(self, symbol: str) -> NewOrder:
        """Return an order a person rests far below the market."""
        self.humans += 1
        instrument, ticks = INSTRUMENTS[symbol], self.prices[symbol] * 85 // 100
        lots = instrument.smallest_lots(ticks)
        return NewOrder(f"human-{self.humans}", symbol, Side.BUY, OrderType.LIMIT, lots, ticks)

    def other_limits(self, limits: Limits) -> Limits:
        """Return limits governance may put in force instead."""
        return other_limits(self.random, limits)

    # --- chance and trace -------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """Return True with this probability; what is switched off draws nothing."""
        return probability > 0 and self.random.random() < probability

    def clock(self) -> str:
        """Return the time since the beginning."""
        return f"+{(self.now_ns - self.scenario.begin_ns) / 1e9:.3f} s"

    def say(self, text: str) -> None:
        """Note a line for the reader of a replay."""
        if self.trace is not None:
            self.trace.append(f"{self.clock()} {text}")
