"""What a report holds: what an account did in a period, and what was decided about it, as plain JSON with a digest.

Services store it and selectors show it; they may not know each other, so it has a floor of its own below them.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from riskops.domain.periods import Kind, Period, UnknownPeriod, read
from riskops.domain.strict import digest_of
from riskops.models import Incident, PhaseRun, ResumeRequest, StepRequest
from trading.selectors import reports

if TYPE_CHECKING:
    from trading.models import Account

MAKER: Final = 1  # of a report; a change of what it holds or how it is counted raises it

Json = dict[str, Any]


def period_of(account: "Account", kind: Kind, name: str, at: datetime) -> Period:
    """Return the period of `account` called `name`; a phase run is counted in whole minutes and ends with its run.

    Raises:
        UnknownPeriod: there is none, or it has not begun.
    """
    if kind is Kind.PHASE:
        run = None
        if name.isascii() and name.isdecimal() and len(name) <= 12:
            run = PhaseRun.objects.filter(account=account, pk=int(name)).first()
        if run is None:
            raise UnknownPeriod(f"{account.name} has no phase run {name}.")
        return of_run(run, at)
    period = read(kind, name)
    if period.since > at:
        raise UnknownPeriod(f"{name} has not begun.")
    return period


def of_run(run: PhaseRun, at: datetime) -> Period:
    """Return the period of a phase run; of one that runs it ends now."""
    return Period(Kind.PHASE, str(run.pk), run.started_at, run.ended_at or at)


def is_closed(account: "Account", period: Period, at: datetime) -> bool:
    """Return whether nothing can be added to a period any more; a run that is open never is."""
    if period.kind is Kind.PHASE and PhaseRun.objects.filter(pk=int(period.name), ended_at=None).exists():
        return False
    return period.is_closed(at)


def facts(account: "Account", period: Period, at: datetime, *, mode: str = "") -> Json:
    """Return what a report of `period` holds, as far as it has passed at `at`.

    `mode` is PAPER, TESTNET or LIVE as it was when a report was stored; an account may have moved on since. It is
    fourteen queries of `trading.selectors.reports` and four more, however long the period.
    """
    until = min(period.until, at)
    return {
        "maker": MAKER,
        "kind": period.kind.value,
        "period": period.name,
        "since": _moment(period.since),
        "until": _moment(until),
        "account": account.slug,
        "mode": mode or account.mode,
        "quote": account.quote,
        **reports.activity(account, period.since, until),
        "runs": _runs(account, period.since, until),
        "incidents": _incidents(account, period.since, until),
        "decisions": _decisions(account, period.since, until),
        "resumes": _resumes(account, period.since, until),
    }


def digest(found: Json) -> str:
    """Return the SHA-256 of the facts as canonical JSON."""
    return digest_of(found)


def _runs(account: "Account", since: datetime, until: datetime) -> list[Json]:
    """Return the phase runs that were open at any time of the span; how one ended is told only if it did by then."""
    rows = PhaseRun.objects.filter(account=account, started_at__lt=until).exclude(ended_at__lte=since)
    found = []
    for row in rows.select_related("template", "mandate").order_by("id"):
        ended = row.ended_at is not None and row.ended_at <= until
        found.append(
            {
                "run": row.pk,
                "phase": row.template.phase,
                "capital": reports.text(row.mandate.capital_quote),
                "started_at": _moment(row.started_at),
                "ended_at": _moment(row.ended_at) if ended and row.ended_at else None,
                "decision": row.decision if ended else "",
                "accelerated": row.accelerated if ended else None,
            }
        )
    return found


def _incidents(account: "Account", since: datetime, until: datetime) -> list[Json]:
    rows = Incident.objects.filter(account=account, opened_at__gte=since, opened_at__lte=until).order_by("id")
    found = []
    for row in rows:
        closed = row.closed_at is not None and row.closed_at <= until
        found.append(
            {
                "number": row.pk,
                "what": row.what,
                "opened_at": _moment(row.opened_at),
                "closed_at": _moment(row.closed_at) if closed and row.closed_at else None,
                "cause": row.cause if closed else "",
            }
        )
    return found


def _decisions(account: "Account", since: datetime, until: datetime) -> list[Json]:
    """Return the steps that people decided in the span."""
    rows = StepRequest.objects.filter(run__account=account, decided_at__gte=since, decided_at__lte=until)
    return [
        {
            "phase": row.run.template.phase,
            "decision": row.decision,
            "by": row.decided_by.username if row.decided_by else "",
            "at": _moment(row.decided_at),
            "notes": row.notes,
        }
        for row in rows.select_related("run__template", "decided_by").order_by("id")
        if row.decided_at is not None
    ]


def _resumes(account: "Account", since: datetime, until: datetime) -> list[Json]:
    """Return the halts that two people released in the span."""
    rows = ResumeRequest.objects.filter(
        account=account, outcome=ResumeRequest.Outcome.GRANTED, decided_at__gte=since, decided_at__lt=until
    )
    return [
        {
            "asked_by": row.requested_by.username,
            "granted_by": row.decided_by.username if row.decided_by else "",
            "at": _moment(row.decided_at),
            "reason": row.reason,
        }
        for row in rows.select_related("requested_by", "decided_by").order_by("id")
        if row.decided_at is not None
    ]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
