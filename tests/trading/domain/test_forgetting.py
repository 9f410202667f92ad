"""What ended long ago takes no room, and a late word about it does no harm."""

from dataclasses import replace

import pytest

from tests.trading.domain.hand import BTC, SECOND, Hand
from trading.domain.core import KEPT_FOR_NS
from trading.domain.events import (
    InstrumentListed,
    LatchHalt,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    PersistFill,
    ReadVenue,
)
from trading.domain.orders import Fill, OrderStatus


def bought() -> tuple[Hand, Fill]:
    """A desk that has bought once, and the execution."""
    hand = Hand()
    (order,) = hand.top_and_sent(hand.level(2) - 1)
    fill = hand.execution(order)
    hand.give(OrderFilled(fill))
    hand.read(fills=[fill])
    return hand, fill


def later(hand: Hand, seconds: int) -> None:
    hand.seconds(seconds)
    hand.read()


@pytest.mark.parametrize(("seconds", "kept"), [(KEPT_FOR_NS // SECOND, True), (KEPT_FOR_NS // SECOND + 1, False)])
def test_an_order_is_forgotten_some_time_after_its_end_and_counts_as_a_trade_of_the_day(
    seconds: int, kept: bool
) -> None:
    hand, fill = bought()

    later(hand, seconds)

    view = hand.trader.view(hand.now_ns)
    assert (fill.client_order_id in hand.trader._core.register.known) is kept
    assert hand.trader._core.ledger.knows(fill) is kept
    assert (view.trades_today, view.fill_rate_of) == (1, 1)


def test_what_was_never_read_is_never_forgotten() -> None:
    hand = Hand()
    (order,) = hand.top_and_sent(hand.level(2) - 1)
    fill = hand.execution(order)
    hand.give(OrderFilled(fill))

    later(hand, 100)

    assert hand.trader._core.ledger.knows(fill)


def test_the_same_execution_told_again_after_that_is_not_booked_twice() -> None:
    hand, fill = bought()
    later(hand, 100)
    held = hand.trader.balances()

    hand.give(OrderFilled(fill))
    booked = hand.of(PersistFill)
    hand.read(fills=[fill])

    assert (booked, hand.of(PersistFill), hand.of(LatchHalt)) == ([], [], [])
    assert hand.trader.balances() == held


@pytest.mark.parametrize("late", ["accepted", "ended"])
def test_a_late_word_about_a_forgotten_order_has_the_venue_read(late: str) -> None:
    hand, fill = bought()
    later(hand, 100)
    name = fill.client_order_id

    hand.seconds(1)
    word = OrderAccepted(name, "9", 0) if late == "accepted" else OrderEnded(name, OrderStatus.CANCELED, 0, 0)
    hand.give(word)

    assert hand.asked_to_read()
    assert not hand.of(LatchHalt)


def asked(hand: Hand) -> list[str]:
    return [symbol for read in hand.seconds(6) if isinstance(read, ReadVenue) for symbol, _ in read.since_trade_ids]


def test_the_fills_of_a_symbol_that_the_venue_does_not_trade_are_read_once() -> None:
    hand = Hand()
    hand.give(InstrumentListed(replace(BTC, trading=False)))
    assert asked(hand)
    hand.read()

    assert asked(hand) == []

    hand.give(InstrumentListed(BTC))
    assert asked(hand)
