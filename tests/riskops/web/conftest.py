"""The demo's desks and people."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from pytest_django import Settings

if TYPE_CHECKING:  # pytest loads this file before Django is set up
    from collections.abc import Callable

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> Path:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"
    return tmp_path / "halt.latch"


@pytest.fixture
def as_person(db: None) -> "Callable[[str], Client]":
    """Return a function that gives a browser in which that person of the demo is signed in."""
    from django.contrib.auth.models import User

    from trading.services.demo import load_demo

    load_demo(at=NOW)

    def sign_in(name: str) -> Client:
        client = Client()
        client.force_login(User.objects.get(username=name))
        return client

    return sign_in


@pytest.fixture
def at(as_person: "Callable[[str], Client]", monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The demo's first desk with all its time in force, seen right after it."""
    from riskops.models import PhaseRun
    from riskops.services import phases
    from tests.riskops import cast

    as_person("trader")
    phases.load_roadmap(at=cast.BEGIN)
    phases.begin_demo(at=cast.BEGIN)
    run = PhaseRun.objects.get()
    seen_at = cast.live_through(run.account, 49)
    phases.judge(run=run, at=seen_at)
    monkeypatch.setattr("riskops.views.gates.now", lambda: seen_at)
    return seen_at
