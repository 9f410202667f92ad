"""What was asked of a desk comes back from the trail as the desk heard it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.advice import LONGEST_NS, GridAdvice
from trading.domain.advice_tape import Kept, as_kept, tape_of
from trading.domain.events import PersistAdvice

BEGIN = 1_750_032_000 * 10**9
HOUR = 3_600 * 10**9
ASKED = GridAdvice("BTCUSDT", "ab", BEGIN, BEGIN + HOUR, 0.003, 4, 0.5, -0.2, pause_sells=True, recentre=True)


def rows(*changes: tuple[str, GridAdvice | None, int]) -> list[Kept]:
    """As the database gives them back."""
    kept: list[Kept] = json.loads(json.dumps([as_kept(PersistAdvice(*change)) for change in changes]))
    return kept


def test_what_acts_comes_back_and_ends_when_it_ended() -> None:
    kept = rows(("BTCUSDT", ASKED, BEGIN), ("ETHUSDT", None, BEGIN + 1), ("BTCUSDT", None, BEGIN + 2))

    (at_ns, told), (_, other), (end_ns, over) = tape_of(kept, BEGIN - 1, BEGIN + HOUR)

    assert told.advice is not None
    assert (at_ns, told.symbol, told.advice.restraint) == (BEGIN, "BTCUSDT", ASKED.restraint)
    assert (other.symbol, other.advice) == ("ETHUSDT", None)
    assert (end_ns, over.symbol, over.advice) == (BEGIN + 2, "BTCUSDT", None)


def test_what_was_in_force_when_a_stretch_begins_begins_with_it() -> None:
    kept = rows(("BTCUSDT", ASKED, BEGIN - 100 * HOUR))

    ((at_ns, told),) = tape_of(kept, BEGIN, BEGIN + HOUR)

    assert at_ns == BEGIN
    assert told.advice is not None
    assert told.advice.holds(BEGIN + HOUR)


@pytest.mark.parametrize(("hours", "times"), [(1, 1), (24, 1), (25, 2), (60, 3)])
def test_what_is_asked_for_days_holds_all_the_time(hours: int, times: int) -> None:
    tape = tape_of(rows(("BTCUSDT", ASKED, BEGIN)), BEGIN, BEGIN + hours * HOUR)

    assert [at_ns for at_ns, _ in tape] == [BEGIN + k * LONGEST_NS for k in range(times)]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1), st.none() | st.integers(0, 9), st.booleans())
def test_no_digit_is_lost(floor: float, size: float, skew: float, levels: int | None, pauses: bool) -> None:
    asked = GridAdvice("BTCUSDT", "ab", BEGIN, BEGIN + 1, floor, levels, size, skew, pauses, not pauses)

    ((_, told),) = tape_of(rows(("BTCUSDT", asked, BEGIN)), BEGIN, BEGIN + 1)

    assert told.advice is not None
    assert told.advice.restraint == asked.restraint
