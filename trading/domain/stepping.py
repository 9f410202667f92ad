"""The compiled loop: nothing to do between two touches, everything else when a touch or a due order comes."""

from typing import Final

import numpy as np
from numba import njit

from trading.domain.scanning import (
    NEVER_HIGH,
    NEVER_LOW,
    compiled,
    inlined,
    is_less,
    quiet,
    quiet_indexed,
    quiet_wide,
    ratio,
)
from trading.domain.tapes import Ints

DAY_NS: Final = 86_400_000_000_000

# What a slot is doing.
VIRTUAL_BUY: Final = 0  # empty; buys once the price has been above its level
BUY_SENT: Final = 1
BUYING: Final = 2
VIRTUAL_SELL: Final = 3  # holds; sells once the price has been below its upper level
SELL_SENT: Final = 4
SELLING: Final = 5
DENIED: Final = 6  # empty; the inventory gate refused its buy
BUY_PUT_OFF: Final = 7  # the day's trades are used up
SELL_PUT_OFF: Final = 8

# Rows of `slots`, (SLOT_ROWS, n): one column a slot.
PHASE: Final = 0
BASIS: Final = 1  # money that opened the round trip (bought for, or sold for), fee included
SLOT_ROWS: Final = 2

# Rows of `queues`, (QUEUE_ROWS, n): two rings of orders on their way, first in first out, and what was put off.
REPLIES: Final = 0  # rows 0, 1: slot and time of arrival; orders that answer a fill
OTHERS: Final = 2  # rows 2, 3: all other orders
PUT_OFF: Final = 4  # row 4: slots
QUEUE_ROWS: Final = 5

# Places in `books`.
CASH: Final = 0
LOTS: Final = 1
FEES: Final = 2
TURNOVER: Final = 3  # ticks x lots
GRID_PROFIT: Final = 4
ROUND_TRIPS: Final = 5
PEAK: Final = 6
TROUGH: Final = 7  # lowest equity since the peak
DRAWDOWN: Final = 8
WORST_FALL: Final = 9  # the drawdown that is deepest as a fraction of its peak ...
WORST_PEAK: Final = 10  # ... and that peak
DAY: Final = 11
TRADES_TODAY: Final = 12
TOP_BUY: Final = 13  # slot of the highest working buy, -1: none
LOW_SELL: Final = 14  # slot of the lowest working sell, n: none
NEXT_BUY: Final = 15  # lowest slot that waits for the price to have been above it, n: none
NEXT_SELL: Final = 16  # highest slot that waits for the price to have been below its sell, -1: none
REPLIES_HEAD: Final = 17
REPLIES_LEN: Final = 18
OTHERS_HEAD: Final = 19
OTHERS_LEN: Final = 20
PUT_OFF_LEN: Final = 21
COMMITTED: Final = 22  # lots held in slots and in buys sent: the worst case
FILLS: Final = 23
BOOKS: Final = 24

# Places in `rules`.
SCALE: Final = 0  # money units in a tick x lot
FEE: Final = 1  # money units of fee for each tick x lot traded
SUBMIT_NS: Final = 2
REPORT_NS: Final = 3
MAX_LOTS: Final = 4
MAX_TRADES: Final = 5
STOP_NUMERATOR: Final = 6
STOP_DENOMINATOR: Final = 7
LOW: Final = 8
HIGH: Final = 9
TAKER: Final = 10
OPENS_WITH_SELL: Final = 11
RULES: Final = 12

# How a grid opens.
NEUTRAL: Final = 0
LONG: Final = 1
SHORT: Final = 2

# Columns of `fills`, (capacity, FILL_COLUMNS).
FILL_COLUMNS: Final = 7  # event, at_ns, slot, line, side, ticks, lots

# Why the loop came back.
DONE: Final = 0
FULL: Final = 1  # `fills` may not hold the next event's
AT_LOW: Final = 2
AT_HIGH: Final = 3
STOPPED: Final = 4


@inlined
def _turn_day(at_ns: int, books: Ints) -> None:
    day = at_ns // DAY_NS
    if day > books[DAY]:
        books[DAY] = day
        books[TRADES_TODAY] = 0


@inlined
def count_trade(at_ns: int, books: Ints) -> None:
    """Count one order that filled."""
    _turn_day(at_ns, books)
    books[TRADES_TODAY] += 1
    books[FILLS] += 1


@inlined
def send(slot: int, at_ns: int, rules: Ints, slots: Ints, queues: Ints, books: Ints, ring: int, delay: int) -> None:
    """Send the order that `slot` wants, decided on at `at_ns`, or hold it back where a gate is shut."""
    buys = slots[PHASE, slot] == VIRTUAL_BUY
    _turn_day(at_ns, books)
    if books[TRADES_TODAY] >= rules[MAX_TRADES]:
        queues[PUT_OFF, books[PUT_OFF_LEN]] = slot
        books[PUT_OFF_LEN] += 1
        slots[PHASE, slot] = BUY_PUT_OFF if buys else SELL_PUT_OFF
        return
    if delay == 0:
        _work(slot, buys, slots, books)
    else:
        _dispatch(slot, at_ns + delay, buys, slots, queues, books, ring)


@inlined
def _dispatch(slot: int, arrives_ns: int, buys: bool, slots: Ints, queues: Ints, books: Ints, ring: int) -> None:
    slots[PHASE, slot] = BUY_SENT if buys else SELL_SENT
    head = REPLIES_HEAD if ring == REPLIES else OTHERS_HEAD
    place = books[head] + books[head + 1]
    if place >= slots.shape[1]:  # a division costs more than everything else here
        place -= slots.shape[1]
    queues[ring, place] = slot
    queues[ring + 1, place] = arrives_ns
    books[head + 1] += 1


@inlined
def _work(slot: int, buys: bool, slots: Ints, books: Ints) -> None:
    """The order of `slot` rests at the venue from now on."""
    if buys:
        slots[PHASE, slot] = BUYING
        books[TOP_BUY] = max(books[TOP_BUY], slot)
    else:
        slots[PHASE, slot] = SELLING
        books[LOW_SELL] = min(books[LOW_SELL], slot)


@inlined
def next_due(rules: Ints, queues: Ints, books: Ints) -> int:
    """Return the time after which something due changes what rests; NEVER_HIGH when nothing is under way."""
    due = NEVER_HIGH
    if books[REPLIES_LEN]:
        due = queues[REPLIES + 1, books[REPLIES_HEAD]]
    if books[OTHERS_LEN]:
        due = min(due, queues[OTHERS + 1, books[OTHERS_HEAD]])
    if books[PUT_OFF_LEN]:
        due = min(due, (books[DAY] + 1) * DAY_NS - 1)
    return due


@inlined
def _arrive(before_ns: int, rules: Ints, slots: Ints, queues: Ints, books: Ints) -> None:
    """Let every order rest that arrives before `before_ns`; send what was put off when its day has come."""
    if books[PUT_OFF_LEN] and (books[DAY] + 1) * DAY_NS <= before_ns:
        take_up(rules, slots, queues, books)
    _land(REPLIES, REPLIES_HEAD, before_ns, slots, queues, books)
    _land(OTHERS, OTHERS_HEAD, before_ns, slots, queues, books)


@inlined
def _land(ring: int, head: int, before_ns: int, slots: Ints, queues: Ints, books: Ints) -> None:
    while books[head + 1] and queues[ring + 1, books[head]] < before_ns:
        slot = queues[ring, books[head]]
        _work(slot, slots[PHASE, slot] == BUY_SENT, slots, books)
        books[head] = books[head] + 1 if books[head] + 1 < slots.shape[1] else 0
        books[head + 1] -= 1


@compiled
def take_up(rules: Ints, slots: Ints, queues: Ints, books: Ints) -> None:
    books[DAY] += 1
    books[TRADES_TODAY] = 0
    put_off, books[PUT_OFF_LEN] = books[PUT_OFF_LEN], 0
    # The last fills of the old day are known only `report_ns` after midnight.
    arrives_ns = books[DAY] * DAY_NS + rules[REPORT_NS] + rules[SUBMIT_NS]
    for k in range(put_off):
        slot = queues[PUT_OFF, k]
        buys = slots[PHASE, slot] == BUY_PUT_OFF
        _dispatch(slot, arrives_ns, buys, slots, queues, books, REPLIES)


@inlined
def arm(i: int, at_ns: int, down: int, up: int, levels: Ints, lots: Ints, rules: Ints, slots: Ints, queues: Ints,
        books: Ints) -> None:  # fmt: skip
    """Send the first order of every slot whose price has been on the right side of it."""
    first, n = books[NEXT_BUY], slots.shape[1]
    while books[NEXT_BUY] < n and down > levels[books[NEXT_BUY]]:
        books[NEXT_BUY] += 1
    for slot in range(books[NEXT_BUY] - 1, first - 1, -1):  # the nearest to the price gets the room that is left
        if slots[PHASE, slot] == VIRTUAL_BUY:
            if books[COMMITTED] + lots[slot] > rules[MAX_LOTS]:
                slots[PHASE, slot] = DENIED
                continue
            books[COMMITTED] += lots[slot]
            send(slot, at_ns, rules, slots, queues, books, OTHERS, rules[SUBMIT_NS])
    while books[NEXT_SELL] >= 0 and up < levels[books[NEXT_SELL] + 1]:
        slot = books[NEXT_SELL]
        books[NEXT_SELL] -= 1
        if slots[PHASE, slot] == VIRTUAL_SELL:
            send(slot, at_ns, rules, slots, queues, books, OTHERS, rules[SUBMIT_NS])


@inlined
def _fill(i: int, at_ns: int, slot: int, side: int, ticks: int, lots: int, rules: Ints, slots: Ints, queues: Ints,
          books: Ints, fills: Ints, count: int) -> None:  # fmt: skip
    """Book one execution and send the order that follows from it."""
    notional = ticks * lots
    fee = notional * rules[FEE]
    paid = side * notional * rules[SCALE] + fee  # money that leaves: negative for a sell
    books[CASH] -= paid
    books[LOTS] += side * lots
    books[FEES] += fee
    books[TURNOVER] += notional
    if (side == 1) == (rules[OPENS_WITH_SELL] == 1):
        books[GRID_PROFIT] -= paid + slots[BASIS, slot]
        books[ROUND_TRIPS] += 1
        slots[BASIS, slot] = 0
    else:
        slots[BASIS, slot] = paid
    count_trade(at_ns, books)
    fills[count, 0] = i
    fills[count, 1] = at_ns
    fills[count, 2] = slot
    fills[count, 3] = slot if side == 1 else slot + 1
    fills[count, 4] = side
    fills[count, 5] = ticks
    fills[count, 6] = lots
    slots[PHASE, slot] = VIRTUAL_SELL if side == 1 else VIRTUAL_BUY
    send(slot, at_ns, rules, slots, queues, books, REPLIES, rules[REPORT_NS] + rules[SUBMIT_NS])


@inlined
def _match(i: int, at_ns: int, down: int, up: int, levels: Ints, lots: Ints, rules: Ints, slots: Ints, queues: Ints,
           books: Ints, fills: Ints, count: int) -> int:  # fmt: skip
    """Fill what the event touches: buys from the highest, then sells from the lowest. Return the new count."""
    n = slots.shape[1]
    while books[TOP_BUY] >= 0 and levels[books[TOP_BUY]] >= down:
        slot = books[TOP_BUY]
        books[TOP_BUY] = _lower(slot - 1, slots)
        ticks = down if rules[TAKER] else levels[slot]
        _fill(i, at_ns, slot, 1, ticks, lots[slot], rules, slots, queues, books, fills, count)
        count += 1
    while books[LOW_SELL] < n and levels[books[LOW_SELL] + 1] <= up:
        slot = books[LOW_SELL]
        books[LOW_SELL] = _higher(slot + 1, slots)
        ticks = up if rules[TAKER] else levels[slot + 1]
        _fill(i, at_ns, slot, -1, ticks, lots[slot], rules, slots, queues, books, fills, count)
        count += 1
    return count


@inlined
def _lower(slot: int, slots: Ints) -> int:
    while slot >= 0 and slots[PHASE, slot] != BUYING:
        slot -= 1
    return slot


@inlined
def _higher(slot: int, slots: Ints) -> int:
    n = slots.shape[1]
    while slot < n and slots[PHASE, slot] != SELLING:
        slot += 1
    return slot


@compiled
def settle(books: Ints) -> None:
    """Measure the fall from the peak to the lowest equity since, before a new peak begins."""
    fall = books[PEAK] - books[TROUGH]
    books[DRAWDOWN] = max(books[DRAWDOWN], fall)
    if fall <= books[WORST_FALL] or books[PEAK] <= 0:  # peaks only rise: a smaller fall is a smaller fraction
        return
    if books[WORST_PEAK] == 0 or is_less(books[WORST_FALL], books[WORST_PEAK], fall, books[PEAK]):
        books[WORST_FALL] = fall
        books[WORST_PEAK] = books[PEAK]


@inlined
def value(equity: int, books: Ints) -> None:
    """Take one equity into peak and trough."""
    if equity > books[PEAK]:
        settle(books)
        books[PEAK] = books[TROUGH] = equity
    elif equity < books[TROUGH]:
        books[TROUGH] = equity


@compiled
def _stop_equity(rules: Ints, books: Ints) -> int:
    """Return the highest equity at which the drawdown gate stops; NEVER_LOW where there is none."""
    if rules[STOP_DENOMINATOR] == 0 or books[PEAK] <= 0:
        return NEVER_LOW
    whole, rest = books[PEAK] // rules[STOP_DENOMINATOR], books[PEAK] % rules[STOP_DENOMINATOR]
    allowed = whole * rules[STOP_NUMERATOR]
    allowed += (rest * rules[STOP_NUMERATOR] + rules[STOP_DENOMINATOR] - 1) // rules[STOP_DENOMINATOR]
    stop: int = books[PEAK] - allowed
    return stop


@inlined
def _edges(rules: Ints, books: Ints, stop_at: int) -> tuple[int, int]:
    """Return the marks at or beyond which the equity makes a peak or the run ends; they move with a fill or a peak."""
    low, high = rules[LOW], rules[HIGH]
    worth = books[LOTS] * rules[SCALE]
    if worth > 0:  # between two fills the equity is affine in the mark
        if stop_at != NEVER_LOW:
            low = max(low, ratio(stop_at - books[CASH], worth))
        high = min(high, ratio(books[PEAK] - books[CASH], worth) + 1)
    return low, high


@inlined
def _ahead(
    pad: int, at_ns: Ints, down: Ints, up: Ints, mark: Ints, small: Ints, large: Ints, i: int, stop: int, due: int,
    levels: Ints, books: Ints, m_low: int, m_high: int,
) -> tuple[int, int]:  # fmt: skip
    """Return the first event in [i, stop) that touches an order, arms a slot, makes a peak, ends the run or comes
    after `due`, else `stop`, and the lowest mark before it."""
    n = len(levels) - 1
    d_low = levels[books[TOP_BUY]] if books[TOP_BUY] >= 0 else NEVER_LOW
    d_high = levels[books[NEXT_BUY]] + 1 if books[NEXT_BUY] < n else NEVER_HIGH
    u_high = levels[books[LOW_SELL] + 1] if books[LOW_SELL] < n else NEVER_HIGH
    u_low = levels[books[NEXT_SELL] + 1] - 1 if books[NEXT_SELL] >= 0 else NEVER_LOW
    if pad < 0:
        return quiet_wide(at_ns, down, up, mark, i, stop, due, d_low, d_high, u_low, u_high, m_low, m_high)
    m_low, m_high = max(d_low - pad, u_low + pad, m_low), min(d_high - pad, u_high + pad, m_high)
    if large.shape[1]:
        return quiet_indexed(at_ns, mark, small, large, i, stop, due, m_low, m_high)
    return quiet(at_ns, mark, i, stop, due, m_low, m_high)


@compiled
def walk(
    pad: int, at_ns: Ints, down: Ints, up: Ints, mark: Ints, small: Ints, large: Ints, start: int, stop: int,
    levels: Ints, lots: Ints, rules: Ints, slots: Ints, queues: Ints, books: Ints, fills: Ints,
) -> tuple[int, int, int]:  # fmt: skip
    """Carry the grid over the events [start, stop); return (next event, why, fills written).

    Shapes:
        pad: down = mark + pad and up = mark - pad where it is not negative.
        at_ns, down, up, mark: (m,); levels: (n + 1,); lots: (n,); rules: (RULES,).
        small, large: skip index of the marks, or NO_INDEX.
        slots: (SLOT_ROWS, n), queues: (QUEUE_ROWS, n), books: (BOOKS,): changed in place.
        fills: (capacity >= 2 n, FILL_COLUMNS), written from the top.
    """
    n = slots.shape[1]
    count = 0
    i = start
    stop_at = _stop_equity(rules, books)
    m_low, m_high = _edges(rules, books, stop_at)
    while i < stop:
        if count + 2 * n > len(fills):
            return i, FULL, count
        due = next_due(rules, queues, books)
        i, lowest = _ahead(pad, at_ns, down, up, mark, small, large, i, stop, due, levels, books, m_low, m_high)
        if lowest < NEVER_HIGH:
            books[TROUGH] = min(books[TROUGH], books[CASH] + books[LOTS] * rules[SCALE] * lowest)
        if i == stop:
            break
        if at_ns[i] > due:
            _arrive(at_ns[i], rules, slots, queues, books)
            continue
        d, u, m = down[i], up[i], mark[i]
        count = _match(i, at_ns[i], d, u, levels, lots, rules, slots, queues, books, fills, count)
        arm(i, at_ns[i], d, u, levels, lots, rules, slots, queues, books)
        equity = books[CASH] + books[LOTS] * rules[SCALE] * m
        peak = books[PEAK]
        value(equity, books)
        if books[PEAK] != peak:
            stop_at = _stop_equity(rules, books)
        m_low, m_high = _edges(rules, books, stop_at)
        i += 1
        if equity <= stop_at:
            return i, STOPPED, count
        if m <= rules[LOW]:
            return i, AT_LOW, count
        if m >= rules[HIGH]:
            return i, AT_HIGH, count
    return i, DONE, count


@njit(cache=True)
def no_books(slots: int) -> tuple[Ints, Ints, Ints]:
    """Return books, slots and queues of a ladder on which nothing has happened yet."""
    books = np.zeros(BOOKS, np.int64)
    books[TOP_BUY], books[LOW_SELL] = -1, slots
    books[NEXT_BUY], books[NEXT_SELL] = slots, -1
    return books, np.zeros((SLOT_ROWS, slots), np.int64), np.zeros((QUEUE_ROWS, slots), np.int64)


@njit(cache=True)
def wait_for_price(books: Ints) -> None:
    """Let every slot wait for the price that allows its first order."""
    books[NEXT_BUY], books[NEXT_SELL] = 0, books[LOW_SELL] - 1
    books[COMMITTED] = books[LOTS]


@njit(cache=True)
def pay(notional: int, lots: int, fee: int, rules: Ints, books: Ints) -> None:
    """Book one trade outside of the slots; what is sold has a negative notional and lots."""
    fee *= abs(notional)
    books[CASH] -= notional * rules[SCALE] + fee
    books[LOTS] += lots
    books[FEES] += fee
    books[TURNOVER] += abs(notional)


@njit(cache=True)
def open_grid(
    mode: int, at_ns: int, price: int, mark: int, taker_fee: int, cash: int, inventory: int, levels: Ints, lots: Ints,
    rules: Ints,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Return books, slots and queues of a grid that opens now: what it holds, before its first order is sent."""
    n = len(lots)
    books, slots, queues = no_books(n)
    books[CASH], books[LOTS] = cash * rules[SCALE], inventory
    books[PEAK] = books[TROUGH] = (cash + inventory * mark) * rules[SCALE]
    books[DAY] = at_ns // DAY_NS
    first = 0 if mode == SHORT else n
    if mode == NEUTRAL:
        first = int(np.argmin(np.abs(levels - mark)))  # the lower one of two that are equally near
        held = lots[first:].sum()
        pay(price * held, held, taker_fee, rules, books)
        slots[BASIS, first:] = price * lots[first:] * (rules[SCALE] + taker_fee)
    slots[PHASE, first:] = VIRTUAL_SELL
    wait_for_price(books)
    return books, slots, queues
