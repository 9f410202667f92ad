"""Editing a running grid: what stays where it is, what is cancelled, what is placed, and which lots keep their exit."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.carrying import Lots, Standing, Touch
from trading.domain.editing import Change, diff
from trading.domain.grids import GridSpec
from trading.domain.instruments import Instrument
from trading.domain.laying import lay
from trading.domain.levels import Spacing
from trading.domain.orders import Side
from trading.domain.preview import Resting, resting_orders
from trading.domain.terms import Mode

D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)


def edited(new: GridSpec, opened: tuple[bool, ...], mark: int = 105_00, old: GridSpec = RANGE) -> Change:
    laid = lay(old, ABC, mark)
    standing = Standing(laid, opened, (0,) * laid.ladder.slots, 0)
    return diff(old, new, ABC, standing, lay(new, ABC, mark), Touch(0, mark, mark, mark))


def test_nothing_changes_where_nothing_was_edited() -> None:
    change = edited(RANGE, (False, False, True, False))

    assert change.orders_cancelled == change.orders_placed == ()
    assert change.lots_parked == change.lots_closed == ()
    assert change.levels_added == change.levels_removed == ()
    assert len(change.orders_kept) == 3  # buys at 80 and 90, a sell at 110


def test_a_range_moved_by_one_step_keeps_what_both_have() -> None:
    change = edited(replace(RANGE, lower=D(90), upper=D(130)), (False, False, True, False))

    assert (change.levels_kept, change.levels_added, change.levels_removed) == (
        (90_00, 100_00, 110_00, 120_00),
        (130_00,),
        (80_00,),
    )
    assert change.orders_kept == (Resting(Side.BUY, 90_00, 1_111), Resting(Side.SELL, 110_00, 1_000))
    assert change.orders_cancelled == (Resting(Side.BUY, 80_00, 1_250),)
    assert change.orders_placed == ()
    assert change.standing.opened == (False, True, False, False)


def test_a_lot_without_a_slot_keeps_its_exit() -> None:
    change = edited(replace(RANGE, lower=D(85), upper=D(125)), (False, False, True, False))

    assert change.lots_parked == (Lots(100_00, 110_00, 1_000),)
    assert Resting(Side.SELL, 110_00, 1_000) in change.orders_kept
    assert change.orders_placed == (Resting(Side.BUY, 85_00, 1_176), Resting(Side.BUY, 95_00, 1_052))


def test_a_lot_of_another_size_is_a_new_order_and_a_held_one_stays() -> None:
    change = edited(replace(RANGE, lot_quote=D(200)), (False, False, True, False))

    assert change.orders_kept == (Resting(Side.SELL, 110_00, 1_000),)
    assert change.orders_placed == (Resting(Side.BUY, 80_00, 2_500), Resting(Side.BUY, 90_00, 2_222))
    assert change.standing.laid.ladder.lots == (2_500, 2_222, 1_000, 1_818)


def test_a_neutral_grid_buys_for_its_new_slots_above_the_price() -> None:
    old, new = replace(RANGE, mode=Mode.NEUTRAL), replace(RANGE, mode=Mode.NEUTRAL, upper=D(140), slots=6)

    change = edited(new, (False, False, True, True), old=old)

    assert change.lots_bought == 833 + 769  # 120 to 130 and 130 to 140
    assert change.standing.opened == (False, False, True, True, True, True)


@pytest.mark.parametrize(
    ("new", "field"),
    [(replace(RANGE, mode=Mode.SHORT), "mode"), (replace(RANGE, symbol="XYZUSDT"), "symbol")],
)
def test_what_cannot_be_carried_over_is_refused(new: GridSpec, field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: it cannot change while the grid runs"):
        edited(new, (False, False, True, False))


@settings(deadline=None)  # powers of forty digits take their time on a busy machine
@given(
    mode=st.sampled_from(Mode),
    opened=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    lower=st.integers(60, 100),
    width=st.integers(10, 60),
    slots=st.integers(1, 8),
    mark=st.integers(60_00, 140_00),
)
def test_kept_and_cancelled_are_what_rested_kept_and_placed_what_will(
    mode: Mode, opened: tuple[bool, ...], lower: int, width: int, slots: int, mark: int
) -> None:
    old = replace(RANGE, mode=mode)
    new = replace(old, lower=D(lower), upper=D(lower + width), slots=slots)

    change = edited(new, opened, mark, old)

    resting = resting_orders(old, lay(old, ABC, mark).ladder, opened, mark)
    assert Counter(change.orders_kept + change.orders_cancelled) == Counter(resting)
    after = change.standing
    side = Side.BUY if mode is Mode.SHORT else Side.SELL
    exits = tuple(Resting(side, one.exit_ticks, one.lots) for one in after.parked)
    wanted = resting_orders(new, after.laid.ladder, after.opened, mark) + exits
    assert Counter(change.orders_kept + change.orders_placed) == Counter(wanted)
    sizes = lay(old, ABC, mark).ladder.lots
    held = sum(q for q, is_open in zip(sizes, opened, strict=True) if is_open)
    going_on = sum(q for q, is_open in zip(after.laid.ladder.lots, after.opened, strict=True) if is_open)
    going_on += sum(one.lots for one in after.parked)
    assert going_on == held + change.lots_bought - sum(one.lots for one in change.lots_closed)


@pytest.mark.parametrize(("resting", "cancelled"), [(None, []), (2, []), (1, [(Side.BUY, 80_00)])])
def test_of_virtual_levels_only_the_nearest_are_orders(resting: int | None, cancelled: list[tuple[Side, int]]) -> None:
    change = edited(replace(RANGE, resting=resting), (False, False, True, False))

    assert [(one.side, one.ticks) for one in change.orders_cancelled] == cancelled
    assert not change.orders_placed


def test_parked_lots_count_among_the_orders_that_rest() -> None:
    change = edited(replace(RANGE, lower=D(85), upper=D(125), resting=1), (False, False, True, True))

    assert [one for one in change.orders_kept + change.orders_placed if one.side is Side.SELL] == [
        Resting(Side.SELL, 110_00, 1_000)
    ]
