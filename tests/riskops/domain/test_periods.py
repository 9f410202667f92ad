"""Days, weeks and months: what they are called, where they begin, when nothing can be added any more."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain.periods import (
    CALENDAR,
    SETTLES_AFTER,
    Kind,
    Period,
    UnknownPeriod,
    before,
    closed,
    containing,
    read,
)

AT = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)  # a Saturday
WRITTEN = {
    Kind.DAILY: "2026-11-21",
    Kind.WEEKLY: "2026-W47",
    Kind.MONTHLY: "2026-11",
    Kind.PHASE: "the number of a run",
}
moments = st.integers(0, 50_000_000).map(lambda minutes: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("kind", "name", "since", "until"),
    [
        (Kind.DAILY, "2026-11-21", datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
        (Kind.DAILY, "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        (Kind.WEEKLY, "2026-W47", datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        (Kind.WEEKLY, "2026-W01", datetime(2025, 12, 29, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)),
        (Kind.MONTHLY, "2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_name_is_one_span_of_time(kind: Kind, name: str, since: datetime, until: datetime) -> None:
    period = read(kind, name)

    assert period == Period(kind, name, since, until)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.DAILY, "2008-12-31"), (Kind.DAILY, "2200-01-01"),
        (Kind.DAILY, "2026-02-30"), (Kind.DAILY, "2026-2-3"), (Kind.DAILY, "20260203"),
        (Kind.DAILY, "\uff11\uff12\uff13\uff14-01-01"),
        (Kind.DAILY, "0001-01-01"), (Kind.DAILY, "9999-12-31"), (Kind.WEEKLY, "2026-W54"), (Kind.WEEKLY, "2026-W00"),
        (Kind.WEEKLY, "2026-11"), (Kind.MONTHLY, "2026-13"), (Kind.MONTHLY, "2026-11-01"), (Kind.MONTHLY, ""),
        (Kind.PHASE, "4"),
    ],
)  # fmt: skip
def test_what_is_no_period_is_refused(kind: Kind, name: str) -> None:
    with pytest.raises(UnknownPeriod) as refused:
        read(kind, name)

    assert str(refused.value) == f"{name!r} is no {kind} period; write it as {WRITTEN[kind]}."


@given(st.sampled_from(CALENDAR), moments)
def test_every_moment_lies_in_one_period_that_its_name_gives_again(kind: Kind, at: datetime) -> None:
    period = containing(kind, at)

    assert period.since <= at < period.until
    assert read(kind, period.name) == period
    assert (before(period).kind, before(period).until) == (kind, period.since)


def test_a_period_closes_ten_minutes_after_its_end() -> None:
    period = read(Kind.DAILY, "2026-11-20")

    assert not period.is_closed(period.until + SETTLES_AFTER - timedelta(seconds=1))
    assert period.is_closed(period.until + SETTLES_AFTER)


def test_the_closed_periods_reach_back_to_the_begin() -> None:
    names = [one.name for one in closed(Kind.DAILY, AT - timedelta(days=2), AT, at_most=31)]

    assert names == ["2026-11-20", "2026-11-19"]
    assert [one.name for one in closed(Kind.DAILY, AT - timedelta(days=900), AT, at_most=3)] == [
        "2026-11-20", "2026-11-19", "2026-11-18",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "newest_first"),
    [
        (Kind.DAILY, ["2026-11-20", "2026-11-19"]),
        (Kind.WEEKLY, ["2026-W46", "2026-W45"]),
        (Kind.MONTHLY, ["2026-10", "2026-09"]),
    ],
)
def test_a_closed_period_that_ended_just_then_is_not_named_again(kind: Kind, newest_first: list[str]) -> None:
    periods = [read(kind, name) for name in newest_first]
    ended = before(periods[-1]).until

    assert list(closed(kind, ended, AT, at_most=9)) == periods


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_a_day_is_that_of_utc_wherever_the_machine_stands() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert containing(Kind.DAILY, AT).name == "2026-11-21"
    assert containing(Kind.DAILY, datetime(2026, 11, 22, 8, 59, tzinfo=tokyo)).name == "2026-11-21"
    assert containing(Kind.DAILY, datetime(2026, 11, 22, 9, 0, tzinfo=tokyo)).name == "2026-11-22"
