"""One cause, one line: what repeats counts, until somebody has acknowledged it."""

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from trading.domain.events import Severity
from trading.models import Account, Alert, AuditEvent
from trading.services import alerts

pytestmark = pytest.mark.django_db


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
