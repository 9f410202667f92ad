"""What a model is judged on, who signs its promotion, and when GO is possible: both sides of every edge."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Final

import pytest

from riskops.domain.gates import State
from riskops.domain.promotions import (
    CRITERIA,
    NEXT,
    SIGNERS,
    WHAT,
    Criterion,
    Unit,
    judge,
    next_state,
    open_words,
    outcome,
    signers,
    why_not_decide,
    why_not_share,
    why_not_step,
)
from riskops.domain.steps import Decision, Signature, why_not_decider, why_not_sign
from trading.domain.model_scores import Measure, Reading
from trading.domain.model_states import FOLLOW, ModelState

S, M = ModelState, Measure
GOOD: Final[Mapping[ModelState, Mapping[Measure, Reading]]] = {  # every bound met exactly
    S.SHADOW: {M.OFFLINE: Reading(1, 1, "PASS"), M.FULL: Reading(1, 1, "trained in full")},
    S.CANARY: {
        M.DAYS: Reading(7, 1, "since then"),
        M.HOURS: Reading(160, 160, "hours"),
        M.SKILL: Reading(2, 160, "against the rule"),
        M.COVERAGE: Reading(0.77, 1_000, "forecasts"),
        M.FALLBACK: Reading(0.000_99, 1_000, "bars"),
        M.CRITS: Reading(0, 1, "none"),
        M.FEATURES: Reading(1, 288, "equal"),
    },
    S.CHAMPION: {
        M.DAYS: Reading(7, 1, "since then"),
        M.FILL_RATE: Reading(0.85, 20, "lots"),
        M.LATENCY: Reading(0.5, 20, "ms"),
        M.DRAWDOWN: Reading(1, 60, "in a day"),
        M.MARK_OUT: Reading(0.000_1, 20, "fills"),
        M.PNL: Reading(-0.001, 7, "a day"),
        M.FALLBACK: Reading(0.0, 1_000, "bars"),
        M.CRITS: Reading(0, 1, "none"),
    },
}
WRONG: Final = [  # just beyond each bound
    (S.SHADOW, M.OFFLINE, 0.0), (S.SHADOW, M.FULL, 0.0),
    (S.CANARY, M.DAYS, 6.999), (S.CANARY, M.HOURS, 159.0), (S.CANARY, M.SKILL, 1.999), (S.CANARY, M.COVERAGE, 0.7699),
    (S.CANARY, M.COVERAGE, 0.8301), (S.CANARY, M.FALLBACK, 0.001), (S.CANARY, M.CRITS, 1.0),
    (S.CANARY, M.FEATURES, 0.999),
    (S.CHAMPION, M.DAYS, 6.999), (S.CHAMPION, M.FILL_RATE, 0.849), (S.CHAMPION, M.LATENCY, 0.501),
    (S.CHAMPION, M.DRAWDOWN, 1.001), (S.CHAMPION, M.MARK_OUT, 0.000_101), (S.CHAMPION, M.PNL, -0.001_01),
    (S.CHAMPION, M.FALLBACK, 0.001), (S.CHAMPION, M.CRITS, 1.0),
]  # fmt: skip
FEW: Final = [
    (S.CANARY, M.COVERAGE, 999, "999 bars, at least 1000 are needed"),
    (S.CANARY, M.FALLBACK, 999, "999 bars, at least 1000 are needed"),
    (S.CANARY, M.FEATURES, 287, "287 bars, at least 288 are needed"),
    (S.CHAMPION, M.FALLBACK, 999, "999 bars, at least 1000 are needed"),
]


def with_reading(to: ModelState, measure: Measure, reading: Reading | None) -> dict[Measure, Reading]:
    left = {name: one for name, one in GOOD[to].items() if name is not measure}
    return left if reading is None else left | {measure: reading}


def states(to: ModelState, readings: Mapping[Measure, Reading]) -> dict[Measure, State]:
    return {one.criterion.measure: one.state for one in judge(to, readings)}


@pytest.mark.parametrize("to", list(GOOD))
def test_on_every_bound_everything_is_met(to: ModelState) -> None:
    assert set(states(to, GOOD[to]).values()) == {State.MET}
    assert set(states(to, GOOD[to])) == set(GOOD[to])
    assert open_words(judge(to, GOOD[to])) == ""


def test_coverage_may_be_as_far_above_as_below() -> None:
    assert states(S.CANARY, with_reading(S.CANARY, M.COVERAGE, Reading(0.83, 1_000, "")))[M.COVERAGE] is State.MET


@pytest.mark.parametrize(("to", "measure", "value"), WRONG)
def test_beyond_a_bound_one_criterion_is_not_met(to: ModelState, measure: Measure, value: float) -> None:
    found = states(to, with_reading(to, measure, replace(GOOD[to][measure], value=value)))

    assert found == {name: State.NOT_MET if name is measure else State.MET for name in GOOD[to]}


@pytest.mark.parametrize(("to", "measure"), [(to, measure) for to in GOOD for measure in GOOD[to]])
def test_what_nobody_knows_is_no_data_and_never_met(to: ModelState, measure: Measure) -> None:
    unknown = [None, Reading(None, 10_000, "why"), Reading(float("nan"), 10_000, "why")]

    for reading in unknown:
        found = judge(to, with_reading(to, measure, reading))
        (one,) = [finding for finding in found if finding.criterion.measure is measure]
        assert one.state is State.NO_DATA
        assert (one.value, one.reason) == ("unknown", "nothing was measured" if reading is None else "why")
        assert one.samples == (0 if reading is None else 10_000)
        assert open_words(found) == f"{measure}: no data ({one.reason})"


@pytest.mark.parametrize(("to", "measure", "samples", "words"), FEW)
def test_too_few_samples_are_no_data(to: ModelState, measure: Measure, samples: int, words: str) -> None:
    found = judge(to, with_reading(to, measure, replace(GOOD[to][measure], samples=samples)))
    (one,) = [finding for finding in found if finding.criterion.measure is measure]

    assert (one.state, one.reason, one.samples) == (State.NO_DATA, words, samples)


def test_what_is_open_is_told_with_its_reason() -> None:
    readings = with_reading(S.CANARY, M.DAYS, Reading(3, 1, "since Monday")) | {M.SKILL: Reading(1, 9, "9 hours")}

    assert open_words(judge(S.CANARY, readings)) == (
        "days in this state: not met (since Monday); loss against the one in force: not met (9 hours)"
    )


@pytest.mark.parametrize(
    ("to", "measure", "limit", "value"),
    [
        (S.SHADOW, M.OFFLINE, "yes", "yes"),
        (S.SHADOW, M.FULL, "yes", "yes"),
        (S.CANARY, M.DAYS, "≥ 7 d", "7 d"),
        (S.CANARY, M.HOURS, "≥ 160 h", "160 h"),
        (S.CANARY, M.SKILL, "t ≥ 2", "2"),
        (S.CANARY, M.COVERAGE, "77 % to 83 %", "77 %"),
        (S.CANARY, M.FALLBACK, "< 0.1 %", "0.099 %"),
        (S.CANARY, M.CRITS, "≤ 0", "0"),
        (S.CANARY, M.FEATURES, "≥ 100 %", "100 %"),
        (S.CHAMPION, M.LATENCY, "≤ 50 %", "50 %"),
        (S.CHAMPION, M.MARK_OUT, "≤ 0.01 %", "0.01 %"),
        (S.CHAMPION, M.PNL, "≥ -0.1 %", "-0.1 %"),
    ],
)
def test_bounds_and_values_are_read_alike(to: ModelState, measure: Measure, limit: str, value: str) -> None:
    (one,) = [finding for finding in judge(to, GOOD[to]) if finding.criterion.measure is measure]

    assert (one.criterion.limit, one.value) == (limit, value)


def test_hardly_any_time_is_none() -> None:
    criterion = Criterion(M.DAYS, Unit.DAYS, at_least=7)

    assert [criterion.words(days) for days in (3.136e-05, 0.51234, 8.0)] == ["0 d", "0.5123 d", "8 d"]


def test_a_truth_is_yes_or_no() -> None:
    criterion = Criterion(M.FULL, Unit.TRUTH, at_least=1)

    assert [criterion.words(value) for value in (1.0, 0.0, None)] == ["yes", "no", "unknown"]


# --- who and where to ---------------------------------------------------------------------------------------------


def test_people_promote_one_step_at_a_time() -> None:
    assert {before: next_state(before) for before in S if next_state(before)} == dict(NEXT)
    assert all(after in FOLLOW[before] for before, after in NEXT.items())
    assert set(SIGNERS) == set(CRITERIA) == {S.SHADOW, S.CANARY, S.CHAMPION}
    assert [next_state(one) for one in (S.REGISTERED, S.CHAMPION, S.REFUSED)] == [None] * 3
    assert next_state(S.ROLLED_BACK) is next_state(S.RETIRED) is next_state(S.OFFLINE_PASS) is S.SHADOW


@pytest.mark.parametrize(
    ("to", "capital", "who"),
    [
        (S.SHADOW, ["25000"], "Engineer"),
        (S.CANARY, ["25000"], "Engineer, Trading Lead"),
        (S.CHAMPION, [], "Engineer, Trading Lead, CTO"),
        (S.CHAMPION, ["300", "24999.99"], "Engineer, Trading Lead, CTO"),
        (S.CHAMPION, ["300", "25000"], "Engineer, Trading Lead, CTO, CEO"),
    ],
)
def test_who_signs(to: ModelState, capital: list[str], who: str) -> None:
    assert ", ".join(signers(to, map(Decimal, capital))) == who


@pytest.mark.parametrize(("decision", "before"), list(product(Decision, NEXT)))
def test_where_a_decision_leads(decision: Decision, before: ModelState) -> None:
    to = NEXT[before]
    down = {S.OFFLINE_PASS: S.RETIRED, S.SHADOW: S.RETIRED, S.CANARY: S.ROLLED_BACK}
    expected = {Decision.GO: to, Decision.NO_GO: down.get(before)}.get(decision)

    assert outcome(decision, before, to) is expected
    assert expected is None or expected in FOLLOW[before]


# --- decisions ----------------------------------------------------------------------------------------------------

NEEDED: Final = SIGNERS[S.CHAMPION]
ALL: Final = [Signature(role, person, True, "d") for person, role in enumerate(NEEDED, 1)]


def refusal(
    decision: Decision = Decision.GO, *, given: list[Signature] | None = None, requester: int = 9, digest: str = "d",
    notes: str = "", readings: Mapping[Measure, Reading] = GOOD[S.CHAMPION], in_the_way: str = "",
) -> str:  # fmt: skip
    return why_not_decide(
        decision, findings=judge(S.CHAMPION, readings), needed=NEEDED, given=ALL if given is None else given,
        requester=requester, digest=digest, notes=notes, in_the_way=in_the_way,
    )  # fmt: skip


def test_go_needs_evidence_and_every_signature() -> None:
    young = with_reading(S.CHAMPION, M.DAYS, Reading(6, 1, "since Monday"))

    assert refusal() == ""
    assert refusal(requester=1) == ""
    assert refusal(readings=young) == ("The evidence does not carry it: days in this state: not met (since Monday).")
    assert refusal(in_the_way="Not now.") == "Not now."
    assert refusal(given=ALL[:2]) == "Signatures are missing: CTO."
    assert refusal(digest="e").startswith("What was shown has changed since Engineer")
    vetoed = [*ALL[:2], replace(ALL[2], approves=False)]
    assert refusal(given=vetoed) == "A signer rejected this promotion: only HOLD or NO_GO can be recorded."


def test_whoever_asked_is_never_the_only_signer() -> None:
    alone = [replace(one, person=7) for one in ALL]

    assert refusal(given=alone, requester=7) == "Whoever asked for the promotion cannot be its only signer."
    assert refusal(given=alone, requester=8) == ""


def test_hold_and_no_go_need_a_reason_and_nothing_else() -> None:
    for decision in (Decision.HOLD, Decision.NO_GO):
        assert refusal(decision, given=[], readings={}, in_the_way="Not now.", notes="ten chars.") == ""
        assert refusal(decision, notes=" too short ") == "Say why, in at least 10 characters."
    assert refusal(Decision.PENDING, notes="ten chars.") == "Choose GO, HOLD or NO_GO."


def test_a_model_and_capital_never_change_in_the_same_window() -> None:
    assert why_not_share(S.SHADOW, ["Micro"]) == why_not_share(S.CANARY, []) == why_not_step([]) == ""
    for to in (S.CANARY, S.CHAMPION):
        assert why_not_share(to, ["Micro", "Main"]) == (
            "A step of capital is asked for at Micro, Main: a model and capital never change in the same window."
        )
    assert why_not_step(["a", "b"]) == (
        "The promotion of a, b is asked for: a model and capital never change in the same window."
    )


def test_what_is_refused_is_called_by_its_name() -> None:
    held = {"Engineer", "CTO"}
    refused = why_not_sign(
        role="CTO", roles_held=held, person=1, needed=SIGNERS[S.SHADOW], given=[], approves=True, note="", what=WHAT
    )

    assert refused == "CTO does not sign this promotion; it needs Engineer."
    assert why_not_decider({"CTO"}, SIGNERS[S.SHADOW], WHAT) == "Only Engineer decides this promotion."
    assert why_not_decider(held, SIGNERS[S.SHADOW], WHAT) == ""
