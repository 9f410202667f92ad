"""Features of bars: live equals replay to the last bit, no bar knows its future, and a hole is not filled."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from math import log, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trading.domain.shipped_bars import in_fives, one_by_one, only, shipped, with_holes
from trading.domain.bar_features import FEATURES, MEMORY_S, WARM_S, BarFeatures, frame_of, schema_digest
from trading.domain.bars import SECOND_NS, Bar, Bars, Floats, Frame, UnsoundBars

ROOT = Path(__file__).resolve().parents[3]
DAY = 1_440  # bars of a minute
HOUR_NS = 3_600 * SECOND_NS


def wild() -> Bars:
    """Prices and volumes over hundreds of orders of magnitude, still bars."""
    rng, count = np.random.default_rng(2), 1_000
    points = np.exp(np.clip(rng.normal(0, 30, (count, 4)).cumsum(axis=0) % 1_200 - 600, -600, 600))
    low, high = points.min(axis=1), points.max(axis=1)
    volume = np.exp(rng.uniform(-700, 709, count)) * rng.choice([0.0, 1.0], count)
    at_ns = np.arange(1, count + 1, dtype=np.int64) * 300 * SECOND_NS
    return Bars("X", 300 * SECOND_NS, at_ns, points[:, 0], high, low, points[:, 3], volume)


def after_two_weeks() -> Bars:
    """A day and a half of bars, two weeks of none, and the rest."""
    bars = in_fives(shipped())
    return replace(bars, at_ns=bars.at_ns + np.where(np.arange(len(bars)) < 432, 0, 14 * 24 * HOUR_NS))


BARS: dict[str, Callable[[], Bars]] = {
    "minutes": shipped,
    "minutes with holes": lambda: with_holes(shipped()),
    "fives": lambda: in_fives(shipped()),
    "two weeks without": after_two_weeks,
    "wild": wild,
}


def same_bits(a: Frame, b: Frame) -> bool:
    return np.array_equal(a.x.view(np.uint32), b.x.view(np.uint32)) and np.array_equal(a.known, b.known)


def value(frame: Frame, name: str, row: int) -> float:
    assert frame.known[row]
    return float(frame.x[row, FEATURES.index(name)])


@pytest.mark.parametrize("name", BARS)
def test_bar_by_bar_gives_the_bits_of_the_replay(name: str) -> None:
    bars = BARS[name]()
    frame, live = frame_of(bars), BarFeatures(bars.bar_ns // SECOND_NS)

    rows = [live.observe(bar) for bar in one_by_one(bars)]

    place = (bars.at_ns - frame.at_ns[0]) // bars.bar_ns
    assert np.array_equal(np.array([row.x for row in rows]).view(np.uint32), frame.x[place].view(np.uint32))
    assert np.array_equal([row.known for row in rows], frame.known[place])
    assert len(rows) + sum(row.missed for row in rows) == len(frame)
    assert frame.known.sum() > len(bars) / 3


@pytest.mark.parametrize("name", BARS)
def test_a_row_that_is_not_known_is_zero_and_one_that_is_is_finite(name: str) -> None:
    bars = BARS[name]()
    frame = frame_of(bars)

    assert not frame.x[~frame.known].any()
    assert np.isfinite(frame.x[frame.known]).all()
    assert np.array_equal(np.isfinite(frame.close), np.isin(frame.at_ns, bars.at_ns))
    assert not frame.known[np.isnan(frame.close)].any()


def test_everything_is_known_after_a_day_and_nothing_much_before() -> None:
    frame = frame_of(shipped())

    assert frame.known[WARM_S // 60 :].all()
    assert not frame.known[: DAY - 60].any()


def test_a_few_missing_bars_blind_nothing_else_and_a_long_hole_blinds_until_four_fifths_are_back() -> None:
    kept = np.ones(len(shipped()), np.bool_)
    kept[3_000:3_003] = kept[5_000:5_090] = False

    known = frame_of(only(shipped(), kept)).known

    assert np.flatnonzero(~known[2_000:5_000]).tolist() == [1_000, 1_001, 1_002]
    assert np.flatnonzero(~known[5_000:]).tolist() == list(range(240 + 91 - 48))  # of 4 h


def test_no_return_is_invented_across_a_hole() -> None:
    bars, kept = shipped(), np.ones(len(shipped()), np.bool_)
    kept[4_000:4_005] = False
    scale = np.where(np.arange(len(bars)) < 4_000, 1.0, 2.0)  # the price doubles while nobody looks
    prices: dict[str, Any] = {name: getattr(bars, name) * scale for name in ("open", "high", "low", "close")}

    plain, doubled = frame_of(only(bars, kept)), frame_of(only(replace(bars, **prices), kept))

    for name in ("log_rv_1h", "log_rv_24h", "momentum_1h", "momentum_24h", "jump_share_4h"):
        assert value(doubled, name, 4_020) == pytest.approx(value(plain, name, 4_020), abs=1e-5)


def test_what_is_older_than_the_memory_changes_no_bit() -> None:
    twice = two_weeks(in_fives(shipped()))
    longer = frame_of(twice)
    week = MEMORY_S // 300

    short = frame_of(only(twice, np.arange(len(twice)) >= 100))

    assert same_bits(cut(longer, 100 + week + 1), cut(short, week + 1))
    assert not same_bits(cut(longer, 100 + week - 300), cut(short, week - 300))


def two_weeks(bars: Bars) -> Bars:
    values = [np.tile(getattr(bars, name), 2) for name in ("open", "high", "low", "close", "volume")]
    return Bars("X", bars.bar_ns, np.concatenate((bars.at_ns - 7 * 24 * HOUR_NS, bars.at_ns)), *values)


def cut(frame: Frame, first: int) -> Frame:
    return replace(frame, x=frame.x[first:], known=frame.known[first:])


# --- the future changes nothing ---------------------------------------------------------------------------------------

Features = Callable[[Bars], Frame]


def changed(bars: Bars, row: int, *, after: bool) -> list[Bars]:
    """Return the bars with other values, and with some missing, after `row` or in the two hours up to it."""
    where = np.arange(len(bars)) > row if after else (np.arange(len(bars)) <= row) & (np.arange(len(bars)) > row - 120)
    rng = np.random.default_rng(3)
    factor = np.where(where, np.exp(rng.normal(0, 0.01, len(bars)).cumsum()), 1.0)
    width = np.where(where, 1.001 + rng.random(len(bars)) / 100, 1.0)
    prices: dict[str, Any] = {"open": bars.open * factor, "close": bars.close * factor,
              "high": bars.high * factor * width, "low": bars.low * factor / width}  # fmt: skip
    other = replace(bars, **prices, volume=np.where(where, bars.volume * 3 + 1, bars.volume))
    missing = only(bars, ~where | (rng.random(len(bars)) > 0.1) | (np.arange(len(bars)) == row))
    return [other, missing]


def looks_ahead(features: Features, bars: Bars, row: int) -> set[str]:
    """Return the features, "known" included, whose rows up to `row` change with bars after it."""
    before, at_ns = features(bars), int(bars.at_ns[row])
    found: set[str] = set()
    for other in changed(bars, row, after=True):
        after, upto = features(other), int(np.searchsorted(before.at_ns, at_ns, "right"))
        differs = (before.x[:upto].view(np.uint32) != after.x[:upto].view(np.uint32)).any(axis=0)
        found |= {name for name, is_other in zip(FEATURES, differs, strict=True) if is_other}
        found |= set() if np.array_equal(before.known[:upto], after.known[:upto]) else {"known"}
    return found


@pytest.mark.parametrize("row", [1_439, 2_000, 5_431])
def test_no_feature_changes_with_bars_after_it(row: int) -> None:
    assert not looks_ahead(frame_of, shipped(), row)


@pytest.mark.parametrize("row", [400, 1_200])
def test_no_feature_of_five_minutes_changes_with_bars_after_it(row: int) -> None:
    assert not looks_ahead(frame_of, in_fives(shipped()), row)


def test_every_feature_of_prices_and_volumes_changes_with_the_bars_before_it() -> None:
    bars, row = shipped(), 5_000
    before, after = frame_of(bars), frame_of(changed(bars, row, after=False)[0])

    same = before.x[row] == after.x[row]

    of_time = set(FEATURES[15:])
    seen_later = {"log_rv_coming_hour"}  # it reads the same hour of days before, not the last two hours
    assert {name for name, is_same in zip(FEATURES, same, strict=True) if is_same} == of_time | seen_later
    coming = FEATURES.index("log_rv_coming_hour")
    assert before.x[row + DAY - 90, coming] != after.x[row + DAY - 90, coming]


@pytest.mark.parametrize("name", FEATURES[:15])
def test_a_feature_that_looks_ahead_is_caught(name: str) -> None:
    by = DAY if name == "log_rv_coming_hour" else 1  # a bar ahead, it still reads of the days before

    def ahead(bars: Bars) -> Frame:
        frame = frame_of(bars)
        x = frame.x.copy()
        x[:-by, FEATURES.index(name)] = frame.x[by:, FEATURES.index(name)]
        return replace(frame, x=x)

    assert looks_ahead(ahead, shipped(), 5_431) >= {name}


# --- the formulas, once more in plain numpy ---------------------------------------------------------------------------


def hourly(squares: Floats) -> float:
    return log(squares.mean() * 60)


@pytest.mark.parametrize("row", [9_000, 15_000], ids=["within a week", "in the second week"])
def test_the_features_are_their_formulas(row: int) -> None:
    bars, days = two_weeks(shipped()), min(row // DAY, 7)
    r = np.diff(np.log(bars.close), prepend=np.nan)
    last = {hours: slice(row + 1 - 60 * hours, row + 1) for hours in (1, 4, 24)}
    reach, body = np.log(bars.high / bars.low), np.log(bars.close / bars.open)
    garman_klass = (0.5 * reach**2 - (2 * log(2) - 1) * body**2)[row - 14 : row + 1]
    r4, day = r[last[4]], (r[last[24]] ** 2).mean() * 60
    same_hours = [r[row + 1 - k * DAY : row + 61 - k * DAY] for k in range(1, days + 1)]
    square, before = (r4**2).mean(), r[row - 240 : row]
    parkinson, volume = reach**2 / (4 * log(2)), bars.volume[last[24]].mean()
    turn = 2 * pi * (bars.at_ns[row] % (24 * HOUR_NS)) / (24 * HOUR_NS)
    expected = {
        "log_rv_1h": hourly(r[last[1]] ** 2),
        "log_rv_4h": hourly(r4**2),
        "log_rv_24h": log(day),
        "log_rv_7d": hourly(r[max(1, row + 1 - 7 * DAY) : row + 1] ** 2),
        "log_rv_coming_hour": hourly(np.concatenate(same_hours) ** 2),
        "log_range_bar": log(parkinson[row] * 60),
        "log_range_15m": hourly(garman_klass),
        "log_range_1h": hourly(parkinson[last[1]]),
        "jump_share_4h": max(square - pi / 2 * (np.abs(r4) * np.abs(before)).mean(), 0) / square,
        "momentum_1h": r[last[1]].sum() / sqrt(day),
        "momentum_24h": r[last[24]].sum() / sqrt(24 * day),
        "extent_24h": abs(r[last[24]].sum()) / sqrt(24 * day),
        "drawdown_24h": log(bars.close[row] / bars.high[last[24]].max()) / sqrt(24 * day),
        "log_volume_bar": log(bars.volume[row] / volume),
        "log_volume_1h": log(bars.volume[last[1]].mean() / volume),
        "day_sin": np.sin(turn),
        "day_cos": np.cos(turn),
        "half_day_cos": np.cos(2 * turn),
        "week_sin": np.sin(2 * pi * (bars.at_ns[row] % (168 * HOUR_NS)) / (168 * HOUR_NS)),
        "weekend": 0.0,
    }

    frame = frame_of(bars)

    assert tuple(expected) == FEATURES
    for name, plain in expected.items():
        assert value(frame, name, row) == pytest.approx(plain, rel=1e-5, abs=1e-6), name


def test_saturday_and_sunday_are_the_weekend() -> None:
    frame = frame_of(shipped())  # from a Saturday, 10 May 2025, on; the Sunday is the first day that is known

    weekend = [value(frame, "weekend", row) for row in (DAY + 100, 2 * DAY - 2, 2 * DAY - 1, 6 * DAY)]

    assert weekend == [1, 1, 0, 0]  # the bar that closes at midnight is followed by Monday


def test_what_is_live_loads_no_compiler() -> None:
    script = (
        "import sys; from trading.domain.bar_features import BarFeatures; from trading.domain.bars import Bar; "
        "BarFeatures(60).observe(Bar(60 * 10**9, 1.0, 1.0, 1.0, 1.0, 1.0)); print('numba' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout == "False\n"


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bar_s", [0, -60, 7, 30, 1_800])
def test_a_length_that_does_not_divide_a_quarter_of_an_hour_is_refused(bar_s: int) -> None:
    with pytest.raises(UnsoundBars, match="bar_s"):
        BarFeatures(bar_s)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at_ns": 60 * SECOND_NS}, "at_ns"),
        ({"at_ns": 121 * SECOND_NS}, "at_ns"),
        ({"close": float("nan")}, "bar"),
        ({"volume": float("inf")}, "bar"),
        ({"low": 0.0}, "bar"),
        ({"high": 9.0}, "bar"),
    ],
)
def test_a_bar_that_is_none_is_refused_and_changes_nothing(change: dict[str, float], field: str) -> None:
    first, second = (Bar(k * 60 * SECOND_NS, 10.0, 11.0, 9.0, 10.0, 1.0) for k in (1, 2))
    live = BarFeatures(60)
    live.observe(first)

    with pytest.raises(UnsoundBars, match=field):
        live.observe(replace(second, **change))  # type: ignore[arg-type]  # wrong on purpose

    assert live.observe(second).missed == 0


def test_a_market_without_a_trade_is_unknown_and_one_that_stands_still_is_not() -> None:
    at_ns = np.arange(1, 2 * DAY, dtype=np.int64) * 60 * SECOND_NS
    price, volume = np.full(len(at_ns), 5.0), np.ones(len(at_ns))
    still = Bars("X", 60 * SECOND_NS, at_ns, price, price, price, price, volume)

    assert frame_of(still).known[DAY:].all()
    assert not frame_of(replace(still, volume=0 * volume)).known.any()


def test_the_schema_tells_lengths_apart() -> None:
    assert schema_digest(60) != schema_digest(300)
    assert schema_digest(60) == schema_digest(60)
    assert len(schema_digest(60)) == 64
