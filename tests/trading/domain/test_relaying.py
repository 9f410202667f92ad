"""At a bound a grid stays, is laid anew or stops; no lot is lost on the way."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trading.domain.carrying import From, Lots, Relay, Source, Standing, Touch, Why, within_base
from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.laying import constant_value_lots, lay, opening, reserve_lots
from trading.domain.levels import Spacing
from trading.domain.relaying import Stay, Stop, bounds, has_started, next_step
from trading.domain.terms import Bounds, Mode

D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)
TRAILING = replace(RANGE, trail_up_to=D(150), trail_down_to=D(50))
AROUND = GridSpec(
    "ABCUSDT", 4, lot_quote=D(100), step_fraction=D("0.1"), spacing=Spacing.ARITHMETIC, recentre_steps=1
)  # 75, 85, 95, 105, 115
INFINITY = GridSpec(
    "ABCUSDT", 2, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(50), step_fraction=D("0.25")
)
NOTHING = (False, False, False, False)
ALL = (True, True, True, True)


def touch(mark: int, at_ns: int = 0) -> Touch:
    return Touch(at_ns, mark, mark, mark)


def standing(spec: GridSpec, price: int, opened: tuple[bool, ...] = NOTHING, parked: tuple[Lots, ...] = ()) -> Standing:
    laid = lay(spec, ABC, price)
    return Standing(laid, opened, tuple(range(100, 100 + laid.ladder.slots)), 0, parked)


def relay(spec: GridSpec, before: Standing, mark: int, **facts: Any) -> Relay:
    step = next_step(spec, ABC, before, touch(mark), **facts)
    assert isinstance(step, Relay)
    return step


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RANGE, Bounds()),
        (replace(RANGE, stop=D(70), take_profit=D(130)), Bounds(70_00, 130_00)),
        (replace(RANGE, mode=Mode.SHORT, stop=D(130), take_profit=D(70)), Bounds(70_00, 130_00)),
        (TRAILING, Bounds(75_00, 125_00)),  # half a step beyond either end
        (replace(RANGE, trail_up_to=D("129.99")), Bounds()),  # a whole step has no room
        (replace(RANGE, trail_down_to=D("70.01")), Bounds()),
        (replace(RANGE, trail_down_to=D(70)), Bounds(75_00, None)),
        (replace(RANGE, trail_up_to=D(130), stop=D(79)), Bounds(79_00, 125_00)),
        (replace(RANGE, reinvest_fraction=D(1), reinvest_every_s=60), Bounds(None, None, 60_000_000_000)),
    ],
)
def test_a_grid_says_where_it_must_be_asked(spec: GridSpec, expected: Bounds) -> None:
    assert bounds(spec, ABC, standing(spec, 100_00)) == expected


def test_a_grid_that_follows_its_centre_is_asked_one_step_outside() -> None:
    assert bounds(AROUND, ABC, standing(AROUND, 100_00)) == Bounds(65_00, 125_00)


def test_a_parked_lot_is_a_bound_of_its_own() -> None:
    parked = (Lots(90_00, 112_00, 5), Lots(90_00, 111_00, 5))

    assert bounds(RANGE, ABC, standing(RANGE, 100_00, parked=parked)).high_ticks == 111_00
    short = replace(RANGE, mode=Mode.SHORT)
    assert bounds(short, ABC, standing(short, 100_00, parked=parked)).low_ticks == 112_00


@pytest.mark.parametrize(
    ("spec", "mark", "expected"),
    [
        (replace(RANGE, stop=D(70)), 70_01, Stay()),
        (replace(RANGE, stop=D(70)), 70_00, Stop(Why.STOP, True)),
        (replace(RANGE, stop=D(70), flatten=False), 60_00, Stop(Why.STOP, False)),
        (replace(RANGE, take_profit=D(130)), 129_99, Stay()),
        (replace(RANGE, take_profit=D(130)), 130_00, Stop(Why.TAKE_PROFIT, True)),
        (replace(RANGE, mode=Mode.SHORT, stop=D(130)), 130_00, Stop(Why.STOP, True)),
        (replace(RANGE, mode=Mode.SHORT, take_profit=D(70)), 70_00, Stop(Why.TAKE_PROFIT, True)),
        (TRAILING, 124_99, Stay()),
        (TRAILING, 75_01, Stay()),
        (AROUND, 65_01, Stay()),
        (AROUND, 124_99, Stay()),
    ],
)
def test_both_sides_of_a_bound(spec: GridSpec, mark: int, expected: Stay | Stop) -> None:
    assert next_step(spec, ABC, standing(spec, 100_00), touch(mark)) == expected


@pytest.mark.parametrize(
    ("mark", "lowest"), [(125_00, 90_00), (129_99, 90_00), (130_00, 100_00), (150_00, 110_00), (900_00, 110_00)]
)
def test_a_trailing_ladder_follows_a_rising_price_as_far_as_its_limit(mark: int, lowest: int) -> None:
    step = relay(TRAILING, standing(TRAILING, 100_00), mark)

    assert step.why is Why.TRAIL_UP
    assert step.standing.laid.ladder.levels == tuple(lowest + k * 10_00 for k in range(5))
    assert step.closed == step.exited == ()


@pytest.mark.parametrize(("mark", "lowest"), [(75_00, 70_00), (70_00, 60_00), (55_00, 50_00), (1_00, 50_00)])
def test_a_trailing_ladder_follows_a_falling_price_as_far_as_its_limit(mark: int, lowest: int) -> None:
    step = relay(TRAILING, standing(TRAILING, 100_00), mark)

    assert step.why is Why.TRAIL_DOWN
    assert step.standing.laid.ladder.levels == tuple(lowest + k * 10_00 for k in range(5))


def test_lots_that_fall_out_of_a_trailing_ladder_keep_their_exit() -> None:
    step = relay(TRAILING, standing(TRAILING, 100_00, ALL), 75_00)

    assert step.standing.opened == (False, True, True, True)
    assert step.sources == (None, Source(From.SLOT, 0), Source(From.SLOT, 1), Source(From.SLOT, 2))
    assert step.standing.parked == (Lots(110_00, 120_00, 909, 103),)
    assert step.standing.laid.ladder.lots == (1_428, 1_250, 1_111, 1_000)  # 100 / 70, then what is held
    assert step.standing.basis == (0, 100, 101, 102)


def test_lots_that_fall_out_may_be_closed_at_the_market() -> None:
    spec = replace(TRAILING, carried=Carried.CLOSE)

    step = relay(spec, standing(spec, 100_00, ALL), 75_00)

    assert step.closed == (Lots(110_00, 120_00, 909, 103),)
    assert step.standing.parked == ()


def test_lots_that_fall_out_may_roll_into_the_new_slot() -> None:
    spec = replace(TRAILING, carried=Carried.ROLL)

    step = relay(spec, standing(spec, 100_00, ALL), 75_00)

    assert step.standing.opened == ALL
    assert step.standing.laid.ladder.lots == (909, 1_250, 1_111, 1_000)  # the dearest lots now leave at 80
    assert step.standing.basis == (103, 100, 101, 102)
    assert step.closed == step.standing.parked == ()


def test_a_short_ladder_trails_as_the_mirror_of_a_long_one() -> None:
    spec = replace(TRAILING, mode=Mode.SHORT)

    step = relay(spec, standing(spec, 100_00, ALL), 125_00)

    assert step.why is Why.TRAIL_UP
    assert step.standing.laid.ladder.levels == (90_00, 100_00, 110_00, 120_00, 130_00)
    assert step.standing.opened == (True, True, True, False)
    assert step.standing.parked == (Lots(90_00, 80_00, 1_111, 100),)  # sold at 90, to be bought back at 80


def test_an_exit_that_the_price_has_passed_is_taken_at_the_market() -> None:
    step = relay(TRAILING, standing(TRAILING, 100_00, ALL), 125_00)  # orders in flight: nothing was sold yet

    assert [one.exit_ticks for one in step.closed] == [90_00, 100_00, 110_00, 120_00]
    assert step.standing.opened == NOTHING


def test_a_grid_is_laid_anew_around_a_price_outside_and_keeps_the_old_exits() -> None:
    step = relay(AROUND, standing(AROUND, 100_00, (True, True, False, False)), 60_00)

    assert step.why is Why.RECENTRE
    assert step.standing.laid.ladder.levels == (45_00, 51_00, 57_00, 63_00, 69_00)
    assert step.standing.opened == NOTHING
    assert step.standing.parked == (Lots(75_00, 85_00, 1_333, 100), Lots(85_00, 95_00, 1_176, 101))


def test_rolled_lots_take_the_nearest_exits_and_what_finds_none_is_closed() -> None:
    spec = replace(AROUND, carried=Carried.ROLL)

    step = relay(spec, standing(spec, 100_00, ALL), 60_00)

    assert step.standing.opened == (False, False, True, True)  # exits 63 and 69; 51 and 57 lie below the price
    assert step.sources[2:] == (Source(From.SLOT, 0), Source(From.SLOT, 1))
    assert [one.entry_ticks for one in step.closed] == [95_00, 105_00]


def test_a_neutral_grid_buys_what_its_new_ladder_lacks() -> None:
    spec = replace(AROUND, mode=Mode.NEUTRAL, carried=Carried.ROLL)

    step = relay(spec, standing(spec, 100_00), 140_00)  # 105, 119, 133, 147, 161; nearest 133 and 147: the lower

    assert step.standing.opened == (False, False, True, True)
    assert step.sources == (None, None, Source(From.MARKET), Source(From.MARKET))


def test_no_more_lots_are_parked_than_there_are_slots() -> None:
    old = tuple(Lots(100_00, exit_ticks, 1) for exit_ticks in (111_00, 112_00, 113_00))

    step = relay(AROUND, standing(AROUND, 100_00, ALL, old), 60_00)

    assert [one.exit_ticks for one in step.standing.parked] == [85_00, 95_00, 105_00, 111_00]
    assert [one.exit_ticks for one in step.closed] == [112_00, 113_00, 115_00]


def test_parked_lots_leave_at_their_exit_and_the_ladder_stays() -> None:
    parked = (Lots(100_00, 111_00, 5), Lots(100_00, 112_00, 6))
    before = standing(RANGE, 100_00, parked=parked)

    step = relay(RANGE, before, 111_50)

    assert step.is_same_ladder
    assert (step.exited, step.standing.parked) == (parked[:1], parked[1:])
    assert step.standing.laid == before.laid


def test_parked_lots_wait_for_a_price_that_fills_them() -> None:
    before = standing(RANGE, 100_00, parked=(Lots(100_00, 111_00, 5),))

    assert next_step(RANGE, ABC, before, Touch(0, 111_00, 111_01, 110_99)) == Stay()


def test_reinvesting_enlarges_empty_slots_and_leaves_held_ones() -> None:
    spec = replace(RANGE, reinvest_fraction=D("0.5"), reinvest_every_s=60)
    before = standing(spec, 100_00, (False, True, False, False))

    step = next_step(spec, ABC, before, touch(95_00, 60_000_000_000), earned_quote=D(80))

    assert isinstance(step, Relay)
    assert step.why is Why.REINVEST
    assert step.standing.laid.ladder.lots == (1_375, 1_111, 1_100, 1_000)
    assert step.standing.reinvested_at_ns == 60_000_000_000
    assert next_step(spec, ABC, before, touch(95_00, 59_999_999_999), earned_quote=D(80)) == Stay()


def test_an_infinity_grid_goes_on_above_its_last_level() -> None:
    laid = lay(INFINITY, ABC, 100_00)  # 62.50, 78.12, 97.66, 122.07, 152.59, 190.73
    before = Standing(laid, (False,) * 5, (0,) * 5, 0)

    step = relay(INFINITY, before, 190_73)

    assert step.why is Why.EXTEND
    assert step.standing.laid.ladder.levels == (97_66, 122_07, 152_59, 190_73, 238_42, 298_02)
    assert step.standing.opened == (False, False, False, True, True)
    assert step.sources[3:] == (Source(From.RESERVE), Source(From.RESERVE))


@pytest.mark.parametrize(("mark", "lowest"), [(62_51, None), (62_50, 50_00), (190_72, None), (190_73, 97_66)])
def test_an_infinity_grid_is_laid_on_at_its_ends(mark: int, lowest: int | None) -> None:
    before = Standing(lay(INFINITY, ABC, 100_00), (False,) * 5, (0,) * 5, 0)

    step = next_step(INFINITY, ABC, before, touch(mark))

    assert isinstance(step, Stay if lowest is None else Relay)
    assert lowest is None or (isinstance(step, Relay) and step.standing.laid.ladder.levels[0] == lowest)


def test_a_short_ladder_is_cut_to_the_base_there_is() -> None:
    spec = replace(RANGE, kind=Kind.REVERSE, mode=Mode.SHORT)
    before = standing(spec, 100_00, (True, False, False, False))  # wants 1.000, 0.909 and 0.833 of base

    assert within_base(before, 2_742) is before
    cut = within_base(before, 1_371)
    assert cut is not None
    assert cut.laid.ladder.sold_lots == (1_111, 500, 454, 416)
    assert cut.laid.ladder.lots == (1_249, 555, 499, 454)
    assert within_base(before, 3) is None


def test_an_infinity_grid_that_was_jumped_over_sells_what_it_missed() -> None:
    before = Standing(lay(INFINITY, ABC, 100_00), (False,) * 5, (0,) * 5, 0)

    step = relay(INFINITY, before, 300_00)

    assert [(one.exit_ticks, one.lots) for one in step.closed] == [(238_42, 420), (298_02, 335)]


def test_start_price_is_reached_from_either_side() -> None:
    assert [has_started(100, 105, mark) for mark in (101, 100, 99)] == [False, True, True]
    assert [has_started(100, 95, mark) for mark in (99, 100, 101)] == [False, True, True]


# --- laws --------------------------------------------------------------------------------------------------

CARRIED = st.sampled_from(Carried)
MODES = st.sampled_from(Mode)


def lots_of(spec: GridSpec, at: Standing) -> int:
    ladder = at.laid.ladder
    sizes = ladder.sold_lots if spec.is_long else ladder.lots
    return sum(q for q, is_open in zip(sizes, at.opened, strict=True) if is_open) + sum(one.lots for one in at.parked)


@settings(deadline=None)  # powers of forty digits take their time on a busy machine
@given(
    mode=MODES,
    carried=CARRIED,
    marks=st.lists(st.integers(10_00, 300_00), min_size=1, max_size=12),
    seed=st.lists(st.booleans(), min_size=48, max_size=48),
    recentres=st.booleans(),
)
def test_no_lot_is_lost_or_made_up_when_a_ladder_moves(
    mode: Mode, carried: Carried, marks: list[int], seed: list[bool], recentres: bool
) -> None:
    spec = replace(AROUND if recentres else TRAILING, mode=mode, carried=carried)
    at = standing(spec, 100_00)
    for turn, mark in enumerate(marks):
        # Whatever happened since the last bound: any slot whose exit lies ahead may be open.
        at = replace(at, opened=tuple(seed[4 * turn : 4 * turn + 4]))
        step = next_step(spec, ABC, at, touch(mark))
        if not isinstance(step, Relay):
            continue
        bought = sum(
            q
            for q, source in zip(step.standing.laid.ladder.lots, step.sources, strict=True)
            if source is not None and source.origin is From.MARKET
        )
        gone = sum(one.lots for one in step.closed + step.exited)
        used = [source.slot for source in step.sources if source is not None and source.origin is From.SLOT]

        assert lots_of(spec, step.standing) == lots_of(spec, at) - gone + bought
        assert len(used) == len(set(used))
        assert len(step.standing.parked) <= spec.slots
        at = step.standing


@settings(deadline=None)  # powers of forty digits take their time on a busy machine
@given(
    mode=MODES,
    carried=CARRIED,
    spacing=st.sampled_from(Spacing),
    marks=st.lists(st.integers(10_00, 300_00), min_size=1, max_size=20),
)
def test_a_trailing_ladder_never_leaves_its_limits_nor_its_rungs(
    mode: Mode, carried: Carried, spacing: Spacing, marks: list[int]
) -> None:
    spec = replace(TRAILING, mode=mode, carried=carried, spacing=spacing)
    at = standing(spec, 100_00)
    first = at.laid
    for mark in marks:
        step = next_step(spec, ABC, at, touch(mark))
        at = step.standing if isinstance(step, Relay) else at
        limits = bounds(spec, ABC, at)

        levels = at.laid.ladder.levels
        assert 50_00 <= levels[0] < levels[-1] <= 150_00
        assert levels == first.rungs.window(at.laid.first, spec.slots)
        # Where it was asked it has moved as far as it may: the same price asks for nothing more.
        assert limits.low_ticks is None or mark > limits.low_ticks or levels[0] == mark
        assert limits.high_ticks is None or mark < limits.high_ticks


@settings(deadline=None)  # powers of forty digits take their time on a busy machine
@given(marks=st.lists(st.integers(20_00, 2_000_00), min_size=1, max_size=20))
def test_an_infinity_grid_always_holds_its_value_and_keeps_a_reserve(marks: list[int]) -> None:
    laid = lay(INFINITY, ABC, 100_00)
    needed = opening(INFINITY, ABC, laid, 100_00)
    at = Standing(laid, needed.opened, (0,) * laid.ladder.slots, 0)
    held = needed.base_lots
    for mark in marks:
        # What the resting orders do until the bound: every slot below the price is sold, every one above is bought.
        opened = tuple(mark < high if mark > low else True for low, high in _slots(at))
        held += _inventory(at, opened) - _inventory(at, at.opened)
        at = replace(at, opened=opened)
        step = next_step(INFINITY, ABC, at, touch(mark))
        if isinstance(step, Relay):
            bought = [k for k, s in enumerate(step.sources) if s is not None and s.origin is From.MARKET]
            held += sum(step.standing.laid.ladder.lots[k] for k in bought) + step.reserve_bought_lots
            held -= sum(one.lots for one in step.closed)
            at = step.standing

        reserve = reserve_lots(INFINITY, ABC, at.laid)
        assert held == _inventory(at, at.opened) + reserve
        assert reserve > 0
        lowest_open = at.opened.index(True) if True in at.opened else len(at.opened)
        assert held == constant_value_lots(INFINITY, ABC, at.laid.ladder.levels[lowest_open])


def _slots(at: Standing) -> list[tuple[int, int]]:
    levels = at.laid.ladder.levels
    return list(pairwise(levels))


def _inventory(at: Standing, opened: tuple[bool, ...]) -> int:
    return sum(q for q, is_open in zip(at.laid.ladder.lots, opened, strict=True) if is_open)


@settings(deadline=None)  # powers of forty digits take their time on a busy machine
@given(
    mode=MODES,
    stop=st.integers(10_00, 79_00),
    beyond=st.integers(0, 9_00),
    flatten=st.booleans(),
    opened=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_a_stop_ends_the_grid_whatever_it_holds(
    mode: Mode, stop: int, beyond: int, flatten: bool, opened: tuple[bool, ...]
) -> None:
    assume(mode is not Mode.SHORT)
    spec = replace(TRAILING, trail_down_to=None, mode=mode, stop=ABC.price(stop), flatten=flatten)

    assert next_step(spec, ABC, standing(spec, 100_00, opened), touch(stop - beyond)) == Stop(Why.STOP, flatten)
