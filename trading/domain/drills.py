"""Drills of the kill switch: what is fired, and whether it held what it promises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

LATCHED_WITHIN: Final = timedelta(seconds=3)  # rules are asked once a second
PROVEN_WITHIN: Final = timedelta(seconds=13)  # recvWindow 2 s + 11 s (docs/reliability.md)
WAITS_FOR: Final = timedelta(seconds=10)  # nobody fires a drill that was asked for longer ago
PREFIX: Final = "drill: "  # what the reason of a drill's halt begins with


class Drill(StrEnum):
    """What stops the desk in a drill (decisions: before live)."""

    MANUAL = "MANUAL"
    DRAWDOWN = "DRAWDOWN"
    SILENT_DATA = "SILENT_DATA"
    VENUE_ERRORS = "VENUE_ERRORS"


class Outcome(StrEnum):
    """How a drill ended."""

    RUNNING = "RUNNING"
    PASSED = "PASSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one drill with what failed, "" when nothing did."""

    outcome: Outcome
    reason: str = ""


def judge(*, asked_at: datetime, latched_at: datetime | None, proven_at: datetime | None, at: datetime) -> Verdict:
    """Return whether a drill has latched and proven in time; what has not happened by then has failed."""
    if latched_at is None:
        if at - asked_at <= WAITS_FOR:
            return Verdict(Outcome.RUNNING)
        return Verdict(Outcome.FAILED, f"nothing was latched within {WAITS_FOR.seconds} s: do the trading loops run?")
    if latched_at - asked_at > LATCHED_WITHIN:
        late = (latched_at - asked_at).total_seconds()
        return Verdict(Outcome.FAILED, f"latched only after {late:.1f} s, limit {LATCHED_WITHIN.seconds} s")
    if (proven_at or at) - latched_at > PROVEN_WITHIN:
        said = (
            "not proven clear" if proven_at is None else f"proven clear only {proven_at - latched_at} after the latch"
        )
        return Verdict(Outcome.FAILED, f"{said}, limit {PROVEN_WITHIN.seconds} s")
    return Verdict(Outcome.RUNNING if proven_at is None else Outcome.PASSED)
