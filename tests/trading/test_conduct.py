"""Rejects, fill rate and fees of a desk, measured on its rows and told once per cause."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils.module_loading import import_string

from trading import tasks
from trading.domain.latency import Histogram
from trading.models import Account, Alert, Fill, Order, RuleReading, TradingDay
from trading.selectors import conduct
from trading.services import alerts
from trading.services.samples import record_equity, record_latency

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def account() -> Account:
    account = Account.objects.create(slug="micro", name="Micro $300")
    TradingDay.objects.create(
        account=account,
        reason="start",
        opening_equity_quote=300,
        opening_cash_quote=300,
        opened_at=NOW - 9 * 60 * MINUTE,
    )
    return account


def add_orders(account: Account, count: int, *, at: datetime = NOW - MINUTE, **changes: Any) -> list[Order]:
    facts: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "purpose": "grid",
        "status": "FILLED",
    }
    facts |= {"quantity": 1, "quantity_lots": 10, "filled_lots": 10, "reference_ticks": 1, "decided_at_ns": 0}
    begin = Order.objects.count()
    rows = [
        Order(account=account, client_order_id=str(n), decided_at=at, updated_at=at, **{**facts, **changes})
        for n in range(begin, begin + count)
    ]
    return Order.objects.bulk_create(rows)


def add_fill(order: Order, trade_id: int, *, at: datetime = NOW - MINUTE, **changes: Any) -> None:
    facts = {"symbol": order.symbol, "side": order.side, "slot": 0, "price": 1, "quantity": 1, "price_ticks": 1}
    facts |= {"quantity_lots": 10, "fee_asset": "USDT", "maker": True, "at": at, "at_ns": 0}
    Fill.objects.create(account=order.account, order=order, trade_id=trade_id, **{**facts, **changes})


def add_round_trips(account: Account, count: int, *, gross: str, fee: str, at: datetime = NOW - MINUTE) -> None:
    """Book lots that were bought and sold again, with `fee` on each side."""
    cost, begin = Decimal(fee), Fill.objects.count()
    for number in range(count):
        buy, sell = add_orders(account, 2, at=at)
        add_fill(buy, begin + 2 * number, at=at, fee=cost, realized_quote=-cost)
        realized = Decimal(gross) - cost
        sold = {"side": "SELL", "fee": cost, "realized_quote": realized, "grid_profit_quote": realized - cost}
        add_fill(sell, begin + 2 * number + 1, at=at, **sold)


def codes() -> list[str]:
    return sorted(alert.code for alert in Alert.objects.filter(acknowledged_at=None, severity="WARN"))


def test_rejects_count_what_was_to_leave_within_the_window(account: Account) -> None:
    add_orders(account, 19)
    add_orders(account, 1, status="REJECTED", filled_lots=0)
    add_orders(account, 5, status="DENIED", filled_lots=0)
    add_orders(account, 5, status="REJECTED", filled_lots=0, reason="withdrawn: the halt came in the same turn")
    add_orders(account, 5, status="REJECTED", filled_lots=0, reason="-1013: Market is closed.")
    add_orders(account, 5, status="REJECTED", filled_lots=0, at=NOW - 61 * MINUTE)

    rate = conduct.reject_rate(account, NOW - 60 * MINUTE)

    assert (rate.part, rate.whole) == (1, 20)


def test_the_fill_rate_is_of_market_orders_that_have_ended(account: Account) -> None:
    add_orders(account, 10)
    add_orders(account, 10, symbol="ETHUSDT", status="EXPIRED", quantity_lots=10_000, filled_lots=5_000)
    add_orders(account, 5, status="ACCEPTED", filled_lots=0)
    add_orders(account, 5, type="LIMIT_MAKER", status="CANCELED", filled_lots=0)

    rate = conduct.taker_fill_rate(account, NOW - 60 * MINUTE)

    assert (rate.fraction, rate.count) == (0.75, 20)


def test_fees_are_measured_on_the_profit_before_any_fee(account: Account) -> None:
    add_round_trips(account, 20, gross="0.8", fee="0.1")

    rate = conduct.fee_rate(account, NOW - 60 * MINUTE)

    assert (rate.fraction, rate.count) == (0.25, 20)


def test_a_fee_in_an_asset_without_a_price_makes_the_share_unknown(account: Account) -> None:
    add_round_trips(account, 20, gross="0.8", fee="0.1")
    add_fill(add_orders(account, 1)[0], 999, fee=Decimal("0.001"), fee_asset="BNB", realized_quote=0)

    assert conduct.fee_rate(account, NOW - 60 * MINUTE).fraction is None


def test_without_a_round_trip_nothing_is_told(account: Account) -> None:
    tasks.judge_account(account, at=NOW)

    assert codes() == []


def test_each_cause_is_one_standing_line_that_counts(account: Account) -> None:
    add_orders(account, 20, status="REJECTED", filled_lots=0)
    add_round_trips(account, 20, gross="0.5", fee="0.1")

    tasks.judge_account(account, at=NOW)
    tasks.judge_account(account, at=NOW + 5 * MINUTE)

    assert codes() == ["FEES", "FILL_RATE", "REJECTS"]
    assert {alert.times for alert in Alert.objects.all()} == {2}


def test_what_was_acknowledged_is_told_again_only_on_new_evidence(account: Account) -> None:
    add_orders(account, 20, status="REJECTED", filled_lots=0, type="LIMIT_MAKER")
    tasks.judge_account(account, at=NOW)
    alerts.acknowledge(alert_id=Alert.objects.get().pk, by=User.objects.create_user("engineer"), at=NOW)

    tasks.judge_account(account, at=NOW + MINUTE)
    assert codes() == []

    add_orders(account, 20, status="REJECTED", filled_lots=0, type="LIMIT_MAKER", at=NOW + 2 * MINUTE)
    tasks.judge_account(account, at=NOW + 5 * MINUTE)
    assert codes() == ["REJECTS"]


def test_what_is_kept_again_is_over(account: Account) -> None:
    rejected = add_orders(account, 20, status="REJECTED", filled_lots=0, type="LIMIT_MAKER")
    tasks.judge_account(account, at=NOW)

    Order.objects.filter(pk__in=[order.pk for order in rejected]).delete()
    tasks.judge_account(account, at=NOW + MINUTE)
    assert Alert.objects.get().cleared_at is None  # nothing measured: nobody knows

    add_orders(account, 20, type="LIMIT_MAKER", at=NOW)
    tasks.judge_account(account, at=NOW + 2 * MINUTE)
    assert Alert.objects.get().cleared_at == NOW + 2 * MINUTE


def test_each_look_is_kept_and_says_when_there_was_last_enough(account: Account) -> None:
    add_orders(account, 20, type="LIMIT_MAKER")
    tasks.judge_account(account, at=NOW)
    tasks.judge_account(account, at=NOW + 120 * MINUTE)

    reading = RuleReading.objects.get(code="REJECTS")
    assert (reading.is_broken, reading.known_at, reading.judged_at) == (None, NOW, NOW + 120 * MINUTE)


def latency(account: Account, ms: float, samples: int, at: datetime) -> None:
    histogram = Histogram()
    for _ in range(samples):
        histogram.record_ns(int(ms * 1_000_000))
    record_latency(account=account.slug, segments={"submit_ack": histogram}, at=at)


def test_a_slow_venue_is_told_once_it_has_been_slow_for_two_minutes(account: Account) -> None:
    latency(account, 1_600, 20, NOW)

    tasks.judge_account(account, at=NOW)
    assert codes() == []

    tasks.judge_account(account, at=NOW + 2 * MINUTE)
    assert codes() == ["VENUE_LATENCY"]
    assert "(limit: at most 1,500 ms)" in Alert.objects.get().message


@pytest.mark.parametrize(("ms", "samples"), [(1_400, 20), (1_600, 19)], ids=["fast", "too few"])
def test_a_venue_that_is_fast_or_hardly_asked_is_not_told_of(account: Account, ms: float, samples: int) -> None:
    latency(account, ms, samples, NOW)

    tasks.judge_account(account, at=NOW)
    tasks.judge_account(account, at=NOW + 2 * MINUTE)

    assert codes() == []


def test_every_task_on_the_beat_exists() -> None:
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert {"trading.tasks.judge_conduct", "riskops.tasks.judge_runs"} <= names
    assert all(callable(import_string(name)) for name in names)


def test_the_day_before_is_told_once_in_numbers(account: Account) -> None:
    Account.objects.update(created_at=NOW - 3 * 24 * 60 * MINUTE)
    yesterday = NOW - 24 * 60 * MINUTE
    add_fill(add_orders(account, 1, at=yesterday)[0], 1, at=yesterday, fee=0, realized_quote=Decimal("-0.5"))
    record_equity(
        account="micro", equity_quote=Decimal("299.5"), pnl_day_quote=Decimal(0), drawdown_fraction=Decimal(0), lap=0,
        at=yesterday,
    )  # fmt: skip

    for minute in (0, 15):
        account.refresh_from_db()
        tasks.summarise_day(account, at=NOW + minute * MINUTE)

    alert = Alert.objects.get(code="DAILY_SUMMARY")
    assert alert.message == "2026-11-20: orders traded: 1, realized P&L −0.50 USDT, equity 299.50 USDT."  # noqa: RUF001


def test_a_desk_of_today_has_no_day_before(account: Account) -> None:
    account.created_at = NOW
    tasks.summarise_day(account, at=NOW)

    assert not Alert.objects.exists()
