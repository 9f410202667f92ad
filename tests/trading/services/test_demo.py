"""The demo is there after one call, and a second call changes nothing."""

from datetime import datetime

import pytest
from django.contrib.auth.models import User

from trading.domain.limits import ExecutionStyle
from trading.models import Account, Grid, Mandate, VenueInstrument
from trading.services import audit
from trading.services.demo import DEMO_DESKS, DEMO_PEOPLE, load_demo

pytestmark = pytest.mark.django_db


def test_two_desks_and_five_people_are_created(now: datetime) -> None:
    passwords = load_demo(at=now)

    assert set(passwords) == set(DEMO_PEOPLE)
    assert list(Account.objects.values_list("slug", flat=True)) == ["micro", "production"]
    assert VenueInstrument.objects.count() == 7
    assert audit.verify() is None


def test_a_password_opens_its_account_and_its_role_is_set(now: datetime) -> None:
    passwords = load_demo(at=now)

    lead = User.objects.get(username="trading_lead")
    assert lead.check_password(passwords["trading_lead"])
    assert [g.name for g in lead.groups.all()] == ["Trading Lead"]


def test_a_second_call_keeps_people_mandates_and_edits(now: datetime) -> None:
    load_demo(at=now)
    Grid.objects.filter(account__slug="micro").update(enabled=False)

    assert load_demo(at=now) == {}

    assert Mandate.objects.count() == 2
    assert not Grid.objects.filter(account__slug="micro", enabled=True).exists()


def test_the_micro_desk_is_phase_4_0_as_written(now: datetime) -> None:
    load_demo(at=now)

    mandate = Mandate.objects.get(account__slug="micro")
    assert (mandate.phase, mandate.capital_quote, mandate.symbols) == ("4.0", 300, ["BTCUSDT", "ETHUSDT"])
    assert mandate.execution_styles == [ExecutionStyle.TAKER]
    assert (mandate.max_daily_trades, mandate.max_open_orders) == (20, 3)
    fractions = (
        mandate.max_position_fraction,
        mandate.max_daily_drawdown_fraction,
        mandate.max_daily_drawdown_hard_fraction,
    )
    assert [float(f) for f in fractions] == [0.02, 0.02, 0.05]


@pytest.mark.parametrize("desk", DEMO_DESKS, ids=lambda desk: desk.slug)
def test_a_lot_is_the_largest_the_mandate_allows(desk: object) -> None:
    assert desk.lot_quote == desk.capital_quote * desk.max_position_fraction  # type: ignore[attr-defined]  # parametrised
