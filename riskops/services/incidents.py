"""Open incidents, carry out and undo the steps of their playbooks, write down what was found, close with a review."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain.gates import Finding
from riskops.domain.incidents import Review, review_due_at, why_not_close
from riskops.domain.playbooks import Deed, Playbook, Step
from riskops.models import DeskReview, Incident, IncidentStep, PhaseRun
from riskops.standing import all_playbooks, playbook_for, retest_hours
from trading import live
from trading.domain.events import Severity
from trading.domain.evidence import METRICS
from trading.domain.people import DESK, OPERATORS, Role, why_not
from trading.domain.throttle import Act
from trading.selectors import alerts as alert_selectors
from trading.selectors import desks
from trading.services import alerts, audit, conduct, grids, halts
from trading.services.locks import lock_account

if TYPE_CHECKING:
    from trading.models import Account, Alert

MACHINE: Final = "governance"
DEADLINE: Final = "deadline."
REVIEW_DUE: Final = "REVIEW_DUE"
HEARD_WITHIN: Final = timedelta(hours=1)  # an older alert opens nothing by itself
Kind = IncidentStep.Kind


class UnableToClose(Exception):
    """The incident stays open; the message is fit for the operator."""


class UnableToAct(Exception):
    """Nothing was changed; the message is fit for the operator."""


# --- open -----------------------------------------------------------------------------------------------------------


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
        playbook = playbook_for(metric=metric) or all_playbooks()["crit"]
        _opened(
            Incident(
                account=run.account, run=run, playbook=playbook.id, metric=metric, what=what[:300],
                failed_run=failed_run, opened_at=at,
            ),
            playbook,
        )  # fmt: skip


def open_for_alerts(*, account: "Account", at: datetime) -> list[Incident]:
    """Open the incident of every CRIT alert that a playbook names, unless one of that playbook is open."""
    opened = []
    for alert in alert_selectors.crit_since(account, at - HEARD_WITHIN):
        playbook = playbook_for(code=alert.code)
        if playbook is None or _is_known(alert, playbook):
            continue
        incident = Incident(
            account=account,
            run=PhaseRun.objects.filter(account=account, ended_at=None).first(),
            playbook=playbook.id,
            severity=alert.severity,
            alert=alert.pk,
            what=f"{alert.code}: {alert.message}"[:300],
            began_at=alert.at,
            opened_at=at,
        )
        try:
            with transaction.atomic():
                opened.append(_opened(incident, playbook))
        except IntegrityError:
            continue  # another process was faster
    return opened


def open_by_hand(*, account: "Account", by: User, playbook: str, what: str, at: datetime) -> Incident:
    """Open an incident that a person saw.

    Raises:
        UnableToAct: this person has no role of the desk, or there is no such playbook.
    """
    _refuse_unless(by, DESK, "open an incident")
    chosen = all_playbooks().get(playbook)
    if chosen is None:
        raise UnableToAct("There is no such playbook.")
    with transaction.atomic():
        incident = Incident(
            account=account,
            run=PhaseRun.objects.filter(account=account, ended_at=None).first(),
            playbook=chosen.id,
            severity=chosen.severity,
            what=(what.strip() or chosen.title)[:300],
            opened_by=by.username,
            owner=by,
            opened_at=at,
        )
        return _opened(incident, chosen)


# --- act ------------------------------------------------------------------------------------------------------------


def carry_out(*, incident_id: int, by: User, step: str, symbol: str, at: datetime) -> IncidentStep:
    """Let the runtime do an immediate step; a pause is of one symbol where one is named.

    Raises:
        UnableToAct: this person may not, the step is nothing the runtime does, or it is in force already.
    """
    _refuse_unless(by, OPERATORS, "act on the runtime")
    with transaction.atomic():
        incident = _open(incident_id)
        wanted = all_playbooks()[incident.playbook].step(step)
        if wanted is None or not wanted.act:
            raise UnableToAct("The runtime does not do this step: people do, and tick it.")
        if wanted.act != Deed.HALT and standing_of(incident, step) is not None:
            raise UnableToAct("This step is in force already; reload the page.")
        return _carry_out(incident, step, wanted, by.username, symbol, at)


def undo(*, incident_id: int, by: User, step: str, at: datetime) -> IncidentStep:
    """Take back what the runtime does for a step, also after the incident is closed.

    Raises:
        UnableToAct: this person may not, or nothing of this step is in force.
    """
    _refuse_unless(by, OPERATORS, "act on the runtime")
    with transaction.atomic():
        incident = Incident.objects.select_for_update(of=("self",)).filter(pk=incident_id).first()
        applied = standing_of(incident, step) if incident else None
        if incident is None or applied is None:
            raise UnableToAct("Nothing of this step is in force; reload the page.")
        if applied.override is not None:
            try:
                conduct.undo(override_id=applied.override, by=by.username, at=at)
            except conduct.UnableToOverride as e:
                raise UnableToAct(str(e)) from e
        for symbol in applied.note.split() if applied.override is None else ():
            grids.unpause(account=incident.account, symbol=symbol, by=by.username, at=at)
        return _step(incident, step, Kind.UNDONE, by.username, at, note=applied.note, override=applied.override)


def standing_of(incident: Incident, step: str) -> IncidentStep | None:
    """Return what was applied for `step` and not undone."""
    last = incident.steps.filter(step=step, kind__in=(Kind.APPLIED, Kind.UNDONE)).last()
    return last if last is not None and last.kind == Kind.APPLIED and last.note != HALTED else None


HALTED: Final = "halted: two people resume it on the Risk page"


# --- write down -----------------------------------------------------------------------------------------------------


def tick(*, incident_id: int, by: User, step: str, note: str, at: datetime) -> IncidentStep:
    """Write down that people did a step, or met a deadline ("deadline.root cause").

    Raises:
        UnableToAct: this person has no role of the desk, the incident is closed, or it has no such step.
    """
    _refuse_unless(by, DESK, "write in an incident")
    with transaction.atomic():
        incident = _open(incident_id)
        if step not in {*all_playbooks()[incident.playbook].step_names, *deadlines_of(incident)}:
            raise UnableToAct("The playbook has no such step; reload the page.")
        return _step(incident, step, Kind.DONE, by.username, at, note=note)


def note(*, incident_id: int, by: User, text: str, at: datetime) -> IncidentStep:
    """Write a note.

    Raises:
        UnableToAct: this person has no role of the desk, the incident is closed, or the note is empty.
    """
    _refuse_unless(by, DESK, "write in an incident")
    if not text.strip():
        raise UnableToAct("Write what you found.")
    with transaction.atomic():
        return _step(_open(incident_id), "", Kind.NOTE, by.username, at, note=text)


def own(*, incident_id: int, by: User, at: datetime) -> IncidentStep:
    """Take the incident: from now on this person answers for it.

    Raises:
        UnableToAct: this person has no role of the desk, or the incident is closed.
    """
    _refuse_unless(by, DESK, "write in an incident")
    with transaction.atomic():
        incident = _open(incident_id)
        incident.owner = by
        incident.save(update_fields=["owner"])
        return _step(incident, "", Kind.OWNER, by.username, at, note=by.username)


def resolve(*, incident_id: int, by: User, cause: str, at: datetime) -> IncidentStep:
    """Choose where the fault lies; where the playbook asks for a re-test, its clock begins.

    Raises:
        UnableToAct: this person has no role of the desk, the incident is closed, or the playbook knows no such cause.
    """
    _refuse_unless(by, DESK, "write in an incident")
    with transaction.atomic():
        incident = _open(incident_id)
        playbook = all_playbooks()[incident.playbook]
        chosen = next((remedy for remedy in playbook.resolution if remedy.cause == cause), None)
        if chosen is None:
            raise UnableToAct("The playbook knows no such cause; reload the page.")
        incident.resolution = f"{chosen.cause}: {chosen.text}"[:200]
        incident.retest_from = at if playbook.retest_hours else None
        incident.save(update_fields=["resolution", "retest_from"])
        return _step(incident, "", Kind.RESOLVED, by.username, at, note=incident.resolution)


def recover(*, incident_id: int, by: User, at: datetime) -> IncidentStep:
    """Say that what was wrong works again: the time to recover ends here.

    Raises:
        UnableToAct: this person has no role of the desk, the incident is closed, or this was said already.
    """
    _refuse_unless(by, DESK, "write in an incident")
    with transaction.atomic():
        incident = _open(incident_id)
        if incident.recovered_at is not None:
            raise UnableToAct("It was said already that this works again.")
        incident.recovered_at = at
        incident.save(update_fields=["recovered_at"])
        return _step(incident, "", Kind.RECOVERED, by.username, at)


def close(*, incident_id: int, by: User, review: Review, at: datetime) -> Incident:
    """Close an incident with what was learned.

    Raises:
        UnableToClose: it is closed already, the review is not complete, or this person has no role of the desk.
    """
    with transaction.atomic():
        incident = Incident.objects.select_for_update(of=("self",)).filter(pk=incident_id).first()
        if incident is None or incident.closed_at is not None:
            raise UnableToClose("This incident is closed already; reload the page.")
        if not set(by.groups.values_list("name", flat=True)) & DESK:
            raise UnableToClose("Only a person with a role of the desk closes an incident.")
        if refusal := why_not_close(review):
            raise UnableToClose(refusal)
        incident.cause, incident.impact, incident.prevention = review.cause, review.impact, review.prevention
        incident.closed_at, incident.closed_by = at, by
        incident.save(update_fields=["cause", "impact", "prevention", "closed_at", "closed_by"])
        tested = retest_hours(incident, at)
        payload = {
            "incident": incident.pk,
            "cause": review.cause,
            "prevention": review.prevention,
            "retest_hours": None if tested is None else str(tested),
        }
        subject = f"account:{incident.account.slug}"
        audit.record(actor=by.username, action="incident.closed", subject=subject, payload=payload, at=at)
        transaction.on_commit(partial(live.publish_events, "gate"))
    return incident


def look(*, account: "Account", by: User, note: str, at: datetime) -> DeskReview:
    """Write down that somebody of the desk has looked at an account, as its mandate asks every few hours.

    Raises:
        UnableToAct: this person has no role of the desk.
    """
    _refuse_unless(by, DESK, "review a desk")
    with transaction.atomic():
        row = DeskReview.objects.create(account=account, by=by, note=note.strip()[:1_000], at=at)
        subject = f"account:{account.slug}"
        audit.record(actor=by.username, action="desk.reviewed", subject=subject, payload={"note": row.note}, at=at)
    return row


def remind(*, account: "Account", at: datetime) -> None:
    """Say once, as INFO, that people should have looked at a desk by now; its mandate says how often.

    It is no WARN: those count at the gate as what the desk's trading did.
    """
    mandate = desks.mandate_in_force(account)
    if mandate is None:
        return
    last = DeskReview.objects.filter(account=account).first()
    due_at = review_due_at(last.at if last else mandate.put_into_force_at, mandate.review_every_h)
    if at > due_at and not alert_selectors.was_raised(account, REVIEW_DUE, since=due_at):
        text = f"nobody has reviewed this desk for {mandate.review_every_h} h"
        alerts.raise_alert(account=account, severity=Severity.INFO, code=REVIEW_DUE, message=text, at=at)


def deadlines_of(incident: Incident) -> tuple[str, ...]:
    """Return the names of the deadlines that can be ticked as met; a failed run has those of a CRIT."""
    own_ones = all_playbooks()[incident.playbook].deadlines
    deadlines = own_ones or (all_playbooks()["crit"].deadlines if incident.failed_run else ())
    return tuple(f"{DEADLINE}{deadline.name}" for deadline in deadlines)


# --- how ------------------------------------------------------------------------------------------------------------


def _opened(incident: Incident, playbook: Playbook) -> Incident:
    """Store a new incident and let the machine do what its playbook leaves to it."""
    lock_account(incident.account_id, whole=True)  # its playbook may halt it, after the trail has its row
    incident.save()
    at = incident.opened_at
    payload = {
        "incident": incident.pk,
        "what": incident.what,
        "playbook": playbook.id,
        "playbook_digest": playbook.digest,
        "failed_run": incident.failed_run,
    }
    subject = f"account:{incident.account.slug}"
    audit.record(actor=incident.opened_by, action="incident.opened", subject=subject, payload=payload, at=at)
    for number, step in enumerate(playbook.immediate):
        if step.automatic:
            _try_by_itself(incident, f"immediate.{number}", step, at)
    transaction.on_commit(partial(live.publish_events, "gate", "alerts"))
    return incident


def _try_by_itself(incident: Incident, name: str, step: Step, at: datetime) -> None:
    """Carry out an automatic step; where it is refused the incident says so and people decide."""
    try:
        with transaction.atomic():
            _carry_out(incident, name, step, f"playbook: {incident.playbook}", "", at)
    except UnableToAct as error:
        _step(incident, name, Kind.NOTE, MACHINE, at, note=f"not applied by itself: {error}")


def _carry_out(incident: Incident, name: str, step: Step, by: str, symbol: str, at: datetime) -> IncidentStep:
    account, override, text = incident.account, None, ""
    reason = f"incident #{incident.pk}: {step.text}"
    if step.act == Deed.HALT:
        halts.halt(scope=account.slug, by=by, reason=reason[:200], flatten=False, at=at)
        text = HALTED
    elif step.act == Deed.PAUSE:
        text = _pause(account, symbol, by, reason[:200], at)
    else:
        why = conduct.Why(by, reason, incident.pk)
        try:
            assert step.factor is not None  # the reader refuses an override without one
            row = conduct.apply(account=account, act=Act(step.act), factor=step.factor, why=why, at=at)
        except conduct.UnableToOverride as e:
            raise UnableToAct(str(e)) from e
        override, text = row.pk, f"{row.limit} orders a minute are left" if row.limit else ""
    return _step(incident, name, Kind.APPLIED, by, at, note=text, override=override)


def _pause(account: "Account", symbol: str, by: str, reason: str, at: datetime) -> str:
    """Pause one symbol, or all that run; return which were, so that exactly those can trade again."""
    running = account.grids.filter(paused_reason="", **({"symbol": symbol} if symbol else {}))
    symbols = list(running.order_by("symbol").values_list("symbol", flat=True))
    if not symbols:
        raise UnableToAct("There is no symbol to pause: each is paused already.")
    for each in symbols:
        grids.pause(account=account, symbol=each, by=by, reason=reason, at=at)
    return " ".join(symbols)


def _step(
    incident: Incident, step: str, kind: str, by: str, at: datetime, *, note: str = "", override: int | None = None
) -> IncidentStep:
    row = IncidentStep.objects.create(
        incident=incident, step=step, kind=kind, note=note.strip()[:1_000], override=override, by=by, at=at
    )
    payload = {"incident": incident.pk, "step": step, "kind": kind, "note": row.note, "override": override}
    subject = f"account:{incident.account.slug}"
    audit.record(actor=by, action="incident.step", subject=subject, payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "gate"))
    return row


def _open(incident_id: int) -> Incident:
    incident = Incident.objects.select_for_update(of=("self",)).select_related("account").filter(pk=incident_id).first()
    if incident is None or incident.closed_at is not None:
        raise UnableToAct("This incident is closed; reload the page.")
    return incident


def _is_known(alert: "Alert", playbook: Playbook) -> bool:
    """Return whether this alert has had its incident, or one of its playbook is open at the account."""
    mine = Incident.objects.filter(account=alert.account)
    is_open = mine.filter(playbook=playbook.id, closed_at=None).exists()
    return is_open or mine.filter(alert=alert.pk, opened_at__gte=alert.at).exists()


def _refuse_unless(by: User, allowed: frozenset[Role], what: str) -> None:
    if refusal := why_not(frozenset(by.groups.values_list("name", flat=True)), allowed, what):
        raise UnableToAct(refusal)
