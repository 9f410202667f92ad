"""One desk's limits and settings, and a journal kept in memory the way the tables keep it."""

from dataclasses import dataclass, field
from decimal import Decimal

from trading.domain.desk import DeskSettings, NeverRan, TraderState
from trading.domain.events import (
    Effect,
    LatchHalt,
    PersistDay,
    PersistFill,
    PersistGrid,
    PersistHaltStage,
    PersistOrder,
    PersistPause,
)
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.halting import HaltState
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.orders import TERMINAL, Order

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


@dataclass(slots=True)
class Journal:
    """What survives a crash, kept the way the tables keep it."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[PersistFill] = field(default_factory=list)
    days: list[PersistDay] = field(default_factory=list)
    grids: dict[str, PersistGrid] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    halt: HaltState | None = None

    def commit(self, effects: list[Effect], now_ns: int) -> None:
        for effect in effects:
            match effect:
                case PersistOrder(order):
                    self.orders[order.client_order_id] = order
                case PersistFill():
                    self.fills.append(effect)
                case PersistDay():
                    self.days.append(effect)
                case PersistGrid():
                    self.grids[effect.symbol] = effect
                case PersistPause(symbol, reason, _):
                    self.paused[symbol] = reason
                case LatchHalt(reason, flatten, at_ns):
                    self.latch(reason, flatten, at_ns)
                case PersistHaltStage(stage, _, _, _):
                    assert self.halt is not None
                    self.halt = HaltState(self.halt.reason, self.halt.flatten, stage, self.halt.latched_at_ns)
                case _:
                    pass

    def latch(self, reason: str, flatten: bool, at_ns: int) -> None:
        if self.halt is None:
            self.halt = HaltState(reason, flatten, "LATCHED", at_ns)
        else:
            self.halt = HaltState(
                self.halt.reason, self.halt.flatten or flatten, self.halt.stage, self.halt.latched_at_ns
            )

    def state(self) -> TraderState | NeverRan:
        if not self.days:
            return NeverRan(dict(self.paused), self.halt)
        opening = next(day for day in reversed(self.days) if day.reason in ("start", "seam"))
        last_ids: dict[str, int] = {}
        for stored in (stored for stored in self.fills if stored.lap < opening.lap):
            last_ids[stored.fill.symbol] = max(last_ids.get(stored.fill.symbol, 0), stored.fill.trade_id)
        return TraderState(
            opening=opening,
            day=self.days[-1],
            grids=tuple(grid for grid in self.grids.values() if grid.lap == opening.lap),
            orders=tuple(order for order in self.orders.values() if order.status not in TERMINAL),
            fills=tuple(stored for stored in self.fills if stored.lap == opening.lap),
            paused=dict(self.paused),
            halt=self.halt,
            last_trade_ids=last_ids,
        )
