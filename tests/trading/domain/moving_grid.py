"""A grid that follows the price, as hftbacktest's notebook has it, on our venue: the strategy of one reference result.

Every 100 ms, as seen with the delay of the feed: ten buys and ten sells on multiples of the interval around the mid;
what stands elsewhere is cancelled. Orders take 10 ms each way. Only tests need it: a slot ladder does not move.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numba import njit

from trading.domain import depth as book
from trading.domain.depth import Floats
from trading.domain.tapes import Ints

STEP_NS, LATENCY_NS = 100_000_000, 10_000_000
INTERVAL, HALF_SPREAD, LEVELS, MOST_ORDERS = 10, 20, 10, 50
UNIT = 0.001  # quantity of a lot


@njit(cache=True)
def advance(
    i: int, until_ns: int, at_ns: Ints, kind: Ints, at: Ints, lots: Ints, lines: Ints, model: int, places: Ints,
    depth: Ints, left: Ints, queue: Floats, tops: Ints, hits: Ints,
) -> tuple[int, int]:  # fmt: skip
    """Carry out events up to `until_ns`, or up to the first that hits an order; return (next event, hits)."""
    while i < len(at_ns) and at_ns[i] <= until_ns:
        hit = book.happen(
            kind[i], at[i], lots[i], lines[at[i]], False, model, 2.0, UNIT, places, depth, left, queue, tops, hits
        )
        i += 1
        if hit:
            return i, hit
    return i, 0


class Book:
    """One side of the wire: the venue with our orders, or what we have seen of it."""

    def __init__(self, at_ns: Ints, kind: Ints, at: Ints, lots: Ints, width: int, model: int) -> None:
        order = np.argsort(at_ns, kind="stable")
        self.at_ns, self.kind, self.at, self.lots = at_ns[order], kind[order], at[order], lots[order]
        self.places = np.arange(0, width, INTERVAL)
        self.lines = np.full(width, -1)
        self.lines[self.places] = np.arange(len(self.places))
        self.model = model
        n = len(self.places)
        self.left, self.tops = np.zeros((2, n), np.int64), np.array([-1, width, -1, n])
        self.depth, self.queue = np.zeros((2, width), np.int64), np.zeros((4, n))
        self.hits = np.empty((2 * n + 2, book.HIT_COLUMNS), np.int64)
        self.next = 0

    def to(self, until_ns: int) -> list[tuple[int, int, int, int]]:
        """Return (time, place, side, lots) of what was filled."""
        found = []
        hit = 1
        while hit:
            self.next, hit = advance(
                self.next, until_ns, self.at_ns, self.kind, self.at, self.lots, self.lines, self.model, self.places,
                self.depth, self.left, self.queue, self.tops, self.hits,
            )  # fmt: skip
            at_ns = int(self.at_ns[self.next - 1])
            found += [(at_ns, int(self.places[h[0]]), int(h[1]), int(h[2])) for h in self.hits[:hit]]
        return found


@dataclass
class MovingGrid:
    """Runs the strategy; `trades`, `position` (lots) and `value` (ticks x lots) are its result."""

    venue: Book
    seen: Book
    lots: int
    low: int  # ticks at place 0
    in_floats: bool = False  # the limit is held against a sum of floats, as hftbacktest does
    steps: int = 0
    trades: int = 0
    position: int = 0
    value: int = 0
    known: int = 0
    summed: float = 0.0
    orders: dict[int, tuple[int, bool]] = field(default_factory=dict)  # place -> (side, acknowledged)
    reports: list[tuple[int, str, int, int, int]] = field(default_factory=list)

    def run(self, start_ns: int, end_ns: int) -> "MovingGrid":
        wanted: list[tuple[bool, int, int]] = []
        for before, now in pairwise(range(start_ns, end_ns + 1, STEP_NS)):
            self.fill(before + LATENCY_NS)
            for is_new, side, place in wanted:
                self.receive(is_new, side, place, before + 2 * LATENCY_NS)
            self.fill(now)
            self.learn(now)
            self.seen.to(now)
            wanted = self.decide()
            self.steps += 1
        return self

    def fill(self, until_ns: int) -> None:
        for at_ns, place, side, lots in self.venue.to(until_ns):
            self.trades += 1
            self.position += side * lots
            self.value += (place + self.low) * lots
            self.reports.append((at_ns + LATENCY_NS, "filled", place, side, lots))

    def receive(self, is_new: bool, side: int, place: int, known_ns: int) -> None:
        venue, line, row = self.venue, int(self.venue.lines[place]), 0 if side > 0 else 1
        if is_new:
            rests = book.place(row, line, self.lots, venue.places, venue.depth, venue.left, venue.queue, venue.tops)
            self.reports.append((known_ns, "rests" if rests else "expired", place, side, 0))
        elif book.withdraw(row, line, venue.left, venue.tops):
            self.reports.append((known_ns, "cancelled", place, side, 0))

    def learn(self, now: int) -> None:
        self.reports.sort(key=lambda report: report[0])
        while self.reports and self.reports[0][0] <= now:
            _, what, place, side, lots = self.reports.pop(0)
            self.known += side * lots
            self.summed += side * lots * UNIT
            if what == "rests":
                self.orders[place] = (side, True)
            else:
                self.orders.pop(place, None)

    def decide(self) -> list[tuple[bool, int, int]]:
        bid, ask = int(self.seen.tops[book.BEST_BID]), int(self.seen.tops[book.BEST_ASK])
        if bid < 0 or ask >= len(self.seen.lines):
            return []
        mid = (bid + ask) / 2 + self.low
        first_buy = int((mid - HALF_SPREAD) // INTERVAL) * INTERVAL - self.low
        first_sell = -int(-(mid + HALF_SPREAD) // INTERVAL) * INTERVAL - self.low
        whole = MOST_ORDERS * self.lots
        held, most = (self.summed, whole * UNIT) if self.in_floats else (float(self.known), float(whole))
        buys = [first_buy - INTERVAL * k for k in range(LEVELS)] if held < most else []
        sells = [first_sell + INTERVAL * k for k in range(LEVELS)] if held > -most else []
        stale = [(False, side, place) for place, (side, rests) in self.orders.items()
                 if rests and place not in (buys if side > 0 else sells)]  # fmt: skip
        fresh = [(True, 1, place) for place in buys if place not in self.orders]
        fresh += [(True, -1, place) for place in sells if place not in self.orders]
        self.orders.update({place: (side, False) for _, side, place in stale + fresh})
        return stale + fresh
