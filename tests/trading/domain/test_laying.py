"""The ladder of every kind of grid: small ones by hand, laws for all."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.fees import Fees
from trading.domain.grid import GridSettings, UnableToBuild, build
from trading.domain.grids import GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.laying import (
    bought_back_lots,
    constant_value_lots,
    lay,
    opening,
    reserve_lots,
    weights,
)
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Mode

D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)
AROUND = GridSpec("ABCUSDT", 4, lot_quote=D(100), step_fraction=D("0.1"), spacing=Spacing.ARITHMETIC)
INFINITY = GridSpec(
    "ABCUSDT", 2, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(50), step_fraction=D("0.25")
)
REVERSE = replace(RANGE, kind=Kind.REVERSE, mode=Mode.SHORT)
PRICE = 100_00


def test_a_range_in_four_slots_buys_a_hundred_in_each() -> None:
    ladder = lay(RANGE, ABC, PRICE).ladder

    assert ladder.levels == (80_00, 90_00, 100_00, 110_00, 120_00)
    assert ladder.lots == (1_250, 1_111, 1_000, 909)  # 100 / 80, 100 / 90, 100 / 100, 100 / 110, on the lot


def test_a_short_range_sells_a_hundred_in_each() -> None:
    assert lay(replace(RANGE, mode=Mode.SHORT), ABC, PRICE).ladder.lots == (1_111, 1_000, 909, 833)


def test_lots_in_base_are_the_same_in_every_slot() -> None:
    spec = replace(RANGE, lot_quote=None, lot_base=D("0.5"))

    assert lay(spec, ABC, PRICE).ladder.lots == (500, 500, 500, 500)


def test_a_grid_around_the_price_is_the_one_that_runs_live() -> None:
    live = build(GridSettings("ABCUSDT", ExecutionStyle.MAKER, D("0.1"), 4, D(100), Spacing.ARITHMETIC), ABC, PRICE)

    ladder = lay(AROUND, ABC, PRICE).ladder

    assert ladder.levels == live.levels == (75_00, 85_00, 95_00, 105_00, 115_00)
    assert ladder.lots == tuple(live.lots(slot, ABC) for slot in range(4))


def test_a_short_grid_around_the_price_is_the_mirror_of_the_long_one() -> None:
    assert lay(replace(AROUND, mode=Mode.SHORT), ABC, PRICE).ladder.levels == (85_00, 95_00, 105_00, 115_00, 125_00)


def test_a_step_in_true_ranges_is_as_wide_as_the_market_moves() -> None:
    spec = replace(AROUND, step_fraction=None, atr_multiple=D(2))

    assert lay(spec, ABC, PRICE, atr_ticks=D(500)).ladder.levels == (75_00, 85_00, 95_00, 105_00, 115_00)  # 2 x 5.00
    assert lay(spec, ABC, PRICE, atr_ticks=D(250)).ladder.levels == (87_50, 92_50, 97_50, 102_50, 107_50)


@pytest.mark.parametrize("atr", [None, D(0), D("NaN"), D(6_000)], ids=["unknown", "none", "no number", "too wide"])
def test_without_a_sound_true_range_there_is_no_ladder(atr: Decimal | None) -> None:
    with pytest.raises(UnableToBuild, match="atr_multiple"):
        lay(replace(AROUND, step_fraction=None, atr_multiple=D(2)), ABC, PRICE, atr_ticks=atr)


def test_an_infinity_grid_holds_the_same_value_at_every_level() -> None:
    laid = lay(INFINITY, ABC, 100_00)  # a value of 100 / 0.25 = 400 at 50.00, 62.50, 78.125, 97.65625, ...

    assert laid.first == 1  # the highest rung below 100.00 is 3, and two more slots lie below it
    assert laid.ladder.levels == (62_50, 78_12, 97_66, 122_07, 152_59, 190_73)
    holdings = [constant_value_lots(INFINITY, ABC, ticks) for ticks in laid.ladder.levels]
    assert holdings == [6_400, 5_120, 4_095, 3_276, 2_621, 2_097]
    assert laid.ladder.lots == (1_280, 1_025, 819, 655, 524)
    assert opening(INFINITY, ABC, laid, 100_00).base_lots == 4_095  # nearest level 97.66
    assert reserve_lots(INFINITY, ABC, laid) == 2_097


def test_a_reverse_grid_buys_back_more_than_it_sold() -> None:
    ladder = lay(REVERSE, ABC, PRICE).ladder

    assert ladder.sell_lots == (1_111, 1_000, 909, 833)  # sells 100 at 90, 100, 110, 120
    assert ladder.lots == (1_249, 1_111, 999, 908)  # and buys back for the proceeds at 80, 90, 100, 110


def test_a_reverse_grid_pays_its_fees_out_of_the_base_it_gains() -> None:
    fees = Fees(D("0.001"), D("0.002"))

    assert lay(REVERSE, ABC, PRICE, fees=fees).ladder.lots[0] == 1_247  # 1,111 x 90 x 0.999 / (80 x 1.001)


def test_skewed_lots_shrink_on_the_way_down_and_their_sum_stays() -> None:
    ladder = lay(replace(RANGE, skew_fraction=D("0.6")), ABC, PRICE).ladder

    assert weights(replace(RANGE, skew_fraction=D("0.6")), 4) == (D("0.4"), D("0.8"), D("1.2"), D("1.6"))
    assert ladder.lots == (500, 888, 1_200, 1_454)  # 40 / 80, 80 / 90, 120 / 100, 160 / 110


def test_reinvested_profit_is_spread_over_the_slots() -> None:
    spec = replace(RANGE, reinvest_fraction=D("0.5"), reinvest_every_s=60)

    assert lay(spec, ABC, PRICE, earned_quote=D(80)).ladder.lots == (1_375, 1_222, 1_100, 1_000)  # 110 a slot
    assert lay(spec, ABC, PRICE, earned_quote=D(-80)).ladder.lots == lay(spec, ABC, PRICE).ladder.lots


@pytest.mark.parametrize(
    ("mode", "opened", "base"),
    [
        (Mode.LONG, (False, False, False, False), 0),
        (Mode.NEUTRAL, (False, False, True, True), 1_909),
        (Mode.SHORT, (False, False, False, False), 3_853),
    ],
)
def test_what_a_grid_needs_before_its_first_order(mode: Mode, opened: tuple[bool, ...], base: int) -> None:
    spec = replace(RANGE, mode=mode)

    needed = opening(spec, ABC, lay(spec, ABC, PRICE), PRICE)

    assert (needed.opened, needed.base_lots, needed.reserve_lots) == (opened, base, 0)


@pytest.mark.parametrize(
    ("spec", "change", "names"),
    [
        (RANGE, {"lower": D("80.005")}, "lower 80.005 is not on the tick 0.01; use 80.00"),
        (RANGE, {"lower": D("80"), "upper": D("80.02")}, "same tick"),
        (AROUND, {"step_fraction": D("0.5")}, "not above zero"),
        (RANGE, {"stop": D("79.999")}, "stop"),
        (AROUND, {"stop": D(75)}, "stop"),
        (AROUND, {"take_profit": D(115)}, "take_profit"),
        (AROUND, {"mode": Mode.SHORT, "stop": D(125)}, "stop"),
        (AROUND, {"mode": Mode.SHORT, "take_profit": D(85)}, "take_profit"),
    ],
)
def test_a_ladder_that_cannot_be_laid_says_which_field_is_wrong(spec: GridSpec, change: Any, names: str) -> None:
    with pytest.raises(UnableToBuild, match=names):
        lay(replace(spec, **change), ABC, PRICE)


@pytest.mark.parametrize(("change", "price"), [({"stop": D(70)}, 69_00), ({"take_profit": D(130)}, 131_00)])
def test_a_grid_does_not_start_beyond_its_own_bound(change: Any, price: int) -> None:
    with pytest.raises(UnableToBuild):
        lay(replace(RANGE, **change), ABC, price)


def test_no_price_is_no_ladder() -> None:
    with pytest.raises(UnableToBuild, match="wait for a price"):
        lay(AROUND, ABC, 0)


UNHURRIED = settings(deadline=None)  # powers of forty digits take their time on a busy machine
SPECS = st.builds(
    lambda slots, step, mode, spacing, lot, skew: GridSpec(
        "ABCUSDT", slots, lot_quote=lot, step_fraction=step, mode=mode, spacing=spacing, skew_fraction=skew
    ),
    st.integers(1, 40),
    st.decimals("0.002", "0.02", places=4),
    st.sampled_from(Mode),
    st.sampled_from(Spacing),
    st.decimals("10", "1000", places=2),
    st.decimals("-0.95", "0.95", places=2),
)


@UNHURRIED
@given(spec=SPECS, price=st.integers(1_000, 10**7))
def test_no_ladder_spends_more_than_its_slots_times_their_lot(spec: GridSpec, price: int) -> None:
    ladder = lay(spec, ABC, price).ladder
    opens_at = ladder.levels[:-1] if spec.is_long else ladder.levels[1:]
    values = [ABC.notional(ticks, lots) for ticks, lots in zip(opens_at, ladder.lots, strict=True)]
    assert spec.lot_quote is not None

    assert sum(values) <= spec.slots * spec.lot_quote
    assert all(value <= spec.lot_quote * (1 + abs(spec.skew_fraction)) for value in values)
    smallest = spec.lot_quote * (1 - abs(spec.skew_fraction))
    assert all(value > smallest - ABC.notional(ticks, 1) for ticks, value in zip(opens_at, values, strict=True))


@UNHURRIED
@given(spec=SPECS)
def test_skewed_weights_lean_one_way_and_sum_to_the_slots(spec: GridSpec) -> None:
    down = list(reversed(weights(spec, spec.slots))) if spec.is_long else list(weights(spec, spec.slots))

    assert abs(sum(down, D(0)) - spec.slots) < D("1e-20")
    assert down == sorted(down, reverse=spec.skew_fraction > 0)


@UNHURRIED
@given(
    spec=SPECS,
    price=st.integers(1_000, 10**7),
    earned=st.decimals("0", "5000", places=2),
    share=st.decimals("0.01", "1", places=2),
)
def test_reinvesting_never_uses_more_than_its_share_of_the_profit(
    spec: GridSpec, price: int, earned: Decimal, share: Decimal
) -> None:
    spec = replace(spec, mode=Mode.LONG, reinvest_fraction=share, reinvest_every_s=60)
    before, after = lay(spec, ABC, price).ladder, lay(spec, ABC, price, earned_quote=earned).ladder
    assert spec.lot_quote is not None

    value = sum(ABC.notional(ticks, lots) for ticks, lots in zip(after.levels[:-1], after.lots, strict=True))

    assert after.levels == before.levels
    assert all(new >= old for new, old in zip(after.lots, before.lots, strict=True))
    assert value <= spec.slots * spec.lot_quote + share * earned


@UNHURRIED
@given(
    step=st.decimals("0.002", "0.1", places=3),
    lot=st.decimals("10", "1000", places=2),
    price=st.integers(5_000, 10**7),
    slots=st.integers(1, 40),
)
def test_an_infinity_grid_never_offers_its_last_reserve(step: Decimal, lot: Decimal, price: int, slots: int) -> None:
    spec = replace(INFINITY, step_fraction=step, lot_quote=lot, slots=slots)
    laid = lay(spec, ABC, price)
    needed = opening(spec, ABC, laid, price)

    offered = sum(lots for lots, is_open in zip(laid.ladder.lots, needed.opened, strict=True) if is_open)

    assert needed.base_lots - offered == needed.reserve_lots == reserve_lots(spec, ABC, laid)
    value = ABC.notional(laid.ladder.levels[-1], needed.reserve_lots)
    assert lot / step - ABC.notional(laid.ladder.levels[-1], 1) < value <= lot / step


@UNHURRIED
@given(
    sold=st.integers(1, 10**9),
    low=st.integers(1, 10**7),
    wider=st.integers(1, 10**6),
    fee=st.decimals("0", "0.01", places=4),
)
def test_a_reverse_slot_never_needs_quote_of_its_own(sold: int, low: int, wider: int, fee: Decimal) -> None:
    high, exact = low + wider, Fraction(fee)
    back = bought_back_lots(sold, low, high, fee)

    assert back * low * (1 + exact) <= sold * high * (1 - exact) < (back + 1) * low * (1 + exact)


@UNHURRIED
@given(slots=st.integers(1, 30), lower=st.integers(1_000, 10**6), factor=st.decimals("1.1", "4", places=2))
def test_reverse_is_the_mirror_of_normal_in_base(slots: int, lower: int, factor: Decimal) -> None:
    """At prices of 1 / p a reverse slot buys quote low and sells it high, as a normal slot does with base."""
    upper = int(lower * factor)
    spec = replace(
        REVERSE,
        slots=slots,
        lot_quote=D(10_000),
        lower=ABC.price(lower),
        upper=ABC.price(upper),
        spacing=Spacing.GEOMETRIC,
    )
    ladder = lay(spec, ABC, lower).ladder

    for (low, high), sold, back in zip(pairwise(ladder.levels), ladder.sold_lots, ladder.lots, strict=True):
        gained = back - sold
        mirrored = Fraction(10_000 * 10**5, 1) * (Fraction(1, low) - Fraction(1, high))  # lot / tick / lot size
        assert abs(gained - mirrored) <= 2 + Fraction(high, low)
        assert gained >= 0
