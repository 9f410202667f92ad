"""A ladder that moves: no lot is lost and none doubled, whatever happens in between; it starts and ends by itself."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.domain.hand import BTC, CENTRE, SECOND, SYMBOL, Hand
from trading.domain import places
from trading.domain.events import Cancel, LatchHalt, MandateChanged, PersistGrid, RaiseAlert, SeamReached, Submit
from trading.domain.grid import GridSettings
from trading.domain.grids import Carried, GridSpec, Kind, not_live, plain, settings_of
from trading.domain.laying import Laid, lay
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle, TradingState
from trading.domain.moving import carry
from trading.domain.orders import Order, OrderStatus, OrderType, Side
from trading.domain.places import Footing, Place, Role
from trading.domain.strategy import Slot, SlotState
from trading.domain.terms import Mode

MAKER = ExecutionStyle.MAKER
BOTH = frozenset(ExecutionStyle)
FIXED = GridSpec(SYMBOL, 4, Decimal(20), style=MAKER, spacing=Spacing.ARITHMETIC, lower=Decimal(59_000),
                 upper=Decimal(61_000))  # fmt: skip
UP = replace(FIXED, trail_up_to=Decimal(70_000))
DOWN = replace(FIXED, trail_down_to=Decimal(50_000))
# levels of FIXED, ticks: 59,000 59,500 60,000 60,500 61,000; half a step beyond an end the ladder moves
ABOVE, FIRST = 61_250_00, 59_900_00


def hand(
    grid: GridSpec | GridSettings, *, bid: int = FIRST, styles: frozenset[ExecutionStyle] = BOTH, **limits: Any
) -> Hand:
    """Return a trader on `grid` that has read its venue, seen one price, and heard that its orders are accepted."""
    found = Hand(MAKER, grid=grid, ready=False, execution_styles=styles, **limits)
    found.read()
    see(found, bid)
    return found


def see(by: Hand, bid: int) -> None:
    """Show a price and answer everything that follows from it, but fills."""
    by.top(bid)
    settle(by)


def settle(by: Hand) -> None:
    waiting = list(by.effects)
    while waiting:
        effect = waiting.pop(0)
        if isinstance(effect, Submit):
            waiting += by.accept(effect.order)
        elif isinstance(effect, Cancel):
            order = by.journal.orders[effect.client_order_id]
            waiting += by.end(order, OrderStatus.CANCELED, order.filled_lots)


def buy_all_down_to(by: Hand, bid: int) -> None:
    """Let the price fall; every resting buy above it fills."""
    for order in sorted(resting(by, Side.BUY), key=lambda one: -(one.price_ticks or 0)):
        if order.price_ticks is not None and order.price_ticks > bid:
            see(by, order.price_ticks)
            by.fill(order)
            settle(by)
    see(by, bid)


def resting(by: Hand, side: Side) -> list[Order]:
    return [order for order in by.open.values() if order.side is side]


def prices(by: Hand, side: Side) -> list[int]:
    return sorted(order.price_ticks or 0 for order in resting(by, side))


def levels(by: Hand) -> list[int]:
    return [ticks // 100 for ticks in by.symbol.levels]


# --- following the price ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "lowest"), [(ABOVE - 1, 59_000), (ABOVE, 59_500), (61_800_00, 60_000)])
def test_a_ladder_trails_up_from_half_a_step_beyond_its_top(bid: int, lowest: int) -> None:
    by = hand(UP)

    see(by, bid)

    assert levels(by) == [lowest + 500 * step for step in range(5)]


def test_what_stays_of_a_ladder_keeps_its_orders() -> None:
    by = hand(UP)
    see(by, 60_900_00)
    before = {order.price_ticks or 0: order.client_order_id for order in by.open.values()}
    assert sorted(before) == [59_000_00, 59_500_00, 60_000_00, 60_500_00]

    by.top(ABOVE)

    assert [effect.client_order_id for effect in by.of(Cancel)] == [before[59_000_00]]
    assert [(order.side, order.price_ticks) for order in by.sent] == [(Side.BUY, 61_000_00)]
    assert len({slot.index for slot in by.slots}) == len(by.slots)


def test_lots_that_fall_out_keep_their_exit_beside_the_ladder() -> None:
    by = hand(DOWN)
    buy_all_down_to(by, 58_900_00)
    exits = prices(by, Side.SELL)
    assert exits == [59_500_00, 60_000_00]

    see(by, 58_200_00)

    assert levels(by) == [58_000, 58_500, 59_000, 59_500, 60_000]
    assert prices(by, Side.SELL) == exits  # their orders have not moved
    assert prices(by, Side.BUY) == [58_000_00]
    by.top(59_000_00)
    settle(by)
    assert prices(by, Side.BUY) == [58_000_00, 58_500_00]  # a held slot buys nothing


def test_a_parked_slot_is_gone_once_it_has_sold() -> None:
    by = hand(replace(DOWN, slots=2))  # levels 59,000 60,000 61,000
    buy_all_down_to(by, 58_900_00)
    see(by, 57_400_00)
    assert levels(by) == [57_000, 58_000, 59_000]
    (sell,) = resting(by, Side.SELL)
    assert sell.price_ticks == 60_000_00

    by.fill(sell)
    settle(by)

    assert by.symbol.base == 0
    assert [slot.buy_ticks for slot in by.slots] == [57_000_00, 58_000_00]


def test_lots_are_closed_at_the_market_where_that_is_chosen() -> None:
    by = hand(replace(DOWN, slots=2, carried=Carried.CLOSE))
    buy_all_down_to(by, 58_900_00)

    see(by, 57_400_00)

    (closing,) = resting(by, Side.SELL)
    assert (closing.type, closing.purpose) == (OrderType.MARKET, "grid")
    by.fill(closing)
    assert by.symbol.base == by.symbol.dust_base == 0


def test_of_more_parked_lots_than_slots_the_furthest_exit_goes_to_the_market() -> None:
    by = hand(replace(DOWN, slots=1, lower=Decimal(60_000)))
    for bid in (59_900_00, 58_400_00, 57_400_00, 55_400_00):
        buy_all_down_to(by, bid)

    market = [order for order in by.journal.orders.values() if order.type is OrderType.MARKET]
    assert [order.side for order in market] == [Side.SELL]
    assert by.journal.orders[market[0].client_order_id].quantity_lots > 0
    assert len(prices(by, Side.SELL)) <= 2


def test_a_ladder_never_trails_beyond_its_limit() -> None:
    by = hand(replace(UP, trail_up_to=Decimal(61_500)))

    see(by, 65_000_00)

    assert levels(by)[-1] == 61_500


@pytest.mark.parametrize(("bid", "moves"), [(60_899_99, False), (60_900_00, True)])
def test_a_ladder_is_laid_anew_around_a_price_so_many_steps_outside(bid: int, moves: bool) -> None:
    spec = GridSpec(SYMBOL, 2, Decimal(20), style=MAKER, spacing=Spacing.ARITHMETIC,
                    step_fraction=Decimal("0.01"), recentre_steps=1)  # fmt: skip
    by = hand(spec, bid=CENTRE)
    assert levels(by) == [59_100, 59_700, 60_300]

    see(by, bid)

    assert (levels(by) != [59_100, 59_700, 60_300]) is moves


def test_a_paused_ladder_stands_still() -> None:
    by = hand(UP)
    by.trader.handle(MandateChanged(replace(Hand(MAKER).trader._core.limits, symbols=frozenset())), by.now_ns)

    see(by, ABOVE + 1_000_00)

    assert levels(by)[0] == 59_000


def test_a_grid_that_may_have_to_close_needs_a_mandate_that_lets_it() -> None:
    by = hand(DOWN, styles=frozenset({MAKER}))

    assert not by.open
    assert "may have to sell lots at the market" in by.symbol.why

    assert hand(UP, styles=frozenset({MAKER})).open  # nothing falls out of it but what is sold


def test_a_ladder_that_would_not_fit_stays_and_says_so_once() -> None:
    by = hand(replace(UP, slots=4, lower=Decimal(59_900), upper=Decimal(60_170), trail_up_to=Decimal(120_000)))
    assert levels(by)

    for bid in (110_000_00, 110_001_00):  # a step of 67 earns less than the fees there
        by.top(bid)
        by.top(bid)

    warned = [alert for alert in by.journal_of(RaiseAlert) if "stays where it is" in alert.message]
    assert len(warned) <= 1


# --- far levels without an order ----------------------------------------------------------------------------------


def test_of_a_ladder_with_virtual_levels_only_the_nearest_rest() -> None:
    by = hand(replace(FIXED, slots=8, resting=1), bid=60_100_00)
    seen = [(prices(by, Side.BUY), prices(by, Side.SELL))]

    for bid in (60_000_00, 59_750_00, 59_500_00):
        buy_all_down_to(by, bid - 1)
        seen.append((prices(by, Side.BUY), prices(by, Side.SELL)))

    assert seen == [
        ([60_000_00], []),
        ([59_750_00], [60_250_00]),
        ([59_500_00], [60_000_00]),
        ([59_250_00], [59_750_00]),
    ]


def test_a_sale_brings_the_next_exit_to_the_venue() -> None:
    by = hand(replace(FIXED, slots=8, resting=1), bid=60_100_00)
    for bid in (59_999_99, 59_749_99):
        buy_all_down_to(by, bid)
    (nearest,) = resting(by, Side.SELL)

    see(by, 60_000_00)
    by.fill(nearest)
    settle(by)

    assert (nearest.price_ticks, prices(by, Side.SELL)) == (60_000_00, [60_250_00])


def test_a_restart_finds_virtual_levels_as_they_were() -> None:
    spec = replace(FIXED, slots=8, resting=1)
    by = hand(spec, bid=60_100_00)
    for bid in (59_999_99, 59_749_99):
        buy_all_down_to(by, bid)

    again = edited(by, spec, 59_749_99)

    assert not again.journal_of(Submit)
    assert (prices(again, Side.BUY), prices(again, Side.SELL)) == ([59_500_00], [60_000_00])


# --- a step that is measured --------------------------------------------------------------------------------------

MEASURED = GridSpec(SYMBOL, 2, Decimal(20), style=MAKER, spacing=Spacing.ARITHMETIC, atr_multiple=Decimal(1),
                    atr_bars=2, recentre_steps=1)  # fmt: skip


def minutes(by: Hand, *bids: int) -> Hand:
    """Show one price a minute."""
    for bid in bids:
        by.now_ns += 60 * SECOND
        by.read()
        see(by, bid)
    return by


def test_before_its_range_is_known_a_ladder_is_not_laid_and_says_what_it_waits_for() -> None:
    by = hand(MEASURED, bid=60_000_00)
    told = [by.symbol.why]

    for bid in (60_600_00, 60_000_00, 60_300_00):
        told.append(minutes(by, bid).symbol.why)

    assert told == ["waits for 2 bars of 60 s, has 0"] * 2 + ["waits for 2 bars of 60 s, has 1", ""]
    assert levels(by) == [60_300 - 900, 60_300 - 300, 60_300 + 300]  # true ranges 600 and 600
    assert prices(by, Side.BUY) == [59_400_00, 60_000_00]


def test_a_restart_knows_what_was_measured_and_where_the_ladder_stands() -> None:
    by = minutes(hand(MEASURED, bid=60_000_00), 60_600_00, 60_000_00)

    again = by.restarted(grid=MEASURED, execution_styles=BOTH)
    again.read()
    see(again, 60_100_00)
    assert again.symbol.why == "waits for 2 bars of 60 s, has 1"
    minutes(again, 60_400_00, 60_700_00)  # the bar in which it started gives its close alone

    assert levels(again) == [60_700 - 675, 60_700 - 225, 60_700 + 225]
    third = edited(again, MEASURED, 60_700_00)
    assert levels(third) == levels(again)
    assert not third.journal_of(Submit)


def test_a_ladder_that_is_laid_anew_measures_what_the_step_is_by_then() -> None:
    by = minutes(hand(MEASURED, bid=60_000_00), 60_600_00, 60_000_00, 60_300_00)
    (before,) = {high - low for low, high in pairwise(levels(by))}

    minutes(by, 60_300_00, 60_300_00, 61_300_00)

    # Wilder over two bars: (600 + 300) / 2, then two bars without a range: 112.50, on whole quotes here.
    assert before == 600
    assert {high - low for low, high in pairwise(levels(by))} == {112, 113}


def test_a_measured_step_that_earns_too_little_is_asked_again_after_every_bar_and_told_once() -> None:
    by = minutes(hand(MEASURED, bid=60_000_00), 60_000_10, 60_000_00, 60_000_10, 60_000_00)
    assert "earns less than the fees" in by.symbol.why
    assert [alert.code for alert in by.journal_of(RaiseAlert)].count("GRID_INFEASIBLE") == 1

    minutes(by, 61_000_00, 60_000_00)

    assert levels(by)


def test_a_lap_that_ends_takes_what_was_measured_with_it() -> None:
    by = minutes(hand(MEASURED, bid=60_000_00), 60_600_00, 60_000_00, 60_300_00)

    by.give(SeamReached(1, {SYMBOL: 60_300_00}, by.now_ns))
    by.read()
    see(by, 60_300_00)

    assert by.symbol.why == "waits for 2 bars of 60 s, has 0"
    assert not by.open


def test_another_measure_is_another_ladder_and_other_bars_are_measured_anew() -> None:
    by = minutes(hand(MEASURED, bid=60_000_00), 60_600_00, 60_000_00, 60_300_00)

    wider = edited(by, replace(MEASURED, atr_multiple=Decimal(2)), 60_300_00)
    other = edited(wider, replace(MEASURED, atr_bars=3), 60_300_00)

    assert levels(wider) == [60_300 - 1_800, 60_300 - 600, 60_300 + 600]
    assert other.symbol.why == "waits for 3 bars of 60 s, has 0"
    assert not resting(other, Side.BUY)


# --- inventory from the start -------------------------------------------------------------------------------------

NEUTRAL = replace(FIXED, mode=Mode.NEUTRAL)  # at 59,900 the slots from 60,000 on are above the price


def market(by: Hand) -> list[Order]:
    return [order for order in by.open.values() if order.type is OrderType.MARKET]


def filled(by: Hand) -> Hand:
    for order in market(by):
        by.fill(order)
        settle(by)
    return by


def roles(by: Hand) -> list[Role]:
    return [slot.role for slot in by.trader._books[SYMBOL].slots]


def test_a_neutral_ladder_buys_for_the_slots_above_the_price_and_rests_their_sells() -> None:
    by = hand(NEUTRAL)
    assert [(order.side, order.slot) for order in market(by)] == [(Side.BUY, 2), (Side.BUY, 3)]
    assert prices(by, Side.BUY)[2:] == [59_000_00, 59_500_00]  # beside the two at the market, which have no price

    filled(by)

    assert prices(by, Side.SELL) == [60_500_00, 61_000_00]
    assert prices(by, Side.BUY) == [59_000_00, 59_500_00]
    assert by.symbol.base == sum(slot.held_base for slot in by.slots[2:]) > 0


def test_a_slot_that_has_opened_and_sold_waits_for_its_level_like_any_other() -> None:
    by = filled(hand(NEUTRAL))
    (low, _) = resting(by, Side.SELL)
    see(by, 60_500_00)
    by.fill(low)
    settle(by)

    again = edited(by, NEUTRAL, 60_100_00)
    see(again, 59_900_00)

    assert not market(by)
    assert not market(again)
    assert prices(again, Side.SELL) == [61_000_00]
    assert set(roles(again)) == {Role.LADDER}


@pytest.mark.parametrize("was_there", [True, False])
def test_after_a_crash_an_opening_of_unknown_fate_is_not_bought_a_second_time(was_there: bool) -> None:
    by = Hand(MAKER, grid=NEUTRAL, ready=False, execution_styles=BOTH)
    by.read()
    by.top(FIRST)  # stored and sent; nothing was answered
    sent = [order for order in by.sent if order.type is OrderType.MARKET]
    assert [order.slot for order in sent] == [2, 3]

    again = by.restarted(grid=NEUTRAL, execution_styles=BOTH)
    again.read(missing=set(again.open))
    see(again, 59_900_00)
    assert not again.journal_of(Submit)  # every slot is locked

    if was_there:
        for order in sent:
            again.fill(order)
            settle(again)
        see(again, 59_901_00)
        assert not again.sent
        assert not market(again)
        assert prices(again, Side.SELL) == [60_500_00, 61_000_00]
    else:
        again.now_ns += 20 * SECOND
        again.read(missing=set(again.open))
        again.seconds(2)
        assert [order.slot for order in market(again)] == [2, 3]


def test_what_the_mandate_refuses_at_the_market_waits_for_its_level() -> None:
    at_most = Decimal("19.8")  # exactly a lot of 60,000; at 60,100 it is worth more
    by = hand(replace(NEUTRAL, lot_quote=at_most), bid=60_100_00, max_position_fraction=at_most / 1_000)

    assert [order.slot for order in market(by)] == [3]
    by.seconds(2)
    settle(by)
    assert 60_000_00 in prices(by, Side.BUY)


def test_a_slot_whose_middle_is_passed_before_it_opened_waits_for_its_level() -> None:
    by = hand(NEUTRAL)
    for order in market(by):
        by.end(order, OrderStatus.EXPIRED)
    assert roles(by)[2:] == [Role.OPENING, Role.OPENING]

    see(by, 60_250_01)
    by.seconds(1)

    assert roles(by)[2:] == [Role.LADDER, Role.OPENING]
    stored = by.journal_of(PersistGrid)[-1].footing
    assert stored is not None
    assert [place.role for place in stored.places] == roles(by)


def test_a_neutral_grid_needs_a_mandate_that_lets_it_buy_at_the_market() -> None:
    by = hand(NEUTRAL, styles=frozenset({MAKER}))

    assert not by.open
    assert "buys at the market when it is laid, and TAKER is not allowed" in by.symbol.why


def test_what_was_to_open_waits_for_its_level_once_the_mandate_takes_the_market_away() -> None:
    by = hand(NEUTRAL)
    for order in market(by):
        by.end(order, OrderStatus.EXPIRED)

    by.give(MandateChanged(replace(by.trader._core.limits, execution_styles=frozenset({MAKER}))))
    by.seconds(3)

    assert not market(by)
    assert set(roles(by)) == {Role.LADDER}


def test_a_neutral_ladder_that_is_laid_anew_buys_again_and_one_that_trails_does_not() -> None:
    around = GridSpec(SYMBOL, 2, Decimal(20), mode=Mode.NEUTRAL, style=MAKER, spacing=Spacing.ARITHMETIC,
                      step_fraction=Decimal("0.01"), recentre_steps=1)  # fmt: skip
    laid_anew = filled(hand(around, bid=60_000_00))
    trailing = filled(hand(replace(NEUTRAL, trail_up_to=Decimal(70_000))))

    see(laid_anew, 58_400_00)
    see(trailing, 61_800_00)

    assert [order.side for order in market(laid_anew)] == [Side.BUY]
    assert not market(trailing)


@pytest.mark.parametrize(("after", "opened"), [(NEUTRAL, [2, 3]), (FIXED, [])])
def test_an_edit_opens_what_the_new_ladder_has_above_the_price(after: GridSpec, opened: list[int]) -> None:
    by = hand(FIXED if opened else NEUTRAL)
    for order in market(by):
        by.end(order, OrderStatus.EXPIRED)

    again = edited(by, after, FIRST)

    assert [order.slot for order in market(again)] == opened
    assert Role.OPENING in roles(again) or not opened


def test_a_resting_buy_of_a_slot_that_is_to_open_is_taken_back_first() -> None:
    by = hand(FIXED, bid=60_100_00)
    assert 60_000_00 in prices(by, Side.BUY)

    again = edited(by, replace(NEUTRAL, lot_quote=Decimal(15)), 60_100_00)

    assert {order.slot for order in market(again)} == {2, 3}
    assert sorted(order.price_ticks for order in resting(again, Side.BUY) if order.price_ticks) == [
        59_000_00,
        59_500_00,
    ]


# --- a crash ------------------------------------------------------------------------------------------------------


def test_a_restart_finds_ladder_parked_lots_and_orders_where_they_were() -> None:
    by = hand(DOWN)
    buy_all_down_to(by, 58_200_00)
    before = [(slot.index, slot.buy_ticks, slot.sell_ticks, slot.state, slot.order_id) for slot in by.slots]

    again = by.restarted(grid=DOWN, execution_styles=BOTH)
    again.read()
    settle(again)
    again.top(58_200_00)

    assert [(slot.index, slot.buy_ticks, slot.sell_ticks, slot.state, slot.order_id) for slot in again.slots] == before
    assert not again.sent


def test_a_move_that_a_crash_cut_off_is_finished_without_a_second_order() -> None:
    by = hand(UP)
    see(by, 60_900_00)
    by.top(ABOVE)  # stored; neither the cancel nor the new order was answered
    (new,) = by.sent

    again = by.restarted(grid=UP, execution_styles=BOTH)
    again.read(missing=())
    again.top(ABOVE)

    assert levels(again) == [59_500, 60_000, 60_500, 61_000, 61_500]
    assert new.slot not in [order.slot for order in again.sent]  # its fate is open: the slot is locked
    cancelled = [again.journal.orders[effect.client_order_id].price_ticks for effect in again.journal_of(Cancel)]
    assert cancelled == [59_000_00] or not cancelled  # asked for again, or being cancelled already


@settings(deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 5), max_size=6), st.sampled_from([Role.PARKED, Role.CLOSING]))
def test_a_footing_is_read_back_as_it_was_stored(first: int, numbers: list[int], role: Role) -> None:
    laid = lay(FIXED, BTC, CENTRE)
    found = Footing(("a", "b"), laid.rungs, first, tuple(Place(n, 1, 2, role) for n in numbers), None)

    assert places.from_json(places.as_json(found)) == found
    assert places.from_json(places.as_json(Footing(("a",), waits_from_ticks=7))) == Footing(("a",), waits_from_ticks=7)


@pytest.mark.parametrize(
    "document",
    [{}, {"shape": [], "rungs": ["geometric"], "first": 0, "places": [], "waits_from_ticks": None},
     {"shape": [], "rungs": None, "first": "x", "places": [], "waits_from_ticks": None},
     {"shape": [], "rungs": None, "first": 0, "places": [[1, 2, 3, "idle"]], "waits_from_ticks": None},
     {"shape": [], "rungs": ["geometric", "1", "x", "1", "0"], "first": 0, "places": [], "waits_from_ticks": None}],
)  # fmt: skip
def test_a_damaged_footing_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"stored ladder|invalid|not a valid"):
        places.from_json(document)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(Role), st.booleans()), max_size=8),
    st.integers(0, 6),
    st.sampled_from([Carried.KEEP, Carried.CLOSE]),
    st.booleans(),
)
def test_whatever_holds_something_is_still_there_with_its_number(
    found: Sequence[tuple[int, Role, bool]], first: int, carried: Carried, is_edit: bool
) -> None:
    laid = lay(FIXED, BTC, CENTRE)
    laid = Laid(laid.rungs, first, replace(laid.ladder, levels=laid.rungs.window(first, 4)))
    slots = [
        Slot(number, laid.rungs.at(rung), laid.rungs.at(rung + 1), 0, 1, held_lots=9 * holds, role=role)
        for number, (rung, role, holds) in enumerate(found)
    ]

    after = carry(slots, laid, BTC, carried=carried, is_edit=is_edit, bid_ticks=CENTRE)

    numbers = [slot.index for slot in after]
    assert len(set(numbers)) == len(numbers)
    assert {slot.index for slot in slots if slot.held_lots} <= set(numbers)
    assert sum(slot.held_lots for slot in after) == sum(slot.held_lots for slot in slots)
    ladder = [(slot.buy_ticks, slot.sell_ticks) for slot in after if slot.role.is_of_ladder]
    assert ladder == list(pairwise(laid.ladder.levels))
    parked = sum(slot.role is Role.PARKED and slot.held_lots > 0 for slot in after)
    assert is_edit or parked <= 4
    assert not is_edit or {slot.index for slot in after if slot.role is Role.CLOSING} <= {
        slot.index for slot in slots if slot.role is Role.CLOSING or carried is Carried.CLOSE
    }


# --- how it starts and ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "inside", "beyond", "code"),
    [
        ({"stop": Decimal(58_000)}, 58_000_01, 58_000_00, "GRID_STOPPED"),
        ({"take_profit": Decimal(62_000)}, 61_999_99, 62_000_00, "GRID_TOOK_PROFIT"),
    ],
)
@pytest.mark.parametrize("flatten", [True, False])
def test_a_bound_halts_the_grid_and_nothing_else(
    changes: dict[str, Any], inside: int, beyond: int, code: str, flatten: bool
) -> None:
    by = hand(replace(FIXED, flatten=flatten, **changes))
    see(by, inside)
    assert not by.of(LatchHalt)

    by.top(beyond)

    (latched,) = by.of(LatchHalt)
    assert (latched.symbol, latched.flatten) == (SYMBOL, flatten)
    assert code in by.codes()
    assert by.trader.view(by.now_ns).state is TradingState.ACTIVE  # the desk trades on
    assert by.symbol.state == "Halted"
    by.top(beyond)
    assert not by.of(LatchHalt)


def test_a_grid_that_ended_is_sold_where_it_asks_for_that() -> None:
    by = hand(replace(FIXED, stop=Decimal(58_000)))
    buy_all_down_to(by, 58_100_00)
    assert by.symbol.base > 0

    by.top(58_000_00)
    for order in list(by.open.values()):
        by.end(order, OrderStatus.CANCELED, order.filled_lots)

    (sell,) = by.sent
    assert (sell.type, sell.purpose, BTC.quantity(sell.quantity_lots)) == (OrderType.MARKET, "flatten", by.symbol.base)


def test_a_bound_counts_only_on_a_price_that_is_fresh() -> None:
    by = hand(replace(FIXED, stop=Decimal(58_000)))
    by.trader._books[SYMBOL].market.restart()  # the stream broke

    by.seconds(3, keep_fresh=False)

    assert not by.journal_of(LatchHalt)


@pytest.mark.parametrize(("first", "then"), [(60_100_00, 59_800_00), (59_500_00, 59_800_00)])
def test_nothing_happens_before_the_start_price_from_whichever_side(first: int, then: int) -> None:
    by = hand(replace(FIXED, start_at=Decimal(59_800)), bid=first)
    assert not by.open
    assert by.symbol.why == "the price has not reached the start price yet"

    see(by, then)

    assert levels(by)[0] == 59_000


def test_a_restart_remembers_from_which_side_the_price_came() -> None:
    spec = replace(FIXED, start_at=Decimal(59_800))
    by = hand(spec, bid=60_100_00)

    again = by.restarted(grid=spec, execution_styles=BOTH)
    again.read()
    again.top(59_700_00)  # it went through the start price meanwhile

    assert levels(again)[0] == 59_000


def test_beyond_its_bound_a_grid_does_not_begin() -> None:
    by = hand(replace(FIXED, stop=Decimal(58_000)), bid=57_000_00)
    assert not by.open
    assert not by.journal_of(LatchHalt)

    see(by, 59_100_00)

    assert by.open


def test_a_lap_that_ends_takes_the_ladder_with_it() -> None:
    by = hand(UP)
    see(by, ABOVE)

    by.give(SeamReached(1, {SYMBOL: ABOVE}, by.now_ns))
    assert not by.symbol.levels
    by.read()
    see(by, CENTRE)

    assert levels(by)[0] == 59_000


# --- an edit ------------------------------------------------------------------------------------------------------


def edited(by: Hand, grid: GridSpec | GridSettings, bid: int) -> Hand:
    again = by.restarted(grid=grid, execution_styles=BOTH)
    again.read()
    settle(again)
    see(again, bid)
    return again


def test_an_edit_keeps_the_orders_that_both_ladders_want() -> None:
    by = hand(FIXED)
    before = {order.price_ticks or 0: order.client_order_id for order in by.open.values()}
    assert sorted(before) == [59_000_00, 59_500_00]

    after = edited(by, replace(FIXED, lower=Decimal(59_500), upper=Decimal(61_500)), FIRST)

    assert {order.price_ticks or 0: order.client_order_id for order in after.open.values()} == {
        59_500_00: before[59_500_00]
    }


def test_an_edit_parks_the_lots_that_have_no_slot_any_more() -> None:
    by = hand(FIXED)
    buy_all_down_to(by, 58_900_00)
    held = by.symbol.base

    after = edited(by, replace(FIXED, lower=Decimal(58_100), upper=Decimal(60_100)), 58_900_00)

    assert after.symbol.base == held > 0
    assert prices(after, Side.SELL) == [59_500_00, 60_000_00]
    assert levels(after)[0] == 58_100


def test_other_bounds_or_lots_leave_the_ladder_where_it_is() -> None:
    by = hand(UP)
    see(by, ABOVE)

    after = edited(by, replace(UP, lot_quote=Decimal(15), stop=Decimal(50_000)), ABOVE)

    assert levels(after) == levels(by) == [59_500, 60_000, 60_500, 61_000, 61_500]
    assert {order.quantity_lots for order in resting(after, Side.BUY)} < set(range(10, 27))


def test_a_ladder_that_stayed_becomes_one_that_moves_and_keeps_what_it_holds() -> None:
    by = Hand(MAKER)
    buy = by.sent[0]
    by.accept(buy)
    by.fill(buy)
    settle(by)
    held = by.symbol.base

    after = edited(by, UP, CENTRE)

    assert after.symbol.base == held > 0
    assert sum(slot.held_base for slot in after.slots) == held
    assert sum(slot.state is SlotState.SELLING for slot in after.slots) == 1


def test_a_ladder_that_moved_is_never_again_taken_for_one_that_stays() -> None:
    by = hand(DOWN)
    buy_all_down_to(by, 58_200_00)
    held = by.symbol.base

    after = edited(by, GridSettings(SYMBOL, MAKER, Decimal("0.001"), 4, Decimal(20)), 58_200_00)

    assert sum(slot.held_base for slot in after.slots) == held > 0
    assert after.journal_of(PersistGrid)[-1].footing is not None


def test_an_edit_sells_nothing_at_the_market_however_few_slots_are_left() -> None:
    by = hand(FIXED)
    buy_all_down_to(by, 58_900_00)
    held = by.symbol.base

    after = edited(by, replace(FIXED, slots=1, lower=Decimal(58_000), upper=Decimal(58_950)), 58_900_00)

    assert after.symbol.base == held > 0
    assert prices(after, Side.SELL) == [59_500_00, 60_000_00]
    assert not [order for order in after.journal.orders.values() if order.type is OrderType.MARKET]


def test_what_was_to_go_at_the_market_keeps_its_exit_where_a_mandate_forbids_that() -> None:
    by = hand(replace(DOWN, slots=2, carried=Carried.CLOSE))
    buy_all_down_to(by, 58_900_00)
    by.give(MandateChanged(replace(by.trader._core.limits, execution_styles=frozenset({MAKER}))))
    by.trader._books[SYMBOL].slots[0].role = Role.CLOSING  # as it fell out under the mandate before

    settle(by)
    see(by, 58_900_00)

    assert prices(by, Side.SELL) == [60_000_00]
    assert not [order for order in by.journal.orders.values() if order.type is OrderType.MARKET]


# --- what runs live -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("mode", {"mode": Mode.SHORT}),
        ("kind", {"kind": Kind.INFINITY, "mode": Mode.NEUTRAL, "upper": None, "step_fraction": Decimal("0.01"),
                  "spacing": Spacing.GEOMETRIC}),
        ("lot_base", {"lot_quote": None, "lot_base": Decimal(1)}),
        ("carried", {"carried": Carried.ROLL}),
        ("reinvest_every_s", {"reinvest_fraction": Decimal(1), "reinvest_every_s": 60}),
    ],
)  # fmt: skip
def test_what_only_the_lab_runs_is_named(field: str, changes: dict[str, Any]) -> None:
    spec = replace(FIXED, **changes)

    assert field in [problem.field for problem in not_live(spec)]
    with pytest.raises(ValueError, match=r"lab only|mandate sizes"):
        settings_of(spec)


def test_a_ladder_that_stays_is_one_of_the_kinds() -> None:
    settings = GridSettings(SYMBOL, MAKER, Decimal("0.001"), 4, Decimal(20))

    assert not not_live(plain(settings))
    assert settings_of(plain(settings)) == settings


@pytest.mark.parametrize(
    ("spacing", "step"), [(Spacing.ARITHMETIC, Decimal("0.00833")), (Spacing.GEOMETRIC, Decimal("0.00837"))]
)
def test_the_usual_step_of_a_fixed_range_is_the_one_of_its_middle(spacing: Spacing, step: Decimal) -> None:
    assert settings_of(replace(FIXED, spacing=spacing)).step_fraction.quantize(Decimal("0.00001")) == step
