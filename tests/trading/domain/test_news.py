"""News that the core must not follow: a limit that is no number, a release of nothing, symbols it does not trade."""

from decimal import Decimal

import pytest

from tests.trading.domain.hand import CENTRE, SYMBOL, Hand, mandate
from trading.domain.events import (
    Event,
    LatchHalt,
    MandateChanged,
    OrderEnded,
    OrderFilled,
    Resumed,
    SeamReached,
    Submit,
    SymbolPaused,
    SymbolResumed,
)
from trading.domain.limits import ExecutionStyle, TradingState
from trading.domain.orders import OrderStatus
from trading.domain.strategy import SlotState

TAKER, MAKER = ExecutionStyle.TAKER, ExecutionStyle.MAKER
NO_LIMITS = [Decimal("NaN"), Decimal("Infinity"), Decimal(0), Decimal(-1)]


@pytest.mark.parametrize("number", NO_LIMITS, ids=str)
def test_an_account_does_not_start_under_a_limit_that_is_no_number(number: Decimal) -> None:
    with pytest.raises(ValueError, match="micro: the mandate's capital_quote is no positive number"):
        Hand(TAKER, capital_quote=number)


@pytest.mark.parametrize("number", NO_LIMITS, ids=str)
def test_a_mandate_with_a_limit_that_is_no_number_halts_and_the_one_before_it_stays(number: Decimal) -> None:
    hand = Hand(max_open_orders=7)
    limits = mandate(TAKER, max_total_exposure_fraction=number, max_open_orders=1)

    hand.give(MandateChanged(limits))

    (latch,) = hand.of(LatchHalt)
    assert "the mandate's max_total_exposure_fraction is no positive number" in latch.reason
    hand.give(Resumed("two people"))
    hand.read()
    hand.top(hand.level(1) - 1)
    hand.top(hand.level(1) - 2)
    hand.top(hand.level(0) - 1)
    assert hand.trader.view(hand.now_ns).open_orders > 1


def test_a_release_without_a_halt_changes_nothing() -> None:
    hand = Hand()

    assert hand.give(Resumed("two people")) == []
    assert hand.trader.view(hand.now_ns).state is TradingState.ACTIVE


def test_a_pause_and_a_release_of_a_symbol_that_is_not_ours_change_nothing() -> None:
    hand = Hand(MAKER)
    for order in hand.sent:
        hand.accept(order)
    news: list[Event] = [SymbolPaused("DOGEUSDT", "news"), SymbolResumed("DOGEUSDT")]

    assert [hand.give(event) for event in news] == [[], []]
    assert hand.symbol.state == "Running"


def test_a_pause_without_a_reason_still_pauses() -> None:
    hand = Hand()

    hand.give(SymbolPaused(SYMBOL, ""))

    assert (hand.symbol.state, hand.symbol.why) == ("Paused", "paused")
    assert not [e for e in hand.top(hand.level(2) - 1) if isinstance(e, Submit)]


def test_an_order_whose_fills_are_still_owed_waits_for_them_over_a_seam() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]
    hand.accept(buy)
    late = hand.execution(buy, 12)
    hand.give(OrderEnded(buy.client_order_id, OrderStatus.CANCELED, 12, hand.now_ns))

    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.PENDING_CANCEL

    hand.give(OrderFilled(late))
    ended = hand.journal.orders[buy.client_order_id]
    assert (ended.status, ended.filled_lots) == (OrderStatus.CANCELED, 12)


def test_an_order_of_unknown_fate_is_still_unknown_after_the_seam() -> None:
    hand = Hand(MAKER)
    again = hand.restarted()  # its answers were not heard: every order is UNKNOWN
    before = {name: (order.status, order.reason) for name, order in again.open.items()}

    again.give(SeamReached(1, {SYMBOL: CENTRE}, again.now_ns))

    assert {name: (order.status, order.reason) for name, order in again.open.items()} == before
    assert {status for status, _ in before.values()} <= {OrderStatus.UNKNOWN, OrderStatus.INITIALIZED}
    assert again.trader.view(again.now_ns).unknown_orders == 3


def test_a_new_ladder_begins_with_empty_slots_and_keeps_what_was_held_as_dust() -> None:
    hand = Hand(slots=4)
    hand.hold(2)
    hand.journal.grids.clear()  # the stored ladder no longer fits: none is laid at the start
    again = hand.restarted()
    again.read()

    again.top(CENTRE)

    assert {slot.state for slot in again.slots} == {SlotState.EMPTY}
    assert again.symbol.dust_base == again.symbol.base > 0
