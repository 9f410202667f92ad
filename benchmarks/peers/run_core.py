"""The event core: the trader and the simulated venue that run live, folded over book tops by the product's backtest.

The tape's price is the best bid, the ask is one tick above it. The desk starts all in cash: a slot buys once the ask
has been above its level, and sells one level higher.
"""

from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks.peers.job import BUY, SELL, TICK, Grid, Result, Tape, main, ordered
from trading.domain import backtest
from trading.domain.desk import DeskSettings
from trading.domain.fees import Fees
from trading.domain.grid import GridSettings, Spacing
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop
from trading.domain.orders import Side

SYMBOL = "LOTUSDT"
SHOWN_LOTS = 1_000_000
FOREVER = 1_000_000_000


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as the core's own events."""
    rows = zip(tape.ticks.tolist(), tape.at_ns.tolist(), strict=True)
    return [BookTop(SYMBOL, bid, SHOWN_LOTS, bid + 1, SHOWN_LOTS, i + 1, 0, now) for i, (bid, now) in enumerate(rows)]


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the backtest of the product."""
    return backtest.run(data, settings=_settings(grid), limits=_limits(grid), instruments={SYMBOL: _instrument()})


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory; a halt or a denied order makes the run worthless."""
    if raw.halts or raw.denials or raw.discrepancies:
        raise SystemExit(f"core: {raw.halts[:1] or raw.denials[:1] or raw.discrepancies[:1]}")
    line_of = {level: line for line, level in enumerate(grid.levels)}
    fills = [stored.fill for stored in raw.fills]
    found = [
        (int(np.searchsorted(tape.at_ns, f.at_ns)), line_of[f.price_ticks], BUY if f.side is Side.BUY else SELL)
        for f in fills
    ]
    lots = sum(fill.quantity_lots * (1 if fill.side is Side.BUY else -1) for fill in fills)
    return Result(ordered(found), float(raw.view.cash_quote), lots)


def _settings(grid: Grid) -> DeskSettings:
    # What a lot costs at the middle of the ladder, with room to the next whole lot at both of its ends.
    lot_quote = Decimal(grid.lots * (grid.levels[0] + grid.levels[-1])) / 200 * Decimal("1.05")
    slots = len(grid.levels) - 1
    step = Decimal(grid.levels[1] - grid.levels[0]) / (sum(grid.levels[slots // 2 : slots // 2 + 2]) // 2)
    settings = GridSettings(SYMBOL, ExecutionStyle.MAKER, step, slots, lot_quote, Spacing.ARITHMETIC)
    fee = Decimal(str(grid.fee))
    return DeskSettings("bench", "USDT", (settings,), Fees(fee, fee), Decimal(str(grid.cash)))


def _instrument() -> Instrument:
    return Instrument(SYMBOL, "LOT", "USDT", Decimal(str(TICK)), Decimal(1), Decimal(1), max_quantity=Decimal(10**6))


def _limits(grid: Grid) -> Limits:
    """Return limits that are all checked and never reached."""
    one = Decimal(1)
    return Limits(
        phase="bench",
        version=1,
        capital_quote=Decimal(str(grid.cash)),
        symbols=frozenset({SYMBOL}),
        execution_styles=frozenset({ExecutionStyle.MAKER}),
        max_position_fraction=one,
        max_symbol_exposure_fraction=one,
        max_total_exposure_fraction=one,
        max_daily_drawdown_fraction=one,
        max_daily_drawdown_hard_fraction=one,
        max_symbol_drawdown_fraction=one,
        max_daily_trades=FOREVER,
        max_open_orders=len(grid.levels) - 1,
        metrics_every_s=FOREVER,
    )


if __name__ == "__main__":
    main("", prepare, run, collect, tuned=())
