"""Incidents: the list, one of them with its playbook, what is done about it, and the review that closes it."""

from typing import Final

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.incidents import Review
from riskops.forms import LookForm, OpenIncidentForm, ReviewForm, StepForm, WriteForm
from riskops.selectors import incidents as selectors
from riskops.selectors import owners
from riskops.services import incidents
from riskops.views.answers import Answers
from riskops.views.framing import of_own_account, page, with_frame
from trading.domain.people import DESK
from trading.http import OperatorRequest
from trading.selectors.frame import Frame

UNABLE: Final = (incidents.UnableToAct, incidents.UnableToClose)


@require_safe
@with_frame
def show_incidents(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the incidents of the desk, and how its reviews stand."""
    at = now()
    return page(
        request,
        around,
        "riskops/incidents.html",
        lines=selectors.lines(around.account, at),
        playbooks=selectors.choices(),
        reviewed=selectors.reviewed(around.account, at),
        may_write=request.user.groups.filter(name__in=DESK).exists(),
    )


@require_safe
@with_frame
def show_incident(request: OperatorRequest, around: Frame, incident_id: int) -> HttpResponse:
    """Show one incident."""
    found = selectors.page_of(around.account, incident_id, request.user, now())
    if found is None:
        raise Http404("This desk has no such incident.")
    return page(request, around, "riskops/incident.html", page=found)


@require_POST
@with_frame
def open_incident(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Open an incident by hand, and show it."""
    form = OpenIncidentForm(request.POST)
    opened: list[int] = []

    def begin(playbook: str, what: str) -> str:
        incident = incidents.open_by_hand(
            account=around.account, by=request.user, playbook=playbook, what=what, at=now()
        )
        opened.append(incident.pk)
        return f"Incident #{incident.pk} is open."

    answer = _answers(request, "riskops:incidents").obey(form, begin)
    return redirect(_page(opened[0])) if opened else answer


@require_POST
@with_frame
def review_desk(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Write down that the desk was reviewed."""
    form = LookForm(request.POST)

    def look(note: str) -> str:
        incidents.look(account=around.account, by=request.user, note=note, at=now())
        return "Your review of the desk is written down."

    return _answers(request, "riskops:incidents").obey(form, look)


@require_POST
@with_frame
@of_own_account(owners.of_incident)
def apply_step(request: OperatorRequest, around: Frame, incident_id: int) -> HttpResponse:
    """Let the runtime do an immediate step."""
    form = StepForm(request.POST)

    def apply(step: str, symbol: str) -> str:
        incidents.carry_out(incident_id=incident_id, by=request.user, step=step, symbol=symbol, at=now())
        return "Applied."

    return _answers(request, _page(incident_id)).obey(form, apply)


@require_POST
@with_frame
@of_own_account(owners.of_incident)
def undo_step(request: OperatorRequest, around: Frame, incident_id: int) -> HttpResponse:
    """Take back what the runtime does for a step."""
    form = StepForm(request.POST)

    def undo(step: str, symbol: str) -> str:
        incidents.undo(incident_id=incident_id, by=request.user, step=step, at=now())
        return "Undone."

    return _answers(request, _page(incident_id)).obey(form, undo)


@require_POST
@with_frame
@of_own_account(owners.of_incident)
def write(request: OperatorRequest, around: Frame, incident_id: int) -> HttpResponse:
    """Tick a step, write a note, take the incident, choose its cause, or say that it works again."""
    form = WriteForm(request.POST)

    def do(kind: str, step: str, note: str) -> str:
        by, at = request.user, now()
        if kind == "done":
            incidents.tick(incident_id=incident_id, by=by, step=step, note=note, at=at)
        elif kind == "note":
            incidents.note(incident_id=incident_id, by=by, text=note, at=at)
        elif kind == "owner":
            incidents.own(incident_id=incident_id, by=by, at=at)
        elif kind == "resolved":
            incidents.resolve(incident_id=incident_id, by=by, cause=step, at=at)
        else:
            incidents.recover(incident_id=incident_id, by=by, at=at)
        return "Written down."

    return _answers(request, _page(incident_id)).obey(form, do)


@require_POST
@with_frame
@of_own_account(owners.of_incident)
def close_incident(request: OperatorRequest, around: Frame, incident_id: int) -> HttpResponse:
    """Close an incident with its review."""
    form = ReviewForm(request.POST)

    def close(cause: str, impact: str, prevention: str) -> str:
        review = Review(cause, impact, prevention)
        incidents.close(incident_id=incident_id, by=request.user, review=review, at=now())
        return f"Incident #{incident_id} is closed."

    return _answers(request, _page(incident_id)).obey(form, close)


def _page(incident_id: int) -> str:
    return reverse("riskops:incident", args=[incident_id])


def _answers(request: OperatorRequest, to: str) -> Answers:
    return Answers(request, to, UNABLE)
