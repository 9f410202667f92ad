"""Evidence that carries a model through every promotion, stored as the loops and tasks store it."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from tests.riskops import cast
from tests.trading.model_cast import forecasts
from trading.domain.evidence import Equity, Facts
from trading.domain.orders import Side
from trading.models import Account, Fill, FillMark, HourFacts, ModelVersion, Order
from trading.services import model_versions

HOUR: Final = timedelta(hours=1)
WEEK_H: Final = 168
HOUR_NS: Final = 3_600_000_000_000
FORECASTS_AN_HOUR: Final = 6  # just above a thousand bars in a week


def forecast_well(version: ModelVersion, since: datetime) -> datetime:
    """Store a week in which the model beat the rule and read what a replay reads; return its end."""
    end = forecasts(version, WEEK_H, since=since, step=FORECASTS_AN_HOUR)
    model_versions.record_replay(version, since=since, until=end, compared=300, equal=300, at=end)
    return end


def trade_well(account: Account, begin: datetime, hours: int = 2 * WEEK_H) -> datetime:
    """Store hours of a desk that earns a little every day, on BTCUSDT, with its fills; return their end."""
    HourFacts.objects.bulk_create(
        HourFacts(
            account=account, hour=begin + number * HOUR, unended=0, fills_seen=0,
            facts=[{"minute": 0, "facts": _hour(number).to_json()}],
        )
        for number in range(hours)
    )  # fmt: skip
    for number in range(0, hours, 6):
        _fill(account, begin + number * HOUR, number)
    return begin + hours * HOUR


def _hour(number: int) -> Facts:
    held = Decimal(300) + Decimal("0.01") * number + Decimal("0.02") * (number * 7 % 5)
    later = held + Decimal("0.01")
    equity = Equity.of(held).then(Equity.of(later))
    one = cast.good_minute()
    return replace(
        one, watched_ns=HOUR_NS, fed_ns=HOUR_NS, in_force_ns=HOUR_NS, market_ns=HOUR_NS, detailed_ns=HOUR_NS,
        accelerated=False, equity=equity,
    )  # fmt: skip


def _fill(account: Account, at: datetime, number: int) -> None:
    at_ns = int(at.timestamp() * 1e9)
    order = Order.objects.create(
        account=account, client_order_id=f"gc-{number}", symbol="BTCUSDT", side=Side.BUY, type="MARKET", purpose="GRID",
        slot=0, quantity=1, filled=1, quantity_lots=1, filled_lots=1, reference_ticks=100, status="FILLED",
        decided_at=at, decided_at_ns=at_ns, updated_at=at,
    )  # fmt: skip
    fill = Fill.objects.create(
        account=account, order=order, trade_id=number, symbol="BTCUSDT", side=Side.BUY, slot=0, price=100, quantity=1,
        price_ticks=100, quantity_lots=1, fee=0, fee_asset="USDT", maker=False, realized_quote=0, at=at, at_ns=at_ns,
    )  # fmt: skip
    FillMark.objects.create(fill=fill, mark=100, later=Decimal("99.99"), measured_at=at)
