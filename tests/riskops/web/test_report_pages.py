"""The reports as people read and take them along."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from riskops.models import PhaseRun
from riskops.services import phases
from tests.riskops import cast
from trading.models import Account

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
PEOPLE = ("trader", "trading_lead", "engineer", "cto", "ceo")
AT = cast.BEGIN + timedelta(days=1, hours=2)  # 2026-11-22 14:00 UTC
DAY, MONTH = "/reports/daily/2026-11-21/", "/reports/monthly/2026-11/"
PAGES = (
    "/reports/",
    "/reports/summary/",
    "/reports/planner/",
    "/reports/tax/",
    DAY,
    MONTH,
    "/reports/weekly/2026-W47/",
)


@pytest.fixture
def lived(as_person: AsPerson, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The demo's first desk with 49 accelerated minutes, a run, some round trips and a denial, seen a day later."""
    as_person("trader")
    phases.load_roadmap(at=cast.BEGIN)
    phases.begin_demo(at=cast.BEGIN)
    account = PhaseRun.objects.get().account
    Account.objects.update(created_at=cast.BEGIN - timedelta(hours=1))
    account.refresh_from_db()
    cast.live_through(account, 49)
    monkeypatch.setattr("riskops.views.reports.now", lambda: AT)
    return account


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_reads_every_report(as_person: AsPerson, lived: Account, name: str, page: str) -> None:
    answer = as_person(name).get(page)

    assert answer.status_code == 200
    assert "PAPER · no real money" in answer.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_a_desk_without_a_past_says_what_will_stand_there(as_person: AsPerson, page: str) -> None:
    assert as_person("trader").get(page).status_code == 200
