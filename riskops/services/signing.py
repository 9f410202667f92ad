"""What requests that people sign have in common, whatever they are about."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from riskops.domain.steps import EXPIRES_AFTER_H, is_expired
from riskops.models.signing import SignedRequest
from trading import live
from trading.live import EventName

WHY_EXPIRED: Final = f"not decided within {EXPIRES_AFTER_H} h"


def roles_of(person: User) -> set[str]:
    """Return the roles of `person`; a superuser has none by being one."""
    return set(person.groups.values_list("name", flat=True))


def has_expired(request: SignedRequest, at: datetime) -> bool:
    """Return whether `request` has waited too long for its signatures."""
    return is_expired(Decimal((at - request.requested_at).total_seconds()) / 3_600)


def why_closed(request: SignedRequest | None, at: datetime) -> str:
    """Return why nobody signs or decides `request` any more, or an empty text."""
    if request is not None and request.why_void:
        return f"This request is closed already: {request.why_void} Reload the page."
    if request is None or request.state != SignedRequest.State.OPEN:
        return "This request is closed already; reload the page."
    if has_expired(request, at):
        return f"This request is older than {EXPIRES_AFTER_H} h and has expired: ask again."
    return ""


def close(request: SignedRequest, state: str, why: str, *, event: EventName) -> None:
    """Close `request` without a decision; browsers that listen for `event` are told."""
    request.state, request.why_void = state, why[:300]
    request.save(update_fields=["state", "why_void"])
    transaction.on_commit(partial(live.publish_events, event))
