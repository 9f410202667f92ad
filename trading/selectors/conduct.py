"""How a desk trades, as what its alert rules look at; each in one query."""

from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, Q, QuerySet, Sum

from trading.domain.alarms import fee_share
from trading.domain.latency import Histogram
from trading.domain.metrics import Rate, mean_rate
from trading.domain.orders import MARKET_CLOSED, TERMINAL, WITHDRAWN, OrderStatus, OrderType, Side
from trading.models import Account, EquitySample, Fill, LatencySample, Order
from trading.selectors.numbers import plain, signed


def reject_rate(account: Account, since: datetime) -> Rate:
    """Return orders that ended REJECTED / orders that were to leave since `since`; denials are no orders.

    An order that was withdrawn before it left, or met a closed market, counts on neither side: it says nothing of how
    we order, and a replay closes its market at every seam.
    """
    rejected = Count("id", filter=Q(status=OrderStatus.REJECTED))
    judged = _sent(account, since).exclude(reason__startswith=MARKET_CLOSED)
    found = judged.aggregate(rejected=rejected, sent=Count("id"))
    return Rate(found["rejected"], found["sent"], found["sent"])


def taker_fill_rate(account: Account, since: datetime) -> Rate:
    """Return filled quantity / quantity of the MARKET orders since `since` that have ended, as mean over the symbols.

    Source:
        shared decision 3; the same rule as `trading.domain.metrics.TakerRate`, over rows.
    """
    ended = _sent(account, since).filter(type=OrderType.MARKET, status__in=TERMINAL)
    sums = ended.order_by().values_list("symbol").annotate(Sum("filled_lots"), Sum("quantity_lots"), Count("id"))
    return mean_rate(Rate(filled, asked, count) for _, filled, asked, count in sums)


def fee_rate(account: Account, since: datetime) -> Rate:
    """Return fees / gross grid profit of the fills since `since`, unknown where a fee is in neither base nor quote.

    The ledger books a buy at minus its fee, and a sell of a slot at its proceeds minus its fee minus the price paid:
    that plus the fee is the gross profit.
    """
    buys, sells = Q(side=Side.BUY), Q(side=Side.SELL)
    closed = sells & Q(grid_profit_quote__isnull=False)
    found = Fill.objects.filter(account=account, at__gte=since).aggregate(
        bought=Sum("realized_quote", filter=buys, default=Decimal(0)),
        sold=Sum("fee", filter=sells, default=Decimal(0)),
        gross=Sum(F("realized_quote") + F("fee"), filter=closed, default=Decimal(0)),
        round_trips=Count("order", filter=closed, distinct=True),
        without_value=Count(
            "id", filter=Q(fee__gt=0) & (sells & ~Q(fee_asset=account.quote) | buys & Q(realized_quote=0))
        ),
    )
    if found["without_value"]:
        return Rate(0, 0, found["round_trips"])
    return fee_share(found["sold"] - found["bought"], found["gross"], found["round_trips"])


def venue_latency(account: Account, since: datetime) -> Histogram:
    """Return how long the venue took from our request to its acknowledgement, over the minutes since `since`."""
    total = Histogram()
    rows = LatencySample.objects.filter(account=account, segment="submit_ack", at__gte=since).order_by()
    for counts in rows.values_list("counts", flat=True):
        total.add(Histogram.from_json(counts))
    return total


def day_in_words(account: Account, begin: datetime, end: datetime) -> str:
    """Return what was traded between two moments and what it brought: trades, realized P&L, equity at the end."""
    fills = Fill.objects.filter(account=account, at__gte=begin, at__lt=end).aggregate(
        trades=Count("order", distinct=True), realized=Sum("realized_quote")
    )
    samples = EquitySample.objects.filter(account=account, at__gte=begin, at__lt=end)
    equity = samples.order_by("-at").values_list("equity_quote", flat=True).first()
    parts = [f"orders traded: {fills['trades']}"]
    if fills["realized"] is not None:
        parts.append(f"realized P&L {signed(fills['realized'])} {account.quote}")
    parts.append(f"equity {plain(equity)} {account.quote}" if equity is not None else "equity not known")
    return ", ".join(parts) + "."


def _sent(account: Account, since: datetime) -> QuerySet[Order]:
    never_left = Q(status=OrderStatus.DENIED) | Q(reason=WITHDRAWN)
    return Order.objects.filter(account=account, decided_at__gte=since).exclude(never_left)
