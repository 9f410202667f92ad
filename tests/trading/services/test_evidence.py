"""Every closed hour is rolled up once, and again when something of it becomes known later."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.trading.measured import BTC, HOUR, MINUTE, Measured, minute
from trading.domain.evidence import Facts, SymbolFacts
from trading.domain.orders import OrderStatus, OrderType
from trading.models import ConductSample, HourFacts
from trading.services import evidence, samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Measured:
    return Measured.desk()


def facts_of(hour: datetime) -> Facts:
    (one,) = HourFacts.objects.get(hour=hour).facts
    return Facts.from_json(one["facts"])


def symbol(hour: datetime) -> SymbolFacts:
    return facts_of(hour).symbols[BTC]


def test_an_hour_holds_its_minutes_orders_and_fills(desk: Measured, now: datetime) -> None:
    desk.watch(now, 60)
    desk.ask(now, filled=4, status=OrderStatus.EXPIRED)
    desk.sell(now + MINUTE, "0.5")
    desk.sell(now + 59 * MINUTE, "-0.25")

    assert evidence.roll_up(now + HOUR + MINUTE) == 1

    found = facts_of(now)
    assert (found.watched_ns, found.samples, found.latency.samples) == (3_600 * 10**9, 60, 600)
    assert found.symbols[BTC] == SymbolFacts(24, 30, 3, 0, 0, 2, 2, 1, Decimal("0.5"), Decimal("0.25"), 3)


def test_rolling_up_again_changes_nothing(desk: Measured, now: datetime) -> None:
    desk.watch(now, 180)
    desk.sell(now, "0.5")
    evidence.roll_up(now + 3 * HOUR + MINUTE)
    before = list(HourFacts.objects.values())

    assert evidence.roll_up(now + 3 * HOUR + 6 * MINUTE) == 0
    assert list(HourFacts.objects.values()) == before
    assert len(before) == 3


@pytest.mark.parametrize(("after", "expected"), [(timedelta(), 0), (MINUTE, 1)], ids=["at the turn", "a minute later"])
def test_an_hour_is_closed_once_its_last_minute_is_stored(
    desk: Measured, now: datetime, after: timedelta, expected: int
) -> None:
    desk.watch(now, 60)

    assert evidence.roll_up(now + HOUR + after) == expected


def test_an_hour_in_which_nothing_was_seen_is_a_row_too(desk: Measured, now: datetime) -> None:
    desk.watch(now, 1)

    evidence.roll_up(now + 3 * HOUR + MINUTE)

    assert facts_of(now + HOUR) == Facts()
    assert HourFacts.objects.count() == 3


def test_an_account_that_never_did_anything_has_no_rows(desk: Measured, now: datetime) -> None:
    assert evidence.roll_up(now) == 0


def test_a_fill_that_is_booked_late_is_still_counted(desk: Measured, now: datetime) -> None:
    desk.sell(now, "0.5")
    evidence.roll_up(now + HOUR + MINUTE)
    desk.sell(now + MINUTE, "0.5")

    assert evidence.roll_up(now + HOUR + 6 * MINUTE) == 1
    assert symbol(now).round_trips == 2
    assert evidence.roll_up(now + HOUR + 11 * MINUTE) == 0


def test_an_order_whose_end_is_learned_late_is_still_counted(desk: Measured, now: datetime) -> None:
    order = desk.ask(now, status=OrderStatus.UNKNOWN, filled=0)
    evidence.roll_up(now + HOUR + MINUTE)
    before = symbol(now)
    desk.store(replace(order, status=OrderStatus.EXPIRED), now + HOUR + 2 * MINUTE)

    evidence.roll_up(now + HOUR + 6 * MINUTE)

    assert (before.ended, before.asked_lots) == (0, 0)
    assert (symbol(now).ended, symbol(now).asked_lots) == (1, 10)


def test_an_order_whose_answer_is_learned_late_is_still_counted(desk: Measured, now: datetime) -> None:
    order = desk.ask(now, type=OrderType.LIMIT_MAKER, price_ticks=1, status=OrderStatus.UNKNOWN, filled=0)
    evidence.roll_up(now + HOUR + MINUTE)
    before = facts_of(now).total
    desk.store(replace(order, status=OrderStatus.REJECTED), now + HOUR + 2 * MINUTE)

    evidence.roll_up(now + HOUR + 6 * MINUTE)

    assert (before.answered, before.rejected) == (0, 0)
    assert (symbol(now).answered, symbol(now).rejected, symbol(now).ended) == (1, 1, 0)
    assert evidence.roll_up(now + HOUR + 11 * MINUTE) == 0


def test_a_closed_market_is_no_rejection_and_a_resting_order_is_answered(desk: Measured, now: datetime) -> None:
    desk.ask(now, type=OrderType.LIMIT_MAKER, price_ticks=1, status=OrderStatus.ACCEPTED, filled=0)
    desk.ask(now, status=OrderStatus.REJECTED, filled=0, reason="-1013: Market is closed.")
    desk.ask(now, status=OrderStatus.REJECTED, filled=0, reason="-2010: no money")

    evidence.roll_up(now + HOUR + MINUTE)

    assert (symbol(now).answered, symbol(now).rejected) == (2, 1)


def test_orders_that_never_left_are_not_asked_for(desk: Measured, now: datetime) -> None:
    desk.ask(now, status=OrderStatus.DENIED, filled=0)
    desk.ask(now, status=OrderStatus.REJECTED, filled=0, reason="withdrawn: the halt came in the same turn")
    desk.ask(now, status=OrderStatus.REJECTED, filled=0, reason="no money")

    evidence.roll_up(now + HOUR + MINUTE)

    assert (symbol(now).ended, symbol(now).asked_lots) == (1, 10)
    assert (symbol(now).answered, symbol(now).rejected) == (1, 1)


def test_a_minute_is_stored_once_whoever_tells_it(desk: Measured, now: datetime) -> None:
    desk.watch(now, 1)
    evidence.record_minute(account="micro", facts=minute(readings=9), at=now + timedelta(seconds=30))

    assert Facts.from_json(ConductSample.objects.get().facts).readings == 4


def test_an_accelerated_hour_keeps_its_market_hours_apart(desk: Measured, now: datetime) -> None:
    desk.watch(now, 60, speed=60)
    desk.sell(now + 30 * MINUTE, "0.5")

    evidence.roll_up(now + HOUR + MINUTE)

    stored = HourFacts.objects.get().facts
    assert [one["minute"] for one in stored] == list(range(60))
    assert Facts.from_json(stored[30]["facts"]).total.round_trips == 1


def test_an_hour_whose_minutes_may_be_gone_is_not_rolled_up_again(desk: Measured, now: datetime) -> None:
    desk.watch(now, 60)
    evidence.roll_up(now + HOUR + MINUTE)
    week = now + timedelta(days=8)
    samples.prune(at=week)
    desk.sell(now, "0.5")

    evidence.roll_up(week)

    assert not ConductSample.objects.exists()
    assert facts_of(now).samples == 60
