"""Every limit of the mandate with what stands against it now."""

from dataclasses import dataclass
from typing import Final

from trading.models import Mandate
from trading.selectors import desks
from trading.selectors.frame import Frame
from trading.selectors.numbers import Cell, Gauge, percent, plain
from trading.selectors.overview import Reader

OURS: Final = " (ours)"  # the roadmap leaves this limit unset (decisions.md 18)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit: what it bounds, the live value, the bar, and what happens when it is reached."""

    title: str
    cell: Cell | None
    unit: str
    limit: str
    gauge: Gauge | None
    consequence: str


@dataclass(frozen=True, slots=True)
class ExposureLine:
    """What is held on one symbol against the symbol's cap."""

    symbol: str
    position: Cell
    value: Cell
    gauge: Gauge
    limit: str
    drawdown: Gauge


def limit_lines(frame: Frame) -> list[LimitLine]:
    """Return the desk's limits in the order an operator worries about them; empty without a mandate."""
    mandate = frame.mandate
    if mandate is None:
        return []
    read, capital = Reader(frame.account.slug, frame.values), mandate.capital_quote
    drawdown, orders, trades = read.desk("dd"), read.desk("open_orders", 0), read.desk("trades_day", 0)
    stop, hard = mandate.max_daily_drawdown_fraction, mandate.max_daily_drawdown_hard_fraction
    return [
        LimitLine(
            "Drawdown, day: stop",
            drawdown,
            "%",
            f"{percent(stop)} = {plain(stop * capital)} USDT",
            Gauge(drawdown, float(stop * 100)),
            "Halts: cancels everything, keeps positions",
        ),
        LimitLine(
            "Drawdown, day: hard stop",
            drawdown,
            "%",
            f"{percent(hard)} = {plain(hard * capital)} USDT",
            Gauge(drawdown, float(hard * 100)),
            "Halts and sells every position at market",
        ),
        LimitLine(
            "Open orders",
            orders,
            "",
            plain(mandate.max_open_orders, 0) + _ours(mandate, "max_open_orders"),
            Gauge(orders, mandate.max_open_orders),
            "Denies the next order",
        ),
        LimitLine(
            "Trades, day",
            trades,
            "",
            plain(mandate.max_daily_trades, 0) + _ours(mandate, "max_daily_trades"),
            Gauge(trades, mandate.max_daily_trades),
            "Denies the next order until the next trading day",
        ),
        LimitLine(
            "One lot",
            None,
            "",
            f"{percent(mandate.max_position_fraction)} = {plain(mandate.max_position_fraction * capital)} USDT",
            None,
            "Denies a larger order",
        ),
        LimitLine(
            "Exposure, all symbols",
            None,
            "",
            f"{percent(mandate.max_total_exposure_fraction, 0)} = "
            f"{plain(mandate.max_total_exposure_fraction * capital)} USDT"
            + _ours(mandate, "max_total_exposure_fraction"),
            None,
            "Denies a buy that could go beyond, resting buys counted as filled",
        ),
    ]


def exposure_lines(frame: Frame) -> list[ExposureLine]:
    """Return what each grid of the desk holds."""
    mandate = frame.mandate
    if mandate is None:
        return []
    read, capital = Reader(frame.account.slug, frame.values), mandate.capital_quote
    instruments = desks.instruments_of(frame.account)
    cap = mandate.max_symbol_exposure_fraction * capital
    drawdown_cap = mandate.max_symbol_drawdown_fraction
    return [
        ExposureLine(
            symbol=grid.symbol,
            position=read.grid(grid.symbol, "pos", desks.steps_of(instruments, grid.symbol).quantity),
            value=read.grid(grid.symbol, "pos_quote"),
            gauge=Gauge(read.grid(grid.symbol, "pos_quote"), float(cap)),
            limit=plain(cap, 0) + _ours(mandate, "max_symbol_exposure_fraction"),
            drawdown=Gauge(read.grid(grid.symbol, "dd"), None if drawdown_cap is None else float(drawdown_cap * 100)),
        )
        for grid in desks.grids_of(frame.account)
    ]


def daily_stop(frame: Frame) -> str:
    """Return the drawdown at which the desk halts by itself: "2.00 %"; a dash without a mandate."""
    return percent(frame.mandate.max_daily_drawdown_fraction if frame.mandate else None)


def _ours(mandate: Mandate, name: str) -> str:
    return OURS if name in mandate.ours else ""
