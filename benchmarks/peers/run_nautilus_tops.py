"""The grid of the event core in nautilus_trader, on the same book tops; see `run_core`.

It listens to quotes only until the price has been above every level.
"""

from typing import Any

import nautilus_trader
import numpy as np
from nautilus_trader.model.data import QuoteTick

from benchmarks.peers import run_nautilus_trader as trades
from benchmarks.peers.job import BUY, TICK, Grid, Tape, main


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as its quotes."""
    at_ns, shown = tape.at_ns.astype(np.uint64), np.full(len(tape.ticks), 1e6)
    bid, ask = tape.ticks * TICK, (tape.ticks + 1) * TICK
    return QuoteTick.from_raw_arrays_to_list(trades.INSTRUMENT, 2, 0, bid, ask, shown, shown, at_ns, at_ns)


class _Ladder(trades.GridStrategy):
    """Buys a slot once the ask has been above its level."""

    def on_start(self) -> None:
        """Wait for prices."""
        self.make_ready()
        self.waiting = list(range(len(self.prices) - 1))
        self.subscribe_quote_ticks(trades.INSTRUMENT)

    def on_quote_tick(self, tick: Any) -> None:
        """Place the buys of the levels that lie below the ask now."""
        while self.waiting and self.prices[self.waiting[0]] < tick.ask_price:
            self.place(self.waiting.pop(0), BUY)
        if not self.waiting:
            self.unsubscribe_quote_ticks(trades.INSTRUMENT)


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the engine."""
    return trades.run_engine(data, tape, grid, _Ladder(grid))


if __name__ == "__main__":
    main(nautilus_trader.__version__, prepare, run, trades.collect, tuned=trades.TUNED[:-1])
