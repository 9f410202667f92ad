"""Break the glass: two people, a reason, a few hours; everybody hears of it, and the gate waits for its review."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import transaction

from riskops.domain.break_glass import GRANTED_WITHIN, METRIC, why_not_ask, why_not_break
from riskops.models import BreakGlass, Incident, PhaseRun
from riskops.standing import glass_asked, glass_broken, lock_newest_run
from trading import live
from trading.domain.events import Severity
from trading.services import alerts, audit
from trading.services.locks import lock_account

if TYPE_CHECKING:
    from trading.models import Account


class UnableToBreak(Exception):
    """The glass is as it was; the message is fit for the operator."""


def ask(*, account: "Account", by: User, reason: str, hours: int, at: datetime) -> BreakGlass:
    """Ask a second person to break the glass.

    Raises:
        UnableToBreak: this person may not, it is broken or asked for, or the last time is not reviewed.
    """
    with transaction.atomic():
        lock_newest_run(account)
        review = Incident.objects.filter(account=account, metric=METRIC, closed_at=None)
        _refuse_if(
            why_not_ask(
                roles=_roles(by),
                reason=reason,
                hours=hours,
                is_reviewed=not review.exists(),
                is_open=bool(glass_broken(account, at) or glass_asked(account, at)),
            )
        )
        row = BreakGlass.objects.create(
            account=account,
            reason=reason.strip(),
            hours=hours,
            asked_by=by,
            asked_at=at,
            expires_at=at + GRANTED_WITHIN,
        )
        _record(by, "breakglass.asked", row, {"reason": row.reason, "hours": hours}, at)
    return row


def grant(*, glass_id: int, by: User, at: datetime) -> BreakGlass:
    """Break the glass: it is in force until its hours are over.

    Raises:
        UnableToBreak: the same person, neither CTO nor CEO among the two, or it is over.
    """
    with transaction.atomic():
        _lock_account_of(glass_id)
        row = _open(glass_id, at)
        if row.granted_at is not None:
            raise UnableToBreak("It was granted already; reload the page.")
        _refuse_if(
            why_not_break(
                same_person=row.asked_by_id == by.pk,
                asker_roles=_roles(row.asked_by),
                roles=_roles(by),
                waited=at - row.asked_at,
            )
        )
        row.granted_by, row.granted_at, row.expires_at = by, at, at + timedelta(hours=row.hours)
        row.save(update_fields=["granted_by", "granted_at", "expires_at"])
        incident = _shout(row, at)
        _record(by, "breakglass.granted", row, {"until": row.expires_at.isoformat()}, at)
        if incident is not None:
            subject = f"account:{row.account.slug}"
            payload = {"incident": incident.pk, "what": incident.what, "failed_run": False}
            audit.record(actor="governance", action="incident.opened", subject=subject, payload=payload, at=at)
    return row


def end(*, glass_id: int, by: User, at: datetime) -> BreakGlass:
    """End it before its time, or take the question back; anybody of the desk may.

    Raises:
        UnableToBreak: it is over already.
    """
    with transaction.atomic():
        row = _open(glass_id, at)
        row.expires_at, row.ended_by = at, by
        row.save(update_fields=["expires_at", "ended_by"])
        _record(by, "breakglass.ended", row, {}, at)
    return row


def _shout(row: BreakGlass, at: datetime) -> Incident | None:
    """Tell everybody, and hold the gate; it is no CRIT of a rule, which would fail the run that it is to save.

    The trail hears of both afterwards: who acknowledges the alert locks that first.
    """
    account = row.account
    people = f"{row.asked_by.username} + {row.granted_by.username if row.granted_by else ''}"
    words = f"BREAK-GLASS, CRITICAL: {account.name} may be resumed without the Trading Lead until "
    message = f"{words}{row.expires_at:%H:%M} UTC ({people}): {row.reason}"
    alerts.raise_alert(account=None, severity=Severity.WARN, code="BREAK_GLASS", message=message, at=at)
    run = PhaseRun.objects.filter(account=account).first()
    if run is None:
        return None
    what = f"Break-glass by {people}: {row.reason}"[:300]
    return Incident.objects.create(account=account, run=run, metric=METRIC, what=what, failed_run=False, opened_at=at)


def _lock_account_of(glass_id: int) -> None:
    for account_id in BreakGlass.objects.filter(pk=glass_id).values_list("account_id", flat=True):
        lock_account(account_id)


def _open(glass_id: int, at: datetime) -> BreakGlass:
    row = BreakGlass.objects.select_for_update(of=("self",)).filter(pk=glass_id, expires_at__gt=at).first()
    if row is None:
        raise UnableToBreak("It is over already; reload the page.")
    return row


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToBreak(refusal)


def _record(by: User, action: str, row: BreakGlass, payload: Mapping[str, object], at: datetime) -> None:
    subject = f"account:{row.account.slug}"
    audit.record(actor=by.username, action=action, subject=subject, payload={"glass": row.pk, **payload}, at=at)
    transaction.on_commit(partial(live.publish_events, "halt", "gate", "alerts"))
