"""Housekeeping on beat: short, repeatable, and never the owner of an order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from celery import shared_task
from django.db.models import Max

from trading.domain.alarms import FEES, FILL_RATE, REJECTS, ShareRule
from trading.domain.events import Severity
from trading.domain.metrics import Rate
from trading.models import Account, Alert, Fill
from trading.selectors import conduct, desks
from trading.services import alerts, audit, evidence, samples, venue_keys

NO_TRADE_FOR: Final = timedelta(hours=6)  # the desk's alert rules (mission, decisions.md)
SHARE_RULES: Final[tuple[tuple[ShareRule, Callable[[Account, datetime], Rate]], ...]] = (
    (REJECTS, conduct.reject_rate),
    (FILL_RATE, conduct.taker_fill_rate),
    (FEES, conduct.fee_rate),
)


@shared_task(ignore_result=True)
def prune_samples() -> None:
    """Delete samples that are older than we keep them."""
    samples.prune(at=datetime.now(UTC))


@shared_task(ignore_result=True)
def roll_up_evidence() -> None:
    """Turn every hour that has closed into one row."""
    evidence.roll_up(datetime.now(UTC))


@shared_task(ignore_result=True)
def anchor_audit_chain() -> None:
    """Write the head of the audit chain outside the database; a file that cannot be written is a WARN alert."""
    at = datetime.now(UTC)
    try:
        audit.anchor(at)
    except OSError as error:
        message = f"The audit chain cannot be anchored: {error.strerror}."
        alerts.raise_alert(account=None, severity=Severity.WARN, code="AUDIT_NOT_ANCHORED", message=message, at=at)


@shared_task(ignore_result=True)
def verify_audit_chain() -> None:
    """Walk the audit chain and its anchors; a break is a CRIT alert."""
    found = audit.verify()
    if found is not None:
        message = f"The audit chain breaks at row {found.sequence}: {found.reason}"
        alerts.raise_alert(
            account=None, severity=Severity.CRIT, code="AUDIT_CHAIN_BROKEN", message=message, at=datetime.now(UTC)
        )


@shared_task(ignore_result=True)
def check_venue_keys() -> None:
    """Ask the venue what every key in use may do, and what time it is there."""
    venue_keys.check_all(at=datetime.now(UTC))


@shared_task(ignore_result=True)
def notice_quiet_accounts() -> None:
    """Tell, once per silence, of every account that has not traded for six hours."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        if _is_quiet(account, at):
            alerts.raise_alert(
                account=account, severity=Severity.INFO, code="NO_TRADE", message="No trade for 6 hours.", at=at
            )


@shared_task(ignore_result=True)
def judge_conduct() -> None:
    """Warn of every account whose rejects, fill rate or fees are beyond what the desk accepts."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        judge_account(account, at=at)


def judge_account(account: Account, *, at: datetime) -> None:
    """Warn of every share of `account` that is beyond its limit; what is not known is told by nobody."""
    for rule, measure in SHARE_RULES:
        since = _judged_since(rule, account, at)
        if since is not None and rule.is_broken(rate := measure(account, since)):
            message = rule.message(rate)
            alerts.raise_alert(account=account, severity=Severity.WARN, code=rule.code, message=message, at=at)


def _judged_since(rule: ShareRule, account: Account, at: datetime) -> datetime | None:
    """Return where the rule's window begins: what a person has acknowledged is not told again."""
    day = desks.day_of(account)
    begin = at - rule.window if rule.window is not None else day.opened_at if day is not None else None
    seen = Alert.objects.filter(account=account, code=rule.code).aggregate(at=Max("acknowledged_at"))["at"]
    return begin if begin is None or seen is None else max(begin, seen)


def _is_quiet(account: Account, at: datetime) -> bool:
    last = Fill.objects.filter(account=account).order_by("-at").values_list("at", flat=True).first()
    since = last or account.created_at
    told = Alert.objects.filter(account=account, code="NO_TRADE", at__gt=since).exists()
    return at - since > NO_TRADE_FOR and not told
