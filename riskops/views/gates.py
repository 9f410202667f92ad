"""The roadmap and the gate: see where a desk stands, ask for the step, sign it, decide it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.attachments import Attached
from riskops.domain.steps import Decision
from riskops.forms import DecisionForm, SignForm, StartForm, StepUpForm, TickForm
from riskops.selectors import gate, owners, roadmap
from riskops.services import phases, step_up
from riskops.views.framing import of_own_account, page, with_frame
from riskops.views.signing_in import prove
from trading.http import OperatorRequest
from trading.selectors.frame import Frame
from trading.services import refusals

if TYPE_CHECKING:
    from django.forms import Form

RELOAD: Final = "reload the page and try again."
WRITTEN: Final = {
    "note",
    "file",
    "notes",
    "password",
    "code",
    "cause",
    "impact",
    "prevention",
}  # by the person; not by the page


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

    return _do(request, around, form, start)


@require_POST
@with_frame
def request_step(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Ask the signers for the step."""
    run = gate.open_run(around.account)
    if run is None:
        return _refuse(request, around, "No run is in force at this desk: there is no step to ask for.")

    def ask() -> str:
        phases.request_step(run=run, by=request.user, at=now())
        return "Asked. Each signer signs on this page; what you see now is what they sign."

    return _do(request, around, None, ask)


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

    return _do(request, around, form, sign)


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

    return _do(request, around, form, tick)


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

    return _do(request, around, form, decide)


@require_POST
@with_frame
@of_own_account(owners.of_step)
def withdraw_step(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Take an open request back, with its signatures."""

    def withdraw() -> str:
        phases.withdraw(request_id=request_id, by=request.user, at=now())
        return "Withdrawn, with its signatures."

    return _do(request, around, None, withdraw)


def _do(request: OperatorRequest, around: Frame, form: "Form | None", act: Callable[..., str]) -> HttpResponse:
    """Do what was asked and say what came of it; a refusal changes nothing but the audit trail."""
    if twice := [name for name, values in request.POST.lists() if len(values) > 1]:
        return _refuse(request, around, f"{', '.join(sorted(twice))[:80]} was sent twice; {RELOAD}")
    if form is not None and not form.is_valid():
        return _refuse(request, around, _what_is_wrong(form))
    try:
        messages.success(request, act(**(form.cleaned_data if form is not None else {})))
    except (phases.UnableToStep, step_up.UnableToStepUp) as error:
        return _refuse(request, around, str(error))
    return redirect("riskops:gate")


def _refuse(request: OperatorRequest, around: Frame, why: str) -> HttpResponse:
    refusals.record(by=request.user.username, what=request.path, why=why, at=now())
    messages.error(request, f"Nothing was changed. {why}")
    return page(request, around, "riskops/gate.html", status=422, **_gate(request, around))


def _what_is_wrong(form: "Form") -> str:
    """Return every defect with the name of its field; what a page sends by itself is not repeated."""
    found = []
    for name, defects in form.errors.as_data().items():
        is_told = name in WRITTEN or all(defect.code == "required" for defect in defects)
        words = " ".join(map(str, form.errors[name])) if is_told else f"is not what this page sends; {RELOAD}"
        found.append(f"{name}: {words}")
    return " ".join(found)


@require_safe
@with_frame
def show_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show whether the person has an authenticator, and the key of one that waits for its first code."""
    return _authenticator(request, around, StepUpForm())


@require_POST
@with_frame
def begin_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Make the key of a new authenticator."""
    try:
        step_up.begin(person=request.user, at=now())
    except step_up.UnableToStepUp as error:
        messages.error(request, str(error))
    return redirect("riskops:authenticator")


@require_POST
@with_frame
def confirm_authenticator(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Put the new authenticator in use once its first code is right."""
    form = StepUpForm(request.POST)
    if form.is_valid():
        try:
            step_up.confirm(person=request.user, at=now(), **form.cleaned_data)
        except step_up.UnableToStepUp as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Your authenticator is in use: sign with its codes.")
            return redirect("riskops:gate")
    return _authenticator(request, around, form)


def _authenticator(request: OperatorRequest, around: Frame, form: StepUpForm) -> HttpResponse:
    return page(
        request,
        around,
        "riskops/authenticator.html",
        status=422 if form.errors else 200,
        form=form,
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
