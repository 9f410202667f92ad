"""Store the report of every period that has closed, once, with its digest in the audit trail."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction

from riskops import reporting
from riskops.domain.periods import CALENDAR, Kind, Period, closed
from riskops.models import PhaseRun, Report
from trading.selectors import desks
from trading.services import audit

if TYPE_CHECKING:
    from trading.models import Account

REACHES_BACK: Final = {Kind.DAILY: 35, Kind.WEEKLY: 8, Kind.MONTHLY: 13}  # periods, after a long silence


def store_closed(*, at: datetime) -> list[Report]:
    """Store every closed period of every account that is not stored yet; calling it again changes nothing."""
    return [
        stored
        for account in desks.all_desks()
        for period in _missing(account, at)
        if (stored := store(account=account, period=period, at=at)) is not None
    ]


def store(*, account: "Account", period: Period, at: datetime) -> Report | None:
    """Store the report of a closed period; None where somebody else has just stored it."""
    facts = reporting.facts(account, period, period.until)
    digest = reporting.digest(facts)
    try:
        with transaction.atomic():
            report = Report.objects.create(
                account=account, kind=period.kind.value, period=period.name, since=period.since, until=period.until,
                facts=facts, digest=digest, maker=reporting.MAKER, made_at=at,
            )  # fmt: skip
            payload = {"kind": report.kind, "period": report.period, "digest": digest, "maker": report.maker}
            subject = f"account:{account.slug}"
            audit.record(actor="reports", action="report.stored", subject=subject, payload=payload, at=at)
    except IntegrityError:
        return None
    return report


def _missing(account: "Account", at: datetime) -> list[Period]:
    known = set(Report.objects.filter(account=account).values_list("kind", "period"))
    runs = [reporting.of_run(run, at) for run in PhaseRun.objects.filter(account=account).exclude(ended_at=None)]
    calendar = [
        period for kind in CALENDAR for period in closed(kind, account.created_at, at, at_most=REACHES_BACK[kind])
    ]
    return [
        period
        for period in (*calendar, *(run for run in runs if run.is_closed(at)))
        if (period.kind.value, period.name) not in known
    ]
