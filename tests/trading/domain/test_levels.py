"""The rungs a grid stands on: on the tick, evenly spread, and the same from wherever one looks at them."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.levels import Rungs, Spacing, around, between, upward

UNHURRIED = settings(deadline=None)  # powers of forty digits take their time on a busy machine
SPACINGS = st.sampled_from(Spacing)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (Spacing.ARITHMETIC, (1_000, 1_250, 1_500, 1_750, 2_000)),
        (Spacing.GEOMETRIC, (1_000, 1_189, 1_414, 1_682, 2_000)),  # 2^(1/4) = 1.189207
    ],
)
def test_a_range_is_divided_evenly_from_end_to_end(spacing: Spacing, expected: tuple[int, ...]) -> None:
    assert between(spacing, 1_000, 2_000, 4).window(0, 4) == expected


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (Spacing.ARITHMETIC, (850, 950, 1_050, 1_150)),  # 10 % of the centre apart, the centre in the middle of a slot
        (Spacing.GEOMETRIC, (867, 953, 1_049, 1_154)),  # 1.1^-1.5, 1.1^-0.5, 1.1^0.5, 1.1^1.5
    ],
)
def test_rungs_around_a_price_leave_it_in_the_middle_of_a_slot(spacing: Spacing, expected: tuple[int, ...]) -> None:
    assert around(spacing, 1_000, Decimal("0.1")).window(-2, 3) == expected


def test_rungs_upward_multiply_without_end() -> None:
    assert upward(1_000, Decimal("0.5")).window(0, 5) == (1_000, 1_500, 2_250, 3_375, 5_062, 7_594)  # 5062.5 to even


@UNHURRIED
@given(spacing=SPACINGS, lower=st.integers(1_000, 10**7), width=st.integers(0, 10**7), slots=st.integers(1, 500))
def test_a_divided_range_rises_on_the_tick_between_its_ends(
    spacing: Spacing, lower: int, width: int, slots: int
) -> None:
    upper = lower + 2 * slots * (1 + lower // 1_000) + width  # the narrowest step is wider than a tick

    levels = between(spacing, lower, upper, slots).window(0, slots)

    assert (levels[0], levels[-1]) == (lower, upper)
    assert list(levels) == sorted(set(levels))


@UNHURRIED
@given(lower=st.integers(1_000, 10**7), factor=st.decimals("1.01", "10", places=3), slots=st.integers(1, 200))
def test_geometric_steps_stay_within_a_tick_of_the_ratio(lower: int, factor: Decimal, slots: int) -> None:
    upper = int(lower * factor)
    rungs = between(Spacing.GEOMETRIC, lower, upper, slots)
    ratio = (upper / lower) ** (1 / slots)

    for low, high in pairwise(rungs.window(0, slots)):
        assert abs(high - low * ratio) <= 0.5 + 0.5 * ratio + 1e-3  # each end is rounded by half a tick


@UNHURRIED
@given(lower=st.integers(1_000, 10**7), width=st.integers(1, 10**7), slots=st.integers(1, 200))
def test_arithmetic_steps_differ_by_at_most_one_tick(lower: int, width: int, slots: int) -> None:
    levels = between(Spacing.ARITHMETIC, lower, lower + width, slots).window(0, slots)

    steps = [high - low for low, high in pairwise(levels)]

    assert max(steps) - min(steps) <= 1


@UNHURRIED
@given(spacing=SPACINGS, step=st.decimals("0.001", "0.2", places=3), price=st.integers(1_000, 10**7))
def test_the_rungs_beside_a_price_enclose_it(spacing: Spacing, step: Decimal, price: int) -> None:
    rungs = around(spacing, 100_000, step)

    below, above = rungs.below(price), rungs.above(price)

    assert rungs.at(below) < price <= rungs.at(below + 1)
    assert rungs.at(above - 1) <= price < rungs.at(above)


def test_a_window_that_goes_and_comes_back_stands_on_the_same_ticks() -> None:
    rungs = between(Spacing.GEOMETRIC, 95_00, 105_00, 20)

    assert rungs.window(3, 20)[:-3] == rungs.window(0, 20)[3:]


def test_a_price_out_of_all_reach_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="rungs from the grid"):
        Rungs(Spacing.ARITHMETIC, 100, Decimal(1)).below(10**9)
