"""One symbol of the simulated venue: its top, what each account took from it, and the orders that rest."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trading.domain.instruments import Instrument
from trading.domain.market import BookTop
from trading.domain.orders import Side
from trading.domain.venue_orders import BookedOrder, NewOrder

NO_BUY: Final = 0  # no price is below one tick
NO_SELL: Final = 2**63 - 1  # no price reaches int64's end


@dataclass(slots=True)
class Resting:
    """One account's resting orders on one symbol, and what it took from the displayed top."""

    buys: list[BookedOrder] = field(default_factory=list)  # highest price first, then oldest
    sells: list[BookedOrder] = field(default_factory=list)  # lowest price first, then oldest
    ask_level: int = -1
    ask_taken_lots: int = 0
    bid_level: int = -1
    bid_taken_lots: int = 0


@dataclass(slots=True)
class Book:
    """One symbol: its top, and a level number per side that rises when the price of that side moves."""

    instrument: Instrument
    resting: dict[str, Resting] = field(default_factory=dict)
    top: BookTop | None = None
    ask_level: int = 0
    bid_level: int = 0
    best_buy_ticks: int = NO_BUY
    best_sell_ticks: int = NO_SELL
    next_trade_id: int = 1

    def show(self, top: BookTop) -> bool:
        """Take a new top; return whether it reaches a resting order."""
        _, bid_ticks, _, ask_ticks, _, _, _, _ = top  # at once: faster than by name
        last = self.top
        if last is None or last.ask_ticks != ask_ticks:
            self.ask_level += 1
        if last is None or last.bid_ticks != bid_ticks:
            self.bid_level += 1
        self.top = top
        return ask_ticks <= self.best_buy_ticks or bid_ticks >= self.best_sell_ticks

    def available(self, account: str, side: Side) -> int:
        """Return the displayed lots that `side` of this account may still take."""
        if self.top is None:
            return 0
        resting = self.resting[account]
        if side is Side.BUY:
            taken = resting.ask_taken_lots if resting.ask_level == self.ask_level else 0
            return max(self.top.ask_lots - taken, 0)
        taken = resting.bid_taken_lots if resting.bid_level == self.bid_level else 0
        return max(self.top.bid_lots - taken, 0)

    def take(self, account: str, side: Side, lots: int) -> None:
        """Note what `side` of this account took from the displayed top."""
        resting = self.resting[account]
        if side is Side.BUY:
            already = resting.ask_taken_lots if resting.ask_level == self.ask_level else 0
            resting.ask_level, resting.ask_taken_lots = self.ask_level, already + lots
        else:
            already = resting.bid_taken_lots if resting.bid_level == self.bid_level else 0
            resting.bid_level, resting.bid_taken_lots = self.bid_level, already + lots

    def opposite_ticks(self, side: Side) -> int | None:
        """Return the price at which `side` takes; None before the first top."""
        if self.top is None:
            return None
        return self.top.ask_ticks if side is Side.BUY else self.top.bid_ticks

    def crosses(self, order: NewOrder) -> bool:
        """Return whether a priced order would take at once."""
        if self.top is None or order.price_ticks is None:
            return False
        if order.side is Side.BUY:
            return order.price_ticks >= self.top.ask_ticks
        return order.price_ticks <= self.top.bid_ticks

    def rest(self, booked: BookedOrder) -> None:
        """Let an order rest behind those of its price."""
        resting = self.resting[booked.account]
        if booked.order.side is Side.BUY:
            insort(resting.buys, booked, key=lambda b: (-b.limit_ticks, b.order_id))
        else:
            insort(resting.sells, booked, key=lambda b: (b.limit_ticks, b.order_id))
        self._refresh()

    def remove(self, ended: Iterable[BookedOrder]) -> None:
        """Take out orders that ended; those that never rested are no matter."""
        for booked in ended:
            resting = self.resting[booked.account]
            orders = resting.buys if booked.order.side is Side.BUY else resting.sells
            orders[:] = [b for b in orders if b.order_id != booked.order_id]
        self._refresh()

    def _refresh(self) -> None:
        self.best_buy_ticks = max((r.buys[0].limit_ticks for r in self.resting.values() if r.buys), default=NO_BUY)
        self.best_sell_ticks = min((r.sells[0].limit_ticks for r in self.resting.values() if r.sells), default=NO_SELL)
