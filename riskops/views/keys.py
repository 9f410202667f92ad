"""Keys of venues: written, never shown; what the venue says of each; revoked by typing the label."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from riskops.forms import KeyForm, RevokeForm
from riskops.views.answers import Answers
from riskops.views.framing import page, with_frame
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose
from trading.http import OperatorRequest
from trading.permissions import only
from trading.selectors import armings
from trading.selectors.frame import Frame
from trading.services import venue_keys

UNABLE: Final = (venue_keys.UnableToKeep,)
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

    def seal(account: str, purpose: str, label: str, key: str, secret: str) -> str:
        desk = next((desk for desk in around.desks if desk.slug == account), None)
        if desk is None:
            raise venue_keys.UnableToKeep(f"There is no account {account}.")
        kept = venue_keys.add(
            account=desk, purpose=KeyPurpose(purpose), label=label, key=key, secret=secret, by=request.user.username,
            at=now(),
        )  # fmt: skip
        return f"{kept.label} is sealed. The venue is asked within a minute what it may do."

    return Answers(request, "riskops:keys", UNABLE).obey(KeyForm(request.POST), seal)


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
    seen = {desk.slug for desk in around.desks}

    def revoke(typed: str) -> str:
        if not any(line.id == key_id and line.account in seen for line in armings.key_lines(revoked=True)):
            raise venue_keys.UnableToKeep("There is no such key; reload the page.")
        gone = venue_keys.revoke(key_id=key_id, typed=typed, by=request.user.username, at=now())
        return f"{gone.label} is revoked here. Delete it at the venue as well."

    return Answers(request, "riskops:keys", UNABLE).obey(RevokeForm(request.POST), revoke)
