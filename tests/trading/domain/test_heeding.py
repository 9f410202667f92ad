"""What the core makes of an advice: fewer, smaller and later entries, the same exits, and nothing once it is over."""

from dataclasses import replace
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.domain.hand import CENTRE, SECOND, SYMBOL, Hand
from trading.domain.advice import GridAdvice
from trading.domain.events import AdviceChanged, Cancel, ForecastChanged, OrderEnded, PersistAdvice, Submit
from trading.domain.limits import ExecutionStyle
from trading.domain.market import BookTop
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.places import Role
from trading.domain.strategy import Slot, Want, has_room, maker_wants

MAKER, TAKER = ExecutionStyle.MAKER, ExecutionStyle.TAKER


def advice(hand: Hand, **changes: Any) -> GridAdvice:
    return replace(GridAdvice(SYMBOL, "ab" * 32, hand.now_ns, hand.now_ns + 60 * SECOND), **changes)


def advise(hand: Hand, **changes: Any) -> None:
    hand.give(AdviceChanged(SYMBOL, advice(hand, **changes)))


def cancelled(hand: Hand) -> set[str]:
    return {effect.client_order_id for effect in hand.of(Cancel)}


def maker(slots: int = 4) -> tuple[Hand, list[Order]]:
    """A MAKER whose two buys below the price rest."""
    hand = Hand(MAKER, slots=slots)
    orders = hand.sent
    for order in orders:
        hand.accept(order)
    return hand, orders


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, 2),
        ({"pause_buys": True}, 0),
        ({"pause_sells": True}, 2),
        ({"floor_fraction": 0.0009}, 2),
        ({"floor_fraction": 0.0011}, 0),
        ({"levels": 1}, 1),
        ({"levels": 0}, 0),
        ({"size_fraction": 0.0}, 0),
        ({"skew": -1.0}, 0),
        ({"skew": 1.0}, 2),
        ({"recentre": True, "stop_distance_fraction": 0.01}, 2),
    ],
)
def test_a_taker_enters_as_far_as_an_advice_lets_it(changes: dict[str, Any], sent: int) -> None:
    hand = Hand()

    advise(hand, **changes)
    hand.top(hand.level(2) + 10)
    hand.top(hand.level(1) - 1)

    assert len(hand.sent) == sent


def test_a_lot_is_bought_smaller_and_sold_whole() -> None:
    hand = Hand()
    advise(hand, size_fraction=0.5)
    order = hand.buy(1)

    assert order.quantity_lots == 33 // 2
    hand.accept(order)
    hand.fill(order)
    hand.top(hand.level(2) + 1)
    assert [(sell.side, sell.quantity_lots) for sell in hand.sent] == [(Side.SELL, 16)]


def test_a_lot_too_small_for_the_venue_is_not_bought_and_not_denied() -> None:
    hand = Hand(MAKER, ready=False)
    hand.read()
    advise(hand, size_fraction=0.2)  # 4 of 20 USDT; the venue takes 5
    hand.top(CENTRE)

    assert not hand.sent
    assert not [order for order in hand.journal.orders.values() if order.status is OrderStatus.DENIED]
    assert hand.symbol.state == "Running"


def test_what_rests_and_is_too_large_is_cancelled_and_bought_smaller() -> None:
    hand, resting = maker()

    advise(hand, size_fraction=0.5)
    assert cancelled(hand) == {order.client_order_id for order in resting}
    for order in resting:
        hand.give(OrderEnded(order.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))
    hand.seconds(1)

    after = [order.quantity_lots for order in hand.open.values()]
    assert after == [order.quantity_lots // 2 for order in resting]


def test_the_farthest_entries_are_taken_back() -> None:
    hand, resting = maker(slots=8)
    assert len(resting) > 2

    advise(hand, levels=2)

    nearest = sorted(resting, key=lambda order: -(order.price_ticks or 0))[:2]
    assert cancelled(hand) == {o.client_order_id for o in resting} - {o.client_order_id for o in nearest}


def test_a_pause_takes_resting_entries_back_and_leaves_the_exit() -> None:
    hand, resting = maker()
    bought = max(resting, key=lambda order: order.price_ticks or 0)
    hand.fill(bought)
    (exit_order,) = hand.sent
    hand.accept(exit_order)

    advise(hand, pause_buys=True)

    assert cancelled(hand) == {order.client_order_id for order in resting} - {bought.client_order_id}
    assert hand.journal.orders[exit_order.client_order_id].status is OrderStatus.ACCEPTED
    assert hand.symbol.why == "a model asks to buy nothing"


def test_a_pause_takes_entries_back_while_no_price_comes() -> None:
    hand, resting = maker()
    hand.seconds(30, keep_fresh=False)

    advise(hand, pause_buys=True)

    assert cancelled(hand) == {order.client_order_id for order in resting}


def test_an_entry_that_was_on_its_way_when_the_pause_came_is_taken_back_as_it_arrives() -> None:
    hand = Hand(MAKER)
    sent = hand.sent
    advise(hand, pause_buys=True)
    assert not cancelled(hand)

    hand.accept(sent[0])

    assert cancelled(hand) == {sent[0].client_order_id}


@pytest.mark.parametrize("how", ["it becomes too old", "the model takes it back", "another that is no number"])
def test_the_rule_grid_goes_on_once_an_advice_is_over(how: str) -> None:
    hand = Hand(slots=2)
    advise(hand, pause_buys=True, valid_until_ns=hand.now_ns + 5 * SECOND)
    hand.top(hand.level(1) + 10)
    assert not hand.top_and_sent(hand.level(1) - 1)
    hand.top(hand.level(1) + 10)

    if how == "it becomes too old":
        hand.seconds(6)
    elif how == "the model takes it back":
        hand.give(AdviceChanged(SYMBOL, None))
    else:
        advise(hand, size_fraction=nan)

    assert hand.symbol.advice is None
    assert len(hand.top_and_sent(hand.level(1) - 1)) == 1


def test_resting_entries_come_back_within_a_second_of_the_end() -> None:
    hand, resting = maker()
    advise(hand, pause_buys=True, valid_until_ns=hand.now_ns + 5 * SECOND)
    for order in resting:
        hand.give(OrderEnded(order.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))
    hand.seconds(5)
    assert not hand.open

    asked = hand.seconds(1)

    assert len([effect for effect in asked if isinstance(effect, Submit)]) == len(resting)


@pytest.mark.parametrize(
    "changes",
    [
        {"size_fraction": nan},
        {"floor_fraction": nan},
        {"skew": -2.0},
        {"levels": -1},
        {"at_ns": 0, "valid_until_ns": 1},
        {"at_ns": 2**62, "valid_until_ns": 2**62 + 1},
        {"symbol": "ETHUSDT"},
    ],
    ids=["size", "floor", "skew", "levels", "too old", "from the future", "of another symbol"],
)
def test_what_is_no_sound_advice_is_none(changes: dict[str, Any]) -> None:
    hand = Hand()

    advise(hand, **{"pause_buys": True} | changes)

    assert hand.symbol.advice is None
    assert not hand.of(PersistAdvice)
    assert hand.buy(1)


def test_an_advice_for_a_symbol_without_a_grid_does_nothing() -> None:
    hand = Hand()
    assert not hand.give(AdviceChanged("ETHUSDT", replace(advice(hand), symbol="ETHUSDT", pause_buys=True)))


def test_a_halted_symbol_heeds_no_model_and_starts_again_without_one() -> None:
    hand = Hand()
    advise(hand, pause_buys=True)

    hand.halt("a person", flatten=False, symbol=SYMBOL)
    assert hand.symbol.advice is None
    hand.seconds(1)
    assert [kept.advice is not None for kept in hand.journal_of(PersistAdvice)] == [True, False]
    advise(hand, pause_buys=True)

    assert hand.symbol.advice is None
    assert len(hand.journal_of(PersistAdvice)) == 2


def test_the_wider_of_the_two_floors_blocks() -> None:
    hand = Hand()
    hand.give(ForecastChanged(SYMBOL, 0.001, 0.003, hand.now_ns))
    advise(hand, floor_fraction=0.0005)
    assert hand.symbol.why.startswith("forecast asks for a step")

    hand.give(ForecastChanged(SYMBOL, 0.0001, 0.0003, hand.now_ns))
    assert hand.symbol.state == "Running"
    advise(hand, floor_fraction=0.0015)

    assert hand.symbol.why == "a model asks for a step of 0.1500%, the grid has 0.1000%"


def test_only_what_another_advice_changes_is_kept() -> None:
    hand = Hand()
    for second in range(5):
        advise(hand, size_fraction=0.5, reasons=(f"bar {second}",))
        hand.seconds(1)
    advise(hand, levels=2)
    hand.give(AdviceChanged(SYMBOL, None))
    hand.give(AdviceChanged(SYMBOL, None))

    assert [kept.advice and kept.advice.asks for kept in hand.journal_of(PersistAdvice)] == [
        "buy 50% of a lot",
        "keep at most 2 slots open",
        None,
    ]


def test_a_restart_goes_on_with_the_rule_grid() -> None:
    hand = Hand()
    advise(hand, pause_buys=True)

    after = hand.restarted()
    assert [kept.advice for kept in after.journal_of(PersistAdvice)] == [None]
    after.read()
    after.top(CENTRE)

    assert after.symbol.advice is None
    assert after.symbol.state == "Running"


# --- never looser -----------------------------------------------------------------------------------------

TOP = BookTop(SYMBOL, 1_000, 10**6, 1_001, 10**6, 7, 0, 0)


@st.composite
def slots_at_random(draw: st.DrawFn) -> list[Slot]:
    found = []
    for k in range(draw(st.integers(1, 9))):
        low = 950 + 10 * k
        slot = Slot(k, low, low + 10, 20, 2, role=draw(st.sampled_from([*[Role.LADDER] * 3, *Role])))
        side = draw(st.sampled_from([None, None, Side.BUY, Side.SELL]))
        slot.held_lots = draw(st.sampled_from([0, 3, 20])) if side is not Side.SELL else 20
        if side is not None:
            price = low if side is Side.BUY else low + 10
            status = draw(st.sampled_from([OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PENDING_CANCEL]))
            slot.order = Order(
                f"gc-{k}", SYMBOL, side, OrderType.LIMIT_MAKER, 20, price, k, Purpose.GRID, 0, price, status
            )
        found.append(slot)
    return found


def key(want: Want) -> tuple[int, Side, OrderType, int, int | None]:
    return want.slot.index, want.side, want.type, want.quantity_lots, want.price_ticks


def sells(wants: list[Want]) -> list[object]:
    return [key(want) for want in wants if want.side is Side.SELL]


@given(slots_at_random(), st.integers(1, 20), st.none() | st.integers(1, 5), st.integers(0, 9))
def test_a_maker_wants_no_more_with_an_advice_and_every_exit(
    slots: list[Slot], quota: int, near: int | None, levels: int
) -> None:
    free, free_cancels = maker_wants(slots, TOP, quota, 0, near)

    held, cancels = maker_wants(slots, TOP, quota, 0, near, levels)

    assert set(map(key, held)) <= set(map(key, free))
    assert sells(held) == sells(free)
    names = {order.client_order_id for order in free_cancels}
    more = [order for order in cancels if order.client_order_id not in names]
    assert names <= {order.client_order_id for order in cancels}
    assert all(order.side is Side.BUY for order in more)
    is_open = sum(slot.held_lots > 0 and slot.order is None for slot in slots)
    assert len(held) - len(sells(held)) <= max(levels - is_open, 0)


@pytest.mark.parametrize(
    ("levels", "held", "buying", "has"),
    [(None, 4, 0, True), (3, 2, 0, True), (3, 2, 1, False), (3, 3, 0, False), (0, 0, 0, False)],
)
def test_one_more_slot_may_buy_while_fewer_are_open_or_on_their_way(
    levels: int | None, held: int, buying: int, has: bool
) -> None:
    slots = [Slot(k, 950, 960, 20, 2, held_lots=20 * (k < held)) for k in range(6)]
    for slot in slots[held : held + buying]:
        slot.order = Order(f"gc-{slot.index}", SYMBOL, Side.BUY, OrderType.MARKET, 20, None, 0, Purpose.GRID, 0, 951)

    assert has_room(slots, levels) is has
