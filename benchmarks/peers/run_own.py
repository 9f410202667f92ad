"""The grid in the product's kernel: fees, latency both ways, fill log, risk gates and exact drawdown as in the product."""

from typing import Any

import numpy as np

from benchmarks.peers.job import Grid, Result, Tape, main, ordered
from trading.domain import kernel, tapes

FEE_DENOMINATOR = 1_000
GATES = {"max_trades_per_day": 1_000_000, "max_drawdown": (99, 100)}  # looked at, never reached


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as the kernel's own, checked."""
    if not grid.by_side:
        return tapes.of_trades("TAPE", tape.at_ns, tape.ticks, through=False)
    never = int(max(tape.ticks.max(), grid.levels[-1])) + 1
    opens = np.arange(len(tape.ticks)) == 0  # the inventory is bought from whoever prints first
    down = np.where((tape.side < 0) | opens, tape.ticks, never)
    up = np.where((tape.side > 0) | opens, tape.ticks, 0)
    return tapes.Tape("TAPE", tape.at_ns, down, up, tape.ticks, ("only the taker's side fills",))


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the kernel with its gates in force."""
    slots = len(grid.levels) - 1
    fee = (round(grid.fee * FEE_DENOMINATOR), FEE_DENOMINATOR)
    ladder = kernel.Ladder(grid.levels, (grid.lots,) * slots, kernel.Mode.NEUTRAL)
    terms = kernel.Terms(
        opening_cash=round(grid.cash * 100),
        maker_fee=fee,
        taker_fee=fee,
        submit_ns=grid.submit_ns,
        report_ns=grid.report_ns,
        max_inventory_lots=slots * grid.lots,
        **GATES,  # type: ignore[arg-type]  # two fields of different types
    )
    return kernel.run(data, ladder, terms)


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    fills = np.stack([raw.fills["event"], raw.fills["line"], raw.fills["side"]], axis=1)
    return Result(ordered(fills), raw.cash / raw.scale / 100, raw.lots)


if __name__ == "__main__":
    main("", prepare, run, collect, tuned=())
