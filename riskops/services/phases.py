"""Runs of the roadmap: start, judge, ask for the step, sign, decide. Capital moves here and nowhere else."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain import phases, promotions, steps
from riskops.domain.attachments import Attached
from riskops.domain.gates import Finding, Outcome, State, Verdict
from riskops.domain.granted import granted
from riskops.domain.phases import OnMiss, Phase
from riskops.domain.steps import ROADMAP, Decision
from riskops.models import ChecklistAttachment, ChecklistTick, PhaseRun, PhaseTemplate, SignOff, StepRequest
from riskops.promoting import open_promotions
from riskops.services import incidents, releases
from riskops.services.signing import WHY_EXPIRED, close, has_expired, roles_of, why_closed
from riskops.standing import (
    Standing,
    all_playbooks,
    checklist_of,
    fatal_alerts,
    not_done,
    open_incidents,
    playbook_for,
    signatures,
    stand,
    template_of,
)
from trading import live
from trading.domain.events import Severity
from trading.domain.people import DESK, why_not
from trading.selectors import desks, evidence
from trading.services import alerts, audit, halts, mandates
from trading.services.locks import lock_account

if TYPE_CHECKING:
    from trading.models import Account, Mandate

FILES: Final = Path(__file__).resolve().parents[1] / "roadmap"


class UnableToStep(Exception):
    """Nothing was changed; the message is fit for the operator."""


def load_roadmap(*, at: datetime) -> list[PhaseTemplate]:
    """Store every template that is not stored yet, in the roadmap's order; a version that exists must be the same.

    Every playbook is read with them: what cannot be read would be missed when something goes wrong.

    Raises:
        UnreadablePlaybook: a playbook must not be used.
        phases.UnreadablePhase: a file must not be used.
        UnableToStep: a file was changed without a new version, or the chain of templates does not hold.
    """
    all_playbooks()
    read = [phases.read((FILES / f"{name}.toml").read_text(encoding="utf-8"), name=name) for name in ROADMAP]
    for before, after in pairwise(read):
        if broken := phases.steps_up(before, after):
            raise UnableToStep(f"{after.id} cannot follow {before.id}: {'; '.join(broken)}.")
    with transaction.atomic():
        return [_stored(phase, at) for phase in read]


def start_run(*, account: "Account", phase_id: str, by: str, at: datetime) -> PhaseRun:
    """Start a run and put its mandate in force, or neither.

    Raises:
        UnableToStep: a run is open, a phase would be skipped, or its mandate cannot be put in force.
    """
    try:
        with transaction.atomic():
            return _start(account, phase_id, by, at, evidence.seen_now())
    except IntegrityError as e:
        raise UnableToStep(f"{account.name} has an open run already.") from e


def begin(*, account: "Account", phase_id: str, by: User, at: datetime) -> PhaseRun:
    """Start the run that a person asks for: the first one, or the same phase again after a NO_GO.

    Raises:
        UnableToStep: this person holds no signing role, or the run may not start.
    """
    _refuse_if(steps.why_not_starter(roles_of(by)))
    return start_run(account=account, phase_id=phase_id, by=by.username, at=at)


def open_runs() -> list[PhaseRun]:
    """Return every run that has not ended."""
    return list(PhaseRun.objects.select_related("template", "account").filter(ended_at=None))


def begin_demo(*, at: datetime) -> PhaseRun | None:
    """Start the first phase at the demo's first desk unless it has begun; return the run that was started."""
    mandate = desks.first_on(ROADMAP[0])
    if mandate is None or PhaseRun.objects.filter(account=mandate.account).exists():
        return None
    return start_run(account=mandate.account, phase_id=ROADMAP[0], by=mandate.put_into_force_by, at=at)


def what_may_start(account: "Account") -> str:
    """Return the phase that a person may start now, empty where a run is open or the roadmap has ended."""
    before, _ = _before(PhaseRun.objects.filter(account=account).select_related("template").first())
    return next((phase for phase in ROADMAP if not steps.why_not_start(phase, before)), "")


def heed_alerts(*, run: PhaseRun, at: datetime) -> None:
    """Halt the account at once where its CRIT alerts alone fail the run; the run itself is left to `judge`."""
    if fatal := fatal_alerts(run, at):
        _halt(run, fatal, at)


def judge(*, run: PhaseRun, at: datetime) -> Verdict:
    """Judge the run on its evidence and act on it: a FAIL halts the account, ends the run and voids what is asked."""
    with transaction.atomic():
        run = PhaseRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        standing = stand(run, at)
        if run.ended_at is not None:
            return standing.verdict
        _lock_open_requests(run)
        if standing.verdict.outcome is Outcome.FAIL:  # measured first: its loop stores nothing while it is locked
            lock_account(run.account_id, whole=True)
        before = run.outcome
        run.outcome, run.judged_at = standing.verdict.outcome, at
        run.accelerated = run.accelerated or standing.accelerated
        run.save(update_fields=["outcome", "judged_at", "accelerated"])
        incidents.open_for(run, _to_investigate(standing.verdict), failed_run=False, at=at)
        _expire(run, at)
        if run.outcome == Outcome.FAIL:
            _fail(run, standing, at)
        elif before == Outcome.PASS and run.outcome != Outcome.PASS:
            _void(run, f"The machine no longer says PASS, but {run.outcome}.", at)
        if run.outcome != before:
            transaction.on_commit(partial(live.publish_events, "gate"))
    return standing.verdict


def request_step(*, run: PhaseRun, by: User, at: datetime) -> StepRequest:
    """Ask the signers for their word on exactly what the gate shows now.

    Raises:
        UnableToStep: the run has ended, a request is open already, or this person may not ask.
    """
    try:
        with transaction.atomic():
            _refuse_if(why_not(frozenset(roles_of(by)), steps.ASKERS, "ask for a step"))
            run = _open_run(run.pk)
            standing = stand(run, at)
            request = StepRequest.objects.create(
                run=run, requested_by=by, requested_at=at, shown=standing.shown, digest=standing.digest
            )
            _record(by, "step.requested", request, {"digest": request.digest}, at)
    except IntegrityError as e:
        raise UnableToStep("A request is open already: sign, decide or withdraw that one.") from e
    return request


def sign(
    *, request_id: int, by: User, role: str, approves: bool, note: str, digest: str, at: datetime
) -> SignOff:  # fmt: skip
    """Record one signature on exactly what was shown.

    Raises:
        UnableToStep: the request is closed, what was shown has changed, or this person may not sign in this role.
    """
    try:
        with transaction.atomic():
            request = _open_request(request_id, at)
            if digest != request.digest:
                raise UnableToStep("What you were shown has changed; reload the page and read it again.")
            refusal = steps.why_not_sign(
                role=role,
                roles_held=roles_of(by),
                person=by.pk,
                needed=template_of(request.run).signers,
                given=signatures(request),
                approves=approves,
                note=note,
            )
            _refuse_if(refusal)
            signed = SignOff.objects.create(
                request=request, role=role, person=by, approves=approves, note=note.strip(), digest=digest, signed_at=at
            )
            action = "step.signed" if approves else "step.rejected"
            _record(by, action, request, {"role": role, "digest": digest, "note": note.strip()}, at)
    except IntegrityError as e:
        raise UnableToStep("This role has signed, or you have signed in another role.") from e
    return signed


def tick(
    *, request_id: int, by: User, item: str, done: bool, note: str, at: datetime, attached: Attached | None = None
) -> ChecklistTick:
    """Tick an item of the checklist, or take the tick back; both stay on record with the person and what they attach.

    Raises:
        UnableToStep: the request is closed, it has no such item, or this person has no role of the desk.
    """
    with transaction.atomic():
        request = _open_request(request_id, at)
        if not roles_of(by) & DESK:
            raise UnableToStep("Only a person with a role of the desk ticks the checklist.")
        if item not in checklist_of(request):
            raise UnableToStep("The checklist has no such item; reload the page.")
        row = ChecklistTick.objects.create(request=request, item=item, done=done, person=by, note=note.strip(), at=at)
        action, payload = "checklist.ticked" if done else "checklist.unticked", {"item": item, "note": note.strip()}
        if attached is not None:
            ChecklistAttachment.objects.create(
                tick=row, name=attached.name, kind=attached.kind, size=len(attached.content), sha256=attached.sha256,
                content=attached.content,
            )  # fmt: skip
            payload |= {"attachment": attached.name, "sha256": attached.sha256}
        _record(by, action, request, payload, at)
    return row


def decide(*, request_id: int, by: User, decision: Decision, notes: str, digest: str, at: datetime) -> StepRequest:
    """Record GO, HOLD or NO_GO. GO puts the next mandate in force and starts its run, in the same transaction.

    Raises:
        UnableToStep: this person or this moment cannot decide so; the message says what is missing.
    """
    with transaction.atomic():
        _lock_run_of(request_id)
        request = _open_request(request_id, at)
        run = request.run
        lock_account(run.account_id, whole=True)  # before it is measured: nobody edits a grid under a GO
        seen = evidence.seen_now()
        standing, phase = stand(run, at), template_of(run)
        _refuse_if(steps.why_not_decider(roles_of(by), phase.signers))
        if digest != request.digest:
            raise UnableToStep("What you were shown has changed; reload the page and read it again.")
        if decision is Decision.GO and standing.parameters != request.shown["parameters"]:
            raise UnableToStep("The parameters have changed since this was asked for: withdraw it and ask again.")
        _refuse_if(
            steps.why_not_decide(
                decision,
                verdict=standing.verdict,
                needed=phase.signers,
                given=signatures(request),
                requester=request.requested_by_id,
                digest=request.digest,
                notes=notes,
                unticked=[*not_done(request, standing), *open_incidents(run.account)],
                is_real=run.account.mode != run.account.Mode.PAPER,
                is_accelerated=run.accelerated or standing.accelerated,
                unwatched=standing.unwatched,
                retest=standing.retest,
                in_the_way=promotions.why_not_step(open_promotions()),
            )
        )
        request.state, request.decision = StepRequest.State.DECIDED, decision
        request.decided_by, request.decided_at, request.notes = by, at, notes.strip()
        request.save(update_fields=["state", "decision", "decided_by", "decided_at", "notes"])
        _record(by, "step.decided", request, {"decision": decision, "notes": notes.strip()}, at)
        if decision is Decision.GO:
            releases.record(request, at=at)
        _carry_out(run, decision, standing, by.username, at, seen)
    return request


def withdraw(*, request_id: int, by: User, at: datetime) -> StepRequest:
    """Take an open request back with its signatures; whoever signs this step, or asked for it, may.

    Raises:
        UnableToStep: it is closed already, or this person has no part in it.
    """
    with transaction.atomic():
        request = _open_request(request_id, at)
        needed, is_requester = template_of(request.run).signers, request.requested_by_id == by.pk
        _refuse_if(steps.why_not_withdrawer(roles_of(by), needed, is_requester=is_requester))
        close(request, StepRequest.State.VOID, f"withdrawn by {by.username}", event="gate")
        _record(by, "step.withdrawn", request, {}, at)
    return request


# --- how -------------------------------------------------------------------------------------------------------


def _stored(phase: Phase, at: datetime) -> PhaseTemplate:
    text = (FILES / f"{phase.id}.toml").read_text(encoding="utf-8")
    found, _ = PhaseTemplate.objects.get_or_create(
        phase=phase.id, version=phase.version, defaults={"text": text, "digest": phase.digest, "loaded_at": at}
    )
    if found.digest != phase.digest:
        raise UnableToStep(f"Phase {phase.id} version {phase.version} was changed: give the new one a new version.")
    return found


def _start(account: "Account", phase_id: str, by: str, at: datetime, seen: evidence.Seen) -> PhaseRun:
    last = PhaseRun.objects.select_for_update(no_key=True).filter(account=account).first()
    before, is_retest = _before(last)
    is_paper = account.mode == account.Mode.PAPER
    _refuse_if(steps.why_not_start(phase_id, before, is_retest=is_retest, is_paper=is_paper))
    if left := open_incidents(account):
        raise UnableToStep(f"Close what is open first: {'; '.join(left)}.")
    template = PhaseTemplate.objects.filter(phase=phase_id).first()
    if template is None:
        raise UnableToStep(f"Phase {phase_id} is not loaded: run `./console roadmap`.")
    phase = phases.read(template.text, name=phase_id)
    run = PhaseRun.objects.create(
        account=account,
        template=template,
        mandate=_mandate(account, phase, by, at),
        started_by=by,
        started_at=at,
        window_from=at,
        window_snapshot=seen.snapshot,
        window_transaction=seen.transaction,
        is_retest=is_retest,
    )
    payload: Mapping[str, Any] = {"run": run.pk, "phase": phase_id, "template": template.digest}
    if is_retest:
        payload = {**payload, "retest_h": steps.RETEST_H}
    audit.record(actor=by, action="phase.started", subject=f"account:{account.slug}", payload=payload, at=at)
    text = f"{by} began phase {phase_id} with {phase.capital_quote} {account.quote}."
    alerts.raise_alert(account=account, severity=Severity.INFO, code="PHASE_STARTED", message=text, at=at)
    transaction.on_commit(partial(live.publish_events, "gate"))
    return run


def _before(last: PhaseRun | None) -> tuple[tuple[str, Decision] | None, bool]:
    """Return the newest run with its decision, and whether the next one begins with a re-test."""
    if last is None:
        return None, False
    decision = Decision(last.decision)
    retest = steps.is_retest((decision, Outcome(last.outcome), last.is_retest))
    return (last.template.phase, decision), retest


def _mandate(account: "Account", phase: Phase, by: str, at: datetime) -> "Mandate":
    terms = mandates.Terms(
        limits=granted(phase),
        symbols=phase.symbols,
        review_every_h=phase.monitoring.review_every_h,
        alert_level=Severity(phase.monitoring.alert_level),
        ours=tuple(name.removeprefix("limits.") for name in phase.ours if name.startswith("limits.")),
    )
    try:
        return mandates.put_into_force(account=account, terms=terms, by=by, at=at)
    except mandates.UnableToPutIntoForce as e:
        raise UnableToStep(str(e)) from e


def _to_investigate(verdict: Verdict) -> list[Finding]:
    """Return what opens an incident: what the phase says, and what it only stays for where a playbook names it."""
    stays = [
        finding
        for finding in verdict.open
        if finding.state is State.NOT_MET and finding.criterion.on_miss is OnMiss.STAY
    ]
    named = [finding for finding in stays if playbook_for(metric=finding.criterion.metric) is not None]
    return [*verdict.to_investigate, *named]


def _carry_out(
    run: PhaseRun, decision: Decision, standing: Standing, by: str, at: datetime, seen: evidence.Seen
) -> None:
    """GO and NO_GO end the run; HOLD lets it go on with a window that begins now."""
    if decision is Decision.HOLD:
        run.window_from, run.outcome, run.extended = at, Outcome.RUNNING, True
        run.window_snapshot, run.window_transaction = seen.snapshot, seen.transaction
        run.save(update_fields=["window_from", "window_snapshot", "window_transaction", "outcome", "extended"])
        return
    if standing.verdict.outcome is Outcome.FAIL:  # people were faster than the next judging: what follows is the same
        run.outcome = Outcome.FAIL
        run.save(update_fields=["outcome"])
        _fail(run, standing, at)
        return
    _end(run, decision, standing, at)
    following = steps.next_phase(run.template.phase)
    if decision is Decision.GO and following is not None:
        _start(run.account, following, by, at, seen)


def _end(run: PhaseRun, decision: Decision, standing: Standing, at: datetime) -> None:
    run.decision, run.ended_at, run.measured = decision, at, standing.measured
    run.save(update_fields=["decision", "ended_at", "measured"])
    payload = {"run": run.pk, "phase": run.template.phase, "decision": decision}
    audit.record(
        actor="governance", action="phase.ended", subject=f"account:{run.account.slug}", payload=payload, at=at
    )


def _fail(run: PhaseRun, standing: Standing, at: datetime) -> None:
    """Stop trading first; what failed ends the run, and only a new run of the same phase can follow."""
    _void(run, _halt(run, standing.verdict.fatal, at), at)
    incidents.open_for(run, standing.verdict.fatal, failed_run=True, at=at)
    _end(run, Decision.NO_GO, standing, at)


def _halt(run: PhaseRun, fatal: Iterable[Finding], at: datetime) -> str:
    """Halt the account unless it is halted already; return why."""
    reason = f"gate {run.template.phase} failed: {', '.join(finding.criterion.metric for finding in fatal)}"
    if not halts.in_force(run.account, ""):
        halts.halt(scope=run.account.slug, by="rule: gate", reason=reason, flatten=False, at=at)
    return reason


def _void(run: PhaseRun, why: str, at: datetime) -> None:
    for request in StepRequest.objects.select_for_update().filter(run=run, state=StepRequest.State.OPEN):
        close(request, StepRequest.State.VOID, why, event="gate")
        payload = {"request": request.pk, "why": why}
        subject = f"account:{run.account.slug}"
        audit.record(actor="governance", action="step.void", subject=subject, payload=payload, at=at)


def _expire(run: PhaseRun, at: datetime) -> None:
    """Close what has waited too long: nobody can sign or withdraw it, and while it is open nobody can ask again."""
    for request in StepRequest.objects.select_for_update().filter(run=run, state=StepRequest.State.OPEN):
        if has_expired(request, at):
            close(request, StepRequest.State.EXPIRED, WHY_EXPIRED, event="gate")
            subject, payload = f"account:{run.account.slug}", {"request": request.pk}
            audit.record(actor="governance", action="step.expired", subject=subject, payload=payload, at=at)


def _open_run(run_id: int) -> PhaseRun:
    run = PhaseRun.objects.select_for_update(no_key=True).get(pk=run_id)
    if run.ended_at is not None:
        raise UnableToStep("This run has ended; reload the page.")
    return run


def _lock_run_of(request_id: int) -> None:
    """Lock the run before its request, as judging does: the other way round each could wait for the other."""
    list(PhaseRun.objects.select_for_update(of=("self",), no_key=True).filter(requests__pk=request_id))


def _lock_open_requests(run: PhaseRun) -> None:
    """Lock what may be void before the trail is: who signs locks the request first."""
    list(StepRequest.objects.select_for_update().filter(run=run, state=StepRequest.State.OPEN))


def _open_request(request_id: int, at: datetime) -> StepRequest:
    request = StepRequest.objects.select_for_update().filter(pk=request_id).first()
    _refuse_if(why_closed(request, at))
    return cast("StepRequest", request)


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToStep(refusal)


def _record(by: User, action: str, request: StepRequest, payload: Mapping[str, object], at: datetime) -> None:
    subject = f"account:{request.run.account.slug}"
    audit.record(actor=by.username, action=action, subject=subject, payload={"request": request.pk, **payload}, at=at)
    transaction.on_commit(partial(live.publish_events, "gate"))
