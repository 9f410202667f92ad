"""An advice lies within its clamps whatever a model says, and holds nothing but entries back."""

from dataclasses import replace
from math import inf, log, nan
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trading.domain.advice import (
    ASSUMED_MARK_OUT,
    CLAMPS,
    HOUR_NS,
    LEAN_AT,
    LONGEST_NS,
    PAUSE_AT,
    SHOCK_AT,
    UNSURE_FROM,
    Clamps,
    Facts,
    GridAdvice,
    advise,
    clamped,
    floor_of,
)
from trading.domain.learned import HORIZONS_S, Fault, ModelFault, ModelOutput

NOW = 1_750_000_000 * 10**9
CALM = log(0.003**2)  # 0.3 % an hour
FACTS = Facts(NOW, fee_fraction=0.0002, slots=8, mark_out_fraction=0.0003, usual_log_rv=CALM)
ADVICE = GridAdvice("BTCUSDT", "ab", NOW, NOW + HOUR_NS)
anything = st.floats(allow_nan=False, allow_infinity=False)
whatever = st.floats()
facts_at_random = st.builds(
    Facts,
    now_ns=st.just(NOW),
    fee_fraction=st.floats(0, 0.01),
    slots=st.integers(1, 200),
    mark_out_fraction=st.none() | st.floats(-0.05, 0.05),
    usual_log_rv=st.none() | anything,
    smallest_size_fraction=st.floats(0, 1),
    recentred_at_ns=st.none() | st.integers(NOW - 10 * HOUR_NS, NOW),
)


def output(**changes: Any) -> ModelOutput:
    plain = ModelOutput("ab", "BTCUSDT", NOW, (CALM,) * len(HORIZONS_S))
    return replace(plain, **changes)


def test_a_calm_model_asks_for_nothing_but_a_step_that_pays() -> None:
    advice = advise(output(), FACTS)

    assert (advice.levels, advice.size_fraction, advice.skew) == (8, 1.0, 0.0)
    assert not advice.pause_buys
    assert not advice.pause_sells
    assert advice.floor_fraction == 0.003  # 2 x (2 bp + 3 bp) x 3
    assert advice.reasons == ("a step pays fees and the measured mark-out from 0.30% on",)
    assert advice.valid_until_ns == NOW + CLAMPS.valid_ns
    assert advice.unsound == ""


@pytest.mark.parametrize(
    ("mark_out", "floor"),
    [(0.0, 0.0012), (0.0003, 0.003), (-0.0003, 0.003), (None, 2 * (0.0002 + ASSUMED_MARK_OUT) * 3)],
    ids=["none seen", "against us", "in our favour counts as well", "not measured is not zero"],
)
def test_the_floor_is_what_a_round_trip_costs_with_a_margin(mark_out: float | None, floor: float) -> None:
    assert floor_of(replace(FACTS, mark_out_fraction=mark_out)) == pytest.approx(floor)


def test_volatility_that_is_rarely_passed_widens_the_floor() -> None:
    wild = log(0.5**2)

    narrow, wide = (advise(output(log_rv_q=((CALM, high),) * 3), FACTS) for high in (CALM, wild))

    assert narrow.floor_fraction < wide.floor_fraction == pytest.approx(3 * 0.5 / 60, abs=1e-4)
    assert narrow.size_fraction == wide.size_fraction == 1.0
    assert wide.reasons == ("a step pays its volatility from 2.50% on",)


@pytest.mark.parametrize(("times", "size"), [(0.5, 1.0), (1.0, 1.0), (1.5, 0.6), (2.0, 0.5), (9.9, 0.1)])
def test_a_lot_shrinks_with_what_it_risks(times: float, size: float) -> None:
    found = advise(output(log_rv=(CALM + 2 * log(times),) * 3), FACTS)

    assert found.size_fraction == size
    assert found.levels == 8


@pytest.mark.parametrize(("times", "levels", "pauses"), [(2.0, 4, False), (4.0, 2, False), (9.0, 2, True)])
def test_where_the_venue_takes_no_smaller_lot_fewer_are_bought(times: float, levels: int, pauses: bool) -> None:
    found = advise(output(log_rv=(CALM + 2 * log(times),) * 3), replace(FACTS, smallest_size_fraction=0.9))

    assert (found.size_fraction, found.levels, found.pause_buys) == (1.0, levels, pauses)


@pytest.mark.parametrize(("smallest", "size", "levels"), [(0.6, 0.6, 8), (0.61, 1.0, 5)])
def test_the_smallest_lot_is_held_against_the_size_that_is_sent(smallest: float, size: float, levels: int) -> None:
    found = advise(output(log_rv=(CALM + 2 * log(1.5),) * 3), replace(FACTS, smallest_size_fraction=smallest))

    assert (found.size_fraction, found.levels) == (size, levels)


@pytest.mark.parametrize(
    ("trend", "skew", "buys", "sells"),
    [
        (0.0, 0.0, False, False),
        (-LEAN_AT * 0.99, 0.0, False, False),
        (-LEAN_AT, -0.2, False, False),
        (-PAUSE_AT * 0.99, -1.0, False, False),
        (-PAUSE_AT, -1.0, True, False),
        (0.3, 0.6, False, False),
        (PAUSE_AT, 1.0, False, True),
        (1e308, 1.0, False, True),
        (-1e308, -1.0, True, False),
    ],
)
def test_a_trend_leans_and_then_pauses_one_side(trend: float, skew: float, buys: bool, sells: bool) -> None:
    found = advise(output(trend=trend), FACTS)

    assert (found.skew, found.pause_buys, found.pause_sells) == (skew, buys, sells)
    assert found.buy_fraction == 1.0 + min(skew, 0.0)


@pytest.mark.parametrize(("probability", "paused"), [(SHOCK_AT - 0.01, False), (SHOCK_AT, True)])
def test_a_shock_pauses_both_sides(probability: float, paused: bool) -> None:
    found = advise(output(regime=(1 - probability, probability)), FACTS)

    assert (found.pause_buys, found.pause_sells) == (paused, paused)
    assert any("shock" in reason for reason in found.reasons) is paused


@pytest.mark.parametrize(("spread", "size"), [(UNSURE_FROM, 1.0), (2 * UNSURE_FROM, 0.5), (UNSURE_FROM * 5, 0.2)])
def test_what_it_is_unsure_of_is_done_smaller(spread: float, size: float) -> None:
    assert advise(output(uncertainty=spread), FACTS).size_fraction == size


@pytest.mark.parametrize(("hours", "may"), [(None, True), (3.99, False), (4, True)])
def test_a_ladder_is_laid_anew_at_most_once_in_four_hours(hours: float | None, may: bool) -> None:
    laid_ns = None if hours is None else NOW - int(hours * HOUR_NS)

    assert advise(output(), replace(FACTS, recentred_at_ns=laid_ns)).recentre is may


@pytest.mark.parametrize(
    "changes",
    [
        {"log_rv": (CALM, nan, CALM)},
        {"log_rv": (inf, CALM, CALM)},
        {"log_rv_q": ((CALM, nan),) * 3},
        {"trend": nan},
        {"regime": (0.5, nan)},
        {"uncertainty": inf},
    ],
)
def test_what_is_no_number_is_no_advice(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFault) as raised:
        advise(output(**changes), FACTS)

    assert raised.value.fault is Fault.NOT_FINITE


def test_a_model_without_every_volatility_gives_no_advice() -> None:
    with pytest.raises(ModelFault, match="log_rv has 1 horizons") as raised:
        advise(output(log_rv=(CALM,)), FACTS)

    assert raised.value.fault is Fault.MISMATCH


def is_within(advice: GridAdvice, facts: Facts, limits: Clamps = CLAMPS) -> bool:
    stop = advice.stop_distance_fraction
    return (
        advice.unsound == ""
        and 0 <= advice.floor_fraction <= limits.most_floor_fraction
        and advice.levels is not None
        and min(limits.least_levels, facts.slots) <= advice.levels <= facts.slots
        and 0 <= advice.size_fraction <= 1
        and -1 <= advice.skew <= 1
        and 0 <= advice.buy_fraction <= 1
        and (stop is None or limits.least_stop_fraction <= stop <= limits.most_stop_fraction)
        and advice.at_ns <= advice.valid_until_ns <= advice.at_ns + limits.valid_ns
    )


@given(
    log_rv=st.tuples(anything, anything, anything),
    quantiles=st.just(()) | st.tuples(*[st.tuples(anything, anything)] * 3),
    trend=st.none() | anything,
    regime=st.just(()) | st.tuples(anything, anything),
    uncertainty=st.none() | anything,
    facts=facts_at_random,
)
def test_whatever_a_model_says_the_advice_is_within_its_clamps(
    log_rv: Any, quantiles: Any, trend: float | None, regime: Any, uncertainty: float | None, facts: Facts
) -> None:
    said = output(log_rv=log_rv, log_rv_q=quantiles, trend=trend, regime=regime, uncertainty=uncertainty)

    advice = advise(said, facts)

    assert is_within(advice, facts)
    assert advice.floor_fraction >= min(floor_of(facts), CLAMPS.most_floor_fraction) - 1e-9
    assert clamped(advice, facts) == advice  # nothing is left to clamp


@given(
    floor=whatever, levels=st.none() | st.integers(), size=whatever, skew=whatever, stop=st.none() | whatever,
    until=st.integers(-(2**70), 2**70), facts=facts_at_random,
)  # fmt: skip
def test_whatever_comes_out_of_the_clamps_is_within_them(
    floor: float, levels: int | None, size: float, skew: float, stop: float | None, until: int, facts: Facts
) -> None:
    raw = replace(
        ADVICE, floor_fraction=floor, levels=levels, size_fraction=size, skew=skew, stop_distance_fraction=stop,
        valid_until_ns=until,
    )  # fmt: skip

    found = clamped(raw, facts)

    assert is_within(found, facts)
    assert found.buy_fraction <= max(raw.buy_fraction, 0.0) or not 0 <= raw.buy_fraction <= 1


@example(lots=2**53 + 3, size=1.0, skew=0.0)  # a float counts no further
@given(lots=st.integers(0, 2**60), size=st.floats(0, 1), skew=st.floats(-1, 1))
def test_no_entry_grows(lots: int, size: float, skew: float) -> None:
    assert 0 <= replace(ADVICE, size_fraction=size, skew=skew).lots(lots) <= lots


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, ""),
        ({"size_fraction": nan}, "size_fraction"),
        ({"size_fraction": 1.01}, "size_fraction"),
        ({"size_fraction": -0.01}, "size_fraction"),
        ({"floor_fraction": -0.1}, "floor_fraction"),
        ({"floor_fraction": nan}, "floor_fraction"),
        ({"levels": -1}, "levels"),
        ({"skew": -1.01}, "skew"),
        ({"skew": nan}, "skew"),
        ({"stop_distance_fraction": nan}, "stop_distance_fraction"),
        ({"valid_until_ns": NOW - 1}, "valid_until_ns"),
        ({"size_fraction": None}, "size_fraction"),
    ],
)
def test_an_advice_names_its_first_field_that_is_no_number_in_its_range(changes: dict[str, Any], field: str) -> None:
    assert replace(ADVICE, **changes).unsound == field


@pytest.mark.parametrize(
    ("at_ns", "holds"),
    [(NOW - 1, False), (NOW, True), (NOW + HOUR_NS, True), (NOW + HOUR_NS + 1, False)],
    ids=["not yet", "from then on", "until then", "no longer"],
)
def test_an_advice_holds_for_its_time(at_ns: int, holds: bool) -> None:
    assert ADVICE.holds(at_ns) is holds


@pytest.mark.parametrize(("after_ns", "holds"), [(LONGEST_NS, True), (LONGEST_NS + 1, False)])
def test_no_advice_holds_for_longer_than_a_day(after_ns: int, holds: bool) -> None:
    assert replace(ADVICE, valid_until_ns=NOW + 9 * LONGEST_NS).holds(NOW + after_ns) is holds


def test_two_advices_that_do_the_same_are_one() -> None:
    later = replace(ADVICE, at_ns=NOW + 1, valid_until_ns=NOW + 2 * HOUR_NS, reasons=("other",), recentre=True)

    assert later.restraint == ADVICE.restraint
    assert replace(ADVICE, pause_buys=True).restraint != ADVICE.restraint
