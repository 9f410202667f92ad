"""A grid written down is read back as the same grid; what is no grid is refused name by name."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from trading.domain.grids import Carried, GridSpec, Kind, UnsoundGrid
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.spelling import read, spell
from trading.domain.terms import Mode

D = Decimal
PLAIN = {"symbol": "ABCUSDT", "slots": "4", "lot_quote": "100", "lower": "80", "upper": "120"}
EVERYTHING = GridSpec(
    "ABCUSDT",
    20,
    lot_base=D("0.00010"),
    kind=Kind.RANGE,
    mode=Mode.SHORT,
    style=ExecutionStyle.MAKER,
    spacing=Spacing.ARITHMETIC,
    atr_multiple=D("1.5"),
    atr_bars=20,
    atr_bar_s=300,
    trail_up_to=D(200),
    trail_down_to=D(50),
    carried=Carried.ROLL,
    resting=3,
    skew_fraction=D("-0.5"),
    stop=D(201),
    take_profit=D(49),
    flatten=False,
    start_at=D("99.99"),
)


def test_texts_of_a_form_become_a_grid() -> None:
    grid = read({**PLAIN, "mode": "neutral", "style": "maker", "stop": "", "take_profit": None, "flatten": "no"})

    assert grid == GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), mode=Mode.NEUTRAL, flatten=False)


@pytest.mark.parametrize(
    "grid",
    [
        read(PLAIN),
        EVERYTHING,
        replace(read(PLAIN), reinvest_fraction=D("0.5"), reinvest_every_s=60),
        replace(read(PLAIN), lower=None, upper=None, step_fraction=D("0.001"), recentre_steps=2),
    ],
)
def test_what_is_spelt_is_read_as_the_same_grid(grid: GridSpec) -> None:
    words = spell(grid)

    assert read(words) == grid
    assert {type(word) for word in words.values()} <= {str, int, bool}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"slot": "4"}, "slot", "no such field"),
        ({"slots": None}, "slots", "missing"),
        ({"symbol": ""}, "symbol", "missing"),
        ({"slots": "4.5"}, "slots", "not a whole number"),
        ({"slots": "four"}, "slots", "not a plain decimal"),
        ({"lower": "8e1"}, "lower", "not a plain decimal"),
        ({"lower": "NaN"}, "lower", "not a plain decimal"),
        ({"lower": 80.0}, "lower", "float"),
        ({"slots": True}, "slots", "bool"),
        ({"mode": "sideways"}, "mode", "none of neutral, long, short"),
        ({"flatten": "maybe"}, "flatten", "neither yes nor no"),
        ({"symbol": 5}, "symbol", "no text"),
        ({"upper": "70"}, "upper", "not above lower"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(change: Any, field: str, says: str) -> None:
    with pytest.raises(UnsoundGrid) as refused:
        read({**PLAIN, **change})

    assert [problem.field for problem in refused.value.problems] == [field]
    assert says in refused.value.problems[0].text


def test_every_name_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UnsoundGrid) as refused:
        read({"slots": "x", "mode": "y", "z": "1"})

    assert [problem.field for problem in refused.value.problems] == ["mode", "slots", "symbol", "z"]
