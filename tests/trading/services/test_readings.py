"""What is kept of a reading of the venue, and when browsers hear of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.trading.services.conftest import BTC
from trading import live
from trading.domain.desk import TraderView
from trading.domain.events import VenueOrder, VenueRead
from trading.domain.orders import OrderStatus, Side
from trading.services import readings

if TYPE_CHECKING:
    from trading.models import Account

pytestmark = pytest.mark.django_db(transaction=True)
MANUAL = VenueOrder("web_1", "1", "BTCUSDT", OrderStatus.ACCEPTED, 3, False, Side.BUY, 100, 5_500_000)
OURS = VenueOrder("gc-micro-1-1", "2", "BTCUSDT", OrderStatus.ACCEPTED, 0, True)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events browsers heard of."""
    heard: list[str] = []
    monkeypatch.setattr(live, "publish_events", lambda *names: heard.extend(names))
    return heard


def record(at: datetime, *orders: VenueOrder, btc: str = "0.00100000", clean: bool | None = True) -> Any:
    from trading.models import VenueReading

    line = SimpleNamespace(symbol="BTCUSDT", base=Decimal("0.001"), dust_base=Decimal("0.00000400"))
    view = SimpleNamespace(
        reconcile_clean=clean, discrepancies=(), reconcile_local_open=1, reconcile_venue_open=len(orders),
        cash_quote=Decimal(240), symbols=(line,),
    )  # fmt: skip
    read = VenueRead(0, frozenset(), orders, frozenset(), (), {"BTC": Decimal(btc)})
    readings.record(account="micro", view=cast(TraderView, view), read=read, instruments={"BTCUSDT": BTC}, at=at)
    return VenueReading.objects.get()


def test_orders_of_others_are_kept_and_ours_are_not(account: "Account", now: datetime) -> None:
    ended = VenueOrder("web_0", "0", "BTCUSDT", OrderStatus.CANCELED, 0, False, Side.BUY, 100, 5_500_000)

    reading = record(now, OURS, MANUAL, ended)

    assert reading.foreign == [
        {"id": "web_1", "symbol": "BTCUSDT", "side": "BUY", "price": "55000.00", "quantity": "0.00100",
         "filled": "0.00003"}
    ]  # fmt: skip


def test_balances_stand_side_by_side_and_an_asset_the_venue_leaves_out_is_zero_there(
    account: "Account", now: datetime
) -> None:
    reading = record(now)

    assert reading.balances == {"BTC": ["0.001", "0.001"], "USDT": ["240", "0"]}
    assert reading.dust == {"BTC": "0.000004"}


def test_a_reading_that_was_not_judged_clean_is_not_clean(account: "Account", now: datetime) -> None:
    assert record(now, clean=None).is_clean is False


def test_a_reading_replaces_the_one_before_and_is_told_only_when_something_else_was_found(
    account: "Account", now: datetime, told: list[str]
) -> None:
    for seconds, orders in enumerate([(), (), (MANUAL,), (MANUAL,), ()]):
        reading = record(now + timedelta(seconds=seconds), *orders)

    assert reading.at == now + timedelta(seconds=4)
    assert told == ["reconcile"] * 3
