"""The average true range, by hand and without looking ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.true_range import average_true_range, history

MINUTE_NS = 60_000_000_000


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_wilders_average_counts_gaps() -> None:
    high, low, close = ints(12, 15, 14, 20), ints(8, 11, 9, 18), ints(10, 14, 10, 19)

    average = average_true_range(high, low, close, 2)

    # True ranges: 15 - 10 = 5 (gap up from 10), 14 - 9 = 5, 20 - 10 = 10 (gap up from 10).
    assert np.isnan(average[:2]).all()
    assert average[2:].tolist() == [5.0, (5.0 * 1 + 10) / 2]


@pytest.mark.parametrize(("bars", "highs"), [(0, (1, 2)), (1, (1, 2, 3))])
def test_arrays_that_do_not_fit_are_refused(bars: int, highs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="bars"):
        average_true_range(ints(*highs), ints(1, 2), ints(1, 2), bars)


def test_a_value_is_known_from_the_first_event_after_its_bar() -> None:
    at_ns = ints(0, 30, 60, 90, 120, 180) * 1_000_000_000
    mark = ints(100, 110, 105, 95, 100, 130)

    known = history(at_ns, mark, bar_s=60, bars=1)

    # Bars: 100..110 close 110; 95..105 close 95, true range 15; 100, true range 5; 130 is not over.
    assert [known.at(event) for event in range(6)] == [None, None, None, None, 15.0, 5.0]


@given(
    marks=st.lists(st.integers(50, 150), min_size=2, max_size=60),
    gaps=st.lists(st.integers(0, 200), min_size=60, max_size=60),
    bars=st.integers(1, 4),
    cut=st.integers(1, 60),
)
def test_what_is_known_does_not_depend_on_what_comes_after(
    marks: list[int], gaps: list[int], bars: int, cut: int
) -> None:
    at_ns = np.cumsum(np.array(gaps[: len(marks)], np.int64)) * 1_000_000_000
    mark = np.array(marks, np.int64)
    cut = min(cut, len(marks))

    whole = history(at_ns, mark, bar_s=60, bars=bars)
    part = history(at_ns[:cut], mark[:cut], bar_s=60, bars=bars)

    assert [whole.at(event) for event in range(cut)] == [part.at(event) for event in range(cut)]
