"""What people read when a step cannot go on: the whole sentence, on both sides of each edge."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from riskops.domain import phases, steps
from riskops.domain.gates import Finding, Outcome, State, Verdict, Window
from riskops.domain.phases import Criterion, OnMiss
from riskops.domain.steps import Change, Decision, Signature
from riskops.domain.strict import digest_of

FILES = Path(phases.__file__).parents[1] / "roadmap"
MICRO, SMALL = (phases.read((FILES / f"{name}.toml").read_text(encoding="utf-8"), name=name) for name in ("4.0", "4.1"))
NEEDED = ("Trading Lead", "CTO")
DIGEST = "a" * 64
LEAD, CTO = Signature("Trading Lead", 1, True, DIGEST), Signature("CTO", 2, True, DIGEST)
DONE, EARLY = Window(Decimal(48), 48), Window(Decimal(40), 48)
PASSED = Verdict(Outcome.PASS, (), DONE)


def why_not_go(
    verdict: Verdict = PASSED,
    *,
    given: Sequence[Signature] = (LEAD, CTO),
    digest: str = DIGEST,
    unticked: Sequence[str] = (),
    unwatched: timedelta | None = timedelta(),
    retest: Window | None = None,
    **time: Any,
) -> str:
    return steps.why_not_decide(
        Decision.GO,
        verdict=verdict,
        needed=NEEDED,
        given=given,
        requester=1,
        digest=digest,
        notes="",
        unticked=unticked,
        unwatched=unwatched,
        retest=retest,
        **time,
    )


def finding(metric: str, state: State, on_miss: OnMiss = OnMiss.STAY) -> Finding:
    return Finding(Criterion(metric, on_miss, at_least=Decimal(1)), state, "≥", Decimal(1), None)


def test_an_unknown_phase_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="phase") as refused:
        steps.next_phase("4.4")

    assert str(refused.value) == (
        "4.4 is no phase of the roadmap; its phases are 4.0, 4.1, 4.2, 4.3, 4.4a, 4.4b, 4.4c, 5."
    )


@pytest.mark.parametrize(
    ("phase_id", "last", "expected"),
    [
        ("4.4", None, "4.4 is no phase of the roadmap."),
        ("4.1", None, "A roadmap begins with 4.0; no phase can be skipped."),
        ("4.0", ("4.0", Decision.PENDING), "The run of 4.0 is not decided yet."),
        ("4.2", ("4.0", Decision.GO), "After GO on 4.0 only 4.1 may start."),
        ("4.1", ("4.0", Decision.HOLD), "After HOLD on 4.0 only 4.0 may start."),
        ("4.1", ("4.0", Decision.NO_GO), "After NO_GO on 4.0 only 4.0 may start."),
        ("5", ("5", Decision.GO), "5 is the last phase of the roadmap: nothing follows its GO."),
    ],
)
def test_a_run_that_may_not_start_is_refused_with_the_one_that_may(
    phase_id: str, last: tuple[str, Decision] | None, expected: str
) -> None:
    assert steps.why_not_start(phase_id, last) == expected


TO_PAPER = "4.0 has failed: it begins again on paper, with 48 h of re-test. Take the desk to paper."


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, ""),
        ({"is_paper": False}, ""),
        ({"is_retest": True}, ""),
        ({"is_retest": True, "is_paper": True}, ""),
        ({"is_retest": True, "is_paper": False}, TO_PAPER),
    ],
    ids=["as it is", "with real money", "on paper unless told", "on paper", "a re-test with real money"],
)
def test_only_a_retest_must_be_on_paper(how: dict[str, bool], expected: str) -> None:
    assert steps.why_not_start("4.0", ("4.0", Decision.NO_GO), **how) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, False),
        ((Decision.NO_GO, Outcome.FAIL, False), True),
        ((Decision.NO_GO, Outcome.FAIL, True), True),
        ((Decision.NO_GO, Outcome.RUNNING, True), True),
        ((Decision.NO_GO, Outcome.RUNNING, False), False),
        ((Decision.NO_GO, Outcome.PASS, False), False),
        ((Decision.HOLD, Outcome.STAY, True), False),
        ((Decision.GO, Outcome.PASS, True), False),
        ((Decision.PENDING, Outcome.FAIL, False), False),
    ],
)
def test_a_failed_run_owes_a_retest_until_one_was_not_ended_by_people(
    last: tuple[Decision, Outcome, bool] | None, expected: bool
) -> None:
    assert steps.is_retest(last) is expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"CTO"}, ""),
        ({"Trading Lead", "Trader"}, ""),
        ({"Trader"}, "Only Trading Lead, CTO decide this step."),
        (set(), "Only Trading Lead, CTO decide this step."),
    ],
)
def test_only_who_signs_a_step_decides_it(held: set[str], expected: str) -> None:
    assert steps.why_not_decider(held, NEEDED) == expected


@pytest.mark.parametrize(
    ("held", "is_requester", "expected"),
    [
        ({"Trader"}, True, ""),
        ({"CTO"}, False, ""),
        ({"CTO"}, True, ""),
        ({"Trader"}, False, "Only who asked for it, or who signs it, can withdraw a request."),
        (set(), False, "Only who asked for it, or who signs it, can withdraw a request."),
    ],
)
def test_a_request_is_withdrawn_by_who_asked_or_who_signs(held: set[str], is_requester: bool, expected: str) -> None:
    assert steps.why_not_withdrawer(held, NEEDED, is_requester=is_requester) == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"CTO"}, ""),
        ({"Trading Lead"}, ""),
        ({"Trader", "Engineer", "CEO"}, "Only CTO or Trading Lead start a run."),
        (set(), "Only CTO or Trading Lead start a run."),
    ],
)
def test_only_the_cto_or_the_trading_lead_starts_a_run(held: set[str], expected: str) -> None:
    assert steps.why_not_starter(held) == expected


@pytest.mark.parametrize(
    ("role", "held", "person", "approves", "note", "expected"),
    [
        ("CEO", {"CEO"}, 3, True, "", "CEO does not sign this step; it needs Trading Lead, CTO."),
        ("CTO", {"CEO"}, 3, True, "", "You do not hold the role CTO."),
        ("Trading Lead", {"Trading Lead"}, 3, True, "", "Trading Lead has signed."),
        ("CTO", {"CTO"}, 1, True, "", "You have signed in another role: every signature is another person's."),
        ("CTO", {"CTO"}, 3, False, " nine let ", "Say why you reject it, in at least 10 characters."),
        ("CTO", {"CTO"}, 3, False, "ten letter", ""),
        ("CTO", {"CTO"}, 3, True, "", ""),
    ],
)
def test_a_signature_is_refused_with_the_reason(  # one column for each fact
    role: str, held: set[str], person: int, approves: bool, note: str, expected: str
) -> None:
    refusal = steps.why_not_sign(
        role=role, roles_held=held, person=person, needed=NEEDED, given=[LEAD], approves=approves, note=note
    )

    assert refusal == expected


LOW_FILLS, IN_SYNC = finding("fill_rate", State.NOT_MET), finding("position_sync", State.MET)
NO_SHARPE, ADVISED = finding("sharpe", State.NO_DATA), finding("win_rate", State.NOT_MET, OnMiss.ADVISE)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (PASSED, ""),
        (Verdict(Outcome.RUNNING, (), EARLY), "The machine says RUNNING: 8.0 h in force are still to come."),
        (Verdict(Outcome.STAY, (LOW_FILLS, IN_SYNC, ADVISED), DONE), "The machine says STAY: Fill rate: not met."),
        (
            Verdict(Outcome.RUNNING, (LOW_FILLS, NO_SHARPE), EARLY),
            "The machine says RUNNING: 8.0 h in force are still to come; Fill rate: not met; Sharpe ratio: no data.",
        ),
    ],
    ids=["passed", "time is missing", "one open", "time and two open"],
)
def test_go_without_a_pass_is_refused_with_all_that_is_open(verdict: Verdict, expected: str) -> None:
    assert why_not_go(verdict) == expected


@pytest.mark.parametrize(
    ("unwatched", "expected"),
    [
        (timedelta(minutes=5), ""),
        (
            timedelta(minutes=5, seconds=1),
            "Nothing has been watched for 5 minutes: no GO on evidence older than 5 minutes.",
        ),
        (
            timedelta(minutes=7, seconds=59),
            "Nothing has been watched for 7 minutes: no GO on evidence older than 5 minutes.",
        ),
        (None, "Nothing has been watched yet: no GO on evidence older than 5 minutes."),
    ],
    ids=["just fresh", "a second too old", "in whole minutes", "nothing ever"],
)
def test_go_needs_evidence_that_is_fresh(unwatched: timedelta | None, expected: str) -> None:
    assert why_not_go(unwatched=unwatched) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ("48", ""),
        ("47.9", "The run before failed: 0.1 h of 48 h re-test on paper are still to come."),
        ("0", "The run before failed: 48.0 h of 48 h re-test on paper are still to come."),
    ],
)
def test_go_after_a_failed_run_needs_the_whole_retest(hours: str, expected: str) -> None:
    assert why_not_go(retest=Window(Decimal(hours), 48)) == expected


def test_an_account_is_taken_for_a_real_one_unless_it_is_said_to_be_paper() -> None:
    assert why_not_go(is_real=True) == ""
    assert why_not_go(is_accelerated=True).startswith("Part of this run's time was a replay")
    assert why_not_go(is_accelerated=True, is_real=False) == ""


REJECTED = "A signer rejected this step: only HOLD or NO_GO can be recorded."
LAPSED = "What was shown has changed since Trading Lead, CTO signed: those signatures have lapsed."


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"unticked": ["Team notified"]}, "The checklist is not complete: Team notified."),
        ({"unticked": ["Team notified", "Backup"]}, "The checklist is not complete: Team notified; Backup."),
        ({"given": [LEAD, replace(CTO, approves=False)]}, REJECTED),
        ({"digest": "b" * 64}, LAPSED),
        ({"given": []}, "Signatures are missing: Trading Lead, CTO."),
        ({"given": [LEAD]}, "Signatures are missing: CTO."),
        ({"given": [LEAD, replace(CTO, person=1)]}, "Whoever asked for the step cannot be its only signer."),
        ({"given": [LEAD, CTO]}, ""),
    ],
)
def test_go_is_refused_with_what_the_signers_still_owe(how: dict[str, Any], expected: str) -> None:
    assert why_not_go(**how) == expected


def test_hold_on_a_failed_run_is_refused_with_what_failed() -> None:
    failed = Verdict(Outcome.FAIL, (finding("crit_alerts", State.NOT_MET, OnMiss.HALT),), DONE)

    refusal = steps.why_not_decide(
        Decision.HOLD, verdict=failed, needed=NEEDED, given=[], requester=1, digest=DIGEST, notes="we wait for it"
    )

    assert refusal == "The machine says FAIL: CRIT alerts: not met. Only NO_GO can be recorded."


@pytest.mark.parametrize("decision", [Decision.HOLD, Decision.NO_GO])
def test_a_stricter_decision_without_a_reason_is_refused_with_how_long_one_is(decision: Decision) -> None:
    refusal = steps.why_not_decide(
        decision, verdict=PASSED, needed=NEEDED, given=[], requester=1, digest=DIGEST, notes="too short"
    )

    assert refusal == "Say why, in at least 10 characters."


def test_a_digest_is_of_what_is_shown_under_the_names_it_is_kept_by() -> None:
    one, two = replace(MICRO, version=3, digest="one"), replace(SMALL, version=4, digest="two")

    with_next = steps.digest_of_step(one, two, {"fill_rate": "0.91"}, [Change("leverage", "1", "2")])
    without = steps.digest_of_step(one, None, [], [])

    assert with_next == digest_of(
        {
            "phase": ["4.0", 3, "one"],
            "next": ["4.1", 4, "two"],
            "findings": {"fill_rate": "0.91"},
            "changes": [["leverage", "1", "2"]],
        }
    )
    assert without == digest_of({"phase": ["4.0", 3, "one"], "next": None, "findings": [], "changes": []})


def test_a_change_is_told_as_people_write_it() -> None:
    after = replace(
        MICRO,
        capital_quote=Decimal("1E+3"),
        executor=replace(MICRO.executor, order_types=("MARKET", "LIMIT"), timeout_ms=4_000),
        monitoring=replace(MICRO.monitoring, alert_level="WARN"),
    )

    assert steps.changes_between(MICRO, after) == [
        Change("capital_quote", "300", "1000"),
        Change("executor.order_types", "MARKET", "MARKET, LIMIT"),
        Change("executor.timeout_ms", "5000", "4000"),
        Change("monitoring.alert_level", "CRIT", "WARN"),
    ]


def test_a_step_between_equal_templates_changes_nothing() -> None:
    assert steps.changes_between(MICRO, replace(MICRO, id="4.1", name="Again")) == []
