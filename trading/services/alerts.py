"""Raise and acknowledge alerts."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from trading import live
from trading.domain.events import Severity
from trading.domain.modes import Mode
from trading.models import Account, Alert
from trading.services import audit


class UnableToAcknowledge(Exception):
    """The alert stays as it is; the message is fit for the operator."""


def raise_alert(
    *, account: Account | None, severity: Severity, code: str, message: str, symbol: str = "", at: datetime
) -> Alert:
    """Store an alert and tell every open browser.

    What repeats a WARN or CRIT that nobody has acknowledged yet renews that one and counts: one cause, one line.
    """
    if account is not None and account.mode != Mode.PAPER:  # wherever it is read, chat and mail included
        message = f"{account.mode}: {message}"
    facts = {"account": account, "severity": severity, "code": code, "symbol": symbol}
    with transaction.atomic():
        alert = _standing(facts) if severity is not Severity.INFO else None
        if alert is None:
            alert = Alert.objects.create(**facts, message=message[:300], at=at)
        else:
            alert.message, alert.at, alert.times = message[:300], at, alert.times + 1
            alert.save(update_fields=["message", "at", "times"])
        if severity is Severity.CRIT:
            slug = account.slug if account else None
            transaction.on_commit(partial(live.send_command, {"cmd": "crit", "account": slug}))
        transaction.on_commit(partial(live.publish_events, "alerts"))
    return alert


def _standing(facts: dict[str, Any]) -> Alert | None:
    return Alert.objects.select_for_update().filter(**facts, acknowledged_at=None).order_by("-id").first()


def acknowledge(*, alert_id: int, by: User, at: datetime) -> Alert:
    """Mark one alert as seen by `by`; a second acknowledgement changes nothing.

    Raises:
        UnableToAcknowledge: there is no such alert.
    """
    with transaction.atomic():
        alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
        if alert is None:
            raise UnableToAcknowledge("This alert does not exist any more; reload the list.")
        if alert.acknowledged_at is None:
            alert.acknowledged_at, alert.acknowledged_by = at, by
            alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
            payload = {"alert": alert.pk, "code": alert.code}
            audit.record(
                actor=by.username, action="alert.acknowledged", subject=f"alert:{alert.pk}", payload=payload, at=at
            )
            transaction.on_commit(partial(live.publish_events, "alerts"))
    return alert
