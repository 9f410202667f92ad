"""What happened at one account in one window, beside the metrics: routes, fees, rejects, alerts, halts, drills."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from statistics import mean
from typing import Any, Final

from django.db.models import Count, Q, Sum

from trading.domain.drift import YEAR_DAYS
from trading.domain.events import Severity
from trading.domain.evidence import Facts, merged
from trading.domain.latency import Histogram
from trading.domain.measuring import days_of
from trading.domain.orders import OrderStatus
from trading.models import Account, Alert, Fill, Halt, Order
from trading.selectors import drills
from trading.selectors.evidence import slices

PERCENTILES: Final = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def window_report(account: Account, since: datetime, until: datetime) -> dict[str, Any]:
    """Return it as JSON, numbers as text; None stands for what is not known."""
    found = slices(account, since, until)
    facts = merged(one.facts for one in found)
    _, days = days_of(found)
    closes = [day.equity.last for day in (merged(one.facts for one in each) for each in days) if day.equity]
    orders = Order.objects.filter(account=account, decided_at__gte=since, decided_at__lt=until)
    fills = Fill.objects.filter(account=account, at__gte=since, at__lt=until)
    return {
        "routes": _routes(orders, fills),
        "statistics": _statistics(facts, closes, fills),
        "latency": {
            "tick_to_submit_ms": _percentiles(facts.tick_submit),
            "submit_to_ack_ms": _percentiles(facts.latency),
            "ack_to_fill_ms": _percentiles(facts.ack_fill),
            "feed_ms": None,
        },
        "reliability": _reliability(facts, orders),
        "risk": _risk(account, orders, since, until),
        "drills": [
            {"drill": line.drill, "outcome": line.outcome or None, "at": _time(line.at), "by": line.by or None}
            for line in drills.lines(account, until)
        ],
    }


def _routes(orders: Any, fills: Any) -> list[dict[str, Any]]:
    asked = orders.exclude(status=OrderStatus.DENIED).values("symbol", "type").annotate(n=Count("id"))
    filled = {
        row["symbol"]: row for row in fills.values("symbol").annotate(n=Count("id"), maker=Count("id", Q(maker=True)))
    }
    return [
        {
            "symbol": row["symbol"],
            "type": row["type"],
            "orders": row["n"],
            "fills": filled.get(row["symbol"], {}).get("n", 0),
            "maker_fills": filled.get(row["symbol"], {}).get("maker", 0),
        }
        for row in asked.order_by("symbol", "type")
    ]


def _statistics(facts: Facts, closes: list[Decimal], fills: Any) -> dict[str, Any]:
    equity, total = facts.equity, facts.total
    fees = fills.order_by("fee_asset").values("fee_asset").annotate(sum=Sum("fee"))
    return {
        "pnl_quote": None if equity is None else str(equity.pnl),
        "max_drawdown_fraction": None if equity is None else str(equity.drawdown),
        "daily_drawdown_fraction": str(facts.daily_drawdown) if facts.samples else None,
        "sortino": _text(sortino(closes)),
        "calmar": _text(calmar(closes, None if equity is None else equity.drawdown)),
        "round_trips": total.round_trips,
        "wins": total.wins,
        "gain_quote": str(total.gain_quote),
        "loss_quote": str(total.loss_quote),
        "fees": {row["fee_asset"]: str(row["sum"]) for row in fees},
    }


def sortino(closes: list[Decimal]) -> Decimal | None:
    """Return mean daily return / deviation of the losing days * sqrt(365); None where no day lost or too few are known.

    Source:
        F. A. Sortino, L. N. Price (1994), "Performance Measurement in a Downside Risk Framework", Journal of
        Investing 3(3), 59-64.
    """
    returns = _returns(closes)
    downside = mean([min(one, Decimal(0)) ** 2 for one in returns]) if len(returns) > 1 else Decimal(0)
    return mean(returns) / downside.sqrt() * Decimal(YEAR_DAYS).sqrt() if downside else None


def calmar(closes: list[Decimal], drawdown: Decimal | None) -> Decimal | None:
    """Return the mean daily return of a year / the deepest drawdown; None where nothing fell, or too little is known.

    Source:
        T. W. Young (1991), "Calmar Ratio: A Smoother Tool", Futures 20(1).
    """
    returns = _returns(closes)
    return mean(returns) * YEAR_DAYS / drawdown if returns and drawdown else None


def _returns(closes: list[Decimal]) -> list[Decimal]:
    return [after / before - 1 for before, after in pairwise(closes) if before > 0]


def _percentiles(histogram: Histogram) -> dict[str, Any]:
    found = {name: histogram.percentile_ms(percent) for name, percent in PERCENTILES.items()}
    return {name: None if value is None else str(value) for name, value in found.items()} | {
        "samples": histogram.samples
    }


def _reliability(facts: Facts, orders: Any) -> dict[str, Any]:
    return {
        "watched_s": str(Decimal(facts.watched_ns) / 10**9),
        "fed_s": str(Decimal(facts.fed_ns) / 10**9),
        "downtime_s": str(Decimal(facts.watched_ns - facts.fed_ns) / 10**9),
        "reconnects": facts.feed_losses if facts.detailed_ns else None,
        "readings": facts.readings,
        "sync_mismatches": facts.readings - facts.in_sync,
        "rejects": _by_reason(orders.filter(status=OrderStatus.REJECTED)),
        "stuck_orders": orders.filter(status=OrderStatus.UNKNOWN).count(),
    }


def _risk(account: Account, orders: Any, since: datetime, until: datetime) -> dict[str, Any]:
    mine = Q(account=account) | Q(account=None)
    alerts = Alert.objects.filter(mine, severity__in=(Severity.CRIT, Severity.WARN), at__gte=since, at__lt=until)
    halts = Halt.objects.filter(account=account, latched_at__gte=since, latched_at__lt=until).order_by("id")
    told = alerts.order_by("severity", "code").values("severity", "code").annotate(n=Count("id"), times=Sum("times"))
    return {
        "denials": _by_reason(orders.filter(status=OrderStatus.DENIED)),
        "alerts": [dict(row) for row in told],
        "halts": [
            {"by": halt.requested_by, "reason": halt.reason, "at": _time(halt.latched_at), "stage": str(halt.stage)}
            for halt in halts
        ],
    }


def _by_reason(orders: Any) -> dict[str, int]:
    rows: Iterable[tuple[str, int]] = orders.order_by("reason").values_list("reason").annotate(n=Count("id"))
    counts: dict[str, int] = {}
    for reason, count in rows:
        code = reason.partition(":")[0] or "no reason given"
        counts[code] = counts.get(code, 0) + count
    return counts


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
