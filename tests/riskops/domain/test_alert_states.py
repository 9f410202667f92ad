"""The life of an alert: every state, every way between two of them, and no other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskops.domain.alert_rules import AlertRule, Ends
from riskops.domain.alert_states import AlertState as S
from riskops.domain.alert_states import Condition, is_to_be_told, state_of
from trading.domain.events import Severity

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
TOLD: Final = AlertRule("X", Severity.WARN, "x", ends=Ends.TOLD, clear_after_s=60, no_data_after_s=3_600)
QUIET: Final = AlertRule("Y", Severity.WARN, "y", ends=Ends.QUIET, clear_after_s=60)
KNOWN: Final = Condition(known_at=NOW)
ACTIVE: Final = Condition(raised_at=NOW, seen_at=NOW, known_at=NOW)
ACKED: Final = replace(ACTIVE, is_acknowledged=True)
OVER: Final = replace(ACTIVE, over_at=NOW)
SHELVED: Final = replace(ACTIVE, shelved_until=NOW + 30 * MINUTE)


@pytest.mark.parametrize(
    ("condition", "rule", "after", "state"),
    [
        (Condition(), QUIET, 0 * SECOND, S.NORMAL),
        (Condition(), TOLD, 0 * SECOND, S.NO_DATA),
        (KNOWN, TOLD, 3_600 * SECOND, S.NORMAL),
        (KNOWN, TOLD, 3_601 * SECOND, S.NO_DATA),
        (replace(KNOWN, pending_since=NOW), TOLD, 0 * SECOND, S.PENDING),
        (replace(KNOWN, pending_since=NOW), TOLD, 3_601 * SECOND, S.NO_DATA),
        (ACTIVE, TOLD, 3_600 * SECOND, S.ACTIVE_UNACKED),
        (ACTIVE, TOLD, 3_601 * SECOND, S.NO_DATA),
        (ACKED, TOLD, 3_601 * SECOND, S.NO_DATA),
        (ACKED, TOLD, 0 * SECOND, S.ACTIVE_ACKED),
        (ACTIVE, QUIET, 59 * SECOND, S.ACTIVE_UNACKED),
        (ACTIVE, QUIET, 60 * SECOND, S.CLEARED_UNACKED),
        (ACKED, QUIET, 60 * SECOND, S.CLEARED),
        (replace(ACTIVE, seen_at=NOW + MINUTE), QUIET, 119 * SECOND, S.ACTIVE_UNACKED),
        (OVER, TOLD, 59 * SECOND, S.RECOVERING),
        (OVER, TOLD, 60 * SECOND, S.CLEARED_UNACKED),
        (replace(OVER, is_acknowledged=True), TOLD, 59 * SECOND, S.RECOVERING),
        (replace(OVER, is_acknowledged=True), TOLD, 60 * SECOND, S.CLEARED),
        (SHELVED, TOLD, 29 * MINUTE, S.SHELVED),
        (SHELVED, TOLD, 30 * MINUTE, S.ACTIVE_UNACKED),
        (replace(SHELVED, over_at=NOW), TOLD, 2 * MINUTE, S.SHELVED),
        (replace(SHELVED, over_at=NOW), TOLD, 30 * MINUTE, S.CLEARED_UNACKED),
        (replace(SHELVED, over_at=NOW, is_acknowledged=True), TOLD, 2 * MINUTE, S.CLEARED),
        (replace(ACTIVE, is_hushed=True), TOLD, 0 * SECOND, S.SUPPRESSED),
        (replace(SHELVED, is_hushed=True), TOLD, 0 * SECOND, S.SHELVED),
        (replace(OVER, is_hushed=True), TOLD, 60 * SECOND, S.CLEARED_UNACKED),
    ],
)
def test_the_facts_and_the_clock_give_the_state(
    condition: Condition, rule: AlertRule, after: timedelta, state: S
) -> None:
    assert state_of(condition, rule, NOW + after) is state


# --- what may follow on what --------------------------------------------------------------------------------------

Event = Callable[[Condition, datetime], Condition]
EVENTS: Final[Mapping[str, Event]] = {
    "seen": lambda c, at: replace(c, pending_since=c.pending_since or at, known_at=at),
    "raised": lambda c, at: replace(
        c, raised_at=c.raised_at or at, seen_at=at, over_at=None, known_at=at, pending_since=c.pending_since or at
    ),
    "kept": lambda c, at: replace(
        c, known_at=at, pending_since=None, over_at=(c.over_at or at) if c.raised_at is not None else None
    ),
    "acknowledged": lambda c, at: replace(c, is_acknowledged=c.raised_at is not None),
    "shelved": lambda c, at: replace(c, shelved_until=at + 30 * MINUTE if c.raised_at is not None else None),
    "taken back": lambda c, at: replace(c, shelved_until=None),
    "hushed": lambda c, at: replace(c, is_hushed=True),
    "resumed": lambda c, at: replace(c, is_hushed=False),
}
# From each state to each other one that an event leads to, at one moment; all that time does is in the table above.
MAY_FOLLOW: Final[Mapping[S, Mapping[S, str]]] = {
    S.NORMAL: {S.PENDING: "seen", S.ACTIVE_UNACKED: "raised", S.SUPPRESSED: "raised"},
    S.PENDING: {S.NORMAL: "kept", S.ACTIVE_UNACKED: "raised", S.SUPPRESSED: "raised"},
    S.ACTIVE_UNACKED: {
        S.RECOVERING: "kept", S.ACTIVE_ACKED: "acknowledged", S.SHELVED: "shelved", S.SUPPRESSED: "hushed",
    },
    S.ACTIVE_ACKED: {S.RECOVERING: "kept", S.SHELVED: "shelved", S.SUPPRESSED: "hushed"},
    S.RECOVERING: {
        S.ACTIVE_UNACKED: "raised", S.ACTIVE_ACKED: "raised", S.SHELVED: "shelved", S.SUPPRESSED: "hushed",
    },
    S.CLEARED_UNACKED: {
        S.ACTIVE_UNACKED: "raised", S.CLEARED: "acknowledged", S.SHELVED: "shelved", S.SUPPRESSED: "raised",
    },
    S.CLEARED: {S.ACTIVE_ACKED: "raised", S.SHELVED: "raised", S.SUPPRESSED: "raised"},
    S.SHELVED: {
        S.CLEARED: "acknowledged", S.NO_DATA: "taken back", S.RECOVERING: "taken back",
        S.CLEARED_UNACKED: "taken back", S.SUPPRESSED: "taken back", S.ACTIVE_UNACKED: "taken back",
        S.ACTIVE_ACKED: "taken back",
    },
    S.SUPPRESSED: {
        S.SHELVED: "shelved", S.NO_DATA: "resumed", S.RECOVERING: "resumed", S.ACTIVE_UNACKED: "resumed",
        S.ACTIVE_ACKED: "resumed",
    },
    S.NO_DATA: {
        S.PENDING: "seen", S.NORMAL: "kept", S.RECOVERING: "kept", S.SHELVED: "shelved",
        S.ACTIVE_UNACKED: "raised, seen", S.ACTIVE_ACKED: "raised, seen", S.SUPPRESSED: "hushed, raised",
    },
}  # fmt: skip


def conditions() -> Iterator[Condition]:
    """Give every kind of condition there is at `NOW`."""
    long_ago = NOW - 2 * 60 * MINUTE
    for known_at, pending, is_hushed in product((None, NOW, long_ago), (None, NOW - MINUTE), (False, True)):
        quiet = Condition(known_at=known_at, pending_since=pending, is_hushed=is_hushed)
        yield quiet
        raised = replace(quiet, raised_at=long_ago, seen_at=long_ago)
        ends, shelves = (None, NOW - SECOND, NOW - 5 * MINUTE), (None, NOW + MINUTE, NOW - MINUTE)
        for over_at, is_acknowledged, until in product(ends, (False, True), shelves):
            yield replace(raised, over_at=over_at, is_acknowledged=is_acknowledged, shelved_until=until)


def test_every_event_leads_where_the_table_says_and_nowhere_else() -> None:
    found: dict[S, dict[S, set[str]]] = {}
    for condition, (name, event) in product(conditions(), EVENTS.items()):
        before, after = state_of(condition, TOLD, NOW), state_of(event(condition, NOW), TOLD, NOW)
        if after is not before:
            found.setdefault(before, {}).setdefault(after, set()).add(name)

    assert found.keys() == set(S)
    assert {
        before: {after: ", ".join(sorted(names)) for after, names in follow.items()} for before, follow in found.items()
    } == MAY_FOLLOW


@given(st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(1, 120)), max_size=30))
def test_no_story_leaves_the_table(story: list[tuple[str, int]]) -> None:
    condition, at = KNOWN, NOW
    for event, minutes in story:
        before = state_of(condition, TOLD, at)
        condition = EVENTS[event](condition, at)
        after = state_of(condition, TOLD, at)
        assert after is before or event in MAY_FOLLOW[before].get(after, ""), f"{before} -> {after} on {event}"
        at += minutes * MINUTE


@given(
    st.builds(
        Condition,
        raised_at=st.just(NOW),
        seen_at=st.just(NOW),
        over_at=st.sampled_from([None, NOW]),
        is_acknowledged=st.booleans(),
        shelved_until=st.sampled_from([None, NOW + MINUTE]),
        is_hushed=st.booleans(),
        known_at=st.sampled_from([None, NOW]),
    ),
    st.integers(0, 10**6),
)
def test_a_raised_alert_never_reads_as_if_nothing_were(condition: Condition, seconds: int) -> None:
    state = state_of(condition, TOLD, NOW + seconds * SECOND)

    assert state not in (S.NORMAL, S.PENDING)
    assert (state is S.CLEARED) <= condition.is_acknowledged


@pytest.mark.parametrize(
    ("state", "severity", "told"),
    [
        (S.ACTIVE_UNACKED, Severity.WARN, True),
        (S.NO_DATA, Severity.WARN, True),
        (S.RECOVERING, Severity.WARN, True),
        (S.CLEARED_UNACKED, Severity.WARN, False),
        (S.CLEARED_UNACKED, Severity.CRIT, True),
        (S.SHELVED, Severity.CRIT, False),
        (S.SUPPRESSED, Severity.WARN, False),
    ],
)
def test_who_is_away_is_told_while_it_lasts_and_of_a_crit_until_somebody_answers(
    state: S, severity: Severity, told: bool
) -> None:
    assert is_to_be_told(state, is_acknowledged=False, severity=severity) is told
    assert not is_to_be_told(state, is_acknowledged=True, severity=severity)
