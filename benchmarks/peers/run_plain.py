"""The grid as one writes it in an afternoon: lists and a loop over all slots. The oracle of small tapes."""

from typing import Any

from benchmarks.peers.job import BUY, SELL, Grid, Result, Tape, main, opening_cash, ordered

FAR = 1 << 62


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as lists of Python's own numbers."""
    return tape.at_ns.tolist(), tape.ticks.tolist(), tape.side.tolist()


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Walk the tape; slot i buys at line i and sells at line i + 1, and has one order at a time.

    An order works for the first print after it arrived, not for one of the same time.
    """
    at_ns, prices, sides = data
    levels, delay = grid.levels, grid.submit_ns + grid.report_ns
    slots = range(len(levels) - 1)
    side = [BUY if i < grid.empty else SELL for i in slots]
    active_after = [at_ns[0] + grid.submit_ns for _ in slots]
    ticks_lots, paid = 0, 0  # of buys less sells, and of both
    found: list[tuple[int, int, int]] = []
    for event, (now, price, taker) in enumerate(zip(at_ns, prices, sides, strict=True)):
        touched = [
            i
            for i in slots
            if (price <= levels[i] if side[i] == BUY else price >= levels[i + 1])
            and now > active_after[i]
            and not (grid.by_side and taker == side[i])
        ]
        if grid.one_a_print and touched:
            touched = touched[-1:] if side[touched[-1]] == BUY else touched[:1]
        for i in touched:
            line = i if side[i] == BUY else i + 1
            found.append((event, line, side[i]))
            ticks_lots += side[i] * levels[line] * grid.lots
            paid += levels[line] * grid.lots
            side[i], active_after[i] = -side[i], now + delay
    return found, ticks_lots, paid


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    found, ticks_lots, paid = raw
    fills = ordered(found)
    lots = grid.inventory + grid.lots * int(fills[:, 2].sum())
    cash = opening_cash(grid, int(tape.ticks[0])) - (ticks_lots + paid * grid.fee) / 100
    return Result(fills, cash, lots)


if __name__ == "__main__":
    main("", prepare, run, collect, tuned=())
