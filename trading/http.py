"""What the views know about a request."""

from typing import Protocol

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class OperatorRequest(HttpRequest):
    """A request of a signed-in person, with what htmx says about it."""

    user: User
    htmx: HtmxDetails


class HasHtmx(Protocol):
    """Any request that passed the htmx middleware."""

    htmx: HtmxDetails


def wants_partial(request: HasHtmx) -> bool:
    """Return whether htmx will swap only a part of the page; a history restore asks for the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request
