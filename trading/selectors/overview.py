"""The overview: key figures against their limits, one row per symbol, and the phase in force."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trading import live
from trading.domain.limits import ExecutionStyle
from trading.live import DeskField, GridField, Values
from trading.models import Account, Grid, Mandate, VenueInstrument
from trading.selectors import desks
from trading.selectors.frame import Frame
from trading.selectors.numbers import Cell, Format, Gauge, plain, short

FILL_RATE_NEEDED_PERCENT: Final = 85.0  # roadmap, every phase
UPTIME_NEEDED_PERCENT: Final = 99.0  # roadmap, phase 4.0
LATENCY_LIMIT_MS: Final = {"4.0": 2_000.0, "4.1": 2_000.0}  # roadmap: p95 <= 2 s
LATENCY_LIMIT_LATER_MS: Final = 2_500.0  # roadmap: p95 <= 2.5 s from 4.2 on


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key figure: value, unit, bar, and the limits under it."""

    title: str
    cell: Cell
    unit: str
    left: str
    right: str = ""
    right_cell: Cell | None = None
    right_unit: str = ""
    gauge: Gauge | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class EngineLine:
    """One line about the engine: some live values side by side."""

    title: str
    cells: tuple[Cell, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """One grid of the desk as a row."""

    symbol: str
    price: Cell
    at: Cell  # ms of the last exchange data
    position: Cell
    pnl: Cell
    drawdown: Gauge
    fill_rate: Cell
    fills: Cell
    held: Cell
    slots: Cell
    state: Cell
    why: Cell
    grid_profit: Cell
    floating: Cell
    position_quote: Cell
    working: Cell
    regime: Cell
    floor: Cell
    advice: Cell


@dataclass(frozen=True, slots=True)
class GateCard:
    """The phase whose mandate is in force; how its gate stands is for governance to say."""

    phase: str
    capital: str
    since: datetime


class Reader:
    """Makes live cells of one desk with their last known values."""

    def __init__(self, slug: str, values: Values) -> None:
        self._slug, self._values = slug, values

    def desk(self, field: DeskField, decimals: int = 2, format: Format = "number") -> Cell:
        """Return one value of the desk."""
        key = live.desk(self._slug, field)
        return Cell(key, self._values.get(key), format, decimals)

    def grid(self, symbol: str, field: GridField, decimals: int = 2, format: Format = "number") -> Cell:
        """Return one value of one grid."""
        key = live.grid(self._slug, symbol, field)
        return Cell(key, self._values.get(key), format, decimals)

    def market(self, symbol: str, field: live.MarketField, decimals: int = 2) -> Cell:
        """Return one market value."""
        key = live.market(symbol, field)
        return Cell(key, self._values.get(key), "number", decimals)


def kpis(frame: Frame) -> list[Kpi]:
    """Return the eight key figures; without a mandate there are no limits, and the page says so."""
    if frame.mandate is None:
        return []
    read, mandate = Reader(frame.account.slug, frame.values), frame.mandate
    return [*_money_kpis(read, mandate), *_quality_kpis(read, mandate), *_activity_kpis(read, mandate)]


def _money_kpis(read: Reader, mandate: Mandate) -> list[Kpi]:
    capital = mandate.capital_quote
    stop, hard = mandate.max_daily_drawdown_fraction, mandate.max_daily_drawdown_hard_fraction
    drawdown = read.desk("dd")
    return [
        Kpi(
            "Equity",
            read.desk("equity"),
            "USDT",
            "day start",
            right_cell=read.desk("equity_open"),
            hint="Cash plus open inventory at the best bid",
        ),
        Kpi(
            "Day P&L",
            read.desk("pnl_day", format="signed"),
            "USDT",
            f"stop {plain(-stop * capital, 0)}",
            f"hard {plain(-hard * capital, 0)}",
            hint="Equity now, less what was paid in, minus equity when the trading day (one lap of the replay) began",
        ),
        Kpi(
            "Drawdown, day",
            drawdown,
            "%",
            f"stop {plain(stop * 100)} %",
            f"hard {plain(hard * 100)} %",
            gauge=Gauge(drawdown, float(stop * 100)),
            hint="(day-start equity minus equity) / day-start equity; the halt latches at the stop",
        ),
    ]


def _quality_kpis(read: Reader, mandate: Mandate) -> list[Kpi]:
    maker = ExecutionStyle.MAKER in mandate.execution_styles
    fill_rate, latency, uptime = read.desk("fill_rate", 1), read.desk("lat_p95", 1), read.desk("uptime", 2)
    limit_ms = LATENCY_LIMIT_MS.get(mandate.phase, LATENCY_LIMIT_LATER_MS)
    return [
        Kpi(
            "Fill rate, touch to fill" if maker else "Fill rate, taker",
            fill_rate,
            "%",
            f"need ≥ {FILL_RATE_NEEDED_PERCENT:.0f} %",
            "of",
            read.desk("fill_den", 0),
            gauge=Gauge(fill_rate, FILL_RATE_NEEDED_PERCENT, good_when_full=True),
            hint="Levels traded through that filled" if maker else "Filled quantity / quantity of ended market orders",
        ),
        Kpi(
            "Submit → ack, p95",
            latency,
            "ms",
            f"need ≤ {plain(limit_ms, 0)}",
            "p99",
            read.desk("lat_p99", 1),
            gauge=Gauge(latency, limit_ms),
            hint="From our request leaving to the venue's acknowledgement",
        ),
        Kpi(
            "Feed uptime, run",
            uptime,
            "%",
            f"need ≥ {UPTIME_NEEDED_PERCENT:.0f} %",
            gauge=Gauge(uptime, UPTIME_NEEDED_PERCENT, good_when_full=True),
            hint="Share of this run in which market data was live",
        ),
    ]


def _activity_kpis(read: Reader, mandate: Mandate) -> list[Kpi]:
    orders, trades = read.desk("open_orders", 0), read.desk("trades_day", 0)
    return [
        Kpi(
            "Open orders",
            orders,
            "",
            _limit(mandate, "max_open_orders"),
            gauge=Gauge(orders, mandate.max_open_orders),
            hint="Working, in flight or of unknown fate",
        ),
        Kpi(
            "Trades, day",
            trades,
            "",
            _limit(mandate, "max_daily_trades"),
            right_cell=read.desk("orders_min", 0),
            right_unit="/min",
            gauge=Gauge(trades, mandate.max_daily_trades),
            hint="A replay's trading day is one lap; the cap resets at the seam. Right: orders per minute",
        ),
    ]


def _limit(mandate: Mandate, name: str) -> str:
    ours = " (ours)" if name in mandate.ours else ""
    return f"limit {plain(getattr(mandate, name), 0)}{ours}"


def symbol_rows(frame: Frame) -> list[SymbolRow]:
    """Return one row per enabled grid, in the order of the mandate."""
    instruments = desks.instruments_of(frame.account)
    return [_row(frame, grid, instruments) for grid in desks.grids_of(frame.account)]


def _row(frame: Frame, grid: Grid, instruments: dict[str, VenueInstrument]) -> SymbolRow:
    read, symbol = Reader(frame.account.slug, frame.values), grid.symbol
    steps = desks.steps_of(instruments, symbol)
    cap = frame.mandate.max_symbol_drawdown_fraction if frame.mandate else None
    return SymbolRow(
        symbol=symbol,
        price=read.market(symbol, "px", steps.price),
        at=read.market(symbol, "t", 0),
        position=read.grid(symbol, "pos", steps.quantity),
        pnl=read.grid(symbol, "pnl", format="signed"),
        drawdown=Gauge(read.grid(symbol, "dd"), None if cap is None else float(cap * 100)),
        fill_rate=read.grid(symbol, "fr", 1),
        fills=read.grid(symbol, "fills", 0),
        held=read.grid(symbol, "held", 0),
        slots=read.grid(symbol, "slots", 0),
        state=read.grid(symbol, "state", format="text"),
        why=read.grid(symbol, "why", format="text"),
        grid_profit=read.grid(symbol, "grid_profit", 4, "signed"),
        floating=read.grid(symbol, "floating", 4, "signed"),
        position_quote=read.grid(symbol, "pos_quote"),
        working=read.grid(symbol, "working", 0),
        regime=read.grid(symbol, "regime", format="text"),
        floor=read.grid(symbol, "floor", 3),
        advice=read.grid(symbol, "advice", format="text"),
    )


def gate_card(mandate: Mandate | None) -> GateCard | None:
    """Return the phase in force, None without a mandate."""
    if mandate is None:
        return None
    return GateCard(
        phase=mandate.phase,
        capital=short(mandate.capital_quote),
        since=mandate.put_into_force_at,
    )


def engine_lines(frame: Frame) -> list[EngineLine]:
    """Return how the engine does beside the key figures: money, latency by segment, data, books."""
    read = Reader(frame.account.slug, frame.values)
    rate, state = (Cell(key, frame.values.get(key)) for key in (live.feed("rate"), live.feed("state")))
    return [
        EngineLine("Grid profit, day", (read.desk("grid_profit_day", 4, "signed"),), "USDT, matched round trips"),
        EngineLine("Fees, day", (read.desk("fees_day", 4),), "USDT"),
        EngineLine("Tick → submit, p50 / p99", (read.desk("t2s_p50", 1), read.desk("t2s_p99", 1)), "ms"),
        EngineLine("Submit → ack, p50 / p99", (read.desk("lat_p50", 1), read.desk("lat_p99", 1)), "ms"),
        EngineLine("Under the high-water mark", (read.desk("hwdd"),), "%"),
        EngineLine("Market data", (replace(state, format="text"), replace(rate, decimals=0)), "messages/s"),
        EngineLine("Open orders: ours / venue's", (read.desk("reconcile.local", 0), read.desk("reconcile.venue", 0))),
    ]


def grid_count(account: Account) -> str:
    """Return the line beside the table's title: "2 grids, 1 paused"."""
    grids = desks.grids_of(account)
    paused = sum(bool(grid.paused_reason) for grid in grids)
    counted = "1 grid" if len(grids) == 1 else f"{len(grids)} grids"
    return f"{counted}, {paused} paused" if paused else counted
