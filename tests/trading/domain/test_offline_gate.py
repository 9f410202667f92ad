"""A model passes offline only on the right side of every edge, and a year that was opened stays spent."""

from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from trading.domain.offline_gate import (
    DAY_NS,
    Evidence,
    HoldoutSpent,
    Opening,
    judge,
    locked_year,
    open_holdout,
    passed,
    read_evidence,
    with_locked_year,
)
from trading.domain.splits import Span

ON_THE_LINE = Evidence(
    folds=8, seeds=5, t_vs_best=2.0, better_folds=0.75, worst_fold=0.05, skill_vs_har=0.05, behind_ridge=0.01,
    shifts=20, permutation_p=0.05, replayed=True, replayed_adverse=True, claims_profit=True, deflated=0.95,
    overfit=0.2, parity=1e-5, latency_p99_ms=50.0, deadline_ms=50.0, quick=False, holdout_openings=1,
    holdout_skill=0.05,
)  # fmt: skip


def test_on_the_line_is_enough() -> None:
    findings = judge(ON_THE_LINE)

    assert passed(findings)
    assert len(findings) == 15


@pytest.mark.parametrize(
    ("change", "criterion"),
    [
        ({"folds": 7}, "folds"),
        ({"seeds": 4}, "seeds"),
        ({"quick": True}, "fully trained"),
        ({"t_vs_best": 1.99}, "significance"),
        ({"better_folds": 0.74}, "folds won"),
        ({"worst_fold": 0.051}, "worst fold"),
        ({"skill_vs_har": 0.049}, "skill"),
        ({"behind_ridge": 0.011}, "Ridge"),
        ({"permutation_p": 0.051}, "permutation"),
        ({"shifts": 19}, "permutation"),
        ({"replayed": False}, "replay"),
        ({"replayed_adverse": False}, "replay"),
        ({"parity": 1.1e-5}, "parity"),
        ({"parity": -1.0}, "parity"),
        ({"latency_p99_ms": 50.1}, "latency"),
        ({"holdout_openings": 0}, "locked year"),
        ({"holdout_openings": 2}, "locked year"),
        ({"holdout_skill": 0.049}, "locked year"),
        ({"deflated": 0.949}, "deflated Sharpe ratio"),
        ({"overfit": 0.201}, "overfitting"),
        ({"skill_vs_har": float("nan")}, "skill"),
        ({"latency_p99_ms": float("-inf")}, "latency"),
    ],
)
def test_beyond_the_line_that_criterion_alone_is_missed(change: dict[str, Any], criterion: str) -> None:
    findings = judge(replace(ON_THE_LINE, **change))

    assert [finding.criterion for finding in findings if not finding.met] == [criterion]
    assert not passed(findings)


@pytest.mark.parametrize("name", [each.name for each in fields(Evidence) if each.name != "claims_profit"])
def test_what_was_not_measured_is_not_met(name: str) -> None:
    findings = judge(replace(ON_THE_LINE, **{name: None}))

    missed = [finding for finding in findings if not finding.met]
    assert [finding.actual for finding in missed] == ["not measured"]


def test_nothing_measured_meets_nothing() -> None:
    findings = judge(Evidence())

    assert len(findings) == 15
    assert not any(finding.met for finding in findings)
    assert not passed(())


def test_only_who_says_he_claims_no_profit_is_spared_its_criteria() -> None:
    bare = replace(ON_THE_LINE, deflated=None, overfit=None)

    assert passed(judge(replace(bare, claims_profit=False)))
    assert not passed(judge(replace(bare, claims_profit=None)))


def test_evidence_survives_an_evaluation_file() -> None:
    assert read_evidence({"evidence": asdict(ON_THE_LINE)}) == ON_THE_LINE


@pytest.mark.parametrize(
    "raw", [{}, {"evidence": None}, {"evidence": {"folds": "8", "quick": 0, "t_vs_best": True, "unheard": 1}}]
)
def test_evidence_of_another_type_was_not_measured(raw: dict[str, object]) -> None:
    assert read_evidence(raw) == Evidence()


def test_of_less_than_eighteen_months_no_year_is_locked() -> None:
    begin = 1_600_000_000_000_000_000

    assert locked_year(Span(begin, begin + 548 * DAY_NS - 1)) is None
    assert locked_year(Span(begin, begin + 548 * DAY_NS)) == Span(begin + 183 * DAY_NS, begin + 548 * DAY_NS)


def test_a_family_opens_the_locked_year_once() -> None:
    first = Opening("volatility-1", "abc", "2025-01-02T03:04:05Z", "quant")
    other = replace(first, family="volatility-2")

    assert open_holdout([], first) == first
    assert open_holdout([first], other) == other
    with pytest.raises(
        HoldoutSpent, match=r"volatility-1: the locked year was opened on 2025-01-02.* by quant for abc"
    ):
        open_holdout([other, first], replace(first, model="def"))


def test_the_locked_year_adds_its_two_facts_and_nothing_else() -> None:
    evidence = asdict(replace(ON_THE_LINE, holdout_openings=None, holdout_skill=None))
    opened = {"evidence": {"folds": 6, "t_vs_best": 99.0, "holdout_openings": 1, "holdout_skill": 0.05}, "mse": 0.5}

    found = with_locked_year({"evidence": evidence, "mse": 0.6}, opened)

    assert found["offline_pass"] is True
    assert (found["mse"], found["locked_year_report"]) == (0.6, {"mse": 0.5})
    assert read_evidence(found) == ON_THE_LINE


@pytest.mark.parametrize("before", [None, {}, {"evidence": None}])
def test_the_locked_year_alone_shows_too_little(before: dict[str, Any] | None) -> None:
    opened = {"evidence": {"holdout_openings": 1, "holdout_skill": 0.5, "folds": 8}}

    found = with_locked_year(before, opened)

    assert found["offline_pass"] is False
    assert [each["criterion"] for each in found["findings"] if each["met"]] == ["locked year"]
