"""The audit trail as people read it: filtered, paged by sequence, exported with what proves it."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from trading.domain.audit import CIRCUMSTANCES, canonical
from trading.models.audit import OTHER_THAN_TURNS, TURNS, AuditEvent, AuditHead, AuditVerification
from trading.selectors import spoken
from trading.selectors.exports import cell

PAGE_SIZE: Final = 50
SCANNED: Final = 50_000  # rows that one page looks through where no index helps; the page says how far it looked
DISORDER: Final = 1_000  # rows: whoever writes tells the moment, which may lie a little behind the sequence
BATCH: Final = 1_000  # rows of an export fetched at a time
SHORT: Final = 12  # letters of a hash
HEADER: Final = (
    "sequence", "at_utc", "actor", "roles", "address", "process", "action", "subject", "payload", "request_id",
    "at_us", "previous_hash", "hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What a person asked for."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    text: str = ""  # part of any of the three or of the payload
    since: datetime | None = None
    until: datetime | None = None
    turns: bool = False  # also what the execution loops write at every order
    before: int | None = None  # rows below this sequence: the next page

    @property
    def is_scan(self) -> bool:
        """Whether no index answers it alone."""
        return bool(self.text) or (self.turns and bool(self.actor or self.action or self.subject))


@dataclass(frozen=True, slots=True)
class TrailRow:
    """One event as it is written on the page."""

    sequence: int
    at: datetime
    actor: str
    roles: str
    address: str
    process: str
    asked_by: str  # the person of the request, where the actor is another one
    action: str
    words: str  # the action as people say it
    subject: str
    before: str
    after: str
    facts: str  # everything else of the payload
    request_id: str
    short_hash: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, newest first, and where the next ones start."""

    rows: list[TrailRow]
    next_before: int | None
    looked_back_to: int | None  # where a search without an index stopped


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the footer of every page says of the trail."""

    sequence: int
    short_hash: str
    verified_at: datetime | None  # None: never
    verified_to: int
    reason: str  # empty: it was whole
    anchored: int | None  # the row that the newest anchor held then

    @property
    def is_whole(self) -> bool:
        """Whether the last verification found it whole."""
        return self.verified_at is not None and not self.reason


def stamp() -> Stamp:
    """Return the head of the trail and its last verification, in two look-ups by key."""
    sequence, digest = AuditHead.objects.filter(pk=1).values_list("sequence", "hash").first() or (0, "0" * 64)
    seen = AuditVerification.objects.first()
    if seen is None:
        return Stamp(sequence, digest[:SHORT], None, 0, "", None)
    return Stamp(sequence, digest[:SHORT], seen.at, seen.sequence, seen.reason, seen.anchored)


def page(query: Query, only_of: str | None = None) -> Page:
    """Return one page of the trail; `only_of` names a person who may see no rows but their own."""
    rows, looked_back_to = _filtered(query, only_of), None
    if query.is_scan:
        top = query.before - 1 if query.before else _newest()
        looked_back_to = max(top - SCANNED, 0)
        rows = rows.filter(sequence__gt=looked_back_to)
    found = list(rows.order_by("-sequence")[: PAGE_SIZE + 1])
    if len(found) > PAGE_SIZE:
        return Page([_row(event) for event in found[:PAGE_SIZE]], found[PAGE_SIZE - 1].sequence, None)
    return Page([_row(event) for event in found], looked_back_to + 1 if looked_back_to else None, looked_back_to)


def actions(only_of: str | None = None) -> list[str]:
    """Return the actions of the newest rows that are no turns, to choose from."""
    rows = AuditEvent.objects.filter(OTHER_THAN_TURNS)
    rows = rows.filter(actor=only_of) if only_of is not None else rows
    newest = rows.order_by("-sequence").values_list("action", flat=True)[:2_000]
    return sorted({*newest, *(() if only_of is not None else TURNS)})


def as_csv(query: Query, only_of: str | None = None) -> Iterator[str]:
    """Yield the rows under the filter, oldest first, as CSV that a spreadsheet cannot mistake for formulas.

    A batch at a time, each its own query: a browser that reads slowly holds no cursor open.
    """
    yield _csv_lines([HEADER])
    for events in _batches(query, only_of):
        yield _csv_lines(map(_csv_row, events))


def as_json_lines(query: Query, only_of: str | None = None) -> Iterator[str]:
    """Yield the rows under the filter, oldest first, one JSON object each, with every field that the hash covers."""
    for events in _batches(query, only_of):
        yield "".join(f"{json.dumps(_json_row(event))}\n" for event in events)


def _batches(query: Query, only_of: str | None) -> Iterator[list[AuditEvent]]:
    """Yield every row under the filter up to the head as it stands now, for rows are written meanwhile."""
    rows, last = _filtered(query, only_of).filter(sequence__lte=_newest()).order_by("sequence"), 0
    while events := list(rows.filter(sequence__gt=last)[:BATCH]):
        yield events
        last = events[-1].sequence


def _csv_lines(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _csv_row(event: AuditEvent) -> list[object]:
    row = _row(event)
    names = [row.actor, row.roles, row.address, row.process, row.action, row.subject]
    chained = [row.request_id, _microseconds(event.at), event.previous_hash, event.hash]
    return [row.sequence, row.at.isoformat(), *names, canonical(event.payload), *chained]


def _json_row(event: AuditEvent) -> dict[str, object]:
    return {
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "at_us": _microseconds(event.at),
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "payload": event.payload,
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }


def _filtered(query: Query, only_of: str | None) -> QuerySet[AuditEvent]:
    rows = (
        AuditEvent.objects.all()
        if query.turns or query.action in TURNS
        else AuditEvent.objects.filter(OTHER_THAN_TURNS)
    )
    if only_of is not None:
        rows = rows.filter(OTHER_THAN_TURNS, actor=only_of)
    for field in ("actor", "action", "subject"):
        if wanted := getattr(query, field):
            rows = rows.filter(**{field: wanted})
    if query.since is not None:
        rows = rows.filter(at__gte=query.since, sequence__gte=_last_before(query.since) - DISORDER)
    if query.until is not None:
        rows = rows.filter(at__lt=query.until)
        if (first := _first_from(query.until)) is not None:
            rows = rows.filter(sequence__lte=first + DISORDER)
    if query.before is not None:
        rows = rows.filter(sequence__lt=query.before)
    if query.text:
        rows = rows.annotate(text=Cast("payload", TextField())).filter(
            Q(actor__icontains=query.text)
            | Q(action__icontains=query.text)
            | Q(subject__icontains=query.text)
            | Q(hash__startswith=query.text.lower())
            | Q(text__icontains=query.text)
        )
    return rows


def _last_before(at: datetime) -> int:
    """Return the newest row before `at` that has an index; what follows it holds everything from `at` on."""
    rows = AuditEvent.objects.filter(OTHER_THAN_TURNS, at__lt=at).order_by("-at", "-sequence")
    return rows.values_list("sequence", flat=True).first() or 0


def _first_from(at: datetime) -> int | None:
    rows = AuditEvent.objects.filter(OTHER_THAN_TURNS, at__gte=at).order_by("at", "sequence")
    return rows.values_list("sequence", flat=True).first()


def _newest() -> int:
    return AuditHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0


def _row(event: AuditEvent) -> TrailRow:
    payload: dict[str, Any] = dict(event.payload) if isinstance(event.payload, dict) else {"": event.payload}
    around = payload.pop(CIRCUMSTANCES, {})
    known: Mapping[str, Any] = around if isinstance(around, dict) else {}
    is_change = {"before", "after"} <= payload.keys()
    before, after = (payload.pop("before"), payload.pop("after")) if is_change else (None, None)
    return TrailRow(
        sequence=event.sequence,
        at=event.at,
        actor=event.actor,
        roles=", ".join(map(str, known.get("roles", []))),
        address=str(known.get("address", "")),
        process=str(known.get("process", "")),
        asked_by=str(known.get("person", "")),
        action=event.action,
        words=spoken.action(event.action),
        subject=event.subject,
        before="" if before is None else _readable(before),
        after="" if after is None else _readable(after),
        facts=_readable(payload) if payload else "",
        request_id=str(known.get("request", "")),
        short_hash=event.hash[:SHORT],
    )


def _readable(value: object) -> str:
    """Return "roles: CTO, active: yes" of a mapping; anything nested deeper as JSON."""
    if isinstance(value, dict):
        return " · ".join(f"{name}: {_readable(part)}" for name, part in value.items())
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return value if isinstance(value, str) else json.dumps(value)


def _microseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
