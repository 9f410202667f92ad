"""Store and prune samples: equity every five seconds, latency and conduct every minute."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from trading.domain.latency import Histogram
from trading.models import Account, ConductSample, EquitySample, LatencySample, ModelForecast

KEEP_EQUITY: Final = timedelta(days=7)
KEEP_LATENCY: Final = timedelta(days=30)
KEEP_CONDUCT: Final = timedelta(days=7)  # rolled up by then
KEEP_FORECASTS: Final = timedelta(days=60)  # what models said; a promotion looks back days or weeks (ours)


def record_equity(
    *,
    account: str,
    equity_quote: Decimal,
    pnl_day_quote: Decimal,
    drawdown_fraction: Decimal,
    lap: int,
    at: datetime,
) -> None:
    """Store the equity of `account` (its slug) at one moment."""
    EquitySample.objects.create(
        account=Account.objects.get(slug=account),
        equity_quote=equity_quote,
        pnl_day_quote=pnl_day_quote,
        drawdown_fraction=float(drawdown_fraction),
        lap=lap,
        at=at,
    )


def record_latency(*, account: str, segments: Mapping[str, Histogram], at: datetime) -> None:
    """Store one minute of each latency segment of `account` (its slug)."""
    owner = Account.objects.get(slug=account)
    LatencySample.objects.bulk_create(
        LatencySample(account=owner, segment=segment, counts=h.to_json(), samples=h.samples, at=at)
        for segment, h in segments.items()
    )


def prune(*, at: datetime) -> dict[str, int]:
    """Delete samples that are older than we keep them; return how many of each kind."""
    equity, _ = EquitySample.objects.filter(at__lt=at - KEEP_EQUITY).delete()
    latency, _ = LatencySample.objects.filter(at__lt=at - KEEP_LATENCY).delete()
    conduct, _ = ConductSample.objects.filter(at__lt=at - KEEP_CONDUCT).delete()
    forecasts, _ = ModelForecast.objects.filter(at__lt=at - KEEP_FORECASTS).delete()
    return {"equity": equity, "latency": latency, "conduct": conduct, "forecasts": forecasts}
