"""What a desk runs is remembered from its start on, once, and never changed."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from tests.riskops.cast import edit_grid
from trading.models import Account, Grid, GridInForce
from trading.selectors import recovery
from trading.services import in_force
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def micro() -> Account:
    load_demo(at=NOW)
    return Account.objects.get(slug="micro")


def start(account: Account, at: datetime = NOW, fence: int | None = None) -> list[tuple[str, str]]:
    grids = recovery.grid_settings(account)
    fence = Account.objects.get(pk=account.pk).fence if fence is None else fence
    return [(row.symbol, row.cause) for row in in_force.record(account="micro", fence=fence, grids=grids, at=at)]


def test_the_first_start_stores_every_grid_and_the_next_one_nothing(micro: Account) -> None:
    assert {cause for _, cause in start(micro)} == {"start"}
    assert start(micro, LATER) == []
    assert {row.since for row in GridInForce.objects.all()} == {NOW}
    assert GridInForce.objects.count() == Grid.objects.filter(account=micro, enabled=True).count()


def test_only_what_is_another_grid_now_is_stored_anew(micro: Account) -> None:
    start(micro)
    edit_grid(micro, NOW)

    assert start(micro, LATER) == [("BTCUSDT", "edit")]
    newest = GridInForce.objects.latest("id")
    assert (newest.since, newest.edited_at, newest.words["step_fraction"]) == (LATER, NOW, "0.002000")


def test_a_writer_that_is_not_the_newest_stores_nothing(micro: Account) -> None:
    Account.objects.filter(pk=micro.pk).update(fence=7)

    assert start(micro, fence=6) == []
    assert start(micro, fence=7)


def test_a_grid_that_is_another_one_again_is_left_to_the_next_start(micro: Account) -> None:
    start(micro)
    edit_grid(micro, NOW)
    ran = recovery.grid_settings(micro)
    edit_grid(micro, LATER, step="0.003")

    assert in_force.record(account="micro", fence=micro.fence, grids=ran, at=LATER) == []
    assert start(micro, LATER) == [("BTCUSDT", "edit")]


def test_a_grid_that_nobody_runs_any_more_is_a_change_that_nobody_answers_for(micro: Account) -> None:
    start(micro)
    Grid.objects.filter(account=micro, symbol="BTCUSDT").update(enabled=False)

    assert start(micro, LATER) == [("BTCUSDT", "unknown")]
    assert start(micro, LATER) == []
    assert GridInForce.objects.latest("id").words == {}


def test_no_row_is_ever_changed_or_deleted(micro: Account) -> None:
    start(micro)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        GridInForce.objects.update(since=LATER)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        GridInForce.objects.all().delete()
