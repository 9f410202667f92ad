"""The roadmap and the gate: see where a desk stands, ask for the step, sign it, decide it."""

from functools import partial
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.attachments import Attached
from riskops.domain.steps import Decision
from riskops.forms import DecisionForm, SignForm, StartForm, StepUpForm, TickForm
from riskops.selectors import gate, owners, roadmap
from riskops.services import phases, step_up
from riskops.views.answers import Answers
from riskops.views.framing import of_own_account, page, with_frame
from riskops.views.signing_in import prove
from trading.http import OperatorRequest
from trading.selectors.frame import Frame

UNABLE: Final = (phases.UnableToStep, step_up.UnableToStepUp)


@require_safe
@with_frame
def show_roadmap(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show every phase, what it grants, and where the desk stands."""
    return page(request, around, "riskops/roadmap.html", stops=roadmap.track(around.account))


@require_safe
@with_frame
def show_gate(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the gate of the desk's run."""
    return page(request, around, "riskops/gate.html", **_gate(request, around))


@require_safe
@with_frame
def show_criteria(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the criteria and the signatures alone, for htmx."""
    return page(request, around, "riskops/partials/gate.html", **_gate(request, around))


@require_safe
@with_frame
def show_checklist(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the checklist of the step alone, in its sections."""
    return page(request, around, "riskops/checklist.html", **_gate(request, around))


@require_safe
@with_frame
def show_attachment(request: OperatorRequest, around: Frame, attachment_id: int) -> HttpResponse:
    """Give a file that somebody attached to a tick, as a download and nothing else."""
    kept = gate.attachment(around.account, attachment_id)
    if kept is None:
        raise Http404
    response = HttpResponse(bytes(kept.content), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{kept.name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_safe
@with_frame
def show_card(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show how the gate stands in a few lines, for the overview."""
    return page(request, around, "riskops/partials/gate_card.html", **_gate(request, around))


@require_POST
@with_frame
def start_run(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Start the run of a phase: its mandate is in force from now on."""
    form = StartForm(request.POST)

    def start(phase: str) -> str:
        by, at = request.user, now()
        phases.begin(account=around.account, phase_id=phase, by=by, at=at)
        return f"Phase {phase} runs: its mandate is in force at {around.account.name}."

    return _answers(request, around).obey(form, start)


@require_POST
@with_frame
def request_step(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Ask the signers for the step."""
    run = gate.open_run(around.account)
    if run is None:
        return _answers(request, around).refuse("No run is in force at this desk: there is no step to ask for.")

    def ask() -> str:
        phases.request_step(run=run, by=request.user, at=now())
        return "Asked. Each signer signs on this page; what you see now is what they sign."

    return _answers(request, around).obey(None, ask)


@require_POST
@with_frame
@of_own_account(owners.of_step)
def sign_step(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Sign or reject the step in one role."""
    form = SignForm(request.POST)

    def sign(role: str, word: str, note: str, digest: str, password: str, code: str) -> str:
        approves = word == "sign"
        prove(request, password=password, code=code)
        phases.sign(
            request_id=request_id,
            by=request.user,
            role=role,
            approves=approves,
            note=note,
            digest=digest,
            at=now(),
        )
        return f"{'Signed' if approves else 'Rejected'} as {role}."

    return _answers(request, around).obey(form, sign)


@require_POST
@with_frame
@of_own_account(owners.of_step)
def tick_item(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Tick an item of the checklist, or take the tick back."""
    form = TickForm(request.POST, request.FILES)

    def tick(item: str, done: str, note: str, file: Attached | None) -> str:
        is_done = done == "yes"
        phases.tick(request_id=request_id, by=request.user, item=item, done=is_done, note=note, attached=file, at=now())
        return f"{'Ticked' if is_done else 'Tick taken back'}: {item}."

    return _answers(request, around).obey(form, tick)


@require_POST
@with_frame
@of_own_account(owners.of_step)
def decide_step(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Record GO, HOLD or NO_GO."""
    form = DecisionForm(request.POST)

    def decide(decision: str, notes: str, digest: str, password: str, code: str) -> str:
        prove(request, password=password, code=code)
        phases.decide(
            request_id=request_id, by=request.user, decision=Decision(decision), notes=notes, digest=digest, at=now()
        )
        return f"{decision} is recorded."

    return _answers(request, around).obey(form, decide)


@require_POST
@with_frame
@of_own_account(owners.of_step)
def withdraw_step(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Take an open request back, with its signatures."""

    def withdraw() -> str:
        phases.withdraw(request_id=request_id, by=request.user, at=now())
        return "Withdrawn, with its signatures."

    return _answers(request, around).obey(None, withdraw)


@require_safe
@with_frame
def show_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show whether the person has an authenticator, and the key of one that waits for its first code."""
    return _authenticator(request, around)


@require_POST
@with_frame
def begin_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Make the key of a new authenticator."""

    def begin() -> str:
        step_up.begin(person=request.user, at=now())
        return "Add this key to your authenticator, then prove it with its first code."

    return Answers(request, "riskops:authenticator", UNABLE).obey(None, begin)


@require_POST
@with_frame
def confirm_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Put the new authenticator in use once its first code is right."""

    def confirm(password: str, code: str) -> str:
        step_up.confirm(person=request.user, password=password, code=code, at=now())
        return "Your authenticator is in use: sign with its codes."

    refused = partial(_authenticator, request, around, status=422)
    return Answers(request, "riskops:gate", UNABLE, refused).obey(StepUpForm(request.POST), confirm)


def _answers(request: OperatorRequest, around: Frame) -> Answers:
    def refused() -> HttpResponse:
        return page(request, around, "riskops/gate.html", status=422, **_gate(request, around))

    return Answers(request, "riskops:gate", UNABLE, refused)


def _authenticator(request: OperatorRequest, around: Frame, *, status: int = 200) -> HttpResponse:
    return page(
        request,
        around,
        "riskops/authenticator.html",
        status=status,
        in_use=step_up.is_set_up(request.user),
        key=step_up.key_of(request.user),
    )


def _gate(request: OperatorRequest, around: Frame) -> dict[str, Any]:
    at = now()
    run, incidents_ = gate.open_run(around.account), gate.incident_lines(around.account, at)
    if run is None:
        start, why_not_start = phases.what_may_start(around.account), gate.why_not_start(request.user)
        return {"gate": None, "start": start, "why_not_start": why_not_start, "incidents": incidents_}
    return {
        "gate": gate.gate_page(run, request.user, at),
        "past": gate.past_steps(run),
        "tag": gate.newest_tag(around.account),
        "has_otp": step_up.is_set_up(request.user),
        "incidents": incidents_,
    }
