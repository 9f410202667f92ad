"""An incident's clocks, each on both sides of its moment, and what its review must say before it closes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from riskops.domain.incidents import RETEST, Clock, Review, clock, clocks, review_due_at, why_not_close

OPENED = datetime(2026, 11, 21, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
ROOT_CAUSE = datetime(2026, 11, 21, 16, tzinfo=UTC)
FIX = datetime(2026, 11, 21, 20, tzinfo=UTC)
RETESTED = datetime(2026, 11, 22, 4, tzinfo=UTC)
TEN = "ten signs. "
REVIEW = Review("the venue was slow", "no order for an hour", "a longer timeout")


def test_root_cause_takes_4_hours_the_fix_8_and_the_retest_16_the_nearest_first() -> None:
    assert clocks(OPENED, OPENED) == (
        Clock("root cause", ROOT_CAUSE, False),
        Clock("fix", FIX, False),
        Clock("re-test", RETESTED, False),
    )


def test_a_failed_phase_is_tried_again_after_two_days_of_paper() -> None:
    assert timedelta(days=2) == RETEST


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (ROOT_CAUSE, []),
        (ROOT_CAUSE + MOMENT, ["root cause"]),
        (FIX, ["root cause"]),
        (FIX + MOMENT, ["root cause", "fix"]),
        (RETESTED + MOMENT, ["root cause", "fix", "re-test"]),
    ],
)
def test_a_clock_is_late_from_the_moment_after_its_own(now: datetime, late: list[str]) -> None:
    assert [one.name for one in clocks(OPENED, now) if one.is_late] == late


@pytest.mark.parametrize(("met_at", "is_late"), [(FIX - MOMENT, False), (FIX, False), (FIX + MOMENT, True)])
def test_what_was_met_is_judged_by_when_and_never_again(met_at: datetime, is_late: bool) -> None:
    long_after = FIX + timedelta(days=30)

    assert clock("fix", FIX, long_after, met_at) == Clock("fix", FIX, is_late, met_at)


def test_people_look_again_so_many_hours_after_the_last_time() -> None:
    assert review_due_at(OPENED, 4) == ROOT_CAUSE


def test_a_review_that_says_all_three_closes() -> None:
    assert why_not_close(REVIEW) == ""
    assert why_not_close(Review(TEN, TEN, TEN)) == ""


@pytest.mark.parametrize("part", ["cause", "impact", "prevention"])
@pytest.mark.parametrize("said", ["", " " * 20, "nine sign", " nine sign "])
def test_a_review_lacks_each_part_that_is_shorter_than_ten_characters(part: str, said: str) -> None:
    review = replace(REVIEW, **{part: said})

    assert why_not_close(review) == f"Say the {part}, in at least 10 characters."


def test_a_review_is_asked_for_its_first_part_first() -> None:
    assert why_not_close(Review("", "", "")) == "Say the cause, in at least 10 characters."
