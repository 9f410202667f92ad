"""The spans of time a report is made of: UTC days, ISO weeks, months, phase runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

SETTLES_AFTER: Final = timedelta(minutes=10)  # a period's last minute is stored and its last fills are booked by then
YEARS: Final = range(2009, 2200)  # before, there was nothing to trade
DAY: Final = timedelta(days=1)


class Kind(StrEnum):
    """How long a report is."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    PHASE = "phase"


CALENDAR: Final = (Kind.DAILY, Kind.WEEKLY, Kind.MONTHLY)
_NAMES: Final = {
    Kind.DAILY: re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII),
    Kind.WEEKLY: re.compile(r"(\d{4})-W(\d{2})", re.ASCII),
    Kind.MONTHLY: re.compile(r"(\d{4})-(\d{2})", re.ASCII),
}
_EXAMPLES: Final = {Kind.DAILY: "2026-11-21", Kind.WEEKLY: "2026-W47", Kind.MONTHLY: "2026-11"}


class UnknownPeriod(ValueError):
    """There is no such period; the message says how one is written."""


@dataclass(frozen=True, slots=True)
class Period:
    """One span of time with a name of its own; `until` is not part of it."""

    kind: Kind
    name: str  # "2026-11-21", "2026-W47", "2026-11"; of a phase the number of its run
    since: datetime
    until: datetime

    def is_closed(self, at: datetime) -> bool:
        """Return whether nothing can be added to it any more."""
        return at >= self.until + SETTLES_AFTER


def read(kind: Kind, name: str) -> Period:
    """Return the period called `name`.

    Raises:
        UnknownPeriod: there is none.
    """
    parts = _NAMES[kind].fullmatch(name) if kind in _NAMES else None
    numbers = [int(part) for part in parts.groups()] if parts else [0]
    try:
        if numbers[0] not in YEARS:
            raise ValueError(name)
        begin = _first_day(kind, *numbers)
    except ValueError as error:
        words = f"{name!r} is no {kind} period; write it as {_EXAMPLES.get(kind, 'the number of a run')}."
        raise UnknownPeriod(words) from error
    return _beginning(kind, begin)


def containing(kind: Kind, at: datetime) -> Period:
    """Return the period of `kind` that `at` lies in."""
    day = at.astimezone(UTC).date()
    if kind is Kind.WEEKLY:
        return _beginning(kind, day - day.weekday() * DAY)
    return _beginning(kind, day.replace(day=1) if kind is Kind.MONTHLY else day)


def before(period: Period) -> Period:
    """Return the calendar period that ends where `period` begins."""
    return containing(period.kind, period.since - timedelta(microseconds=1))


def closed(kind: Kind, since: datetime, at: datetime, at_most: int) -> Iterator[Period]:
    """Return the closed periods that end after `since`, the newest first, at most so many."""
    period = containing(kind, at)
    for _ in range(at_most + 1):
        if period.until <= since:
            return
        if period.is_closed(at):
            yield period
        period = before(period)


def _first_day(kind: Kind, year: int, number: int, day: int = 1) -> date:
    return date.fromisocalendar(year, number, 1) if kind is Kind.WEEKLY else date(year, number, day)


def _beginning(kind: Kind, begin: date) -> Period:
    if kind is Kind.WEEKLY:
        year, week, _ = begin.isocalendar()
        name, end = f"{year}-W{week:02}", begin + 7 * DAY
    elif kind is Kind.MONTHLY:
        name, end = f"{begin:%Y-%m}", (begin + 31 * DAY).replace(day=1)
    else:
        name, end = begin.isoformat(), begin + DAY
    return Period(kind, name, _midnight(begin), _midnight(end))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
