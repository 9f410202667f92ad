"""Stored market history: its kinds and series, the holes in it, and how a broken rule is told."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
QUIET_NS: Final = 60 * SECOND_NS  # a stream without numbers that says nothing for longer has a hole (ours)


class Kind(StrEnum):
    """What one row is."""

    TRADES = "trades"
    TOPS = "tops"
    L2DIFF = "l2diff"
    L2SNAP = "l2snap"
    BARS = "bars"


# Every column is int64; `at_ns` is the clock the rows are ordered by.
COLUMNS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.TRADES: ("at_ns", "trade_id", "price_ticks", "quantity_lots", "buyer_is_maker"),
    Kind.TOPS: ("at_ns", "update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"),
    Kind.L2DIFF: ("at_ns", "first_id", "final_id", "side", "price_ticks", "quantity_lots"),
    Kind.L2SNAP: ("at_ns", "update_id", "side", "price_ticks", "quantity_lots"),
    Kind.BARS: ("at_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots"),
}
# Stored where the source knows them. The last two order what this installation recorded itself.
OPTIONAL: Final = ("venue_at_ns", "received_at_ns", "prev_id", "segment_ns", "sequence")
BOOLEANS: Final = frozenset({"buyer_is_maker"})
IDS: Final = {Kind.TRADES: "trade_id", Kind.TOPS: "update_id", Kind.L2DIFF: "final_id"}


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """What belongs together: one kind of row of one symbol at one venue."""

    kind: Kind
    venue: str  # "binance-spot"
    symbol: str  # "BTCUSDT"
    interval_s: int = 0  # of bars

    @property
    def name(self) -> str:
        """As people write it: "trades/binance-spot/BTCUSDT"."""
        interval = f"-{self.interval_s}s" if self.interval_s else ""
        return f"{self.kind}{interval}/{self.venue}/{self.symbol}"


@dataclass(frozen=True, slots=True)
class Steps:
    """What one tick and one lot are worth, and where that is known from."""

    tick_size: Decimal  # quote currency
    lot_size: Decimal  # base currency
    origin: str  # "instrument": the venue's own; "data": the coarsest power of ten that every value is a multiple of


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of time of which rows are missing; `missing` is 0 where nothing tells how many."""

    from_ns: int
    until_ns: int
    missing: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Why rows are refused: the first of them (from 0), how many, and what to do."""

    row: int
    field: str
    reason: str
    remedy: str
    count: int = 1


class Unsound(ValueError):
    """Rows break a rule; `problem` says which, and nothing of them may be kept."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"row {problem.row}: {problem.field}: {problem.reason}")
        self.problem = problem


def between(before: tuple[int, int], after: tuple[int, int], series: Series) -> Hole | None:
    """Return the hole between two stored parts that follow each other; None where they join.

    `before` is (last time ns, last id) of the earlier one, `after` (first time ns, first id) of the later one; an id
    of 0 is not known.
    """
    if series.kind is Kind.BARS:
        missing = (after[0] - before[0]) // (series.interval_s * SECOND_NS) - 1
        return Hole(before[0] + series.interval_s * SECOND_NS, after[0], missing) if missing > 0 else None
    if series.kind is Kind.TRADES and before[1] and after[1]:
        missing = after[1] - before[1] - 1
        return Hole(before[0], after[0], missing) if missing > 0 else None
    is_stream = series.kind is not Kind.L2SNAP
    return Hole(before[0], after[0], 0) if is_stream and after[0] - before[0] > QUIET_NS else None
