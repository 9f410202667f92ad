"""The promotion of a model: its evidence, who signs it, and the one click that takes it back."""

from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from riskops.domain.steps import Decision
from riskops.forms import AskPromotionForm, DecisionForm, RollBackForm, SignForm
from riskops.selectors import promotions as selectors
from riskops.services import promotions, step_up
from riskops.views.answers import Answers
from riskops.views.framing import page, with_frame
from riskops.views.signing_in import prove
from trading.http import OperatorRequest, View, wants_partial
from trading.selectors import model_evidence
from trading.selectors.frame import Frame

if TYPE_CHECKING:
    from trading.models import ModelVersion

UNABLE: Final = (promotions.UnableToPromote, step_up.UnableToStepUp)
Shown = Callable[..., HttpResponse]


def with_model(view: View) -> View:
    """Give the view the model that the address names."""

    @wraps(view)
    def found(request: OperatorRequest, around: Frame, digest: str, **kwargs: Any) -> HttpResponseBase:
        version = model_evidence.find(digest)
        if version is None:
            raise Http404("There is no such model.")
        return view(request, around, version, **kwargs)

    return with_frame(found)


@require_safe
@with_model
def show_promotion(request: OperatorRequest, around: Frame, version: "ModelVersion") -> HttpResponse:
    """Show what a model was measured on, and who signs what follows; that part alone when htmx will swap it."""
    return _page(request, around, version)


@require_POST
@with_model
def request_promotion(request: OperatorRequest, around: Frame, version: "ModelVersion") -> HttpResponse:
    """Ask the signers for the promotion."""

    def ask(symbol: str) -> str:
        promotions.request(version=version, by=request.user, canary_symbol=symbol, at=now())
        return "Asked. Each signer signs on this page; what you see now is what they sign."

    return _answers(request, around, version).obey(AskPromotionForm(request.POST), ask)


@require_POST
@with_model
def sign_promotion(request: OperatorRequest, around: Frame, version: "ModelVersion", request_id: int) -> HttpResponse:
    """Sign or reject the promotion in one role."""
    _refuse_others(version, request_id)

    def sign(role: str, word: str, note: str, digest: str, password: str, code: str) -> str:
        approves = word == "sign"
        prove(request, password=password, code=code)
        promotions.sign(
            request_id=request_id, by=request.user, role=role, approves=approves, note=note, digest=digest, at=now()
        )
        return f"{'Signed' if approves else 'Rejected'} as {role}."

    return _answers(request, around, version).obey(SignForm(request.POST), sign)


@require_POST
@with_model
def decide_promotion(request: OperatorRequest, around: Frame, version: "ModelVersion", request_id: int) -> HttpResponse:
    """Record GO, HOLD or NO_GO."""
    _refuse_others(version, request_id)

    def decide(decision: str, notes: str, digest: str, password: str, code: str) -> str:
        prove(request, password=password, code=code)
        promotions.decide(
            request_id=request_id, by=request.user, decision=Decision(decision), notes=notes, digest=digest, at=now()
        )
        return f"{decision} is recorded."

    return _answers(request, around, version).obey(DecisionForm(request.POST), decide)


@require_POST
@with_model
def withdraw_promotion(
    request: OperatorRequest, around: Frame, version: "ModelVersion", request_id: int
) -> HttpResponse:
    """Take an open request back, with its signatures."""
    _refuse_others(version, request_id)

    def withdraw() -> str:
        promotions.withdraw(request_id=request_id, by=request.user, at=now())
        return "Withdrawn, with its signatures."

    return _answers(request, around, version).obey(None, withdraw)


@require_POST
@with_model
def roll_back(request: OperatorRequest, around: Frame, version: "ModelVersion") -> HttpResponse:
    """Take the model back at once; whoever may halt may do this, alone."""

    def back(why: str) -> str:
        champion = promotions.roll_back(version=version, by=request.user, why=why, at=now())
        heard = f"{champion.name} {champion.digest[:8]} is the champion." if champion else "The rule grid trades alone."
        return f"{version.name} is rolled back. {heard}"

    return _answers(request, around, version).obey(RollBackForm(request.POST), back)


def _refuse_others(version: "ModelVersion", request_id: int) -> None:
    """A request of another model does not exist at this address."""
    if not selectors.is_of(version, request_id):
        raise Http404("There is no such request.")


def _answers(request: OperatorRequest, around: Frame, version: "ModelVersion") -> Answers:
    address = reverse("riskops:promotion", args=[version.digest])
    return Answers(request, address, UNABLE, partial(_page, request, around, version, status=422))


def _page(request: OperatorRequest, around: Frame, version: "ModelVersion", *, status: int = 200) -> HttpResponse:
    template = "riskops/partials/promotion.html" if wants_partial(request) else "riskops/promotion.html"
    return page(
        request,
        around,
        template,
        status=status,
        promotion=selectors.promotion_page(version, request.user, now()),
        has_otp=step_up.is_set_up(request.user),
    )
