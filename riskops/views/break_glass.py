"""Break-glass: ask, grant, end; and the red bar on every page while it is in force."""

from functools import partial
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.forms import BreakGlassForm, StepUpForm
from riskops.selectors import break_glass as selector
from riskops.selectors import owners
from riskops.services import break_glass, step_up
from riskops.views.answers import Answers
from riskops.views.framing import of_own_account, page, with_frame
from riskops.views.signing_in import prove
from trading.domain.people import DESK
from trading.http import OperatorRequest
from trading.permissions import only
from trading.selectors.frame import Frame

UNABLE: Final = (break_glass.UnableToBreak, step_up.UnableToStepUp)


def bar(request: HttpRequest) -> dict[str, Any]:
    """Give every page the glass that is broken anywhere, asked for only where a page shows it."""
    return {"broken_glass": SimpleLazyObject(lambda: selector.in_force(now()))}


@require_safe
@with_frame
def show_break_glass(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show what breaking the glass does, and where it stands."""
    return _page(request, around)


@require_POST
@with_frame
@only(DESK, "break the glass")
def ask_break_glass(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Ask a second person to break the glass."""
    form = BreakGlassForm(request.POST)

    def ask(reason: str, hours: int, password: str, code: str) -> str:
        prove(request, password=password, code=code)
        break_glass.ask(account=around.account, by=request.user, reason=reason, hours=hours, at=now())
        return "Asked. A second person grants it on this page within an hour."

    return _answers(request, around).obey(form, ask)


@require_POST
@with_frame
@of_own_account(owners.of_glass)
@only(DESK, "break the glass")
def grant_break_glass(request: OperatorRequest, around: Frame, glass_id: int) -> HttpResponse:
    """Break the glass as the second person."""
    form = StepUpForm(request.POST)

    def grant(password: str, code: str) -> str:
        prove(request, password=password, code=code)
        row = break_glass.grant(glass_id=glass_id, by=request.user, at=now())
        return f"The glass is broken until {row.expires_at:%H:%M} UTC. Everybody was told."

    return _answers(request, around).obey(form, grant)


@require_POST
@with_frame
@of_own_account(owners.of_glass)
@only(DESK, "end a break-glass")
def end_break_glass(request: OperatorRequest, around: Frame, glass_id: int) -> HttpResponse:
    """End it before its time."""

    def end() -> str:
        break_glass.end(glass_id=glass_id, by=request.user, at=now())
        return "It is over."

    return _answers(request, around).obey(None, end)


def _answers(request: OperatorRequest, around: Frame) -> Answers:
    refused = partial(_page, request, around, status=422)
    return Answers(request, "riskops:break-glass", UNABLE, refused)


def _page(request: OperatorRequest, around: Frame, *, status: int = 200) -> HttpResponse:
    found = selector.glass_page(around.account, request.user, now())
    return page(
        request, around, "riskops/break_glass.html", status=status, glass=found, has_otp=step_up.is_set_up(request.user)
    )
