"""How far the price goes against us after a fill: by hand, and for every tape."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain import mark_outs
from trading.domain.mark_outs import FEWEST_FILLS, HORIZON_NS, mark_out

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
