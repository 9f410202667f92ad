"""The mutation benchmark counts what it says: what was noticed, and where the rest lies."""

from benchmarks import mutation

RESULTS = """
    riskops.domain.steps.x_why_not_sign__mutmut_3: survived
    riskops.domain.steps.x_why_not_sign__mutmut_9: survived
    riskops.domain.incidents.x_clocks__mutmut_1: no tests
    riskops.domain.phases.x_note__mutmut_2: timeout
"""


def test_what_survives_or_was_never_reached_is_missed() -> None:
    found = mutation.score({"total": 40, "killed": 36, "timeout": 1, "survived": 2, "no_tests": 1}, RESULTS)

    assert found["score_percent"] == 92.5
    assert found["missed_in"] == {"riskops.domain.steps.x_why_not_sign": 2, "riskops.domain.incidents.x_clocks": 1}


def test_nothing_changed_is_no_score() -> None:
    nothing = mutation.score({"total": 0, "killed": 0, "timeout": 0}, "")

    assert nothing["score_percent"] is None
    assert not mutation.BOUNDS["score_percent"].is_met(nothing["score_percent"])


def test_the_bound_holds_on_its_line_and_not_beyond() -> None:
    assert mutation.BOUNDS["score_percent"].is_met(90)
    assert not mutation.BOUNDS["score_percent"].is_met(89.9)
