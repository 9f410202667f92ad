"""Append to the audit chain, in the transaction of the change it records; anchor and verify it."""

import hmac
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Subquery
from django.utils.encoding import force_bytes
from psycopg import Cursor

from trading.adapters.anchor_file import AnchorFile
from trading.domain.audit import (
    ANCHORED,
    CIRCUMSTANCES,
    GENESIS,
    Anchor,
    Break,
    canonical,
    first_break_of_records,
    first_broken_anchor,
    read_anchor,
)
from trading.models.audit import AuditEvent, AuditHead, AuditVerification

ANCHOR_LATE: Final = timedelta(hours=2)  # anchors are made every hour
PURPOSE: Final = b"gridconsole audit anchors"  # this key signs nothing else
JSONB_INTEGER: Final = 1e16  # from here on Python writes a float with an exponent and jsonb without
BATCH: Final = 300  # rows fetched at a time
# Each row leaves as what was sealed, moments as text: infinity is one for the database, and must be found as a change,
# not end the walk. A previous hash is as long as a hash, so none can hold a line break and the next field.
WALK: Final = """
    SELECT sequence,
        convert_to(concat_ws(chr(10), previous_hash, sequence, replace(extract(epoch FROM at)::text, '.', ''),
            actor, action, subject, ''), 'UTF8'),
        convert_to(payload::text, 'UTF8'),
        hash
    FROM trading_auditevent WHERE sequence <= %s ORDER BY sequence
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What stands around a change that somebody asked for over the network."""

    person: Callable[[], str]  # user name; empty for nobody. Asked for when a row is written, never before.
    roles: Callable[[], Sequence[str]]
    address: str
    request_id: str


_circumstances: ContextVar[Circumstances | None] = ContextVar("circumstances", default=None)


@contextmanager
def under(circumstances: Circumstances) -> Iterator[None]:
    """Seal `circumstances` with every event that is recorded inside the block."""
    token = _circumstances.set(circumstances)
    try:
        yield
    finally:
        _circumstances.reset(token)


def _with_circumstances(payload: Mapping[str, object], actor: str) -> Mapping[str, object]:
    """Return the payload with who asked, from where; of a command or a task with the name of its process."""
    around = _circumstances.get()
    if around is None:
        process = settings.PROCESS_NAME or settings.COMMAND_NAME
        return {**payload, CIRCUMSTANCES: {"process": process}} if process else payload
    facts = {"roles": sorted(around.roles()), "address": around.address, "request": around.request_id}
    person = around.person()
    return {**payload, CIRCUMSTANCES: facts if person in ("", actor) else facts | {"person": person}}


def record(*, actor: str, action: str, subject: str, payload: Mapping[str, object], at: datetime) -> int:
    """Seal one event onto the chain and return its number; call it inside the transaction of the change.

    Raises:
        TransactionManagementError: there is no transaction: the event could outlive a change that failed.
        ValueError: the payload holds a NaN or an infinity.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An audit event belongs into the transaction of its change.")
    # A line break ends a field in the sealed text: inside one it would let words move into the next.
    names = [name.replace("\n", " ") for name in (actor, action, subject)]
    with connection.cursor() as cursor:
        sealed = canonical(_as_kept(_with_circumstances(payload, actor)))
        cursor.execute(
            "SELECT gridconsole_audit_append(%s, %s, %s, %s, %s, %s)", [at, microseconds(at), *names, sealed]
        )
        return int(cursor.fetchone()[0])


def _as_kept(payload: Mapping[str, object]) -> Mapping[str, object]:
    """Return the payload with numbers as jsonb gives them back: it keeps 1e16 as 10000000000000000 and -0.0 as 0.0."""
    kept: Mapping[str, object] = json.loads(canonical(payload), parse_float=_number)
    return kept


def _number(text: str) -> float:
    value = float(text)
    return int(value) if abs(value) >= JSONB_INTEGER else value + 0.0


@dataclass(frozen=True, slots=True)
class Examination:
    """What a walk over the chain and its anchors found."""

    found: Break | None
    anchors: int  # lines of the file that were checked
    newest: Anchor | None
    half_line: bool  # a crash cut the last line of the file; the next anchor takes its place
    unanchored_since: datetime | None  # the oldest row that no anchor covers
    last: int = 0  # the row up to which was walked

    def is_late(self, at: datetime) -> bool:
        """Return whether rows have waited for an anchor for too long."""
        return self.unanchored_since is not None and at - self.unanchored_since > ANCHOR_LATE


def verify() -> Break | None:
    """Return where chain and anchors stop being true, or None when every row follows and every anchor holds."""
    return examine().found


def verify_and_remember(at: datetime) -> Examination:
    """Examine the chain, and keep what was found: every page shows it until the next time."""
    seen = examine()
    AuditVerification.objects.create(
        at=at,
        sequence=seen.found.sequence if seen.found else seen.last,
        reason=seen.found.reason[:300] if seen.found else "",
        anchors=seen.anchors,
        anchored=seen.newest.sequence if seen.newest else None,
    )
    return seen


def examine() -> Examination:
    """Walk the stored chain, hold it against its anchors and say what was found.

    Writers go on meanwhile: what is checked is the chain up to the head as it stood at the beginning.
    """
    counted = _counted()  # count, file, head: in this order an anchor that is made meanwhile contradicts nothing
    try:
        lines, half_line = _file().read()
    except OSError as error:
        return Examination(Break(0, f"the anchors cannot be read: {error.strerror}"), 0, None, False, None)
    keys = _keys()
    anchors = [read_anchor(line, keys) for line in lines]
    known = [anchor for anchor in anchors if anchor is not None]
    head = _head()
    found = _walk(head) or first_broken_anchor(anchors, _hashes(known, head.sequence), counted=counted)
    newest = known[-1] if known else None
    since = None if found else _unanchored_since(newest)
    return Examination(found, len(lines), newest, half_line, since, head.sequence)


@dataclass(frozen=True, slots=True)
class _Head:
    sequence: int
    hash: str
    newest: int  # the highest sequence of any row in the same moment


def _head() -> _Head:
    newest = AuditEvent.objects.order_by("-sequence").values("sequence")[:1]
    stored = AuditHead.objects.filter(pk=1).annotate(newest=Subquery(newest))
    row = stored.values_list("sequence", "hash", "newest").first()
    if row is None:
        return _Head(0, GENESIS, AuditEvent.objects.count())
    return _Head(row[0], row[1], row[2] or 0)


def _walk(head: _Head) -> Break | None:
    connection.ensure_connection()
    with Cursor(connection.connection) as cursor:  # Django's own cannot read the binary format
        rows = cursor.stream(WALK, [head.sequence], binary=True, size=BATCH)
        found = first_break_of_records(rows, end=(head.sequence, head.hash), tidy=_tidy)
        deque(rows, maxlen=0)  # a stream that is left early takes the caller's transaction with it
    if found is None and head.newest != head.sequence:
        return Break(head.newest, "rows stand behind the head")
    return found


def _tidy(payload: bytes) -> bytes:
    """Return the payload as `canonical` writes it unless it holds rare numbers or letters beyond ASCII."""
    return orjson.dumps(orjson.loads(payload), option=orjson.OPT_SORT_KEYS)


# --- anchors ------------------------------------------------------------------------------------------------------


def anchor(at: datetime) -> Anchor | None:
    """Write the head into the file outside the database, then count it in the chain; None: there is nothing new.

    In this order a crash leaves a line that the chain does not count, never a count without its line: a count that is
    ahead of the file is tampering.

    Raises:
        TransactionManagementError: it runs in a transaction, whose rows may yet be rolled back.
        OSError: the file cannot be written.
    """
    if connection.in_atomic_block:
        raise transaction.TransactionManagementError("Only a head that is committed can be anchored.")
    made: Anchor | None = None

    def line(lines: Sequence[str]) -> str | None:
        nonlocal made
        made = _next_anchor(read_anchor(lines[-1], _keys()) if lines else None, at)
        return made.line(_keys()[0]) if made is not None else None

    _file().extend(line)
    if made is not None:
        with transaction.atomic():
            payload = {"number": made.number, "sequence": made.sequence}
            record(actor="audit", action=ANCHORED, subject=f"anchor:{made.number}", payload=payload, at=at)
    return made


def _next_anchor(last: Anchor | None, at: datetime) -> Anchor | None:
    """Return the anchor of the head as it stands, None where only the count of the last one was added since."""
    head = _head()
    if head.sequence == 0 or (last is not None and head.sequence <= last.sequence + 1):
        return None
    number = max(last.number if last is not None else 0, _counted()) + 1  # a gap shows that lines were lost
    return Anchor(number, head.sequence, head.hash, at.astimezone(UTC).isoformat())


def _counted() -> int:
    """Return the number of the newest anchor that the chain speaks of."""
    payload = AuditEvent.objects.filter(action=ANCHORED).values_list("payload", flat=True).first()
    number = payload.get("number") if isinstance(payload, dict) else None
    return number if isinstance(number, int) else 0


def _hashes(anchors: Sequence[Anchor], last: int) -> dict[int, str]:
    sequences = [anchor.sequence for anchor in anchors if anchor.sequence <= last]
    return dict(AuditEvent.objects.filter(sequence__in=sequences).values_list("sequence", "hash"))


def _unanchored_since(newest: Anchor | None) -> datetime | None:
    rows = AuditEvent.objects.filter(sequence__gt=newest.sequence if newest else 0).exclude(action=ANCHORED)
    return rows.order_by("sequence").values_list("at", flat=True).first()


def _keys() -> list[bytes]:
    """Return the key of new anchors, then those of older ones; none of them is in the database."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hmac.digest(force_bytes(secret), PURPOSE, "sha256") for secret in secrets]


def _file() -> AnchorFile:
    return AnchorFile(Path(settings.AUDIT_ANCHOR_FILE))


def microseconds(at: datetime) -> int:
    """Return `at` as whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND
