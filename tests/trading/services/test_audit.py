"""What is recorded stays recorded, and a forgery shows."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from trading import tasks
from trading.models import Alert, AuditEvent
from trading.services import audit

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # only what is committed is anchored


@pytest.fixture(autouse=True)
def anchor_file(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "audit-anchors.jsonl"
    settings.AUDIT_ANCHOR_FILE = path
    return path


def write(now: datetime, action: str = "order.approved") -> int:
    with transaction.atomic():
        return audit.record(actor="runtime:micro", action=action, subject="account:micro", payload={"n": 1}, at=now)


def forge(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
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
        ("UPDATE trading_auditevent SET at = 'infinity' WHERE sequence = 2", 2),
        ("""UPDATE trading_auditevent SET payload = '{"n": 1, "m": 2}' WHERE sequence = 2""", 2),
        ("DELETE FROM trading_audithead", 3),
        (
            "UPDATE trading_audithead SET sequence = 2, hash = (SELECT hash FROM trading_auditevent "
            "WHERE sequence = 2)",
            3,
        ),
    ],
    ids=["changed", "removed", "cut off", "moved in time", "payload", "no head", "head set back"],
)
def test_a_forgery_behind_the_trigger_is_found(now: datetime, sql: str, sequence: int) -> None:
    for _ in range(3):
        write(now)

    forge(sql)

    found = audit.verify()
    assert found is not None
    assert found.sequence == sequence
    assert AuditEvent.objects.exists()  # the caller's transaction lives on


@pytest.mark.django_db(transaction=True)
def test_an_event_without_the_transaction_of_its_change_is_refused(now: datetime) -> None:
    with pytest.raises(transaction.TransactionManagementError, match="transaction of its change"):
        audit.record(actor="a", action="b", subject="c", payload={}, at=now)


@pytest.mark.parametrize(
    "payload",
    [
        {"b": 1, "aa": [{"zz": 0.1, "y": -2}], "": None},
        {"word": 'größer ☃ \U0001f600 \x7f \t"\\'},
        {"n": [1e-7, 5e-324, 1.0, 0.1 + 0.2]},
        {"n": [2**70, 1e15, 1e16, -1e22, 1.7e308]},
        {"n": -0.0},
    ],
    ids=["order", "letters", "small numbers", "large numbers", "minus nothing"],
)
def test_every_payload_is_found_again_as_it_was_sealed(now: datetime, payload: dict[str, object]) -> None:
    with transaction.atomic():
        audit.record(actor="cto", action="x", subject="y", payload=payload, at=now)

    assert audit.verify() is None


def test_a_line_break_in_a_name_is_recorded_as_a_blank(now: datetime) -> None:
    with transaction.atomic():
        audit.record(actor="a\nb", action="x", subject="y\nz", payload={}, at=now)

    assert AuditEvent.objects.get().actor == "a b"
    assert audit.verify() is None


def recompute_everything() -> None:
    """Change the first row and seal all of them anew, as who owns the database could."""
    rows = list(AuditEvent.objects.order_by("sequence"))
    forge(
        "CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM trading_auditevent ORDER BY sequence;"
        "DELETE FROM trading_auditevent; UPDATE trading_audithead SET sequence = 0, hash = repeat('0', 64);"
        "SELECT gridconsole_audit_append(at, (extract(epoch FROM at) * 1000000)::bigint, 'nobody', action, subject,"
        " replace(payload::text, ' ', '')) FROM (SELECT * FROM kept ORDER BY sequence) k"
    )
    assert AuditEvent.objects.get(sequence=1).hash != rows[0].hash


@committed
def test_an_anchor_is_a_line_outside_and_a_count_inside(now: datetime, anchor_file: Path) -> None:
    write(now)

    made = audit.anchor(now)

    assert made is not None
    assert (made.number, made.sequence) == (1, 1)
    assert anchor_file.stat().st_mode & 0o777 == 0o600
    assert AuditEvent.objects.get(sequence=2).payload == {"number": 1, "sequence": 1}
    assert audit.examine().anchors == 1
    assert audit.verify() is None


@committed
def test_an_idle_chain_is_anchored_once(now: datetime) -> None:
    write(now)

    assert [audit.anchor(now) is not None for _ in range(3)] == [True, False, False]
    write(now)
    assert audit.anchor(now) is not None
    assert audit.examine().anchors == 2
    assert audit.verify() is None


@committed
def test_a_recomputed_chain_is_whole_in_itself_and_contradicts_its_anchor(now: datetime, anchor_file: Path) -> None:
    write(now)
    write(now)
    audit.anchor(now)

    recompute_everything()

    found = audit.verify()
    assert found is not None
    assert "recomputed" in found.reason


@committed
def test_a_tail_that_was_cut_with_its_head_contradicts_its_anchor(now: datetime) -> None:
    for _ in range(3):
        write(now)
    audit.anchor(now)

    forge(
        "DELETE FROM trading_auditevent WHERE sequence > 1;"
        "UPDATE trading_audithead SET sequence = 1, hash = (SELECT hash FROM trading_auditevent)"
    )

    found = audit.verify()
    assert found is not None
    assert (found.sequence, "tail was cut" in found.reason) == (3, True)


@committed
def test_a_deleted_file_shows_and_a_new_anchor_does_not_hide_it(now: datetime, anchor_file: Path) -> None:
    write(now)
    audit.anchor(now)
    anchor_file.unlink()
    first = audit.verify()

    write(now)
    audit.anchor(now)

    second = audit.verify()
    assert first is not None
    assert "counts 1 anchors" in first.reason
    assert second is not None
    assert "missing" in second.reason


@committed
def test_half_a_line_nobody_counted_is_a_crash_and_its_place_is_taken(now: datetime, anchor_file: Path) -> None:
    write(now)
    audit.anchor(now)
    write(now)
    with anchor_file.open("a") as file:
        file.write('{"number": 2, "sequ')

    seen = audit.examine()
    audit.anchor(now)

    assert (seen.found, seen.half_line) == (None, True)
    assert (audit.verify(), audit.examine().anchors, audit.examine().half_line) == (None, 2, False)


@committed
def test_half_a_line_that_the_chain_counts_is_tampering(now: datetime, anchor_file: Path) -> None:
    write(now)
    audit.anchor(now)

    anchor_file.write_bytes(anchor_file.read_bytes()[:-1])

    assert audit.verify() is not None


@committed
def test_a_crash_between_file_and_chain_is_no_break(now: datetime, anchor_file: Path) -> None:
    write(now)
    audit.anchor(now)
    forge(
        "DELETE FROM trading_auditevent WHERE sequence > 1;"
        "UPDATE trading_audithead SET sequence = 1, hash = (SELECT hash FROM trading_auditevent)"
    )

    assert audit.verify() is None
    write(now)
    write(now)
    made = audit.anchor(now)
    assert made is not None
    assert made.number == 2
    assert audit.verify() is None


@committed
def test_a_key_that_was_replaced_still_reads_its_lines(now: datetime, settings: Settings) -> None:
    write(now)
    audit.anchor(now)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [settings.SECRET_KEY]
    assert audit.verify() is None

    settings.SECRET_KEY_FALLBACKS = []

    assert audit.verify() is not None


def test_anchors_that_cannot_be_read_are_no_proof(now: datetime, anchor_file: Path) -> None:
    write(now)
    anchor_file.mkdir()

    found = audit.verify()

    assert found is not None
    assert "cannot be read" in found.reason


def test_what_is_not_committed_is_not_anchored(now: datetime) -> None:
    write(now)

    with pytest.raises(transaction.TransactionManagementError, match="committed"):
        audit.anchor(now)


@committed
def test_rows_wait_two_hours_for_an_anchor_and_not_longer(now: datetime) -> None:
    write(now)

    assert not audit.examine().is_late(now + timedelta(hours=2))
    assert audit.examine().is_late(now + timedelta(hours=2, seconds=1))
    audit.anchor(now)
    assert not audit.examine().is_late(now + timedelta(days=9))


@committed
def test_the_command_says_how_many_anchors_it_checked(now: datetime) -> None:
    write(now)
    audit.anchor(now)
    said, figures = StringIO(), StringIO()

    call_command("verify_audit", stdout=said)
    call_command("verify_audit", json=True, stdout=figures, stderr=StringIO())

    assert "2 events, 1 anchors checked, the newest at #1 of 20" in said.getvalue()
    anchors = json.loads(figures.getvalue())["anchors"]
    assert (anchors["checked"], anchors["newest"]["sequence"], anchors["half_line"]) == (1, 1, False)


@committed
def test_the_command_fails_where_an_anchor_is_contradicted(now: datetime, anchor_file: Path) -> None:
    write(now)
    audit.anchor(now)
    anchor_file.unlink()

    with pytest.raises(CommandError, match="counts 1 anchors"):
        call_command("verify_audit", stdout=StringIO())


@committed
def test_a_file_that_cannot_be_written_is_an_alert(anchor_file: Path) -> None:
    write(datetime.now(UTC))
    anchor_file.mkdir()

    tasks.anchor_audit_chain()

    assert Alert.objects.get().code == "AUDIT_NOT_ANCHORED"


@committed
def test_a_contradicted_anchor_is_a_critical_alert(anchor_file: Path) -> None:
    write(datetime.now(UTC))
    tasks.anchor_audit_chain()
    anchor_file.unlink()

    tasks.verify_audit_chain()

    assert Alert.objects.get().code == "AUDIT_CHAIN_BROKEN"
