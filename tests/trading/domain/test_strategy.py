"""What a ladder wants at a price, and at which prices it must be asked."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.grid import GridSettings, build
from trading.domain.instruments import Instrument
from trading.domain.laying import empty_line
from trading.domain.limits import ExecutionStyle
from trading.domain.market import BookTop
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.places import Role
from trading.domain.strategy import (
    Slot,
    SlotState,
    lay_out,
    maker_wants,
    opening_wants,
    opens_no_more,
    taker_wants,
    thresholds,
)

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
CENTRE = 6_000_000
NUMBER: Iterator[int] = iter(range(10**9))


def ladder(slots: int = 4) -> list[Slot]:
    settings = GridSettings("BTCUSDT", ExecutionStyle.TAKER, Decimal("0.001"), slots, Decimal(6))
    return lay_out(build(settings, BTC, CENTRE), BTC)


def top(bid: int, ask: int | None = None) -> BookTop:
    return BookTop("BTCUSDT", bid, 10**6, bid + 1 if ask is None else ask, 10**6, next(NUMBER), 0, 0)


def order(slot: Slot, side: Side, status: OrderStatus = OrderStatus.ACCEPTED, lots: int = 10) -> Order:
    price = slot.buy_ticks if side is Side.BUY else slot.sell_ticks
    return Order(
        "id", "BTCUSDT", side, OrderType.LIMIT_MAKER, lots, price, slot.index, Purpose.GRID, 0, price, status=status
    )


def test_a_slot_says_where_it_stands() -> None:
    slot = ladder()[0]
    states = [slot.state]

    slot.order = order(slot, Side.BUY)
    states.append(slot.state)
    slot.order, slot.held_lots = None, 10
    states.append(slot.state)
    slot.order = order(slot, Side.SELL)
    states.append(slot.state)

    assert states == [SlotState.EMPTY, SlotState.BUYING, SlotState.HELD, SlotState.SELLING]


@pytest.mark.parametrize(
    ("previous", "ask", "bought"),
    [
        (1, 1, []),
        (1, 0, [2]),
        (1, -1, [2]),
        (0, 0, []),  # it stood on the level: that was the crossing of another tick
        (0, -1, []),
        (None, -1, []),  # nothing is known of before: no crossing was seen
        (1, -5_990, [2]),  # the next level lies 5,991 ticks below
        (1, -5_991, [2, 1]),
        (1, -6_500, [2, 1]),
    ],
    ids=str,
)
def test_a_taker_buys_when_the_ask_falls_to_a_level(previous: int | None, ask: int, bought: list[int]) -> None:
    slots = ladder()
    level = slots[2].buy_ticks
    before = None if previous is None else level + previous

    wants = taker_wants(slots, top(level + ask - 1, level + ask), before, 0)

    assert [want.slot.index for want in wants] == bought
    assert all(want.side is Side.BUY and want.type is OrderType.MARKET for want in wants)


@pytest.mark.parametrize(("bid", "sold"), [(-1, []), (0, [2]), (1, [2]), (9_000, [2])])
def test_a_taker_sells_when_the_bid_reaches_the_upper_level(bid: int, sold: list[int]) -> None:
    slots = ladder()
    slots[2].held_lots = 7

    wants = taker_wants(slots, top(slots[2].sell_ticks + bid), None, 0)

    assert [(want.slot.index, want.side, want.quantity_lots) for want in wants] == [(i, Side.SELL, 7) for i in sold]


def test_one_price_gets_one_market_order() -> None:
    slots = ladder()
    slots[2].held_lots = 7
    price = top(slots[2].sell_ticks)

    slots[2].tried_update_id = price.update_id

    assert not taker_wants(slots, price, None, 0)
    assert taker_wants(slots, top(slots[2].sell_ticks), None, 0)


@pytest.mark.parametrize(("now_ns", "wanted"), [(999, 0), (1_000, 1)])
def test_a_slot_that_was_refused_waits(now_ns: int, wanted: int) -> None:
    slots = ladder()
    slots[2].retry_at_ns = 1_000
    level = slots[2].buy_ticks

    assert len(taker_wants(slots, top(level - 1, level), level + 1, now_ns)) == wanted


def test_a_maker_rests_every_buy_below_the_ask_nearest_first() -> None:
    slots = ladder()

    wants, cancels = maker_wants(slots, top(CENTRE), 10, 0)

    assert [want.price_ticks for want in wants] == [
        slot.buy_ticks for slot in reversed(slots) if slot.buy_ticks < CENTRE
    ]
    assert {want.type for want in wants} == {OrderType.LIMIT_MAKER}
    assert not cancels


def test_a_level_at_the_ask_cannot_rest() -> None:
    slots = ladder()
    level = slots[2].buy_ticks

    wants, _ = maker_wants(slots, top(level - 1, level), 10, 0)

    assert [want.slot.index for want in wants] == [1, 0]


@pytest.mark.parametrize(("beyond", "expected"), [(-100, 0), (-1, 0), (0, 1), (50, 51)])
def test_a_held_lot_is_offered_at_its_level_or_just_above_the_bid(beyond: int, expected: int) -> None:
    slots = ladder()
    slots[1].held_lots = 9

    wants, _ = maker_wants(slots, top(slots[1].sell_ticks + beyond), 10, 0)

    sell = wants[0]
    assert (sell.side, sell.quantity_lots, sell.price_ticks) == (Side.SELL, 9, slots[1].sell_ticks + expected)


def test_what_does_not_fit_stays_virtual_and_exits_come_first() -> None:
    slots = ladder(8)
    slots[6].held_lots = 9

    wants, _ = maker_wants(slots, top(CENTRE), 3, 0)

    assert [(want.side, want.slot.index) for want in wants] == [(Side.SELL, 6), (Side.BUY, 4), (Side.BUY, 3)]


def test_a_nearer_level_takes_the_place_of_the_furthest_once_its_cancel_is_confirmed() -> None:
    slots = ladder(8)
    for i in (2, 3):
        slots[i].order = order(slots[i], Side.BUY)

    wants, cancels = maker_wants(slots, top(CENTRE), 2, 0)
    assert ([w.slot.index for w in wants], [c.slot for c in cancels]) == ([], [2])

    assert slots[2].order is not None
    slots[2].order.status = OrderStatus.PENDING_CANCEL
    assert maker_wants(slots, top(CENTRE), 2, 0) == ([], [])

    slots[2].order = None
    wants, cancels = maker_wants(slots, top(CENTRE), 2, 0)
    assert ([w.slot.index for w in wants], cancels) == ([4], [])


@pytest.mark.parametrize(("bid", "cancelled"), [(-1, []), (0, [1])])
def test_the_rest_of_a_part_filled_buy_goes_when_its_exit_is_reached(bid: int, cancelled: list[int]) -> None:
    slots = ladder()
    slots[1].order, slots[1].held_lots = order(slots[1], Side.BUY, OrderStatus.PARTIALLY_FILLED), 9

    _, cancels = maker_wants(slots, top(slots[1].sell_ticks + bid), 10, 0)

    assert [c.slot for c in cancels] == cancelled


def test_a_part_that_is_too_small_to_sell_waits_for_the_rest() -> None:
    slots = ladder()
    slots[1].order, slots[1].held_lots = order(slots[1], Side.BUY), slots[1].smallest_lots - 1

    assert maker_wants(slots, top(slots[1].sell_ticks), 10, 0)[1] == []


slot_states = st.lists(st.tuples(st.sampled_from(SlotState), st.booleans(), st.booleans()), min_size=6, max_size=6)


def dressed(states: list[tuple[SlotState, bool, bool]]) -> list[Slot]:
    slots = ladder(6)
    for slot, (state, part, waits) in zip(slots, states, strict=True):
        slot.retry_at_ns = 10 if waits else 0
        if state in (SlotState.HELD, SlotState.SELLING) or (state is SlotState.BUYING and part):
            slot.held_lots = 9
        if state in (SlotState.BUYING, SlotState.SELLING):
            slot.order = order(slot, Side.BUY if state is SlotState.BUYING else Side.SELL)
    return slots


@given(
    states=slot_states,
    style=st.sampled_from(ExecutionStyle),
    first=st.integers(CENTRE - 30_000, CENTRE + 30_000),
    prices=st.lists(st.integers(CENTRE - 30_000, CENTRE + 30_000), max_size=20),
)
def test_between_its_thresholds_a_ladder_wants_nothing_new(
    states: list[tuple[SlotState, bool, bool]], style: ExecutionStyle, first: int, prices: list[int]
) -> None:
    slots = dressed(states)
    quota = 100

    def wants(at: BookTop, previous: int | None) -> list[object]:
        if style is ExecutionStyle.TAKER:
            return list(taker_wants(slots, at, previous, 0))
        new, cancels = maker_wants(slots, at, quota, 0)
        return [(w.slot.index, w.side) for w in new] + [c.slot for c in cancels]

    begin = top(first)
    at_first = wants(begin, begin.ask_ticks)
    buy_at, rearm_above, sell_at = thresholds(style, slots, begin.ask_ticks, 0)
    previous = begin.ask_ticks
    for bid in prices:
        price = top(bid)
        if buy_at < price.ask_ticks <= rearm_above and price.bid_ticks < sell_at:
            now = wants(price, previous)
            # What a taker wanted at the first price it was sent then; a maker's ladder may only shrink.
            assert not now if style is ExecutionStyle.TAKER else all(want in at_first for want in now)
            previous = price.ask_ticks


@pytest.mark.parametrize(("near", "bought"), [(1, [4]), (2, [4, 3]), (9, [4, 3, 2, 1, 0])])
def test_only_the_nearest_buys_rest_where_far_levels_are_virtual(near: int, bought: list[int]) -> None:
    slots = ladder(8)

    wants, cancels = maker_wants(slots, top(CENTRE), 20, 0, near)

    assert ([want.slot.index for want in wants], cancels) == (bought, [])


def test_a_sell_that_is_not_among_the_nearest_any_more_makes_room_before_the_nearer_one_is_sent() -> None:
    slots = ladder(8)
    for number in (3, 4, 5):
        slots[number].held_lots = 10
    slots[4].order, slots[5].order = order(slots[4], Side.SELL), order(slots[5], Side.SELL)

    wants, cancels = maker_wants(slots, top(slots[3].buy_ticks), 20, 0, 2)

    assert cancels == [slots[5].order]
    assert not [want for want in wants if want.side is Side.SELL]  # two rest until the venue has confirmed
    slots[5].order = None
    wants, cancels = maker_wants(slots, top(slots[3].buy_ticks), 20, 0, 2)
    assert [want.slot.index for want in wants if want.side is Side.SELL] == [3]
    assert not cancels


def test_a_buy_that_is_not_among_the_nearest_any_more_makes_room_first() -> None:
    slots = ladder(8)
    slots[2].order = order(slots[2], Side.BUY)

    wants, cancels = maker_wants(slots, top(CENTRE), 20, 0, 1)

    assert (wants, cancels) == ([], [slots[2].order])


def test_what_goes_at_the_market_takes_no_place_of_those_that_rest() -> None:
    slots = ladder(8)
    slots[3].held_lots = slots[4].held_lots = 10
    slots[3].order = replace(order(slots[3], Side.SELL), type=OrderType.MARKET, price_ticks=None)
    slots[3].role = Role.CLOSING

    wants, _ = maker_wants(slots, top(CENTRE), 20, 0, 1)

    assert [(want.slot.index, want.side) for want in wants] == [(4, Side.SELL), (2, Side.BUY)]


@given(
    st.lists(st.sampled_from(["empty", "held", "buys", "sells", "leaves"]), min_size=8, max_size=8),
    st.integers(1, 4), st.integers(-40_000, 40_000), st.integers(1, 20),
)  # fmt: skip
def test_what_rests_and_what_is_sent_is_never_more_than_so_many_a_side(
    states: list[str], near: int, offset: int, quota: int
) -> None:
    slots = ladder(8)
    for slot, state in zip(slots, states, strict=True):
        slot.held_lots = 10 * (state in ("held", "sells"))
        side = Side.SELL if state == "sells" else Side.BUY
        status = OrderStatus.PENDING_CANCEL if state == "leaves" else OrderStatus.ACCEPTED
        slot.order = None if state in ("empty", "held") else order(slot, side, status)

    wants, cancels = maker_wants(slots, top(CENTRE + offset), quota, 0, near)

    for side in Side:
        there = sum(slot.order is not None and slot.order.side is side for slot in slots)
        sent = sum(want.side is side for want in wants)
        assert not sent or there + sent <= near
        assert there - sum(one.side is side for one in cancels) <= near + states.count("leaves")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(-10, 400))
def test_the_slots_above_the_price_are_those_whose_middle_it_has_not_passed(widths: list[int], bid: int) -> None:
    levels = tuple(accumulate(widths, initial=50))
    slots = [Slot(n, low, high, 1, 1, role=Role.OPENING) for n, (low, high) in enumerate(pairwise(levels))]

    above = [slot.index for slot in slots if not opens_no_more(slot, bid)]

    assert above == list(range(empty_line(levels, bid), len(slots)))


@pytest.mark.parametrize(("quota", "opened"), [(9, [5, 6, 7]), (3, [5, 6]), (1, [])])
def test_slots_open_at_the_market_lowest_first_while_there_is_room(quota: int, opened: list[int]) -> None:
    slots = ladder(9)
    slots[0].order = order(slots[0], Side.BUY)
    for slot in slots[4:8]:
        slot.role = Role.OPENING
    slots[4].held_lots = 10
    price = top(CENTRE)

    wants = opening_wants(slots, price, quota, 0)

    assert [(want.slot.index, want.type, want.reference_ticks) for want in wants] == [
        (number, OrderType.MARKET, price.ask_ticks) for number in opened
    ]


def test_one_price_opens_a_slot_once_and_a_refusal_lets_it_wait() -> None:
    slots, price = ladder(), top(CENTRE)
    for slot in slots:
        slot.role = Role.OPENING
    slots[0].tried_update_id, slots[1].retry_at_ns = price.update_id, 1

    assert [want.slot.index for want in opening_wants(slots, price, 9, 0)] == [2, 3]


def test_what_is_to_open_leaves_room_for_the_sell_that_follows() -> None:
    slots = ladder(8)
    slots[6].role = slots[7].role = Role.OPENING

    wants, _ = maker_wants(slots, top(CENTRE), 3, 0)

    assert [want.slot.index for want in wants] == [4]


def test_a_slot_that_is_to_open_buys_neither_at_its_level_nor_by_a_crossing() -> None:
    slots = ladder()
    slots[2].role = Role.OPENING
    level = slots[2].buy_ticks

    assert not taker_wants(slots, top(level - 1), level + 5, 0)
    assert 2 not in [want.slot.index for want in maker_wants(slots, top(CENTRE), 20, 0)[0]]
