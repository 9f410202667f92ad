"""Raise and acknowledge alerts."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q

from trading import live
from trading.domain.alarms import why_not_shelve
from trading.domain.events import Severity
from trading.domain.modes import Mode
from trading.models import Account, Alert, RuleReading
from trading.models.watch import THIS_TRANSACTION
from trading.services import audit
from trading.services.locks import lock_account


class UnableToAcknowledge(Exception):
    """The alert stays as it is; the message is fit for the operator."""


def raise_alert(
    *, account: Account | None, severity: Severity, code: str, message: str, symbol: str = "", at: datetime
) -> Alert:
    """Store an alert and tell every open browser.

    What repeats a WARN or CRIT that nobody has acknowledged yet, or that is shelved, renews that one and counts: one
    cause, one line. What was acknowledged before ends with the line that begins now.
    """
    if account is not None and account.mode != Mode.PAPER:  # wherever it is read, chat and mail included
        message = f"{account.mode}: {message}"
    facts: dict[str, Any] = {"account": account, "severity": severity, "code": code, "symbol": symbol}
    with transaction.atomic():
        alert = _standing(facts, at) if severity is not Severity.INFO else None
        if alert is None:
            Alert.objects.filter(**facts, cleared_at=None).exclude(severity=Severity.INFO).update(cleared_at=at)
            alert = Alert.objects.create(**facts, message=message[:300], raised_at=at, at=at)
        else:
            _renew(alert, message, at)
        if severity is Severity.CRIT:
            slug = account.slug if account else None
            transaction.on_commit(partial(live.send_command, {"cmd": "crit", "account": slug}))
        transaction.on_commit(partial(live.publish_events, "alerts"))
    return alert


def _standing(facts: dict[str, Any], at: datetime) -> Alert | None:
    open_or_shelved = Q(acknowledged_at=None) | Q(shelved_until__gt=at)
    return Alert.objects.select_for_update().filter(open_or_shelved, **facts).order_by("-id").first()


def _renew(alert: Alert, message: str, at: datetime) -> None:
    is_same_minute = at.replace(second=0, microsecond=0) == alert.at.replace(second=0, microsecond=0)
    alert.message, alert.at, alert.times, alert.cleared_at = message[:300], at, alert.times + 1, None
    alert.in_minute = alert.in_minute + 1 if is_same_minute else 1
    alert.most_in_minute = max(alert.most_in_minute, alert.in_minute)
    alert.stored_in = THIS_TRANSACTION
    alert.save(update_fields=["message", "at", "times", "cleared_at", "in_minute", "most_in_minute", "stored_in"])


def clear_alerts(
    *, codes: Collection[str], at: datetime, account: Account | None = None, symbol: str | None = None
) -> int:
    """Say that what these codes told of is over, everywhere or at `account`, on every symbol or one; return how many.

    It stays on the list until somebody has acknowledged it.
    """
    rows = Alert.objects.filter(code__in=codes, cleared_at=None).exclude(severity=Severity.INFO)
    if account is not None:
        rows = rows.filter(account=account)
    if symbol is not None:
        rows = rows.filter(symbol=symbol)
    with transaction.atomic():
        if count := rows.update(cleared_at=at):
            transaction.on_commit(partial(live.publish_events, "alerts"))
    return count


def end_quiet(*, codes: Collection[str], quiet_since: datetime) -> int:
    """Let end what these codes told of and what has not repeated since then; return how many."""
    rows = Alert.objects.filter(code__in=codes, cleared_at=None, at__lte=quiet_since)
    return rows.exclude(severity=Severity.INFO).update(cleared_at=F("at"))


def acknowledge(*, alert_id: int, by: User, at: datetime) -> Alert:
    """Mark one alert as seen by `by`; a second acknowledgement changes nothing.

    Raises:
        UnableToAcknowledge: there is no such alert.
    """
    with transaction.atomic():
        alert = _locked(alert_id)
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


def take_back_acknowledgement(*, alert_id: int, by: User, at: datetime) -> Alert:
    """Let one alert wait again, as if nobody had seen it; one that waits stays as it is.

    Raises:
        UnableToAcknowledge: there is no such alert, or a newer line tells of the same.
    """
    with transaction.atomic():
        alert = _locked(alert_id)
        if alert is None:
            raise UnableToAcknowledge("This alert does not exist any more; reload the list.")
        same = Alert.objects.filter(account=alert.account, code=alert.code, symbol=alert.symbol)
        if same.filter(severity=alert.severity, pk__gt=alert.pk).exists():
            raise UnableToAcknowledge("It was raised again since: the newer line is the one to look at.")
        if alert.acknowledged_at is not None:
            alert.acknowledged_at = alert.acknowledged_by = None
            alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
            payload = {"alert": alert.pk, "code": alert.code}
            audit.record(
                actor=by.username, action="alert.unacknowledged", subject=f"alert:{alert.pk}", payload=payload, at=at
            )
            transaction.on_commit(partial(live.publish_events, "alerts"))
    return alert


class UnableToShelve(Exception):
    """The alert stays as it is; the message is fit for the operator."""


def shelve(*, alert_id: int, by: User, hours: float, reason: str, at: datetime) -> Alert:
    """Put one alert aside for a while: it tells nobody, and returns by itself.

    Raises:
        UnableToShelve: there is no such alarm, it is done with, too long, or without a reason.
    """
    if refusal := why_not_shelve(hours=hours, reason=reason):
        raise UnableToShelve(refusal)
    with transaction.atomic():
        alert = _alarm(alert_id)
        if alert.acknowledged_at is not None and alert.cleared_at is not None:
            raise UnableToShelve("This alert is over and acknowledged; there is nothing to shelve.")
        alert.shelved_until, alert.shelved_by = at + timedelta(hours=hours), by
        alert.shelved_why = reason.strip()[:300]
        alert.save(update_fields=["shelved_until", "shelved_by", "shelved_why"])
        payload = {"code": alert.code, "until": alert.shelved_until.isoformat(), "reason": alert.shelved_why}
        _record_shelving(alert, "alert.shelved", payload, by, at)
    return alert


def unshelve(*, alert_id: int, by: User, at: datetime) -> Alert:
    """Take a shelved alert back before its time; one that is not shelved stays as it is.

    Raises:
        UnableToShelve: there is no such alarm.
    """
    with transaction.atomic():
        alert = _alarm(alert_id)
        if alert.shelved_until is not None and alert.shelved_until > at:
            alert.shelved_until = at
            alert.save(update_fields=["shelved_until"])
            _record_shelving(alert, "alert.unshelved", {"code": alert.code}, by, at)
    return alert


def record_reading(*, account: Account, code: str, is_broken: bool | None, text: str, at: datetime) -> RuleReading:
    """Keep what one look at a measured rule found; return it with what earlier looks say of it."""
    with transaction.atomic():
        reading = RuleReading.objects.select_for_update().filter(account=account, code=code).first()
        reading = reading or RuleReading(account=account, code=code)
        reading.is_broken, reading.text, reading.judged_at = is_broken, text[:300], at
        if is_broken is not None:
            reading.known_at = at
            reading.broken_since = (reading.broken_since or at) if is_broken else None
        reading.save()
    return reading


def _locked(alert_id: int) -> Alert | None:
    of = Alert.objects.filter(pk=alert_id).values_list("account_id", flat=True).first()
    if of is not None:
        lock_account(of)
    return Alert.objects.select_for_update().filter(pk=alert_id).first()


def _alarm(alert_id: int) -> Alert:
    alert = _locked(alert_id)
    if alert is None or alert.severity == Severity.INFO:
        raise UnableToShelve("This alert does not exist any more; reload the list.")
    return alert


def _record_shelving(alert: Alert, action: str, payload: dict[str, Any], by: User, at: datetime) -> None:
    audit.record(actor=by.username, action=action, subject=f"alert:{alert.pk}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "alerts"))
