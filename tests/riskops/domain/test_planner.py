"""The roadmap's figures stay the roadmap's; a scenario is what a person typed; what is due has a date."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from riskops.domain.compliance import State, items_of_month, state, why_not_add, why_not_tick
from riskops.domain.planner import MONTH, YEAR_ONE, Point, Stage, earliest_path, own_path, per_month, year_one

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
TODAY = date(2026, 11, 21)


def test_the_first_year_is_the_roadmaps() -> None:
    points = year_one(BEGIN)

    assert [point.capital_quote for point in points] == [300, 5_000, 25_000, 50_000, 100_000, 250_000]
    assert points[-1].at == BEGIN + timedelta(days=365)
    assert len(points) == len(YEAR_ONE)


def test_the_earliest_path_lets_every_phase_pass_at_once() -> None:
    stages = earliest_path(BEGIN, [("4.0", Decimal(300), 48), ("4.1", Decimal(600), 72)])

    assert stages == [
        Stage("4.0", Decimal(300), BEGIN, BEGIN + timedelta(hours=48)),
        Stage("4.1", Decimal(600), BEGIN + timedelta(hours=48), BEGIN + timedelta(hours=120)),
    ]


def test_an_own_path_grows_by_what_was_typed_less_its_costs() -> None:
    points = own_path(BEGIN, Decimal(1_000), Decimal("0.1"), Decimal(50), 2)

    assert points == [
        Point(BEGIN, Decimal(1_000)),
        Point(BEGIN + MONTH, Decimal(1_050)),
        Point(BEGIN + 2 * MONTH, Decimal(1_105)),
    ]


def test_capital_that_is_used_up_stays_so() -> None:
    assert [one.capital_quote for one in own_path(BEGIN, Decimal(10), Decimal(0), Decimal(8), 3)] == [10, 2, 0, 0]


@pytest.mark.parametrize(
    ("monthly_return", "costs", "months", "reason"),
    [
        ("-1.01", "0", 1, "A return of -1.01 a month is not within -1 to 10."),
        ("10.01", "0", 1, "A return of 10.01 a month is not within -1 to 10."),
        ("NaN", "0", 1, "A return of NaN a month is not within -1 to 10."),
        ("0", "-0.01", 1, "Costs are not below zero."),
        ("0", "0", 0, "0 months are not within 1 to 60."),
        ("0", "0", 61, "61 months are not within 1 to 60."),
    ],
)
def test_a_scenario_beyond_reason_is_refused(monthly_return: str, costs: str, months: int, reason: str) -> None:
    with pytest.raises(ValueError, match="not") as refused:
        own_path(BEGIN, Decimal(1), Decimal(monthly_return), Decimal(costs), months)

    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("monthly_return", "costs", "months", "last"),
    [("-1", "0", 1, 0), ("10", "0", 1, 1_100), ("0", "0", 1, 100), ("0", "0.5", 2, 99), ("0", "0", 60, 100)],
)
def test_a_scenario_on_the_edge_of_reason_is_drawn(monthly_return: str, costs: str, months: int, last: int) -> None:
    points = own_path(BEGIN, Decimal(100), Decimal(monthly_return), Decimal(costs), months)

    assert (len(points), points[-1]) == (months + 1, Point(BEGIN + months * MONTH, Decimal(last)))


def test_bills_are_spread_over_the_months_since_the_first() -> None:
    bills = [(BEGIN, Decimal(90)), (BEGIN + MONTH, Decimal(30))]

    assert per_month([], BEGIN) is None
    assert per_month(bills[:1], BEGIN + timedelta(days=1)) == 90
    assert per_month(bills, BEGIN + 2 * MONTH) == 60


def test_a_month_is_owed_on_the_tenth_of_the_next() -> None:
    (due,) = items_of_month(["Risk audit"], date(2026, 12, 24))

    assert (due.title, due.due_on) == ("Risk audit, 2026-12", date(2027, 1, 10))


@pytest.mark.parametrize(
    ("done", "days", "expected"),
    [
        (True, -9, State.DONE),
        (False, -1, State.LATE),
        (False, 0, State.SOON),
        (False, 7, State.SOON),
        (False, 8, State.OPEN),
    ],
)
def test_an_item_is_late_the_day_after_its_date(done: bool, days: int, expected: State) -> None:
    assert state(done=done, due_on=TODAY + timedelta(days=days), on=TODAY) is expected


@pytest.mark.parametrize(
    ("title", "days", "fits"),
    [("Tax consultant", 0, True), ("Tax consultant", -1, False), ("Tax", 1, False), ("Tax consultant", 1_099, False)],
)
def test_an_item_needs_words_and_a_date_that_is_to_come(title: str, days: int, fits: bool) -> None:
    assert (why_not_add(title, TODAY + timedelta(days=days), TODAY) == "") is fits


@pytest.mark.parametrize(
    ("done", "was_done", "note", "fits"),
    [
        (True, False, "policy 4711 is paid", True), (False, True, "it was another policy", True),
        (True, True, "policy 4711 is paid", False), (False, False, "it was another policy", False),
        (True, False, "ok", False),
    ],
)  # fmt: skip
def test_a_tick_changes_something_and_says_why(done: bool, was_done: bool, note: str, fits: bool) -> None:
    assert (why_not_tick(done=done, was_done=was_done, note=note) == "") is fits
