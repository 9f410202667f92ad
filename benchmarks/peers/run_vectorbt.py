"""The grid in vectorbt: an order function in flexible mode, which may place several orders in one row.

Its other mode (one order a row) loses the second line that one print passes. Latency, queue and sides are not
modelled; the price of an order is what the order function says.
"""

from typing import Any

import numpy as np
import vectorbt
from numba import njit
from vectorbt.portfolio.enums import Direction, NoOrder, SizeType
from vectorbt.portfolio.nb import order_nb

from benchmarks.peers.job import TICK, Grid, Result, Tape, main, ordered

TUNED = ("flexible", "no value update", "no position records", "no logs", "room for as many orders as fills")
ROOM = 200_000  # orders


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the closes."""
    return tape.ticks * TICK


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the order function over all rows; the inventory is bought in the first one."""
    return vectorbt.Portfolio.from_order_func(
        data,
        _order,
        tape.ticks,
        np.array(grid.levels),
        float(grid.lots),
        grid.fee,
        np.array([grid.empty, grid.inventory]),
        flexible=True,
        init_cash=grid.cash,
        update_value=False,
        fill_pos_record=False,
        ffill_val_price=False,
        max_orders=min(ROOM, 4 * len(data)),
        max_logs=0,
    )


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    rows = raw.orders.values
    signed = np.where(rows["side"] == 0, 1, -1)
    lines = np.searchsorted(np.array(grid.levels), np.rint(rows["price"] / TICK).astype(np.int64))
    found = np.stack([rows["idx"], lines, signed], axis=1)[1 if grid.inventory else 0 :]
    cash = grid.cash - float(np.sum(signed * rows["size"] * rows["price"])) - float(np.sum(rows["fees"]))
    return Result(ordered(found), cash, float(np.sum(signed * rows["size"])))


@njit
def _order(c: Any, ticks: Any, levels: Any, lots: float, fee: float, state: Any) -> Any:
    """Return the next order of this row; `state` holds the empty line and the inventory still to buy."""
    price = ticks[c.i]
    if state[1] > 0:
        size, state[1] = float(state[1]), 0
        return 0, order_nb(size, price * TICK, SizeType.Amount, Direction.Both, fee)
    empty = state[0]
    if empty > 0 and price <= levels[empty - 1]:
        state[0] = empty - 1
        return 0, order_nb(lots, levels[empty - 1] * TICK, SizeType.Amount, Direction.Both, fee)
    if empty < len(levels) - 1 and price >= levels[empty + 1]:
        state[0] = empty + 1
        return 0, order_nb(-lots, levels[empty + 1] * TICK, SizeType.Amount, Direction.Both, fee)
    return -1, NoOrder


if __name__ == "__main__":
    main(vectorbt.__version__, prepare, run, collect, tuned=TUNED)
