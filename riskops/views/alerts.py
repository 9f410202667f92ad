"""Alerts: what waits for a person, the rules behind it, and where people who are away are told."""

from typing import Any, Final

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.routes import EDITORS
from riskops.forms import RouteForm, ShelveForm
from riskops.selectors import alerts as alert_selectors
from riskops.selectors.alerts import TABS, Tab
from riskops.services import routing
from riskops.views.framing import of_own_account, page, with_frame
from trading.domain.people import OPERATORS
from trading.http import OperatorRequest, wants_partial
from trading.permissions import only
from trading.selectors.alerts import account_of, happenings
from trading.selectors.frame import Frame
from trading.services import alerts

EVENTS: Final = 60  # lines


@require_safe
@with_frame
def show_alerts(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show one tab of the alerts of this desk; only its list when htmx will swap it."""
    return _page(request, around, _tab(request))


@require_POST
@with_frame
@of_own_account(account_of)
@only(OPERATORS, "shelve an alert")
def shelve(request: OperatorRequest, around: Frame, alert_id: int) -> HttpResponse:
    """Put one alert aside for a while."""
    form = ShelveForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Nothing was shelved. {_first_error(form)}")
        return _back("open")
    try:
        alert = alerts.shelve(alert_id=alert_id, by=request.user, at=now(), **form.cleaned_data)
    except alerts.UnableToShelve as error:
        messages.error(request, f"Nothing was shelved. {error}")
    else:
        messages.success(request, f"Shelved until {alert.shelved_until:%H:%M} UTC: {alert.message}")
    return _back("open")


@require_POST
@with_frame
@of_own_account(account_of)
@only(OPERATORS, "shelve an alert")
def unshelve(request: OperatorRequest, around: Frame, alert_id: int) -> HttpResponse:
    """Take one alert back before its time."""
    try:
        alert = alerts.unshelve(alert_id=alert_id, by=request.user, at=now())
    except alerts.UnableToShelve as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Back on the list: {alert.message}")
    return _back("shelved")


@require_POST
@with_frame
@only(EDITORS, "change notification routes")
def add_route(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Add one place where people who are away are told."""
    form = RouteForm(request.POST)
    if form.is_valid():
        try:
            route = routing.add_route(by=request.user, at=now(), **form.cleaned_data)
        except routing.UnableToRoute as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Route {route.name} added. Send a test: a route is as good as its last message.")
            return _back("routes")
    return _page(request, around, "routes", form, status=422)


@require_POST
@with_frame
@only(EDITORS, "change notification routes")
def remove_route(request: OperatorRequest, around: Frame, route_id: int) -> HttpResponse:
    """Tell nobody there any more."""
    try:
        route = routing.remove_route(route_id=route_id, by=request.user, at=now())
    except routing.UnableToRoute as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Route {route.name} removed; what waited for it is not sent.")
    return _back("routes")


@require_POST
@with_frame
@only(EDITORS, "change notification routes")
def test_route(request: OperatorRequest, around: Frame, route_id: int) -> HttpResponse:
    """Send one message to prove that a route works."""
    try:
        delivery = routing.send_test(route_id=route_id, by=request.user, at=now())
    except routing.UnableToRoute as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, f"A test for {delivery.route.name} is on its way; within 10 s it says what came of it."
        )
    return _back("routes")


def _tab(request: HttpRequest) -> Tab:
    return next((tab for tab in TABS if tab == request.GET.get("show")), "open")


def _back(tab: Tab) -> HttpResponse:
    return redirect(f"{reverse('trading:alerts')}?show={tab}" if tab != "open" else "trading:alerts")


def _first_error(form: Form) -> str:
    return next(str(text) for texts in form.errors.values() for text in texts)


def _page(
    request: OperatorRequest, around: Frame, tab: Tab, form: RouteForm | None = None, *, status: int = 200
) -> HttpResponse:
    """Show one tab; `form` with what is wrong about it."""
    at = now()
    context: dict[str, Any] = {"alarms": alert_selectors.alert_page(around.account, tab, at), "show": tab}
    if tab == "rules":
        context["rules"] = alert_selectors.rule_lines(around.account, around.mandate, at)
    if tab == "routes":
        roles = set(request.user.groups.values_list("name", flat=True))
        context |= {"routes": alert_selectors.route_lines(), "may_edit": bool(roles & EDITORS)}
        context |= {"form": form or RouteForm(), "escalations": alert_selectors.escalation_lines()}
    if not wants_partial(request):
        context["happenings"] = happenings(around.account, EVENTS)
        return page(request, around, "riskops/alerts.html", status=status, **context)
    return page(request, around, "riskops/partials/alarms.html", status=status, **context)
