"""What a person may decide about an order that is not ours, and what is kept of it."""

from datetime import datetime

import pytest

from trading.models import Account, AuditEvent, ForeignOrderDecision, Order, VenueReading
from trading.services import foreign_orders
from trading.services.foreign_orders import Outcome, UnableToDecide

pytestmark = pytest.mark.django_db
MANUAL = {"id": "web_1", "symbol": "BTCUSDT", "side": "BUY", "price": "60000", "quantity": "0.1", "filled": "0"}


@pytest.fixture
def seen(account: Account, now: datetime) -> Account:
    """An account whose newest reading showed one order of a person."""
    VenueReading.objects.create(account=account, is_clean=True, local_open=0, venue_open=1, foreign=[MANUAL], at=now)
    return account


def actions() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("sequence").values_list("actor", "action"))


def test_a_cancel_is_asked_for_by_name_and_sealed(seen: Account, now: datetime) -> None:
    foreign_orders.cancel(account=seen, client_order_id="web_1", by="trader", at=now)

    row = ForeignOrderDecision.objects.get()
    assert (row.symbol, row.choice, row.outcome, row.decided_by, row.settled_at) == (
        "BTCUSDT", "CANCEL", "ASKED", "trader", None,
    )  # fmt: skip
    assert actions() == [("trader", "foreign.decided")]


@pytest.mark.parametrize("name", ["gc-micro-1-1", "", "web_2"], ids=["ours", "nothing", "not seen"])
def test_only_an_order_the_newest_reading_shows_can_be_decided(seen: Account, now: datetime, name: str) -> None:
    for decide in (foreign_orders.cancel, foreign_orders.leave):
        with pytest.raises(UnableToDecide):
            decide(account=seen, client_order_id=name, by="trader", at=now)

    assert not ForeignOrderDecision.objects.exists()
    assert actions() == []


def test_nothing_can_be_decided_before_the_first_reading(account: Account, now: datetime) -> None:
    with pytest.raises(UnableToDecide):
        foreign_orders.cancel(account=account, client_order_id="web_1", by="trader", at=now)


def test_a_second_wish_for_the_same_cancel_is_refused(seen: Account, now: datetime) -> None:
    foreign_orders.cancel(account=seen, client_order_id="web_1", by="trader", at=now)

    with pytest.raises(UnableToDecide, match="asked for already"):
        foreign_orders.cancel(account=seen, client_order_id="web_1", by="engineer", at=now)

    assert len(actions()) == 1


def test_an_order_left_alone_may_still_be_cancelled_later(seen: Account, now: datetime) -> None:
    foreign_orders.leave(account=seen, client_order_id="web_1", by="trader", at=now)
    foreign_orders.cancel(account=seen, client_order_id="web_1", by="trader", at=now)

    assert list(ForeignOrderDecision.objects.values_list("outcome", flat=True)) == ["ASKED", "LEFT"]


def test_what_came_of_a_cancel_is_sealed_once(seen: Account, now: datetime) -> None:
    asked = foreign_orders.cancel(account=seen, client_order_id="web_1", by="trader", at=now)

    foreign_orders.settle(decision=asked.pk, outcome=Outcome.CANCELED, detail="", at=now)
    foreign_orders.settle(decision=asked.pk, outcome=Outcome.FAILED, detail="too late", at=now)

    row = ForeignOrderDecision.objects.get()
    assert (row.outcome, row.detail, row.settled_at) == ("CANCELED", "", now)
    assert actions() == [("trader", "foreign.decided"), ("runtime:micro", "foreign.settled")]


@pytest.mark.parametrize(("refusal", "outcome"), [("", "ADOPTED"), ("it has fills already", "FAILED")])
def test_what_came_of_a_wish_to_adopt_is_kept(seen: Account, now: datetime, refusal: str, outcome: str) -> None:
    foreign_orders.adopt(account=seen, client_order_id="web_1", by="trader", at=now)

    foreign_orders.adopted(account=seen, client_order_id="web_1", refusal=refusal, at=now)

    row = ForeignOrderDecision.objects.get()
    assert (row.choice, row.outcome, row.detail, row.settled_at) == ("ADOPT", outcome, refusal, now)


def test_an_id_that_is_in_our_books_is_not_adopted(seen: Account, now: datetime) -> None:
    Order.objects.create(
        account=seen, client_order_id="web_1", symbol="BTCUSDT", side="BUY", type="LIMIT", purpose="adopted",
        quantity=1, quantity_lots=1, reference_ticks=1, status="CANCELED", decided_at=now, decided_at_ns=0,
        updated_at=now,
    )  # fmt: skip

    with pytest.raises(UnableToDecide, match="in our books already"):
        foreign_orders.adopt(account=seen, client_order_id="web_1", by="trader", at=now)


def test_one_wish_at_a_time(seen: Account, now: datetime) -> None:
    foreign_orders.cancel(account=seen, client_order_id="web_1", by="trader", at=now)

    with pytest.raises(UnableToDecide, match="asked for web_1 already"):
        foreign_orders.adopt(account=seen, client_order_id="web_1", by="trader", at=now)
