"""Open and close incidents."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction

from riskops.domain.gates import Finding
from riskops.domain.incidents import Review, why_not_close
from riskops.models import Incident, PhaseRun
from trading import live
from trading.domain.evidence import METRICS
from trading.domain.people import DESK
from trading.services import audit


class UnableToClose(Exception):
    """The incident stays open; the message is fit for the operator."""


def open_for(run: PhaseRun, findings: Sequence[Finding], *, failed_run: bool, at: datetime) -> None:
    """Open one incident for each criterion that has none open yet; call it inside the transaction of the judging."""
    known = set(Incident.objects.filter(run=run, closed_at=None).values_list("metric", flat=True))
    for finding in findings:
        metric = finding.criterion.metric
        if metric in known:
            continue
        known.add(metric)
        value = finding.measured.value if finding.measured else None
        what = f"{METRICS[metric].label}: {value}, must be {finding.sign} {finding.bound}"
        incident = Incident.objects.create(
            account=run.account, run=run, metric=metric, what=what[:300], failed_run=failed_run, opened_at=at
        )
        payload = {"incident": incident.pk, "what": incident.what, "failed_run": failed_run}
        subject = f"account:{run.account.slug}"
        audit.record(actor="governance", action="incident.opened", subject=subject, payload=payload, at=at)
        transaction.on_commit(partial(live.publish_events, "gate", "alerts"))


def close(*, incident_id: int, by: User, review: Review, at: datetime) -> Incident:
    """Close an incident with what was learned.

    Raises:
        UnableToClose: it is closed already, the review is not complete, or this person has no role of the desk.
    """
    with transaction.atomic():
        incident = Incident.objects.select_for_update().filter(pk=incident_id).first()
        if incident is None or incident.closed_at is not None:
            raise UnableToClose("This incident is closed already; reload the page.")
        if not set(by.groups.values_list("name", flat=True)) & DESK:
            raise UnableToClose("Only a person with a role of the desk closes an incident.")
        if refusal := why_not_close(review):
            raise UnableToClose(refusal)
        incident.cause, incident.impact, incident.prevention = review.cause, review.impact, review.prevention
        incident.closed_at, incident.closed_by = at, by
        incident.save(update_fields=["cause", "impact", "prevention", "closed_at", "closed_by"])
        payload = {"incident": incident.pk, "cause": review.cause, "prevention": review.prevention}
        subject = f"account:{incident.account.slug}"
        audit.record(actor=by.username, action="incident.closed", subject=subject, payload=payload, at=at)
        transaction.on_commit(partial(live.publish_events, "gate"))
    return incident
