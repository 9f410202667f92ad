"""A specification of a grid is refused with every field that is wrong, why, and what to change."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from trading.domain.grids import Carried, GridSpec, Kind, UnsoundGrid
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Mode

D = Decimal
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120))
AROUND = GridSpec("ABCUSDT", 4, lot_quote=D(100), step_fraction=D("0.01"))
INFINITY = GridSpec(
    "ABCUSDT", 4, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(80), step_fraction=D("0.05")
)
REVERSE = replace(RANGE, kind=Kind.REVERSE, mode=Mode.SHORT)
SHORT = replace(RANGE, mode=Mode.SHORT)


@pytest.mark.parametrize(
    ("spec", "change", "field"),
    [
        (RANGE, {"slots": 0}, "slots"),
        (RANGE, {"slots": 501}, "slots"),
        (RANGE, {"lot_quote": D("NaN")}, "lot_quote"),
        (RANGE, {"lot_quote": D(0)}, "lot_quote"),
        (RANGE, {"lot_quote": D("-1")}, "lot_quote"),
        (RANGE, {"lot_quote": None}, "lot_quote"),
        (RANGE, {"lot_base": D(1)}, "lot_quote"),
        (RANGE, {"lower": D("Infinity")}, "lower"),
        (RANGE, {"lower": None}, "lower"),
        (RANGE, {"upper": None}, "upper"),
        (RANGE, {"lower": None, "upper": None}, "lower"),
        (RANGE, {"upper": D(80)}, "upper"),
        (RANGE, {"step_fraction": D("0.01")}, "lower"),
        (AROUND, {"step_fraction": D(1)}, "step_fraction"),
        (AROUND, {"atr_multiple": D(1)}, "lower"),
        (RANGE, {"skew_fraction": D(1)}, "skew_fraction"),
        (RANGE, {"skew_fraction": D(-1)}, "skew_fraction"),
        (RANGE, {"resting": 0}, "resting"),
        (RANGE, {"resting": 2, "style": ExecutionStyle.TAKER}, "resting"),
        (RANGE, {"recentre_steps": 1}, "recentre_steps"),
        (AROUND, {"recentre_steps": 0}, "recentre_steps"),
        (AROUND, {"recentre_steps": 501}, "recentre_steps"),
        (AROUND, {"recentre_steps": 2**63 - 1}, "recentre_steps"),
        (RANGE, {"resting": 501}, "resting"),
        (AROUND, {"recentre_steps": 1, "trail_up_to": D(200)}, "recentre_steps"),
        (RANGE, {"trail_up_to": D(120)}, "trail_up_to"),
        (RANGE, {"trail_down_to": D(80)}, "trail_down_to"),
        (RANGE, {"reinvest_fraction": D("0.5")}, "reinvest_every_s"),
        (RANGE, {"reinvest_every_s": 60}, "reinvest_every_s"),
        (RANGE, {"reinvest_fraction": D("1.1"), "reinvest_every_s": 60}, "reinvest_fraction"),
        (RANGE, {"reinvest_fraction": D("-0.1")}, "reinvest_fraction"),
        (SHORT, {"reinvest_fraction": D("0.5"), "reinvest_every_s": 60}, "reinvest_fraction"),
        (RANGE, {"stop": D(80)}, "stop"),
        (RANGE, {"stop": D(70), "trail_down_to": D(70)}, "stop"),
        (RANGE, {"take_profit": D(120)}, "take_profit"),
        (RANGE, {"take_profit": D(130), "trail_up_to": D(130)}, "take_profit"),
        (RANGE, {"stop": D(70), "take_profit": D(60)}, "stop"),
        (SHORT, {"stop": D(120)}, "stop"),
        (SHORT, {"take_profit": D(80)}, "take_profit"),
        (INFINITY, {"upper": D(200)}, "upper"),
        (INFINITY, {"lower": None}, "lower"),
        (INFINITY, {"step_fraction": None}, "step_fraction"),
        (INFINITY, {"lot_quote": None, "lot_base": D(1)}, "lot_quote"),
        (INFINITY, {"mode": Mode.LONG}, "mode"),
        (INFINITY, {"spacing": Spacing.ARITHMETIC}, "spacing"),
        (INFINITY, {"skew_fraction": D("0.1")}, "skew_fraction"),
        (INFINITY, {"trail_up_to": D(200)}, "trail_up_to"),
        (INFINITY, {"reinvest_fraction": D("0.5"), "reinvest_every_s": 60}, "reinvest_fraction"),
        (REVERSE, {"mode": Mode.LONG}, "mode"),
        (REVERSE, {"lot_quote": None, "lot_base": D(1)}, "lot_quote"),
        (REVERSE, {"carried": Carried.ROLL}, "carried"),
        (REVERSE, {"reinvest_fraction": D("0.5"), "reinvest_every_s": 60}, "reinvest_fraction"),
    ],
)
def test_what_is_no_grid_is_refused_by_the_name_of_the_field(spec: GridSpec, change: Any, field: str) -> None:
    with pytest.raises(UnsoundGrid) as refused:
        replace(spec, **change)

    assert field in {problem.field for problem in refused.value.problems}
    assert str(refused.value).startswith("ABCUSDT grid: ")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UnsoundGrid) as refused:
        replace(RANGE, upper=D(70), skew_fraction=D(2), trail_up_to=D(60))

    assert [problem.field for problem in refused.value.problems] == ["skew_fraction", "upper", "trail_up_to"]


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (RANGE, {"lot_quote": None, "lot_base": D("0.5")}),
        (RANGE, {"trail_up_to": D(130), "trail_down_to": D(70), "stop": D(69), "take_profit": D(131)}),
        (RANGE, {"reinvest_fraction": D(1), "reinvest_every_s": 3_600}),
        (RANGE, {"resting": 1, "skew_fraction": D("-0.99")}),
        (AROUND, {"recentre_steps": 1, "carried": Carried.ROLL}),
        (AROUND, {"step_fraction": None, "atr_multiple": D("1.5"), "recentre_steps": 2}),
        (SHORT, {"stop": D("120.01"), "take_profit": D("79.99")}),
        (INFINITY, {"stop": D(79), "take_profit": D(500)}),
        (REVERSE, {"trail_up_to": D(200), "skew_fraction": D("0.5")}),
    ],
)
def test_what_a_trader_may_combine_is_accepted(spec: GridSpec, change: Any) -> None:
    assert replace(spec, **change) != spec
