"""What a request tells of who asks: kept with every audit row, and as the last sign of life of their session."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now

from trading.http import address_of, wants_json
from trading.services import audit, sessions


def known_people(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Seal person, roles, address and request id with what is recorded; note when a person last did something.

    Nobody is asked for before a row needs it: a page that answers without the database goes on to do so.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        around = audit.Circumstances(
            person=request.user.get_username,
            roles=lambda: list(request.user.groups.values_list("name", flat=True)),
            address=address_of(request),
            request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
        )
        with audit.under(around):
            response = get_response(request)
        row = getattr(request.session, "row", None)
        if row is not None and row.person_id is not None and is_deed(request):
            sessions.seen(row, now())
        return response

    return handle


def is_deed(request: HttpRequest) -> bool:
    """Return whether a person did this: what a page fetches by itself, again and again, keeps nobody signed in."""
    by_itself = request.headers.get("HX-Request") == "true" or wants_json(request)
    return request.method not in ("GET", "HEAD") or not by_itself
