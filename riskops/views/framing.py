"""What every page of governance is wrapped in."""

from functools import wraps
from typing import Any

from django.http import HttpResponse
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
        around = frame(request.session.get(DESK_IN_SESSION), now())
        return view(request, around, *args, **kwargs) if around else redirect("trading:overview")

    return signed_in(never_cache(framed))


def page(request: OperatorRequest, around: Frame, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render `template` inside the frame."""
    shared = {"frame": around, "speeds": SPEEDS, "datasets": DATASETS, "now": now()}
    return render(request, template, {**shared, **context}, status=status)
