"""Stored market history: its kinds, and what must hold of rows before anything is computed from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[np.int64]]
Flags = NDArray[np.bool_]

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
QUIET_NS: Final = 60 * SECOND_NS  # a stream without numbers that says nothing for longer has a hole (ours)
HOLES_KEPT: Final = 1_000  # of one day; more are counted only


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


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that holds of every row; `broken` tells where it does not."""

    field: str
    reason: str
    remedy: str
    broken: Callable[[Columns], Flags]


_SORT = "Sort the file by time and give each row once."
_CORRECT = "Correct the row at its source, or leave the file out."


def _step(name: str) -> Callable[[Columns], NDArray[np.int64]]:
    return lambda rows: np.diff(rows[name], prepend=rows[name][:1] - 1)


def _falls(name: str, reason: str) -> Rule:
    return Rule(name, reason, _SORT, lambda rows: _step(name)(rows) < 0)


def _repeats(name: str, reason: str) -> Rule:
    return Rule(name, reason, _SORT, lambda rows: _step(name)(rows) == 0)


def _not_positive(name: str) -> Rule:
    return Rule(name, "zero or negative", _CORRECT, lambda rows: rows[name] <= 0)


def _negative(name: str) -> Rule:
    return Rule(name, "negative", _CORRECT, lambda rows: rows[name] < 0)


def _highest(rows: Columns) -> Flags:
    return rows["high_ticks"] < np.maximum(np.maximum(rows["open_ticks"], rows["close_ticks"]), rows["low_ticks"])


def _lowest(rows: Columns) -> Flags:
    return rows["low_ticks"] > np.minimum(rows["open_ticks"], rows["close_ticks"])


_TIME = _falls("at_ns", "earlier than the row before")
_SIDE = Rule("side", "neither 1 (bid) nor -1 (ask)", _CORRECT, lambda rows: np.abs(rows["side"]) != 1)
RULES: Final[dict[Kind, tuple[Rule, ...]]] = {
    Kind.TRADES: (
        _TIME,
        _repeats("trade_id", "the same id as the row before"),
        _falls("trade_id", "lower than the id before"),
        _not_positive("price_ticks"),
        _not_positive("quantity_lots"),
    ),
    Kind.TOPS: (
        _TIME,
        _repeats("update_id", "the same id as the row before"),
        _falls("update_id", "lower than the id before"),
        _not_positive("bid_ticks"),
        _negative("bid_lots"),
        _negative("ask_lots"),
        Rule("ask_ticks", "bid at or above ask", _CORRECT, lambda rows: rows["ask_ticks"] <= rows["bid_ticks"]),
    ),
    Kind.L2DIFF: (
        _TIME,
        _falls("final_id", "lower than the id before"),
        Rule("first_id", "above the last id of its row", _CORRECT, lambda rows: rows["first_id"] > rows["final_id"]),
        _SIDE,
        _not_positive("price_ticks"),
        _negative("quantity_lots"),
    ),
    Kind.L2SNAP: (_TIME, _SIDE, _not_positive("price_ticks"), _not_positive("quantity_lots")),
    Kind.BARS: (
        _repeats("at_ns", "the same time as the row before"),
        _TIME,
        *(_not_positive(f"{name}_ticks") for name in ("open", "high", "low", "close")),
        Rule("high_ticks", "high below open, close or low", _CORRECT, _highest),
        Rule("low_ticks", "low above open or close", _CORRECT, _lowest),
        _negative("volume_lots"),
    ),
}


@dataclass(slots=True)
class Checker:
    """Holds blocks of one series to its rules, in order; what crosses from block to block is checked, too."""

    kind: Kind
    interval_ns: int = 0  # of bars
    restarts: bool = False  # ids may start anew where `segment_ns` changes: our own recording
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    holes: list[Hole] = field(default_factory=list)
    hole_count: int = 0
    _tail: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def feed(self, rows: Columns) -> None:
        """Check the next block; `rows` are the columns of its kind, all (n,).

        Raises:
            Unsound: a rule is broken; of several broken rules the one with the earliest row.
        """
        count = len(rows["at_ns"])
        if not count:
            return
        known = len(self._tail.get("at_ns", ()))
        joined = {name: np.concatenate([self._tail.get(name, values[:0]), values]) for name, values in rows.items()}
        self._refuse(joined, known)
        self._note_holes(joined)
        if not self.rows:
            self.first_ns = int(rows["at_ns"][0])
        self.rows += count
        self.last_ns = int(rows["at_ns"][-1])
        self._tail = {name: values[-1:] for name, values in rows.items()}

    def _refuse(self, rows: Columns, known: int) -> None:
        found: list[Problem] = []
        for rule in self._rules():
            if rule.field not in rows:
                continue
            broken = rule.broken(rows)[known:]
            if self.restarts and rule.field in IDS.values():
                broken = broken & ~_restarts(rows)[known:]
            if broken.any():
                first = self.rows + int(np.argmax(broken))
                found.append(Problem(first, rule.field, rule.reason, rule.remedy, int(np.count_nonzero(broken))))
        if found:
            raise Unsound(min(found, key=lambda problem: problem.row))

    def _rules(self) -> tuple[Rule, ...]:
        if self.kind is not Kind.BARS or not self.interval_ns:
            return RULES[self.kind]
        step, seconds = self.interval_ns, self.interval_ns // SECOND_NS
        remedy = "Give the interval of the file with --interval."
        on_grid = Rule("at_ns", f"not on the grid of {seconds} s", remedy, lambda rows: rows["at_ns"] % step != 0)
        return (*RULES[self.kind], on_grid)

    def _note_holes(self, rows: Columns) -> None:
        at_ns = rows["at_ns"]
        missing, is_hole = _missing(self.kind, rows, self.interval_ns)
        if self.restarts:
            is_hole |= _restarts(rows)[1:]
            missing = np.where(_restarts(rows)[1:], 0, missing)
        places = np.flatnonzero(is_hole)
        self.hole_count += len(places)
        begin = self.interval_ns if self.kind is Kind.BARS else 0
        for place in places[: max(0, HOLES_KEPT - len(self.holes))].tolist():
            self.holes.append(Hole(int(at_ns[place]) + begin, int(at_ns[place + 1]), int(missing[place])))


def _restarts(rows: Columns) -> Flags:
    """Return where another segment of our own recording begins; the first row is none."""
    segments = rows.get("segment_ns")
    if segments is None:
        return np.zeros(len(rows["at_ns"]), dtype=bool)
    changes: Flags = np.diff(segments, prepend=segments[:1]) != 0
    return changes


def _missing(kind: Kind, rows: Columns, interval_ns: int) -> tuple[NDArray[np.int64], Flags]:
    """Return (n-1,) how many rows are missing after each row, 0 where unknown, and whether any are."""
    steps = np.diff(rows["at_ns"])
    if kind is Kind.BARS:
        missing = steps // max(1, interval_ns) - 1 if interval_ns else np.zeros_like(steps)
        return missing, missing > 0
    if kind is Kind.TRADES and "trade_id" in rows:
        missing = np.diff(rows["trade_id"]) - 1
        return missing, missing > 0
    if kind is Kind.L2DIFF:
        return np.zeros_like(steps), _diff_gap(rows)
    return np.zeros_like(steps), (steps > QUIET_NS) & (kind is Kind.TOPS)


def _diff_gap(rows: Columns) -> Flags:
    """Return where an update does not follow the one before.

    Source: the venue's rule for keeping a local book: `pu` equals the last `u` (futures), or `U` is `u` + 1 (spot).
    """
    final = rows["final_id"]
    is_new = final[1:] != final[:-1]
    follows = rows["prev_id"][1:] == final[:-1] if "prev_id" in rows else rows["first_id"][1:] <= final[:-1] + 1
    gaps: Flags = is_new & ~follows
    return gaps


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


def coarsest(units: NDArray[np.int64], scale: int) -> int:
    """Return how many decimals `units` (of 10**-scale) need: the power of ten that every one is a multiple of."""
    common = int(np.gcd.reduce(units)) if len(units) else 0
    while scale > 0 and common % 10 == 0:
        common //= 10
        scale -= 1
        if common == 0:
            return 0
    return scale
