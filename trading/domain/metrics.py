"""What the desk is judged by: drawdowns, fill rates, order rate."""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trading.domain.orders import TERMINAL, Order, OrderStatus, OrderType

MINUTE_NS: Final = 60_000_000_000
_ZERO: Final = Decimal(0)


def drawdown_fraction(reference_quote: Decimal, equity_quote: Decimal) -> Decimal:
    """Return (reference - equity) / reference, never below 0.

    A reference that is not above zero cannot be lost a part of: any equity below it counts as a drawdown of 1.

    Source:
        shared decision 9: daily drawdown is measured from the equity at the start of the day.
    """
    lost = reference_quote - equity_quote
    if lost <= 0:
        return _ZERO
    return lost / reference_quote if reference_quote > 0 else Decimal(1)


@dataclass(slots=True)
class HighWater:
    """The highest equity seen, and how far below it the account stands."""

    mark_quote: Decimal

    def observe(self, equity_quote: Decimal) -> Decimal:
        """Take one equity; return the drawdown from the highest so far, a fraction >= 0."""
        self.mark_quote = max(self.mark_quote, equity_quote)
        return drawdown_fraction(self.mark_quote, equity_quote)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its denominator; without one it is unknown, not zero."""

    part: int
    whole: int
    count: int  # orders it was measured on

    @property
    def fraction(self) -> float | None:
        """The share, 0..1, or None."""
        return self.part / self.whole if self.whole else None


@dataclass(slots=True)
class TakerRate:
    """Filled quantity / quantity of the marketable orders of one symbol that reached a terminal state.

    Denials are no orders. Quantities of different symbols do not add up: one of these per symbol.
    """

    _filled_lots: int = 0
    _asked_lots: int = 0
    _count: int = 0

    def end(self, order: Order) -> None:
        """Count an order that has just ended; what is no market order, or was denied, does not count."""
        if order.type is OrderType.MARKET and order.status in TERMINAL and order.status is not OrderStatus.DENIED:
            self._filled_lots += order.filled_lots
            self._asked_lots += order.quantity_lots
            self._count += 1

    @property
    def rate(self) -> Rate:
        """Filled / asked for."""
        return Rate(self._filled_lots, self._asked_lots, self._count)

    def clear(self) -> None:
        """Begin a new day."""
        self._filled_lots = self._asked_lots = self._count = 0


def mean_rate(rates: Iterable[Rate]) -> Rate:
    """Return the mean of `rates` over their orders: quantities of different symbols do not add up."""
    known = [rate for rate in rates if rate.whole]
    count = sum(rate.count for rate in known)
    weighted = sum((rate.fraction or 0.0) * rate.count for rate in known)
    return Rate(round(weighted * 1_000_000), count * 1_000_000, count)


@dataclass(slots=True)
class TouchRate:
    """Of the resting orders whose price was traded through, how many filled."""

    _touched: set[str] = field(default_factory=set)  # of those that may still fill
    _touches: int = 0
    _filled: int = 0
    touched_ever: int = 0  # these two run on when a new day begins
    filled_ever: int = 0

    def touch(self, client_order_id: str) -> None:
        """The market traded through the price of a resting order."""
        if client_order_id not in self._touched:
            self._touched.add(client_order_id)
            self._touches += 1
            self.touched_ever += 1

    def fill(self, client_order_id: str) -> None:
        """A resting order filled completely; it was touched, then."""
        self.touch(client_order_id)
        self._touched.discard(client_order_id)
        self._filled += 1
        self.filled_ever += 1

    def is_touched(self, client_order_id: str) -> bool:
        """Return whether the price of this order was traded through."""
        return client_order_id in self._touched

    def forget(self, known: Collection[str]) -> None:
        """Keep no name of an order that is not known any more."""
        self._touched = {name for name in self._touched if name in known}

    @property
    def rate(self) -> Rate:
        """Filled / touched."""
        return Rate(self._filled, self._touches, self._touches)

    def clear(self) -> None:
        """Begin a new day."""
        self._touched.clear()
        self._touches = self._filled = 0


@dataclass(slots=True)
class Pace:
    """How many orders left lately."""

    _sent_at_ns: deque[int] = field(default_factory=deque)

    def record(self, at_ns: int) -> None:
        """Count one order; forget what is older than a minute."""
        self._sent_at_ns.append(at_ns)
        while self._sent_at_ns[0] <= at_ns - MINUTE_NS:
            self._sent_at_ns.popleft()

    def within(self, window_ns: int, now_ns: int) -> int:
        """Return how many orders left during the last `window_ns` (at most a minute)."""
        return len(self._sent_at_ns) - bisect_right(self._sent_at_ns, now_ns - window_ns)
