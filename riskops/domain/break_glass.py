"""Break-glass: for a few hours a desk may be resumed without the Trading Lead, and everybody hears of it.

It is the one exception, and it lies in no direction but this: capital, limits, phases and gates are as they were, a
halt must still be proven clear with a clean reconcile, and it takes two people all the same. The incident that it opens
holds the gate until its review.
"""

from collections.abc import Set
from datetime import timedelta
from typing import Final

from riskops.domain.approvals import REASON_MIN_LENGTH
from trading.domain.people import DESK, Role

LONGEST: Final = timedelta(hours=4)
GRANTED_WITHIN: Final = timedelta(hours=1)  # of asking; an emergency is no standing order
STAND_INS: Final = frozenset({Role.CTO, Role.CEO})  # one of the two people is one of them
METRIC: Final = "break_glass"  # what its incident is about


def why_not_ask(*, roles: Set[str], reason: str, hours: int, is_reviewed: bool, is_open: bool) -> str:
    """Return why this person may not ask to break the glass, or an empty text."""
    if not roles & DESK:
        return "Only a person with a role of the desk asks to break the glass."
    if is_open:
        return "The glass is broken already, or somebody has asked for it: grant or end that."
    if not is_reviewed:
        return "The review of the last time is still open: close its incident first."
    if not timedelta() < timedelta(hours=hours) <= LONGEST:
        return f"It lasts from 1 to {LONGEST // timedelta(hours=1)} hours."
    if len(reason.strip()) < REASON_MIN_LENGTH:
        return f"Say why it cannot wait for the Trading Lead, in at least {REASON_MIN_LENGTH} characters."
    return ""


def why_not_break(*, same_person: bool, asker_roles: Set[str], roles: Set[str], waited: timedelta) -> str:
    """Return why this person may not grant it, or an empty text: two people, one of them the CTO or the CEO."""
    if same_person:
        return "It needs a second person: whoever asked cannot grant it."
    if not roles & DESK:
        return "Only a person with a role of the desk grants it."
    if not (asker_roles | roles) & STAND_INS:
        return "One of the two people must be the CTO or the CEO."
    if waited > GRANTED_WITHIN:
        return "It was asked for more than an hour ago: ask again."
    return ""
