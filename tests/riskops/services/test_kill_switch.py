"""Resume takes two people, the word, a reason and a clean reconcile; every step is audited."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from pytest_django import Settings

from riskops.models import ResumeRequest
from riskops.services import kill_switch
from riskops.services.kill_switch import UnableToResume
from trading.domain.limits import TradingState
from trading.models import Account, AuditEvent, Halt, Reconciliation

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


def person(name: str, role: str) -> User:
    user = User.objects.create_user(name)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


@pytest.fixture
def trader() -> User:
    return person("trader", "Trader")


@pytest.fixture
def trading_lead() -> User:
    return person("trading_lead", "Trading Lead")


@pytest.fixture
def halted(trader: User) -> Account:
    account = Account.objects.create(slug="micro", name="Micro $300")
    kill_switch.halt(scope=None, by=trader, reason="drill", flatten=False, at=NOW)
    Halt.objects.update(stage=Halt.Stage.PROVEN_CLEAR)
    Reconciliation.objects.create(account=account, is_clean=True, local_open=0, venue_open=0, at=NOW)
    return account


def request(account: Account, by: User) -> ResumeRequest:
    return kill_switch.request_resume(account=account, by=by, reason="the feed is back", typed="RESUME", at=NOW)


def grant(request: ResumeRequest, by: User) -> ResumeRequest:
    return kill_switch.grant_resume(request_id=request.pk, by=by, typed="RESUME", at=NOW)


def test_two_people_resume(halted: Account, trader: User, trading_lead: User) -> None:
    grant(request(halted, trader), trading_lead)

    halted.refresh_from_db()
    assert halted.state == TradingState.ACTIVE
    assert Halt.objects.get().released_by == "trader + trading_lead"
    actions = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert actions == ["halt.latched", "resume.requested", "resume.granted", "halt.released"]


def test_two_people_with_the_longest_names_resume(halted: Account) -> None:
    asking, granting = person("a" * 150, "Trader"), person("b" * 150, "Trading Lead")

    grant(request(halted, asking), granting)

    assert Halt.objects.get().released_by == f"{asking.username} + {granting.username}"


def test_one_person_cannot_be_both(halted: Account, trading_lead: User) -> None:
    asked = request(halted, trading_lead)

    with pytest.raises(UnableToResume, match="second person"):
        grant(asked, trading_lead)


def test_without_the_trading_lead_nothing_resumes(halted: Account, trader: User) -> None:
    asked = request(halted, trader)

    with pytest.raises(UnableToResume, match="Trading Lead"):
        grant(asked, person("cto", "CTO"))


def test_a_superuser_without_a_role_is_nobody_special(halted: Account, trading_lead: User) -> None:
    asked = request(halted, trading_lead)

    with pytest.raises(UnableToResume, match="role of the desk"):
        grant(asked, User.objects.create_superuser("root"))


def test_a_dirty_reconcile_keeps_the_latch_and_the_request_open(
    halted: Account, trader: User, trading_lead: User
) -> None:
    asked = request(halted, trader)
    Reconciliation.objects.create(
        account=halted, is_clean=False, discrepancies=["x"], local_open=1, venue_open=0, at=NOW
    )

    with pytest.raises(UnableToResume, match="not clean"):
        grant(asked, trading_lead)

    asked.refresh_from_db()
    assert asked.outcome == ResumeRequest.Outcome.OPEN


def test_a_second_request_is_refused_while_one_is_open(halted: Account, trader: User, trading_lead: User) -> None:
    request(halted, trader)

    with pytest.raises(UnableToResume, match="open already"):
        request(halted, trading_lead)


def test_a_withdrawn_request_cannot_be_granted(halted: Account, trader: User, trading_lead: User) -> None:
    asked = request(halted, trader)
    kill_switch.withdraw_resume(request_id=asked.pk, by=trading_lead, at=NOW)

    with pytest.raises(UnableToResume, match="decided already"):
        grant(asked, trading_lead)


def test_an_account_that_trades_has_nothing_to_resume(trader: User) -> None:
    account = Account.objects.create(slug="micro", name="Micro $300")

    with pytest.raises(UnableToResume, match="not halted"):
        request(account, trader)
