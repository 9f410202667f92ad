"""A venue's book out of its messages, and our orders in its queues: the compiled part of the queue model."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.scanning import compiled, inlined
from trading.domain.tapes import Ints, Tape, UnreadableTape, of_tops

Floats = NDArray[np.float64]

# Kinds of events; sides of the book.
BID: Final = 0  # the quantity at a bid is now `lots`
ASK: Final = 1
BOUGHT: Final = 2  # a buyer took `lots`
SOLD: Final = 3  # a seller gave `lots`

# How a queue ahead of ours shrinks when the quantity at its price does.
BY_TRADES: Final = 0  # only by trades; never longer than what is left at the price
BY_LOG: Final = 1  # and by a share of each cancellation, f(x) = log(1 + x)
BY_POWER: Final = 2  # the same, f(x) = x ** power

# Places in `tops`.
BEST_BID: Final = 0  # place in the book, -1: none
BEST_ASK: Final = 1  # place in the book, width: none
TOP_BUY: Final = 2  # line of our highest buy, -1: none
LOW_SELL: Final = 3  # line of our lowest sell, number of lines: none
TOPS: Final = 4

WIDEST_BOOK: Final = 20_000_000  # ticks between the lowest and the highest price of a recording

# Columns of `hits`.
HIT_COLUMNS: Final = 4  # line, side (+1 buy, -1 sell), lots, lots left


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Changes of a book and trades in the order of the venue.

    Shapes:
        at_ns, kind, ticks, lots: (n,); the first events are the snapshot.
    """

    symbol: str
    at_ns: Ints
    kind: Ints
    ticks: Ints
    lots: Ints

    def __len__(self) -> int:
        return len(self.at_ns)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A book as the venue gave it once: (m,) side (+1 bid, -1 ask), ticks, lots."""

    last_update_id: int
    side: Ints
    ticks: Ints
    lots: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Depth messages, a row for each changed level: (m,) each; lots 0 removes a level."""

    at_ns: Ints
    first_id: Ints
    final_id: Ints
    side: Ints
    ticks: Ints
    lots: Ints
    prev_id: Ints | None = None  # futures


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Trades: (m,) each; `sold` is True where the buyer was the maker."""

    at_ns: Ints
    ticks: Ints
    lots: Ints
    sold: NDArray[np.bool_]


def of_messages(symbol: str, snapshot: Snapshot, changes: Changes, prints: Prints) -> Flow:
    """Return the flow that Binance's rule makes of a snapshot and the messages around it.

    Messages that end at or before the snapshot are dropped; the first one kept must reach back to it, and each must
    follow on the one before. Trades before the first message kept are dropped; at one time trades come before the
    changes that show them.

    Raises:
        UnreadableTape: no message reaches the snapshot, or one is missing.
    """
    kept = changes.final_id > snapshot.last_update_id
    if not kept.any():
        raise UnreadableTape(f"{symbol} depth: every message is older than the snapshot; record both together.")
    _check_sequence(symbol, snapshot.last_update_id, changes, int(np.argmax(kept)))
    start_ns = int(changes.at_ns[kept][0])
    later = prints.at_ns >= start_ns
    parts = (
        (np.full(len(snapshot.side), start_ns), np.where(snapshot.side > 0, BID, ASK), snapshot.ticks, snapshot.lots),
        (prints.at_ns[later], np.where(prints.sold[later], SOLD, BOUGHT), prints.ticks[later], prints.lots[later]),
        (changes.at_ns[kept], np.where(changes.side[kept] > 0, BID, ASK), changes.ticks[kept], changes.lots[kept]),
    )
    columns = [np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Flow(symbol, *(np.ascontiguousarray(column[order]) for column in columns))


def _check_sequence(symbol: str, last_id: int, changes: Changes, first: int) -> None:
    reaches = changes.first_id[first] <= last_id + 1
    if changes.prev_id is not None:
        reaches = reaches or changes.prev_id[first] == last_id
    if not reaches:
        raise UnreadableTape(f"{symbol} depth: message {first} begins after the snapshot; take a later snapshot.")
    final = changes.final_id[first:]
    before = changes.first_id[first:] - 1 if changes.prev_id is None else changes.prev_id[first:]
    follows = (before[1:] == final[:-1]) | (final[1:] == final[:-1])  # rows of one message share their ids
    if not follows.all():
        row = first + 1 + int(np.argmin(follows))
        raise UnreadableTape(f"{symbol} depth: a message is missing before row {row}; split the recording there.")


def span(flow: Flow, lowest: int, highest: int) -> tuple[int, int]:
    """Return the tick of the first place, and the number of places, of a book that holds `flow` and both ticks.

    Raises:
        UnreadableTape: it is wider than `WIDEST_BOOK`.
    """
    low = min(int(flow.ticks.min()), lowest) - 1
    width = max(int(flow.ticks.max()), highest) + 2 - low
    if width > WIDEST_BOOK:
        raise UnreadableTape(f"{flow.symbol} depth: it spans {width} ticks; leave out prices far from the market.")
    return low, width


def tops_of(flow: Flow) -> tuple[int, Tape]:
    """Return the first event at which the book is whole, and the best bid and ask after it and each later event.

    Where a side is empty for a while, both stay what they were.

    Raises:
        UnreadableTape: the book is too wide, or never has both sides.
    """
    low, width = span(flow, int(flow.ticks[0]), int(flow.ticks[0]))
    depth, tops, best = np.zeros((2, width), np.int64), np.array([-1, width]), np.empty((2, len(flow)), np.int64)
    first = int(_best(flow.at_ns, flow.kind, flow.ticks - low, flow.lots, depth, tops, best))
    if first < 0:
        raise UnreadableTape(f"{flow.symbol} depth: the book never had both sides; begin with a snapshot.")
    bid, ask = best[:, first:] + low
    return first, of_tops(flow.symbol, flow.at_ns[first:], bid, ask)


@compiled
def _best(at_ns: Ints, kind: Ints, at: Ints, lots: Ints, depth: Ints, tops: Ints, best: Ints) -> int:
    """Write the best places after each event from the first on at which the book is whole; return it, -1: none."""
    width, last, first = depth.shape[1], len(at_ns) - 1, -1
    for i in range(len(at_ns)):
        if kind[i] < BOUGHT:
            depth[kind[i], at[i]] = lots[i]
            _show(kind[i], at[i], lots[i], depth, tops)
        is_whole = tops[BEST_BID] >= 0 and tops[BEST_ASK] < width
        if first < 0 and is_whole and (i == last or at_ns[i + 1] != at_ns[0]):  # else the snapshot goes on
            first = i
        if first >= 0:
            best[0, i] = tops[BEST_BID] if is_whole else best[0, i - 1]
            best[1, i] = tops[BEST_ASK] if is_whole else best[1, i - 1]
    return first


@inlined
def move_up(ahead: float, traded: float, before: float, now: float, model: int, power: float, unit: float) -> float:
    """Return the quantity ahead of our order after the quantity at its price went from `before` to `now`.

    What was traded since the last change is in the change already. The rest of a decrease came from cancellations,
    before or behind us with the probability that the model gives.

    Shapes:
        ahead, traded, before, now: lots; unit: quantity of a lot, for `BY_LOG`.

    Source:
        Probability models of hftbacktest (models/queue.rs); E. Rigtorp (2013), "Estimating order queue position".
    """
    if model == BY_TRADES:
        return min(ahead, now)
    decrease = before - now - traded
    if decrease < 0.0:
        return min(ahead, now)
    behind = before - ahead
    if model == BY_LOG:
        f_ahead, f_behind = np.log(1.0 + ahead * unit), np.log(1.0 + behind * unit)
    else:
        f_ahead, f_behind = ahead**power, behind**power
    share = f_behind / (f_behind + f_ahead) if f_behind + f_ahead != 0.0 else 1.0
    estimate = ahead - (1.0 - share) * decrease + min(behind - share * decrease, 0.0)
    return now if np.isnan(estimate) else min(estimate, now)


@compiled
def lower_buy(line: int, left: Ints) -> int:
    """Return the highest line at or below `line` with a buy of ours, -1: none."""
    while line >= 0 and left[0, line] == 0:
        line -= 1
    return line


@compiled
def higher_sell(line: int, left: Ints) -> int:
    """Return the lowest line at or above `line` with a sell of ours, number of lines: none."""
    while line < left.shape[1] and left[1, line] == 0:
        line += 1
    return line


@compiled
def place(side: int, line: int, lots: int, places: Ints, depth: Ints, left: Ints, queue: Floats, tops: Ints) -> bool:
    """Let a post-only order enter at the back of its queue; False where it would trade at once.

    Shapes:
        side: 0 buy, 1 sell. places: (lines,) where in the book each line lies. depth: (2, width) lots.
        left: (2, lines) what is left of our orders. queue: (4, lines) ahead and traded since, of buys, then of sells.
    """
    at = places[line]
    if (side == 0 and at >= tops[BEST_ASK]) or (side == 1 and at <= tops[BEST_BID]):
        return False
    left[side, line] = lots
    queue[2 * side, line] = depth[side, at]
    queue[2 * side + 1, line] = 0.0
    if side == 0:
        tops[TOP_BUY] = max(tops[TOP_BUY], line)
    else:
        tops[LOW_SELL] = min(tops[LOW_SELL], line)
    return True


@compiled
def withdraw(side: int, line: int, left: Ints, tops: Ints) -> int:
    """Cancel our order of a line; return what was left of it."""
    lots = left[side, line]
    left[side, line] = 0
    tops[TOP_BUY] = lower_buy(tops[TOP_BUY], left)
    tops[LOW_SELL] = higher_sell(tops[LOW_SELL], left)
    return int(lots)


@compiled
def _hit(side: int, line: int, lots: int, left: Ints, tops: Ints, hits: Ints, count: int) -> int:
    left[side, line] -= lots
    if side == 0:
        tops[TOP_BUY] = lower_buy(tops[TOP_BUY], left)
    else:
        tops[LOW_SELL] = higher_sell(tops[LOW_SELL], left)
    hits[count, 0] = line
    hits[count, 1] = 1 if side == 0 else -1
    hits[count, 2] = lots
    hits[count, 3] = left[side, line]
    return count + 1


@inlined
def happen(
    kind: int, at: int, lots: int, line_at: int, partial: bool, model: int, power: float, unit: float, places: Ints,
    depth: Ints, left: Ints, queue: Floats, tops: Ints, hits: Ints,
) -> int:  # fmt: skip
    """Carry out one event; return how many of our orders it hit, written to `hits` (2 x lines, HIT_COLUMNS).

    A change of the book moves us up in our queue by the model; a best price at or beyond our limit fills us. A trade
    beyond our price fills us; one at our price fills what it leaves over after the queue ahead of us.

    Shapes:
        at: place in the book; line_at: line that lies there, -1: none.
    """
    side = kind % 2
    if kind < BOUGHT:
        before = depth[side, at]
        depth[side, at] = lots
        if line_at >= 0 and left[side, line_at] > 0:
            ahead = move_up(queue[2 * side, line_at], queue[2 * side + 1, line_at], before, lots, model, power, unit)
            queue[2 * side, line_at], queue[2 * side + 1, line_at] = ahead, 0.0
        _show(side, at, lots, depth, tops)
        return _cross(side, places, left, tops, hits)
    return _print(1 if kind == BOUGHT else 0, at, lots, line_at, partial, places, left, queue, tops, hits)


@inlined
def _show(side: int, at: int, lots: int, depth: Ints, tops: Ints) -> None:
    """Bring the best prices up to date; a best price that crosses the other one has consumed it."""
    width = depth.shape[1]
    if side == 0:
        if lots == 0 and at == tops[BEST_BID]:
            while tops[BEST_BID] >= 0 and depth[0, tops[BEST_BID]] == 0:
                tops[BEST_BID] -= 1
        elif lots > 0 and at > tops[BEST_BID]:
            tops[BEST_BID] = at
            if at >= tops[BEST_ASK]:
                tops[BEST_ASK] = at + 1
                while tops[BEST_ASK] < width and depth[1, tops[BEST_ASK]] == 0:
                    tops[BEST_ASK] += 1
    elif lots == 0 and at == tops[BEST_ASK]:
        while tops[BEST_ASK] < width and depth[1, tops[BEST_ASK]] == 0:
            tops[BEST_ASK] += 1
    elif lots > 0 and at < tops[BEST_ASK]:
        tops[BEST_ASK] = at
        if at <= tops[BEST_BID]:
            tops[BEST_BID] = at - 1
            while tops[BEST_BID] >= 0 and depth[0, tops[BEST_BID]] == 0:
                tops[BEST_BID] -= 1


@inlined
def _cross(side: int, places: Ints, left: Ints, tops: Ints, hits: Ints) -> int:
    """Fill what the best price of `side` has reached on the other one."""
    count = 0
    if side == 0:
        while tops[LOW_SELL] < len(places) and places[tops[LOW_SELL]] <= tops[BEST_BID]:
            line = tops[LOW_SELL]
            count = _hit(1, line, left[1, line], left, tops, hits, count)
    else:
        while tops[TOP_BUY] >= 0 and places[tops[TOP_BUY]] >= tops[BEST_ASK]:
            line = tops[TOP_BUY]
            count = _hit(0, line, left[0, line], left, tops, hits, count)
    return count


@inlined
def _print(
    side: int, at: int, lots: int, line_at: int, partial: bool, places: Ints, left: Ints, queue: Floats, tops: Ints,
    hits: Ints,
) -> int:  # fmt: skip
    """Fill our orders of `side` by a trade of `lots` at a place."""
    count = 0
    if side == 0:
        while tops[TOP_BUY] >= 0 and places[tops[TOP_BUY]] > at:
            line = tops[TOP_BUY]
            count = _hit(0, line, left[0, line], left, tops, hits, count)
    else:
        while tops[LOW_SELL] < len(places) and places[tops[LOW_SELL]] < at:
            line = tops[LOW_SELL]
            count = _hit(1, line, left[1, line], left, tops, hits, count)
    if line_at < 0 or left[side, line_at] == 0:
        return count
    queue[2 * side, line_at] -= lots
    queue[2 * side + 1, line_at] += lots
    over = int(np.floor(-queue[2 * side, line_at]))
    if over <= 0:
        return count
    filled = min(over, left[side, line_at]) if partial else left[side, line_at]
    queue[2 * side, line_at] = 0.0
    return _hit(side, line_at, filled, left, tops, hits, count)
