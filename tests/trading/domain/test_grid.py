"""Where a grid buys and sells, and when it may not run."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.fees import DEMO_FEES
from trading.domain.grid import (
    Feasible,
    GridSettings,
    Infeasible,
    Spacing,
    UnableToBuild,
    break_even_step_fraction,
    build,
    feasibility,
    from_levels,
    narrowest_step_fraction,
)
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
CENTRE = 6_000_000  # 60,000.00
MICRO = GridSettings("BTCUSDT", ExecutionStyle.TAKER, Decimal("0.001"), 8, Decimal(6))
LIMITS = Limits(
    phase="4.0",
    version=1,
    capital_quote=Decimal(300),
    symbols=frozenset({"BTCUSDT"}),
    execution_styles=frozenset({ExecutionStyle.TAKER}),
    max_position_fraction=Decimal("0.02"),
    max_symbol_exposure_fraction=Decimal("0.10"),
    max_total_exposure_fraction=Decimal("0.20"),
    max_daily_drawdown_fraction=Decimal("0.02"),
    max_daily_drawdown_hard_fraction=Decimal("0.05"),
    max_symbol_drawdown_fraction=None,
    max_daily_trades=20,
    max_open_orders=3,
)


@given(
    centre=st.integers(1_000, 10**9),
    slots=st.integers(1, 60),
    step=st.decimals("0.0005", "0.02", places=5),
    spacing=st.sampled_from(Spacing),
)
def test_every_ladder_rises_on_the_tick(centre: int, slots: int, step: Decimal, spacing: Spacing) -> None:
    settings = GridSettings("BTCUSDT", ExecutionStyle.MAKER, step, slots, Decimal(6), spacing)

    try:
        levels = build(settings, BTC, centre).levels
    except UnableToBuild:
        assert centre * step < 2 or spacing is Spacing.ARITHMETIC  # only a step near the tick, or one below zero
        return

    assert list(levels) == sorted(set(levels))
    assert len(levels) == slots + 1
    assert all(isinstance(level, int) and level > 0 for level in levels)


@pytest.mark.parametrize("spacing", Spacing)
def test_the_first_buy_lies_half_a_step_below_the_centre(spacing: Spacing) -> None:
    levels = build(replace(MICRO, spacing=spacing), BTC, CENTRE).levels

    below = max(level for level in levels if level < CENTRE)
    above = min(level for level in levels if level > CENTRE)

    assert CENTRE - below == pytest.approx(3_000, abs=3)
    assert above - CENTRE == pytest.approx(3_000, abs=3)
    assert sum(level < CENTRE for level in levels) == 5


def test_a_geometric_ladder_keeps_its_ratio_and_an_arithmetic_one_its_distance() -> None:
    geometric = build(MICRO, BTC, CENTRE).levels
    arithmetic = build(replace(MICRO, spacing=Spacing.ARITHMETIC), BTC, CENTRE).levels

    assert {round((b / a - 1) * 1e5) for a, b in pairwise(geometric)} == {100}
    assert {b - a for a, b in pairwise(arithmetic)} == {6_000}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"slots": 501}, "slots is 501"),
        ({"step_fraction": Decimal(0)}, "step_fraction is 0"),
        ({"step_fraction": Decimal(1)}, "step_fraction is 1"),
        ({"step_fraction": Decimal("NaN")}, "step_fraction is NaN"),
        ({"step_fraction": Decimal("0.0000001")}, "less than one tick"),
        ({"lot_quote": Decimal(0)}, "lot_quote is 0"),
        ({"lot_quote": Decimal("Infinity")}, "lot_quote is Infinity"),
        ({"slots": 500, "step_fraction": Decimal("0.01"), "spacing": Spacing.ARITHMETIC}, "not above zero"),
    ],
)
def test_a_grid_that_cannot_be_laid_out_says_which_field_is_wrong(change: dict[str, object], names: str) -> None:
    with pytest.raises(UnableToBuild, match=names):
        build(replace(MICRO, **change), BTC, CENTRE)  # type: ignore[arg-type]  # a table of named values


def test_a_lot_is_what_its_value_buys_rounded_down() -> None:
    plan = build(MICRO, BTC, CENTRE)

    for slot in range(plan.slots):
        value = BTC.notional(plan.levels[slot], plan.lots(slot, BTC))
        assert Decimal(6) - BTC.notional(plan.levels[slot], 1) < value <= Decimal(6)


@pytest.mark.parametrize(
    ("style", "expected"),
    [(ExecutionStyle.TAKER, Decimal("0.0010")), (ExecutionStyle.MAKER, Decimal("0.0006"))],
)
def test_the_narrowest_step_pays_fees_a_spread_and_a_rounding_of_one_tick(
    style: ExecutionStyle, expected: Decimal
) -> None:
    assert narrowest_step_fraction(replace(MICRO, style=style), DEMO_FEES, Decimal("0.0001")) == expected


@pytest.mark.parametrize(
    ("style", "expected"),
    [(ExecutionStyle.TAKER, Decimal("0.0009")), (ExecutionStyle.MAKER, Decimal("0.0005"))],
)
def test_the_break_even_step_is_twice_the_fee_plus_the_spread(style: ExecutionStyle, expected: Decimal) -> None:
    assert break_even_step_fraction(replace(MICRO, style=style), DEMO_FEES, Decimal("0.0001")) == expected


def test_the_demo_grid_is_feasible() -> None:
    verdict = feasibility(build(MICRO, BTC, CENTRE), BTC, LIMITS, DEMO_FEES, Decimal("0.00001"))

    assert isinstance(verdict, Feasible)


@pytest.mark.parametrize(
    ("settings", "instrument", "limits", "binding", "capital"),
    [
        ({}, {"min_notional": Decimal(10)}, {}, "MIN_NOTIONAL", Decimal("510")),
        ({}, {"min_quantity": Decimal("0.001")}, {}, "LOT_SIZE", Decimal("3000")),
        ({"step_fraction": Decimal("0.0007")}, {}, {}, "break_even_step", None),
        ({"lot_quote": Decimal("6.01")}, {}, {}, "max_position_fraction", Decimal("300.50")),
        ({}, {}, {"max_trade_loss_quote": Decimal("1.49")}, "max_trade_loss_quote", None),
        ({}, {}, {"symbols": frozenset({"ETHUSDT"})}, "symbols", None),
        ({}, {}, {"execution_styles": frozenset({ExecutionStyle.MAKER})}, "execution_styles", None),
        ({}, {}, {"max_symbol_exposure_fraction": Decimal("0.01")}, "max_symbol_exposure_fraction", Decimal("600")),
        ({}, {}, {"max_total_exposure_fraction": Decimal("0.01")}, "max_total_exposure_fraction", Decimal("600")),
        ({}, {"market_max_quantity": Decimal("0.00001")}, {}, "MARKET_LOT_SIZE", None),
    ],
)
def test_an_infeasible_grid_names_what_binds_and_the_capital_that_works(
    settings: dict[str, object],
    instrument: dict[str, object],
    limits: dict[str, object],
    binding: str,
    capital: Decimal | None,
) -> None:
    listed = replace(BTC, **instrument)  # type: ignore[arg-type]  # tables of named values
    allowed = replace(LIMITS, **limits)  # type: ignore[arg-type]  # as above
    plan = build(replace(MICRO, **settings), listed, CENTRE)  # type: ignore[arg-type]  # as above

    verdict = feasibility(plan, listed, allowed, DEMO_FEES)

    assert isinstance(verdict, Infeasible)
    assert verdict.binding == binding
    assert verdict.reason.startswith("BTCUSDT")
    if capital is None:
        assert verdict.smallest_capital_quote is None
    else:
        assert verdict.smallest_capital_quote == pytest.approx(capital, rel=Decimal("0.02"))


@pytest.mark.parametrize("min_notional", [Decimal(6), Decimal(7), Decimal(10), Decimal("12.34")])
def test_the_smallest_capital_that_is_named_does_work(min_notional: Decimal) -> None:
    listed = replace(BTC, min_notional=min_notional)
    refused = feasibility(build(MICRO, listed, CENTRE), listed, LIMITS, DEMO_FEES)
    assert isinstance(refused, Infeasible)
    assert refused.smallest_capital_quote is not None

    limits = replace(LIMITS, capital_quote=refused.smallest_capital_quote)
    plan = build(replace(MICRO, lot_quote=limits.max_lot_quote), listed, CENTRE)

    assert isinstance(feasibility(plan, listed, limits, DEMO_FEES), Feasible)


def test_stored_levels_come_back_as_the_same_plan() -> None:
    plan = build(MICRO, BTC, CENTRE)

    assert from_levels(MICRO, plan.levels) == plan


@pytest.mark.parametrize(
    "changed", [replace(MICRO, slots=9), replace(MICRO, step_fraction=Decimal("0.002"))], ids=["slots", "step"]
)
def test_stored_levels_of_other_settings_are_no_plan_unless_lots_hang_on_them(changed: GridSettings) -> None:
    levels = build(MICRO, BTC, CENTRE).levels

    assert from_levels(changed, levels) is None
    assert from_levels(changed, levels, only_if_fits=False) is not None
    assert from_levels(MICRO, (1, 3, 2), only_if_fits=False) is None
