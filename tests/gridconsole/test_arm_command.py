"""`./console arm` shows what is missing, and takes back what was armed; it arms nothing."""

import io
import json
from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from riskops.services import phases
from trading.domain.modes import Mode
from trading.models import Account, Arming, Halt
from trading.services import armings
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def desks(settings: Settings, tmp_path: object) -> None:
    settings.HALT_LATCH_FILE = f"{tmp_path}/halt.latch"
    cache.clear()
    load_demo(at=NOW)
    phases.load_roadmap(at=NOW)


def arm(*arguments: str) -> str:
    out = io.StringIO()
    call_command("arm", *arguments, stdout=out)
    return out.getvalue()


def test_every_precondition_stands_with_its_evidence_and_what_to_do() -> None:
    told = arm("micro")

    assert "LIVE 4.0: no account prepared, not armed" in told
    assert "✗ Key to trade: none is kept" in told
    assert "? Drift of paper from backtest: not measured" in told
    assert "Measure it; above 15 % find out why before any money moves." in told


def test_as_json_it_stands_alone_on_the_last_line() -> None:
    found = json.loads(arm("micro", "--json").splitlines()[-1])

    testnet, live = found["steps"]
    assert (found["account"], testnet["mode"], live["mode"]) == ("micro", "TESTNET", "LIVE")
    assert live["ready"] is False
    assert "Gate GO" in live["missing"]
    assert {one["state"] for one in live["preconditions"]} == {"met", "not met", "unknown"}


def test_one_person_disarms() -> None:
    live = armings.prepare(paper=Account.objects.get(slug="micro"), mode=Mode.LIVE, by="cto", at=NOW)
    armings.arm(account=live, build="1-1", phase="4.0", digest="d" * 64, by="lead + cto", at=NOW)

    told = arm("microlive", "--disarm", "it looks odd")

    assert "disarmed and halted" in told
    assert Arming.objects.first().is_armed is False  # type: ignore[union-attr]  # there are two
    assert Halt.objects.get(account=live).reason == "disarmed: it looks odd"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere"], "There is no account 'nowhere'; known: micro, production."),
        (["micro", "--disarm", "x"], "is not armed; it is halted all the same"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        arm(*arguments)
