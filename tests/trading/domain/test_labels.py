"""Labels: what came after a bar, NaN where it is not known, and nothing of what came before."""

from dataclasses import replace
from math import inf, log, nan
from typing import Any

import numpy as np
import pytest

from tests.trading.domain.shipped_bars import only, shipped, with_holes
from trading.domain.bar_features import frame_of
from trading.domain.bars import SECOND_NS, Floats, UnsoundBars
from trading.domain.labels import Labels, labels_of, triple_barrier

HORIZONS_S = (3_600, 14_400)


def labelled(missing: tuple[int, ...] = ()) -> tuple[Labels, Floats]:
    kept = ~np.isin(np.arange(len(shipped())), missing)
    bars = only(shipped(), kept)
    frame = frame_of(bars)
    return labels_of(bars, frame, HORIZONS_S), frame.close


def test_labels_are_what_came_after() -> None:
    labels, close = labelled()
    r, row = np.diff(np.log(close)), 3_000  # r[k] leads to close[k + 1]
    volume = shipped().volume

    assert labels.log_rv[row, 0] == pytest.approx(log((r[row : row + 60] ** 2).mean() * 60))
    assert labels.log_rv[row, 1] == pytest.approx(log((r[row : row + 240] ** 2).mean() * 60))
    assert labels.returns[row] == pytest.approx(log(close[row + 60] / close[row]))
    expected = log(volume[row + 1 : row + 61].mean() / volume[row - 1_439 : row + 1].mean())
    assert labels.volume[row] == pytest.approx(expected)
    assert labels.until_ns[row] - shipped().at_ns[row] == 14_400 * SECOND_NS


def test_the_end_is_not_known() -> None:
    labels, close = labelled()

    for horizon, span in enumerate((60, 240)):
        known = np.isfinite(labels.log_rv[:, horizon])
        assert np.flatnonzero(~known).tolist() == list(range(len(close) - span, len(close)))
    assert np.flatnonzero(np.isnan(labels.returns)).tolist() == list(range(len(close) - 60, len(close)))


@pytest.mark.parametrize(("holes", "known"), [(12, True), (13, False)], ids=["four fifths", "less"])
def test_a_horizon_is_known_from_four_fifths_of_its_returns_on(holes: int, known: bool) -> None:
    row = 4_000
    labels, _ = labelled(tuple(range(row + 61 - holes, row + 61)))  # the last ones: one return a bar is lost

    assert np.isfinite(labels.log_rv[row, 0]) == known
    assert np.isnan(labels.returns[row])


def test_labels_say_nothing_of_the_past_but_the_mean_of_the_volume() -> None:
    bars, row = with_holes(shipped()), 3_000
    early = np.arange(len(bars)) < row
    prices: dict[str, Any] = {name: np.where(early, getattr(bars, name) * 1.5, getattr(bars, name)) for name in
              ("open", "high", "low", "close")}  # fmt: skip
    frame, other = frame_of(bars), frame_of(replace(bars, **prices))

    plain, changed = labels_of(bars, frame, HORIZONS_S), labels_of(replace(bars, **prices), other, HORIZONS_S)

    from_here = frame.at_ns >= bars.at_ns[row]
    assert np.allclose(plain.log_rv[from_here], changed.log_rv[from_here], rtol=1e-6, equal_nan=True)
    assert np.array_equal(plain.returns[from_here], changed.returns[from_here], equal_nan=True)


def test_after_a_day_without_a_trade_the_volume_is_not_known() -> None:
    bars = shipped()
    volume = bars.volume + np.pi
    volume[3_000:4_441] = 0

    labels = labels_of(replace(bars, volume=volume), frame_of(bars), HORIZONS_S)

    assert np.flatnonzero(np.isnan(labels.volume[2_000:5_000])).tolist() == [2_439, 2_440]


@pytest.mark.parametrize("horizons_s", [(), (90,), (0,), (-3_600,)])
def test_horizons_that_no_bars_fill_are_refused(horizons_s: tuple[int, ...]) -> None:
    with pytest.raises(UnsoundBars, match="horizons_s"):
        labels_of(shipped(), frame_of(shipped()), horizons_s)


def test_a_frame_of_other_bars_is_refused() -> None:
    with pytest.raises(UnsoundBars, match="other bars"):
        labels_of(only(shipped(), np.arange(len(shipped())) > 5), frame_of(shipped()), HORIZONS_S)


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([0, 0.5, 1.1, -2.0], 1),
        ([0, -0.5, -1.1, 2.0], -1),
        ([0, 0.9, -0.9, 0.9], 0),
        ([0, 0.9, -0.9, 0.9, 5.0], 0),
        ([0, nan, 1.1, 0.0], nan),
        ([0, 1.1, nan, 0.0], 1),
        ([0, 0.5, 0.5], nan),
        ([0, 1.1], 1),
        ([nan, 1.0, 1.0, 1.0], nan),
    ],
    ids=["upper", "lower", "neither", "late", "a hole before", "a hole after", "the end", "before the end", "no close"],
)
def test_the_first_barrier_that_is_met_is_the_label(logs: list[float], expected: float) -> None:
    label = triple_barrier(np.exp(np.array(logs)), np.full(len(logs), 1.0), 3)[0]

    assert label == expected or (np.isnan(label) and np.isnan(expected))


def test_barriers_may_lie_unevenly() -> None:
    close = np.exp(np.array([0, 1.5, -1.5, 0.0]))

    assert triple_barrier(close, np.ones(4), 3, up=2.0)[0] == -1
    assert triple_barrier(close, np.ones(4), 3, up=2.0, down=2.0)[0] == 0


@pytest.mark.parametrize("width", [0.0, nan, -1.0, inf])
def test_a_width_that_is_none_has_no_label(width: float) -> None:
    label = triple_barrier(np.exp(np.array([0.0, 5.0, 5.0, 5.0])), np.full(4, width), 2)[0]

    assert np.isnan(label)


@pytest.mark.parametrize(("bars", "up", "down"), [(0, 1, 1), (1, 0, 1), (1, 1, nan)])
def test_barriers_that_are_none_are_refused(bars: int, up: float, down: float) -> None:
    with pytest.raises(ValueError, match="barriers above zero"):
        triple_barrier(np.ones(3), np.ones(3), bars, up=up, down=down)
