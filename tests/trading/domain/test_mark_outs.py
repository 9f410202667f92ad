"""How far the price goes against us after a fill: by hand, and for every tape."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain import mark_outs
from trading.domain.mark_outs import FEWEST_FILLS, HORIZON_NS, NEAR_NS, Move, events_around, mark_out, mark_out_of

SECOND = 1_000_000_000
FILLS = FEWEST_FILLS


def measured(marks: list[int], lots: int, *, every_ns: int = HORIZON_NS, fills: int = FILLS) -> mark_outs.MarkOut:
    """Fill `fills` times at the first event of a tape that goes through `marks`."""
    at_ns = np.arange(len(marks), dtype=np.int64) * every_ns
    event = np.zeros(fills, np.int64)
    return mark_out(at_ns, np.array(marks, np.int64), event, np.full(fills, lots, np.int64))


@pytest.mark.parametrize(
    ("marks", "lots", "expected"),
    [([1_000, 990], 3, "0.01"), ([1_000, 990], -3, "-0.01"), ([1_000, 1_010], -3, "0.01"), ([1_000, 1_000], 3, "0")],
    ids=["bought before a fall", "sold before a fall", "sold before a rise", "nothing moved"],
)
def test_a_move_against_us_is_above_zero(marks: list[int], lots: int, expected: str) -> None:
    assert measured(marks, lots) == (Decimal(expected), FILLS)


def test_the_price_at_the_horizon_counts_and_none_after_it() -> None:
    assert measured([1_000, 990, 900], 1, every_ns=HORIZON_NS).fraction == Decimal("0.01")
    assert measured([1_000, 990, 900], 1, every_ns=HORIZON_NS - 1).fraction == Decimal("0.01")
    assert measured([1_000, 990, 900], 1, every_ns=HORIZON_NS // 2).fraction == Decimal("0.1")


def test_a_fill_without_its_horizon_is_left_out_and_too_few_are_unknown() -> None:
    at_ns, mark = np.array([0, SECOND, HORIZON_NS]), np.array([100, 50, 90])
    event = np.array([0] * FILLS + [1] * 5)

    assert mark_out(at_ns, mark, event, np.ones(FILLS + 5, np.int64)) == (Decimal("0.1"), FILLS)
    assert mark_out(at_ns, mark, event[1:], np.ones(FILLS + 4, np.int64)) == (None, FILLS - 1)
    assert measured([1_000], 1) == (None, 0)


def test_a_large_fill_weighs_more() -> None:
    at_ns, mark = np.array([0, HORIZON_NS]), np.array([1_000, 900])
    lots = np.array([9] * FILLS + [-1] * FILLS)

    found = mark_out(at_ns, mark, np.zeros(2 * FILLS, np.int64), lots)

    assert found.fraction == Decimal("0.08")


@given(st.lists(st.integers(1, 2**40), min_size=2, max_size=30), st.integers(1, 10**6))
def test_buying_and_selling_the_same_are_opposite(marks: list[int], lots: int) -> None:
    bought, sold = measured(marks, lots).fraction, measured(marks, -lots).fraction

    assert bought is not None
    assert sold is not None
    assert bought == -sold


FILL = st.tuples(st.integers(1, 2**30), st.integers(1, 2**30), st.sampled_from([-7, -1, 1, 99]))


@settings(max_examples=25)
@given(st.lists(FILL, min_size=FEWEST_FILLS, max_size=30))
def test_a_desk_is_measured_by_the_same_rule_as_a_backtest(fills: list[tuple[int, int, int]]) -> None:
    """Each fill at an event of its own, the mark after it one horizon later."""
    at_ns = np.arange(2 * len(fills), dtype=np.int64) * HORIZON_NS
    mark = np.array([ticks for now, later, _ in fills for ticks in (now, later)], np.int64)
    lots = np.array([lots for *_, lots in fills], np.int64)

    tested = mark_out(at_ns, mark, np.arange(len(fills)) * 2, lots)

    assert mark_out_of([Move(Decimal(lots), Decimal(now), Decimal(later)) for now, later, lots in fills]) == tested


def test_a_desk_with_too_few_fills_has_no_mark_out() -> None:
    move = Move(Decimal(1), Decimal(100), Decimal(99))

    assert mark_out_of([move] * (FEWEST_FILLS - 1)) == (None, FEWEST_FILLS - 1)
    assert mark_out_of([move] * FEWEST_FILLS) == (Decimal("0.01"), FEWEST_FILLS)
    assert mark_out_of([]) == (None, 0)


@pytest.mark.parametrize(
    ("at_s", "segment_s", "filled_s", "expected"),
    [
        ([0, 5, 14, 15, 16], [0] * 5, 5, (1, 3)),
        ([0, 5.5, 15, 16], [0] * 4, 5, (1, 2)),
        ([0, 6, 17], [0] * 3, 5, (1, 1)),
        ([0, 6.000000001, 17], [0] * 3, 5, None),
        ([0, 5, 15], [0] * 3, 5, None),
        ([0, 5, 9, 16], [0, 0, 0, 16], 5, None),
        ([5, 6, 16], [5] * 3, 5, (0, 1)),
        ([5.5, 6, 16], [5.5] * 3, 5, None),
        ([0], [0], 5, None),
    ],
    ids=[
        "the last within the horizon", "the first from the fill on", "nothing moved", "nothing near the fill",
        "it does not go on", "a seam within the horizon", "it began with the fill", "it began after it", "it is over",
    ],
)  # fmt: skip
def test_what_the_recording_does_not_follow_is_not_guessed(
    at_s: list[float], segment_s: list[float], filled_s: float, expected: tuple[int, int] | None
) -> None:
    at_ns, segment_ns = (np.array([round(one * SECOND) for one in column]) for column in (at_s, segment_s))

    assert events_around(at_ns, segment_ns, np.array([filled_s * SECOND])) == [expected]
    assert NEAR_NS == SECOND
