"""Incidents: what a failed criterion sets going, the clocks that run, and what closes it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

from riskops.domain.approvals import REASON_MIN_LENGTH

CLOCKS: Final[Mapping[str, timedelta]] = {  # the roadmap's, for a failed run
    "root cause": timedelta(hours=4),
    "fix": timedelta(hours=8),
    "re-test": timedelta(hours=16),
}
RETEST: Final = timedelta(hours=48)  # of paper before the phase is tried again


@dataclass(frozen=True, slots=True)
class Review:
    """What people learned of an incident; closes it."""

    cause: str
    impact: str
    prevention: str


@dataclass(frozen=True, slots=True)
class Clock:
    """One deadline."""

    name: str
    due_at: datetime
    is_late: bool
    met_at: datetime | None = None  # None: it still runs


def review_due_at(last: datetime, every_h: int) -> datetime:
    """Return until when people must have looked at a desk again."""
    return last + timedelta(hours=every_h)


def clocks(opened_at: datetime, now: datetime) -> tuple[Clock, ...]:
    """Return the deadlines of an incident, the nearest first."""
    return tuple(clock(name, opened_at + span, now) for name, span in CLOCKS.items())


def clock(name: str, due_at: datetime, now: datetime, met_at: datetime | None = None) -> Clock:
    """Return one deadline; what was met late stays late."""
    return Clock(name, due_at, (met_at or now) > due_at, met_at)


def why_not_close(review: Review) -> str:
    """Return what the review lacks, or an empty text."""
    for field in fields(Review):
        if len(getattr(review, field.name).strip()) < REASON_MIN_LENGTH:
            return f"Say the {field.name}, in at least {REASON_MIN_LENGTH} characters."
    return ""
