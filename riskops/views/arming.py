"""Going live: every precondition beside its evidence, the request of one person, the approval of another."""

from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.arming import TWO_ROLES
from riskops.forms import ArmForm, DisarmForm, MemberForm, MovedForm, PrepareForm
from riskops.selectors import arming as selectors
from riskops.services import arming, step_up
from riskops.views.answers import Answers
from riskops.views.framing import page, with_frame
from riskops.views.signing_in import prove
from trading.domain.modes import Mode
from trading.http import OperatorRequest, View
from trading.permissions import only
from trading.selectors import armings, desks
from trading.selectors import transfers as transfer_selectors
from trading.selectors.frame import Frame
from trading.services import halts, members, transfers

if TYPE_CHECKING:
    from trading.models import Account

UNABLE: Final = (
    arming.UnableToArm,
    step_up.UnableToStepUp,
    members.UnableToChange,
    halts.NoDatabase,
    transfers.UnableToConfirm,
)


def with_account(view: View) -> View:
    """Give the view the account that the address names; one the reader does not see does not exist."""

    @wraps(view)
    def found(request: OperatorRequest, around: Frame, slug: str, **kwargs: Any) -> HttpResponseBase:
        account = next((desk for desk in around.desks if desk.slug == slug), None)
        if account is None:
            raise Http404(f"There is no account {slug}.")
        return view(request, around, account, **kwargs)

    return with_frame(found)


@require_safe
@with_account
def show_arming(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Show the three steps of an account: PAPER, TESTNET, LIVE."""
    paper = armings.paper_of(account)
    seen = [desk for desk in (paper, *armings.all_beyond(paper)) if around.shows(desk.pk)]
    return page(
        request,
        around,
        "riskops/arming.html",
        paper=paper,
        steps=selectors.steps(paper, request.user, now()),
        has_otp=step_up.is_set_up(request.user),
        due=[one for desk in seen for one in transfer_selectors.due(desk, now())],
        owned=[(desk, desks.members_of(desk)) for desk in seen],
    )


@require_POST
@with_account
def prepare(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Make the account of the next step; it trades nothing until it is armed."""
    form = PrepareForm(request.POST)

    def act(mode: str) -> str:
        made = arming.prepare(paper=account, mode=Mode(mode), by=request.user, at=now())
        return f"{made.name} is prepared. Add its keys under Settings, Venue keys."

    return _answers(request, account).obey(form, act)


@require_POST
@with_account
def request_arming(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Ask the second person to arm the account."""
    form = ArmForm(request.POST)

    def act(typed: str, digest: str, password: str, code: str) -> str:
        prove(request, password=password, code=code)
        arming.request(account=account, by=request.user, typed=typed, digest=digest, at=now())
        return "Asked. A second person approves it on this page within 24 h."

    return _answers(request, account).obey(form, act)


@require_POST
@with_account
def approve_arming(request: OperatorRequest, around: Frame, account: "Account", request_id: int) -> HttpResponse:
    """Arm the account."""
    form = ArmForm(request.POST)

    def act(typed: str, digest: str, password: str, code: str) -> str:
        prove(request, password=password, code=code)
        done = arming.approve(
            account=account, request_id=request_id, by=request.user, typed=typed, digest=digest, at=now()
        )
        return f"{done.account.name} is armed: its orders leave within seconds."

    return _answers(request, account).obey(form, act)


@require_POST
@with_account
def withdraw_arming(request: OperatorRequest, around: Frame, account: "Account", request_id: int) -> HttpResponse:
    """Take an open request back."""

    def act() -> str:
        arming.withdraw(account=account, request_id=request_id, by=request.user, at=now())
        return "Withdrawn."

    return _answers(request, account).obey(None, act)


@require_POST
@with_account
def disarm(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Halt the account and let nothing leave any more; anybody signed in may, alone."""
    form = DisarmForm(request.POST)

    def act(why: str) -> str:
        arming.disarm(account=account, by=request.user.username, why=why, at=now())
        return f"{account.name} is disarmed and halted. Two people arm it again."

    return _answers(request, account).obey(form, act)


@require_POST
@with_account
@only(frozenset(TWO_ROLES), "say who belongs to an account")
def give_account(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Let a person see and touch the account."""

    def act(person: str) -> str:
        members.give(account=account, person=person, by=request.user.username, at=now())
        return f"{person} belongs to {account.name}."

    return _answers(request, account).obey(MemberForm(request.POST), act)


@require_POST
@with_account
@only(frozenset(TWO_ROLES), "say who belongs to an account")
def take_account(request: OperatorRequest, around: Frame, account: "Account") -> HttpResponse:
    """Take the account from a person; their open pages lose it within seconds."""

    def act(person: str) -> str:
        members.take(account=account, person=person, by=request.user.username, at=now())
        return f"{person} no longer sees {account.name}."

    return _answers(request, account).obey(MemberForm(request.POST), act)


@require_POST
@with_account
@only(frozenset(TWO_ROLES), "confirm a transfer")
def confirm_transfer(request: OperatorRequest, around: Frame, account: "Account", transfer_id: int) -> HttpResponse:
    """Say how much was moved at a venue, or that nothing more comes; the venue's balance must say the same."""

    def act(amount: Decimal | None, deed: str) -> str:
        given: dict[str, Any] = {"account": account, "transfer_id": transfer_id, "by": request.user.username}
        if deed == "over" or amount is None:
            transfers.end(**given, at=now())
            return "Ended. The desk uses what is there; the next change of capital asks for the rest again."
        transfers.confirm(**given, moved_quote=amount, at=now())
        return "Confirmed. It is booked, as no profit, once a reading of the venue shows exactly that."

    return _answers(request, account).obey(MovedForm(request.POST), act)


def _answers(request: OperatorRequest, account: "Account") -> Answers:
    return Answers(request, reverse("riskops:arming", args=[account.slug]), UNABLE)
