"""The curve of a run: what it was worth after every event, and what is left of that on a chart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.curves import Path, closes, path_of, thinned


def path(
    mark: list[int], fills: list[tuple[int, int, int, int]] | None = None, *, cash: int = 1_000, lots: int = 0
) -> Path:
    """One event a second; fills are (event, lots, ticks, fee); a lot at a tick is 10 units."""
    columns = zip(*(fills or [(0, 0, 0, 0)]), strict=True)
    index, signed, ticks, fees = (np.array(column, dtype=np.int64) for column in columns)
    marks = np.array(mark, dtype=np.int64)
    return path_of(
        np.arange(len(mark), dtype=np.int64) * 1_000_000_000, marks, index=index, signed_lots=signed, ticks=ticks,
        fees=fees, held=(cash, lots), unit=10, opening=cash + lots * 10 * (mark[0] if mark else 0),
    )  # fmt: skip


def test_equity_follows_the_fills_and_the_mark() -> None:
    # bought 2 at 5 (100) with a fee of 3 at event 1, sold 1 at 7 (70) with a fee of 2 at event 3
    run = path([6, 5, 6, 7, 8], [(1, 2, 5, 3), (3, -1, 7, 2)])

    assert run.equity(0, 5).tolist() == [1_000, 997, 1_017, 1_035, 1_045]
    assert run.worth(0, 5)[1].tolist() == [0, 100, 120, 70, 80]
    assert run.equity(2, 4).tolist() == [1_017, 1_035]


def test_several_fills_at_one_event_all_count_after_it() -> None:
    run = path([6, 4, 4], [(1, 1, 5, 0), (1, 1, 4, 0)])

    assert run.equity(0, 3).tolist() == [1_000, 1_000 - 90 + 80, 990]


def test_a_thinned_curve_keeps_every_extreme() -> None:
    run = path([10, 30, 10, 10, 2, 10, 10, 10], lots=1, cash=0)

    curve = thinned(run, points=2)

    assert (curve.equity.min(), curve.equity.max()) == (20, 300)
    assert curve.index[0] == 0
    assert curve.index[-1] == 7
    assert curve.deepest == (280, 300)


def test_the_first_high_is_what_it_began_with() -> None:
    begun = path([10, 10], [(0, 1, 10, 25)], cash=1_000)  # a fee of 25 at once

    assert thinned(begun).deepest == (25, 1_000)


def test_exposure_is_weighted_with_time() -> None:
    run = path([10, 10, 10, 10], [(2, 5, 10, 0)], cash=1_000)  # half of the equity in the last of three seconds

    curve = thinned(run)

    assert curve.exposure_mean == pytest.approx(0.5 / 3)
    assert curve.exposure_max == 0.5


def test_exposure_of_what_is_worth_nothing_is_unknown() -> None:
    curve = thinned(path([10, 10], cash=0))

    assert curve.exposure_mean is None
    assert curve.exposure_max is None


def test_exposure_without_time_has_a_height_but_no_mean() -> None:
    curve = thinned(path([10], lots=1, cash=100))

    assert curve.exposure_mean is None
    assert curve.exposure_max == 0.5


def test_whole_spans_are_counted_from_the_end() -> None:
    run = path([1] * 8)  # seconds 0 to 7

    assert list(closes(run, 3_000_000_000)) == [(2, 5), (5, 8)]


def test_a_run_without_events_has_no_curve() -> None:
    with pytest.raises(ValueError, match="no curve"):
        thinned(path([]))


@given(
    mark=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    fills=st.lists(
        st.tuples(st.integers(0, 59), st.integers(-3, 3), st.integers(1, 50), st.integers(0, 9)), max_size=9
    ),
    points=st.integers(1, 70),
)
def test_thinning_changes_neither_extremes_nor_the_deepest_fall(
    mark: list[int], fills: list[tuple[int, int, int, int]], points: int
) -> None:
    kept = sorted((min(event, len(mark) - 1), *rest) for event, *rest in fills)
    run = path(mark, kept or None, cash=100_000)  # type: ignore[arg-type]

    curve, every = thinned(run, points), run.equity(0, len(mark))

    highs = np.maximum.accumulate(np.maximum(every, run.opening))
    assert (curve.equity.min(), curve.equity.max()) == (every.min(), every.max())
    assert (curve.equity[0], curve.equity[-1]) == (every[0], every[-1])
    fall, peak = curve.deepest
    assert fall / peak == ((highs - every) / highs).max()
    assert curve.equity.tolist() == every[curve.index].tolist()
