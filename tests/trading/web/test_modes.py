"""PAPER, TESTNET and LIVE can never be taken for one another: word, frame, title, icon, alert, log line, order id."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from django.conf import settings as installed
from django.test import Client
from pytest_django import Settings

from trading import bootstrap
from trading.domain.events import Severity
from trading.domain.modes import ID_MARKS, Mode, id_prefix
from trading.domain.orders import CLIENT_ORDER_ID_LENGTH, client_order_id
from trading.models import Account
from trading.services import alerts, armings

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def page(signed_in: Client, micro: Account) -> dict[str, str]:
    """Return the overview of an account of every mode."""
    found = {}
    for mode in Mode:
        account = micro if mode is Mode.PAPER else armings.prepare(paper=micro, mode=mode, by="cto", at=NOW)
        session = signed_in.session
        session["desk"] = account.slug
        session.save()
        found[mode.value] = signed_in.get("/").content.decode()
    return found


def between(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found is not None, pattern
    return re.sub(r"\s+", " ", found.group(1)).strip()


@pytest.mark.parametrize(
    "pattern", [r"<title>(.*?)</title>", r'<link rel="icon" href="([^"]+)"', r'<html[^>]*data-mode="(\w+)"']
)
def test_title_icon_and_frame_differ(page: dict[str, str], pattern: str) -> None:
    shown = {mode: between(text, pattern) for mode, text in page.items()}

    assert len(set(shown.values())) == 3, shown


def test_the_title_begins_with_the_mode_of_what_is_no_paper(page: dict[str, str]) -> None:
    titles = {mode: between(text, r"<title>(.*?)</title>") for mode, text in page.items()}

    assert titles["LIVE"].startswith("LIVE · ")
    assert titles["TESTNET"].startswith("TESTNET · ")
    assert "LIVE" not in titles["PAPER"]


def test_the_pill_says_it_in_words(page: dict[str, str]) -> None:
    words = {mode: between(text, r'data-mode="\w+" title="[^"]*"><b>(.*?)</b>') for mode, text in page.items()}

    assert words == {"PAPER": "PAPER", "TESTNET": "TESTNET", "LIVE": "LIVE · real money"}


def test_a_rehearsal_never_claims_real_money(signed_in: Client, micro: Account, settings: Settings) -> None:
    settings.SIMULATOR_STANDS_IN = True
    live = armings.prepare(paper=micro, mode=Mode.LIVE, by="cto", at=NOW)
    session = signed_in.session
    session["desk"] = live.slug
    session.save()

    shown = signed_in.get("/").content.decode()

    assert "LIVE · rehearsal" in shown
    assert "real money" not in shown


def test_every_icon_exists_and_the_frame_has_its_rule(page: dict[str, str]) -> None:
    static = Path(installed.BASE_DIR) / "static"

    for text in page.values():
        assert (static / between(text, r'<link rel="icon" href="/static/([^"]+)"')).is_file()
    css = (static / "css/layout.css").read_text()
    assert '[data-mode="LIVE"] body::after' in css
    assert '[data-mode="TESTNET"] body::after' in css


@pytest.mark.parametrize(("mode", "text"), [("PAPER", "slow"), ("TESTNET", "TESTNET: slow"), ("LIVE", "LIVE: slow")])
def test_an_alert_begins_with_the_mode_of_what_is_no_paper(micro: Account, mode: str, text: str) -> None:
    Account.objects.filter(pk=micro.pk).update(mode=mode)
    micro.refresh_from_db()

    told = alerts.raise_alert(account=micro, severity=Severity.WARN, code="X", message="slow", at=NOW)

    assert told.message == text


def test_every_line_of_a_loop_names_its_mode(settings: Settings) -> None:
    with structlog.contextvars.bound_contextvars():
        bootstrap.mark_lines("LIVE", account="microlive")
        one = structlog.contextvars.get_contextvars()
        settings.SIMULATOR_STANDS_IN = True
        bootstrap.mark_lines()
        shared = structlog.contextvars.get_contextvars()

    assert (one["mode"], one["account"]) == ("LIVE", "microlive")
    assert shared["mode"] == "PAPER+TESTNET+LIVE"


def test_an_order_id_begins_with_its_mode_and_fits_the_venue() -> None:
    ids = {mode: client_order_id("a" * 12, 10**6, 10**9, mark) for mode, mark in ID_MARKS.items()}

    assert len({text[:2] for text in ids.values()}) == 3
    assert all(len(text) <= CLIENT_ORDER_ID_LENGTH for text in ids.values())
    assert all(ids[mode].startswith(id_prefix("a" * 12, mark)) for mode, mark in ID_MARKS.items())
