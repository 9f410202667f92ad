"""Whatever is recorded or raised has words, and nothing else has any."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from riskops import alarming
from trading.models import Account, Alert
from trading.selectors import spoken
from trading.selectors.timeline import happened
from trading.services import audit

ROOT: Final = Path(__file__).parents[3]
CODE: Final = re.compile(r"[a-z_]+\.[a-z_]+")
WHERE: Final = ("trading/services/*.py", "riskops/services/*.py", "riskops/admin.py", "trading/domain/audit.py",
                "trading/models/audit.py")  # fmt: skip
# Put together where they are recorded, or of one word.
PUT_TOGETHER: Final = {"refused", "replay.speed", "replay.dataset", "symbol.paused", "symbol.unpaused"}


def recorded() -> Iterator[str]:
    """Return every action that the code of today names: what looks like one in the rooms that record."""
    for path in (path for pattern in WHERE for path in ROOT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                yield node.value


def test_every_action_of_the_audit_trail_has_words() -> None:
    files = {code for code in recorded() if code.endswith((".json", ".toml"))}

    assert set(spoken.ACTIONS) == (set(recorded()) - files) | PUT_TOGETHER


def test_every_alert_has_words() -> None:
    assert set(spoken.ALERTS) == {rule.code for rule in alarming.rulebook()}


def test_words_are_no_codes_and_none_stands_for_two() -> None:
    for words in (spoken.ACTIONS, spoken.ALERTS):
        assert len(set(words.values())) == len(words)
        assert all(re.fullmatch(r"[A-Z][a-z'\u2019 -]*[a-z]", text) for text in words.values())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("halt.latched", "Halted"), ("refused", "Refused"), ("user.deleted", "Deleted in the admin: user"),
        ("venuekey.added", "Added in the admin: venuekey"), ("of.yesterday", "of.yesterday"), ("", ""),
    ],
)  # fmt: skip
def test_an_action_in_words_and_one_that_is_of_another_time(code: str, words: str) -> None:
    assert spoken.action(code) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("immediate.0", "immediate step 1"), ("investigate.2", "investigate step 3"), ("lot_size", "lot size"),
        ("deadline.root_cause", "deadline root cause"), ("ORDERS", "orders"), ("Our own code", "Our own code"),
        ("immediate.\u00b2", "immediate \u00b2"),
    ],
)  # fmt: skip
def test_a_part_of_an_action_in_words(code: str, words: str) -> None:
    assert spoken.detail(code) == words


@pytest.mark.django_db
def test_a_timeline_speaks() -> None:
    account, now = Account.objects.create(slug="micro", name="Micro $300"), datetime(2026, 11, 21, 12, tzinfo=UTC)
    payload = {"incident": 1, "step": "immediate.0", "kind": "applied", "note": "as agreed"}
    audit.record(actor="trader", action="incident.step", subject=f"account:{account.slug}", payload=payload, at=now)
    Alert.objects.create(account=account, severity="CRIT", code="VENUE_ERRORS", message="two in a minute", at=now)

    told = happened(account, now - timedelta(minutes=1), now)

    assert {(moment.words, moment.text) for moment in told} == {
        ("Step of the incident", "as agreed, applied, immediate step 1"),
        ("Venue errors", "two in a minute"),
    }
