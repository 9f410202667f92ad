"""The life of an alert: derived from what is stored, so that no two processes can disagree about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from riskops.domain.alert_rules import AlertRule, Ends
from trading.domain.events import Severity


class AlertState(StrEnum):
    """Where an alert stands; the words are those people read."""

    NORMAL = "normal"
    PENDING = "pending"  # seen, not yet for as long as its rule asks
    ACTIVE_UNACKED = "active, unacknowledged"
    ACTIVE_ACKED = "active, acknowledged"
    RECOVERING = "recovering"  # gone, not yet for as long as its rule asks
    CLEARED_UNACKED = "cleared, unacknowledged"
    CLEARED = "cleared"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"  # the desk is in a state in which it says nothing new
    NO_DATA = "no data"  # what it watches is not measured; never a pass


@dataclass(frozen=True, slots=True)
class Condition:
    """What is stored of one alert, or of a rule that has raised none."""

    raised_at: datetime | None = None
    seen_at: datetime | None = None  # newest occurrence
    over_at: datetime | None = None  # whoever raised it said that it is over
    is_acknowledged: bool = False
    shelved_until: datetime | None = None
    is_hushed: bool = False  # the account is halted or the symbol paused, and the rule says nothing new then
    pending_since: datetime | None = None
    known_at: datetime | None = None  # what the rule watches was last measured


def state_of(condition: Condition, rule: AlertRule, now: datetime) -> AlertState:
    """Return where an alert of `rule` stands; the same facts give the same state."""
    if condition.raised_at is None:
        if _is_lost(condition, rule, now):
            return AlertState.NO_DATA
        return AlertState.PENDING if condition.pending_since else AlertState.NORMAL
    is_shelved = condition.shelved_until is not None and now < condition.shelved_until
    if _is_over(condition, rule, now) and (condition.is_acknowledged or not is_shelved):
        return AlertState.CLEARED if condition.is_acknowledged else AlertState.CLEARED_UNACKED
    if is_shelved:
        return AlertState.SHELVED
    if condition.is_hushed:
        return AlertState.SUPPRESSED
    if condition.over_at is not None:
        return AlertState.RECOVERING
    if _is_lost(condition, rule, now):
        return AlertState.NO_DATA
    return AlertState.ACTIVE_ACKED if condition.is_acknowledged else AlertState.ACTIVE_UNACKED


def is_to_be_told(state: AlertState, *, is_acknowledged: bool, severity: Severity) -> bool:
    """Return whether people who are not at the screen are (still) told.

    A CRIT is told until somebody has acknowledged it, even when it is over; a WARN only while it lasts.
    """
    if is_acknowledged or state in (AlertState.SHELVED, AlertState.SUPPRESSED, AlertState.CLEARED):
        return False
    return severity is Severity.CRIT or state is not AlertState.CLEARED_UNACKED


def _is_over(condition: Condition, rule: AlertRule, now: datetime) -> bool:
    gone_at = condition.over_at
    if gone_at is None and rule.ends is Ends.QUIET:
        gone_at = condition.seen_at
    return gone_at is not None and now - gone_at >= timedelta(seconds=rule.clear_after_s)


def _is_lost(condition: Condition, rule: AlertRule, now: datetime) -> bool:
    if not rule.no_data_after_s:
        return False
    known_at = condition.known_at
    return known_at is None or now - known_at > timedelta(seconds=rule.no_data_after_s)
