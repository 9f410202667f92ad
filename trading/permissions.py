"""Which roles pass a view; nobody is refused without being told and without a row in the audit trail."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.timezone import now

from trading.domain.people import Role, why_not
from trading.http import OperatorRequest, View, wants_partial
from trading.services import refusals


def only(allowed: frozenset[Role], what: str) -> Callable[[View], View]:
    """Let people of these roles pass; whoever else tries is told why, and the refusal is recorded."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: OperatorRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            roles = frozenset(request.user.groups.values_list("name", flat=True))
            refusal = why_not(roles, allowed, what)
            if not refusal:
                return view(request, *args, **kwargs)
            refusals.record(by=request.user.username, what=request.path, why=refusal, at=now())
            messages.error(request, f"Nothing was changed. {refusal}")
            if wants_partial(request):
                return HttpResponse(status=204, headers={"HX-Refresh": "true"})  # and then the page says it
            return redirect("trading:overview")

        return guarded

    return guard
