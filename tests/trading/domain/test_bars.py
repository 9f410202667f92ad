"""Bars refuse what no bars can be, by name and place."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trading.domain.bars import Bar, BarMaker, Bars, UnsoundBars, on_grid

MINUTE_NS = 60_000_000_000


def sound() -> Bars:
    at_ns = np.arange(1, 5, dtype=np.int64) * MINUTE_NS
    price = np.array([10.0, 11.0, 12.0, 11.0])
    return Bars("BTCUSDT", MINUTE_NS, at_ns, price, price + 1, price - 1, price, np.ones(4))


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_value_that_no_bar_has_is_named_with_its_place(name: str, value: float) -> None:
    column: Any = getattr(sound(), name).copy()
    column[2] = value

    with pytest.raises(UnsoundBars, match="of bar 2"):
        replace(sound(), **{name: column})


@pytest.mark.parametrize(
    "at_ns", [[1, 2, 2, 3], [1, 3, 2, 4], [0, 1, 2, 3.5]], ids=["twice", "backwards", "off the length"]
)
def test_times_rise_on_the_length_of_a_bar(at_ns: list[float]) -> None:
    with pytest.raises(UnsoundBars, match="at_ns"):
        replace(sound(), at_ns=(np.array(at_ns) * MINUTE_NS).astype(np.int64))


def test_a_part_holds_the_bars_that_close_in_it() -> None:
    part = sound().between(2 * MINUTE_NS, 4 * MINUTE_NS)

    assert part.at_ns.tolist() == [2 * MINUTE_NS, 3 * MINUTE_NS]
    assert part.close.tolist() == [11.0, 12.0]


@pytest.mark.parametrize("first_ns", [MINUTE_NS, 1_606_781_100_000_000_000, 2**62 // MINUTE_NS * MINUTE_NS])
def test_every_bar_time_has_its_place_whatever_the_year(first_ns: int) -> None:
    at_ns = first_ns + np.array([0, 1, 3, 429_694], np.int64) * MINUTE_NS
    price = np.ones(4)

    times, place = on_grid(Bars("X", MINUTE_NS, at_ns, price, price, price, price, price))

    assert (place.tolist(), len(times)) == ([0, 1, 3, 429_694], 429_695)
    assert times[place].tolist() == at_ns.tolist()
    assert set(np.diff(times).tolist()) == {MINUTE_NS}


# --- bars out of prices -----------------------------------------------------------------------------------------------


def made(*prices: tuple[float, float, float], maker: BarMaker | None = None) -> list[Bar]:
    """Feed (price, seconds, volume); return the bars of a minute that closed."""
    maker = maker or BarMaker(MINUTE_NS)
    found = [maker.observe(price, int(at_s * 10**9), volume) for price, at_s, volume in prices]
    return [bar for bar in found if bar is not None]


def test_a_bar_holds_its_begin_and_not_its_end() -> None:
    maker = BarMaker(MINUTE_NS)
    for price, at_ns in ((10.0, 0), (12.0, 1), (9.0, MINUTE_NS - 2), (11.0, MINUTE_NS - 1)):
        assert maker.observe(price, at_ns, 0.5) is None

    assert maker.observe(99.0, MINUTE_NS) == Bar(MINUTE_NS, 10.0, 12.0, 9.0, 11.0, 2.0)
    assert maker.observe(98.0, 2 * MINUTE_NS - 1) is None
    assert maker.observe(1.0, 2 * MINUTE_NS) == Bar(2 * MINUTE_NS, 99.0, 99.0, 98.0, 98.0, 0.0)


def test_a_silent_bar_is_missing() -> None:
    bars = made((10, 0, 1), (11, 70, 1), (12, 250, 1), (13, 300, 1))

    assert [bar.at_ns // MINUTE_NS for bar in bars] == [1, 2, 5]


def test_a_bar_that_was_joined_late_is_dropped() -> None:
    assert [bar.at_ns // MINUTE_NS for bar in made((10, 30, 1), (11, 61, 1), (12, 120, 1))] == [2]


def test_a_restart_drops_the_open_bar_and_the_one_it_comes_back_in() -> None:
    maker = BarMaker(MINUTE_NS)
    made((10, 0, 1), (11, 60, 1), maker=maker)

    maker.restart()

    bars = made((12, 90, 1), (13, 119, 1), (14, 121, 1), (15, 180, 1), maker=maker)
    assert bars == [Bar(3 * MINUTE_NS, 14, 14, 14, 14, 1)]


def test_the_clock_closes_a_bar_once_and_late_prices_change_nothing() -> None:
    maker = BarMaker(MINUTE_NS)
    made((10, 0, 1), maker=maker)

    assert maker.until(MINUTE_NS - 1) is None
    assert maker.until(MINUTE_NS) == Bar(MINUTE_NS, 10, 10, 10, 10, 1)
    assert maker.until(MINUTE_NS) is None
    assert made((50, 59, 1), (11, 61, 1), (12, 120, 1), maker=maker) == [Bar(2 * MINUTE_NS, 11, 11, 11, 11, 1)]


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
def test_what_is_no_price_changes_nothing(price: float) -> None:
    assert made((10, 0, 1), (price, 1, 1), (price, 61, 1), (11, 62, 1)) == [Bar(MINUTE_NS, 10, 10, 10, 10, 1)]


@pytest.mark.parametrize("volume", [-1.0, np.nan, np.inf])
def test_what_is_no_volume_changes_nothing(volume: float) -> None:
    assert made((10, 0, 1), (20, 1, volume), (11, 62, 1)) == [Bar(MINUTE_NS, 10, 10, 10, 10, 1)]


@pytest.mark.parametrize("bar_ns", [0, -1])
def test_a_maker_needs_a_length(bar_ns: int) -> None:
    with pytest.raises(UnsoundBars, match="bar_ns"):
        BarMaker(bar_ns)


def test_trades_make_the_bars_that_were_recorded() -> None:
    rng = np.random.default_rng(11)
    at_ns = np.sort(rng.integers(0, 20 * MINUTE_NS, 500))
    price, volume = 100 * np.exp(rng.normal(0, 1e-3, 500).cumsum()), rng.random(500)
    maker, bars = BarMaker(MINUTE_NS), []

    for row in zip(price.tolist(), at_ns.tolist(), volume.tolist(), strict=True):
        bars += [bar for bar in [maker.observe(*row)] if bar]

    assert [bar.at_ns // MINUTE_NS for bar in bars] == list(range(2, 20))  # joined late, and the last is not over
    for bar in bars:
        inside = (at_ns >= bar.at_ns - MINUTE_NS) & (at_ns < bar.at_ns)
        p = price[inside]
        assert (bar.open, bar.high, bar.low, bar.close) == (p[0], p.max(), p.min(), p[-1])
        assert bar.volume == pytest.approx(volume[inside].sum())
