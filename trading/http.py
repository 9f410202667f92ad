"""What the views know about a request, and who may ask."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

DESK_IN_SESSION: Final = "desk"  # slug of the desk that this session looks at

View = Callable[..., HttpResponseBase]


class OperatorRequest(HttpRequest):
    """A request of a signed-in person, with what htmx says about it."""

    user: User
    htmx: HtmxDetails


def wants_partial(request: OperatorRequest) -> bool:
    """Return whether htmx will swap only a part of the page; a history restore asks for the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def wants_json(request: HttpRequest) -> bool:
    """Return whether a script asks and reads the answer itself."""
    return request.headers.get("Accept") == "application/json"


def address_of(request: HttpRequest) -> str:
    """Return the network address of who asks, as the web server saw it (a proxy in front of it must be named there)."""
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


def signed_in(view: View) -> View:
    """Let signed-in people pass; send a page to the login, tell a script 401 (it would swap the login page in)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request") or wants_json(request):
            return HttpResponse("Signed out", status=401, content_type="text/plain")
        return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")

    return guarded
