"""Keys of venues: written, never shown; what the venue says of each; revoked by typing the label."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from riskops.forms import KeyForm, RevokeForm
from riskops.views.framing import page, with_frame
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose
from trading.http import OperatorRequest
from trading.permissions import only
from trading.selectors import armings
from trading.selectors.frame import Frame
from trading.services import refusals, venue_keys

KEEPERS = frozenset({Role.ENGINEER, Role.CTO})


@require_safe
@with_frame
def show_keys(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show the keys of every account that the reader sees, masked."""
    seen = {desk.slug for desk in around.desks}
    lines = [line for line in armings.key_lines(revoked=True) if line.account in seen]
    return page(
        request,
        around,
        "riskops/keys.html",
        lines=[line for line in lines if line.revoked_at is None],
        revoked=[line for line in lines if line.revoked_at is not None],
        accounts=[desk for desk in around.desks if desk.mode != Mode.PAPER],
        purposes=list(KeyPurpose),
    )


@sensitive_post_parameters("key", "secret")
@require_POST
@with_frame
@only(KEEPERS, "add a venue key")
def add_key(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Seal a key; from here on nobody sees it again."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _refused(request, " ".join(str(text) for errors in form.errors.values() for text in errors))
    given = form.cleaned_data
    account = next((desk for desk in around.desks if desk.slug == given["account"]), None)
    if account is None:
        return _refused(request, f"There is no account {given['account']}.")
    try:
        kept = venue_keys.add(
            account=account, purpose=KeyPurpose(given["purpose"]), label=given["label"], key=given["key"],
            secret=given["secret"], by=request.user.username, at=now(),
        )  # fmt: skip
    except venue_keys.UnableToKeep as error:
        return _refused(request, str(error))
    messages.success(request, f"{kept.label} is sealed. The venue is asked within a minute what it may do.")
    return redirect("riskops:keys")


@require_POST
@with_frame
@only(KEEPERS, "have the venue asked about its keys")
def check_keys(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Have housekeeping ask the venue now; this process opens no key that may trade."""
    venue_keys.ask_soon(by=request.user.username, at=now())
    messages.success(request, "The venue is being asked; the answers stand here within seconds.")
    return redirect("riskops:keys")


@require_POST
@with_frame
@only(KEEPERS, "revoke a venue key")
def revoke_key(request: OperatorRequest, around: Frame, key_id: int) -> HttpResponse:
    """Throw a key away."""
    form = RevokeForm(request.POST)
    seen = {desk.slug for desk in around.desks}
    if not any(line.id == key_id and line.account in seen for line in armings.key_lines(revoked=True)):
        return _refused(request, "There is no such key; reload the page.")
    if not form.is_valid():
        return _refused(request, "Type the label of the key to revoke it.")
    try:
        gone = venue_keys.revoke(
            key_id=key_id, typed=form.cleaned_data["typed"], by=request.user.username, at=now()
        )  # fmt: skip
    except venue_keys.UnableToKeep as error:
        return _refused(request, str(error))
    messages.success(request, f"{gone.label} is revoked here. Delete it at the venue as well.")
    return redirect("riskops:keys")


def _refused(request: OperatorRequest, why: str) -> HttpResponse:
    refusals.record(by=request.user.username, what=request.path, why=why, at=now())
    messages.error(request, f"Nothing was changed. {why}")
    return redirect("riskops:keys")
