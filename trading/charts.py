"""Figures as plain dicts for the browser: price with ladder and fills, drawdown with its limits."""

from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict

from trading.models import Account, Mandate
from trading.selectors import desks, history, symbols

WINDOW: Final = timedelta(minutes=5)
RECENT_MS: Final = 30_000
DRAWDOWN_SPAN: Final = timedelta(hours=6)


class PriceChart(TypedDict):
    """Columns are parallel; times are ms since 1970 UTC."""

    symbol: str
    decimals: int
    t: list[int]
    price: list[float]
    levels: list[float]
    fills: list[tuple[int, float, int, float]]
    seams: list[tuple[int, int]]


class DrawdownChart(TypedDict):
    """Drawdown of the trading day in percent, deepest per bucket; the limits are None without a mandate."""

    t: list[int]
    drawdown: list[float]
    stop: float | None
    hard: float | None
    seams: list[tuple[int, int]]


class RecentPrices(TypedDict):
    """The last half minute per symbol as (t_ms, price), and what time it is here."""

    now: int
    prices: dict[str, list[tuple[int, float]]]


def price_chart(account: Account, symbol: str, now: datetime) -> PriceChart:
    """Return the last minutes of `symbol` as `account` trades it."""
    ring = history.prices(symbol)
    since = datetime.fromtimestamp(ring[0][0] / 1_000, UTC) if ring else now - WINDOW
    return PriceChart(
        symbol=symbol,
        decimals=desks.steps_of(desks.instruments_of(account), symbol).price,
        t=[at_ms for at_ms, _ in ring],
        price=[price for _, price in ring],
        levels=symbols.levels_of(account, symbol),
        fills=history.fills(account, symbol, since),
        seams=history.seams(account, since),
    )


def drawdown_chart(account: Account, mandate: Mandate | None, now: datetime) -> DrawdownChart:
    """Return the last hours of drawdown against the limits in force."""
    series = history.drawdown(account, now, DRAWDOWN_SPAN)
    return DrawdownChart(
        t=series.at_ms,
        drawdown=series.drawdown_percent,
        stop=float(mandate.max_daily_drawdown_fraction * 100) if mandate else None,
        hard=float(mandate.max_daily_drawdown_hard_fraction * 100) if mandate else None,
        seams=history.seams(account, now - DRAWDOWN_SPAN),
    )


def recent_prices(account: Account, now: datetime) -> RecentPrices:
    """Return the last half minute of every symbol `account` trades."""
    now_ms = round(now.timestamp() * 1_000)
    return RecentPrices(
        now=now_ms,
        prices={
            grid.symbol: [point for point in history.prices(grid.symbol) if point[0] >= now_ms - RECENT_MS]
            for grid in desks.grids_of(account)
        },
    )
