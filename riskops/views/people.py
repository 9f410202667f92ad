"""Settings: what a person decides for themselves, and, for administrators, who may sign in and as what."""

from functools import wraps
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from riskops.forms import ActiveForm, NewPasswordForm, PersonForm, RolesForm, StepUpForm
from riskops.selectors import people as person_selectors
from riskops.services import people, step_up
from riskops.services.people import UnableToChange
from riskops.views.answers import Answers, what_is_wrong
from riskops.views.framing import page, with_frame
from riskops.views.signing_in import prove
from trading.domain.people import Role
from trading.http import OperatorRequest, View
from trading.selectors import sessions as session_selectors
from trading.selectors.frame import Frame
from trading.services import sessions

UNABLE: Final = (UnableToChange, step_up.UnableToStepUp)


def administrators_only(view: View) -> View:
    """Let administrators pass; anybody else is told, and the refusal is recorded."""

    @wraps(view)
    def guarded(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_superuser:
            return view(request, *args, **kwargs)
        return _answers(request).refuse("Only an administrator may change people.")

    return guarded


@require_safe
@with_frame
def show_settings(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the person's own settings, and the people to an administrator."""
    return _settings(request, around)


@require_POST
@with_frame
def end_session(request: OperatorRequest, around: Frame, label: str) -> HttpResponse:
    """End one of one's own sessions."""
    by = request.user
    ended = sessions.end(person=by, by=by.username, why="ended on the page Settings", at=now(), label=label)
    messages.success(request, "That session has ended." if ended else "That session had ended already.")
    return redirect("riskops:settings")


@require_POST
@with_frame
def end_other_sessions(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Sign out everywhere else."""
    by, keep = request.user, request.session.session_key
    ended = sessions.end(person=by, by=by.username, why="signed out everywhere else", at=now(), keep=keep)
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return redirect("riskops:settings")


@require_POST
@sensitive_post_parameters()
@with_frame
def change_password(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Set another password for oneself; every other session ends."""
    form = NewPasswordForm(request.POST)

    def change(old_password: str, new_password: str, again: str) -> str:
        keep = request.session.session_key
        people.change_password(person=request.user, old=old_password, new=new_password, keep=keep, at=now())
        update_session_auth_hash(request, request.user)
        return "Your password is changed. Your other sessions have ended."

    return _answers(request).obey(form, change)


@require_POST
@with_frame
@administrators_only
def add_person(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Add a person and show the invitation once."""
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _answers(request).refuse(what_is_wrong(form))
    try:
        person, secret = people.add(by=request.user, at=now(), **form.cleaned_data)
    except UnableToChange as error:
        return _answers(request).refuse(str(error))
    return _settings(request, around, invitation=(person.username, _link(request, secret)))


@require_POST
@with_frame
@administrators_only
def invite_person(request: OperatorRequest, around: Frame, person_id: int) -> HttpResponse:
    """Make a new invitation and show it once."""
    try:
        person, secret = people.invite(person_id=person_id, by=request.user, at=now())
    except UnableToChange as error:
        return _answers(request).refuse(str(error))
    return _settings(request, around, invitation=(person.username, _link(request, secret)))


@require_POST
@with_frame
@administrators_only
def set_roles(request: OperatorRequest, around: Frame, person_id: int) -> HttpResponse:
    """Put a person into exactly these roles."""

    def change(roles: list[str], anyway: bool) -> str:
        person = people.set_roles(person_id=person_id, roles=roles, anyway=anyway, by=request.user, at=now())
        return f"{person.username} is {', '.join(roles) or 'without a role'} now; their sessions have ended."

    return _answers(request).obey(RolesForm(request.POST), change)


@require_POST
@with_frame
@administrators_only
def set_active(request: OperatorRequest, around: Frame, person_id: int) -> HttpResponse:
    """Let a person sign in, or no longer."""

    def change(active: str, anyway: bool) -> str:
        is_active = active == "yes"
        person = people.set_active(person_id=person_id, active=is_active, anyway=anyway, by=request.user, at=now())
        return f"{person.username} {'may sign in again' if is_active else 'is deactivated and signed out'}."

    return _answers(request).obey(ActiveForm(request.POST), change)


@require_POST
@sensitive_post_parameters()
@with_frame
@administrators_only
def remove_authenticator(request: OperatorRequest, around: Frame, person_id: int) -> HttpResponse:
    """Remove another person's lost authenticator, after proving who one is."""

    def remove(password: str, code: str) -> str:
        prove(request, password=password, code=code)
        person = people.remove_authenticator(person_id=person_id, by=request.user, at=now())
        return f"The authenticator of {person.username} is removed; they read so at their next sign-in."

    return _answers(request).obey(StepUpForm(request.POST), remove)


def _answers(request: OperatorRequest) -> Answers:
    return Answers(request, "riskops:settings", UNABLE)


def _settings(request: OperatorRequest, around: Frame, invitation: tuple[str, str] | None = None) -> HttpResponse:
    at, is_administrator = now(), request.user.is_superuser
    return page(
        request,
        around,
        "riskops/settings.html",
        sessions=session_selectors.of_person(request.user, request.session.session_key, at),
        in_use=step_up.is_set_up(request.user),
        people=person_selectors.people(request.user) if is_administrator else [],
        roles=list(Role),
        invitation=invitation,
    )


def _link(request: OperatorRequest, secret: str) -> str:
    return request.build_absolute_uri(reverse("invitation", args=[secret]))
