"""Touch to fill: which prints of the tape count as having gone through a resting order of ours."""

import pytest

from tests.trading.domain.hand import CENTRE, SYMBOL, Hand
from trading.domain.limits import ExecutionStyle
from trading.domain.market import Trade
from trading.domain.orders import Order


def resting() -> tuple[Hand, list[Order]]:
    """A maker whose three buys rest at the venue, nearest first."""
    hand = Hand(ExecutionStyle.MAKER)
    buys = hand.sent
    for order in buys:
        hand.accept(order)
    return hand, buys


def touched(hand: Hand) -> int:
    return hand.symbol.fill_rate_of


@pytest.mark.parametrize(("beyond", "expected"), [(0, 0), (-1, 1)], ids=["at its price", "below its price"])
def test_a_print_must_go_below_a_resting_buy_to_touch_it(beyond: int, expected: int) -> None:
    hand, buys = resting()

    hand.trade((buys[0].price_ticks or 0) + beyond)

    assert touched(hand) == expected


@pytest.mark.parametrize(("beyond", "expected"), [(0, 1), (1, 2)], ids=["at its price", "above its price"])
def test_a_print_must_go_above_a_resting_sell_to_touch_it(beyond: int, expected: int) -> None:
    hand, buys = resting()
    hand.fill(buys[0])  # it counts as touched
    (sell,) = hand.sent
    hand.accept(sell)

    hand.trade((sell.price_ticks or 0) + beyond)

    assert touched(hand) == expected


def test_a_print_touches_every_buy_it_goes_below_once_and_none_at_its_price() -> None:
    hand, buys = resting()
    second = buys[1].price_ticks or 0

    counts = []
    for price in (second, second - 1, second - 1):
        hand.trade(price)
        counts.append(touched(hand))

    assert counts == [1, 2, 2]


def test_a_print_touches_every_sell_it_goes_above_once_and_none_at_its_price() -> None:
    hand, buys = resting()
    for buy in buys[:2]:
        hand.fill(buy)
        hand.accept(hand.sent[0])
    bought = touched(hand)  # what was filled was touched
    higher = max(order.price_ticks or 0 for order in hand.open.values())

    counts = []
    for price in (higher, higher + 1, higher + 1):
        hand.trade(price)
        counts.append(touched(hand) - bought)

    assert counts == [1, 2, 2]


def test_an_order_the_venue_has_not_accepted_yet_cannot_be_touched() -> None:
    hand = Hand(ExecutionStyle.MAKER)
    buy = hand.sent[0]

    hand.trade((buy.price_ticks or 0) - 1)
    assert touched(hand) == 0

    hand.accept(buy)
    hand.trade((buy.price_ticks or 0) - 1)
    assert touched(hand) == 1


@pytest.mark.parametrize(
    "change",
    [{"symbol": "ETHUSDT"}, {"price_ticks": 0}, {"venue_at_ns": 2**62}],
    ids=["another symbol", "no price", "from the future"],
)
def test_a_print_that_is_not_sound_or_not_ours_touches_nothing(change: dict[str, object]) -> None:
    hand, buys = resting()
    sound = Trade(SYMBOL, (buys[0].price_ticks or 0) - 1, 10, True, 100, hand.now_ns, hand.now_ns)

    hand.give(sound._replace(**change))  # type: ignore[arg-type]  # a table of named values
    assert touched(hand) == 0

    hand.give(sound)
    assert touched(hand) == 1


def test_prints_alone_send_nothing_and_a_taker_rests_nothing_to_touch() -> None:
    hand = Hand(ExecutionStyle.TAKER)

    asked = hand.trade(CENTRE - 300_000)

    assert (asked, hand.symbol.fill_rate) == ([], None)
