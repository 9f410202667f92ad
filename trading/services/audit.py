"""Append to the audit chain, in the transaction of the change it records."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from trading.domain.audit import GENESIS, Break, Link, canonical, first_break
from trading.models.audit import AuditEvent, AuditHead

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def record(*, actor: str, action: str, subject: str, payload: Mapping[str, object], at: datetime) -> int:
    """Seal one event onto the chain and return its number; call it inside the transaction of the change.

    Raises:
        TransactionManagementError: there is no transaction: the event could outlive a change that failed.
        ValueError: the payload holds a NaN or an infinity.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An audit event belongs into the transaction of its change.")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gridconsole_audit_append(%s, %s, %s, %s, %s, %s)",
            [at, microseconds(at), actor, action, subject, canonical(payload)],
        )
        return int(cursor.fetchone()[0])


def verify() -> Break | None:
    """Return where the stored chain stops being true, or None when every row follows from the one before.

    Writers go on meanwhile: what is checked is the chain up to the head as it stood at the beginning.
    """
    head = AuditHead.objects.filter(pk=1).first() or AuditHead(sequence=0, hash=GENESIS)
    last = (0, GENESIS)

    def rows() -> Iterator[tuple[Link, str, str]]:
        nonlocal last
        for row in AuditEvent.objects.filter(sequence__lte=head.sequence).order_by("sequence").iterator(2_000):
            link = Link(row.sequence, microseconds(row.at), row.actor, row.action, row.subject, row.payload)
            last = (row.sequence, row.hash)
            yield link, row.previous_hash, row.hash

    found = first_break(rows())
    if found is None and last != (head.sequence, head.hash):
        return Break(last[0], "the chain's end does not match its head: rows were cut off")
    return found


def microseconds(at: datetime) -> int:
    """Return `at` as whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND
