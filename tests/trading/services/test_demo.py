"""The demo is there after one call, and a second call changes nothing."""

from datetime import datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from trading.domain.fees import DEMO_FEES
from trading.domain.grid import Feasible, GridSettings, build, feasibility
from trading.domain.limits import ExecutionStyle
from trading.domain.market import BookTop
from trading.models import Account, Grid, Mandate, VenueInstrument
from trading.selectors import recovery
from trading.services import audit
from trading.services.demo import DATASET_SYMBOLS, DEMO_DESKS, DEMO_PEOPLE, LOWEST_PRICE, load_demo
from trading.simulator import listing, replay

LISTED = listing.load().instruments
PRICES = 500  # tried of each symbol

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
    assert (mandate.phase, mandate.capital_quote, mandate.symbols) == ("4.0", Decimal(300), ["BTCUSDT", "ETHUSDT"])
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


def test_a_step_is_widened_where_the_tick_is_coarse(now: datetime) -> None:
    load_demo(at=now)

    steps = dict(Grid.objects.filter(account__slug="production").values_list("symbol", "step_fraction"))
    widened = {symbol: step for symbol, step in steps.items() if step != Decimal("0.0005")}
    assert widened == {"ADAUSDT": Decimal("0.0007"), "LINKUSDT": Decimal("0.0006")}
    assert set(Grid.objects.filter(account__slug="micro").values_list("step_fraction", flat=True)) == {Decimal("0.001")}


@pytest.fixture(scope="module")
def bids() -> dict[str, list[int]]:
    """Every best bid of the shipped recordings, in ticks, by symbol."""
    found: dict[str, set[int]] = {}
    for dataset in DATASET_SYMBOLS:
        for event in replay.events(replay.read(dataset, LISTED)):
            if isinstance(event, BookTop):
                found.setdefault(event.symbol, set()).add(event.bid_ticks)
    return {symbol: sorted(ticks) for symbol, ticks in found.items()}


def test_the_lowest_prices_are_those_of_the_shipped_recordings(bids: dict[str, list[int]]) -> None:
    assert {symbol: LISTED[symbol].price(ticks[0]) for symbol, ticks in bids.items()} == LOWEST_PRICE


@pytest.mark.parametrize("slug", ["micro", "production"])
def test_every_grid_of_the_demo_is_feasible_at_every_price_of_its_recordings(
    now: datetime, slug: str, bids: dict[str, list[int]]
) -> None:
    load_demo(at=now)
    account = Account.objects.get(slug=slug)
    limits = recovery.limits_in_force(account)

    for grid in recovery.grid_settings(account):
        assert isinstance(grid, GridSettings)  # the ladders of the demo stay where they are laid
        instrument, ticks = LISTED[grid.symbol], bids[grid.symbol]
        for bid in ticks[:: max(len(ticks) // PRICES, 1)]:
            verdict = feasibility(build(grid, instrument, bid), instrument, limits, DEMO_FEES, Decimal(1) / bid)
            assert isinstance(verdict, Feasible), verdict
