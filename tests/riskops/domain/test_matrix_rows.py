"""What the matrix shows of each question: the whole row, on both sides of its edge."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from riskops.domain.gates import Evidence, Finding, Outcome, SameGrids, State, Verdict, Window
from riskops.domain.matrix import Answer, People, Row, Trend, matrix, trend
from riskops.domain.phases import Criterion, OnMiss
from trading.domain.evidence import Measurement
from trading.domain.in_force import Changed, GridsInForce
from trading.domain.measuring import Over

AT = datetime(2026, 11, 21, tzinfo=UTC)
DONE, EARLY = Window(Decimal(48), 48), Window(Decimal(40), 48)
PASSED = Verdict(Outcome.PASS, (), DONE)
NOTHING: Evidence = {}
COMPLETE = "Is this phase complete, with everything met?"
CRITS = "No CRIT alert in the whole phase?"
WARNS = "WARN alerts not increasing?"
FILLS = "Fill rate at least 85 % and not declining?"
LATENCY = "Latency p95 below 2.5 s and not trending up?"
PROFIT = "P&L trend positive (average of 3 days)?"
LOSSES = "No losses on days that follow each other?"
OPERATION = "No operational issue open?"
SYSTEMATIC = "No systematic issue?"
CONFIDENCE = "Team confidence?"
MARKET = "External market concerns?"


def measured(metric: str, over: Over, *values: str | None) -> Evidence:
    numbers = [None if value is None else Decimal(value) for value in values]
    return {(metric, over): [Measurement(metric, number, 100, Decimal(1), AT, AT, "", "") for number in numbers]}


def row(
    question: str,
    *,
    verdict: Verdict = PASSED,
    evidence: Evidence = NOTHING,
    before: Mapping[str, Decimal] | None = None,
    people: People | None = None,
) -> Row:
    rows = matrix(verdict, evidence, before or {}, people or People()).rows
    return next(found for found in rows if found.question == question)


def finding(metric: str, state: State, on_miss: OnMiss = OnMiss.STAY) -> Finding:
    return Finding(Criterion(metric, on_miss, at_least=Decimal(1)), state, "≥", Decimal(1), None)


def test_the_questions_are_the_roadmaps_in_its_order() -> None:
    asked = [found.question for found in matrix(PASSED, NOTHING, {}, People()).rows]

    assert asked == [
        COMPLETE, CRITS, WARNS, FILLS, LATENCY, PROFIT, LOSSES, OPERATION, SYSTEMATIC, CONFIDENCE, MARKET,
    ]  # fmt: skip


LOW_FILLS, FEW_TRADES = finding("fill_rate", State.NOT_MET), finding("trades", State.NO_DATA)
HALTED, IN_SYNC = finding("crit_alerts", State.NOT_MET, OnMiss.HALT), finding("position_sync", State.MET, OnMiss.HALT)
DRAWN_DOWN = finding("daily_drawdown", State.NOT_MET, OnMiss.AUTO_HALT)


@pytest.mark.parametrize(
    ("verdict", "answer", "reason"),
    [
        (PASSED, Answer.YES, "the whole time in force, and every criterion met"),
        (Verdict(Outcome.STAY, (LOW_FILLS,), DONE), Answer.WAIT, "open: fill_rate"),
        (Verdict(Outcome.STAY, (LOW_FILLS, IN_SYNC, FEW_TRADES), DONE), Answer.WAIT, "open: fill_rate, trades"),
        (Verdict(Outcome.RUNNING, (FEW_TRADES,), EARLY), Answer.WAIT, "8.0 h in force are still to come"),
        (Verdict(Outcome.FAIL, (HALTED, LOW_FILLS), EARLY), Answer.NO, "failed: crit_alerts"),
        (Verdict(Outcome.FAIL, (HALTED, DRAWN_DOWN), DONE), Answer.NO, "failed: crit_alerts, daily_drawdown"),
    ],
    ids=["everything met", "one open", "two open", "time is missing", "failed", "failed twice"],
)
def test_completeness_names_what_is_failed_missing_or_open(verdict: Verdict, answer: Answer, reason: str) -> None:
    assert row(COMPLETE, verdict=verdict) == Row(COMPLETE, answer, reason)


def test_time_that_is_missing_in_two_ways_is_told_both_ways() -> None:
    edited = GridsInForce(Changed("BTCUSDT", AT, None), None, 0, None, AT, "SELECT 1")

    found = row(COMPLETE, verdict=Verdict(Outcome.RUNNING, (), EARLY, SameGrids(edited, 48)))

    assert found.reason == (
        "8.0 h in force are still to come; 48 h with the grids that trade now: "
        "the change of grid BTCUSDT saved on 2026-11-21 00:00 UTC is not in force yet"
    )


@pytest.mark.parametrize(
    ("question", "metric", "over", "now", "before", "answer", "reason"),
    [
        (CRITS, "crit_alerts", Over.RUN, "0", None, Answer.YES, "none"),
        (CRITS, "crit_alerts", Over.RUN, "2", "1", Answer.NO, "2 CRIT alerts"),
        (CRITS, "crit_alerts", Over.RUN, None, "0", Answer.WAIT, "CRIT alerts were not counted"),
        (WARNS, "warn_alerts_per_day", Over.RUN, "1", None, Answer.YES, "not more than one a day"),
        (WARNS, "warn_alerts_per_day", Over.RUN, "1.01", None, Answer.WAIT, "more than one a day"),
        (WARNS, "warn_alerts_per_day", Over.RUN, "2", "2", Answer.YES, "not more than in the phase before"),
        (WARNS, "warn_alerts_per_day", Over.RUN, "2.01", "2", Answer.WAIT, "more than in the phase before"),
        (WARNS, "warn_alerts_per_day", Over.RUN, None, "2", Answer.WAIT, "WARN alerts were not counted"),
        (FILLS, "fill_rate", Over.RUN, "0.85", None, Answer.YES, "at least 85 %"),
        (FILLS, "fill_rate", Over.RUN, "0.8499", None, Answer.WAIT, "below 85 %"),
        (FILLS, "fill_rate", Over.RUN, "0.95", "1", Answer.YES, "at least 85 %"),
        (FILLS, "fill_rate", Over.RUN, "0.9499", "1", Answer.WAIT, "declining since the phase before"),
        (FILLS, "fill_rate", Over.RUN, None, "1", Answer.WAIT, "no fill rate was measured"),
        (LATENCY, "latency_p95_ms", Over.RUN, "2499.9", None, Answer.YES, "below 2.5 s"),
        (LATENCY, "latency_p95_ms", Over.RUN, "2500", "2500", Answer.WAIT, "not below 2.5 s"),
        (LATENCY, "latency_p95_ms", Over.RUN, "240", "200", Answer.YES, "at most 20 % above the phase before"),
        (LATENCY, "latency_p95_ms", Over.RUN, "240.1", "200", Answer.WAIT, "more than 20 % above the phase before"),
        (LATENCY, "latency_p95_ms", Over.RUN, None, "200", Answer.WAIT, "no latency was measured"),
        (PROFIT, "pnl_per_day_quote", Over.LAST_3_DAYS, "0.01", "3", Answer.YES, "positive"),
        (PROFIT, "pnl_per_day_quote", Over.LAST_3_DAYS, "0", "-1", Answer.WAIT, "flat or declining"),
        (PROFIT, "pnl_per_day_quote", Over.LAST_3_DAYS, None, None, Answer.WAIT, "no P&L was measured"),
    ],
)
def test_a_measured_question_shows_its_value_beside_the_phase_before(
    question: str, metric: str, over: Over, now: str | None, before: str | None, answer: Answer, reason: str
) -> None:
    baseline = {} if before is None else {metric: Decimal(before)}
    values = [None if value is None else Decimal(value) for value in (now, before)]

    found = row(question, evidence=measured(metric, over, now), before=baseline)

    assert found == Row(question, answer, reason, metric, *values)


@pytest.mark.parametrize(
    ("question", "metric", "reason"),
    [
        (CRITS, "crit_alerts", "CRIT alerts were not counted"),
        (WARNS, "warn_alerts_per_day", "WARN alerts were not counted"),
        (FILLS, "fill_rate", "no fill rate was measured"),
        (LATENCY, "latency_p95_ms", "no latency was measured"),
        (PROFIT, "pnl_per_day_quote", "no P&L was measured"),
    ],
)
def test_without_any_evidence_every_measured_question_waits(question: str, metric: str, reason: str) -> None:
    assert row(question) == Row(question, Answer.WAIT, reason, metric)


def test_the_newest_value_counts() -> None:
    assert row(FILLS, evidence=measured("fill_rate", Over.RUN, "0.5", "0.9")).measured == Decimal("0.9")


@pytest.mark.parametrize("before", ["NaN", "Infinity"])
def test_what_is_no_number_is_nothing_to_compare_with(before: str) -> None:
    found = row(
        LATENCY, evidence=measured("latency_p95_ms", Over.RUN, "100"), before={"latency_p95_ms": Decimal(before)}
    )

    assert found == Row(LATENCY, Answer.YES, "below 2.5 s", "latency_p95_ms", Decimal(100))
    assert found.trend is Trend.UNKNOWN


@pytest.mark.parametrize(
    ("days", "answer", "reason"),
    [
        ([], Answer.WAIT, "no whole market day was measured"),
        (["-1"], Answer.YES, "1 market days looked at"),
        (["-1", "-1", "0"], Answer.YES, "3 market days looked at"),
        (["-1", None, "-1"], Answer.YES, "3 market days looked at"),
        (["1", "-1", "-0.01"], Answer.NO, "the last 2 market days lost"),
        (["-1", "-1", "-1"], Answer.NO, "the last 3 market days lost"),
    ],
)
def test_losses_that_follow_each_other_say_no(days: Sequence[str | None], answer: Answer, reason: str) -> None:
    found = row(LOSSES, evidence=measured("pnl_quote", Over.EACH_OF_3_DAYS, *days))

    assert found == Row(LOSSES, answer, reason)


def test_a_day_that_nobody_measured_leaves_no_market_day() -> None:
    assert row(LOSSES) == Row(LOSSES, Answer.WAIT, "no whole market day was measured")


@pytest.mark.parametrize(
    ("question", "people", "answer", "reason"),
    [
        (OPERATION, People(), Answer.YES, "no incident is open"),
        (OPERATION, People(open_incidents=["#1 feed", "#2 fees"]), Answer.WAIT, "#1 feed; #2 fees"),
        (SYSTEMATIC, People(), Answer.YES, "no two runs in a row failed alike"),
        (SYSTEMATIC, People(failed_alike=1), Answer.YES, "no two runs in a row failed alike"),
        (SYSTEMATIC, People(failed_alike=2), Answer.NO, "the last 2 runs of this phase failed alike"),
        (CONFIDENCE, People(), Answer.PEOPLE, "each signature says so"),
        (CONFIDENCE, People(rejected_by=["CTO", "Engineer"]), Answer.NO, "rejected by CTO, Engineer"),
        (MARKET, People(), Answer.PEOPLE, "signers say so: HOLD or NO_GO with the reason"),
    ],
)
def test_what_people_know_is_told_in_whole(question: str, people: People, answer: Answer, reason: str) -> None:
    assert row(question, people=people) == Row(question, answer, reason)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [("-95", "-100", Trend.STEADY), ("-94.9", "-100", Trend.UP), ("1", "Infinity", Trend.UNKNOWN)],
)
def test_a_trend_is_measured_against_the_size_of_the_value_before(now: str, before: str, expected: Trend) -> None:
    assert trend(Decimal(now), Decimal(before)) is expected
