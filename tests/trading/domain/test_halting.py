"""The halt: latched at once, stopped when confirmed, clear only when proven, flat only where asked."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.domain.hand import BTC, CENTRE, SECOND, SYMBOL, Hand, at_venue, human_order
from trading.domain.events import (
    Cancel,
    CancelEverything,
    Effect,
    LatchHalt,
    OrderAmbiguous,
    OrderFilled,
    OrderRefused,
    PersistHaltStage,
    RaiseAlert,
    ReadVenue,
    Resumed,
    SeamReached,
    Submit,
)
from trading.domain.limits import ExecutionStyle, TradingState
from trading.domain.orders import Order, OrderStatus, Purpose, Side

MAKER = ExecutionStyle.MAKER


def resting(hand: Hand) -> list[Order]:
    """Let the venue accept the whole ladder."""
    orders = hand.sent
    for order in orders:
        hand.accept(order)
    return orders


def stages(effects: list[Effect]) -> list[tuple[str, int, int]]:
    return [(e.stage, e.canceled, e.remaining) for e in effects if isinstance(e, PersistHaltStage)]


def test_a_halt_cancels_everything_reads_the_venue_and_lets_nothing_leave() -> None:
    hand = Hand(MAKER)
    resting(hand)

    hand.halt("a person", flatten=False)

    assert hand.of(CancelEverything) == [CancelEverything((SYMBOL,))]
    assert [read.reason for read in hand.of(ReadVenue)] == ["halt"]
    view = hand.trader.view(hand.now_ns)
    assert (view.state, view.halt and view.halt.stage) == (TradingState.HALTED, "LATCHED")
    for bid in (CENTRE + 20_000, CENTRE - 20_000, CENTRE):
        hand.top(bid)
        assert not hand.sent


def test_stopped_comes_with_the_last_confirmed_cancel_and_clear_with_a_read() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)
    hand.halt("a person", flatten=False)

    for order in orders[:-1]:
        hand.end(order, OrderStatus.CANCELED)
        assert not stages(hand.effects)
    hand.end(orders[-1], OrderStatus.CANCELED)
    assert stages(hand.effects) == [("STOPPED", 3, 0)]
    assert hand.asked_to_read()

    hand.read()
    assert stages(hand.effects) == [("PROVEN_CLEAR", 3, 0)]


def test_one_read_that_shows_every_order_ended_stops_and_proves_at_once() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)
    hand.halt("a person", flatten=False)

    hand.read([at_venue(order, OrderStatus.CANCELED) for order in orders])

    assert stages(hand.effects) == [("STOPPED", 3, 0), ("PROVEN_CLEAR", 3, 0)]


def test_a_read_that_began_before_the_halt_proves_nothing() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)
    began_ns = hand.now_ns
    hand.now_ns += SECOND
    hand.halt("a person", flatten=False)
    for order in orders:
        hand.end(order, OrderStatus.CANCELED)

    hand.read(began_ns=began_ns)
    assert not stages(hand.effects)
    hand.read(began_ns=began_ns + SECOND)

    assert [stage for stage, _, _ in stages(hand.effects)] == ["PROVEN_CLEAR"]


def test_an_unknown_order_stands_between_stopped_and_clear_until_it_can_no_longer_appear() -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.give(OrderAmbiguous(buy.client_order_id, "time-out", hand.now_ns))
    hand.halt("a person", flatten=False)
    assert stages(hand.effects) == [("STOPPED", 0, 1)]

    hand.seconds(12)
    hand.read(missing=[buy.client_order_id])
    assert not stages(hand.effects)
    hand.seconds(1)
    hand.read(missing=[buy.client_order_id])

    assert [stage for stage, _, _ in stages(hand.effects)] == ["PROVEN_CLEAR"]


def test_an_order_in_flight_is_cancelled_as_soon_as_the_venue_has_it() -> None:
    hand = Hand(MAKER, slots=1)
    (buy,) = hand.sent
    hand.halt("a person", flatten=False)
    assert not stages(hand.effects)

    hand.accept(buy)

    assert [cancel.client_order_id for cancel in hand.of(Cancel)] == [buy.client_order_id]


def test_an_order_of_a_person_that_still_works_is_no_clear_venue() -> None:
    hand = Hand()
    hand.halt("a person", flatten=False)

    hand.read([human_order()])
    assert not stages(hand.effects)
    assert any(isinstance(e, CancelEverything) for e in hand.seconds(1))
    hand.read([])

    assert [stage for stage, _, _ in stages(hand.effects)] == ["PROVEN_CLEAR"]


def test_an_unproven_halt_repeats_itself_every_second_and_becomes_an_alarm() -> None:
    hand = Hand(MAKER)
    resting(hand)
    hand.halt("a person", flatten=False)

    asked = hand.seconds(35)

    assert sum(isinstance(e, CancelEverything) for e in asked) == 35
    assert sum(isinstance(e, ReadVenue) for e in asked) == 35
    assert [e.code for e in asked if isinstance(e, RaiseAlert)] == ["HALT_NOT_PROVEN"]


def test_a_second_press_changes_nothing_but_may_add_flatten() -> None:
    hand = Hand()
    hand.hold(2)
    hand.halt("first", flatten=False)
    hand.read()

    hand.halt("second", flatten=False)
    assert not hand.sent
    hand.halt("third", flatten=True)

    state = hand.trader.view(hand.now_ns).halt
    assert state is not None
    assert (state.reason, state.flatten, state.stage) == ("first", True, "PROVEN_CLEAR")
    assert [(order.purpose, order.side, order.quantity_lots) for order in hand.sent] == [
        (Purpose.FLATTEN, Side.SELL, 33)
    ]


def test_positions_stay_where_flatten_was_not_asked() -> None:
    hand = Hand()
    hand.hold(2)
    hand.halt("a person", flatten=False)
    hand.read()

    asked = hand.top(CENTRE + 10_000) + hand.seconds(30)

    assert not [e for e in asked if isinstance(e, Submit)]
    assert hand.symbol.held == 1


def test_flatten_sells_again_at_every_new_price_until_nothing_is_left() -> None:
    hand = Hand()
    hand.hold(2)

    hand.halt("a person", flatten=True)
    (sell,) = hand.sent
    hand.accept(sell)
    hand.fill(sell, 20)
    hand.end(sell, filled=20)
    assert not hand.sent  # this price has given what it showed
    hand.top(CENTRE - 5_000)
    (rest,) = hand.sent
    assert rest.quantity_lots == 13
    hand.read([at_venue(rest)])
    assert [stage for stage, _, _ in stages(hand.effects)] == ["PROVEN_CLEAR"]
    hand.fill(rest)

    assert [stage for stage, _, _ in stages(hand.effects)] == ["FLAT"]
    assert hand.symbol.base == 0
    assert hand.symbol.grid_profit_day_quote == 0  # a flatten is no round trip


def test_dust_does_not_stand_in_the_way_of_flat() -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.accept(buy)
    hand.fill(buy, 8)
    hand.end(buy, filled=8)

    hand.halt("a person", flatten=True)
    hand.read()

    assert [stage for stage, _, _ in stages(hand.effects)] == ["PROVEN_CLEAR", "FLAT"]
    assert not hand.journal_of(Submit)[1:]


def test_flatten_waits_for_a_fresh_price() -> None:
    hand = Hand()
    hand.hold(2)
    hand.seconds(10, keep_fresh=False)

    hand.halt("a person", flatten=True)
    assert not hand.sent
    hand.top(CENTRE)

    assert [order.purpose for order in hand.sent] == [Purpose.FLATTEN]


def test_flatten_leaves_what_a_sell_of_unknown_fate_may_have_sold() -> None:
    hand = Hand()
    hand.hold(2)
    (sell,) = hand.top_and_sent(hand.level(3))
    hand.give(OrderAmbiguous(sell.client_order_id, "502", hand.now_ns))

    hand.halt("a person", flatten=True)
    hand.top(hand.level(3) + 5)

    assert not hand.journal_of(Submit)[2:]


def test_a_refused_flatten_is_tried_again_after_a_second() -> None:
    hand = Hand()
    hand.hold(2)
    hand.halt("a person", flatten=True)
    (sell,) = hand.sent

    hand.give(OrderRefused(sell.client_order_id, "-1003", "slow down", hand.now_ns))
    assert not hand.sent

    assert [e.order.purpose for e in hand.seconds(2) if isinstance(e, Submit)] == [Purpose.FLATTEN]


def lose(hand: Hand, limit_quote: Decimal, *, ticks_above_the_edge: int) -> None:
    """Let the price fall, never beyond the collar, until a held lot has lost `limit_quote` to the tick."""
    paid = hand.journal.fills[0].fill
    allowed = limit_quote - paid.fee
    edge = paid.price_ticks - math.ceil(allowed / (BTC.tick_size * BTC.quantity(paid.quantity_lots)))
    bid = CENTRE
    while bid > edge + ticks_above_the_edge:
        bid = max(int(bid * 0.95), edge + ticks_above_the_edge)
        hand.top(bid)


@pytest.mark.parametrize(("ticks_above_the_edge", "halted"), [(1, False), (0, True)])
def test_the_daily_stop_latches_from_exactly_the_limit_on(ticks_above_the_edge: int, halted: bool) -> None:
    hand = Hand(slots=1, max_daily_drawdown_fraction=Decimal("0.002"))
    hand.hold(0)

    lose(hand, Decimal(2), ticks_above_the_edge=ticks_above_the_edge)
    hand.seconds(1)

    assert [halt.flatten for halt in hand.of(LatchHalt)] == ([False] if halted else [])
    assert (hand.trader.view(hand.now_ns).state is TradingState.HALTED) is halted
    assert ("DAILY_DRAWDOWN" in hand.codes()) is halted


@pytest.mark.parametrize(("ticks_above_the_edge", "flatten"), [(1, False), (0, True)])
def test_the_hard_stop_flattens_from_exactly_the_limit_on(ticks_above_the_edge: int, flatten: bool) -> None:
    hand = Hand(
        slots=1, max_daily_drawdown_fraction=Decimal("0.002"), max_daily_drawdown_hard_fraction=Decimal("0.004")
    )
    hand.hold(0)

    lose(hand, Decimal(4), ticks_above_the_edge=ticks_above_the_edge)
    hand.seconds(1)

    assert [halt.flatten for halt in hand.of(LatchHalt)] == [flatten]
    assert [order.purpose for order in hand.sent] == ([Purpose.FLATTEN] if flatten else [])


def test_the_hard_stop_comes_on_top_of_the_daily_one() -> None:
    hand = Hand(
        slots=1, max_daily_drawdown_fraction=Decimal("0.002"), max_daily_drawdown_hard_fraction=Decimal("0.004")
    )
    hand.hold(0)
    lose(hand, Decimal(2), ticks_above_the_edge=0)
    hand.seconds(1)

    lose(hand, Decimal(4), ticks_above_the_edge=0)
    hand.seconds(1)

    assert [halt.flatten for halt in hand.journal_of(LatchHalt)] == [False, True]


def test_the_stop_latches_over_midnight_a_seam_and_a_restart() -> None:
    hand = Hand()
    hand.halt("daily drawdown", flatten=False)
    hand.now_ns += 86_400 * SECOND
    hand.top(CENTRE)
    hand.seconds(1)
    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))

    again = hand.restarted()
    again.read()
    again.top(CENTRE)
    again.top(CENTRE - 50_000)

    assert hand.trader.view(hand.now_ns).state is TradingState.HALTED
    assert again.trader.view(again.now_ns).state is TradingState.HALTED
    assert not again.journal_of(Submit)


def test_a_restart_in_the_middle_of_a_halt_goes_on_proving() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)
    hand.halt("a person", flatten=False)

    again = hand.restarted()
    assert again.of(CancelEverything)
    assert again.asked_to_read()
    again.read([at_venue(order, OrderStatus.CANCELED) for order in orders])

    assert [stage for stage, _, _ in stages(again.effects)] == ["STOPPED", "PROVEN_CLEAR"]


def test_a_resumed_account_trades_from_the_next_crossing_on() -> None:
    hand = Hand()
    hand.halt("a person", flatten=False)
    hand.read()
    hand.top(hand.level(2) - 1)

    hand.give(Resumed("trading lead and engineer: drill over"))
    hand.read()
    assert not hand.sent  # what crossed while halted was not seen
    hand.top(hand.level(2) + 10)
    hand.top(hand.level(2) - 1)

    assert [order.slot for order in hand.sent] == [2]
    assert hand.trader.view(hand.now_ns).state is TradingState.ACTIVE


def test_a_resume_while_the_loss_stands_halts_again_within_a_second() -> None:
    hand = Hand(max_daily_drawdown_fraction=Decimal("0.0000001"))
    hand.hold(2)
    hand.seconds(1)
    assert hand.of(LatchHalt)

    hand.give(Resumed("they said so"))
    hand.seconds(1)

    assert hand.of(LatchHalt)


def test_orders_decided_in_the_turn_that_halts_never_leave() -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.accept(buy)
    broken = replace(hand.execution(buy), quantity_lots=10**6)

    hand.give(OrderFilled(broken))

    assert hand.of(LatchHalt)
    assert not hand.sent


# --- one symbol ---------------------------------------------------------------------------------------------


def test_a_halt_of_one_symbol_stops_and_proves_that_symbol_and_leaves_the_account_active() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)

    hand.halt("a person", flatten=False, symbol=SYMBOL)
    assert hand.of(CancelEverything) == [CancelEverything((SYMBOL,))]
    for order in orders:
        hand.end(order, OrderStatus.CANCELED)
    hand.read()

    view = hand.trader.view(hand.now_ns)
    assert [(e.stage, e.symbol) for e in hand.effects if isinstance(e, PersistHaltStage)] == [("PROVEN_CLEAR", SYMBOL)]
    assert (view.state, view.halt) == (TradingState.ACTIVE, None)
    assert [(each.state, each.why) for each in view.symbols] == [("Halted", "a person")]
    hand.top(CENTRE)
    assert not hand.sent


def test_a_halt_of_another_symbol_stops_nothing_here() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)

    hand.halt("a person", flatten=True, symbol="ETHUSDT")

    assert hand.of(CancelEverything) == [CancelEverything(("ETHUSDT",))]
    seen = [(each.state, each.working) for each in hand.trader.view(hand.now_ns).symbols]
    assert seen == [("Running", len(orders))]


@pytest.mark.parametrize(("symbol", "proven"), [("ETHUSDT", True), (SYMBOL, False)])
def test_an_order_of_a_person_elsewhere_does_not_keep_a_symbol_from_its_proof(symbol: str, proven: bool) -> None:
    hand = Hand(MAKER)
    for order in resting(hand):
        hand.end(order, OrderStatus.CANCELED)
    hand.halt("a person", flatten=False, symbol=SYMBOL)
    for order in list(hand.open.values()):
        hand.end(order, OrderStatus.CANCELED)

    hand.read([replace(human_order(), symbol=symbol)])

    assert ("PROVEN_CLEAR" in [stage for stage, _, _ in stages(hand.effects)]) is proven


def test_a_symbol_trades_again_only_when_its_own_halt_and_the_accounts_are_released() -> None:
    hand = Hand(MAKER)
    orders = resting(hand)
    hand.halt("one", flatten=False, symbol=SYMBOL)
    hand.halt("all", flatten=False)
    for order in orders:
        hand.end(order, OrderStatus.CANCELED)
    hand.read()

    hand.give(Resumed("two people"))
    assert hand.trader.view(hand.now_ns).state is TradingState.ACTIVE
    hand.top(CENTRE + 1)
    assert not hand.sent

    hand.give(Resumed("two people", SYMBOL))
    assert hand.sent
