"""What is recorded stays recorded, and a forgery shows."""

from datetime import datetime

import pytest
from django.db import DatabaseError, connection, transaction

from trading.models import AuditEvent
from trading.services import audit

pytestmark = pytest.mark.django_db


def write(now: datetime, action: str = "order.approved") -> int:
    with transaction.atomic():
        return audit.record(actor="runtime:micro", action=action, subject="account:micro", payload={"n": 1}, at=now)


def forge(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # what a database superuser could do
        cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_events_form_a_whole_chain(now: datetime) -> None:
    written = [write(now) for _ in range(3)]

    assert written == [1, 2, 3]
    assert AuditEvent.objects.get(sequence=3).previous_hash == AuditEvent.objects.get(sequence=2).hash
    assert audit.verify() is None


@pytest.mark.parametrize("sql", ["UPDATE trading_auditevent SET actor = 'x'", "DELETE FROM trading_auditevent"])
def test_the_database_refuses_to_change_the_past(now: datetime, sql: str) -> None:
    write(now)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("sql", "sequence"),
    [
        ("UPDATE trading_auditevent SET actor = 'x' WHERE sequence = 2", 2),
        ("DELETE FROM trading_auditevent WHERE sequence = 2", 3),
        ("DELETE FROM trading_auditevent WHERE sequence = 3", 2),
    ],
    ids=["changed", "removed", "cut off"],
)
def test_a_forgery_behind_the_trigger_is_found(now: datetime, sql: str, sequence: int) -> None:
    for _ in range(3):
        write(now)

    forge(sql)

    found = audit.verify()
    assert found is not None
    assert found.sequence == sequence


@pytest.mark.django_db(transaction=True)
def test_an_event_without_the_transaction_of_its_change_is_refused(now: datetime) -> None:
    with pytest.raises(transaction.TransactionManagementError, match="transaction of its change"):
        audit.record(actor="a", action="b", subject="c", payload={}, at=now)
