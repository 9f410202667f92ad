"""The grid in the product's kernel: fees, latency both ways, fill log, risk gates, exact drawdown."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.peers.job import Grid, Result, Tape, main, ordered
from trading.domain import kernel, tapes

FEE_DENOMINATOR = 1_000
MORE_THAN_ANY = 1_000_000  # lots, and fills of a day


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as the kernel's own, checked."""
    if not grid.by_side:
        return tapes.of_trades("TAPE", tape.at_ns, tape.ticks, through=False)
    never = int(max(tape.ticks.max(), grid.levels[-1])) + 1
    opens = np.arange(len(tape.ticks)) == 0  # the inventory is bought from whoever prints first
    down = np.where((tape.side < 0) | opens, tape.ticks, never)
    up = np.where((tape.side > 0) | opens, tape.ticks, 0)
    return tapes.Tape("TAPE", tape.at_ns, down, up, tape.ticks, ("only the taker's side fills",))


def ladder(grid: Grid) -> kernel.Ladder:
    """Return the grid as the kernel's own."""
    return kernel.Ladder(grid.levels, (grid.lots,) * (len(grid.levels) - 1), kernel.Mode.NEUTRAL)


def terms(grid: Grid) -> kernel.Terms:
    """Return fees, latency and gates; the gates are in force and never reached."""
    fee = (round(grid.fee * FEE_DENOMINATOR), FEE_DENOMINATOR)
    return kernel.Terms(
        opening_cash=round(grid.cash * 100),
        maker_fee=fee,
        taker_fee=fee,
        submit_ns=grid.submit_ns,
        report_ns=grid.report_ns,
        max_inventory_lots=MORE_THAN_ANY,
        max_trades_per_day=MORE_THAN_ANY,
        max_drawdown=(99, 100),
    )


def ungated(terms: kernel.Terms) -> kernel.Terms:
    """Return `terms` without a drawdown gate, which the queue model does not have."""
    return replace(terms, max_drawdown=None)


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the kernel."""
    return kernel.run(data, ladder(grid), terms(grid))


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    fills = np.stack([raw.fills["event"], raw.fills["line"], raw.fills["side"]], axis=1)
    return Result(ordered(fills), raw.cash / raw.scale / 100, raw.lots)


if __name__ == "__main__":
    main("", prepare, run, collect, tuned=())
