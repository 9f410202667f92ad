"""What every page of governance is wrapped in."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache

from trading.http import DESK_IN_SESSION, OperatorRequest, View, signed_in
from trading.selectors.frame import DATASETS, SPEEDS, Frame, frame


def with_frame(view: View) -> View:
    """Give the view the frame of the desk this session looks at; without any desk the overview says what to do."""

    @wraps(view)
    def framed(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        around = frame(request.session.get(DESK_IN_SESSION), now(), request.user)
        return view(request, around, *args, **kwargs) if around else redirect("trading:overview")

    return signed_in(never_cache(framed))


def of_own_account(account_of: Callable[[int], int | None]) -> Callable[[View], View]:
    """Let a view pass that is about a row of an account the reader sees; any other row does not exist for them."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: OperatorRequest, around: Frame, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not around.shows(account_of(next(iter(kwargs.values())))):
                raise Http404("There is nothing here that you may see.")
            return view(request, around, *args, **kwargs)

        return guarded

    return guard


def page(request: OperatorRequest, around: Frame, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render `template` inside the frame."""
    shared = {"frame": around, "speeds": SPEEDS, "datasets": DATASETS, "now": now()}
    return render(request, template, {**shared, **context}, status=status)
