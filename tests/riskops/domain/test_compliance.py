"""What is due when, how it stands on each side of its date, and who may not tick what."""

from datetime import date, timedelta

import pytest

from riskops.domain.compliance import KEEPERS, Due, State, items_of_month, state, why_not_add, why_not_tick
from trading.domain.people import Role

TODAY = date(2026, 11, 21)
DAY = timedelta(days=1)
WHAT = "File the tax report"
TOO_SHORT = "Say what is to be done, in at least 10 characters."
NO_DATE = "Choose a due date from today on, at most three years ahead."
NO_WORDS = "Say what was seen, or why the tick is taken back, in at least 10 characters."


@pytest.mark.parametrize(
    ("month", "name", "due_on"),
    [
        (date(2026, 11, 1), "2026-11", date(2026, 12, 10)),
        (date(2026, 11, 30), "2026-11", date(2026, 12, 10)),
        (date(2026, 12, 31), "2026-12", date(2027, 1, 10)),
        (date(2027, 1, 31), "2027-01", date(2027, 2, 10)),
        (date(2028, 2, 29), "2028-02", date(2028, 3, 10)),
    ],
)
def test_a_month_is_owed_on_the_tenth_of_the_next(month: date, name: str, due_on: date) -> None:
    assert items_of_month(["Tax report", "Trade log"], month) == [
        Due(f"Tax report, {name}", due_on),
        Due(f"Trade log, {name}", due_on),
    ]


def test_a_phase_that_names_nothing_owes_nothing() -> None:
    assert items_of_month([], TODAY) == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-400, State.LATE), (-1, State.LATE), (0, State.SOON), (7, State.SOON), (8, State.OPEN)],
)
def test_an_item_is_late_the_day_after_and_soon_a_week_before(days: int, expected: State) -> None:
    assert state(done=False, due_on=TODAY + days * DAY, on=TODAY) is expected
    assert state(done=True, due_on=TODAY + days * DAY, on=TODAY) is State.DONE


@pytest.mark.parametrize(
    ("title", "days", "refusal"),
    [
        (WHAT, 0, ""),
        (WHAT, 3 * 366, ""),
        (WHAT, -1, NO_DATE),
        (WHAT, 3 * 366 + 1, NO_DATE),
        ("ten signs.", 0, ""),
        ("nine sign", 0, TOO_SHORT),
        ("  nine sign  ", 0, TOO_SHORT),
        ("", -1, TOO_SHORT),
    ],
)
def test_an_item_says_what_and_falls_due_within_three_years(title: str, days: int, refusal: str) -> None:
    assert why_not_add(title, TODAY + days * DAY, TODAY) == refusal


@pytest.mark.parametrize(
    ("done", "was_done", "note", "refusal"),
    [
        (True, False, "ten signs.", ""),
        (False, True, "ten signs.", ""),
        (True, False, "nine sign", NO_WORDS),
        (False, True, " nine sign ", NO_WORDS),
        (True, True, WHAT, "It is ticked already; reload the page."),
        (False, False, WHAT, "It is not ticked; reload the page."),
    ],
)
def test_a_tick_is_set_or_taken_back_once_and_with_words(done: bool, was_done: bool, note: str, refusal: str) -> None:
    assert why_not_tick(done=done, was_done=was_done, note=note) == refusal


def test_compliance_and_the_two_officers_keep_the_list() -> None:
    assert {Role.COMPLIANCE, Role.CTO, Role.CEO} == KEEPERS
