"""Many ladders over one tape: every one as the kernel runs it, over blocks at once where nothing can happen."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.typing import NDArray

from trading.domain import kernel, stepping
from trading.domain.scanning import BLOCK, LARGE, NO_INDEX, extremes
from trading.domain.tapes import Ints, Tape
from trading.domain.terms import MAX_MONEY, Bounds, Ladder, Terms, UnableToRun

# One column a name; money in units of tick x lot / scale, as in `kernel.Outcome`.
COLUMNS: Final = (
    "fills", "round_trips", "equity", "cash", "lots", "fees", "turnover", "grid_profit", "max_drawdown", "worst_fall",
    "worst_peak", "ended_at", "stopped",
)  # fmt: skip
RESULT: Final = np.dtype([(name, np.int64) for name in COLUMNS])
OUTGREW: Final = -1  # in `stopped`
SCRATCH: Final = 256  # fills; the log of a sweep is thrown away


def sweep(tape: Tape, ladders: Sequence[Ladder], terms: Terms, threads: int = 1) -> NDArray[np.void]:
    """Run every ladder over the whole tape; return one row of RESULT each, in the order given.

    Equal to the bit to `kernel.run`: it is the same loop. `worst_fall / worst_peak` is the deepest drawdown as a
    fraction of its peak (0 / 0: none); `stopped` is 1 where the drawdown gate ended the run at `ended_at`. More than
    one thread uses the pool of OpenMP: do not fork afterwards.

    Raises:
        UnableToRun: no ladder, `threads` outside 1..what the machine has, or what `kernel.run` refuses.
    """
    return sweep_with_equity(tape, ladders, terms, np.array([len(tape)], np.int64), threads)[0]


def sweep_with_equity(
    tape: Tape, ladders: Sequence[Ladder], terms: Terms, stops: Ints, threads: int = 1
) -> tuple[NDArray[np.void], Ints]:
    """Do what `sweep` does, and return beside it the equity of every ladder along the way.

    Shapes:
        stops: (m,) numbers of events, not falling, from 1 to the length of the tape, which is the last one.
        result: (k,) RESULT; (k, m) equity in money units after so many events; after the end of a run, as it ended.

    Raises:
        UnableToRun: `stops` are no such numbers, or what `sweep` refuses.
    """
    if not len(stops) or stops[0] < 1 or stops[-1] != len(tape) or (stops[1:] < stops[:-1]).any():
        raise UnableToRun(f"stops: they do not rise from 1 to the {len(tape)} events of the tape; end them there.")
    if not ladders:
        raise UnableToRun("ladders: none given; name at least one configuration.")
    if not 1 <= threads <= get_num_threads():
        raise UnableToRun(f"threads: {threads} is outside 1..{get_num_threads()}; choose a value inside.")
    for ladder in ladders:
        kernel.check_opening(ladder, terms)
        kernel.check_money(tape, ladder, terms, terms.opening_cash * terms.scale, terms.opening_lots)
    rows, equity = _run(tape, ladders, terms, stops, threads)
    if (rows["stopped"] == OUTGREW).any():
        raise UnableToRun("the sums of a run outgrow 64 bits; use a larger lot or tick, or a shorter tape.")
    return rows, equity


def _run(
    tape: Tape, ladders: Sequence[Ladder], terms: Terms, stops: Ints, threads: int
) -> tuple[NDArray[np.void], Ints]:
    ends = np.cumsum([len(ladder.lots) for ladder in ladders], dtype=np.int64)
    lots = np.array([q for ladder in ladders for q in ladder.lots], np.int64)
    levels = np.array([level for ladder in ladders for level in ladder.levels], np.int64)
    modes = np.array([kernel.OPENINGS[ladder.mode] for ladder in ladders], np.int64)
    rules = kernel.rules_of(ladders[0], terms, Bounds())
    capital = np.array([terms.opening_cash, terms.opening_lots, terms.fee(terms.taker_fee)], np.int64)
    small, large = (extremes(tape.mark, size) if tape.pad >= 0 else NO_INDEX for size in (BLOCK, LARGE))
    found = np.zeros((len(ladders), len(COLUMNS)), np.int64)
    equity = np.zeros((len(ladders), len(stops)), np.int64)
    arguments = (
        tape.pad, tape.at_ns, tape.down, tape.up, tape.mark, small, large, ends, levels, lots, modes, capital, rules,
        stops, found, equity,
    )  # fmt: skip
    if threads == 1:
        _one_after_another(*arguments)
    else:
        available = get_num_threads()
        set_num_threads(threads)
        _side_by_side(*arguments)
        set_num_threads(available)
    return found.view(RESULT)[:, 0], equity


@njit(cache=True)
def _one(
    k: np.int64, pad: int, at_ns: Ints, down: Ints, up: Ints, mark: Ints, small: Ints, large: Ints, ends: Ints,
    all_levels: Ints, all_lots: Ints, modes: Ints, capital: Ints, shared_rules: Ints, stops: Ints, found: Ints,
    equity: Ints,
) -> None:  # fmt: skip
    start = ends[k - 1] if k else 0
    lots = all_lots[start : ends[k]]
    levels = all_levels[start + k : ends[k] + k + 1]
    rules = shared_rules.copy()
    rules[stepping.OPENS_WITH_SELL] = modes[k] == stepping.SHORT
    books, slots, queues = stepping.open_grid(
        modes[k], at_ns[0], down[0], mark[0], capital[2], capital[0], capital[1], levels, lots, rules
    )
    scratch = np.empty((max(SCRATCH, 4 * len(lots)), stepping.FILL_COLUMNS), np.int64)
    event, why = found[k, 11], stepping.FULL  # 0; a literal one would be a type of its own and compile the loop again
    for stop in range(len(stops)):
        while event < stops[stop] and why != stepping.STOPPED:
            event, why, _ = stepping.walk(
                pad, at_ns, down, up, mark, small, large, event, stops[stop], levels, lots, rules, slots, queues,
                books, scratch,
            )  # fmt: skip
            if max(abs(books[stepping.CASH]), books[stepping.FEES], books[stepping.TURNOVER]) > MAX_MONEY // 2:
                found[k, 12] = OUTGREW
                return
        equity[k, stop] = books[stepping.CASH] + books[stepping.LOTS] * rules[stepping.SCALE] * mark[event - 1]
    stepping.settle(books)
    found[k, 0] = books[stepping.FILLS]
    found[k, 1] = books[stepping.ROUND_TRIPS]
    found[k, 2] = equity[k, -1]
    found[k, 3] = books[stepping.CASH]
    found[k, 4] = books[stepping.LOTS]
    found[k, 5] = books[stepping.FEES]
    found[k, 6] = books[stepping.TURNOVER]
    found[k, 7] = books[stepping.GRID_PROFIT]
    found[k, 8] = books[stepping.DRAWDOWN]
    found[k, 9] = books[stepping.WORST_FALL]
    found[k, 10] = books[stepping.WORST_PEAK]
    found[k, 11] = event - 1
    found[k, 12] = why == stepping.STOPPED


@njit(cache=True)
def _one_after_another(
    pad: int, at_ns: Ints, down: Ints, up: Ints, mark: Ints, small: Ints, large: Ints, ends: Ints, levels: Ints,
    lots: Ints, modes: Ints, capital: Ints, rules: Ints, stops: Ints, found: Ints, equity: Ints,
) -> None:  # fmt: skip
    for k in range(len(ends)):
        _one(
            np.int64(k), pad, at_ns, down, up, mark, small, large, ends, levels, lots, modes, capital, rules, stops,
            found, equity,
        )  # fmt: skip


@njit(cache=True, parallel=True)
def _side_by_side(
    pad: int, at_ns: Ints, down: Ints, up: Ints, mark: Ints, small: Ints, large: Ints, ends: Ints, levels: Ints,
    lots: Ints, modes: Ints, capital: Ints, rules: Ints, stops: Ints, found: Ints, equity: Ints,
) -> None:  # fmt: skip
    for k in prange(len(ends)):
        _one(
            np.int64(k), pad, at_ns, down, up, mark, small, large, ends, levels, lots, modes, capital, rules, stops,
            found, equity,
        )  # fmt: skip
