"""What must hold of the rows of market history before anything is computed from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.history import IDS, QUIET_NS, SECOND_NS, Hole, Kind, Problem, Unsound

Columns = Mapping[str, NDArray[np.int64]]
Flags = NDArray[np.bool_]

HOLES_KEPT: Final = 1_000  # of one day; more are counted only


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that holds of every row; `broken` tells where it does not."""

    field: str
    reason: str
    remedy: str
    broken: Callable[[Columns], Flags]


_SORT = "Sort the file by time and give each row once."
_CORRECT = "Correct the row at its source, or leave the file out."


def _against_last(name: str, compare: np.ufunc) -> Callable[[Columns], Flags]:
    """Compare each value with the one before; the first has none."""

    def compared(rows: Columns) -> Flags:
        values = rows[name]
        flags = np.zeros(len(values), dtype=bool)
        compare(values[1:], values[:-1], out=flags[1:])
        return flags

    return compared


def _falls(name: str, reason: str) -> Rule:
    return Rule(name, reason, _SORT, _against_last(name, np.less))


def _repeats(name: str, reason: str) -> Rule:
    return Rule(name, reason, _SORT, _against_last(name, np.equal))


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
    restarts: bool = False  # ids and clock may start anew where `segment_ns` changes: our own recording
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
        if self._tail:
            joint = {name: np.concatenate([self._tail[name], values[:1]]) for name, values in rows.items()}
            self._refuse(joint, 1)
            self._note_holes(joint)
        self._refuse(rows, 0)
        self._note_holes(rows)
        if not self.rows:
            self.first_ns = int(rows["at_ns"][0])
        self.rows += count
        self.last_ns = int(rows["at_ns"][-1])
        self._tail = {name: values[-1:] for name, values in rows.items()}

    def _refuse(self, rows: Columns, known: int) -> None:
        """Refuse rows that break a rule; the first `known` of them were checked before."""
        found: list[Problem] = []
        for rule in self._rules():
            broken = rule.broken(rows)[known:]
            if self.restarts and rule.field in (IDS.get(self.kind), "at_ns"):
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
        if not self.restarts and _is_complete(self.kind, rows, self.interval_ns):
            return
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


def _is_complete(kind: Kind, rows: Columns, interval_ns: int) -> bool:
    """Return whether first and last row alone show that none is missing; what is checked before rises."""
    if kind is Kind.TRADES:
        ids = rows["trade_id"]
        return int(ids[-1] - ids[0]) == len(ids) - 1
    at_ns = rows["at_ns"]
    return kind is Kind.BARS and int(at_ns[-1] - at_ns[0]) == (len(at_ns) - 1) * interval_ns


def _missing(kind: Kind, rows: Columns, interval_ns: int) -> tuple[NDArray[np.int64], Flags]:
    """Return (n-1,) how many rows are missing after each row, 0 where unknown, and whether any are."""
    steps = np.diff(rows["at_ns"])
    if kind is Kind.BARS:
        missing = steps // max(1, interval_ns) - 1 if interval_ns else np.zeros_like(steps)
        return missing, missing > 0
    if kind is Kind.TRADES:
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


def coarsest(units: NDArray[np.int64], scale: int) -> int:
    """Return how many decimals `units` (of 10**-scale) need: the power of ten that every one is a multiple of."""
    common = int(np.gcd.reduce(units)) if len(units) else 0
    while scale > 0 and common % 10 == 0:
        common //= 10
        scale -= 1
        if common == 0:
            return 0
    return scale
