"""What a search may vary is read strictly; every point of it is a value that its setting takes."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.backtest_settings import UnusableSettings, read
from trading.domain.search_plan import Method, Plan, Split, folds_of, read_plan, settings_of
from trading.domain.search_space import Choices, Range, read_space
from trading.domain.splits import Span

PLAIN = read({})


@pytest.mark.parametrize(
    ("name", "text", "points"),
    [
        ("levels", "10, 20,40", ("10", "20", "40")),
        ("levels", "8..20 by 4", ("8", "12", "16", "20")),
        ("levels", "8..19 by 4", ("8", "12", "16")),
        ("levels", "8..12 in 3", ("8", "10", "12")),
        ("levels", "4..64 log in 5", ("4", "8", "16", "32", "64")),
        ("levels", "2..4 in 9", ("2", "3", "4")),
        ("step", "0.0002..0.002 by 0.0006", ("0.0002", "0.0008", "0.0014", "0.002")),
        ("step", "0.0001..0.01 log in 3", ("0.0001", "0.001", "0.01")),
        ("grid", "geometric, arithmetic", ("geometric", "arithmetic")),
        ("skew", "-0.5..0.5 in 3", ("-0.5", "0", "0.5")),
        ("lot", "500.00, 1000", ("500", "1000")),
    ],
)
def test_lists_and_steps_are_points(name: str, text: str, points: tuple[str, ...]) -> None:
    (axis,) = read_space({name: text}).axes

    assert isinstance(axis, Choices)
    assert axis.points == points
    assert axis.is_ordered == (".." in text)


def test_a_range_without_steps_has_no_points() -> None:
    space = read_space({"step": "0.0002..0.002 log", "levels": "8..40"})

    assert space.axes == (
        Range("levels", Decimal(8), Decimal(40), False),
        Range("step", Decimal("0.0002"), Decimal("0.002"), True),
    )
    assert space.size is None
    with pytest.raises(UnusableSettings, match="levels: is a range without a number of points"):
        list(space.every())


@given(low=st.integers(2, 400), width=st.integers(1, 100), seed=st.integers(0, 99), log=st.booleans())
def test_what_is_drawn_lies_inside_and_can_be_read(low: int, width: int, seed: int, log: bool) -> None:
    ends = f"{low}..{low + width}{' log' if log else ''}"
    small = f"{low}e-6".replace(f"{low}e-6", f"{Decimal(low) / 1_000_000:f}")
    space = read_space({"levels": ends, "step": f"{small}..0.01{' log' if log else ''}", "mode": "long, short"})

    for _ in range(5):
        drawn = space.drawn(np.random.default_rng(seed))
        settings = settings_of(PLAIN, drawn)
        assert low <= settings.levels <= low + width
        assert Decimal(small) <= settings.step_fraction <= Decimal("0.01")
        assert drawn == space.drawn(np.random.default_rng(seed))


def test_both_ends_of_whole_numbers_are_drawn_as_often_as_the_others() -> None:
    space = read_space({"levels": "8..11"})
    generator = np.random.default_rng(1)

    drawn = [space.drawn(generator)["levels"] for _ in range(4_000)]

    assert all(drawn.count(str(n)) == pytest.approx(1_000, rel=0.1) for n in (8, 9, 10, 11))


def test_every_combination_comes_once_in_the_order_of_the_names() -> None:
    space = read_space({"mode": "long, short", "levels": "8, 9"})

    assert [tuple(one.values()) for one in space.every()] == [
        ("8", "long"), ("8", "short"), ("9", "long"), ("9", "short"),
    ]  # fmt: skip
    assert space.size == 4


@pytest.mark.parametrize(
    ("vary", "reason"),
    [
        ({}, "vary: names nothing to vary"),
        ({"fee_maker": "0, 0.1"}, "fee_maker: cannot be varied"),
        ({"data": "ticks, bars"}, "data: cannot be varied"),
        ({"nonsense": "1"}, "nonsense: cannot be varied"),
        ({"levels": ""}, "levels: '' is no text"),
        ({"levels": 8}, "levels: 8 is no text"),
        ({"levels": "8, x"}, "levels: 'x' is no whole number from 2 to 500"),
        ({"levels": "8, 8"}, "levels: '8, 8' names a value twice"),
        ({"levels": "8.."}, "levels: '8..' is no range"),
        ({"levels": "8..1000"}, "levels: '1000' is no whole number"),
        ({"levels": "20..8"}, "levels: '20..8' does not rise"),
        ({"levels": "8..20 by 0"}, "levels: '8..20 by 0' has no usable step"),
        ({"levels": "8..20 by 1.5"}, "levels: '8..20 by 1.5' has no usable step"),
        ({"levels": "8..20 by ."}, "levels: '8..20 by .' has no step"),
        ({"levels": "8..20 log by 2"}, "levels: '8..20 log by 2' is log and has a step"),
        ({"levels": "8..20 in 1"}, "levels: '8..20 in 1' has no usable number of points"),
        ({"skew": "-1..1 log"}, "skew: '-1..1 log' is log and does not begin above 0"),
        ({"grid": "arithmetic..geometric"}, "grid: 'arithmetic..geometric' is no range"),
        ({"step": "0.0001..0.5 by 0.000001"}, "step: .* has no usable step"),
        ({"step": "1, 2", "levels": "0"}, "levels: '0' is no whole number.*; step: '1' is not from"),
    ],
)  # fmt: skip
def test_what_cannot_be_varied_is_named_with_its_reason(vary: dict[str, object], reason: str) -> None:
    with pytest.raises(UnusableSettings, match=reason):
        read_space(vary)


def test_too_many_combinations_are_refused_before_any_is_made() -> None:
    with pytest.raises(UnusableSettings, match=r"make 9,900 combinations, more than 5,000"):
        list(read_space({"levels": "2..100", "lot": "1..100 by 1"} | {"levels": "2..100 by 1"}).every())


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_read_with_its_defaults_and_written_back() -> None:
    plan = read_plan({"vary": {"levels": "8..40 by 4"}}, PLAIN)
    drawn = read_plan({"vary": {"levels": "8..40"}, "method": "random", "seed": "7"}, PLAIN)

    assert (plan.method, plan.split, plan.size) == (Method.GRID, Split.WALK_FORWARD, 9)
    assert (drawn.size, drawn.seed) == (100, 7)
    assert read_plan(drawn.as_json(), PLAIN) == drawn
    assert read_plan(plan.as_json(), PLAIN) == plan


@pytest.mark.parametrize(
    ("values", "settings", "reason"),
    [
        ({"sampler": "x"}, {}, "sampler: is not known"),
        ({"method": "tpe"}, {}, "method: 'tpe' is not one of grid, random, optuna"),
        ({"vary": "levels"}, {}, "vary: 'levels' is no table"),
        ({"trials": "10"}, {}, "trials: is for random and optuna"),
        ({"vary": {"levels": "8..40"}}, {}, "levels: is a range without a number of points"),
        ({"method": "optuna", "split": "purged"}, {}, "split: purged lets optuna learn from what later tests it"),
        ({"embargo_s": "5"}, {}, "embargo_s: is for split purged"),
        ({"split": "none", "purge_s": "5"}, {}, "purge_s: has nothing to keep apart"),
        ({}, {"engine": "core"}, "engine: core takes seconds a run"),
        ({}, {"levels": "30"}, "levels: is given as '30' and varied as well"),
        ({"folds": "1", "seed": "-1"}, {}, "seed: .*; folds: "),
    ],
)
def test_a_plan_that_cannot_be_carried_out_says_why(
    values: dict[str, object], settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnusableSettings, match=reason):
        read_plan({"vary": {"levels": "8, 10"}, **values}, read(settings))


def test_folds_are_those_of_the_plan() -> None:
    whole = Span(0, 100 * 10**9)
    vary = {"levels": "8"}

    assert folds_of(Plan(vary, split=Split.NONE), whole) == ()
    assert len(folds_of(Plan(vary), whole)) == 4
    assert folds_of(Plan(vary, purge_s=Decimal(2)), whole)[0].train == (Span(0, 18 * 10**9),)
    assert len(folds_of(Plan(vary, split=Split.PURGED, embargo_s=Decimal(1)), whole)[1].train) == 2
    with pytest.raises(UnusableSettings, match=r"purge: 30 s is not from 0 to the 20 s of a part"):
        folds_of(Plan(vary, purge_s=Decimal(30)), whole)
