"""The grid in backtesting.py: limit orders on bars whose open is the last price.

A limit order is filled at the better of its limit and the open of the bar. With the last price as the open that is the
limit, as at a venue where the order rested before the price moved. The inventory is bought by a market order, which
fills one bar later: the tape must begin flat. An order it cannot pay for is cancelled with a warning; here that ends
the run.
"""

import warnings
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.peers.job import BUY, SELL, TICK, Grid, Result, Tape, main, ordered

TUNED = ("orders looked at only when their number changes", "no statistics, no plot data")


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the prints as bars."""
    close = tape.ticks * TICK
    open_ = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return pd.DataFrame({"Open": open_, "High": high, "Low": low, "Close": close})


class _Grid(Strategy):  # type: ignore[misc]  # ships no types
    """One order a slot, placed again on the other side when it has gone."""

    grid: Any = None

    def init(self) -> None:
        """Forget what an earlier run left."""
        self.found: list[tuple[int, int, int]] = []
        self.working: list[Any] = []
        self.broker = self._broker

    def next(self) -> None:
        """Buy the inventory first, then keep one order a slot."""
        grid = self.grid
        slots = len(grid.levels) - 1
        if not self.working:
            if grid.inventory and not self.broker.trades:
                if not self.broker.orders:
                    self.buy(size=grid.inventory)
                return
            sides = [BUY if i < grid.empty else SELL for i in range(slots)]
            self.working = [self._place(i, side) for i, side in enumerate(sides)]
            return
        if len(self.broker.orders) == slots:
            return
        alive = set(map(id, self.broker.orders))
        event = len(self.data) - 1
        for i, (order, side) in enumerate(self.working):
            if id(order) not in alive:
                self.found.append((event, i if side == BUY else i + 1, side))
                self.working[i] = self._place(i, -side)

    def _place(self, slot: int, side: int) -> tuple[Any, int]:
        levels, lots = self.grid.levels, self.grid.lots
        if side == BUY:
            return self.buy(size=lots, limit=levels[slot] * TICK), side
        return self.sell(size=lots, limit=levels[slot + 1] * TICK), side


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the strategy."""
    # What `Backtest.run` does less its statistics, which take minutes on millions of bars.
    backtest = Backtest(data, _Grid, cash=grid.cash, commission=grid.fee)
    kept: list[Any] = []
    original = backtesting.backtesting.compute_stats

    def keep(*, strategy_instance: Any, **_: Any) -> Any:
        kept.append(strategy_instance)
        return pd.Series()

    backtesting.backtesting.compute_stats = keep
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*Broker canceled.*")
            backtest.run(grid=grid)
    finally:
        backtesting.backtesting.compute_stats = original
    return kept[0]


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    broker = raw.broker
    lots = sum(trade.size for trade in broker.trades)
    cash = broker.equity - lots * int(tape.ticks[-1]) * TICK
    return Result(ordered(raw.found), cash, lots)


if __name__ == "__main__":
    main(backtesting.__version__, prepare, run, collect, tuned=TUNED)
