"""Market data as the core sees it, and the checks a message must pass before a decision may read it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

COLLAR_FRACTION: Final = 0.10  # a single move beyond this is taken for a defect, not for a price (ours)
STALE_AFTER_NS: Final = 3_000_000_000  # no decision on data older than this (reliability.md I15, I16)
SPIKE_CONFIRMED_AFTER_NS: Final = 3_000_000_000  # tops that agree for this long are a price after all (ours)
FUTURE_TOLERANCE_NS: Final = 5_000_000_000  # venue clock ahead of ours by more than this: drop


class BookTop(NamedTuple):
    """Best bid and ask of one instrument."""

    symbol: str
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    update_id: int
    venue_at_ns: int  # 0 where the venue sends none (Binance spot bookTicker)
    received_at_ns: int


class Trade(NamedTuple):
    """One print on the public tape."""

    symbol: str
    price_ticks: int
    quantity_lots: int
    buyer_is_maker: bool
    trade_id: int
    venue_at_ns: int
    received_at_ns: int


MarketEvent = BookTop | Trade


class Defect(StrEnum):
    """Why a market message was dropped."""

    UNKNOWN_SYMBOL = "unknown symbol"
    NOT_POSITIVE = "price or quantity not positive"
    CROSSED = "bid at or above ask"
    OUT_OF_ORDER = "older than the last message"
    GAP = "messages are missing"
    SPIKE = "price moved beyond the collar"
    FUTURE = "time stamp from the future"


@dataclass(slots=True)
class MarketState:
    """What is known of one instrument right now; unknown until the first good message."""

    symbol: str
    top: BookTop | None = None
    last_trade: Trade | None = None
    top_at_ns: int | None = None  # when the last good book top arrived, our clock
    good_at_ns: int | None = None  # when the last good message of any kind arrived, our clock
    dropped: dict[Defect, int] = field(default_factory=dict)
    _jump: tuple[int, int] | None = None  # (bid ticks, our clock) of the first top beyond the collar

    def accept(self, event: MarketEvent, now_ns: int) -> Defect | None:
        """Store `event` if it is sound; return the defect and count it otherwise."""
        defect = self._defect(event, now_ns)
        if defect is not None:
            self.dropped[defect] = self.dropped.get(defect, 0) + 1
            return defect
        if isinstance(event, BookTop):
            self.top = event
            self.top_at_ns = now_ns
            self._jump = None
        else:
            self.last_trade = event
        self.good_at_ns = now_ns
        return None

    def is_fresh(self, now_ns: int, limit_ns: int = STALE_AFTER_NS) -> bool:
        """Return True while the last good book top is no older than `limit_ns`; unknown is not fresh.

        Prints do not count: an order is decided on the book, and the two streams can die apart.
        """
        return self.top_at_ns is not None and now_ns - self.top_at_ns <= limit_ns

    def restart(self) -> None:
        """Forget prices and sequence numbers: a new lap or a new connection starts here."""
        self.top = None
        self.last_trade = None
        self.top_at_ns = None
        self.good_at_ns = None
        self._jump = None

    def _defect(self, event: MarketEvent, now_ns: int) -> Defect | None:
        if event.venue_at_ns > now_ns + FUTURE_TOLERANCE_NS:
            return Defect.FUTURE
        if not isinstance(event, BookTop):
            return self._trade_defect(event)
        _, bid_ticks, bid_lots, ask_ticks, ask_lots, update_id, _, _ = event  # at once: faster than by name
        if bid_ticks <= 0 or bid_lots < 0 or ask_lots < 0:
            return Defect.NOT_POSITIVE
        if bid_ticks >= ask_ticks:
            return Defect.CROSSED
        last = self.top
        if last is None:
            return None
        if update_id <= last.update_id:
            return Defect.OUT_OF_ORDER
        if bid_ticks != last.bid_ticks and _jumps(bid_ticks, last.bid_ticks) and not self._is_confirmed(event, now_ns):
            return Defect.SPIKE
        return None

    def _is_confirmed(self, event: BookTop, now_ns: int) -> bool:
        """Return whether tops have agreed on the new price for long enough: a crash is a price, a defect passes."""
        if self._jump is None or _jumps(event.bid_ticks, self._jump[0]):
            self._jump = (event.bid_ticks, now_ns)
        return now_ns - self._jump[1] >= SPIKE_CONFIRMED_AFTER_NS

    def _trade_defect(self, event: Trade) -> Defect | None:
        if event.price_ticks <= 0 or event.quantity_lots < 0:
            return Defect.NOT_POSITIVE
        last = self.last_trade
        if last is not None:
            if event.trade_id <= last.trade_id:
                return Defect.OUT_OF_ORDER
            if event.trade_id != last.trade_id + 1:
                self.last_trade = event  # what is missing stays missing: count it once and go on from here
                return Defect.GAP
        if self.top is not None and _jumps(event.price_ticks, self.top.bid_ticks):
            return Defect.SPIKE
        return None


def _jumps(ticks: int, reference_ticks: int) -> bool:
    return abs(ticks - reference_ticks) > reference_ticks * COLLAR_FRACTION
