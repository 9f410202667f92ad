"""Risk and the kill switch: halt alone, resume in pairs."""

from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from riskops.forms import DrillForm, GrantForm, HaltForm, ResumeForm
from riskops.selectors import owners, resume
from riskops.services import kill_switch
from riskops.views.framing import of_own_account, page, with_frame
from trading.domain.drills import Drill
from trading.domain.people import DESK
from trading.domain.scopes import Scope
from trading.http import DESK_IN_SESSION, OperatorRequest, signed_in, wants_json
from trading.permissions import only
from trading.selectors import drills, halts, risk
from trading.selectors.frame import Frame, frame
from trading.services.drills import UnableToDrill, run
from trading.services.halts import UnableToHalt

JUST_DRILLED: Final = timedelta(seconds=20)


@require_safe
@with_frame
def show_risk(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show limits, exposure, drawdown and the kill switch of one desk."""
    return _risk_page(request, around)


@require_safe
@with_frame
def show_kill_switch(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the kill-switch panel alone, for htmx."""
    return page(request, around, "riskops/partials/kill_switch.html", **_kill_switch(request, around))


@require_safe
@with_frame
def show_halt_history(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the history of halts alone, for htmx."""
    return page(request, around, "riskops/partials/halt_history.html", history=halts.history(around.account, now()))


@require_safe
@with_frame
def show_halt_stages(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show how far the halt of the desk is, for htmx."""
    return page(request, around, "riskops/partials/halt_stages.html")


@require_safe
@with_frame
def show_halt_effect(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show what a halt of the chosen scope would do now, for the dialog."""
    return page(request, around, "riskops/partials/halt_effect.html", **_effect(request, around))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@never_cache
def halt(request: OperatorRequest) -> HttpResponse:
    """Show the halt form, or halt: idempotent, for anybody signed in, with or without scripts."""
    if request.method != "POST":
        return _halt_page(request)
    form = HaltForm(request.POST)
    if not form.is_valid():
        return _not_halted(request, "Nothing was halted: the form is damaged. Choose what to halt from the list.")
    try:
        latched = kill_switch.halt(
            scope=form.cleaned_data["scope"] or None,
            by=request.user,
            reason=form.cleaned_data["reason"] or "pressed on the page",
            flatten=form.cleaned_data["flatten"],
            at=now(),
        )
    except UnableToHalt as error:
        return _not_halted(request, f"Nothing was halted: {error}")
    names = " and ".join(one.where for one in latched)
    text = f"Halt latched: {names}. STOPPED and PROVEN CLEAR follow in the bar on top."
    if wants_json(request):
        return JsonResponse({"message": text})
    messages.success(request, text)
    return redirect("riskops:risk")


@require_safe
@with_frame
def show_drills(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the drills alone, for htmx; what one has just halted is shown beside them at once."""
    lines = drills.lines(around.account, now())
    response = page(request, around, "riskops/partials/drills.html", drills=lines)
    if around.halts_here and any(line.at and now() - line.at < JUST_DRILLED for line in lines):
        response["HX-Trigger"] = "gc:drill"
    return response


@require_POST
@with_frame
@only(DESK, "run a drill")
def run_drill(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Fire the kill switch of a paper desk: anybody signed in may, as anybody may halt."""
    form = DrillForm(request.POST)
    if not form.is_valid():
        messages.error(request, "No drill was run: the form is damaged. Choose one of the four.")
        return redirect("riskops:risk")
    chosen = Drill(form.cleaned_data["drill"])
    try:
        run(account=around.account, drill=chosen, by=request.user.username, at=now())
    except UnableToDrill as error:
        messages.error(request, f"No drill was run. {error}")
    else:
        messages.success(request, f"Drill under way: {around.account.name} halts. Two people resume it.")
    return redirect("riskops:risk")


@require_POST
@with_frame
@only(DESK, "ask to resume")
def request_resume(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Ask a second person to resume the desk."""
    form = ResumeForm(request.POST)
    if form.is_valid():
        try:
            kill_switch.request_resume(account=around.account, by=request.user, at=now(), **form.cleaned_data)
        except kill_switch.UnableToResume as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Asked. A second person grants it on this page.")
            return redirect("riskops:risk")
    return _risk_page(request, around, form, of=form.data.get("symbol", ""))


@require_POST
@with_frame
@of_own_account(owners.of_resume)
def grant_resume(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Grant another person's request: the desk trades again."""
    form = GrantForm(request.POST)
    if form.is_valid():
        try:
            granted = kill_switch.grant_resume(request_id=request_id, by=request.user, at=now(), **form.cleaned_data)
        except kill_switch.UnableToResume as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{granted.halt.where} resumes.")
            return redirect("riskops:risk")
    return _risk_page(request, around, form, of=request_id)


@require_POST
@with_frame
@of_own_account(owners.of_resume)
@only(DESK, "withdraw a request to resume")
def withdraw_resume(request: OperatorRequest, around: Frame, request_id: int) -> HttpResponse:
    """Take an open request back."""
    try:
        kill_switch.withdraw_resume(request_id=request_id, by=request.user, at=now())
    except kill_switch.UnableToResume as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Withdrawn. The desk stays halted.")
    return redirect("riskops:risk")


def _risk_page(
    request: OperatorRequest, around: Frame, refused: Form | None = None, *, of: str | int = ""
) -> HttpResponse:
    """Show the page; `refused` is shown with its errors at the halt (`of` its symbol) or the request (`of` its id)."""
    return page(
        request,
        around,
        "riskops/risk.html",
        status=422 if refused is not None and refused.errors else 200,
        limits=risk.limit_lines(around),
        exposure=risk.exposure_lines(around),
        history=halts.history(around.account, now()),
        drills=drills.lines(around.account, now()),
        **_kill_switch(request, around, refused, of),
    )


def _kill_switch(
    request: OperatorRequest, around: Frame, refused: Form | None = None, of: str | int = ""
) -> dict[str, Any]:
    panels = []
    for panel in resume.resume_panels(around, request.user, now()):
        symbol = panel.line.halt.symbol
        asking: Form = ResumeForm(initial={"symbol": symbol}, auto_id=f"id_{symbol}%s")
        granting: Form = GrantForm(auto_id=f"id_grant_{symbol}%s")
        if isinstance(refused, ResumeForm) and of == symbol:
            asking = refused
        if isinstance(refused, GrantForm) and panel.request is not None and of == panel.request.id:
            granting = refused
        panels.append((panel, asking, granting))
    if refused is not None and all(refused not in shown for shown in panels):  # what it was about is gone
        messages.error(request, " ".join(str(text) for texts in refused.errors.values() for text in texts))
    return {"panels": panels, "past": resume.past_requests(around), "stop": risk.daily_stop(around)}


def _effect(request: OperatorRequest, around: Frame) -> dict[str, Any]:
    """Return what the halt form shows; a scope that is none is shown as everything, which the form then says."""
    scope = Scope.of_latch(request.GET.get("scope", ""))
    effect = halts.effect(around.desks, around.values, scope)
    return {"effect": effect if effect.desks else around.effect, "flatten": "flatten" in request.GET}


def _halt_page(request: OperatorRequest, error: str = "") -> HttpResponse:
    around = frame(request.session.get(DESK_IN_SESSION), now(), request.user)
    if around is None:
        return redirect("trading:overview")
    status = 422 if error else 200
    return page(request, around, "riskops/halt.html", status=status, error=error, **_effect(request, around))


def _not_halted(request: OperatorRequest, text: str) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"message": text}, status=422)
    return _halt_page(request, text)
