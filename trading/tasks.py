"""Housekeeping on beat: short, repeatable, and never the owner of an order."""

from datetime import UTC, datetime, timedelta
from typing import Final

from celery import shared_task

from trading.domain.events import Severity
from trading.models import Account, Alert, Fill
from trading.services import alerts, audit, samples

NO_TRADE_FOR: Final = timedelta(hours=6)  # the desk's alert rules (mission, decisions.md)


@shared_task(ignore_result=True)
def prune_samples() -> None:
    """Delete samples that are older than we keep them."""
    samples.prune(at=datetime.now(UTC))


@shared_task(ignore_result=True)
def verify_audit_chain() -> None:
    """Walk the audit chain; a break is a CRIT alert."""
    found = audit.verify()
    if found is not None:
        message = f"The audit chain breaks at row {found.sequence}: {found.reason}"
        alerts.raise_alert(
            account=None, severity=Severity.CRIT, code="AUDIT_CHAIN_BROKEN", message=message, at=datetime.now(UTC)
        )


@shared_task(ignore_result=True)
def notice_quiet_accounts() -> None:
    """Tell, once per silence, of every account that has not traded for six hours."""
    at = datetime.now(UTC)
    for account in Account.objects.all():
        if _is_quiet(account, at):
            alerts.raise_alert(
                account=account, severity=Severity.INFO, code="NO_TRADE", message="No trade for 6 hours.", at=at
            )


def _is_quiet(account: Account, at: datetime) -> bool:
    last = Fill.objects.filter(account=account).order_by("-at").values_list("at", flat=True).first()
    since = last or account.created_at
    told = Alert.objects.filter(account=account, code="NO_TRADE", at__gt=since).exists()
    return at - since > NO_TRADE_FOR and not told
