"""Slices of time that merge without loss, and every metric out of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.drift import DAY_NS
from trading.domain.drills import Drill, Outcome
from trading.domain.events import Severity
from trading.domain.evidence import EMPTY, HOUR, METRICS, Equity, Facts, Slice, SymbolFacts, cut, merged
from trading.domain.latency import Histogram
from trading.domain.limits import ExecutionStyle
from trading.domain.measuring import HOUR_NS, MEASURES, Found, Material, Tried, days_of
from trading.domain.metrics import drawdown_fraction

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND_NS = 1_000_000_000
BTC, ETH = "BTCUSDT", "ETHUSDT"
counts = st.integers(0, 10**15)
money = st.decimals(0, 10**9, places=8)
histograms = st.dictionaries(st.integers(0, 500), st.integers(1, 10**6), max_size=4).map(Histogram)
series = st.lists(st.decimals(-1_000, 100_000, places=4), max_size=8)


def equity_of(equities: Sequence[Decimal | int]) -> Equity | None:
    found = None
    for one in equities:
        found = Equity.of(Decimal(one)) if found is None else found.then(Equity.of(Decimal(one)))
    return found


@st.composite
def symbol_facts(draw: st.DrawFn) -> SymbolFacts:
    asked, trips, answered = draw(counts), draw(counts), draw(counts)
    filled, wins = draw(st.integers(0, asked)), draw(st.integers(0, trips))
    return SymbolFacts(
        filled, asked, draw(counts), draw(counts), draw(counts), draw(counts), trips, wins, draw(money), draw(money),
        answered, draw(st.integers(0, answered)), draw(st.none() | money),
    )  # fmt: skip


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    watched, readings, equities = draw(counts), draw(counts), draw(series)
    return Facts(
        watched_ns=watched,
        fed_ns=draw(st.integers(0, watched)),
        in_force_ns=draw(st.integers(0, watched)),
        market_ns=draw(counts),
        accelerated=draw(st.booleans()),
        samples=len(equities),
        readings=readings,
        in_sync=draw(st.integers(0, readings)),
        equity=equity_of(equities),
        daily_drawdown=draw(st.decimals(0, 1, places=6)),
        latency=draw(histograms),
        detailed_ns=draw(st.integers(0, watched)),
        feed_losses=draw(counts),
        tick_submit=draw(histograms),
        ack_fill=draw(histograms),
        symbols=draw(st.dictionaries(st.sampled_from((BTC, ETH)), symbol_facts())),
    )


# --- merging ----------------------------------------------------------------------------------------------------------


@given(facts(), facts(), facts())
def test_it_does_not_matter_which_slices_are_merged_first(a: Facts, b: Facts, c: Facts) -> None:
    assert a.then(b).then(c) == a.then(b.then(c)) == merged((a, b, c))


@given(facts())
def test_nothing_before_or_after_changes_nothing(one: Facts) -> None:
    assert EMPTY.then(one) == one == one.then(EMPTY)


@given(st.lists(series.filter(bool), min_size=1, max_size=5))
def test_the_drawdown_of_merged_slices_is_that_of_the_whole_series(slices: list[list[Decimal]]) -> None:
    whole = [one for equities in slices for one in equities]
    highs = accumulate(whole, max)

    found = merged(Facts(samples=len(one), equity=equity_of(one)) for one in slices).equity

    expected = max(min(drawdown_fraction(high, one), Decimal(1)) for high, one in zip(highs, whole, strict=True))
    assert found == Equity(whole[0], whole[-1], max(whole), min(whole), expected, whole[0], whole[-1])


@given(facts())
def test_facts_come_back_from_json_as_they_were(one: Facts) -> None:
    assert Facts.from_json(one.to_json()) == one


@pytest.mark.parametrize(
    "change",
    [
        {"watched_ns": -1},
        {"watched_ns": True},
        {"watched_ns": 1.5},
        {"fed_ns": 10**12},
        {"in_sync": 1},
        {"detailed_ns": 1},
        {"feed_losses": -1},
        {"tick_submit": {"1": 0}},
        {"ack_fill": []},
        {"samples": 1},
        {"accelerated": 0},
        {"daily_drawdown": "NaN"},
        {"daily_drawdown": 0.1},
        {"daily_drawdown": "-0.1"},
        {"latency": {"-1": 1}},
        {"latency": {"one": 1}},
        {"latency": {"1": 0}},
        {"symbols": []},
        {"symbols": {BTC: {}}},
        {"equity": {"first": "1"}},
        {"equity": {"first": "5", "last": "1", "peak": "2", "trough": "1", "drawdown": "0"}, "samples": 1},
        {"surprise": 1},
    ],
    ids=str,
)
def test_json_that_is_no_facts_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|facts:|invalid literal"):
        Facts.from_json(EMPTY.to_json() | change)


LATER = ("detailed_ns", "feed_losses", "tick_submit", "ack_fill")
LATER_OF_SYMBOL = ("answered", "rejected", "drawdown")


def test_facts_that_were_stored_before_more_was_kept_still_read() -> None:
    known = SymbolFacts(1, 2, 3, 4, 5, 6, 7, 6, Decimal(1), Decimal(2))
    facts = Facts(watched_ns=60, fed_ns=50, latency=Histogram({3: 4}), symbols={BTC: known})
    stored = facts.to_json()
    for name in LATER:
        del stored[name]
    for name in LATER_OF_SYMBOL:
        del stored["symbols"][BTC][name]

    assert Facts.from_json(stored) == facts
    assert (facts.detailed_ns, facts.symbols[BTC].drawdown) == (0, None)


@pytest.mark.parametrize(
    "change", [{"answered": 1, "rejected": 2}, {"answered": -1}, {"drawdown": "-0.1"}, {"drawdown": 0}], ids=str
)
def test_what_a_symbol_cannot_have_done_is_refused(change: dict[str, Any]) -> None:
    stored = Facts(symbols={BTC: SymbolFacts()}).to_json()
    stored["symbols"][BTC] |= change

    with pytest.raises(ValueError, match=r"expected|facts:"):
        Facts.from_json(stored)


@pytest.mark.parametrize("found", [None, [], "{}", 1, {}], ids=str)
def test_json_that_is_no_whole_table_is_refused(found: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Facts.from_json(found)


# --- slices -----------------------------------------------------------------------------------------------------------


def watched(seconds: int = 60, speed: int = 1, **changes: Any) -> Facts:
    ns = seconds * SECOND_NS
    return Facts(ns, ns, ns, ns * speed, speed > 1, **changes)


def minutes(count: int, *, speed: int = 1, begin: datetime = BEGIN) -> list[tuple[datetime, Facts]]:
    return [(begin + number * MINUTE, watched(speed=speed)) for number in range(count)]


def test_a_slice_ends_with_the_hour_and_nothing_is_left_out() -> None:
    begin = BEGIN + 30 * MINUTE

    found = cut(begin, begin + 3 * HOUR, minutes(45, begin=begin))

    assert [(one.until - one.since) // MINUTE for one in found] == [30, 60, 60, 30]
    assert [one.facts.watched_ns // (60 * SECOND_NS) for one in found] == [30, 15, 0, 0]


def test_a_slice_holds_about_an_hour_of_the_market_however_fast_it_runs() -> None:
    found = cut(BEGIN, BEGIN + HOUR, minutes(60, speed=20))

    assert len(found) == 20
    assert {one.facts.market_ns for one in found} == {HOUR_NS}
    assert (found[0].since, found[-1].until) == (BEGIN, BEGIN + HOUR)


def hours(count: int, *, market_ns: int = HOUR_NS, equity: int = 100, **changes: Any) -> list[Slice]:
    one = Facts(HOUR_NS, HOUR_NS, HOUR_NS, market_ns, samples=1, equity=Equity.of(Decimal(equity)), **changes)
    return [Slice(BEGIN + number * HOUR, BEGIN + (number + 1) * HOUR, one) for number in range(count)]


def test_days_are_counted_from_the_end_in_time_that_was_in_force() -> None:
    halted = Slice(BEGIN + 30 * HOUR, BEGIN + 40 * HOUR, Facts(watched_ns=10 * HOUR_NS))

    before, days = days_of([*hours(30), halted, *hours(24)])

    assert len(before) == 6
    assert [sum(one.facts.market_ns for one in day) for day in days] == [DAY_NS, DAY_NS]
    assert halted in days[0]


def test_an_hour_short_of_a_day_is_no_day() -> None:
    assert days_of(hours(23))[1] == []


# --- metrics ----------------------------------------------------------------------------------------------------------


def found_in(metric: str, slices: Sequence[Slice], **changes: Any) -> Found:
    values: dict[str, Any] = {"alerts": {}, "styles": {}, "running": frozenset()}
    before, days = days_of(slices)
    facts = [merged(one.facts for one in day) for day in days]
    return MEASURES[metric](Material.of(merged(one.facts for one in before), facts, **(values | changes)))


def value_of(metric: str, facts: Facts, **changes: Any) -> Decimal | None:
    return found_in(metric, [Slice(BEGIN, BEGIN + HOUR, facts)], **changes).value


def symbols(**changes: Any) -> Facts:
    return Facts(symbols={BTC: SymbolFacts(**changes)})


def test_every_metric_has_a_measure() -> None:
    assert MEASURES.keys() == METRICS.keys()


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "crit_alerts"])
def test_of_nothing_nothing_is_known(metric: str) -> None:
    found = found_in(metric, [], running=frozenset({BTC}))

    assert (found.value, found.samples) == (None, 0)
    assert found.detail


@pytest.mark.parametrize(
    ("metric", "facts", "expected"),
    [
        ("feed_uptime", Facts(watched_ns=400, fed_ns=100), "0.25"),
        ("position_sync", Facts(readings=8, in_sync=7), "0.875"),
        ("win_rate", symbols(round_trips=8, wins=6), "0.75"),
        ("profit_factor", symbols(round_trips=2, gain_quote=Decimal(3), loss_quote=Decimal(2)), "1.5"),
        ("profit_factor", symbols(round_trips=2, gain_quote=Decimal(3)), "999"),
        ("profit_factor", symbols(round_trips=1, loss_quote=Decimal(2)), "0"),
        ("profit_factor", symbols(round_trips=1), None),
        ("fills_per_minute", replace(symbols(fills=30), market_ns=2 * 60 * SECOND_NS), "15"),
        ("fills_per_minute", symbols(fills=30), None),
        ("daily_drawdown", Facts(samples=1, equity=equity_of([1]), daily_drawdown=Decimal("0.01")), "0.01"),
        ("daily_drawdown", Facts(), None),
        ("high_water_drawdown", Facts(samples=3, equity=equity_of([100, 120, 90])), "0.25"),
        ("pnl_quote", Facts(samples=3, equity=equity_of([100, 120, 90])), "-10"),
        ("pnl_per_day_quote", Facts(samples=2, equity=equity_of([100, 90]), market_ns=2 * DAY_NS), "-5"),
        ("monthly_return", Facts(samples=2, equity=equity_of([100, 101]), market_ns=3 * DAY_NS), "0.1"),
        ("monthly_return", Facts(samples=2, equity=equity_of([100, 101]), market_ns=DAY_NS - 1), None),
    ],
)
def test_a_metric_is_numerator_by_denominator(metric: str, facts: Facts, expected: str | None) -> None:
    assert value_of(metric, facts) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("metric", "facts", "expected"),
    [
        ("latency_p50_ms", Facts(latency=Histogram({1: 50, 2: 49, 3: 1})), "0.001"),
        ("latency_p99_ms", Facts(latency=Histogram({1: 50, 2: 49, 3: 1})), "0.002"),
        ("tick_submit_p95_ms", Facts(tick_submit=Histogram({1: 94, 5: 6})), "0.005"),
        ("ack_fill_p50_ms", Facts(ack_fill=Histogram({7: 1})), "0.007"),
        ("tick_submit_p95_ms", Facts(latency=Histogram({7: 1})), None),
        ("reject_rate", symbols(answered=8, rejected=1), "0.125"),
        ("reject_rate", symbols(answered=8), "0"),
        ("reject_rate", symbols(ended=8, asked_lots=8), None),
        ("reconnects", Facts(watched_ns=9, detailed_ns=9), "0"),
        ("reconnects", Facts(watched_ns=9, detailed_ns=9, feed_losses=3), "3"),
        ("reconnects", Facts(watched_ns=9), None),
        ("symbol_drawdown", symbols(drawdown=Decimal("0.01")), "0.01"),
        ("symbol_drawdown", symbols(drawdown=Decimal(0)), "0"),
        ("symbol_drawdown", symbols(touched=1), None),
    ],
)
def test_what_is_also_measured_is_unknown_where_it_was_not_kept(
    metric: str, facts: Facts, expected: str | None
) -> None:
    assert value_of(metric, facts) == (None if expected is None else Decimal(expected))


def test_the_drawdown_of_a_symbol_is_the_largest_of_any_and_silent_symbols_are_unknown() -> None:
    some = Facts(samples=70, equity=equity_of([1]), symbols={
        BTC: SymbolFacts(drawdown=Decimal("0.002")), ETH: SymbolFacts(drawdown=Decimal("0.001"))
    })  # fmt: skip
    later = Facts(symbols={BTC: SymbolFacts(drawdown=Decimal("0.001")), ETH: SymbolFacts(touched=1)})
    slices = [Slice(BEGIN, BEGIN + HOUR, one) for one in (some, later)]

    found = found_in("symbol_drawdown", slices, running=frozenset({BTC, "BNBUSDT"}))

    assert found[:2] == (Decimal("0.002"), 70)
    assert found.each == (("BNBUSDT", None), (BTC, Decimal("0.002")), (ETH, Decimal("0.001")))


def test_rejects_of_symbols_add_up() -> None:
    one, other = SymbolFacts(answered=30, rejected=1), SymbolFacts(answered=10, rejected=3)

    assert value_of("reject_rate", Facts(symbols={BTC: one, ETH: other})) == Decimal("0.1")


def test_drills_are_counted_once_every_kind_was_tried() -> None:
    tried = dict.fromkeys(Drill, Tried(Outcome.PASSED, BEGIN)) | {Drill.DRAWDOWN: Tried(Outcome.FAILED, BEGIN)}
    three = {kind: one for kind, one in tried.items() if kind is not Drill.MANUAL}

    assert found_in("kill_drills", [], drills=tried)[:2] == (Decimal(3), 4)
    assert found_in("kill_drills", [], drills=three)[:2] == (None, 3)
    assert "drawdown failed 2026-11-01 00:00" in found_in("kill_drills", [], drills=three).detail


def test_alerts_are_counted_and_set_against_days_in_force() -> None:
    alerts = {Severity.CRIT: 2, Severity.WARN: 6}

    assert found_in("crit_alerts", hours(48), alerts=alerts)[:2] == (Decimal(2), 2)
    assert found_in("warn_alerts_per_day", hours(48), alerts=alerts)[:2] == (Decimal(3), 6)


def test_the_fill_rate_follows_the_style_of_each_grid() -> None:
    both = Facts(
        symbols={
            BTC: SymbolFacts(filled_lots=90, asked_lots=100, ended=30, touched=1),
            ETH: SymbolFacts(touched=10, touch_filled=5, filled_lots=1, asked_lots=1, ended=1),
        }
    )
    styles = {BTC: ExecutionStyle.TAKER, ETH: ExecutionStyle.MAKER}
    slices = [Slice(BEGIN, BEGIN + HOUR, both)]

    mean = found_in("fill_rate", slices, styles=styles, running=frozenset(styles))
    each = found_in("fill_rate_each_symbol", slices, styles=styles, running=frozenset(styles))

    assert mean[:2] == (Decimal("0.8"), 40)
    assert each[:2] == (Decimal("0.5"), 10)
    assert each.each == ((BTC, Decimal("0.9")), (ETH, Decimal("0.5")))
    assert "90 of 100 lots" in mean.detail
    assert "5 of 10 touched levels" in mean.detail


def test_a_silent_grid_is_unknown_and_one_switched_off_hides_nothing() -> None:
    off = [Slice(BEGIN, BEGIN + HOUR, symbols(filled_lots=1, asked_lots=2, ended=20))]

    found = found_in("fill_rate_each_symbol", off, styles={ETH: ExecutionStyle.TAKER}, running=frozenset({ETH}))

    assert found.each == ((BTC, Decimal("0.5")), (ETH, None))
    assert found.samples == 0


def test_a_percentile_is_taken_of_all_slices_together() -> None:
    fast, slow = Facts(latency=Histogram({10: 94})), Facts(latency=Histogram({400: 6}))

    found = found_in("latency_p95_ms", [Slice(BEGIN, BEGIN + HOUR, one) for one in (fast, slow)])

    assert found.samples == 100
    assert found.value == Decimal(str(slow.latency.percentile_ms(50)))


def closes(*equities: int) -> list[Slice]:
    """Return one day of two slices for each equity it closes with, begun at 100."""
    found = []
    for number, equity in enumerate(equities):
        begin = BEGIN + number * 24 * HOUR
        for half in range(2):
            one = Facts(12 * HOUR_NS, market_ns=12 * HOUR_NS, samples=2, equity=equity_of([100, equity]))
            found.append(Slice(begin + half * 12 * HOUR, begin + (half + 1) * 12 * HOUR, one))
    return found


def test_the_sharpe_ratio_needs_a_week_of_returns() -> None:
    week = found_in("sharpe", closes(101, 102, 101, 103, 104, 104, 105))

    assert found_in("sharpe", closes(101, 102, 101, 103, 104, 104))[:2] == (None, 6)
    assert week.samples == 7
    assert round(week.value or 0, 1) == Decimal("14.3")  # 0.70319 % / 0.93706 % a day


def test_returns_that_never_vary_have_no_sharpe_ratio() -> None:
    assert found_in("sharpe", closes(*[100] * 8))[:2] == (None, 8)


def test_a_monthly_drawdown_ends_with_its_month() -> None:
    fall = [Slice(BEGIN, BEGIN, Facts(market_ns=DAY_NS, samples=1, equity=equity_of([e]))) for e in (100, *[90] * 31)]

    assert found_in("monthly_drawdown", fall[:30]).value == Decimal("0.1")
    assert found_in("monthly_drawdown", [fall[0], *[fall[0]] * 30, *fall[1:]]).value == Decimal("0.1")
    slow = [
        replace(one, facts=replace(one.facts, equity=equity_of([200 - day]))) for day, one in enumerate([fall[0]] * 60)
    ]
    assert found_in("high_water_drawdown", slow).value == Decimal(59) / 200
    assert found_in("monthly_drawdown", slow).value == Decimal(29) / 170
