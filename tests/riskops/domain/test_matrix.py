"""May capital rise: every question of the roadmap's matrix, on both sides of its edge."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain.gates import Evidence, Outcome, Verdict, Window
from riskops.domain.matrix import Answer, Matrix, People, Row, Trend, matrix, trend
from trading.domain.evidence import Measurement
from trading.domain.measuring import Over

AT = datetime(2026, 11, 21, tzinfo=UTC)
PASSED = Verdict(Outcome.PASS, (), Window(Decimal(48), 48))
GOOD: Mapping[tuple[str, Over], list[str | None]] = {
    ("crit_alerts", Over.RUN): ["0"],
    ("warn_alerts_per_day", Over.RUN): ["0.5"],
    ("fill_rate", Over.RUN): ["0.95"],
    ("latency_p95_ms", Over.RUN): ["120"],
    ("pnl_per_day_quote", Over.LAST_3_DAYS): ["0.01"],
    ("pnl_quote", Over.EACH_OF_3_DAYS): ["1", "-1", "1"],
}
BEFORE = {"warn_alerts_per_day": "0.5", "fill_rate": "0.95", "latency_p95_ms": "100"}


def measurement(metric: str, value: str | None) -> Measurement:
    return Measurement(metric, None if value is None else Decimal(value), 100, Decimal(1), AT, AT, "", "")


def evidence(changed: Mapping[str, list[str | None]]) -> Evidence:
    found: dict[tuple[str, Over], list[str | None]] = {key: changed.get(key[0], values) for key, values in GOOD.items()}
    return {key: [measurement(key[0], value) for value in values] for key, values in found.items()}


def asked(
    changed: Mapping[str, list[str | None]] | None = None,
    *,
    verdict: Verdict = PASSED,
    people: People | None = None,
    before: Mapping[str, str] = BEFORE,
) -> Matrix:
    baseline = {name: Decimal(value) for name, value in before.items()}
    return matrix(verdict, evidence(changed or {}), baseline, people or People())


def test_everything_good_says_yes() -> None:
    found = asked()

    assert (found.answer, found.reasons) == (Answer.YES, ())
    assert {row.answer for row in found.rows} == {Answer.YES, Answer.PEOPLE}


@pytest.mark.parametrize(
    ("changed", "answer", "reason"),
    [
        ({"crit_alerts": ["1"]}, Answer.NO, "1 CRIT alerts"),
        ({"crit_alerts": [None]}, Answer.WAIT, "CRIT alerts were not counted"),
        ({"warn_alerts_per_day": ["0.51"]}, Answer.WAIT, "more than in the phase before"),
        ({"warn_alerts_per_day": []}, Answer.WAIT, "WARN alerts were not counted"),
        ({"fill_rate": ["0.8499"]}, Answer.WAIT, "below 85 %"),
        ({"fill_rate": ["0.9"]}, Answer.WAIT, "declining since the phase before"),
        ({"fill_rate": ["NaN"]}, Answer.WAIT, "no fill rate was measured"),
        ({"latency_p95_ms": ["120.01"]}, Answer.WAIT, "more than 20 % above the phase before"),
        ({"latency_p95_ms": ["2500"]}, Answer.WAIT, "not below 2.5 s"),
        ({"latency_p95_ms": []}, Answer.WAIT, "no latency was measured"),
        ({"pnl_per_day_quote": ["0"]}, Answer.WAIT, "flat or declining"),
        ({"pnl_per_day_quote": [None]}, Answer.WAIT, "no P&L was measured"),
        ({"pnl_quote": ["1", "-1", "-0.01"]}, Answer.NO, "the last 2 market days lost"),
        ({"pnl_quote": []}, Answer.WAIT, "no whole market day was measured"),
    ],
)
def test_one_answer_that_is_worse_decides(changed: dict[str, list[str | None]], answer: Answer, reason: str) -> None:
    found = asked(changed)

    assert (found.answer, found.reasons) == (answer, (reason,))


@pytest.mark.parametrize(
    "changed",
    [
        {"warn_alerts_per_day": ["0.5"]}, {"fill_rate": ["0.9025"]}, {"latency_p95_ms": ["120"]},
        {"pnl_quote": ["-1", "1", "-1"]}, {"pnl_quote": ["-1", "-1", "0"]},
    ],
)  # fmt: skip
def test_on_the_edge_it_is_still_yes(changed: dict[str, list[str | None]]) -> None:
    assert asked(changed).answer is Answer.YES


@pytest.mark.parametrize(("warns", "answer"), [("1", Answer.YES), ("1.1", Answer.WAIT)])
def test_without_a_phase_before_one_warning_a_day_is_enough(warns: str, answer: Answer) -> None:
    assert asked({"warn_alerts_per_day": [warns]}, before={}).answer is answer


@pytest.mark.parametrize(
    ("outcome", "hours", "answer", "reason"),
    [
        (Outcome.RUNNING, "47.9", Answer.WAIT, "0.1 h in force are still to come"),
        (Outcome.FAIL, "48", Answer.NO, "failed: "),
    ],
)
def test_a_phase_that_is_not_complete_waits_and_one_that_failed_says_no(
    outcome: Outcome, hours: str, answer: Answer, reason: str
) -> None:
    found = asked(verdict=Verdict(outcome, (), Window(Decimal(hours), 48)))

    assert (found.answer, found.reasons) == (answer, (reason,))


@pytest.mark.parametrize(
    ("people", "answer", "reason"),
    [
        (People(rejected_by=["CTO"]), Answer.NO, "rejected by CTO"),
        (People(open_incidents=["incident #1"]), Answer.WAIT, "incident #1"),
        (People(failed_alike=2), Answer.NO, "the last 2 runs of this phase failed alike"),
    ],
)
def test_what_people_know_counts(people: People, answer: Answer, reason: str) -> None:
    assert (asked(people=people).answer, asked(people=people).reasons) == (answer, (reason,))


def test_one_failed_run_is_not_systematic() -> None:
    assert asked(people=People(failed_alike=1)).answer is Answer.YES


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ("105", "100", Trend.STEADY), ("105.1", "100", Trend.UP), ("95", "100", Trend.STEADY),
        ("94.9", "100", Trend.DOWN), ("0", "0", Trend.STEADY), ("1", "0", Trend.UP), ("-2", "-1", Trend.DOWN),
        (None, "1", Trend.UNKNOWN), ("1", None, Trend.UNKNOWN), ("NaN", "1", Trend.UNKNOWN),
    ],
)  # fmt: skip
def test_a_trend_is_more_than_five_percent(now: str | None, before: str | None, expected: Trend) -> None:
    values = [None if text is None else Decimal(text) for text in (now, before)]

    assert trend(values[0], values[1]) is expected


@given(answers=st.lists(st.sampled_from(Answer), max_size=6))
def test_the_gravest_answer_decides(answers: list[Answer]) -> None:
    found = Matrix(tuple(Row("?", answer, answer) for answer in answers)).answer

    assert found is (Answer.NO if Answer.NO in answers else Answer.WAIT if Answer.WAIT in answers else Answer.YES)
