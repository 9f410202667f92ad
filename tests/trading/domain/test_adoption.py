"""An order of a person becomes ours where our books can explain everything that may come of it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.domain.hand import CENTRE, SYMBOL, Hand, human_order
from trading.domain.events import (
    AdoptionAsked,
    Cancel,
    CancelEverything,
    LatchHalt,
    PersistAdoption,
    PersistFill,
    PersistOrder,
    VenueOrder,
)
from trading.domain.orders import OrderStatus, Purpose, Side

BUY = replace(human_order(price=CENTRE - 50_000, lots=100), side=Side.BUY)  # 60 USDT of a limit of 100 and more


def beside(order: VenueOrder, **limits: object) -> Hand:
    """A desk that has read this order of others."""
    hand = Hand(**limits)  # type: ignore[arg-type]  # limits of the mandate by name
    hand.read([*hand.there(), order])
    return hand


def adopt(hand: Hand) -> str:
    hand.give(AdoptionAsked("web_1"))
    (answer,) = hand.of(PersistAdoption)
    return answer.refusal


def test_an_adopted_order_is_ours_and_its_fill_is_booked() -> None:
    hand = beside(BUY)
    held = hand.trader.balances()["BTC"]

    assert adopt(hand) == ""
    (stored,) = [effect.order for effect in hand.of(PersistOrder)]
    hand.read()
    hand.fill(stored)

    assert (stored.purpose, stored.slot, stored.status) == (Purpose.ADOPTED, None, OrderStatus.ACCEPTED)
    assert [(fill.fill.client_order_id, fill.slot) for fill in hand.of(PersistFill)] == [("web_1", None)]
    assert hand.trader.balances()["BTC"] - held == Decimal("0.001")


def test_the_venue_goes_on_calling_it_an_order_of_others_and_it_stays_ours() -> None:
    hand = beside(BUY)
    adopt(hand)

    hand.read([*hand.there(), BUY])

    assert not hand.of(Cancel)
    assert hand.trader.view(hand.now_ns).discrepancies == ()


def test_a_halt_cancels_it_and_waits_for_its_end() -> None:
    hand = beside(BUY)
    adopt(hand)
    hand.halt("a person", flatten=False)
    assert hand.of(CancelEverything) == [CancelEverything((SYMBOL,))]

    hand.read([BUY])
    before = hand.trader.view(hand.now_ns).halt
    hand.read([replace(BUY, status=OrderStatus.CANCELED)])
    after = hand.trader.view(hand.now_ns).halt

    assert before is not None
    assert after is not None
    assert (before.stage, after.stage) == ("LATCHED", "PROVEN_CLEAR")


def test_a_restart_keeps_it() -> None:
    hand = beside(BUY)
    adopt(hand)

    again = hand.restarted()
    again.read([BUY])

    assert not again.of(Cancel)
    assert again.journal.orders["web_1"].status is OrderStatus.ACCEPTED


def test_a_second_wish_changes_nothing() -> None:
    hand = beside(BUY)
    adopt(hand)

    assert adopt(hand) == ""
    assert not hand.of(PersistOrder)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (replace(BUY, client_order_id="web_2"), "no longer works"),
        (replace(BUY, side=Side.SELL), "would sell what the grid holds"),
        (replace(BUY, filled_lots=1), "has fills already"),
        (replace(BUY, price_ticks=None), "no longer works"),
        (replace(BUY, quantity_lots=1_000), "exceed its limit"),
    ],
    ids=["gone", "a sell", "filled", "no price", "too large"],
)
def test_what_our_books_could_not_explain_stays_with_its_owner(order: VenueOrder, why: str) -> None:
    hand = beside(order)

    assert why in adopt(hand)
    assert not hand.of(PersistOrder)
    assert not hand.of(LatchHalt)


def test_the_account_has_a_limit_of_its_own() -> None:
    hand = beside(BUY, max_total_exposure_fraction=Decimal("0.05"))

    assert adopt(hand) == "with it the account could exceed its limit"


def test_nothing_is_adopted_on_a_halted_symbol() -> None:
    hand = beside(BUY)
    hand.halt("a person", flatten=False, symbol=SYMBOL)

    assert "nothing of its symbol may start now" in adopt(hand)


def test_an_id_that_others_use_again_is_theirs() -> None:
    hand = beside(BUY)
    adopt(hand)
    hand.end(hand.trader._core.register.known["web_1"], OrderStatus.CANCELED)
    hand.seconds(5)

    hand.read([*hand.there(), replace(BUY, venue_order_id="10")])

    assert not hand.of(Cancel)
    assert "no longer works at the venue, or its id was used before" in adopt(hand)
