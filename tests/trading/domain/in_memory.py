"""One desk's limits and settings, and a journal kept in memory the way the tables keep it."""

from decimal import Decimal

from trading.domain.desk import DeskSettings
from trading.domain.events import (
    Effect,
)
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.simulation.store import Store

MS = 1_000_000
SECOND = 1_000 * MS
BEGIN = 1_750_000_000 * SECOND
ACCOUNT = "micro"
PRICES = {"BTCUSDT": 6_000_000, "ETHUSDT": 260_000}  # ticks of 0.01
INSTRUMENTS = {
    "BTCUSDT": Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5)),
    "ETHUSDT": Instrument("ETHUSDT", "ETH", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5)),
}
CAPITAL = Decimal(1_000)


def limits(style: ExecutionStyle, **changes: object) -> Limits:
    values: dict[str, object] = {
        "phase": "4.x",
        "version": 1,
        "capital_quote": CAPITAL,
        "symbols": frozenset(INSTRUMENTS),
        "execution_styles": frozenset({style}),
        "max_position_fraction": Decimal("0.02"),
        "max_symbol_exposure_fraction": Decimal("0.10"),
        "max_total_exposure_fraction": Decimal("0.18"),
        "max_daily_drawdown_fraction": Decimal("0.05"),
        "max_daily_drawdown_hard_fraction": Decimal("0.10"),
        "max_symbol_drawdown_fraction": None,
        "max_daily_trades": 60,
        "max_open_orders": 10,
    }
    return Limits(**(values | changes))  # type: ignore[arg-type]  # a table of named values


def settings(style: ExecutionStyle) -> DeskSettings:
    grids = tuple(GridSettings(symbol, style, Decimal("0.001"), 8, Decimal(20)) for symbol in INSTRUMENTS)
    return DeskSettings(ACCOUNT, "USDT", grids, DEMO_FEES, CAPITAL)


class Journal(Store):
    """The store of the seeded worlds, for one writer that nobody fences off."""

    def __init__(self) -> None:
        super().__init__(ACCOUNT, limits(ExecutionStyle.TAKER))

    def keep(self, effects: list[Effect], now_ns: int) -> None:
        self.commit(effects, fence=self.fence, now_ns=now_ns)
