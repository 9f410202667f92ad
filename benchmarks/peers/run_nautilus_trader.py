"""The grid in nautilus_trader: trade ticks without an aggressor at a cash account, its strategy woken by fills alone.

With the recorded sides it rejects an order placed while only one side of its book is known, so the ticks carry none.
Its limit of 100 orders a second would deny lines of a longer grid, so it is lifted. A print that passes two lines fills
one: a maker fill moves the simulated book to the line, and the next line is not matched in that tick.
"""

from decimal import Decimal
from typing import Any

import nautilus_trader
import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, CurrencyType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from benchmarks.peers.job import BUY, SELL, TICK, Grid, Result, Tape, main, opening_cash, ordered

TUNED = ("logging bypassed", "risk engine bypassed", "nothing subscribed", "no analysis", "ticks from arrays, unsorted")
VENUE = Venue("SIM")
LOT = Currency("LOT", 8, 0, "LOT", CurrencyType.CRYPTO)
INSTRUMENT = InstrumentId(Symbol("LOTUSDT"), VENUE)


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as its ticks."""
    count = len(tape.ticks)
    at_ns = tape.at_ns.astype(np.uint64)
    sides = np.full(count, AggressorSide.NO_AGGRESSOR, np.uint8)
    ids = list(map(str, range(count)))
    return TradeTick.from_raw_arrays_to_list(
        INSTRUMENT, 2, 0, tape.ticks * TICK, np.full(count, 1e6), sides, ids, at_ns, at_ns
    )


class GridStrategy(Strategy):  # type: ignore[misc]  # compiled, without types
    """One order a slot; a fill is answered by the opposite order."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.found: list[tuple[int, int, int]] = []  # time, line, side
        self.slots: dict[Any, tuple[int, int]] = {}  # order -> slot, side
        self.refused: list[str] = []

    def on_start(self) -> None:
        """Lay the grid."""
        self.make_ready()
        for slot in range(len(self.prices) - 1):
            self.place(slot, BUY if slot < self.grid.empty else SELL)

    def on_order_filled(self, event: Any) -> None:
        """Place the opposite order."""
        slot, side = self.slots.pop(event.client_order_id)
        self.found.append((event.ts_event, slot if side == BUY else slot + 1, side))
        self.place(slot, -side)

    def on_order_rejected(self, event: Any) -> None:
        """Remember what would make the comparison worthless."""
        self.refused.append(str(event))

    def on_order_denied(self, event: Any) -> None:
        """As above."""
        self.refused.append(str(event))

    def make_ready(self) -> None:
        """Make its own numbers once."""
        self.lots = Quantity.from_int(self.grid.lots)
        self.prices = [Price(level * TICK, 2) for level in self.grid.levels]

    def place(self, slot: int, side: int) -> None:
        """Send one order."""
        price = self.prices[slot if side == BUY else slot + 1]
        order = self.order_factory.limit(INSTRUMENT, OrderSide.BUY if side == BUY else OrderSide.SELL, self.lots, price)
        self.slots[order.client_order_id] = slot, side
        self.submit_order(order)


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the engine."""
    return run_engine(data, tape, grid, GridStrategy(grid))


def run_engine(data: Any, tape: Tape, grid: Grid, strategy: GridStrategy) -> Any:
    """Run `strategy` on prints or quotes."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.CASH,
        [Money(opening_cash(grid, int(tape.ticks[0])), USDT), Money(grid.inventory, LOT)],
        trade_execution=True,
        bar_execution=False,
    )
    engine.add_instrument(_instrument(grid))
    engine.add_data(data, validate=False, sort=False)
    engine.add_strategy(strategy)
    engine.run()
    return engine, strategy


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    engine, strategy = raw
    if strategy.refused:
        raise SystemExit(f"nautilus_trader refused {len(strategy.refused)} orders, first: {strategy.refused[0]}")
    account = engine.cache.account_for_venue(VENUE)
    cash, lots = (float(account.balance_total(currency).as_double()) for currency in (USDT, LOT))
    table = np.array(strategy.found, np.int64).reshape(-1, 3)
    table[:, 0] = np.searchsorted(tape.at_ns, table[:, 0])
    engine.dispose()
    return Result(ordered(table.tolist()), cash, lots)


def _instrument(grid: Grid) -> Any:
    return CurrencyPair(
        instrument_id=INSTRUMENT,
        raw_symbol=INSTRUMENT.symbol,
        base_currency=LOT,
        quote_currency=USDT,
        price_precision=2,
        size_precision=0,
        price_increment=Price(TICK, 2),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
        maker_fee=Decimal(str(grid.fee)),
        taker_fee=Decimal(str(grid.fee)),
    )


if __name__ == "__main__":
    main(nautilus_trader.__version__, prepare, run, collect, tuned=TUNED)
