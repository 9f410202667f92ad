"""The audit trail: everything that was changed or refused, by whom, from where, and whether it is whole."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from riskops.views.framing import page, with_frame
from trading.domain.people import READERS
from trading.http import OperatorRequest, wants_partial
from trading.selectors import trail
from trading.selectors.frame import Frame

LONGEST: Final = {"actor": 310, "action": 40, "subject": 80, "q": 60}  # letters that are looked at
HIGHEST: Final = 2**63 - 1  # sequence


@require_safe
@with_frame
def show_audit(request: OperatorRequest, around: Frame) -> HttpResponse:
    """Show one page of the trail under a filter."""
    query, own = _query(request), _only_of(request)
    template = "riskops/partials/audit_rows.html" if wants_partial(request) else "riskops/audit.html"
    found = trail.page(query, own)
    shown = _as_query_string(query)
    return page(
        request,
        around,
        template,
        query=query,
        found=found,
        actions=trail.actions(own),
        own=own,
        filter_query=shown,
        next_query=_as_query_string(query, before=found.next_before),
    )


@require_safe
@with_frame
def export_audit(request: OperatorRequest, around: Frame, kind: str) -> StreamingHttpResponse:
    """Return every row under the filter, with what proves it."""
    query, own = _query(request), _only_of(request)
    rows = trail.as_csv(query, own) if kind == "csv" else trail.as_json_lines(query, own)
    types = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
    chunks = _fetched_aside(rows) if isinstance(request, ASGIRequest) else rows
    answer = StreamingHttpResponse(chunks, content_type=types[kind])
    answer["Content-Disposition"] = f'attachment; filename="gridconsole-audit-{now():%Y%m%dT%H%M%SZ}.{kind}"'
    return answer


async def _fetched_aside(chunks: Iterator[str]) -> AsyncIterator[str]:
    """Yield the chunks as they are fetched: the server would first gather all of a plain iterator in memory."""
    fetch = sync_to_async(partial(next, chunks, None))
    while (chunk := await fetch()) is not None:
        yield chunk


def _only_of(request: OperatorRequest) -> str | None:
    """Return whose rows this person is held to; None: they may read everybody's."""
    roles = frozenset(request.user.groups.values_list("name", flat=True))
    return None if roles & READERS else request.user.username


def _query(request: HttpRequest) -> trail.Query:
    asked = {name: request.GET.get(name, "").strip()[:length] for name, length in LONGEST.items()}
    before = request.GET.get("before", "")
    is_number = before.isascii() and before.isdigit() and len(before) < 20
    return trail.Query(
        actor=asked["actor"],
        action=asked["action"],
        subject=asked["subject"],
        text=asked["q"],
        since=_moment(request.GET.get("from", "")),
        until=_moment(request.GET.get("to", "")),
        turns=request.GET.get("turns") == "1",
        before=min(int(before), HIGHEST) if is_number else None,
    )


def _moment(text: str) -> datetime | None:
    """Return the moment that a field of the page names, in UTC; None for none and for what cannot be one."""
    try:
        found = parse_datetime(text[:40])
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC) if found is not None else None


def _as_query_string(query: trail.Query, before: int | None = None) -> str:
    asked = {
        "actor": query.actor,
        "action": query.action,
        "subject": query.subject,
        "q": query.text,
        "from": f"{query.since:%Y-%m-%dT%H:%M:%S}" if query.since else "",
        "to": f"{query.until:%Y-%m-%dT%H:%M:%S}" if query.until else "",
        "turns": "1" if query.turns else "",
        "before": str(before or ""),
    }
    return urlencode({name: value for name, value in asked.items() if value})
