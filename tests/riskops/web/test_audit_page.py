"""The audit page: who sees what, filters that an index answers, exports that verify elsewhere."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from trading import tasks
from trading.domain.audit import Link, first_break
from trading.models import AuditEvent
from trading.selectors import trail
from trading.services import audit

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def write(actor: str = "trader", action: str = "symbol.paused", at: datetime = AT, **payload: object) -> int:
    with transaction.atomic():
        return audit.record(actor=actor, action=action, subject="account:micro", payload=payload, at=at)


def rows_of(query: trail.Query, own: str | None = None) -> list[int]:
    return [row.sequence for row in trail.page(query, own).rows]


def html_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


@pytest.fixture
def cto(as_person: AsPerson) -> Client:
    return as_person("cto")


def test_a_deed_on_a_page_is_shown_with_role_address_and_request(as_person: AsPerson) -> None:
    as_person("trader").post("/symbols/BTCUSDT/pause/", {"reason": "news"}, REMOTE_ADDR="10.1.2.3")

    event = AuditEvent.objects.get(action="symbol.paused")
    page = html_of(as_person("cto").get("/audit/"))

    assert event.payload["_by"]["roles"] == ["Trader"]
    assert event.payload["_by"]["address"] == "10.1.2.3"
    assert len(event.payload["_by"]["request"]) == 32
    for part in ("symbol.paused", "Trader", "10.1.2.3", event.hash[:12], event.payload["_by"]["request"][:8]):
        assert part in page
    assert audit.verify() is None


def test_before_and_after_are_shown_side_by_side(cto: Client) -> None:
    write(action="user.changed", before={"roles": ["Trader"]}, after={"roles": ["CTO", "Engineer"]})

    assert "roles: Trader → <b>roles: CTO, Engineer</b>" in html_of(cto.get("/audit/"))


def test_a_command_says_which_process_it_was(settings: Any) -> None:
    settings.COMMAND_NAME = "halt"

    write()

    assert AuditEvent.objects.get().payload["_by"] == {"process": "halt"}


def test_a_trader_reads_their_own_rows_alone(as_person: AsPerson) -> None:
    mine, other = write("trader"), write("engineer")
    turn = write("trader", "orders.changed")
    trader = as_person("trader")

    page = html_of(trader.get("/audit/?turns=1"))
    export = trader.get("/audit/export.jsonl?turns=1&actor=engineer").getvalue().decode()

    assert f"<td>{mine}</td>" in page
    assert f"<td>{other}</td>" not in page
    assert f"<td>{turn}</td>" not in page
    assert export == ""


@pytest.mark.parametrize("role", ["Auditor", "Compliance", "CEO"])
def test_who_watches_reads_everything(as_person: AsPerson, role: str) -> None:
    as_person("trader")
    other = write("engineer")
    person = User.objects.create_user("watcher")
    person.groups.add(Group.objects.get_or_create(name=role)[0])
    browser = Client()
    browser.force_login(person)

    assert f"<td>{other}</td>" in html_of(browser.get("/audit/"))


# --- filters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def five() -> list[int]:
    return [
        write("trader", "symbol.paused", AT, reason="news of the fork"),
        write("runtime:micro", "orders.approved", AT + timedelta(minutes=1)),
        write("engineer", "symbol.paused", AT + timedelta(minutes=2)),
        write("runtime:micro", "account.changed", AT + timedelta(minutes=3)),
        write("trader", "refused", AT + timedelta(minutes=4), why="not a signer"),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (trail.Query(), [5, 4, 3, 1]),
        (trail.Query(turns=True), [5, 4, 3, 2, 1]),
        (trail.Query(actor="trader"), [5, 1]),
        (trail.Query(actor="runtime:micro", turns=True), [4, 2]),
        (trail.Query(action="symbol.paused"), [3, 1]),
        (trail.Query(action="orders.approved"), [2]),
        (trail.Query(subject="account:micro", actor="engineer"), [3]),
        (trail.Query(text="FORK"), [1]),
        (trail.Query(text="signer"), [5]),
        (trail.Query(since=AT + timedelta(minutes=2)), [5, 4, 3]),
        (trail.Query(until=AT + timedelta(minutes=2)), [1]),
        (trail.Query(since=AT + timedelta(minutes=1), until=AT + timedelta(minutes=2), turns=True), [2]),
        (trail.Query(before=4), [3, 1]),
        (trail.Query(actor="nobody"), []),
    ],
)
def test_filters(five: list[int], query: trail.Query, expected: list[int]) -> None:
    assert rows_of(query) == [five[number - 1] for number in expected]


def test_a_row_is_found_by_the_beginning_of_its_hash(five: list[int]) -> None:
    digest = AuditEvent.objects.get(sequence=five[2]).hash

    assert rows_of(trail.Query(text=digest[:12])) == [five[2]]


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    written = [write() for _ in range(120)]

    found: list[int] = []
    query = trail.Query()
    while True:
        page = trail.page(query)
        found += [row.sequence for row in page.rows]
        if page.next_before is None:
            break
        query = trail.Query(before=page.next_before)

    assert found == written[::-1]


def test_a_search_says_how_far_it_looked_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "SCANNED", 10)
    wanted = write(reason="needle")
    for _ in range(25):
        write()

    first = trail.page(trail.Query(text="needle"))
    second = trail.page(trail.Query(text="needle", before=first.next_before))
    third = trail.page(trail.Query(text="needle", before=second.next_before))

    assert [first.looked_back_to, second.looked_back_to] == [wanted + 15, wanted + 5]
    assert ([row.sequence for row in third.rows], third.next_before) == ([wanted], None)


@pytest.mark.parametrize(
    "asked",
    ["before=x", "before=" + "9" * 19, "before=-1", "before=٣", "from=yesterday", "to=2026-99-99T00:00",
     "q=" + "x" * 500, "actor=%00", "from=2026-11-21T12:00:00%2B99:00", "turns=maybe", "from=0001-01-01T00:00",
     "to=9999-12-31T23:59:59"],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_no_error(cto: Client, asked: str) -> None:
    assert cto.get(f"/audit/?{asked}").status_code in (200, 400)


@pytest.mark.parametrize("rows", [1, 200])
def test_a_page_costs_the_same_queries_however_long_the_trail(cto: Client, rows: int) -> None:
    for _ in range(rows):
        write()
    cto.get("/audit/")

    with CaptureQueriesContext(connection) as seen:
        cto.get("/audit/")

    assert len(seen) <= 21


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (trail.Query(actor="trader"), "audit_by_actor"),
        (trail.Query(action="symbol.paused"), "audit_by_action"),
        (trail.Query(subject="account:none"), "audit_by_subject"),
    ],
)
def test_a_filter_is_answered_by_its_index(query: trail.Query, index: str) -> None:
    with connection.cursor() as cursor:  # a trail as it is: almost nothing but turns
        cursor.execute(
            "INSERT INTO trading_auditevent (sequence, at, actor, action, subject, payload, previous_hash, hash)"
            " SELECT n, now(), CASE WHEN n % 500 = 0 THEN 'person' || n % 7 ELSE 'runtime:micro' END,"
            " CASE WHEN n % 500 = 0 THEN 'deed' || n % 11 ELSE 'orders.changed' END, 'account:micro', '{}', '', ''"
            " FROM generate_series(1, 50000) n"
        )
        cursor.execute("ANALYZE trading_auditevent")

    plan = trail._filtered(query, None).order_by("-sequence")[:51].explain()

    assert index in plan, plan
    assert "Seq Scan" not in plan


# --- exports ------------------------------------------------------------------------------------------------------


def body_of(answer: Any) -> str:
    return str(answer.getvalue().decode())


def test_an_export_can_be_verified_without_us(cto: Client) -> None:
    for number in range(30):
        write(payload={"n": number, "text": "größer ☃"}, at=AT + timedelta(microseconds=number))

    lines = [json.loads(line) for line in body_of(cto.get("/audit/export.jsonl?turns=1")).splitlines()]

    links = [
        (Link(row["sequence"], row["at_us"], row["actor"], row["action"], row["subject"], row["payload"]),
         row["previous_hash"], row["hash"])
        for row in lines
    ]  # fmt: skip
    assert len(links) >= 30
    assert first_break(links) is None
    assert first_break([*links[:5], *links[6:]]) is not None


def test_no_cell_of_the_csv_is_a_formula(cto: Client) -> None:
    write(actor='=HYPERLINK("http://x")', reason="=1+1")

    rows = list(csv.DictReader(io.StringIO(body_of(cto.get("/audit/export.csv")))))

    assert rows[-1]["actor"] == '\'=HYPERLINK("http://x")'
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))]
    assert rows[-1]["hash"] == AuditEvent.objects.latest("sequence").hash


def test_an_export_takes_the_filter_along(cto: Client) -> None:
    write("trader", "a.b")
    write("engineer", "a.b")

    rows = list(csv.DictReader(io.StringIO(body_of(cto.get("/audit/export.csv?actor=engineer&action=a.b")))))

    assert [row["actor"] for row in rows] == ["engineer"]


def test_an_export_in_many_batches_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "BATCH", 7)
    written = [write() for _ in range(30)]

    lines = "".join(trail.as_json_lines(trail.Query())).splitlines()

    assert [json.loads(line)["sequence"] for line in lines] == written


# --- the stamp ----------------------------------------------------------------------------------------------------


@pytest.fixture
def anchor_file(settings: Any, tmp_path: Any) -> None:
    settings.AUDIT_ANCHOR_FILE = tmp_path / "audit-anchors.jsonl"


PAGES = ["/", "/symbols/", "/orders/open/", "/risk/", "/alerts/", "/roadmap/", "/gate/", "/audit/", "/settings/"]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_shows_the_head_of_the_trail(cto: Client, anchor_file: None, address: str) -> None:
    last = write()
    digest = AuditEvent.objects.get(sequence=last).hash

    before = html_of(cto.get(address))
    tasks.verify_audit_chain()
    after = html_of(cto.get(address))

    assert f"#{last} <code>{digest[:12]}</code>" in before
    assert "never verified" in before
    assert f"✓ verified</span> to #{last}" in after


def test_a_broken_trail_is_said_on_every_page(cto: Client, anchor_file: None) -> None:
    last = write()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE trading_auditevent SET actor = 'x' WHERE sequence = %s", [last])

    tasks.verify_audit_chain()

    assert f"✗ breaks at #{last}" in html_of(cto.get("/"))
    assert "was changed after it was written" in html_of(cto.get("/audit/"))


def test_the_trail_says_when_it_was_verified(cto: Client, anchor_file: None) -> None:
    tasks.verify_audit_chain()

    seen = trail.stamp()
    assert seen.is_whole
    assert seen.verified_at is not None
    assert now() - seen.verified_at < timedelta(minutes=1)
