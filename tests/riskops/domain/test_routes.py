"""Who is told what, when, and in which words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from riskops.domain.alert_rules import Rulebook, read
from riskops.domain.alert_states import AlertState
from riskops.domain.playbooks import IDS
from riskops.domain.routes import Place, Told, masked, message, name_of, retry_after, steps_due, why_not_address
from trading.domain.events import Severity

ROOT: Final = Path(__file__).resolve().parents[3]
BOOK: Final[Rulebook] = read((ROOT / "riskops/alerts/rules.toml").read_text(), playbooks=frozenset(IDS))
NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO: Final = NOW - timedelta(days=1)
CRIT: Final = Told(
    severity=Severity.CRIT, code="VENUE_ERRORS", message="two venue errors within a minute", symbol="",
    desk="Micro $300", mode="PAPER", raised_at=NOW, state=AlertState.ACTIVE_UNACKED, is_acknowledged=False,
)  # fmt: skip
WARN: Final = Told(
    severity=Severity.WARN, code="FILL_RATE", message="too few fills", symbol="BTCUSDT", desk="Micro $300",
    mode="LIVE", raised_at=NOW, state=AlertState.ACTIVE_UNACKED, is_acknowledged=False,
)  # fmt: skip


def place(
    number: int, channel: str, *roles: str, minimum: Severity = Severity.WARN, since: datetime = LONG_AGO
) -> Place:
    return Place(number, channel, frozenset(roles), minimum, since)


PLACES: Final = [
    place(1, "chat", "Trader", "Engineer"),
    place(2, "e-mail", "Trading Lead", minimum=Severity.CRIT),
    place(3, "SMS", "Engineer"),
    place(4, "SMS", "CTO"),
    place(5, "e-mail", "CEO"),
]


def due(told: Told, places: list[Place], seconds: int) -> list[tuple[str, int]]:
    rule = BOOK.rule(told.code, told.severity)
    found = steps_due(told, rule, BOOK, places, NOW + timedelta(seconds=seconds))
    return sorted((name_of(step), one.id) for step, one in found)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, {1}),
        (29, {1}),
        (30, {1, 2}),
        (59, {1, 2}),
        (60, {1, 2, 3}),
        (179, {1, 2, 3}),
        (180, {1, 2, 3, 4}),
    ],
)
def test_a_crit_climbs_step_by_step(seconds: int, expected: set[int]) -> None:
    assert {number for _, number in due(CRIT, PLACES, seconds)} == expected


def test_nobody_is_told_of_what_somebody_has_acknowledged() -> None:
    assert due(replace(CRIT, is_acknowledged=True), PLACES, 600) == []
    assert due(replace(CRIT, state=AlertState.SHELVED), PLACES, 600) == []


def test_only_a_crit_that_is_over_is_told_all_the_same() -> None:
    over = AlertState.CLEARED_UNACKED

    assert due(replace(CRIT, state=over), PLACES, 30) == [("critical+0", 1), ("critical+30", 2)]
    assert due(replace(WARN, state=over), PLACES, 3_600) == []


def test_a_route_for_crits_alone_hears_of_no_warning() -> None:
    assert due(WARN, PLACES, 3_600) == [("warning+0", 1)]
    assert due(WARN, [place(2, "e-mail", "Trading Lead")], 3_600) == [("warning+900", 2)]


def test_a_new_route_is_not_told_of_what_was_due_before_it_was_made() -> None:
    made = NOW + timedelta(seconds=31)

    assert due(CRIT, [place(1, "chat", "Trader", since=made), place(3, "SMS", "Engineer", since=made)], 600) == [
        ("critical+60", 3)
    ]


def test_a_route_hears_of_what_falls_due_the_moment_it_is_made() -> None:
    made = NOW + timedelta(seconds=60)

    assert due(CRIT, [place(3, "SMS", "Engineer", since=made)], 600) == [("critical+60", 3)]
    assert due(CRIT, [place(3, "SMS", "Engineer", since=made + timedelta(microseconds=1))], 600) == []


def test_a_message_says_how_grave_where_what_how_much_and_what_to_do() -> None:
    title, body = message(WARN, BOOK.rule("FILL_RATE", "WARN"), "http://localhost:8000/alerts/")

    assert title == "▲ WARN · LIVE · Micro $300 · BTCUSDT · FILL_RATE"
    assert body.split("\n") == [
        "too few fills",
        "Since 2026-11-21 12:00:00 UTC.",
        "Limit: 85 % in 6 h.",
        "Now: Walk the playbook; smaller lots or other symbols.",
        "Playbook: fill_rate",
        "http://localhost:8000/alerts/",
    ]


@pytest.mark.parametrize(
    ("told", "title"),
    [
        (CRIT, "■ CRIT · PAPER · Micro $300 · VENUE_ERRORS"),
        (replace(CRIT, desk="all desks", mode="LIVE"), "■ CRIT · LIVE · all desks · VENUE_ERRORS"),
        (WARN, "▲ WARN · LIVE · Micro $300 · BTCUSDT · FILL_RATE"),
        (replace(WARN, severity=Severity.INFO), "INFO · LIVE · Micro $300 · BTCUSDT · FILL_RATE"),
    ],
)
def test_a_title_names_the_symbol_where_there_is_one(told: Told, title: str) -> None:
    assert message(told, BOOK.rule(told.code, told.severity), "http://localhost:8000/alerts/")[0] == title


def test_it_tries_again_after_ever_longer_times() -> None:
    waits = [retry_after(attempts).total_seconds() for attempts in (1, 2, 3, 7, 8, 10_000)]

    assert waits == [5, 10, 20, 300, 300, 300]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("slack://TokenA/TokenB/TokenC1234", "slack://••••1234"),
        ("json://h/x", "json://••••"),
        ("json://fifteen-letters", "json://••••"),
        ("json://sixteen-letters.", "json://••••ers."),
        ("nothing", "nothing://••••"),
    ],
)
def test_little_of_an_address_is_shown(address: str, shown: str) -> None:
    assert masked(address) == shown


@pytest.mark.parametrize(
    ("channel", "address", "refused"),
    [
        ("chat", "slack://a/b/c", False),
        ("chat", "SLACK://a/b/c", False),
        ("chat", "mailto://a:b@c", True),
        ("webhook", "json://desk/?then=http://else", False),
        ("webhook", "syslog://", True),
        ("webhook", "dbus://", True),
        ("webhook", "file:///etc/passwd", True),
        ("e-mail", "mailtos://a:b@c", False),
        ("SMS", "https://example.com", True),
        ("SMS", "", True),
        ("SMS", "twilio", True),
    ],
)
def test_a_channel_takes_its_own_addresses_alone(channel: str, address: str, refused: bool) -> None:
    assert bool(why_not_address(channel, address)) is refused


def test_a_refused_address_is_told_how_one_begins() -> None:
    assert why_not_address("e-mail", "slack://a/b/c") == (
        "An address of e-mail begins with one of mailgun://, mailto://, mailtos://, sendgrid://, ses://."
    )
