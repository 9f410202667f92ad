"""What has to be seen to by a date: the compliance items of a phase, month after month, and what people add."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from riskops.domain.approvals import REASON_MIN_LENGTH
from trading.domain.people import Role

DUE_ON_DAY: Final = 10  # of the month that follows (ours): a monthly report needs its month to be over
SOON: Final = timedelta(days=7)
LONGEST_AHEAD: Final = timedelta(days=3 * 366)
KEEPERS: Final = frozenset({Role.COMPLIANCE, Role.CTO, Role.CEO})  # who adds items and ticks them


class State(StrEnum):
    """How one item stands."""

    DONE = "done"
    LATE = "late"
    SOON = "due soon"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Due:
    """One item to be opened."""

    title: str  # "Monthly tax report, 2026-11"
    due_on: date


def items_of_month(items: Sequence[str], month: date) -> list[Due]:
    """Return what a phase that names `items` owes for the month of `month`."""
    first = month.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=DUE_ON_DAY)
    return [Due(f"{item}, {first:%Y-%m}", following) for item in items]


def state(*, done: bool, due_on: date, on: date) -> State:
    """Return how an item stands on a day; on its due date it is not late yet."""
    if done:
        return State.DONE
    if on > due_on:
        return State.LATE
    return State.SOON if due_on - on <= SOON else State.OPEN


def why_not_add(title: str, due_on: date, on: date) -> str:
    """Return why an item may not be added, or an empty text."""
    if len(title.strip()) < REASON_MIN_LENGTH:
        return f"Say what is to be done, in at least {REASON_MIN_LENGTH} characters."
    if not on <= due_on <= on + LONGEST_AHEAD:
        return "Choose a due date from today on, at most three years ahead."
    return ""


def why_not_tick(*, done: bool, was_done: bool, note: str) -> str:
    """Return why a tick may not be set or taken back, or an empty text: both say what was seen."""
    if done == was_done:
        return "It is ticked already; reload the page." if done else "It is not ticked; reload the page."
    if len(note.strip()) < REASON_MIN_LENGTH:
        return f"Say what was seen, or why the tick is taken back, in at least {REASON_MIN_LENGTH} characters."
    return ""
