"""The kernel with a queue: post-only orders that wait behind what stood at their price, and fill in parts."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trading.domain import depth as book
from trading.domain import kernel, stepping
from trading.domain.depth import Floats, Flow
from trading.domain.limits import ExecutionStyle
from trading.domain.queues import Queue
from trading.domain.scanning import compiled, inlined
from trading.domain.tapes import Ints, UnreadableTape
from trading.domain.terms import MAX_MONEY, Bounds, Fraction, Ladder, Terms, UnableToRun

EARLIEST_NS: Final = 1  # an order takes at least this long: it stands behind the event that caused it

ASSUMPTIONS: Final = (
    "An order is post-only and enters at the back of the queue: behind all that rests at its price when it arrives.",
    "A trade at its price takes from the queue ahead first; what is left over fills our order, in parts.",
    "A trade beyond its price, or an opposite best price at or beyond it, fills the rest of it.",
    "An order that would trade on arrival is refused, and sent again when the price has left its level.",
    "A slot answers when its order is filled to the last lot. Our orders take no liquidity from anybody else's.",
)


REFUSED: Final = stepping.BOOKS  # further places in `books`
OPENING: Final = stepping.BOOKS + 1
OUTGREW: Final = stepping.BOOKS + 2
NEXT, COUNT, SENT_BACK, LAST_BID, TOO_MUCH = range(5)  # places in `progress`
MODELS: Final = {Queue.RISK_AVERSE: book.BY_TRADES, Queue.LOG: book.BY_LOG, Queue.POWER: book.BY_POWER}


@dataclass(frozen=True, slots=True)
class QueueModel:
    """How queues move, and whether an order fills in parts."""

    queue: Queue = Queue.RISK_AVERSE
    power: float = 2.0
    lot_size: float = 1.0  # base currency; LOG depends on the unit
    partial: bool = True  # False: an order fills whole as soon as the queue ahead of it is gone


@dataclass(frozen=True, slots=True, eq=False)
class QueueOutcome:
    """What a run did; money as in `kernel.Outcome`."""

    fills: NDArray[np.void]  # kernel.FILL, parts of orders
    cash: int
    lots: int
    fees: int
    equity: int  # at the last best bid
    opening_equity: int
    max_drawdown: int
    max_drawdown_fraction: Fraction | None
    grid_profit: int
    turnover: int
    round_trips: int
    refused: int  # orders that would have traded on arrival
    scale: int

    @property
    def inventory_pnl(self) -> int:
        """What the run earned apart from complete round trips."""
        return self.equity - self.opening_equity - self.grid_profit


def run(flow: Flow, ladder: Ladder, terms: Terms, model: QueueModel = QueueModel()) -> QueueOutcome:  # frozen
    """Run `ladder` over a book and its trades; the first orders are sent when both sides of the book are known.

    Raises:
        UnableToRun: the style is TAKER, a drawdown gate is set, or an amount does not fit into 64 bits.
        UnreadableTape: the book is wider than `depth.WIDEST_BOOK`, or never has both sides.
    """
    if terms.style is ExecutionStyle.TAKER or terms.max_drawdown is not None:
        raise UnableToRun("style, max_drawdown: a queue holds MAKER orders and has no drawdown gate; leave both out.")
    kernel.check_opening(ladder, terms)
    low, width = book.span(flow, ladder.levels[0], ladder.levels[-1])
    _check_money(flow, ladder, terms)
    rules = kernel.rules_of(ladder, terms, Bounds())
    rules[stepping.SUBMIT_NS] = max(terms.submit_ns, EARLIEST_NS)
    # numpy hands out zeros page by page: a book of millions of ticks costs only those that are touched.
    depth, lines = np.zeros((2, width), np.int64), np.zeros(width, np.int64)
    lines[np.array(ladder.levels) - low] = np.arange(1, len(ladder.levels) + 1)
    found, books, mark = _walk(
        flow.at_ns, flow.kind, flow.ticks - low, flow.lots, low, depth, lines, np.array(ladder.levels, np.int64),
        np.array(ladder.lots, np.int64), kernel.OPENINGS[ladder.mode], terms.opening_cash, terms.opening_lots,
        terms.fee(terms.taker_fee), rules, model.partial, MODELS[model.queue], model.power, model.lot_size,
    )  # fmt: skip
    if mark < 0:
        raise UnreadableTape(f"{flow.symbol} depth: the book never had both sides; begin with a snapshot.")
    if books[OUTGREW]:
        raise UnableToRun("the sums of this run outgrow 64 bits; use a larger lot or tick, or fewer hours.")
    return _outcome(found, books, mark, terms)


def _check_money(flow: Flow, ladder: Ladder, terms: Terms) -> None:
    price = max(int(flow.ticks.max()), ladder.levels[-1])
    lots = sum(ladder.lots) + terms.opening_lots
    an_event = lots * price * (terms.scale + max(terms.fee(terms.maker_fee), terms.fee(terms.taker_fee)))
    if terms.opening_cash * terms.scale + 4 * an_event > MAX_MONEY:
        raise UnableToRun(f"{flow.symbol}: the amounts do not fit into 64 bits; use a larger lot or tick.")


def _outcome(fills: Ints, books: Ints, mark: int, terms: Terms) -> QueueOutcome:
    stepping.settle(books)
    cash, lots = int(books[stepping.CASH]), int(books[stepping.LOTS])
    worst = (int(books[stepping.WORST_FALL]), int(books[stepping.WORST_PEAK]))
    return QueueOutcome(
        fills=fills.view(kernel.FILL)[:, 0],
        cash=cash,
        lots=lots,
        fees=int(books[stepping.FEES]),
        equity=cash + lots * mark * terms.scale,
        opening_equity=int(books[OPENING]),
        max_drawdown=int(books[stepping.DRAWDOWN]),
        max_drawdown_fraction=worst if worst[1] else (0, 1) if books[stepping.PEAK] > 0 else None,
        grid_profit=int(books[stepping.GRID_PROFIT]),
        turnover=int(books[stepping.TURNOVER]),
        round_trips=int(books[stepping.ROUND_TRIPS]),
        refused=int(books[REFUSED]),
        scale=terms.scale,
    )


@njit(cache=True)
def _walk(
    at_ns: Ints, kind: Ints, at: Ints, lots: Ints, low: int, depth: Ints, lines: Ints, levels: Ints, slot_lots: Ints,
    mode: int, cash: int, inventory: int, taker_fee: int, rules: Ints, partial: bool, model: int,
    power: float, unit: float,
) -> tuple[Ints, Ints, int]:  # fmt: skip
    """Return fills, books (longer by three places) and the last best bid in ticks (-1: never two sides).

    Shapes:
        depth: (2, width) of zeros; lines: (width,) number of the level at each place, from 1 on, 0: none.
    """
    n = len(slot_lots)
    width, places = len(lines), levels - low
    left, queue = np.zeros((2, n + 1), np.int64), np.zeros((4, n + 1))
    tops = np.array([-1, width, -1, n + 1])
    hits = np.empty((2 * n + 2, book.HIT_COLUMNS), np.int64)
    fills = np.empty((max(1024, 4 * n + 4), stepping.FILL_COLUMNS), np.int64)
    first = 0
    while first < len(at_ns):
        book.happen(
            kind[first], at[first], lots[first], -1, partial, model, power, unit, places, depth, left, queue, tops, hits
        )
        is_whole = first + 1 == len(at_ns) or at_ns[first + 1] != at_ns[0]  # else the snapshot goes on
        if is_whole and tops[book.BEST_BID] >= 0 and tops[book.BEST_ASK] < width:
            break
        first += 1
    else:
        return fills[:0], np.zeros(stepping.BOOKS + 3, np.int64), -1
    bid, ask = tops[book.BEST_BID] + low, tops[book.BEST_ASK] + low
    books, slots, queues = stepping.open_grid(
        mode, at_ns[first], ask, bid, taker_fee, cash, inventory, levels, slot_lots, rules
    )
    opening = books[stepping.PEAK]
    _look(first, at_ns[first], bid, ask, levels, slot_lots, rules, slots, queues, books)
    stepping.value(books[stepping.CASH] + books[stepping.LOTS] * rules[stepping.SCALE] * bid, books)
    progress = np.array([first + 1, 0, 0, bid, 0])
    while progress[NEXT] < len(at_ns) and not progress[TOO_MUCH]:
        _carry(
            at_ns, kind, at, lots, low, depth, lines, levels, slot_lots, rules, partial, model, power, unit, places,
            left, queue, tops, hits, books, slots, queues, fills, progress,
        )  # fmt: skip
        if progress[COUNT] + len(hits) > len(fills):
            fills = np.concatenate((fills, np.empty_like(fills)))
    said = np.array([progress[SENT_BACK], opening, progress[TOO_MUCH]])
    return fills[: progress[COUNT]].copy(), np.append(books, said), progress[LAST_BID]


@compiled
def _carry(
    at_ns: Ints, kind: Ints, at: Ints, lots: Ints, low: int, depth: Ints, lines: Ints, levels: Ints, slot_lots: Ints,
    rules: Ints, partial: bool, model: int, power: float, unit: float, places: Ints, left: Ints, queue: Floats,
    tops: Ints, hits: Ints, books: Ints, slots: Ints, queues: Ints, fills: Ints, progress: Ints,
) -> None:  # fmt: skip
    """Go on through the events until they end, there is no more room in `fills`, or a sum grows too large."""
    width, mark, count = len(lines), progress[LAST_BID], progress[COUNT]
    due = stepping.next_due(rules, queues, books)
    i = progress[NEXT]
    while i < len(at_ns) and count + len(hits) <= len(fills):
        if at_ns[i] > due:
            progress[SENT_BACK] += _arrive(
                at_ns[i], slot_lots, places, rules, slots, queues, books, depth, left, queue, tops
            )
            due = stepping.next_due(rules, queues, books)
        hit = book.happen(
            kind[i], at[i], lots[i], lines[at[i]] - 1, partial, model, power, unit, places, depth, left, queue, tops,
            hits,
        )  # fmt: skip
        for k in range(hit):
            _book(i, at_ns[i], hits[k], levels, rules, slots, queues, books, fills[count])
            count += 1
        moved = armed = False
        if tops[book.BEST_BID] >= 0 and tops[book.BEST_ASK] < width:
            bid, ask = tops[book.BEST_BID] + low, tops[book.BEST_ASK] + low
            armed = _look(i, at_ns[i], bid, ask, levels, slot_lots, rules, slots, queues, books)
            moved = bid != mark
            mark = bid
        if hit or armed:
            due = stepping.next_due(rules, queues, books)
        i += 1
        if hit or moved:
            stepping.value(books[stepping.CASH] + books[stepping.LOTS] * rules[stepping.SCALE] * mark, books)
            if max(abs(books[stepping.CASH]), books[stepping.FEES], books[stepping.TURNOVER]) > MAX_MONEY // 2:
                progress[TOO_MUCH] = 1
                break
    progress[NEXT], progress[COUNT], progress[LAST_BID] = i, count, mark


@inlined
def _look(
    i: int, at_ns: int, bid: int, ask: int, levels: Ints, slot_lots: Ints, rules: Ints, slots: Ints, queues: Ints,
    books: Ints,
) -> bool:  # fmt: skip
    """Send the orders of the slots whose side the price is on; True where there were any."""
    next_buy, next_sell = books[stepping.NEXT_BUY], books[stepping.NEXT_SELL]
    waits = next_buy < len(slot_lots) and ask > levels[next_buy]
    if waits or (next_sell >= 0 and bid < levels[next_sell + 1]):
        stepping.arm(i, at_ns, ask, bid, levels, slot_lots, rules, slots, queues, books)
        return True
    return False


@compiled
def _arrive(
    before_ns: int, slot_lots: Ints, places: Ints, rules: Ints, slots: Ints, queues: Ints, books: Ints, depth: Ints,
    left: Ints, queue: Floats, tops: Ints,
) -> int:  # fmt: skip
    """Let every order enter its queue that arrives before `before_ns`; return how many were refused."""
    if books[stepping.PUT_OFF_LEN] and (books[stepping.DAY] + 1) * stepping.DAY_NS <= before_ns:
        stepping.take_up(rules, slots, queues, books)
    refused = 0
    for ring, head in ((stepping.REPLIES, stepping.REPLIES_HEAD), (stepping.OTHERS, stepping.OTHERS_HEAD)):
        while books[head + 1] and queues[ring + 1, books[head]] < before_ns:
            slot = queues[ring, books[head]]
            books[head] = (books[head] + 1) % slots.shape[1]
            books[head + 1] -= 1
            refused += _enter(slot, slot_lots[slot], places, slots, books, depth, left, queue, tops)
    return refused


@compiled
def _enter(
    slot: int, lots: int, places: Ints, slots: Ints, books: Ints, depth: Ints, left: Ints, queue: Floats, tops: Ints
) -> int:
    buys = slots[stepping.PHASE, slot] == stepping.BUY_SENT
    if book.place(0 if buys else 1, slot if buys else slot + 1, lots, places, depth, left, queue, tops):
        slots[stepping.PHASE, slot] = stepping.BUYING if buys else stepping.SELLING
        return 0
    if buys:  # wait until the price has been above the level again
        slots[stepping.PHASE, slot] = stepping.VIRTUAL_BUY
        books[stepping.NEXT_BUY] = min(books[stepping.NEXT_BUY], slot)
        books[stepping.COMMITTED] -= lots
    else:
        slots[stepping.PHASE, slot] = stepping.VIRTUAL_SELL
        books[stepping.NEXT_SELL] = max(books[stepping.NEXT_SELL], slot)
    return 1


@compiled
def _book(
    i: int, at_ns: int, hit: Ints, levels: Ints, rules: Ints, slots: Ints, queues: Ints, books: Ints, fill: Ints
) -> None:
    """Book a part of an order; a whole one is answered."""
    line, side, lots = hit[0], hit[1], hit[2]
    slot = line if side == 1 else line - 1
    notional = levels[line] * lots
    fee = notional * rules[stepping.FEE]
    paid = side * notional * rules[stepping.SCALE] + fee
    books[stepping.CASH] -= paid
    books[stepping.LOTS] += side * lots
    books[stepping.FEES] += fee
    books[stepping.TURNOVER] += notional
    slots[stepping.BASIS, slot] += paid
    fill[0], fill[1], fill[2], fill[3] = i, at_ns, slot, line
    fill[4], fill[5], fill[6] = side, levels[line], lots
    if hit[3]:
        return
    if (side == 1) == (rules[stepping.OPENS_WITH_SELL] == 1):
        books[stepping.GRID_PROFIT] -= slots[stepping.BASIS, slot]
        books[stepping.ROUND_TRIPS] += 1
        slots[stepping.BASIS, slot] = 0
    stepping.count_trade(at_ns, books)
    slots[stepping.PHASE, slot] = stepping.VIRTUAL_SELL if side == 1 else stepping.VIRTUAL_BUY
    delay = rules[stepping.REPORT_NS] + rules[stepping.SUBMIT_NS]
    stepping.send(slot, at_ns, rules, slots, queues, books, stepping.REPLIES, delay)
