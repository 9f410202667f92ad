"""Which grids a desk runs: who is answerable for a change of them, and since when they are others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from trading.domain.grids import GridSpec
from trading.domain.in_force import Cause, Changed, Ran, cause, newest, spec_of
from trading.domain.limits import ExecutionStyle
from trading.domain.spelling import spell

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
LOT = Decimal(6)
SPEC = GridSpec(symbol="BTCUSDT", slots=8, lot_quote=LOT, style=ExecutionStyle.TAKER, step_fraction=Decimal("0.001"))
WIDER = replace(SPEC, step_fraction=Decimal("0.002"))
GRANTED = replace(SPEC, lot_quote=Decimal(20))


@pytest.mark.parametrize(
    ("before", "now", "is_first", "expected"),
    [
        (None, Ran(SPEC, None), True, Cause.START),
        (None, Ran(SPEC, AT), True, Cause.EDIT),
        (None, Ran(GRANTED, None), False, Cause.MANDATE),
        (None, Ran(SPEC, None), False, Cause.UNKNOWN),
        (None, Ran(None, None), False, Cause.UNKNOWN),
        (Ran(SPEC, None), Ran(SPEC, None), False, None),
        (Ran(SPEC, AT), Ran(SPEC, AT), False, None),
        (Ran(SPEC, None), Ran(WIDER, AT), False, Cause.EDIT),
        (Ran(WIDER, AT), Ran(SPEC, LATER), False, Cause.EDIT),
        (Ran(SPEC, AT), Ran(SPEC, LATER), False, Cause.EDIT),
        (Ran(SPEC, None), Ran(GRANTED, None), False, Cause.MANDATE),
        (Ran(SPEC, AT), Ran(GRANTED, AT), False, Cause.MANDATE),
        (Ran(SPEC, None), Ran(GRANTED, AT), False, Cause.EDIT),
        (Ran(GRANTED, None), Ran(SPEC, None), False, Cause.UNKNOWN),
        (Ran(SPEC, None), Ran(WIDER, None), False, Cause.UNKNOWN),
        (Ran(WIDER, None), Ran(GRANTED, None), False, Cause.UNKNOWN),
        (Ran(SPEC, None), Ran(None, None), False, Cause.UNKNOWN),
        (Ran(None, None), Ran(SPEC, None), False, Cause.UNKNOWN),
    ],
    ids=[
        "the first start", "the first start, edited before", "a symbol's first grid by a mandate",
        "a symbol's first grid by nobody", "a grid that cannot be read", "the same", "the same, once edited", "edited",
        "edited back", "edited twice while the desk was down", "a mandate's lot", "a mandate's lot after an edit",
        "a person's lot", "a lot by nobody", "a step by nobody", "a step by nobody beside a mandate's lot",
        "no longer run", "what ran cannot be read",
    ],
)  # fmt: skip
def test_somebody_answers_for_every_change(before: Ran | None, now: Ran, is_first: bool, expected: Cause) -> None:
    assert cause(before, now, is_first=is_first, lot=GRANTED.lot_quote) is expected


@pytest.mark.parametrize(
    ("saved_at", "in_force_at", "expected"),
    [(AT, LATER, LATER), (LATER, AT, LATER), (None, AT, AT), (AT, None, None), (None, None, None)],
)
def test_a_change_is_in_force_from_the_later_of_both_times(
    saved_at: datetime | None, in_force_at: datetime | None, expected: datetime | None
) -> None:
    assert Changed("BTCUSDT", saved_at, in_force_at).at == expected


def test_a_change_that_waits_comes_before_every_other() -> None:
    old, new, waits = Changed("A", AT, AT), Changed("B", AT, LATER), Changed("C", AT, None)

    assert newest([]) is None
    assert newest([new, old]) == newest([old, new]) == new
    assert newest([new, waits, old]) == waits


def test_a_grid_is_the_same_in_its_stored_words() -> None:
    assert spec_of(spell(WIDER)) == WIDER
    assert spec_of({}) is None
    assert spec_of({**spell(WIDER), "no_such_name": 1}) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Changed("B", AT, LATER), "grid B was changed on 2026-11-21 12:00 UTC, in force since 2026-11-21 13:00 UTC"),
        (Changed("B", None, AT), "grid B changed, in force since 2026-11-21 12:00 UTC"),
        (Changed("B", AT, None), "the change of grid B saved on 2026-11-21 12:00 UTC is not in force yet"),
        (Changed("B", None, None), "the change of grid B is not in force yet"),
    ],
)
def test_people_read_what_was_changed_and_when(changed: Changed, words: str) -> None:
    assert changed.words == words
