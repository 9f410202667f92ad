"""One cause, one line: what repeats counts, until somebody has acknowledged it."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from trading.domain.events import Severity
from trading.models import Account, Alert, AuditEvent
from trading.selectors.frame import alert_count
from trading.services import alerts

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def raised(account: Account, at: datetime, *, severity: Severity = Severity.WARN, symbol: str = "") -> Alert:
    return alerts.raise_alert(
        account=account, severity=severity, code="FEED_LOST", message=f"at {at:%S}", symbol=symbol, at=at
    )


def test_a_repeated_warning_counts(account: Account, now: datetime) -> None:
    raised(account, now)
    again = raised(account, now + timedelta(seconds=5))

    assert (Alert.objects.get().times, again.message) == (2, "at 05")


def test_another_symbol_is_another_line(account: Account, now: datetime) -> None:
    raised(account, now, symbol="BTCUSDT")
    raised(account, now, symbol="ETHUSDT")

    assert Alert.objects.count() == 2


def test_what_happened_stays_a_list(account: Account, now: datetime) -> None:
    raised(account, now, severity=Severity.INFO)
    raised(account, now, severity=Severity.INFO)

    assert Alert.objects.count() == 2


def test_after_the_acknowledgement_a_new_line_begins(account: Account, now: datetime) -> None:
    engineer = User.objects.create_user("engineer")
    alerts.acknowledge(alert_id=raised(account, now).pk, by=engineer, at=now)

    raised(account, now)

    assert Alert.objects.filter(acknowledged_at=None).count() == 1
    assert Alert.objects.count() == 2


def test_acknowledging_twice_is_audited_once(account: Account, now: datetime) -> None:
    engineer = User.objects.create_user("engineer")
    alert = raised(account, now)

    for _ in range(2):
        alerts.acknowledge(alert_id=alert.pk, by=engineer, at=now)

    assert AuditEvent.objects.get().action == "alert.acknowledged"


def test_an_alert_that_is_gone_is_named(now: datetime) -> None:
    engineer = User.objects.create_user("engineer")

    with pytest.raises(alerts.UnableToAcknowledge, match="does not exist any more"):
        alerts.acknowledge(alert_id=404, by=engineer, at=now)


def test_what_is_over_stays_on_the_list_until_somebody_has_seen_it(account: Account, now: datetime) -> None:
    raised(account, now)

    assert alerts.clear_alerts(codes=["FEED_LOST"], account=account, at=now + MINUTE) == 1

    alert = Alert.objects.get()
    assert (alert.cleared_at, alert.acknowledged_at) == (now + MINUTE, None)


@pytest.mark.parametrize(
    ("codes", "symbol", "cleared"),
    [(["FEED_LOST"], None, 2), (["FEED_LOST"], "BTCUSDT", 1), (["FEED_LOST"], "", 0), (["REJECTS"], None, 0)],
    ids=["every symbol", "one symbol", "the desk itself", "another code"],
)
def test_only_what_is_named_is_over(
    account: Account, now: datetime, codes: list[str], symbol: str | None, cleared: int
) -> None:
    for each in ("BTCUSDT", "ETHUSDT"):
        raised(account, now, symbol=each)

    assert alerts.clear_alerts(codes=codes, account=account, symbol=symbol, at=now) == cleared


def test_what_comes_back_is_active_again_on_its_line(account: Account, now: datetime) -> None:
    raised(account, now)
    alerts.clear_alerts(codes=["FEED_LOST"], at=now)

    raised(account, now + MINUTE)

    alert = Alert.objects.get()
    assert (alert.times, alert.cleared_at, alert.raised_at) == (2, None, now)


def test_a_new_line_ends_the_acknowledged_one(account: Account, now: datetime) -> None:
    alerts.acknowledge(alert_id=raised(account, now).pk, by=User.objects.create_user("engineer"), at=now)

    raised(account, now + MINUTE)

    assert [one.cleared_at for one in Alert.objects.order_by("id")] == [now + MINUTE, None]


def test_the_worst_minute_is_kept(account: Account, now: datetime) -> None:
    for second in (0, 10, 20, 70, 80):
        raised(account, now + timedelta(seconds=second))

    alert = Alert.objects.get()
    assert (alert.times, alert.in_minute, alert.most_in_minute) == (5, 2, 3)


def test_a_shelved_alert_stays_one_line_even_when_acknowledged(account: Account, now: datetime) -> None:
    engineer, alert = User.objects.create_user("engineer"), raised(account, now)
    alerts.shelve(alert_id=alert.pk, by=engineer, hours=1, reason="the line is being mended", at=now)
    alerts.acknowledge(alert_id=alert.pk, by=engineer, at=now)

    raised(account, now + 59 * MINUTE)
    assert Alert.objects.count() == 1

    raised(account, now + 60 * MINUTE)
    assert Alert.objects.count() == 2


@pytest.mark.parametrize(
    ("hours", "reason", "refusal"),
    [
        (8, "the line is being mended", ""),
        (8.01, "the line is being mended", "at most 8 hours"),
        (0, "the line is being mended", "more than 0"),
        (float("nan"), "the line is being mended", "more than 0"),
        (1, "short    ", "at least 10 characters"),
    ],
    ids=["a shift", "longer", "not at all", "no number", "no reason"],
)
def test_shelving_is_bounded_and_says_why(
    account: Account, now: datetime, hours: float, reason: str, refusal: str
) -> None:
    engineer, alert = User.objects.create_user("engineer"), raised(account, now)

    if refusal:
        with pytest.raises(alerts.UnableToShelve, match=refusal):
            alerts.shelve(alert_id=alert.pk, by=engineer, hours=hours, reason=reason, at=now)
    else:
        alerts.shelve(alert_id=alert.pk, by=engineer, hours=hours, reason=reason, at=now)

    alert.refresh_from_db()
    assert (alert.shelved_until is None) is bool(refusal)
    assert AuditEvent.objects.filter(action="alert.shelved").count() == (0 if refusal else 1)


def test_a_shelved_alert_waits_for_nobody_and_can_be_taken_back(account: Account, now: datetime) -> None:
    engineer, alert = User.objects.create_user("engineer"), raised(account, now)
    alerts.shelve(alert_id=alert.pk, by=engineer, hours=1, reason="the line is being mended", at=now)
    assert (alert_count(account, now).warn, alert_count(account, now + 60 * MINUTE).warn) == (0, 1)

    for _ in range(2):
        alerts.unshelve(alert_id=alert.pk, by=engineer, at=now + MINUTE)

    assert alert_count(account, now + MINUTE).warn == 1
    actions = AuditEvent.objects.order_by("sequence").values_list("action", flat=True)
    assert list(actions) == ["alert.shelved", "alert.unshelved"]


def test_what_is_done_with_cannot_be_shelved(account: Account, now: datetime) -> None:
    engineer, alert = User.objects.create_user("engineer"), raised(account, now)
    alerts.acknowledge(alert_id=alert.pk, by=engineer, at=now)
    alerts.clear_alerts(codes=["FEED_LOST"], at=now)
    event = raised(account, now, severity=Severity.INFO)

    for pk, refusal in ((alert.pk, "nothing to shelve"), (event.pk, "does not exist"), (404, "does not exist")):
        with pytest.raises(alerts.UnableToShelve, match=refusal):
            alerts.shelve(alert_id=pk, by=engineer, hours=1, reason="the line is being mended", at=now)
