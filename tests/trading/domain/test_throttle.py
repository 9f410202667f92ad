"""Overrides only ever tighten, and what is in force is the tightest of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.domain.hand import CENTRE, SECOND, Hand
from trading.domain.events import Cancel, ConductChanged, OrderEnded, Submit
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import OrderStatus, OrderType, Side
from trading.domain.throttle import NO_THROTTLE, Act, Override, Throttle, in_force, pace_limit, why_not

HALF = Decimal("0.5")
BOTH = frozenset(ExecutionStyle)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], NO_THROTTLE),
        ([Override(Act.ORDERS_PER_MINUTE, HALF, 9), Override(Act.ORDERS_PER_MINUTE, HALF, 4)], Throttle(4)),
        ([Override(Act.DECISION_INTERVAL, Decimal(2))] * 2, Throttle(decision_interval_ns=4 * SECOND)),
        ([Override(Act.LOT_SIZE, HALF)] * 2, Throttle(lot_factor=Decimal("0.25"))),
        ([Override(Act.ORDER_TIMEOUT, Decimal(2))], Throttle(timeout_factor=Decimal(2))),
        ([Override(Act.MARKET_ONLY, Decimal(1))], Throttle(market_only=True)),
    ],
)
def test_the_tightest_is_in_force(overrides: list[Override], expected: Throttle) -> None:
    assert in_force(overrides) == expected


@pytest.mark.parametrize(
    ("act", "factor", "fits"),
    [
        (Act.ORDERS_PER_MINUTE, "0.5", True),
        (Act.ORDERS_PER_MINUTE, "1.01", False),
        (Act.LOT_SIZE, "0", False),
        (Act.LOT_SIZE, "1.5", False),
        (Act.DECISION_INTERVAL, "0.5", False),
        (Act.DECISION_INTERVAL, "2", True),
        (Act.ORDER_TIMEOUT, "0.9", False),
        (Act.MARKET_ONLY, "2", False),
        (Act.LOT_SIZE, "NaN", False),
        (Act.ORDER_TIMEOUT, "Infinity", False),
    ],
)
def test_nothing_can_be_loosened(act: Act, factor: str, fits: bool) -> None:
    assert (why_not(act, Decimal(factor)) == "") is fits


@given(st.lists(st.tuples(st.sampled_from(Act), st.decimals("0.01", 600, places=2), st.integers(1, 99)), max_size=6))
def test_whatever_is_applied_is_no_looser_than_without(applied: list[tuple[Act, Decimal, int]]) -> None:
    found = in_force(Override(act, factor, limit) for act, factor, limit in applied if not why_not(act, factor))

    assert found.lots(1_000) <= 1_000
    assert 5_000 <= found.timeout_ms(5_000) <= 10_000
    assert found.decision_interval_ns >= 0
    assert found.max_orders_per_minute is None or found.max_orders_per_minute > 0


@pytest.mark.parametrize(
    ("orders", "seconds", "expected"), [(1_440, 3_600, 12), (90, 12, 45), (90, 180, 15), (60, 3_600, 1), (0, 0, 1)]
)
def test_half_of_the_pace_is_left(orders: int, seconds: int, expected: int) -> None:
    assert pace_limit(HALF, orders, seconds) == expected


# --- in the core ------------------------------------------------------------------------------------------------


def throttled(hand: Hand, **throttle: object) -> None:
    hand.give(ConductChanged(Throttle(**throttle)))  # type: ignore[arg-type]  # a table of named values


def test_buys_are_held_back_once_the_orders_a_minute_are_used_and_go_on_when_it_has_passed() -> None:
    hand = Hand(slots=4)
    throttled(hand, max_orders_per_minute=1)
    hand.top(hand.level(1) - 1)  # through two levels

    assert [order.slot for order in hand.sent] == [2]
    denied = [order for order in hand.journal.orders.values() if order.status is OrderStatus.DENIED]
    assert [order.reason[:4] for order in denied] == ["PACE"]


def test_a_sell_is_counted_and_never_held_back() -> None:
    hand = Hand(slots=4)
    hand.hold(2)
    throttled(hand, max_orders_per_minute=1)

    assert [order.side for order in hand.top_and_sent(hand.level(3))] == [Side.SELL]


def test_a_longer_interval_lies_between_two_decisions_to_buy() -> None:
    hand = Hand(slots=4)
    throttled(hand, decision_interval_ns=4 * SECOND)
    hand.top(hand.level(2) - 1)
    hand.now_ns += 3 * SECOND
    hand.top(hand.level(1) - 1)
    assert not hand.sent

    hand.top(CENTRE)
    hand.now_ns += SECOND
    hand.top(hand.level(1) - 1)
    assert [order.slot for order in hand.sent] == [1]


def test_smaller_lots_replace_what_rests_and_hold_for_new_buys() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=1)
    (order,) = hand.sent
    hand.accept(order)

    throttled(hand, lot_factor=HALF)
    assert [effect.client_order_id for effect in hand.of(Cancel)] == [order.client_order_id]
    hand.give(OrderEnded(order.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))
    (smaller,) = hand.sent
    assert smaller.quantity_lots == order.quantity_lots // 2

    hand.accept(smaller)
    throttled(hand)
    assert not hand.of(Cancel), "what rests and is smaller may stay"


def test_at_market_nothing_rests_and_what_is_held_is_sold_where_its_level_is() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=2, execution_styles=BOTH)
    buy = hand.sent[0]
    hand.accept(buy)
    hand.fill(buy)
    (sell,) = hand.sent
    hand.accept(sell)

    throttled(hand, market_only=True)
    assert sell.client_order_id in {effect.client_order_id for effect in hand.of(Cancel)}
    hand.give(OrderEnded(sell.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))
    hand.top(sell.price_ticks or 0)

    assert [(order.type, order.side) for order in hand.sent if order.slot == buy.slot] == [
        (OrderType.MARKET, Side.SELL)
    ]


def test_where_the_mandate_allows_no_market_orders_the_override_changes_nothing() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=2)
    for order in hand.sent:
        hand.accept(order)

    throttled(hand, market_only=True)

    assert not hand.of(Cancel)
    assert not [effect for effect in hand.effects if isinstance(effect, Submit)]


def test_at_market_a_ladder_that_earns_less_than_fees_buys_nothing() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=2, step=Decimal("0.0006"), execution_styles=BOTH)
    throttled(hand, market_only=True)
    for order in list(hand.open.values()):
        hand.accept(order)
        hand.give(OrderEnded(order.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))

    hand.top(hand.level(1) + 5)
    hand.top(hand.level(1) - 1)

    assert not hand.sent
    assert "at market" in hand.symbol.why


def test_a_restart_goes_on_under_what_is_in_force() -> None:
    hand = Hand(slots=4)

    again = hand.restarted(throttle=Throttle(max_orders_per_minute=0))
    again.read()
    again.top(CENTRE)
    again.top(again.level(2) - 1)

    assert not again.sent
