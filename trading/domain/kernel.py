"""The kernel: one static ladder over a tape, in exact integers, from one bound to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain import stepping
from trading.domain.limits import ExecutionStyle
from trading.domain.scanning import NEVER_HIGH, NEVER_LOW, NO_INDEX
from trading.domain.tapes import Ints, Tape
from trading.domain.terms import MAX_MONEY, Bounds, Fraction, Ladder, Mode, Terms, UnableToRun

__all__ = [
    "FILL", "Bounds", "Ended", "Fraction", "Ladder", "Mode", "Outcome", "Side", "State", "Terms", "UnableToRun",
    "opened", "relaid", "run", "traded",
]  # fmt: skip

CHUNK: Final = 16_384  # fills the loop writes before it comes back
GROWTH: Final = 8  # times the room for fills when it is used up

FILL: Final = np.dtype([(name, np.int64) for name in ("event", "at_ns", "slot", "line", "side", "ticks", "lots")])
OPENINGS: Final = {Mode.NEUTRAL: stepping.NEUTRAL, Mode.LONG: stepping.LONG, Mode.SHORT: stepping.SHORT}


class Side(StrEnum):
    """Side of a fill in words; in the log +1 and -1."""

    BUY = "BUY"
    SELL = "SELL"


class Ended(StrEnum):
    """Why a run ended."""

    TAPE = "the tape ended"
    LOW = "the price reached the lower bound"
    HIGH = "the price reached the upper bound"
    TIME = "the time was up"
    DRAWDOWN = "the drawdown reached its limit"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything a run hands to the next one; never changed in place."""

    ladder: Ladder
    scale: int
    opening_equity: int  # money, before anything was bought
    books: Ints
    slots: Ints
    queues: Ints

    @property
    def cash(self) -> int:
        """Money."""
        return int(self.books[stepping.CASH])

    @property
    def lots(self) -> int:
        """Inventory."""
        return int(self.books[stepping.LOTS])

    @property
    def phases(self) -> tuple[int, ...]:
        """What each slot is doing, see `stepping`."""
        return tuple(int(phase) for phase in self.slots[stepping.PHASE])

    @property
    def held(self) -> tuple[bool, ...]:
        """Which slots hold their lots."""
        holding = (stepping.VIRTUAL_SELL, stepping.SELL_SENT, stepping.SELLING, stepping.SELL_PUT_OFF)
        return tuple(phase in holding for phase in self.phases)

    @property
    def denied(self) -> tuple[int, ...]:
        """Slots whose buy the inventory gate refused."""
        return tuple(slot for slot, phase in enumerate(self.phases) if phase == stepping.DENIED)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a run did. Money is in units of tick x lot / `scale`; sums are those of all runs behind `state`."""

    fills: NDArray[np.void]  # FILL, of this run
    cash: int
    lots: int
    fees: int
    equity: int  # at the mark of the last event
    opening_equity: int
    max_drawdown: int
    max_drawdown_fraction: Fraction | None  # (fall, peak) of the deepest relative to its peak; None: no peak above zero
    grid_profit: int  # of matched round trips, after both fees
    turnover: int  # ticks x lots
    round_trips: int
    ended: Ended
    ended_at: int  # index of the last event
    scale: int
    state: State

    @property
    def inventory_pnl(self) -> int:
        """What the run earned apart from round trips: the change in value of what is held, and open halves."""
        return self.equity - self.opening_equity - self.grid_profit

    @property
    def next_event(self) -> int:
        """Index at which the next run starts."""
        return self.ended_at + 1


def run(
    tape: Tape,
    ladder: Ladder,
    terms: Terms,
    *,
    start: int = 0,
    state: State | None = None,
    bounds: Bounds | None = None,
) -> Outcome:
    """Run `ladder` over the events from `start` on until a bound or the end of the tape.

    Without `state` the run opens the ladder at the first event: NEUTRAL buys its inventory there at the touch price of
    a buy, and the orders are sent. The event that ends a run belongs to it: what it touches is filled first.

    Raises:
        UnableToRun: `start` is off the tape, the state belongs to another ladder or other fees, the mode lacks its
            inventory, or an amount would not fit into 64 bits.
    """
    if not 0 <= start < len(tape):
        raise UnableToRun(f"start: event {start} is not on a tape of {len(tape)}; choose 0 to {len(tape) - 1}.")
    if state is None:
        state = opened(tape, ladder, terms, start=start)
    elif state.ladder is not ladder and state.ladder != ladder:
        raise UnableToRun("state: it belongs to another ladder; hand it over with `relaid` first.")
    if state.scale != terms.scale:
        raise UnableToRun("state: its money has another unit; keep the denominators of the fees.")
    check_money(tape, ladder, terms, state.cash, state.lots)
    return _walk(tape, ladder, terms, start, state, bounds or Bounds())


def opened(tape: Tape, ladder: Ladder, terms: Terms, *, start: int = 0) -> State:
    """Return the state of a ladder that opens at event `start`: what it holds, before its first order is sent.

    Raises:
        UnableToRun: the opening lots are fewer than a SHORT ladder holds.
    """
    check_opening(ladder, terms)
    at_ns, price, mark = (int(a[start]) for a in (tape.at_ns, tape.down, tape.mark))
    books, slots, queues = stepping.open_grid(
        OPENINGS[ladder.mode], at_ns, price, mark, terms.fee(terms.taker_fee), terms.opening_cash, terms.opening_lots,
        np.array(ladder.levels, np.int64), np.array(ladder.lots, np.int64), rules_of(ladder, terms, Bounds()),
    )  # fmt: skip
    opening = (terms.opening_cash + terms.opening_lots * mark) * terms.scale
    return State(ladder, terms.scale, opening, books, slots, queues)


def relaid(state: State, ladder: Ladder, basis: Sequence[int | None]) -> State:
    """Return `state` on another ladder: nothing works yet, the first event sends the orders; all sums go on.

    Shapes:
        basis: (n,) money that opened the round trip of each slot that holds (SHORT: 0), None for an empty slot. What
            the account has beyond the lots of these slots stays with it and is only valued.

    Raises:
        UnableToRun: the slots would hold more than the account has.
    """
    if len(basis) != len(ladder.lots):
        raise UnableToRun(f"basis: {len(basis)} given for {len(ladder.lots)} slots; give one (or None) a slot.")
    books, slots, queues = stepping.no_books(len(ladder.lots))
    keep = (*range(stepping.DAY + 2), stepping.FILLS)
    books[list(keep)] = state.books[list(keep)]
    lots = sum(q for q, b in zip(ladder.lots, basis, strict=True) if b is not None)
    if lots > state.lots:
        raise UnableToRun(f"basis: slots would hold {lots} lots, the account has {state.lots}; let fewer slots hold.")
    holds = np.array([b is not None for b in basis])
    slots[stepping.PHASE] = np.where(holds, stepping.VIRTUAL_SELL, stepping.VIRTUAL_BUY)
    slots[stepping.BASIS] = [b or 0 for b in basis]
    stepping.wait_for_price(books)
    return State(ladder, state.scale, state.opening_equity, books, slots, queues)


def traded(state: State, side: Side, lots: int, ticks: int, terms: Terms) -> State:
    """Return `state` after one trade at the market between two runs: bought or sold at `ticks`, with the taker fee.

    Raises:
        UnableToRun: nothing is traded, or more is sold than held.
    """
    if lots <= 0 or ticks <= 0 or (side is Side.SELL and lots > state.lots):
        raise UnableToRun(f"trade: {side} {lots} lots at {ticks} ticks with {state.lots} held; trade what there is.")
    books = state.books.copy()
    sign = 1 if side is Side.BUY else -1
    rules = rules_of(state.ladder, terms, Bounds())
    stepping.pay(sign * ticks * lots, sign * lots, terms.fee(terms.taker_fee), rules, books)
    return State(state.ladder, state.scale, state.opening_equity, books, state.slots, state.queues)


def check_opening(ladder: Ladder, terms: Terms) -> None:
    """Refuse a SHORT ladder that opens with less than it sells.

    Raises:
        UnableToRun: see above.
    """
    if ladder.mode is Mode.SHORT and terms.opening_lots < (lots := sum(ladder.lots)):
        raise UnableToRun(f"opening_lots: {terms.opening_lots}, a SHORT ladder sells {lots}; open with at least those.")


def rules_of(ladder: Ladder, terms: Terms, bounds: Bounds) -> Ints:
    """Return terms and bounds as the loop reads them, (RULES,)."""
    taker = terms.style is ExecutionStyle.TAKER
    rules = np.zeros(stepping.RULES, np.int64)
    rules[stepping.SCALE] = terms.scale
    rules[stepping.FEE] = terms.fee(terms.taker_fee if taker else terms.maker_fee)
    rules[stepping.SUBMIT_NS], rules[stepping.REPORT_NS] = terms.submit_ns, terms.report_ns
    rules[stepping.MAX_LOTS] = NEVER_HIGH if terms.max_inventory_lots is None else terms.max_inventory_lots
    rules[stepping.MAX_TRADES] = NEVER_HIGH if terms.max_trades_per_day is None else terms.max_trades_per_day
    rules[stepping.STOP_NUMERATOR], rules[stepping.STOP_DENOMINATOR] = terms.max_drawdown or (0, 0)
    rules[stepping.LOW] = NEVER_LOW if bounds.low_ticks is None else max(bounds.low_ticks, NEVER_LOW)
    rules[stepping.HIGH] = NEVER_HIGH if bounds.high_ticks is None else min(bounds.high_ticks, NEVER_HIGH)
    rules[stepping.TAKER] = taker
    rules[stepping.OPENS_WITH_SELL] = ladder.mode is Mode.SHORT
    return rules


def _walk(tape: Tape, ladder: Ladder, terms: Terms, start: int, state: State, bounds: Bounds) -> Outcome:
    due = len(tape) if bounds.until_ns is None else int(np.searchsorted(tape.at_ns, bounds.until_ns))
    stop = min(max(due, start) + 1, len(tape))
    rules = rules_of(ladder, terms, bounds)
    levels, lots = np.array(ladder.levels, np.int64), np.array(ladder.lots, np.int64)
    state = State(
        ladder, state.scale, state.opening_equity, state.books.copy(), state.slots.copy(), state.queues.copy()
    )
    rows = max(CHUNK, 4 * len(lots))
    log, count = np.empty((rows, stepping.FILL_COLUMNS), np.int64), 0
    event, why = start, stepping.FULL
    while why == stepping.FULL:
        if count + rows > len(log):
            log = _longer(log, count)
        event, why, written = stepping.walk(
            tape.pad, tape.at_ns, tape.down, tape.up, tape.mark, NO_INDEX, NO_INDEX, event, stop, levels, lots, rules,
            state.slots, state.queues, state.books, log[count : count + rows],
        )  # fmt: skip
        count += written
        _check_books(state.books)
    fills = (log[:count] if len(log) > rows else log[:count].copy()).view(FILL)[:, 0]
    return _outcome(tape, state, fills, event - 1, _ended(why, event - 1 >= due))


def _longer(log: Ints, count: int) -> Ints:
    """Return the log with room for many more fills: memory that is never written costs nothing."""
    longer = np.empty((GROWTH * len(log), stepping.FILL_COLUMNS), np.int64)
    longer[:count] = log[:count]
    return longer


def _ended(why: int, time_is_up: bool) -> Ended:
    reasons = {stepping.STOPPED: Ended.DRAWDOWN, stepping.AT_LOW: Ended.LOW, stepping.AT_HIGH: Ended.HIGH}
    return reasons.get(why, Ended.TIME if time_is_up else Ended.TAPE)


def _outcome(tape: Tape, state: State, fills: NDArray[np.void], ended_at: int, ended: Ended) -> Outcome:
    at_end = state.books.copy()
    stepping.settle(at_end)
    cash, lots, fees = (int(at_end[k]) for k in (stepping.CASH, stepping.LOTS, stepping.FEES))
    worst = (int(at_end[stepping.WORST_FALL]), int(at_end[stepping.WORST_PEAK]))
    return Outcome(
        fills=fills,
        cash=cash,
        lots=lots,
        fees=fees,
        equity=cash + lots * int(tape.mark[ended_at]) * state.scale,
        opening_equity=state.opening_equity,
        max_drawdown=int(at_end[stepping.DRAWDOWN]),
        max_drawdown_fraction=worst if worst[1] else (0, 1) if at_end[stepping.PEAK] > 0 else None,
        grid_profit=int(at_end[stepping.GRID_PROFIT]),
        turnover=int(at_end[stepping.TURNOVER]),
        round_trips=int(at_end[stepping.ROUND_TRIPS]),
        ended=ended,
        ended_at=ended_at,
        scale=state.scale,
        state=state,
    )


def check_money(tape: Tape, ladder: Ladder, terms: Terms, cash: int, inventory: int) -> None:
    """Refuse what could leave 64 bits before the loop comes back, in the arithmetic of Python.

    Raises:
        UnableToRun: see above.
    """
    price = max(tape.highest, ladder.levels[-1])
    taker = terms.style is ExecutionStyle.TAKER
    step = price if taker else max(high - low for low, high in pairwise(ladder.levels))
    lots = sum(ladder.lots) + inventory
    rows = max(CHUNK, 4 * len(ladder.lots))
    fee = max(terms.fee(terms.maker_fee), terms.fee(terms.taker_fee))
    a_fill = max(ladder.lots) * (step * terms.scale + price * fee)
    if abs(cash) + 2 * lots * price * terms.scale + rows * a_fill > MAX_MONEY:
        raise UnableToRun(
            f"{tape.symbol}: {lots} lots at {price} ticks in units of 1/{terms.scale} do not fit into 64 bits; use a "
            "larger lot or tick, or a fee with a smaller denominator."
        )


def _check_books(books: Ints) -> None:
    if max(abs(int(books[k])) for k in (stepping.CASH, stepping.FEES, stepping.TURNOVER)) > MAX_MONEY // 2:
        raise UnableToRun("the sums of this run outgrow 64 bits; use a larger lot or tick, or a shorter tape.")
