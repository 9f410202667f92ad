"""What a chart starts from: prices, fills and drawdown of the recent past."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trading import live
from trading.domain.orders import Side
from trading.models import Account, EquitySample, Fill, TradingDay

FILLS_SHOWN: Final = 400
SAMPLES_READ: Final = 20_000  # about five hours of one sample a second
POINTS: Final = 1_000  # more than a chart has pixels across its half


@dataclass(frozen=True, slots=True)
class DrawdownSeries:
    """Lowest equity per bucket of time: a drawdown is never averaged away."""

    at_ms: list[int]
    drawdown_percent: list[float]


def prices(symbol: str) -> list[tuple[int, float]]:
    """Return the recent (t_ms, price) of `symbol`, oldest first."""
    return live.price_history(symbol)


def fills(account: Account, symbol: str, since: datetime) -> list[tuple[int, float, int, float]]:
    """Return (t_ms, price, +1 buy or -1 sell, base quantity) of the fills since, oldest first."""
    rows = (
        Fill.objects.filter(account=account, symbol=symbol, at__gte=since)
        .order_by("-at")
        .values_list("at_ns", "price", "side", "quantity")[:FILLS_SHOWN]
    )
    found = [(ns // 1_000_000, float(price), 1 if side == Side.BUY else -1, float(q)) for ns, price, side, q in rows]
    return found[::-1]


def seams(account: Account, since: datetime) -> list[tuple[int, int]]:
    """Return (t_ms, lap that began) of the seams since, oldest first."""
    rows = TradingDay.objects.filter(account=account, reason="seam", opened_at__gte=since).order_by("id")
    return [(round(day.opened_at.timestamp() * 1_000), day.lap) for day in rows]


def drawdown(account: Account, now: datetime, span: timedelta) -> DrawdownSeries:
    """Return the drawdown of the trading day over `span`, the deepest of each bucket, oldest first."""
    rows = (
        EquitySample.objects.filter(account=account, at__gte=now - span)
        .order_by("-at")
        .values_list("at", "drawdown_fraction")[:SAMPLES_READ]
    )
    bucket_ms = max(1_000, int(span.total_seconds() * 1_000) // POINTS)
    deepest: dict[int, float] = {}
    for at, fraction in rows:
        start = int(at.timestamp() * 1_000) // bucket_ms * bucket_ms
        deepest[start] = max(deepest.get(start, 0.0), fraction * 100)
    times = sorted(deepest)
    return DrawdownSeries(times, [deepest[at] for at in times])
